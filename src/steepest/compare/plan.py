"""What a comparison is asked, as one value that its record keeps and all its decisions follow from."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from math import inf, isfinite
from pathlib import Path
from typing import Any, ClassVar, Self

from steepest.compare.entry import METHOD, Entry
from steepest.compare.laying import Laid, Layout, Slot
from steepest.compare.presets import Preset
from steepest.core.errors import SettingError
from steepest.records import study
from steepest.search.asked import Asked
from steepest.search.decisions import Decisions
from steepest.search.jobs import Job
from steepest.search.log import Log, StudyError
from steepest.search.pool import Pool
from steepest.search.trial import place_of, trial_recipe

ABOUT = "Nothing was chosen by test data, and none were looked at."


@dataclass(frozen=True, kw_only=True)
class Comparison(Asked):
    """Methods, and what each may cost. `preset` is told by the name that was `said`. `points`: the objective is a share.

    `target` is the score whose time is taken; left out, it follows from the scores. `unequal` says whose trials are fewer, where
    somebody wanted that; `axes` are the names that methods were made of.
    """

    verb: ClassVar[str] = "compare"
    methods: tuple[Entry, ...]
    preset: Preset
    said: str = "own"
    points: bool = False
    target: float | None = None
    unequal: str | None = None
    axes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.target is not None and not isfinite(self.target):
            raise SettingError(f"target = {self.target} is no score; name one that a method can reach")

    @classmethod
    def begun(cls, line: Mapping[str, Any]) -> Self:
        try:
            own, preset = line["comparison"], dict(line["comparison"]["preset"])
            return cls(
                **{name: line["settings"][name] for name in SETTINGS},
                objective=line["objective"], better=line["better"], methods=tuple(map(Entry.of_facts, own["methods"])),
                said=preset.pop("name"), preset=Preset(**{name: preset[name] for name in ("studies", "trials", "fresh", "unit")}),
                **{name: own[name] for name in ("points", "target", "unequal", "axes")},
            )  # fmt: skip
        except (KeyError, TypeError) as wrong:
            raise StudyError(
                f"the comparison is of another version: its first line lacks, or has besides, {wrong}; begin a new one"
            ) from None

    def head(self) -> dict[str, Any]:
        preset = {"name": self.said, **asdict(self.preset), "words": self.words, "trainings": len(self.layout.slots)}
        comparison = {
            "axes": self.axes, "methods": [method.facts() for method in self.methods], "preset": preset, "direction": self.direction,
            "unit": self.preset.unit, "points": self.points, "target": self.target, "seeds": self.seeds, "unequal": self.unequal,
            "about": list(self.about),
        }  # fmt: skip
        return {"settings": {name: getattr(self, name) for name in SETTINGS} | {"strategy": "comparison"}, "comparison": comparison}

    @cached_property
    def layout(self) -> Layout:
        return Layout(self.methods, self.preset, self.seed)

    @cached_property
    def by_name(self) -> dict[str, Entry]:
        return {method.name: method for method in self.methods}

    @property
    def direction(self) -> str:
        return "max" if self.more else "min"

    @property
    def epochs(self) -> float:
        """Its end is laid down, not run into."""
        return inf

    @property
    def words(self) -> str:
        """What it costs."""
        total = len(self.layout.slots)
        each = [(method.trials, method.studies) for method in self.methods]
        if len({*each}) == 1 and each[0][1] == self.preset.studies:
            return self.preset.words(len(self.methods))
        rows = (f"{m.name} {m.studies * (m.trials + self.preset.fresh)}" for m in self.methods)
        return f"{', '.join(rows)} = {total} trainings"

    @property
    def seeds(self) -> dict[str, Any]:
        studies, fresh = range(self.preset.studies), range(self.preset.fresh)
        return {
            "studies": [self.layout.seed_of(Slot(0, k, trial=0)) for k in studies],
            "fresh": [[self.layout.seed_of(Slot(0, k, fresh=j)) for j in fresh] for k in studies],
        }

    @property
    def about(self) -> list[str]:
        """What is so from the start, and must be known."""
        said = [ABOUT]
        if len({method.full for method in self.methods}) > 1:
            said.append(f"Trainings differ in length: {', '.join(f'{m.name} {m.full} epochs' for m in self.methods)}.")
        if fixed := [method.name for method in self.methods if not method.trials]:
            said.append(f"Compared as they are, nothing searched: {', '.join(fixed)}.")
        return said

    # --- a study ------------------------------------------------------------------------------------

    def decider(self) -> Laid:
        return Laid(self.layout)

    def setup(self) -> dict[str, Any]:
        return {"kind": "task", "task": self.task, "folds": 0}

    def order(self, job: Job, folder: Path) -> dict[str, Any]:
        recipe = trial_recipe(self.by_name[job.point[METHOD]].at(job.point), job.seed, self.objective, self.threads)
        return {"folder": str(place_of(folder, job.trial)), "recipe": recipe.toml()}

    def finish(self, decisions: Decisions, log: Log, pool: Pool) -> dict[str, Any]:
        """The answer line: that of before, where nothing has changed since."""
        from steepest.compare.ending import answer

        if log.answer and log.answer["decisions"] == len(decisions.seen):
            return log.answer
        taken = {n: float(line.get("time", {}).get("seconds", 0.0)) for n, line in study(log.folder).results.items()}
        found = answer(self, decisions.seen, log.folder, taken)
        log.write("answer", len(decisions.seen), **found)
        return found


# What of it stands in the record as the settings of any study do.
SETTINGS = ("name", "task", "full", "seed", "width", "threads", "budget")
