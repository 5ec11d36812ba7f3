"""Whether a method had its chance: what the trials of its search say about the range and the budget they had."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import nan
from typing import Any, Literal

import numpy as np
from scipy.stats import spearmanr

from steepest.compare.budget import expected_best
from steepest.compare.scores import Array, better_is_more
from steepest.search.dimension import Dimension

# A trial: its point, a value for each knob by name, and its score; None if it diverged.
Trial = tuple[Mapping[str, Any], float | None]
# How near to an end of its range the best value lies, and how surely scores rise towards that end, for the end to be to blame.
NEAR, SURE = 0.1, 0.05
FEWEST = 6


@dataclass(frozen=True)
class Flag:
    """A sign that a method is undertuned. `edge`: its best `knob` lies at an end of the range; `climbing`: more trials would still help."""

    method: str
    kind: Literal["edge", "climbing"]
    words: str
    knob: str = ""
    value: float = nan

    def facts(self) -> dict[str, Any]:
        return asdict(self)


def flags(
    method: str, trials: Sequence[Trial], ranges: Mapping[str, Mapping[str, Any]], direction: str, noise: float | None = None
) -> list[Flag]:
    """Of one study. `ranges` hold low, high and log by the knob's name; choices have no ends. `noise`: how much seeds differ."""
    best = expected_best([score for _, score in trials], direction) if trials else np.empty(0)
    return [*edges(method, trials, ranges, direction), *climbing(method, best, noise)]


def edges(method: str, trials: Sequence[Trial], ranges: Mapping[str, Mapping[str, Any]], direction: str) -> Iterator[Flag]:
    """The best value is in the outer tenth of the range, and over all trials scores rise towards that end.

    The first alone would blame every fifth knob that does nothing; both, 2 % of them.
    """
    for knob, spec in ranges.items():
        there = [(point[knob], score) for point, score in trials if knob in point]
        if spec.get("low") is None or len(there) < FEWEST:
            continue
        values = [value for value, _ in there]
        score = better_is_more((score for _, score in there), direction)
        u = places(values, spec)
        best = int(score.argmax())
        up = bool(u[best] > 0.5)
        far = u if up else 1 - u
        if far[best] < 1 - NEAR or len(set(score)) == 1 or len(set(u)) == 1:
            continue
        rises: Any = spearmanr(far, score, alternative="greater")
        if rises.pvalue < SURE:
            yield Flag(
                method,
                "edge",
                f"{method} is undertuned: its best {knob} = {values[best]:.3g} lies at the {'upper' if up else 'lower'} end of its range, "
                f"{spec['low']:g} to {spec['high']:g}, and scores rise towards it; widen the range",
                knob,
                values[best],
            )


def places(values: Sequence[float], spec: Mapping[str, Any]) -> Array:
    """Where between the ends of the range, from 0 to 1."""
    d = Dimension("", "", spec["low"], spec["high"], bool(spec.get("log")))
    return np.array([d.place(x) for x in values])


def climbing(method: str, best: Array, noise: float | None) -> Iterator[Flag]:
    """The second half of the trials gained more than seeds differ. Trials that differ by their seeds alone gain a third of that.

    `best` is what the best of 1, 2, ... trials is on average.
    """
    n = len(best)
    if n < FEWEST or noise is None:
        return
    gain = abs(float(best[-1] - best[n // 2 - 1]))
    if gain > noise:
        yield Flag(
            method,
            "climbing",
            f"{method} is undertuned: from {n // 2} trials to {n} its best still gained {gain:.2g} on average, and seeds differ by "
            f"{noise:.2g} only; give it more trials",
        )
