"""A comparison as its record says it: what was asked, what came of it, and which run belongs to which method."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import Any

from steepest.records import Study, is_study, number
from steepest.records.lines import parse, whole
from steepest.records.schema import RecordError
from steepest.records.studies import NAME
from steepest.report.groups import Group
from steepest.report.parts import Figure, Html, Section
from steepest.report.reading import Line, Story

# What a record of another make may do to whoever reads it.
UNLIKE = (KeyError, TypeError, ValueError, AttributeError, IndexError)


def is_comparison(folder: Path) -> bool:
    """By the first line of its study."""
    if not is_study(folder):
        return False
    first = next(whole(folder / NAME), None)
    try:
        return first is not None and "comparison" in parse(folder / NAME, *first)
    except RecordError:
        return False


@dataclass
class Contest:
    """`asked` is `comparison` of the first line, `found` that of the answer, which is empty until there is one."""

    study: Study
    stories: Sequence[Story]
    problems: list[str]

    @cached_property
    def asked(self) -> dict[str, Any]:
        return table_of(self.study.begin.get("comparison"))

    @cached_property
    def found(self) -> dict[str, Any]:
        return table_of((self.study.answer or {}).get("comparison"))

    @cached_property
    def methods(self) -> dict[str, dict[str, Any]]:
        """As they were declared, by name."""
        listed = self.asked.get("methods")
        known = [one for one in listed if isinstance(one, dict) and isinstance(one.get("name"), str)] if isinstance(listed, list) else []
        return {one["name"]: one for one in known}

    @cached_property
    def order(self) -> list[str]:
        """The best first, where that is known; the others as they were declared."""
        rows = self.found.get("standings")
        best = [str(row["method"]) for row in rows if isinstance(row, dict) and "method" in row] if isinstance(rows, list) else []
        return list(dict.fromkeys([*best, *self.methods]))

    @property
    def metric(self) -> str:
        return str(self.study.begin.get("objective", "score"))

    @property
    def unit(self) -> str:
        """One of what was repeated."""
        return "study" if self.asked.get("unit") == "studies" else "seed"

    @property
    def units(self) -> str:
        return "studies" if self.unit == "study" else "seeds"

    @property
    def higher(self) -> bool:
        return self.asked.get("direction") == "max"

    def score(self, result: Line) -> float | None:
        """In the direction of the objective; None for a miss."""
        x = known(result.get("score"))
        return -x if self.higher and x is not None else x

    def jobs(self, why: str) -> list[tuple[Line, Line]]:
        """The decisions of a kind that have a result, with it."""
        both = sorted(self.study.jobs.keys() & self.study.results.keys())
        return [(self.study.jobs[n], self.study.results[n]) for n in both if self.study.jobs[n].get("why") == why]

    def fresh(self) -> Group:
        """The runs on fresh seeds, by method."""
        job = {f"{line['trial']:04d}": line for line in self.study.jobs.values()}
        runs = [(story, job[story.folder.name]) for story in self.stories if story.folder.name in job]
        chosen = [(story, method_of(line)) for story, line in runs if line.get("why") == "repeat" and story.summary.metric]
        metric = (str(self.study.begin.get("task")), self.metric, str(self.study.begin.get("better", "lower")))
        return Group(metric, [story for story, _ in chosen], [method for _, method in chosen], {}, tuple(self.order))

    def section(self, title: str, *parts: Callable[["Contest"], Iterable[Html | Figure]]) -> Section:
        """What cannot be made of the record is a problem to tell of, and no end of the page."""
        made = Section(title)
        for part in parts:
            try:
                made.parts += list(part(self))
            except UNLIKE as wrong:
                self.problems.append(f"{self.study.folder / NAME}: {title}: the record is unlike any that is known here: {wrong!r}")
        return made


def method_of(job: Line) -> str:
    return str(job["point"].get("method", ""))


def table_of(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def known(value: Any) -> float | None:
    """A number that is there and finite."""
    x = None if value is None else number(value)
    return x if x is not None and isfinite(x) else None
