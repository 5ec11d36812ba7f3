"""What a line of a record may say. A line is one JSON object; what it is about is its `kind`."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

VERSION = 1


class RecordError(ValueError):
    """A record, or a run's folder, that does not say what it should."""


@dataclass(frozen=True)
class Field:
    type: str
    meaning: str
    required: bool = True


# What every line has, and what each kind adds. More fields may be written; a reader passes over those it does not know.
COMMON = {
    "kind": Field("text", "what the line is about"),
    "step": Field("count", "in `step` the number of the step, from 0; in a study that of the decision; elsewhere how many steps were done"),
    "time": Field(
        "object",
        "all that two runs of one recipe and seed do not share: `seconds` of training so far (of an evaluation, its own), `at` (UTC)",
        required=False,
    ),
}
KINDS = {
    "begin": {
        "version": Field("count", f"version of this table: {VERSION}"),
        "task": Field("text", "what is learned"),
        "rule": Field("text", "the rule that learns it"),
        "seed": Field("whole", "the seed"),
        "steps": Field("count", "how many steps are planned"),
        "metric": Field("text", "by which of the metrics of an evaluation the best is chosen"),
        "better": Field("direction", "`lower` or `higher`"),
        "samples": Field("numbers", "part of the data -> samples in it", required=False),
    },
    "step": {
        "loss": Field("number", "the training loss of this step"),
        "lr": Field("number", "its rate", required=False),
    },
    "evaluation": {
        "metrics": Field("numbers", "metric -> value"),
        "split": Field("text", "of which data; `valid` if left out", required=False),
    },
    "event": {
        "name": Field("text", "what happened: rollback, ..."),
        "message": Field("text", "a sentence about it"),
        "budget": Field("text", "of a study: what it may cost from then on", required=False),
        "decisions": Field("count", "of a study: how many the strategy had made by then", required=False),
    },
    "health": {
        "numbers": Field("numbers", "what was watched -> value"),
        "warning": Field("text", "a sentence, where something looks wrong", required=False),
    },
    "end": {
        "reason": Field("text", "why: finished, stopped early, ..."),
    },
    "study": {
        "version": Field("count", f"version of this table: {VERSION}"),
        "task": Field("text", "what is learned"),
        "objective": Field("text", "the metric that is optimized"),
        "better": Field("direction", "`lower` or `higher`"),
        "settings": Field("object", "all that its decisions follow from: strategy, space, recipe, seed, width, ..."),
        "comparison": Field("object", "of a comparison: its methods, what it may cost, its seeds", required=False),
    },
    "job": {
        "trial": Field("whole", "which trial is trained, or trained further"),
        "point": Field("object", "dimension -> value"),
        "seed": Field("whole", "the seed of the trial"),
        "start": Field("count", "epochs that it has behind it"),
        "stop": Field("count", "epochs that it will have behind it"),
        "origin": Field("text", "where the point comes from"),
    },
    "result": {
        "status": Field("text", "done, diverged, failed or lost"),
        "epochs": Field("count", "epochs that were trained"),
        "score": Field("number", "what is minimized", required=False),
        "metrics": Field("numbers", "metric -> value", required=False),
        "error": Field("text", "what went wrong", required=False),
    },
    "answer": {
        "trial": Field("whole", "the best trial"),
        "metrics": Field("numbers", "metric -> value, on validation data"),
        "message": Field("text", "why this one"),
        "test": Field("numbers", "metric -> value, on test data", required=False),
        "importance": Field("numbers", "path of a choice -> its share in the differences between trials", required=False),
        "advice": Field("texts", "what the trials show, in sentences", required=False),
        "comparison": Field("object", "of a comparison: scores, verdicts, and what they rest on", required=False),
    },
}


def check(line: Any) -> None:
    """Raise a RecordError unless this is a line as the tables above describe it."""
    if not isinstance(line, dict):
        raise RecordError(f"a line is a JSON object, not {shown(line)}")
    kind = line.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise RecordError(f"kind = {shown(kind)} is none of {', '.join(KINDS)}")
    for name, field in (COMMON | KINDS[kind]).items():
        if name in line:
            if not TYPES[field.type](line[name]):
                raise RecordError(f"{kind}.{name} = {shown(line[name])} is not {ARTICLES.get(field.type, f'a {field.type}')}")
        elif field.required:
            raise RecordError(f"{kind} lacks {name}: {field.meaning}")
    if kind in ("begin", "study") and line["version"] > VERSION:
        raise RecordError(f"version {line['version']} of the record is newer than {VERSION}, which this steepest reads: upgrade steepest")
    try:
        json.dumps(line, allow_nan=False)
    except ValueError:
        raise RecordError(f"{kind} holds NaN or infinity as a number; it is the text nan, inf or -inf") from None


def number(value: Any) -> float:
    """A number of a record. NaN and infinity, which JSON lacks, are the strings nan, inf and -inf."""
    return float(value)


def strict(value: Any) -> Any:
    """The same, with NaN and infinity as strings."""
    if isinstance(value, dict):
        return {key: strict(x) for key, x in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(x) for x in value]
    return str(float(value)) if isinstance(value, float) and not math.isfinite(value) else value


def shown(value: Any, width: int = 60) -> str:
    """A value in an error: on one line, and not all of it if it is long."""
    text = ascii(value)
    return text if len(text) <= width else text[: width - 3] + "..."


def _number(x: Any) -> bool:
    return (isinstance(x, (int, float)) and not isinstance(x, bool)) or (isinstance(x, str) and x in ("nan", "inf", "-inf"))


def _whole(x: Any) -> bool:
    return isinstance(x, int) and not isinstance(x, bool)


ARTICLES = {
    "numbers": "an object of numbers",
    "texts": "a list of texts",
    "whole": "a whole number",
    "object": "an object",
    "direction": "lower or higher",
}
TYPES: Mapping[str, Callable[[Any], bool]] = {
    "text": lambda x: isinstance(x, str),
    "texts": lambda x: isinstance(x, list) and all(isinstance(text, str) for text in x),
    "count": lambda x: _whole(x) and x >= 0,
    "whole": _whole,
    "number": _number,
    "numbers": lambda x: isinstance(x, dict) and all(map(_number, x.values())),
    "object": lambda x: isinstance(x, dict),
    "direction": lambda x: x in ("lower", "higher"),
}
