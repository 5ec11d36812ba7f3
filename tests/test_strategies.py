"""Strategies: pure decisions whoever carries them out, promotions that go on, exact accounts, and that searching helps."""

import heapq
import json
import random
from collections.abc import Callable
from math import exp, inf, log10
from statistics import mean
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training import task

from steepest.core.errors import SettingError
from steepest.core.rng import seed_of
from steepest.search.advice import advice, fitted, importance
from steepest.search.defaults import space_of
from steepest.search.dimension import Dimension
from steepest.search.gain import exhausted, likely_gain
from steepest.search.halving import Halving, promotion, rungs
from steepest.search.history import Trial, history_of
from steepest.search.jobs import WAIT, Answer, Job, Result, Seen, Wait
from steepest.search.making import STOPPERS, strategy
from steepest.search.naming import candidates, named, noise, ranked
from steepest.search.pareto import front
from steepest.search.refining import RATES, paced
from steepest.search.samplers import SAMPLERS, Random
from steepest.search.space import Space
from steepest.search.steepest import Steepest
from steepest.search.strategies import Setup, quarters
from steepest.train.recipe import Recipe

BASE = Recipe()
SPACE = space_of(task(), BASE, ("adamw", "momentum"))
FULL = 9
ALL = [("steepest", ""), *((name, "none") for name in SAMPLERS if name != "grid"), *(("random", x) for x in STOPPERS if x != "none")]
QUICK = [("steepest", ""), ("cmaes", "none"), ("random", "halving"), ("sobol", "hyperband"), ("random", "median")]
Objective = Callable[[Job], Result]


def trained(job: Job, noise: float = 0.02, breaks: bool = True, rate: float = 3e-4, smoothing: float = 0.15) -> Result:
    """A training as it might be: a bowl around a rate, a curve over epochs, noise of the seed; too high a rate diverges.

    The best is far from any recipe of the portfolio.
    """
    p = job.point
    adam = p["optimizer.rule"] == "adamw"
    off = log10(p["adamw.lr"] / rate) if adam else log10(p["momentum.lr"] / 0.05)
    if off > 1.5 and breaks:
        return Result("diverged", epochs=1, error="nan")
    far = 0.3 * off**2 + (0.0 if adam else 0.1) + 3 * abs(p["regularize.label_smoothing"] - smoothing) + 2 * p["schedule.lr.warmup"]
    dice = random.Random(seed_of(job.seed, json.dumps(p), job.stop))
    score = 0.1 + far + 0.4 * exp(-job.stop / 3) + dice.gauss(0, noise)
    return Result("done", score, {"loss": score}, job.epochs)


def made(name: str = "steepest", stopper: str = "", space: Space = SPACE, **more: Any) -> Any:
    return strategy(Setup(space, **({"full": FULL} | more)), BASE, name, stopper)


def simulate(strategy: Any, workers: int = 1, width: int = 4, epochs: float = 60, luck: int = 0, do: Objective = trained) -> list:
    """A study: some workers, jobs of any length, results shown as the contract has it. Jobs and results, by decision."""
    dice, jobs, results = random.Random(luck), [], {}
    busy: list[tuple[float, int]] = []
    now, shown, over = 0.0, 0, False
    while True:
        seen = [(jobs[k], results[k]) for k in range(next((k for k in range(len(jobs)) if k not in results), len(jobs)))]
        shown = max(shown, len(jobs) - width + 1)
        spent = sum(result.epochs for _, result in seen) + sum(job.epochs for job in jobs[len(seen) :])
        if len(busy) < workers and not over and shown <= len(seen):
            decision = strategy.decide(len(jobs), seen[:shown])
            if isinstance(decision, Wait):
                shown += 1
                assert shown <= len(jobs), "waits for a result that nobody is working on"
                continue
            known = sum(r.epochs for _, r in seen[:shown]) + sum(job.epochs for job in jobs[shown:])
            if decision is None or known + decision.epochs > epochs:
                over = True
            else:
                assert decision.number == len(jobs)
                jobs.append(decision)
                heapq.heappush(busy, (now + decision.epochs * dice.expovariate(1), decision.number))
        elif busy:
            now, number = heapq.heappop(busy)
            results[number] = do(jobs[number])
        else:
            assert over, "nobody works, and nothing is decided"
            assert spent <= epochs
            return seen


# --- purity and determinism -----------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "stopper"), ALL)
def test_decisions_do_not_depend_on_workers_nor_on_luck(name, stopper):
    studies = [simulate(made(name, stopper), workers, luck=workers) for workers in (1, 2, 4)]
    assert studies[0] == studies[1] == studies[2]
    assert len(studies[0]) >= 6 and simulate(made(name, stopper, seed=1)) != studies[0]


@pytest.mark.parametrize(("name", "stopper"), ALL)
def test_decide_is_a_function(name, stopper):
    """Asked twice, in another order, with more shown than is needed, or by a process that saw nothing: always the same."""
    seen = simulate(made(name, stopper))
    used, dice = made(name, stopper), random.Random(0)
    for i in [*range(len(seen)), *dice.choices(range(len(seen)), k=8)]:
        assert used.decide(i, seen[:i]) == used.decide(i, list(seen)) == seen[i][0]
    assert made(name, stopper).decide(len(seen) - 1, seen) == seen[-1][0]
    for i in dice.choices(range(len(seen)), k=4):
        assert made(name, stopper).decide(i, seen[:i]) == seen[i][0]
        early = made(name, stopper).decide(i, seen[: max(0, i - 3)])
        assert early == used.decide(i, seen[: max(0, i - 3)]) and early in (seen[i][0], WAIT)


@pytest.mark.parametrize(("name", "stopper"), QUICK)
def test_another_past_is_another_study(name, stopper):
    used = made(name, stopper)
    one, other = simulate(used), simulate(used, do=lambda job: Result("done", job.number / 7, {}, job.epochs))
    assert other == simulate(made(name, stopper), do=lambda job: Result("done", job.number / 7, {}, job.epochs)) != one
    assert simulate(used) == one


@pytest.mark.parametrize(("name", "stopper"), QUICK)
def test_any_prefix_has_an_answer_once_something_is_done(name, stopper):
    used = made(name, stopper)
    seen = simulate(used)
    for k in range(len(seen) + 1):
        answer = used.best(seen[:k])
        done = [(job, result) for job, result in seen[:k] if result.done]
        assert (answer is not None) == bool(done)
        if isinstance(answer, Answer):
            assert answer.point in [job.point for job, _ in done] and answer.trial in [job.trial for job, _ in done]
            assert answer.why and answer.score < inf


# --- trials ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "stopper"), QUICK)
@pytest.mark.parametrize("full", [1, 2, 5, 20])
def test_a_promoted_trial_goes_on_where_it_stands(name, stopper, full):
    seen = simulate(made(name, stopper, full=full), epochs=12 * full, workers=2)
    trials: dict[int, Job] = {}
    for job, result in seen:
        assert 0 <= job.start < job.stop <= full
        before = trials.get(job.trial)
        assert (job.kind == "promote") == (before is not None)
        if before:
            assert (job.point, job.seed, job.start, job.origin) == (before.point, before.seed, before.stop, before.origin)
        else:
            assert job.start == 0 and job.trial == len(trials)
            assert (job.seed != 0) == (job.kind == "repeat")
        trials[job.trial] = job
        if not result.done:
            assert not [later for later, _ in seen[job.number + 1 :] if later.trial == job.trial]
    assert any(job.stop == full for job, _ in seen)


@pytest.mark.parametrize(("name", "stopper"), QUICK)
def test_epochs_are_accounted_exactly(name, stopper):
    seen = simulate(made(name, stopper))
    for k in range(len(seen)):
        history = history_of(seen[:k])
        history.decided(seen[k][0])
        assert history.spent == sum(result.epochs for _, result in seen[:k]) + seen[k][0].stop - seen[k][0].start
    assert history_of(seen).spent == sum(result.epochs for _, result in seen)


def test_results_and_jobs_are_their_facts():
    job = Job(3, 2, {"a": None, "b": [1, {"c": 0.5}]}, 7, 1, 4, "promote", "portfolio: x")
    assert Job.of_facts(json.loads(json.dumps(job.facts()))) == job and job.epochs == 3
    for result in (Result("done", 0.5, {"loss": 0.5}, 3), Result("diverged", epochs=1, error="nan"), Result("lost")):
        assert Result.of_facts(json.loads(json.dumps(result.facts()))) == result
    assert not Result("done").done and repr(WAIT) == "WAIT"


# --- halving --------------------------------------------------------------------------------------------


def cohort(*rows: tuple[int, int, dict[int, float]]) -> list[Trial]:
    return [Trial(k, {}, 0, "", "explore", stop, epochs, scores) for k, (stop, epochs, scores) in enumerate(rows)]


def test_rungs():
    assert [rungs(n) for n in (1, 2, 5, 9, 20)] == [(1,), (1, 2), (1, 2, 5), (1, 3, 9), (2, 7, 20)]
    assert [quarters(n) for n in (1, 3, 8, 10)] == [[1], [1, 2, 3], [2, 4, 6, 8], [3, 5, 8, 10]]


def test_the_best_third_is_promoted_when_all_have_come():
    scores = (0.3, 0.1, 0.5, 0.2, 0.6, 0.7)
    rows = [(1, 1, {1: score}) for score in scores]
    assert promotion(cohort(*rows[:5], (1, 0, {})), (1, 3, 9)) is None  # one is missing
    trials = cohort(*rows)
    assert promotion(trials, (1, 3, 9)) == (trials[1], 3)
    trials[1].stop = 3
    assert promotion(trials, (1, 3, 9)) == (trials[3], 3)
    trials[3].stop = 3
    assert promotion(trials, (1, 3, 9)) is None
    for k, score in ((1, 0.08), (3, 0.05)):
        trials[k].epochs, trials[k].scores[3] = 3, score
    assert promotion(trials, (1, 3, 9)) == (trials[3], 9)
    trials[3].over = True  # it broke on the way: the next best is not asked for a place that was given
    trials[3].stop = 9
    assert promotion(trials, (1, 3, 9)) is None


def test_whoever_broke_is_passed_over():
    trials = cohort((1, 1, {1: 0.3}), (1, 0, {}), (1, 1, {1: 0.2}))
    trials[1].over = True
    assert promotion(trials, (1, 3)) == (trials[2], 3)
    for t in trials:
        t.over = True
    assert promotion(trials, (1, 3)) is None


def test_hyperband_begins_at_each_rung_in_turn():
    seen = simulate(made("random", "hyperband"), epochs=200)
    first = {}
    for job, _ in seen:
        first.setdefault(job.trial, job.stop)
    assert list(first.values())[:20] == [1] * 9 + [3] * 5 + [9] * 3 + [1] * 3


def test_a_third_of_a_cohort_costs_what_it_should():
    seen = simulate(made("random", "halving"), epochs=27, do=lambda job: Result("done", job.trial, {}, job.epochs))
    assert [(job.trial, job.start, job.stop) for job, _ in seen if job.trial < 9 and job.kind == "promote"] == [
        (0, 1, 3), (1, 1, 3), (2, 1, 3), (0, 3, 9),
    ]  # fmt: skip


@pytest.mark.parametrize("stopper", STOPPERS)
def test_a_grid_comes_to_its_end(stopper):
    lr = {"low": 1e-3, "high": 1e-1, "log": True}
    space = Space([Dimension("optimizer.lr", "optimizer.lr", **lr, points=7), Dimension("batch.size", "batch.size", choices=(16, 32))])

    def done(job: Job) -> Result:
        return Result("done", job.point["optimizer.lr"], {}, job.epochs)

    seen = simulate(made("grid", stopper, space), epochs=1000, do=done)
    assert len({json.dumps(job.point) for job, _ in seen}) == 14 and max(job.stop for job, _ in seen) == FULL
    best = made("grid", stopper, space).best(seen)
    assert best and best.point["optimizer.lr"] == 1e-3


def test_the_worse_half_is_stopped_by_the_median():
    seen = simulate(made("random", "median"), epochs=300)
    ended = {job.trial: job.stop for job, _ in seen}
    finals = {job.trial: result.score for job, result in seen if job.stop == FULL}
    assert 0.2 < len(finals) / len(ended) < 0.6
    stopped = [next(r.score for j, r in seen if j.trial == t and j.stop == quarters(FULL)[0]) for t in ended if t not in finals]
    begun = [next(r.score for j, r in seen if j.trial == t and j.stop == quarters(FULL)[0]) for t in finals]
    assert mean(begun) < mean(x for x in stopped if x < inf)


# --- the default ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [1, 2, 3, 5, 8, 16])
def test_a_small_budget_trains_the_portfolio_in_full_and_is_spent_well(budget):
    one = made(budget=budget * FULL)
    seen = simulate(one, epochs=budget * FULL, do=lambda job: trained(job, breaks=False))
    assert isinstance(one, Steepest)
    whole = 1 if budget >= 5 else budget
    assert [(job.point, job.stop) for job, _ in seen[:whole]] == [(point, FULL) for _, point in one.known[:whole]]
    spent = sum(result.epochs for _, result in seen)
    assert spent <= budget * FULL and spent > (budget - 1) * FULL
    best = {job.trial: job.stop for job, _ in seen}[named(seen).trial]
    assert best == FULL == seen[-1][0].stop  # the last thing is never a beginning


def test_the_leader_is_tried_at_other_rates():
    one = made()
    jobs = [job for job, _ in simulate(one, epochs=4 * FULL) if job.kind == "explore"]
    known = [point for _, point in one.known[:5]]
    assert [job.point for job in jobs[:5]] == known and [job.stop for job in jobs[:5]] == [FULL, 1, 1, 1, 1]
    for job, how in zip(jobs[5:7], ("hotter", "cooler"), strict=True):
        leader = known[int(job.origin.removeprefix("trial ").removesuffix(f", {how}"))]
        (rate,) = [name for name in leader if name.endswith(".lr")]
        assert job.point == leader | {rate: job.point[rate]} and job.point[rate] / leader[rate] == pytest.approx(RATES[how], rel=0.01)


def test_there_are_no_other_rates_where_none_is_searched_or_they_were_tried():
    space = Space([Dimension("lr", "optimizer.lr", 0.01, 0.1, True), Dimension("batch", "batch.size", choices=(32, 64))])
    seen = [(Job(0, 0, {"lr": 0.08, "batch": 32}, 0, 0, 1, "explore"), Result("done", 1.0, {}, 1))]
    assert paced(space, history_of(seen), "hotter") == ({"lr": 0.1, "batch": 32}, "trial 0, hotter")  # the range ends there
    top = [(Job(0, 0, {"lr": 0.1, "batch": 32}, 0, 0, 1, "explore"), Result("done", 1.0, {}, 1))]
    assert paced(space, history_of(top), "hotter") is None and paced(space, history_of(top), "cooler") is not None
    assert paced(space, history_of([]), "hotter") is None
    without = Space([Dimension("batch", "batch.size", choices=(32, 64))])
    assert paced(without, history_of([(Job(0, 0, {"batch": 32}, 0, 0, 1, "explore"), Result("done", 1.0, {}, 1))]), "cooler") is None


def test_it_does_not_matter_for_the_beginning_whether_the_budget_is_known():
    open_end, known = simulate(made(), epochs=8 * FULL), simulate(made(budget=16 * FULL), epochs=8 * FULL)
    assert open_end == known


def test_later_there_is_refinement_and_there_are_repeats_of_the_leaders():
    seen = simulate(made(full=3), epochs=120)
    jobs = [job for job, _ in seen]
    origins = {job.origin.split(" ")[0].rstrip(":") for job in jobs}
    assert {"portfolio", "refined", "again,"} <= origins
    repeats = [job for job in jobs if job.kind == "repeat"]
    assert 0.1 < sum(job.epochs for job in repeats) / sum(job.epochs for job in jobs) < 0.25
    by_point: dict[str, list[int]] = {}
    for job in jobs:
        if job.kind != "promote":
            by_point.setdefault(json.dumps(job.point), []).append(job.seed)
    assert all(seeds == list(range(len(seeds))) for seeds in by_point.values())
    assert len(by_point) == sum(job.kind == "explore" for job in jobs)  # no point is explored twice
    for job in repeats:
        known = ranked(candidates(history_of(seen[: job.number - 3]).trials.values()))
        assert job.point in [c.point for c in known if c.epochs == 3][:3]


def test_a_space_without_the_portfolios_rule_is_searched_by_chance_first():
    space = Space([Dimension("momentum", "optimizer.momentum", 0.5, 0.9)])
    one = strategy(Setup(space, 3), Recipe({"optimizer": {"rule": "rmsprop"}}))
    seen = simulate(one, epochs=40, do=lambda job: Result("done", (job.point["momentum"] - 0.8) ** 2, {}, job.epochs))
    assert abs(named(seen).point["momentum"] - 0.8) < 0.02


def test_it_stops_when_little_gain_is_likely_unless_told_to_go_on():
    def flat(job: Job) -> Result:
        return Result("done", 1 + 1e-5 * random.Random(job.number).random(), {}, job.epochs)

    assert sum(job.epochs for job, _ in simulate(made(full=1), epochs=60, do=flat)) < 40
    on = strategy(Setup(SPACE, 1), BASE, patient=True)
    assert sum(job.epochs for job, _ in simulate(on, epochs=40, do=flat)) == 40


# --- naming, gain, advice, fronts -------------------------------------------------------------------------


def rows(*scores: list[float], full: int = 1) -> Seen:
    """A list of scores for each point: one for each seed."""
    found, number = [], 0
    for k, some in enumerate(scores):
        for seed, score in enumerate(some):
            job = Job(number, number, {"x": k}, seed, 0, full, "repeat" if seed else "explore")
            found.append((job, Result("done", score, {}, full) if score < inf else Result("failed", error="?")))
            number += 1
    return found


def test_one_lucky_seed_does_not_beat_three_good_ones():
    lucky, good = [0.0985], [0.1, 0.104, 0.096]
    assert named(rows(lucky, [0.3])).point == {"x": 0}
    answer = named(rows(lucky, good))
    assert answer and answer.point == {"x": 1} and answer.trial == 3 and answer.seeds == 3 and answer.score == pytest.approx(0.1)
    assert named(rows([0.05], good)).point == {"x": 0}  # not so lucky: better by far
    assert noise(candidates(history_of(rows(lucky, good)).trials.values())) == pytest.approx(0.004)
    assert named([]) is None and named(rows([inf])) is None


def test_likely_gain_is_what_independent_draws_gain():
    """With an exponential tail 16 more gain more than that in one study of ten; n = 2,000 studies. (A tail that ends gains less.)"""
    dice, more = random.Random(0), 0
    for _ in range(2000):
        scores = [-dice.expovariate(1) for _ in range(40)]
        later = min(-dice.expovariate(1) for _ in range(16))
        more += min(scores) - later > likely_gain(scores, 16)
    assert 0.07 < more / 2000 < 0.13
    assert likely_gain([1.0] * 20, 16) == 0


def test_little_gain_is_less_than_the_noise():
    trials = list(history_of(rows(*([1 + 0.01 * k] for k in range(20)))).trials.values())
    assert exhausted(trials, 1, noise=1.0) and not exhausted(trials, 1, noise=0.0) and not exhausted(trials[:5], 1, noise=1.0)


ADVISED = Space(
    [
        Dimension("optimizer.rule", "optimizer.rule", choices=("adamw", "momentum")),
        Dimension("adamw.lr", "optimizer.lr", 1e-4, 1e-1, log=True, when=(("optimizer.rule", ("adamw",)),)),
        Dimension("momentum.lr", "optimizer.lr", 1e-4, 1e-1, log=True, when=(("optimizer.rule", ("momentum",)),)),
        Dimension("regularize.label_smoothing", "regularize.label_smoothing", 0.0, 0.2),
        Dimension("batch.size", "batch.size", choices=(32, 64)),
    ]
)


def study(lr: Callable[[int], float], score: Callable[[int, float], float], n: int, rule: str = "adamw") -> list[tuple[Job, Result]]:
    found = []
    for k in range(n):
        point = {"optimizer.rule": rule, f"{rule}.lr": lr(k), "regularize.label_smoothing": 0.2 * (k % 5) / 4, "batch.size": 32}
        found.append((Job(k, k, point, 0, 0, 1, "explore"), Result("done", score(k, lr(k)), {}, 1)))
    return found


def test_a_test_loss_far_above_the_one_that_chose_is_said():
    (said,) = fitted({"loss": 0.017, "accuracy": 1.0}, {"loss": 0.085})
    assert said.startswith("The test loss, 0.085, is 5.0 times the validation loss") and "--folds 5" in said
    for valid, test in (({"loss": 0.05}, {"loss": 0.085}), ({"loss": 0.05}, None), ({}, {"loss": 1.0}), ({"loss": -3.0}, {"loss": 2.0})):
        assert not [*fitted(valid, test)]


def test_advice():
    assert advice(ADVISED, 1, []) == ([], {})
    found = advice(ADVISED, 1, study(lambda k: 0.1 * 0.7**k, lambda k, lr: 1 / lr, 6)).sentences
    assert "The best optimizer.lr = 0.1 is at the upper edge of its range [0.0001, 0.1]; widen the range above." in found
    assert "6 recipes were tried, with 4 things to choose: a better one may well be missed; give more budget." in found
    assert "momentum was tried not at all: that is no verdict on it." in found
    assert not any("label_smoothing" in line or line.startswith("adamw was") for line in found)
    assert any("trained with a second seed" in line for line in found)

    found = advice(ADVISED, 1, study(lambda k: 1e-4 * 1.3**k, lambda k, lr: 1 + lr, 20)).sentences
    assert any("lower edge of its range [0.0001, 0.1]; widen the range below" in line for line in found)
    assert any(line.startswith("16 more trainings like these are unlikely (1 in 10) to gain more than") for line in found)
    assert any(line.startswith("Of the differences between trials these explain most: optimizer.lr") for line in found)
    assert not any("recipes were tried" in line for line in found)


def test_a_gain_of_more_than_all_there_is_is_not_promised():
    def said(score: Callable[[int], float]) -> list[str]:
        seen = [(job, Result("done", score(k), {}, 1)) for k, (job, _) in enumerate(study(lambda k: 1e-2, lambda k, lr: 1.0, 20))]
        return [line for line in advice(ADVISED, 1, seen).sentences if line.startswith("16 more trainings")]

    assert said(lambda k: 1.0 + 0.01 * k) and not said(lambda k: 0.01 + 0.5 * k)


def test_leaders_within_the_noise_are_said_to_be_equal():
    def seeded(job: Job, seed: int, score: float) -> tuple[Job, Result]:
        return Job(job.number + seed, job.trial + seed, job.point, seed, 0, 1, "repeat" if seed else "explore"), Result(
            "done", score, {}, 1
        )

    base = [study(lambda k: 1e-2 / (k + 1), lambda k, lr: 1.0, 2)[k][0] for k in (0, 1)]
    seen = [seeded(base[0], 0, 1.0), seeded(base[1], 0, 1.01), seeded(base[1], 1, 1.03)]
    found = advice(ADVISED, 1, seen).sentences
    assert "The best 2 recipes differ by 0.02, less than the noise between seeds, 0.014: take the one you like." not in found
    seen = [seeded(base[0], 0, 1.0), seeded(base[1], 0, 1.0), seeded(base[1], 1, 1.02)]
    found = advice(ADVISED, 1, seen).sentences
    assert "The best 2 recipes differ by 0.01, less than the noise between seeds, 0.014: take the one you like." in found


def test_importance_tells_what_matters_from_what_does_not():
    seen = study(lambda k: 1e-4 * 1.3**k, lambda k, lr: log10(lr), 24)
    found = importance(ADVISED, list(history_of(seen).trials.values()))
    assert next(iter(found)) == "optimizer.lr" and found["optimizer.lr"] > 0.8 and sum(found.values()) == pytest.approx(1)
    assert importance(ADVISED, list(history_of(seen).trials.values())[:9]) == {} == importance(ADVISED, [])
    assert set(found) == {"optimizer.lr", "regularize.label_smoothing"}  # what never differed explains nothing


points = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12)


@given(points)
def test_a_front_beats_all_others_and_none_of_itself(rows):
    def beaten(row: tuple[int, int]) -> bool:
        return any(a <= row[0] and b <= row[1] and (a, b) != row for a, b in rows)

    assert sorted(front(rows)) == [k for k, row in enumerate(rows) if not beaten(row)]
    assert [rows[k] for k in front(rows)] == sorted(rows[k] for k in front(rows))


# --- does it help? --------------------------------------------------------------------------------------


def reached(name: str, stopper: str, seed: int, epochs: int) -> float:
    """How good in truth, noise apart, is the point that a study names."""
    one = made(name, stopper, seed=seed)
    answer = named(simulate(one, epochs=epochs))
    return trained(Job(0, 0, answer.point, 0, 0, FULL, "explore"), noise=0).score if answer else 2.0  # all diverged


@pytest.mark.parametrize(("name", "stopper", "trainings"), [("steepest", "", 16), ("tpe", "none", 30), ("random", "halving", 16)])
def test_searching_helps(name, stopper, trainings):
    """Against random search with the same budget on a noisy bowl with a cliff: the mean over n = 6 studies is lower.

    The bowl lies far from the portfolio, which is therefore no help.
    """
    seeds = range(6)
    mine = mean(reached(name, stopper, seed, trainings * FULL) for seed in seeds)
    assert mine < mean(reached("random", "none", seed, trainings * FULL) for seed in seeds)


# --- mistakes -------------------------------------------------------------------------------------------


def test_mistakes():
    setup = Setup(SPACE, 3)
    for ask, message in [
        (lambda: strategy(setup, BASE, "stepest"), "search: unknown strategy 'stepest'; did you mean steepest?"),
        (lambda: strategy(setup, BASE, "tpe", "halvin"), "search: unknown stopper 'halvin'; did you mean halving?"),
        (lambda: strategy(setup, BASE, "steepest", "median"), "search: steepest stops trials in its own way; a stopper, median, goes with"),
        (lambda: Setup(SPACE, 0), "search: full = 0; it is a whole number from 1 on"),
        (lambda: Setup(SPACE, 1, width=0), "search: width = 0; it is a whole number from 1 on"),
        (lambda: Setup(SPACE, 1, budget=0), "search: a budget of 0 epochs buys nothing; give at least 1"),
        (lambda: front([(1,), (1, 2)]), "pareto: every row needs the same metrics"),
    ]:
        with pytest.raises(SettingError) as error:
            ask()
        assert message in str(error.value)


@settings(max_examples=5, deadline=None)
@given(fates=st.lists(st.sampled_from(["done", "diverged", "failed", "lost"]), min_size=60, max_size=60), width=st.integers(1, 6))
def test_whatever_becomes_of_jobs_a_study_goes_on(fates, width):
    def fate(job: Job) -> Result:
        status = fates[job.number % 60]
        return trained(job, breaks=False) if status == "done" else Result(status, epochs=job.number % 2, error="?")

    for name, stopper in (("steepest", ""), ("random", "halving"), ("random", "median")):
        one, other = (simulate(made(name, stopper, width=width), workers, width, 30, do=fate) for workers in (1, 3))
        assert one == other
    assert isinstance(Halving(Setup(SPACE, 3), Random(SPACE)).decide(0, []), Job)
