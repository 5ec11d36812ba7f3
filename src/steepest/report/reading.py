"""Runs as a report needs them: what can be read is read, what cannot is said."""

import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

from steepest.records import RecordError, Run, Summary, is_run, is_study
from steepest.records.lines import start, whole
from steepest.records.summary import add, checked

Line = dict[str, Any]
# Of one run on a page of its own so many steps are read; of each of many so many.
ALL, SOME = 20_000, 200
# A folder of runs may have folders of runs in it; checkpoints are deeper than any.
DEEP = 3
STEP = start("step")


class ReportError(RecordError):
    """A report that cannot be made."""


@dataclass
class Story:
    """One run. Of its steps one in `every` was read; `problems` are sentences about what could not be."""

    name: str
    folder: Path
    summary: Summary = field(default_factory=Summary)
    steps: list[Line] = field(default_factory=list)
    evaluations: list[Line] = field(default_factory=list)
    health: list[Line] = field(default_factory=list)
    events: list[Line] = field(default_factory=list)
    ends: list[Line] = field(default_factory=list)
    every: int = 1
    recipe: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    task: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    changed: float | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def valid(self) -> list[Line]:
        return [line for line in self.evaluations if line.get("split", "valid") == "valid"]


def runs_in(folder: Path, deep: int = DEEP) -> Iterator[Path]:
    """The runs in a folder, in the order of a person's counting: run-2 before run-10. A run holds no others; a study holds its trials."""
    try:
        inside = [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink() and not path.name.startswith(".")]
    except OSError:
        return
    for path in sorted(inside, key=lambda path: counted(path.name)):
        if is_run(path) and not is_study(path):
            yield path
        elif deep > 1:
            yield from runs_in(path, deep - 1)


def counted(name: str) -> list[tuple[int, int, str]]:
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d{1,18})", name)]


def story(folder: Path, name: str, most: int = ALL) -> Story:
    run, found = Run(folder), Story(name, folder)
    found.recipe = attempt(found, lambda: run.recipe, "")
    found.task = attempt(found, lambda: run.task, {})
    found.environment = attempt(found, lambda: run.environment, {})
    found.settings = attempt(found, lambda: flat(toml(found.recipe)), {})
    attempt(found, lambda: read_record(run.record, found, most), None)
    return found


def attempt(found: Story, read: Callable[[], Any], otherwise: Any) -> Any:
    """What a file says, or else a problem to tell of."""
    try:
        return read()
    except (RecordError, OSError, UnicodeDecodeError) as wrong:
        found.problems.append(str(wrong))
        return otherwise


def toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as wrong:  # a number of 5,000 digits is a plain ValueError
        raise ReportError(f"recipe.toml is not TOML: {wrong}") from None


def read_record(path: Path, found: Story, most: int) -> None:
    """Twice through the file: a record may be larger than memory, and how many steps it has is known at its end."""
    if not path.is_file():
        return
    total = sum(line.startswith(STEP) for _, line in whole(path))
    found.every, found.changed = max(ceil(total / most), 1), path.stat().st_mtime
    kinds = {"step": found.steps, "evaluation": found.evaluations, "health": found.health, "event": found.events, "end": found.ends}
    summary: dict[str, Any] = {}
    seen = 0
    for place, line in whole(path):
        if line.startswith(STEP):
            seen += 1
            if (seen - 1) % found.every and seen < total:
                continue
        try:
            said = checked(path, place, line)
        except RecordError as wrong:
            found.problems.append(str(wrong))
            continue
        kinds.get(said["kind"], []).append(said)
        add(summary, said)
    found.summary = Summary(**summary)


def flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"optimizer.lr": 0.003}`. A schedule is one value, whatever it is made of; a list of tables counts its members."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        path = prefix + key
        if isinstance(value, dict) and "shape" not in value:
            found |= flat(value, f"{path}.")
        elif isinstance(value, list) and value and all(isinstance(x, dict) for x in value) and not prefix.startswith("schedule."):
            for i, one in enumerate(value):
                found |= flat(one, f"{path}.{i}.")
        else:
            found[path] = value
    return found
