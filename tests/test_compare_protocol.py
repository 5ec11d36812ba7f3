"""Comparisons as studies: what is laid down, what is decided, what is said at the end; killed, resumed, by one worker and by two."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from math import inf, isnan
from pathlib import Path
from statistics import fmean, median
from typing import Any

import pytest
import torch
from comparisons import begun, wanted, write_run
from hypothesis import given, settings
from hypothesis import strategies as st
from studies import TASK, lines
from torch import nn

import steepest as sp
from steepest import records
from steepest.compare.budget import expected_best
from steepest.compare.budgets import amounts, shared
from steepest.compare.compared import Compared
from steepest.compare.conclusion import conclude
from steepest.compare.ending import answer, headline
from steepest.compare.entry import METHOD, Entry, entry
from steepest.compare.laying import Laid, Layout, Slot, place
from steepest.compare.methods import methods
from steepest.compare.plan import Comparison
from steepest.compare.presets import PRESETS, Preset
from steepest.compare.protocol import Wanted, asked, resumed
from steepest.compare.several import begin_all, conclusion, searches
from steepest.core.errors import SettingError, SteepestError
from steepest.records import comparisons
from steepest.search.decisions import Decisions
from steepest.search.jobs import WAIT, Job, Result
from steepest.search.log import StudyError
from steepest.search.tune import Search
from steepest.search.tune import resumed as resumed_tune
from steepest.train.recipe import Recipe

LR = {"name": "lr", "path": "optimizer.lr", "low": 1e-4, "high": 1e-1, "log": True}
SIZE = {"name": "size", "path": "batch.size", "choices": [16, 32]}
MISS = Result("diverged", epochs=1, error="the loss is nan")
COMPARISONS = Path(__file__).parent / "comparisons.py"


def mlp(width: int = 8, dropout: float = 0.0) -> nn.Module:
    return nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, 2))


def linear(bias: int = 1) -> nn.Module:
    return nn.Linear(2, 2, bool(bias))


def points(**changes: Any) -> sp.Task:
    dice = torch.Generator().manual_seed(0)
    x = torch.randn(240, 2, generator=dice)
    y = (x.sum(1) > 0).long()
    return sp.Task(**{"model": mlp, "data": {"train": (x[:160], y[:160]), "valid": (x[160:], y[160:])}, "metrics": ["accuracy"]} | changes)


def method(name: str, **changes: Any) -> Entry:
    return Entry(**{"name": name, "recipe": "", "full": 2, "space": (LR, SIZE), "trials": 3} | changes)


def plan(*own: Entry, preset: Preset | None = None, **changes: Any) -> Comparison:
    own, preset = own or (method("a"), method("b"), method("c")), preset or Preset(1, 3, 8)
    own = tuple(Entry(**vars(one) | {"studies": preset.studies if one.space else one.studies}) for one in own)
    said = {"name": "points", "methods": own, "preset": preset, "full": 2, "budget": "1runs", "objective": "accuracy", "better": "higher"}
    return Comparison(**said | changes)


def done(score: float, loss: float = 1.0) -> Result:
    return Result("done", -score, {"accuracy": score, "loss": loss}, 2)


def carried_out(made: Comparison, result_of: Callable[[Job], Result], width: int = 4) -> list[tuple[Job, Result]]:
    """All decisions, without training anything."""
    decisions = Decisions(made.decider(), width)
    waiting: list[Job] = []
    while (job := decisions.next()) is not None or waiting:
        if isinstance(job, Job):
            waiting.append(job)
        if not isinstance(job, Job) or len(waiting) == width:
            first = waiting.pop(0)
            decisions.take(first.number, result_of(first))
    assert decisions.over == "finished"
    return decisions.seen


# --- what is laid down ------------------------------------------------------------------------------


@settings(max_examples=30)
@given(st.integers(2, 5), st.integers(1, 4), st.integers(1, 5), st.integers(1, 4), st.sampled_from(["seeds", "studies"]))
def test_every_method_has_the_same_chances(many: int, studies: int, trials: int, fresh: int, unit: str) -> None:
    made = plan(*(method(f"m{k}", trials=trials) for k in range(many)), preset=Preset(studies, trials, fresh, unit))
    slots, seed_of = made.layout.slots, made.layout.seed_of
    assert len(slots) == made.preset.cost(many) and len({*slots}) == len(slots)
    for m in range(many):
        own = [(slot.study, slot.trial, slot.fresh, seed_of(slot)) for slot in slots if slot.method == m]
        assert own == [(slot.study, slot.trial, slot.fresh, seed_of(slot)) for slot in slots if slot.method == 0]
    for n in range(1, len(slots)):  # whatever interrupts it, nobody is ahead by more than one training
        counts = [sum(slot.method == m for slot in slots[:n]) for m in range(many)]
        assert max(counts) - min(counts) <= 1
    searched = {seed_of(slot) for slot in slots if slot.trial is not None}
    judged = [seed_of(slot) for slot in slots if slot.fresh is not None and slot.method == 0]
    assert not searched & {*judged} and len(searched) == studies
    assert len({*judged}) == (studies * fresh if unit == "studies" else fresh)
    assert made.seeds["studies"] == sorted(searched) and {x for own in made.seeds["fresh"] for x in own} == {*judged}


def test_places_are_common_and_spread() -> None:
    """Each of five parts of a range once; the same for all methods where the dimension is the same, and others in another study."""
    own = [place("optimizer.lr", k, 5, 3) for k in range(5)]
    assert sorted(int(5 * u) for u in own) == [0, 1, 2, 3, 4]
    assert own == [place("optimizer.lr", k, 5, 3) for k in range(5)]
    assert own != [place("optimizer.lr", k, 5, 4) for k in range(5)] and own != [place("batch.size", k, 5, 3) for k in range(5)]
    other = {**LR, "name": "b.lr", "low": 1e-6, "high": 1e-3}
    layout = Layout((method("a", space=(LR, SIZE), trials=6), method("b", space=(SIZE, other), trials=6)), Preset(1, 6, 1))
    laid, seen = Laid(layout), []
    for i in range(12):
        job = laid.decide(i, seen)
        assert isinstance(job, Job)
        seen.append((job, done(0.5)))
    points_of = [job.point for job, _ in seen]
    assert points_of[:2] == [{METHOD: "a"}, {METHOD: "b"}]
    assert len({x["size"] for x in points_of[2:]}) == 2
    for a, b in zip(points_of[2::2], points_of[3::2], strict=True):
        assert a["size"] == b["size"] and b["b.lr"] == pytest.approx(1e-6 * (a["lr"] / 1e-4), rel=0.02)


def test_decisions_follow_from_the_trials_of_the_method_alone() -> None:
    made, dice = plan(), random.Random(0)
    scores = [dice.random() for _ in made.layout.slots]
    seen = carried_out(made, lambda job: done(scores[job.number]))
    for width in (1, 2, 9):
        assert [job for job, _ in carried_out(made, lambda job: done(scores[job.number]), width)] == [job for job, _ in seen]
    for i, (job, _) in enumerate(seen):
        assert made.decider().decide(i, seen) == job
    first = next(i for i, (job, _) in enumerate(seen) if job.kind == "repeat")
    assert made.decider().decide(first, seen[: first - 3]) is WAIT and made.decider().decide(first, seen[: first - 2]) == seen[first][0]
    assert made.decider().decide(len(seen), seen) is None
    for k, name in enumerate("abc"):
        own = [(scores[job.number], job.point) for job, _ in seen[:9] if job.point[METHOD] == name]
        best = max(own, key=lambda x: x[0])[1]
        assert all(job.point == best and job.seed == 1 + j for j, (job, _) in enumerate(seen[9 + k :: 3]))
    assert [job.origin for job, _ in seen[::9]] == [
        "a, study 1, trial 1",
        "a, study 1, fresh seed 1",
        "a, study 1, fresh seed 4",
        "a, study 1, fresh seed 7",
    ]


def test_the_best_trial_and_where_there_is_none() -> None:
    results = {
        0: done(0.9, 0.5),
        1: done(0.9),
        2: MISS,
        3: done(0.9, 0.4),
        4: done(0.9),
        5: Result("failed"),
        6: done(0.8, 0.1),
        7: MISS,
        8: MISS,
    }
    seen = carried_out(plan(), lambda job: results.get(job.number, done(0.5)))
    assert seen[9][0].point == seen[3][0].point  # as many right answers, and less loss
    assert seen[10][0].point == seen[1][0].point  # of the same the first
    assert seen[11][0].point == {METHOD: "c"}  # nothing came to its end: the defaults


# --- methods and their spaces -----------------------------------------------------------------------


def entries(task: sp.Task, base: Recipe | None = None, space: Path | None = None, **axes: Any) -> dict[str, Entry]:
    return {one.name: entry(one, {}, task, space) for one in methods(base or Recipe(), task.factories, **axes)}


AXES = {"inits": {"inits": ["he", "zeros"]}, "schedules": {"schedules": ["cosine", "linear"]}, "models": {"models": ["mlp", "linear"]}}


def test_each_method_has_its_own_space(tmp_path: Path) -> None:
    everything = tmp_path / "space.toml"
    found = entries(points(), rules=["lion", "sgd"])
    paths = {name: [d["path"] for d in one.space] for name, one in found.items()}
    assert "optimizer.rule" not in paths["lion"] and "optimizer.beta1" in paths["lion"] and "optimizer.momentum" not in paths["lion"]
    assert "optimizer.momentum" in paths["sgd"] and {path.split(".")[0] for path in paths["sgd"]} == {"optimizer"}
    assert not [d for one in found.values() for d in one.space if d.get("when")]
    assert found["lion"].full == Recipe().stop.epochs and found["lion"].decides == ("optimizer.rule",)
    base = Recipe({"model": {"name": "mlp"}})
    starts = entries(points(), inits=["he", "zeros"])
    assert starts["he"].space == starts["zeros"].space and len(starts["he"].space) > 3
    everything.write_text('[space]\n"init.plan" = ["auto", "torch_default"]\n"schedule.lr.warmup" = [0.0, 0.1]\n"mlp.width" = [4, 8]\n')
    said = {name: entries(points(model={"mlp": mlp, "linear": linear}), base, everything, **axes) for name, axes in AXES.items()}
    paths = {
        name: [[d["path"] for d in one.space if not d["path"].startswith("optimizer")] for one in own.values()]
        for name, own in said.items()
    }
    assert paths == {
        "inits": [["schedule.lr.warmup", "model.width"]] * 2, "schedules": [["init.plan", "model.width"]] * 2,
        "models": [["init.plan", "schedule.lr.warmup", "model.width"], ["init.plan", "schedule.lr.warmup"]],
    }  # fmt: skip
    point = found["lion"].point({d["name"]: 0.3 for d in found["lion"].space})
    assert found["lion"].at(point)["optimizer.rule"] == "lion" and found["lion"].at({METHOD: "lion"})["optimizer.lr"] == 1e-4


def test_files_are_compared_as_they_are(tmp_path: Path) -> None:
    for name, text in (("a", "[optimizer]\nlr = 0.01\n[stop]\nepochs = 3\n"), ("b", "[optimizer]\nlr = 0.02\n[stop]\nepochs = 4\n")):
        (tmp_path / f"{name}.toml").write_text(text)
    files = [str(tmp_path / "a.toml"), str(tmp_path / "b.toml")]
    made = asked(Wanted({"recipes": files}), points())[0]
    assert [(one.name, one.space, one.full, one.trials) for one in made.methods] == [("a", (), 3, 0), ("b", (), 4, 0)]
    assert made.words == "2 methods x 1 study x (0 trials + 10 fresh seeds) = 20 trainings" and made.axes == {"recipes": ["a", "b"]}
    assert "Trainings differ in length: a 3 epochs, b 4 epochs." in made.about and made.about[-1].endswith("nothing searched: a, b.")
    seen = carried_out(made, lambda job: done(0.5))
    assert [(job.stop, job.point, job.kind) for job, _ in seen[:2]] == [(3, {METHOD: "a"}, "repeat"), (4, {METHOD: "b"}, "repeat")]
    crossed = asked(Wanted({"rules": ["adamw", "lion"], "recipes": files}), points())[0]
    assert [dict(one.axes) for one in crossed.methods] == [{"recipes": f, "rules": r} for f in "ab" for r in ("adamw", "lion")]
    assert [one.name for one in crossed.methods] == ["a+adamw", "a+lion", "b+adamw", "b+lion"]
    assert {d["path"].split(".")[0] for d in crossed.methods[0].space} == {"optimizer"}


def test_a_space_may_be_said(tmp_path: Path) -> None:
    path = tmp_path / "space.toml"
    path.write_text(
        '[space]\nonly = true\n"lion.lr" = { low = 1e-6, high = 1.0, log = true }\n"model.width" = 12\n"batch.size" = [8, 16]\n'
    )
    found = entries(points(), space=path, rules=["lion", "adamw"])
    assert [[d["name"] for d in one.space] for one in found.values()] == [["lion.lr", "batch.size"], ["batch.size"]]
    assert all(one.at({METHOD: one.name})["model.width"] == 12 for one in found.values())
    path.write_text('[space]\n"optimizer.momentun" = [0.9]\n')
    with pytest.raises(SettingError, match="momentun"):
        entries(points(), space=path, rules=["lion", "adamw"])


# --- budgets ----------------------------------------------------------------------------------------


def test_budgets() -> None:
    own = [method("a"), method("b"), method("c")]
    found, preset, said, unequal = shared(own, "quick")
    assert (preset, said, unequal) == (PRESETS["quick"], "quick", None) and {one.trials for one in found} == {6}
    _, preset, *_ = shared([method(f"m{k}") for k in range(40)], "quick")
    assert preset.fresh == 15  # with fewer no verdict on so many would be possible
    found, preset, said, _ = shared(own, "quick", "20runs")
    assert (preset.trials, preset.fresh, said) == (10, 10, "own") and {one.trials for one in found} == {10}
    found, preset, _, unequal = shared(own, "quick", "a=20runs, b=15runs,c=15runs", unequal=True)
    assert [one.trials for one in found] == [10, 5, 5] and unequal and unequal.endswith("in each study, a 10, b 5, c 5.")
    assert len(Layout(tuple(found), preset).slots) == 50
    assert shared(own, "quick", "a=15runs,b=15runs,c=15runs")[3] is None
    mixed, preset, *_ = shared([method("a"), method("b", space=())], "usual")
    assert [(one.trials, one.studies) for one in mixed] == [(12, 3), (0, 1)]
    mixed, *_ = shared([method("a"), method("b", space=())], "thorough")
    assert [(one.trials, one.studies) for one in mixed] == [(20, 12), (0, 12)]
    assert shared([method("a", space=()), method("b", space=())], "thorough")[1] == Preset(1, 0, 12)
    assert shared([method("a", space=()), method("b", space=())], "quick", "25runs")[1] == Preset(1, 0, 25)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"budget": "a=20runs,b=15runs"}, r"budgets differ, in trials a 10, b 5: who may search more is found better; .* --unequal"),
        ({"budget": "10m"}, "--budget 10m: a comparison gives each method equally many trainings; say .* such as 20runs"),
        ({"budget": "12.5runs"}, "--budget 12.5runs: a comparison gives"), ({"budget": "200epochs"}, "--budget 200epochs: a comparison"),
        ({"budget": "a=20runs"}, "--budget a=20runs: it leaves out b; say what each method may cost, or one budget for all"),
        ({"budget": "a=20runs,bb=20runs"}, "'bb' is none of the methods; did you mean b?"),
        ({"budget": "a=20runs,a=20runs"}, "a is there twice"), ({"budget": "a=x"}, "budget = 'x' is not"),
        ({"budget": "10runs"}, "a budget of 10 trainings for each method is too small: the fresh seeds alone take 10; give 11 or more"),
        ({"fresh": 0}, "Preset.fresh = 0 must be a whole number from 1 on"),
        ({"name": "quik"}, "unknown preset 'quik'; did you mean quick?"),
    ],
)  # fmt: skip
def test_budgets_that_cannot_be(said: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        shared([method("a"), method("b")], **{"name": "quick"} | said)


def test_budgets_where_nothing_is_searched() -> None:
    own = [method("a", space=()), method("b", space=())]
    with pytest.raises(SettingError, match="nothing is searched here: methods have the same fresh seeds"):
        shared(own, "quick", "a=20runs,b=10runs", unequal=True)
    with pytest.raises(SettingError, match="--budget and --fresh say the same"):
        shared(own, "quick", "20runs", 10)
    assert amounts("7runs", ["a=b", "c"]) == {"a=b": 7, "c": 7}


# --- the end ----------------------------------------------------------------------------------------


def test_what_is_said_rests_on_fresh_seeds_alone(tmp_path: Path) -> None:
    made, dice = plan(preset=Preset(1, 3, 10), points=True), random.Random(1)
    level = {"a": 0.90, "b": 0.93, "c": 0.70}

    def result_of(job: Job) -> Result:
        trial = 0.99 if job.kind == "explore" else 0.0
        return done(trial or level[job.point[METHOD]] + 0.01 * dice.random())

    seen = carried_out(made, result_of)
    found = answer(made, seen, tmp_path, dict.fromkeys(range(len(seen)), 2.0))
    own = found["comparison"]
    literal = {
        name: {job.seed: float(f"{-r.score:.7g}") for job, r in seen if job.kind == "repeat" and job.point[METHOD] == name}
        for name in "abc"
    }
    assert own["scores"] == {name: {str(k): x for k, x in row.items()} for name, row in literal.items()}
    assert json.loads(json.dumps(own["verdicts"])) == json.loads(json.dumps(conclude(literal, "max", points=True).facts()["verdicts"]))
    assert found["message"] == "b beats a and c" and found["metrics"]["accuracy"] == pytest.approx(fmean(literal["b"].values()))
    assert seen[found["trial"]][0].point[METHOD] == "b"
    assert own["target"]["value"] == pytest.approx(fmean(literal["a"].values())) and found["time"]["spent"] == {
        "a": 26.0,
        "b": 26.0,
        "c": 26.0,
    }
    assert (
        own["spent"]["a"] == {"trainings": 13, "epochs": 26}
        and own["notes"] == []
        and own["expected_best"]["a"] == pytest.approx([0.99] * 3)
    )
    assert [(x["method"], x["study"], x["what"], x["score"], len(x["fresh"])) for x in own["chosen"]] == [
        (name, 1, "the defaults", 0.99, 10) for name in "abc"
    ]


def test_float32_makes_no_difference(tmp_path: Path) -> None:
    """0.9 and 0.9 rounded to float32 are as many right answers."""
    near = {"a": 0.9, "b": float(torch.tensor(0.9)), "c": 0.8}
    seen = carried_out(plan(), lambda job: done(near[job.point[METHOD]]))
    first = answer(plan(), seen, tmp_path, {})["comparison"]["verdicts"][0]
    assert (first["first"], first["second"], first["kind"]) == ("a", "b", "same")


def test_a_miss_is_a_miss_and_what_is_lost_is_not_there(tmp_path: Path) -> None:
    def result_of(job: Job) -> Result:
        if job.kind == "repeat" and job.point[METHOD] == "a" and job.seed in (2, 5):
            return MISS
        if job.kind == "repeat" and job.point[METHOD] == "b" and job.seed == 3:
            return Result("lost", epochs=2, error="worker 1 was killed")
        if job.kind == "repeat" and job.point[METHOD] == "c":
            return Result("failed", epochs=1, error="ValueError: no")
        return done(0.9 + 0.001 * job.seed)

    seen = carried_out(plan(), result_of)
    for job, _ in seen:  # what a run had reached before it diverged is not reached
        if job.kind == "repeat" and job.point[METHOD] == "a":
            write_run(tmp_path / "trials" / f"{job.number:04d}", "a", "points", job.seed, [0.5, 0.99], False)
    found = answer(plan(), seen, tmp_path, {})
    own = found["comparison"]
    assert own["target"]["methods"]["a"] == {"n": 8, "reached": 6, "epochs": 2.0, "steps": 40.0}
    assert found["time"]["target"] == {"a": 0.2, "b": None, "c": None}
    assert own["scores"]["a"]["2"] is None and "3" not in own["scores"]["b"] and [*own["scores"]["c"].values()] == [None] * 8
    rows = {row["method"]: (row["n"], row["missed"]) for row in own["standings"]}
    assert rows == {"a": (8, 2), "b": (7, 0), "c": (8, 8)} and own["target"]["methods"]["b"]["n"] == 7
    assert any("c diverged in 7" in verdict["words"] for verdict in own["verdicts"])
    assert own["notes"] == [
        "of 33 trainings 8 failed (c), which counts as a miss; the first: ValueError: no",
        "of 33 trainings 1 lost (b), which counts as not made; the first: worker 1 was killed",
    ]
    nothing = answer(plan(), carried_out(plan(), lambda job: MISS), tmp_path, {})
    assert nothing["metrics"] == {} and nothing["comparison"]["target"] is None and "both diverged in all 8" in str(nothing)
    assert nothing["comparison"]["expected_best"]["a"] == [None] * 3


def test_studies_as_what_is_repeated(tmp_path: Path) -> None:
    by_study = plan(preset=Preset(7, 2, 2, "studies"), methods=(method("a", trials=2, studies=7), method("b", trials=2, studies=7)))
    seen = carried_out(by_study, lambda job: done(0.5 + (0.1 if job.point[METHOD] == "a" else 0) + 0.001 * job.seed))
    own = answer(by_study, seen, tmp_path, {})["comparison"]
    assert [*own["scores"]["a"]] == [str(k) for k in range(1, 8)] and "7 studies" in own["verdicts"][0]["words"]
    assert own["scores"]["a"]["1"] == pytest.approx(0.6 + 0.001 * 7.5) and len(own["chosen"]) == 14
    by_seed = plan(method("a", trials=2), method("b", space=(), trials=0), preset=Preset(3, 2, 6))
    assert len(by_seed.layout.slots) == 3 * (2 + 6) + 6 and by_seed.words == "a 24, b 6 = 30 trainings"
    seen = carried_out(by_seed, lambda job: done(0.5 + 0.01 * len(job.origin)))
    own = answer(by_seed, seen, tmp_path, {})["comparison"]
    assert [*own["scores"]["a"]] == [*own["scores"]["b"]] == [str(k) for k in range(3, 9)] and "b" not in own["expected_best"]
    assert [len(own["expected_best"]["a"]), len(own["chosen"])] == [2, 4] and own["chosen"][3]["trial"] is None
    assert own["chosen"][3]["what"] == "as it is" and {x["what"] for x in own["chosen"][:3]} <= {"the defaults", "trial 2"}


def test_expected_best_holds_the_defaults(tmp_path: Path) -> None:
    scores = [0.5, 0.9, 0.3, 0.7, 0.6, 0.8]
    made = plan(method("a", trials=6), method("b", trials=6), preset=Preset(1, 6, 6))
    number = {"a": iter(scores), "b": iter(scores)}
    seen = carried_out(made, lambda job: done(next(number[job.point[METHOD]], 0.5)), width=1)
    found = answer(made, seen, tmp_path, {})["comparison"]["expected_best"]["a"]
    dice = random.Random(0)
    for k in range(6):
        draws = [max([0.5, *dice.sample(scores[1:], k)]) for _ in range(4000)]
        assert found[k] == pytest.approx(fmean(draws), abs=0.01)
    assert found[5] == 0.9 and found[1] == pytest.approx(expected_best([0.9, 0.5, 0.7, 0.6, 0.8], "max")[0])


def test_a_method_at_the_end_of_its_range_is_flagged(tmp_path: Path) -> None:
    made = plan(*(method(name, trials=12) for name in "ab"), preset=Preset(1, 12, 8))
    seen = carried_out(
        made, lambda job: done(0.5 + (job.point.get("lr", 1e-3) ** 0.25 if job.point[METHOD] == "a" else 0) + 1e-4 * job.seed)
    )
    found = answer(made, seen, tmp_path, {})["comparison"]["flags"]
    assert {(flag["method"], flag["kind"]) for flag in found} == {("a", "edge"), ("a", "climbing")}
    assert found[0]["knob"] == "lr" and "upper end of its range" in found[0]["words"]


def test_headlines() -> None:
    def of(**level: float) -> str:
        return headline(conclude({name: {k: x + 0.01 * ((7 * k + len(name)) % 5) for k in range(10)} for name, x in level.items()}, "max"))

    assert of(a=0.9, b=0.5) == "a beats b" and of(a=0.9, bb=0.5, ccc=0.1) == "a beats bb and ccc"
    dice = random.Random(0)
    alike = conclude({name: {k: dice.random() for k in range(10)} for name in "abc"}, "max")
    assert headline(alike) == f"no method is told apart from another; {alike.ranking.order[0]} has the best mean"
    near = {"a": 0.900, "b": 0.899, "c": 0.5}
    close = conclude({name: {k: x + 0.01 * dice.random() for k in range(10)} for name, x in near.items()}, "max")
    first, second = close.ranking.order[:2]
    assert headline(close) == f"{first} has the best mean and beats c; it is not told apart from {second}"
    below = conclude(
        {
            "a": dict.fromkeys(range(10), 0.9) | {0: 0.0},
            "b": {k: 0.805 + 0.001 * k for k in range(10)},
            "c": {k: 0.7 + 0.001 * k for k in range(10)},
        },
        "max",
    )
    assert headline(below) == "a has the best mean, and is not told apart from b and c" or below.ranking.order[0] == "b"


# --- carried out ------------------------------------------------------------------------------------


def told(folder: Path) -> list[str]:
    """All but time, and where the task's file lies."""
    return [line for line in lines(folder / "study") if '"kind": "study"' not in line]


def run_(search: Search) -> None:
    for _ in search.run():
        pass


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    run_(begun(folder))
    return folder


def test_the_record_holds_all_that_it_says(unbroken: Path) -> None:
    found = records.study(unbroken / "study")
    assert found.is_comparison and found.state == "finished" and len(found.trials) == 16 and found.answer
    own = found.answer["comparison"]
    fresh = {n: job for n, job in found.jobs.items() if job["why"] == "repeat"}
    for name in ("sgd", "adamw"):
        mine = [n for n, job in fresh.items() if job["point"]["method"] == name]
        assert own["scores"][name] == {str(fresh[n]["seed"]): float(f"{found.results[n]['metrics']['accuracy']:.7g}") for n in mine}
        curves = []
        for n in mine:
            lines_ = list(records.run(unbroken / "study" / "trials" / f"{n:04d}").evaluations())
            curves.append([x["metrics"]["accuracy"] for x in lines_])
            recipe = Recipe.load(unbroken / "study" / "trials" / f"{n:04d}" / "recipe.toml")
            assert recipe.run.seed == fresh[n]["seed"] and recipe["optimizer.rule"] == {"sgd": "momentum"}.get(name, name)
        assert own["curves"][name]["mean"] == pytest.approx([fmean(column) for column in zip(*curves, strict=True)])
        assert own["curves"][name]["epochs"] == [1, 2] and own["curves"][name]["n"] == [6, 6]
        value, times = own["target"]["value"], own["target"]["methods"][name]
        first = [next((e for e, x in enumerate(curve, 1) if x >= value), inf) for curve in curves]
        assert times["reached"] == sum(x < inf for x in first) and times["n"] == 6
        middle = median(first)
        assert times["epochs"] == (middle if 2 * times["reached"] > 6 and middle < inf else None)
        assert times["steps"] == (None if times["epochs"] is None else 10 * times["epochs"])
    value = Compared(unbroken / "study")
    assert json.loads(json.dumps(value.conclusion.facts()["verdicts"])) == own["verdicts"] and "6 seeds" in str(value)
    assert [row["place"] for row in value.table()] == [1, 2] and "<table>" in value._repr_html_()
    assert found.begin["comparison"]["seeds"] == {"studies": [0], "fresh": [[1, 2, 3, 4, 5, 6]]} and not isnan(value.table()[0]["mean"])


def test_the_same_answer_by_two_workers(tmp_path: Path, unbroken: Path) -> None:
    run_(begun(tmp_path, 2))
    assert told(tmp_path) == told(unbroken)


def test_gone_on_with_at_its_end_nothing_changes(unbroken: Path) -> None:
    path = unbroken / "study" / "study.jsonl"
    before = path.read_bytes()
    *_, found = resumed(unbroken / "study").run()
    answer = records.study(unbroken / "study").answer
    assert path.read_bytes() == before and answer and found["message"] == answer["message"]


@pytest.mark.parametrize("kills", [3, pytest.param(10, marks=pytest.mark.full)])
def test_killed_at_random_moments(tmp_path: Path, unbroken: Path, kills: int) -> None:
    """SIGKILL of the main process: the answer is that of an unbroken comparison."""
    dice, path = random.Random(kills), tmp_path / "study" / "study.jsonl"
    wanted(tmp_path)
    argv = [sys.executable, str(COMPARISONS), str(tmp_path)]

    def written() -> int:
        return path.read_bytes().count(b"\n") if path.exists() else 0

    for _ in range(kills):
        enough = written() + dice.randint(1, max(2, 30 // kills))
        process = subprocess.Popen([*argv, str(dice.choice([0, 0, 2]))], stderr=subprocess.PIPE)
        until = time.monotonic() + 60
        while written() < enough and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(dice.uniform(0, 0.1))
        process.kill()
        process.communicate()
    process = subprocess.run([*argv, "0"], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert told(tmp_path) == told(unbroken)


def test_from_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.toml").write_text('[space]\nonly = true\n"optimizer.lr" = { low = 1e-3, high = 0.1, log = true }\n')
    said: dict[str, Any] = {"recipe": Recipe({"stop": {"epochs": 1}}), "budget": "8runs", "fresh": 6, "space": Path("space.toml")}
    found = sp.compare(points(), rules=["sgd", "adamw"], **said)
    assert found.folder == Path("studies/task-1") and len(found.table()) == 2
    assert "validation has 80 samples: one of them is 1.2 points" in str(found)
    again = sp.compare(points(), rules=["sgd", "adamw"], folder=found.folder, **said)
    assert str(again) == str(found) and repr(again) == "Compared('studies/task-1')"
    with pytest.raises(StudyError, match="studies/task-1 holds another comparison; choose another folder"):
        sp.compare(points(), rules=["sgd", "lion"], folder=found.folder, **said)
    with pytest.raises(SettingError, match="--rules sgd is one method only; name another to compare it with"):
        sp.compare(points(), rules=["sgd"], **said)
    with pytest.raises(SettingError, match="methods are compared by one metric; name one"):
        sp.compare(points(), rules=["sgd", "adamw"], objective="accuracy,loss", **said)
    assert [x.name for x in Path("studies").iterdir()] == ["task-1"]


# --- records of other versions, and several tasks ---------------------------------------------------


def test_records_that_are_none_of_ours(tmp_path: Path, unbroken: Path) -> None:
    text = (unbroken / "study" / "study.jsonl").read_text().splitlines()
    first = json.loads(text[0])

    def written(name: str, line: dict[str, Any]) -> Path:
        (tmp_path / name).mkdir()
        (tmp_path / name / "study.jsonl").write_text("\n".join([json.dumps(line), *text[1:-2]]) + "\n")
        return tmp_path / name

    with pytest.raises(records.RecordError, match="version 2 of the record is newer than 1, which this steepest reads: upgrade steepest"):
        resumed(written("newer", first | {"version": 2}))
    lacking = first["comparison"] | {"preset": {"name": "quick"}}
    with pytest.raises(StudyError, match="the comparison is of another version: its first line lacks, or has besides, 'studies'"):
        resumed(written("other", first | {"comparison": lacking}))
    methods_ = [first["comparison"]["methods"][0] | {"warp": 9}, first["comparison"]["methods"][1]]
    with pytest.raises(StudyError, match=r"of another version: .* has besides, .*'warp'"):
        resumed(written("besides", first | {"comparison": first["comparison"] | {"methods": methods_}}))
    changed = written("changed", first | {"settings": first["settings"] | {"seed": 5}})
    with pytest.raises(StudyError, match=r"decision 0 was to train .* the study is of another version or other settings"):
        run_(resumed(changed))
    with pytest.raises(StudyError, match=r"is a comparison; steepest compare --resume .* goes on with it"):
        resumed_tune(unbroken / "study")
    plain = written("plain", {name: x for name, x in first.items() if name != "comparison"})
    with pytest.raises(StudyError, match=r"is no comparison; steepest tune --resume .* goes on with it"):
        resumed(plain)
    with pytest.raises(StudyError, match="plain is no comparison"):
        Compared(plain)
    with pytest.raises(StudyError, match="other has no answer yet; steepest compare --resume goes on with it"):
        Compared(tmp_path / "other")


def test_several_tasks_together(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text(TASK)
    files, folder = [str(tmp_path / "one.py"), str(tmp_path / "two.py")], tmp_path / "both"
    begin_all(wanted(tmp_path), files, folder)
    assert comparisons.several(folder)["conclusion"] is None and [x["name"] for x in comparisons.several(folder)["tasks"]] == ["one", "two"]
    for name in ("one", "two"):  # decided and answered, but not trained
        search = resumed(folder / name)
        search.log.write("answer", 0, **made_up(name))
        search.log.end("finished")
        search.log.close()
    assert [*searches(folder)] == []
    found = comparisons.several(folder)["conclusion"]
    assert found["tasks"] == ["one", "two"] and found["costs"]["steps"] == {
        "sgd": {"one": 40, "two": None},
        "adamw": {"one": 20, "two": 30},
    }
    assert (
        found["scores"]["steps"] == {"sgd": pytest.approx(1 / 3), "adamw": 1.0} and found["profiles"]["steps"]["shares"]["adamw"][0] == 1.0
    )
    assert found["words"][0] == "adamw beats sgd on 1 of 2 tasks" and found["words"][1].endswith(": adamw 1.00, sgd 0.33")
    with pytest.raises(StudyError, match="both exists already"):
        begin_all(wanted(tmp_path), files, folder)
    with pytest.raises(StudyError, match="two of the tasks are called one; give each task once"):
        begin_all(wanted(tmp_path), [files[0], files[0]], tmp_path / "twice")
    with pytest.raises(SteepestError, match="does not exist"):
        begin_all(wanted(tmp_path), [files[0], "nowhere.py"], tmp_path / "none")
    assert not (tmp_path / "twice").exists() and not (tmp_path / "none").exists()


def made_up(task: str) -> dict[str, Any]:
    steps = {"one": {"sgd": 40, "adamw": 20}, "two": {"sgd": None, "adamw": 30}}[task]
    times = {name: {"n": 6, "reached": 6, "epochs": x and x / 10, "steps": x} for name, x in steps.items()}
    verdict = {"first": "adamw", "second": "sgd", "kind": "better" if task == "one" else "open", "words": ""}
    own = {"target": {"value": 0.9, "words": "", "methods": times}, "verdicts": [verdict]}
    return {"trial": 0, "metrics": {}, "message": "adamw", "decisions": 0, "comparison": own, "time": {"target": steps}}


def test_conclusions_without_a_target() -> None:
    """A task on which everything diverged has no target: nobody came there."""
    line = made_up("one") | {"comparison": {"target": None, "verdicts": []}, "time": {"target": {"sgd": None, "adamw": None}}}
    study = records.Study(Path(), answer=line)
    assert conclusion(["sgd", "adamw"], {"one": study})["scores"] == {unit: {"sgd": 0.0, "adamw": 0.0} for unit in ("steps", "seconds")}


def test_slots_are_told_apart() -> None:
    assert Slot(0, 0, trial=0) != Slot(0, 0, fresh=0)
