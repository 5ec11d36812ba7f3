"""A study for Optuna's tools: its trials in a storage that `optuna-dashboard` reads."""

from dataclasses import replace
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState

from steepest import records
from steepest.core.errors import SettingError
from steepest.search.dimension import Dimension
from steepest.search.log import StudyError
from steepest.search.modeled import distribution, quiet, told

STATES = {"done": TrialState.COMPLETE, "diverged": TrialState.FAIL, "failed": TrialState.FAIL, "lost": TrialState.FAIL}


def to_optuna(folder: Path, path: Path) -> int:
    """Write all trials into a new SQLite file; how many. Paused ones are Optuna's pruned ones; the default AdamW has no values."""
    if path.exists():
        raise SettingError(f"{path} exists already; choose another file")
    found = records.study(folder)
    settings = found.begin.get("settings", {})
    if not found.begin:
        raise StudyError(f"{folder} has not begun")
    dimensions = {facts["name"]: shown(Dimension.of_facts(facts)) for facts in settings["space"]}
    full = settings.get("full", settings.get("epochs", 1))
    with quiet():
        study = optuna.create_study(storage=f"sqlite:///{path.resolve()}", study_name=folder.resolve().name)
        study.add_trials([_trial(found, numbers, dimensions, full) for numbers in found.trials.values()])
    return len(found.trials)


def shown(d: Dimension) -> Dimension:
    """For a person to look at: a decay stands there as itself."""
    return replace(d, log=False) if d.fading else d


def _trial(found: records.Study, numbers: list[int], dimensions: dict[str, Dimension], full: int) -> FrozenTrial:
    job, last = found.jobs[numbers[-1]], found.results[numbers[-1]]
    scores = {found.jobs[n]["stop"]: records.number(found.results[n]["score"]) for n in numbers if "score" in found.results[n]}
    state = STATES[last["status"]]
    if state == TrialState.COMPLETE and job["stop"] < full:
        state = TrialState.PRUNED
    return optuna.trial.create_trial(
        state=state, value=scores[job["stop"]] if state == TrialState.COMPLETE else None, intermediate_values=scores,
        params={name: told(dimensions[name], value) for name, value in job["point"].items()},
        distributions={name: distribution(dimensions[name]) for name in job["point"]},
        user_attrs={"trial": job["trial"], "origin": job["origin"], "metrics": last.get("metrics", {}), "error": last.get("error", "")},
    )  # fmt: skip
