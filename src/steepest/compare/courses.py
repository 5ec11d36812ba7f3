"""How far each training was, and when: from the records of its run. And what several of them say together."""

from collections.abc import Sequence
from math import inf, isfinite
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from steepest.compare.profiles import reached
from steepest.compare.statistics import interval
from steepest.records import number
from steepest.records.lines import parse, start, whole

STEP = start("step")


class Mark(NamedTuple):
    """An evaluation on validation data: the score, and what it took so far. The first epoch is 1."""

    epochs: int
    steps: int
    seconds: float
    score: float


def course(folder: Path, objective: str) -> list[Mark]:
    """Of a run. Steps are many, and of those as we write them only the last before an evaluation is parsed."""
    found: list[Mark] = []
    path, last = folder / "record.jsonl", None
    for place, line in whole(path) if path.is_file() else ():
        said: dict[str, Any] = {"kind": "step"} if line.startswith(STEP) else parse(path, place, line)
        if said["kind"] == "step":
            last = place, line
        elif said["kind"] == "evaluation" and said.get("split", "valid") == "valid" and objective in said.get("metrics", {}):
            seconds = parse(path, *last).get("time", {}).get("seconds", 0.0) if last else 0.0
            found.append(Mark(len(found) + 1, said["step"], float(seconds), number(said["metrics"][objective])))
    return found


def band(courses: Sequence[Sequence[Mark]], seed: int = 0) -> dict[str, Any]:
    """The mean after each epoch, over the trainings that came so far, and its interval."""
    longest = max(map(len, courses), default=0)
    columns = [[c[e].score for c in courses if len(c) > e and isfinite(c[e].score)] for e in range(longest)]
    ends = [interval(np.array(x), np.random.default_rng([seed, e])) if len(x) > 1 else None for e, x in enumerate(columns)]
    return {
        "epochs": [e + 1 for e in range(longest)], "mean": [float(np.mean(x)) if x else None for x in columns],
        "low": [float(x.low) if x else None for x in ends], "high": [float(x.high) if x else None for x in ends],
        "n": [len(x) for x in columns],
    }  # fmt: skip


def reaching(courses: Sequence[Sequence[Mark] | None], target: float, direction: str) -> dict[str, Any]:
    """How many came to the target, and the median of what it took: None unless more than half did. None for a training is a miss."""
    there = [mark for c in courses if c and (mark := first(c, target, direction))]
    costs = {name: middle([getattr(x, name) for x in there], len(courses)) for name in ("epochs", "steps", "seconds")}
    return {"n": len(courses), "reached": len(there), **costs}


def first(course: Sequence[Mark], target: float, direction: str) -> Mark | None:
    k = reached([(k, x.score) for k, x in enumerate(course)], target, direction)
    return None if k is None else course[int(k)]


def middle(values: Sequence[float], of: int) -> float | None:
    """The median of `of` numbers, of which those that are not there are larger than any."""
    found = float(median([*values, *[inf] * (of - len(values))])) if of else inf
    return found if isfinite(found) else None
