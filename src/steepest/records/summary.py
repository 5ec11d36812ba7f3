"""What came of a run, in one pass over its record, whatever its length."""

import os
from dataclasses import dataclass, fields
from math import isnan
from typing import Any, cast

from steepest.records.lines import parse, start, whole
from steepest.records.schema import RecordError, check, number


@dataclass(frozen=True)
class Summary:
    """`state` is why the run ended, `unfinished`, or `not begun`. The best is that of `metric` on validation data."""

    state: str = "not begun"
    task: str = ""
    rule: str = ""
    seed: int | None = None
    planned: int | None = None
    steps: int = 0
    seconds: float = 0.0
    metric: str = ""
    better: str = ""
    best: float | None = None
    best_step: int | None = None
    last: float | None = None
    loss: float | None = None
    warnings: int = 0
    begun: str = ""

    @classmethod
    def of(cls, found: dict[str, Any]) -> "Summary":
        """From JSON, where NaN is a string. A TypeError if a value is not what its name says."""
        values: dict[str, Any] = {}
        for field in fields(cls):
            value = found[field.name]
            if field.type in (float, float | None) and value is not None:
                value = number(value)
            if not isinstance(value, cast(type, field.type)):
                raise TypeError(f"{field.name} = {value!r}")
            values[field.name] = value
        return cls(**values)


def summarize(path: str | os.PathLike[str]) -> Summary:
    """Read the record. Of the steps only the last is parsed; a record has thousands of them for each other line."""
    found: dict[str, Any] = {}
    last: tuple[int, bytes] | None = None
    step = start("step")
    for place, line in whole(path):
        if line.startswith(step):
            last = place, line
        else:
            add(found, checked(path, place, line))
    if last:
        add(found, checked(path, *last))
    return Summary(**found)


def checked(path: str | os.PathLike[str], place: int, line: bytes) -> dict[str, Any]:
    found = parse(path, place, line)
    try:
        check(found)
    except RecordError as wrong:
        raise RecordError(f"{path}, line {place}: {wrong}") from None
    return found


def add(found: dict[str, Any], line: dict[str, Any]) -> None:
    kind, done = line["kind"], line["step"] + (line["kind"] == "step")
    found["steps"] = max(done, found.get("steps", 0))
    found["state"] = line["reason"] if kind == "end" else found.get("state", "unfinished")
    time = line.get("time", {})
    if kind in ("step", "end") and isinstance(time.get("seconds"), (int, float)):
        found["seconds"] = max(float(time["seconds"]), found.get("seconds", 0.0))
    if kind == "begin":
        found |= {name: line[name] for name in ("task", "rule", "seed", "metric", "better")} | dict(planned=line["steps"])
        found["begun"] = time["at"] if isinstance(time.get("at"), str) else ""
    elif kind == "step":
        found["loss"] = number(line["loss"])
    elif kind == "health":
        found["warnings"] = found.get("warnings", 0) + ("warning" in line)
    elif kind == "evaluation" and line.get("split", "valid") == "valid" and found.get("metric") in line["metrics"]:
        value = number(line["metrics"][found["metric"]])
        found["last"] = value
        if _beats(value, found):
            found |= dict(best=value, best_step=line["step"])


def _beats(value: float, found: dict[str, Any]) -> bool:
    """NaN beats nothing: it is neither below nor above."""
    if "best" not in found:
        return not isnan(value)
    return value < found["best"] if found["better"] == "lower" else value > found["best"]
