"""Which training comes when. It is laid down before the first, so that no method is given more, or other, chances than another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf

import torch

from steepest.compare.entry import METHOD, Entry
from steepest.compare.presets import Preset
from steepest.core.rng import generator
from steepest.search.jobs import WAIT, Job, Point, Result, Seen, Wait


@dataclass(frozen=True)
class Slot:
    """A training: of a method, in a study, its `trial`, or with its `fresh` seed. All count from 0."""

    method: int
    study: int
    trial: int | None = None
    fresh: int | None = None


@dataclass(frozen=True)
class Layout:
    """All trainings of a comparison, in order, and the seed of each."""

    methods: tuple[Entry, ...]
    preset: Preset
    seed: int = 0

    @cached_property
    def slots(self) -> list[Slot]:
        """All trials, then all fresh seeds; whatever interrupts it, methods are equally far."""
        most = max(method.trials for method in self.methods)
        trials = [Slot(m, k, trial=t) for k in range(self.preset.studies) for t in range(most) for m in self._with(k, t)]
        fresh = [Slot(m, k, fresh=j) for j in range(self.preset.fresh) for k in range(self.preset.studies) for m in self._with(k)]
        return trials + fresh

    def _with(self, study: int, trial: int = -1) -> list[int]:
        return [m for m, method in enumerate(self.methods) if study < method.studies and trial < method.trials]

    @cached_property
    def trials(self) -> dict[tuple[int, int], list[int]]:
        """The decisions about the trials of a method in a study."""
        found: dict[tuple[int, int], list[int]] = {}
        for number, slot in enumerate(self.slots):
            if slot.trial is not None:
                found.setdefault((slot.method, slot.study), []).append(number)
        return found

    def seed_of(self, slot: Slot) -> int:
        """The same for all methods. No fresh one is a study's own; where studies are what is repeated, each has others."""
        if slot.fresh is None:
            return self.seed + slot.study
        before = slot.study * self.preset.fresh if self.preset.unit == "studies" else 0
        return self.seed + self.preset.studies + before + slot.fresh

    def origin(self, slot: Slot) -> str:
        what = f"trial {slot.trial + 1}" if slot.trial is not None else f"fresh seed {(slot.fresh or 0) + 1}"
        return f"{self.methods[slot.method].name}, study {slot.study + 1}, {what}"


class Laid:
    """The strategy of a comparison. The only thing it learns from is which trial of a method, in its study, was the best."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def decide(self, i: int, seen: Seen) -> Job | Wait | None:
        layout = self.layout
        if i >= len(layout.slots):
            return None
        slot = layout.slots[i]
        method, own = layout.methods[slot.method], layout.trials.get((slot.method, slot.study), [])
        if slot.trial is not None:
            point = method.point(places(method, slot.trial, layout.seed_of(slot)))
        elif own and own[-1] >= len(seen):
            return WAIT
        else:
            point = chosen([seen[number] for number in own], method)
        kind = "explore" if slot.trial is not None else "repeat"
        return Job(i, i, point, layout.seed_of(slot), 0, method.full, kind, layout.origin(slot))

    def best(self, seen: Seen) -> None:
        """A comparison names no trial."""


def places(method: Entry, trial: int, seed: int) -> Mapping[str, float]:
    """Of a trial after the first: in each dimension another part of the range (McKay, Beckman & Conover, 1979).

    The same for all methods where the dimension is the same, so that none has the luckier batch size.
    """
    return {d.name: place(d.path, trial - 1, method.trials - 1, seed) for d in method.dimensions} if trial else {}


def place(path: str, k: int, of: int, seed: int) -> float:
    dice = generator(seed, "compare", path)
    order = torch.randperm(of, generator=dice)
    return (int(order[k]) + float(torch.rand(of, generator=dice, dtype=torch.float64)[k])) / of


def chosen(trials: Sequence[tuple[Job, Result]], method: Entry) -> Point:
    """The point of the best; where two are as good, that with less loss, or the first. The defaults, where none came to its end."""
    best = best_of(trials)
    return best.point if best else {METHOD: method.name}


def best_of(trials: Sequence[tuple[Job, Result]]) -> Job | None:
    done = [(result.score, result.metrics.get("loss", inf), job.number, job) for job, result in trials if result.done]
    return min(done, key=lambda x: x[:3])[3] if done else None
