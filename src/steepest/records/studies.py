"""A study as a folder: what was asked, each decision and what came of it, the answer. Read in one pass over `study.jsonl`."""

import os
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

from steepest.records.card import study_card
from steepest.records.lines import read, whole
from steepest.records.schema import RecordError, check, number
from steepest.records.summary import checked

NAME = "study.jsonl"
Line = dict[str, Any]


@dataclass
class Study:
    """`jobs` and `results` are lines by the number of their decision."""

    folder: Path
    begin: Line = field(default_factory=dict)
    jobs: dict[int, Line] = field(default_factory=dict)
    results: dict[int, Line] = field(default_factory=dict)
    events: list[Line] = field(default_factory=list)
    answer: Line | None = None
    end: Line | None = None

    @property
    def is_comparison(self) -> bool:
        return "comparison" in self.begin

    @property
    def state(self) -> str:
        """Why it ended; `unfinished`, or `not begun`."""
        return self.end["reason"] if self.end else "unfinished" if self.begin else "not begun"

    @property
    def budget(self) -> str:
        """What it may cost: what it was given last."""
        said = [line["budget"] for line in [self.begin.get("settings", {}), *self.events] if "budget" in line]
        return str(said[-1]) if said else ""

    @property
    def epochs(self) -> int:
        return sum(line["epochs"] for line in self.results.values())

    @property
    def seconds(self) -> float:
        """How long it has been at work, breaks apart."""
        lines = [*self.results.values(), *([self.end] if self.end else [])]
        return max((float(line.get("time", {}).get("elapsed", 0.0)) for line in lines), default=0.0)

    @property
    def trials(self) -> dict[int, list[int]]:
        """The decisions about each trial that have a result, by the trial's number."""
        found: dict[int, list[int]] = {}
        for n in sorted(self.results.keys() & self.jobs.keys()):
            found.setdefault(self.jobs[n]["trial"], []).append(n)
        return found

    @property
    def best(self) -> Line | None:
        """The result with the lowest score so far."""
        known = [line for line in self.results.values() if "score" in line]
        return min(known, key=lambda line: (number(line["score"]), line["step"]), default=None)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return study_card(self)


def study(folder: str | os.PathLike[str]) -> Study:
    """The study in a folder; a RecordError if it holds none."""
    path = Path(folder)
    if not is_study(path):
        what = f"holds no {NAME}" if path.is_dir() else "is no folder" if path.exists() else "does not exist"
        raise RecordError(f"there is no study at {folder}: it {what}")
    found = Study(path)
    for place, line in enumerate(read(path / NAME), 1):
        try:
            check(line)
        except RecordError as wrong:
            raise RecordError(f"{path / NAME}, line {place}: {wrong}") from None
        add(found, line)
    return found


def readable(folder: Path) -> tuple[Study, list[str]]:
    """All lines that can be read, and what is wrong with the others."""
    found, problems = Study(folder), []
    for place, line in whole(folder / NAME):
        try:
            add(found, checked(folder / NAME, place, line))
        except RecordError as wrong:
            problems.append(str(wrong))
    return found, problems


def is_study(folder: Path) -> bool:
    return (folder / NAME).is_file()


def score_of(line: Line) -> float:
    return number(line["score"]) if "score" in line else inf


def add(found: Study, line: Line) -> None:
    kind = line["kind"]
    if kind in ("job", "result"):
        (found.jobs if kind == "job" else found.results)[line["step"]] = line
        found.end = None  # it was gone on with
    elif kind == "event":
        found.events.append(line)
    elif kind in ("answer", "end"):
        setattr(found, kind, line)
    elif kind == "study":
        found.begin = line
