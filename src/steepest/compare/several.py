"""The same comparison on several tasks: a folder of comparisons, and what they say together."""

import json
from collections.abc import Iterator, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

from steepest.compare.profiles import profile, profile_scores
from steepest.compare.protocol import Wanted, asked, resumed
from steepest.records import Study, comparisons, study
from steepest.records.folders import plain
from steepest.records.schema import VERSION
from steepest.search.log import StudyError
from steepest.search.tune import Search, refuse

# Profiles are drawn from the quickest to who takes so many times as long, as AlgoPerf does.
MOST = 4.0
AT = [round(1 + (MOST - 1) * k / 60, 10) for k in range(61)]
# Steps are the same again; seconds are what is paid.
UNITS = ("steps", "seconds")


def begin_all(wanted: Wanted, tasks: Sequence[str], folder: Path) -> None:
    """Every comparison begun, and the file over them. A mistake about the last task is found before anything is there."""
    refuse(folder, "compare")
    plans = [asked(wanted, said)[0] for said in tasks]
    names = [plain(plan.name, "task") for plan in plans]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise StudyError(f"two of the tasks are called {twice}; give each task once, and files names of their own")
    for plan, name in zip(plans, names, strict=True):
        Search(plan, folder / name).log.close()
    listed = [{"name": plan.name, "folder": name} for plan, name in zip(plans, names, strict=True)]
    write(folder, {"tasks": listed, "methods": [method.name for method in plans[0].methods], "conclusion": None})


def searches(folder: Path, **settings: Any) -> Iterator[Search]:
    """Those that have not ended, one after another, to be run; after each, what stands over them is written anew."""
    for task in comparisons.several(folder)["tasks"]:
        if not study(folder / task["folder"]).end:
            yield resumed(folder / task["folder"], **settings)
        conclude_all(folder)


def conclude_all(folder: Path) -> None:
    found = comparisons.several(folder)
    done = {task["name"]: one for task in found["tasks"] if (one := study(folder / task["folder"])).answer}
    if done:
        write(folder, found | {"conclusion": conclusion(found["methods"], done)})


def conclusion(methods: Sequence[str], done: dict[str, Study]) -> dict[str, Any]:
    """Of the tasks that have an answer."""
    costs = {unit: {method: {task: cost(one, method, unit) for task, one in done.items()} for method in methods} for unit in UNITS}
    scores = {unit: profile_scores(own, MOST) for unit, own in costs.items()}
    profiles = {unit: {"at": AT, "shares": {name: x.tolist() for name, x in profile(own, AT).items()}} for unit, own in costs.items()}
    return {"tasks": [*done], "costs": costs, "profiles": profiles, "scores": scores, "words": [*sentences(methods, done, scores)]}


def cost(found: Study, method: str, unit: str) -> float | None:
    """What it took to the task's target; None if fewer than half of the fresh runs came there."""
    answer = found.answer or {}
    own = (answer["comparison"]["target"] or {"methods": {}})["methods"]
    return answer["time"]["target"][method] if unit == "seconds" else own[method][unit] if method in own else None


def sentences(methods: Sequence[str], done: dict[str, Study], scores: dict[str, dict[str, float]]) -> Iterator[str]:
    wins = {(x["first"], x["second"], task) for task, one in done.items() for x in verdicts(one) if x["kind"] == "better"}
    count = f"{len(done)} task{'s' * (len(done) > 1)}"
    for a, b in permutations(methods, 2):
        if n := sum((a, b, task) in wins for task in done):
            yield f"{a} beats {b} on {n} of {count}"
    for unit, own in scores.items():
        ranked = ", ".join(f"{name} {x:.2f}" for name, x in sorted(own.items(), key=lambda row: -row[1]))
        yield f"to the targets of {count}, by {unit} (1: the quickest on each; 0: never in {MOST:g} times the quickest): {ranked}"


def verdicts(found: Study) -> list[dict[str, Any]]:
    return (found.answer or {})["comparison"]["verdicts"]


def write(folder: Path, facts: dict[str, Any]) -> None:
    """As a whole, or not at all."""
    draft = folder / f".{comparisons.NAME}.tmp"
    draft.write_text(json.dumps({"kind": "comparison", "version": VERSION} | facts, allow_nan=False) + "\n", encoding="utf-8")
    draft.replace(folder / comparisons.NAME)
