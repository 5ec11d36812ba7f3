"""The end of a comparison: all that is said of it, as facts that its record holds."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from math import isfinite
from pathlib import Path
from statistics import fmean, median
from typing import Any

from steepest.compare.chances import expected, flagged
from steepest.compare.conclusion import Conclusion, conclude
from steepest.compare.courses import Mark, band, course, reaching
from steepest.compare.entry import METHOD
from steepest.compare.laying import best_of
from steepest.compare.plan import Comparison
from steepest.compare.training import Training
from steepest.records import RecordError, Run
from steepest.search.jobs import Result, Seen
from steepest.search.trial import place_of

# Of fewer samples one is more than a tenth of a point.
FEW = 1000


def answer(plan: Comparison, seen: Seen, folder: Path, taken: Mapping[int, float]) -> dict[str, Any]:
    """The fields of the answer line. `taken` are the seconds of each training."""
    made = [Training(slot, job, result, score(plan, result)) for slot, (job, result) in zip(plan.layout.slots, seen, strict=True)]
    fresh = {name: [x for x in made if x.slot.fresh is not None and x.job.point[METHOD] == name] for name in plan.by_name}
    trials = {name: [x for x in made if x.slot.trial is not None and x.job.point[METHOD] == name] for name in plan.by_name}
    every = {name: [*trials[name], *fresh[name]] for name in fresh}
    scores = {name: cells(own, plan) for name, own in fresh.items()}
    conclusion = conclude(scores, plan.direction, points=plan.points, unit=plan.preset.unit)
    courses, notes = read_courses(plan, fresh, folder)
    target = target_of(plan, conclusion)
    times = {name: reaching(own, target, plan.direction) for name, own in courses.items()} if target is not None else {}
    seconds = {name: times[name].pop("seconds") if times else None for name in fresh}
    best = conclusion.ranking.order[0]
    curves = {name: expected(trials[name], method, plan) for name, method in plan.by_name.items() if method.trials}
    facts = {
        "scores": {name: {str(key): x for key, x in own.items()} for name, own in scores.items()},
        **conclusion.facts(),
        "flags": [flag.facts() for name in curves for flag in flagged(plan, name, trials[name], fresh[name], curves[name])],
        "chosen": [*chosen(plan, made)],
        "expected_best": curves,
        "curves": {name: band([c for c in own if c]) for name, own in courses.items()},
        "target": {"value": target, "words": target_words(plan, target), "methods": times} if target is not None else None,
        "spent": {name: {"trainings": len(own), "epochs": sum(x.result.epochs for x in own)} for name, own in every.items()},
        "notes": [*notes, *lost(made), *coarse(plan, made, folder)],
    }  # fmt: skip
    top = min((x for x in fresh[best] if x.score is not None), key=lambda x: x.result.score, default=fresh[best][0])
    return {
        "trial": top.job.trial, "metrics": means(fresh[best]), "message": headline(conclusion), "decisions": len(seen), "comparison": facts,
        "time": {"spent": {name: sum(taken.get(x.job.number, 0.0) for x in own) for name, own in every.items()}, "target": seconds},
    }  # fmt: skip


def score(plan: Comparison, result: Result) -> float | None:
    """With the seven digits that float32 has: as many right answers are the same score."""
    return float(f"{-result.score if plan.more else result.score:.7g}") if result.done else None


# --- scores -----------------------------------------------------------------------------------------


def cells(fresh: Iterable[Training], plan: Comparison) -> dict[int, float | None]:
    """A method's scores by what is repeated: the mean over its studies with each seed, or over the seeds of each study.

    One miss makes it a miss; one that was lost leaves it out.
    """
    by_study = plan.preset.unit == "studies"
    groups: dict[int, list[Training]] = {}
    for x in fresh:
        groups.setdefault(x.slot.study + 1 if by_study else x.job.seed, []).append(x)
    return {key: mean_of(own) for key, own in groups.items() if not any(x.lost for x in own)}


def mean_of(trainings: Sequence[Training]) -> float | None:
    known = [x.score for x in trainings if x.score is not None]
    return fmean(known) if len(known) == len(trainings) else None


def means(trainings: Sequence[Training]) -> dict[str, float]:
    done = [x.result.metrics for x in trainings if x.score is not None]
    return {name: fmean(metrics[name] for metrics in done) for name in done[0]} if done else {}


def chosen(plan: Comparison, made: Sequence[Training]) -> Iterable[dict[str, Any]]:
    """Of each method in each study: what was the best of its trials, and what came of that with fresh seeds."""
    for m, method in enumerate(plan.methods):
        for k in range(method.studies):
            own = [x for x in made if (x.slot.method, x.slot.study) == (m, k)]
            best = best_of([(x.job, x.result) for x in own if x.slot.trial is not None])
            trial = next((x for x in own if best and x.job == best), None)
            fresh = [x for x in own if x.slot.fresh is not None]
            known = [x.score for x in fresh if x.score is not None]
            yield {
                "method": method.name, "study": k + 1, "trial": best.trial if best else None,
                "what": f"trial {trial.slot.trial + 1}" if trial and trial.slot.trial else "the defaults" if method.trials else "as it is",
                "point": {name: x for name, x in best.point.items() if name != METHOD} if best else {},
                "score": trial.score if trial else None, "mean": fmean(known) if known else None,
                "fresh": [{"seed": x.job.seed, "trial": x.job.trial, "score": x.score, "status": x.result.status} for x in fresh],
            }  # fmt: skip


# --- time to target ---------------------------------------------------------------------------------


def read_courses(
    plan: Comparison, fresh: Mapping[str, Sequence[Training]], folder: Path
) -> tuple[dict[str, list[list[Mark] | None]], list[str]]:
    """Of each training with a fresh seed its course, None for a miss. What was lost is left out."""
    found: dict[str, list[list[Mark] | None]] = {name: [] for name in fresh}
    problems: list[str] = []
    for name, own in fresh.items():
        for x in own:
            try:
                if not x.lost:
                    marks = course(place_of(folder, x.job.trial), plan.objective)
                    found[name].append(marks if x.score is not None else None)
            except (RecordError, OSError) as wrong:
                problems.append(f"Left out of curves and times: {wrong}.")
    return found, problems


def target_of(plan: Comparison, conclusion: Conclusion) -> float | None:
    known = [x.mean for x in conclusion.standings if isfinite(x.mean)]
    return plan.target if plan.target is not None else median(known) if known else None


def target_words(plan: Comparison, target: float) -> str:
    if plan.target is not None:
        return f"{plan.objective} {target:.4g}, as was asked"
    return f"{plan.objective} {target:.4g}, the median of the methods' means: about half of them come there"


# --- in words ---------------------------------------------------------------------------------------


def headline(conclusion: Conclusion) -> str:
    best, *others = conclusion.ranking.order
    if not any(x.kind == "better" for x in conclusion.verdicts):
        return f"no method is told apart from another; {best} has the best mean"
    beaten = [x.second for x in conclusion.verdicts if x.kind == "better" and x.first == best]
    beaten = [name for name in others if name in beaten]
    rest = [name for name in others if name not in beaten]
    if not rest:
        return f"{best} beats {listed(others)}"
    if not beaten:
        return f"{best} has the best mean, and is not told apart from {listed(rest)}"
    return f"{best} has the best mean and beats {listed(beaten)}; it is not told apart from {listed(rest)}"


def listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def lost(made: Sequence[Training]) -> list[str]:
    """What must be known beside the verdicts."""
    said = []
    for status, meaning in (("failed", "counts as a miss"), ("lost", "counts as not made")):
        wrong = [x for x in made if x.result.status == status]
        if wrong:
            names = listed(list(dict.fromkeys(x.job.point[METHOD] for x in wrong)))
            said.append(f"of {len(made)} trainings {len(wrong)} {status} ({names}), which {meaning}; the first: {wrong[0].result.error}")
    return said


def coarse(plan: Comparison, made: Sequence[Training], folder: Path) -> Iterator[str]:
    """Where a share can only take few values, most methods will share one."""
    with suppress(RecordError, OSError, StopIteration):
        begin = next(Run(place_of(folder, made[-1].job.trial)).lines("begin"))
        count = int(begin.get("samples", {}).get("valid", FEW))
        if plan.points and count < FEW:
            yield (
                f"validation has {count} samples: one of them is {100 / count:.2g} points, so that small differences cannot be seen; "
                "--objective loss tells methods apart sooner"
            )
