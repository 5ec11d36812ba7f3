"""The end of a study: one trial is named, trained to its end, and looked at on test data for the first time."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steepest.search.advice import Advice, advice, fitted
from steepest.search.baseline import is_baseline
from steepest.search.decisions import Decisions
from steepest.search.jobs import Answer, Job, Result
from steepest.search.log import Log, StudyError
from steepest.search.pool import Pool
from steepest.search.trial import place_of

if TYPE_CHECKING:
    from steepest.search.plan import Plan

# No decision's number.
LAST = -1


@dataclass(frozen=True)
class Finished:
    """The answer, with the metrics of the finished trial, those of the default, and those of the test part if there is one."""

    answer: Answer
    metrics: dict[str, float]
    default: dict[str, float] | None
    test: dict[str, float] | None
    folder: Path
    advice: Advice
    # Epochs that the named trial still needed, and how often the test part had been looked at before, for other answers.
    more: int = 0
    before: int = 0


def finish(plan: "Plan", decisions: Decisions, log: Log, pool: Pool) -> Finished:
    answer = decisions.best()
    if answer is None or decisions.over == "failed":
        raise StudyError(nothing(decisions))
    place = place_of(log.folder, answer.trial)
    of_trial = [(job, result) for job, result in decisions.seen if job.trial == answer.trial and result.done]
    job, result = of_trial[-1]
    default = next((dict(result.metrics) for job, result in decisions.seen if is_baseline(job) and result.done), None)
    before = log.answer or {}
    if before.get("trial") == answer.trial and before.get("decisions") == len(decisions.seen):
        said = Advice(before.get("advice", []), before.get("importance", {}))
        return Finished(answer, before["metrics"], default, before.get("test"), place, said, before=before.get("looks", 1) - 1)
    metrics, test, more = dict(result.metrics), None, 0
    if not plan.command:
        more = 0 if job.stop >= plan.full else plan.full - job.stop
        if more:
            last = Job(LAST, job.trial, job.point, job.seed, job.stop, plan.full, "promote", "to its end")
            metrics = dict(_trained(plan, last, place, pool).metrics)
        if plan.folds:
            # The folds have a model each. One more is trained on the usual parts.
            place = log.folder / "best"
            whole = Job(LAST, job.trial, job.point, job.seed, 0, plan.full, "repeat", "on the usual parts")
            _trained(plan, whole, place, pool, whole=True)
        shutil.copyfile(place / "recipe.toml", log.folder / "recipe.toml")
        test = _ask(pool, {"do": "test", "folder": str(place)})["metrics"]
    looks = before.get("looks", 0) + (test is not None)
    facts: dict[str, Any] = {"decisions": len(decisions.seen), "score": answer.score, "seeds": answer.seeds, "looks": looks}
    facts |= {"folder": str(place.relative_to(log.folder))} | ({"default": default} if default else {}) | ({"test": test} if test else {})
    # The default is not of the space.
    said = advice(plan.spaces, plan.full, [(job, result) for job, result in decisions.seen if not is_baseline(job)])
    said = Advice([*fitted(metrics, test if not plan.folds else None), *said.sentences], said.importance)
    facts |= {"advice": said.sentences, "importance": said.importance}
    log.write("answer", len(decisions.seen), trial=answer.trial, metrics=metrics, message=answer.why, **facts)
    return Finished(answer, metrics, default, test, place, said, more, looks - (test is not None))


def _trained(plan: "Plan", job: Job, place: Path, pool: Pool, whole: bool = False) -> Result:
    order = {"do": "train", "job": job.facts(), "recipe": plan.trial(job).toml(), "folder": str(place), "whole": whole}
    result = Result.of_facts(_ask(pool, order)["result"])
    if not result.done:
        raise StudyError(f"the best trial could not be trained to its end: {result.error}; steepest tune --resume tries again")
    return result


def _ask(pool: Pool, order: dict[str, Any]) -> dict[str, Any]:
    pool.give({"number": LAST, **order})
    while True:
        for told in pool.wait(1.0):
            if told.said == "done":
                return {"metrics": None, **told.facts}


def nothing(decisions: Decisions) -> str:
    """Why there is no answer: the first error once, and how many there were."""
    wrong = [result for _, result in decisions.seen if not result.done]
    if not wrong:
        return "no trial came to its end; give it more time"
    count = f"all {len(wrong)} trials" if len(wrong) > 1 else "the only trial"
    count += " but the default AdamW" * (len(wrong) < len(decisions.seen))
    kinds = ", ".join(sorted({result.status for result in wrong}))
    return f"{count} ended without a score ({kinds}); the first: {wrong[0].error}"
