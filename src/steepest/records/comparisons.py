"""What the records of comparisons say, as rows and sentences: for tables of any kind, without statistics and without torch."""

import json
from pathlib import Path
from typing import Any

from steepest.records.schema import VERSION, RecordError, number
from steepest.records.studies import Line, Study, is_study, readable, score_of, study

NAME = "comparison.json"


def rows(found: Study) -> list[Line]:
    """A row to each method: what it came to, the best first; of a comparison without an answer how far it is."""
    own = found.answer and found.answer.get("comparison")
    return answered(found, own) if own else under_way(found)


def rows_at(folder: Path) -> list[Line]:
    """Those of a comparison in a folder, or of several tasks, one after another; none where there is no comparison."""
    if is_several(folder):
        return [{"task": task["name"], **row} for task in several(folder)["tasks"] for row in rows(study(folder / task["folder"]))]
    found = readable(folder)[0] if is_study(folder) else None
    return rows(found) if found and found.is_comparison else []


def answered(found: Study, own: Line) -> list[Line]:
    methods = {method["name"]: method for method in found.begin["comparison"]["methods"]}
    order = {name: k + 1 for k, name in enumerate(own["ranking"]["order"])}
    standings = {row["method"]: row for row in own["standings"]}
    seconds = found.answer.get("time", {}).get("target", {}) if found.answer else {}
    made = []
    for name, place in order.items():
        row, times = standings[name], ((own.get("target") or {}).get("methods") or {}).get(name, {})
        tuned = [x["score"] for x in own["chosen"] if x["method"] == name and x["score"] is not None]
        made.append(
            {
                "place": place, "method": name, "mean": known(row["mean"]), "low": known(row["low"]), "high": known(row["high"]),
                found.begin["comparison"]["unit"]: row["n"], "diverged": row["missed"], "first": own["ranking"]["shares"][name][0],
                "beats": ", ".join(x["second"] for x in own["verdicts"] if x["kind"] == "better" and x["first"] == name),
                "searched": best(found, tuned), "trials": methods[name]["trials"] * methods[name]["studies"],
                "reached": times.get("reached"), "epochs_to_target": times.get("epochs"), "steps_to_target": times.get("steps"),
                "seconds_to_target": seconds.get(name), **own["spent"][name],
            }
        )  # fmt: skip
    return made


def under_way(found: Study) -> list[Line]:
    comparison = found.begin["comparison"]
    made = []
    for method in comparison["methods"]:
        mine = [n for n, job in found.jobs.items() if job["point"].get("method") == method["name"] and n in found.results]
        trials = [n for n in mine if found.jobs[n].get("why") == "explore"]
        scores = [score_of(found.results[n]) for n in trials if "score" in found.results[n]]
        sign = -1 if found.begin["better"] == "higher" else 1
        made.append(
            {
                "method": method["name"], "best": sign * min(scores) if scores else None, "trials": len(trials),
                "of_trials": method["trials"] * method["studies"], "fresh": len(mine) - len(trials),
                "of_fresh": comparison["preset"]["fresh"] * method["studies"],
                "missed": sum(found.results[n]["status"] != "done" for n in mine),
            }
        )  # fmt: skip
    return made


def known(x: Any) -> float | None:
    """A number; nothing for one that is none."""
    value = number(x)
    return value if value == value else None


def best(found: Study, scores: list[float]) -> float | None:
    return (max if found.begin["better"] == "higher" else min)(scores, default=None)


def sentences(found: Study) -> list[str]:
    """Verdicts, each in a sentence, and what must be known with them; the first is about all."""
    begun, own = found.begin["comparison"], (found.answer or {}).get("comparison")
    unequal = [begun["unequal"]] if begun.get("unequal") else []
    if not found.answer or not own:
        return unequal
    verdicts = [verdict["words"] for verdict in own["verdicts"]]
    return [*unequal, f"{found.answer['message']}.", *verdicts, *(flag["words"] for flag in own["flags"]), *own["notes"]]


# --- several tasks ----------------------------------------------------------------------------------


def is_several(folder: Path) -> bool:
    return (folder / NAME).is_file()


def several(folder: Path) -> Line:
    """What stands over a comparison on several tasks."""
    path = folder / NAME
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as wrong:
        raise RecordError(f"{path} cannot be read: {wrong}") from None
    if not isinstance(found, dict) or found.get("kind") != "comparison" or not isinstance(found.get("tasks"), list):
        raise RecordError(f"{path} is no record of a comparison")
    if not isinstance(found.get("version"), int) or found["version"] > VERSION:
        raise RecordError(f"{path} is of version {found.get('version')}, and this steepest reads {VERSION}: upgrade steepest")
    return found
