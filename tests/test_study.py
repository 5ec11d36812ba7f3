"""Studies without processes: decisions and their order, budgets, the record, one's own code, what is said at the end."""

import json
import sys
from dataclasses import replace
from math import inf, nan
from pathlib import Path

import pytest
from studies import SPACE, lines, plan, whole, widths

import steepest as sp
from steepest import records
from steepest.core.errors import SettingError
from steepest.search import script
from steepest.search.baseline import PLACE, WithBaseline, baseline, is_baseline
from steepest.search.budget import Budget
from steepest.search.conduct import Clock, Ended, conduct
from steepest.search.decisions import HOPELESS, Decisions
from steepest.search.finish import Finished, nothing
from steepest.search.jobs import WAIT, Answer, Job, Result, Seen, Wait
from steepest.search.log import Log, StudyError
from steepest.search.own import Study, own_space
from steepest.search.plan import Plan
from steepest.search.planning import planned
from steepest.search.pool import Here
from steepest.search.shared import lay, lift
from steepest.search.strategies import Plain
from steepest.search.tune import Search, resumed
from steepest.tasks import TASKS
from steepest.train import taskfile
from steepest.train.finding import find_rate
from steepest.train.recipe import Recipe


class Counting:
    """Trial i has the point i and one epoch; every third decision sees all before it. The least score is the best."""

    def __init__(self, most: int = 100) -> None:
        self.most = most
        self.asked: dict[int, int] = {}

    def decide(self, i: int, seen: Seen) -> Job | Wait | None:
        if i == self.most:
            return None
        if i % 3 == 2 and len(seen) < i:
            return WAIT
        self.asked[i] = len(seen)
        total = sum(result.score for _, result in seen)
        return Job(i, i, {"x": i, "sum": total}, 0, 0, 1, "explore", "counting")

    def best(self, seen: Seen) -> Answer | None:
        done = [(result.score, job) for job, result in seen if result.done]
        score, job = min(done, key=lambda pair: (pair[0], pair[1].number), default=(inf, None))
        return job and Answer(job.trial, job.point, score, 1, "the least")


def result_of(job: Job) -> Result:
    return Result("done", float((job.number * 7) % 11), {"loss": float((job.number * 7) % 11)}, job.epochs)


def carried_out(decisions: Decisions, at_once: int, order: list[int] | None = None) -> list[Job]:
    """As `at_once` workers would, of which the last that began ends first."""
    open_jobs: list[Job] = []
    while True:
        while len(open_jobs) < at_once and isinstance(job := decisions.next(), Job):
            open_jobs.append(job)
        if not open_jobs:
            return decisions.jobs
        job = open_jobs.pop()
        decisions.take(job.number, result_of(job))


# --- decisions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [1, 2, 3, 4, 9])
def test_decisions_do_not_depend_on_workers(at_once: int) -> None:
    one, many = Decisions(Counting(20), 4), Decisions(Counting(20), 4)
    assert carried_out(many, at_once) == carried_out(one, 1) and len(many.jobs) == 20
    assert many.best() == one.best()


def test_a_decision_sees_what_the_width_says_and_waits_for_more() -> None:
    strategy = Counting(12)
    carried_out(Decisions(strategy, 4), 4)
    # Decision 5 waits for results 0 to 4; decisions 6 and 7 see no less than 5 did.
    assert strategy.asked == {0: 0, 1: 0, 2: 2, 3: 2, 4: 2, 5: 5, 6: 5, 7: 5, 8: 8, 9: 8, 10: 8, 11: 11}


@pytest.mark.parametrize("epochs", [1, 5, 7])
@pytest.mark.parametrize("at_once", [1, 4])
def test_a_budget_is_spent_and_not_more(epochs: int, at_once: int) -> None:
    decisions = Decisions(Counting(), 4, epochs)
    assert len(carried_out(decisions, at_once)) == epochs and decisions.spent == epochs and decisions.over == "budget"


def test_epochs_that_were_not_needed_are_given_back() -> None:
    class Long(Counting):
        def decide(self, i, seen):
            return Job(i, i, {"x": i, "sees": len(seen)}, 0, 0, 10, "explore")

    decided = []
    for at_once in (1, 4):
        decisions, open_jobs = Decisions(Long(), 4, 40), []
        while True:
            while len(open_jobs) < at_once and isinstance(job := decisions.next(), Job):
                open_jobs.append(job)
            if not open_jobs:
                break
            job = open_jobs.pop(0)
            decisions.take(job.number, Result("diverged", epochs=1) if job.number % 2 else Result("done", 1.0, {}, 10))
        decided.append(decisions.jobs)
    assert decided[0] == decided[1] and len(decided[0]) == 5  # 10 + 1 + 10 + 1 + 10, and with the 8 that are left no job of 10 is begun


def test_a_prefix_is_replayed_and_another_one_refused() -> None:
    whole_study = Decisions(Counting(20), 4)
    carried_out(whole_study, 1)
    jobs = {job.number: job for job in whole_study.jobs[:9]}
    some = {n: whole_study.results[n] for n in (0, 1, 2, 3, 5, 6)}  # 4 was lost with the process
    again = Decisions(Counting(20), 4, jobs=jobs, results=some)
    assert again.next() == whole_study.jobs[4]
    again.take(4, result_of(whole_study.jobs[4]))
    assert carried_out(again, 2) == whole_study.jobs and again.best() == whole_study.best()
    jobs[3] = Job(3, 3, {"x": -1}, 0, 0, 1, "explore")
    with pytest.raises(StudyError, match=r"trial 3 from epoch 0 to 1 with x = -1, and would now be .* with x = 3, sum = .*another version"):
        Decisions(Counting(20), 4, jobs=jobs, results=some).next()
    jobs[3] = replace(whole_study.jobs[3], seed=7, point=dict.fromkeys("vwxyz", 0))
    with pytest.raises(StudyError, match=r"trial 3 from epoch 0 to 1 with seed = 7, v = 0, w = 0, 3 more, and would now"):
        Decisions(Counting(20), 4, jobs=jobs, results=some).next()


def test_when_everything_fails_it_ends_soon() -> None:
    for at_once in (1, 4):
        decisions, open_jobs = Decisions(Counting(), 4), []
        while True:
            while len(open_jobs) < at_once and isinstance(job := decisions.next(), Job):
                open_jobs.append(job)
            if not open_jobs:
                break
            decisions.take(open_jobs.pop(0).number, Result("failed", epochs=1, error="ValueError: no"))
        assert decisions.over == "failed" and len(decisions.jobs) == HOPELESS
        assert nothing(decisions) == f"all {HOPELESS} trials ended without a score (failed); the first: ValueError: no"


def test_the_default_is_a_trial_among_others() -> None:
    inner, plain = Counting(40), Counting(40)
    decisions = Decisions(WithBaseline(inner, full=2, seed=5), 4)
    carried_out(decisions, 3)
    (place,) = [job.number for job in decisions.jobs if is_baseline(job)]
    assert place == PLACE and decisions.jobs[place] == Job(place, place, {}, 5, 0, 2, "explore", "default AdamW")
    without = Decisions(plain, 4)
    carried_out(without, 1)
    assert [job.point["x"] for job in decisions.jobs if job.point] == [job.point["x"] for job in without.jobs]
    assert [job.trial for job in decisions.jobs] == [*range(41)]


def test_trials_that_others_come_from_are_those_that_are_meant() -> None:
    class Told(Counting):
        def decide(self, i: int, seen: Seen) -> Job | Wait | None:
            return Job(i, i, {"x": i}, 0, 0, 1, "explore", origins[i]) if i < 4 else None

    origins = ["from 0", "refined from 1", "again, as trial 7", "random 3"]
    told = [job.origin for job in carried_out(Decisions(WithBaseline(Told(), full=1, seed=0), 4), 1)]
    assert told == ["from 0", "default AdamW", "refined from 2", "again, as trial 8", "random 3"]


def test_the_default_may_be_the_answer() -> None:
    seen = [(Job(0, 0, {"x": 0}, 0, 0, 2, "explore"), Result("done", 0.5)), (Job(1, 1, {}, 0, 0, 2, "explore"), Result("done", 0.4))]
    answer = WithBaseline(Plain(None, None), full=2, seed=0).best(seen)  # type: ignore[arg-type]
    assert answer is not None and (answer.trial, answer.point, answer.score) == (1, {}, 0.4)


def test_the_default_is_torchs(tmp_path: Path) -> None:
    base = Recipe().replace({"optimizer.rule": "lion", "schedule.lr": "cosine", "regularize.mixup": 0.2, "batch.size": 32})
    found = baseline(base)
    assert found.changes() == {"init.plan": "torch_default", "optimizer.weight_decay": 0.01, "batch.size": 32}
    assert (found["optimizer.rule"], found["optimizer.lr"]) == ("adamw", 1e-3)


# --- budgets -----------------------------------------------------------------------------------------


def test_budgets() -> None:
    for text, amount, unit, shown in [
        ("10m", 600, "seconds", "10m"), ("1h30m", 5400, "seconds", "1h30m"), ("90s", 90, "seconds", "1m30s"),
        ("0.5s", 0.5, "seconds", "0.5s"),
        ("16runs", 16, "runs", "16 runs"), ("1 run", 1, "runs", "1 run"), ("200epochs", 200, "epochs", "200 epochs"),
    ]:  # fmt: skip
        found = Budget.parse(text)
        assert (found.amount, found.unit, str(found)) == (amount, unit, shown)
    assert Budget.parse("3runs").epochs(20) == 60 and Budget.parse("3epochs").epochs(20) == 3 and Budget.parse("3m").epochs(20) == inf
    assert Budget.parse("3m").seconds == 180 and Budget.parse("3runs").seconds == inf
    for text in ("0runs", "0s", "0.0m"):
        with pytest.raises(SettingError, match=f"budget = '{text}' buys nothing; give a time"):
            Budget.parse(text)
    for text in ("", "10", "ten runs", "10mm3", "-1runs", "1e3s", "10 minutes"):
        with pytest.raises(SettingError, match=rf"budget = '{text}' is not a time \(90s, 10m, 1h30m\), full trainings"):
            Budget.parse(text)


def test_time_that_runs_out_leaves_a_beginning_of_the_same(tmp_path: Path) -> None:
    pool, log = Here(lambda order, alive: {"result": result_of(Job.of_facts(order["job"])).facts()}), Log(tmp_path)
    decisions = Decisions(Counting(), 4)
    left = iter([1.0] * 7 + [0.0] * 9)
    events = list(conduct(decisions, log, pool, lambda job: {}, lambda: next(left)))
    log.close()
    longer = Decisions(Counting(20), 4)
    carried_out(longer, 4)
    assert decisions.seen == longer.seen[:7] and len([e for e in events if isinstance(e, Ended)]) == 7
    assert events[-1].text == "time is up; left unfinished: trials 7"


def test_the_clock_keeps_time_for_the_end(tmp_path: Path) -> None:
    class Halved(Counting):
        def decide(self, i, seen):
            return Job(i, i, {"x": i}, 0, 0, 2, "explore")

    log, decisions = Log(tmp_path), Decisions(Halved(), 1)
    clock = Clock(log, decisions, 100.0, 6, 1)
    assert 99 < clock.left() <= 100
    decisions.next()
    job, result = decisions.jobs[0], Result("done", 1.0, {}, 2)
    decisions.take(0, result)
    clock.add(Ended(job, result, 10.0))
    # 4 epochs at 5 s each are still to be trained of the best; a second is spared, and a fiftieth of all.
    assert 76 < clock.left() <= 77
    assert Clock(log, decisions, inf, 6, 1).left() == inf
    log.close()


# --- the record --------------------------------------------------------------------------------------


def test_a_record_comes_back(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.write("study", 0, version=1, task="t", objective="loss", better="lower", settings={})
    job = Job(0, 3, {"lr": 0.1, "clip": None}, 7, 0, 2, "promote", "by hand")
    log.job(job)
    log.result(0, Result("done", 0.25, {"loss": 0.25, "other": nan}, 2), 1.5)
    log.result(1, Result("lost", epochs=2, error="worker 1 was killed"), 0.0)
    log.close()
    with (tmp_path / "study.jsonl").open("ab") as file:
        file.write(b'{"kind":"result","step":2,"st')  # torn when its writer was killed
    again = Log(tmp_path)
    assert again.jobs == {0: job} and again.results[1] == Result("lost", epochs=2, error="worker 1 was killed")
    assert again.results[0].score == 0.25 and again.results[0].metrics["other"] != again.results[0].metrics["other"]
    assert again.seconds[0] == 1.5 and again.elapsed > 0
    again.result(2, Result("done", 0.5, {}, 1), 0.1)
    again.close()
    found = records.study(tmp_path)
    assert sorted(found.results) == [0, 1, 2] and found.best["step"] == 0 and found.epochs == 5 and found.state == "unfinished"


def test_one_writer(tmp_path: Path) -> None:
    log = Log(tmp_path)
    with pytest.raises(StudyError, match=r"is being written by another process \(process \d+\)"):
        Log(tmp_path)
    log.close()
    Log(tmp_path).close()


def test_what_is_no_study(tmp_path: Path) -> None:
    with pytest.raises(records.RecordError, match=r"there is no study at .*: it holds no study\.jsonl"):
        records.study(tmp_path)
    (tmp_path / "study.jsonl").write_text('{"kind":"job","step":0}\n')
    with pytest.raises(records.RecordError, match=r"study.jsonl, line 1: job lacks trial: which trial is trained"):
        records.study(tmp_path)
    (tmp_path / "study.jsonl").write_text(
        '{"kind":"study","step":0,"version":99,"task":"t","objective":"l","better":"lower","settings":{}}\n'
    )
    with pytest.raises(records.RecordError, match="version 99 of the record is newer"):
        records.study(tmp_path)


# --- one's own code ----------------------------------------------------------------------------------

MINE = {"lr": {"low": 1e-4, "high": 1e-1, "log": True}, "width": [16, 32], "depth": {"low": 1, "high": 3, "when": {"width": 32}}}


def loss(trial: object) -> float:
    return (trial["lr"] - 0.01) ** 2 + trial["width"] / 1000  # type: ignore[index]


def told(study: Study) -> list[tuple[int, dict]]:
    found = []
    for trial in study:
        found.append((trial.number, trial.values))
        study.tell(trial, loss(trial))
    return found


def test_ask_and_tell(tmp_path: Path) -> None:
    with sp.Study(MINE, budget="12runs", strategy="random", seed=3) as study:
        found = told(study)
        assert len(found) == 12 and ("depth" in dict(found[0][1])) == (found[0][1]["width"] == 32)
        best = min(found, key=lambda pair: loss(pair[1]))
        assert study.best.trial == best[0] and study.best.point == best[1] and study.ask() is None
    with sp.Study(MINE, budget="12runs", strategy="random", seed=3, maximize=True) as study:
        told(study)
        assert study.best.trial == max(found, key=lambda pair: loss(pair[1]))[0]


def test_ask_and_tell_goes_on_where_it_was(tmp_path: Path) -> None:
    settings = {"budget": "10runs", "strategy": "tpe", "seed": 1}
    with Study(MINE, **settings) as study:
        expected = told(study)
    for _ in range(3):  # three processes that end in the middle of a trial
        with Study(MINE, tmp_path, **settings) as study:
            for _ in range(3):
                trial = study.ask()
                study.tell(trial, loss(trial))
            study.ask()
    with Study(MINE, tmp_path, **settings) as study:
        rest = told(study)
        assert rest == expected[9:] and study.best.point == min((point for _, point in expected), key=loss)
    assert records.study(tmp_path).state == "budget"
    with pytest.raises(StudyError, match="holds a study with other settings: seed was 1; choose another folder"):
        Study(MINE, tmp_path, **settings | {"seed": 2})
    Study(MINE, tmp_path, **settings).close()  # the lock was given back


def test_should_stop_is_what_halving_says() -> None:
    trained: dict[int, int] = {}
    with Study({"x": {"low": 0.0, "high": 1.0}}, budget="60epochs", epochs=9, strategy="random", stopper="halving", width=2) as study:
        while trial := study.ask():
            assert trial.start == trained.get(trial.number, 0)
            for epoch in range(trial.start, 9):
                trained[trial.number] = epoch + 1
                if trial.should_stop(epoch, trial["x"] + 1 / (epoch + 1)):
                    break
            study.tell(trial)
            if len(study._open) == 0 and study.decisions.over:
                break
        assert 1 in trained.values() and 9 in trained.values() and study.decisions.spent <= 60
        assert trained[study.best.trial] == 9


def test_what_one_tells_wrong() -> None:
    study = Study(MINE, strategy="random")
    first = study.ask()
    with pytest.raises(StudyError, match="1 trials were asked for and not told; tell one first, or make the study with a larger width"):
        study.ask()
    study.tell(first, nan)
    with pytest.raises(StudyError, match="trial 0 was told already, or is of another study"):
        study.tell(first, 1.0)
    study.tell(study.ask(), error="no memory")
    assert [result.status for _, result in study.decisions.seen] == ["diverged", "failed"]
    trial = study.ask()
    assert trial.should_stop(0, inf)
    for wrong, message in [
        ({}, "space: it is empty"),
        ({"lr": {"low": 1, "high": 0}}, r"space: lr.low = 1 is above high = 0"),
        ({"lr": {"low": 0, "high": 1.0, "log": True}}, r"space: lr.low = 0 has no logarithm"),
        ({"lr": {"lo": 0}}, "space: lr.lo: a range has low, high, log"),
        ({"lr": []}, "space: lr needs low and high, or choices"),
        ([1], r"space = \[1\] must be a table"),
    ]:
        with pytest.raises(SettingError, match=message):
            own_space(wrong)
    with pytest.raises(SettingError, match="unknown strategy 'rnadom'; did you mean random"):
        Study(MINE, strategy="rnadom")


# --- programs ----------------------------------------------------------------------------------------

JOB = Job(0, 0, {"lr": 0.1, "net.width": 8, "clip": None, "flag": True}, 5, 0, 1, "explore")


def test_the_words_of_a_command(tmp_path: Path) -> None:
    command = ["train", "--lr={lr}", "{net.width}", "{clip}", "{flag}", "{seed}", "{folder}/x", '{"a": {}}', "{epochs}"]
    assert script.words(command, JOB.point, JOB, tmp_path) == [
        "train", "--lr=0.1", "8", "", "true", "5", f"{tmp_path}/x", '{"a": {}}', "1",
    ]  # fmt: skip
    script.check(command, ["lr", "net.width", "clip", "flag"])
    with pytest.raises(SettingError, match=r"the command names \{lrr\}, and the space has no lrr; did you mean lr\?"):
        script.check(["x", "{lrr}"], ["lr"])
    with pytest.raises(SettingError, match=r"the space has width, and the command no \{width\}: write it where its value goes"):
        script.check(["x", "{lr}"], ["lr", "width"])


@pytest.mark.parametrize(
    ("code", "regex", "status", "error"),
    [
        ('print(\'{"loss": 1}\'); print(\'{"loss": 0.5, "accuracy": 0.9}\')', None, "done", ""),
        ("print('loss=3'); print('loss=0.5')", "loss=([0-9.]+)", "done", ""),
        ("print('loss=0.5')", "(?P<loss>[0-9.]+)", "done", ""),
        ("print('hm')", None, "failed", "no line of the output is a JSON object with numbers.*; it ends with: hm"),
        ("print('hm')", "loss=(.*)", "failed", r"nothing in the output matches 'loss=\(\.\*\)'; it ends with: hm"),
        ("print('loss=low')", "loss=(.*)", "failed", "and a group of it is no number"),
        ('print(\'{"a": 1, "b": 2}\')', None, "failed", "the output has the metrics a, b; say which one counts: --objective a"),
        ("raise SystemExit('broken')", None, "failed", "ended with code 1: broken"),
        ("print('{\"loss\": NaN}')", None, "diverged", "auto = nan"),
    ],
)
def test_what_a_program_says(tmp_path: Path, code: str, regex: str | None, status: str, error: str) -> None:
    found = script.carry_out([sys.executable, "-c", code], JOB, tmp_path, "auto", False, regex)
    assert found.status == status
    if status == "done":
        assert found.score == 0.5
    else:
        assert __import__("re").search(error, found.error)


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    assert "No such file" in script.carry_out(["/nowhere/at-all", "{lr}"], JOB, tmp_path, "auto", False, None).error
    with pytest.raises(SettingError, match=r"'loss=\(' *: .*|--metric-regex 'loss=\('"):
        script.check_regex("loss=(")
    with pytest.raises(SettingError, match="has no group; put the number in parentheses"):
        script.check_regex("loss=.*")
    assert script.carry_out([sys.executable, "-c", "print('{\"accuracy\": 0.9}')"], JOB, tmp_path, "accuracy", True, None).score == -0.9


# --- plans, and studies in this process --------------------------------------------------------------


def test_a_plan_comes_back(tmp_path: Path) -> None:
    made = plan(tmp_path, others=("parameters",), folds=3)
    assert Plan.begun(json.loads(json.dumps(made.head()))) == made
    assert made.epochs == 4 and plan(tmp_path).epochs == 12
    for wrong, message in [
        ({"width": 0}, "width = 0; it is a whole number from 1 on"), ({"folds": 1}, "folds = 1; cross-validation needs at least 2"),
        ({"budget": "0runs"}, "buys nothing"), ({"full": 0}, "full = 0"),
    ]:  # fmt: skip
        with pytest.raises(SettingError, match=message):
            plan(tmp_path, **wrong)
    with pytest.raises(SettingError, match="unknown stopper 'halve'; did you mean halving"):
        plan(tmp_path, stopper="halve").decider()


def here(tmp_path: Path, name: str, **changes: object) -> Search:
    made = plan(tmp_path, **changes)
    return Search(made, tmp_path / name, task=taskfile.again(made.task)[0])


def test_a_study_from_beginning_to_end(tmp_path: Path) -> None:
    found, results = whole(here(tmp_path, "study", budget="5runs"))
    folder = tmp_path / "study"
    assert isinstance(found, Finished) and found.folder == folder / "trials" / f"{found.answer.trial:04d}" and found.before == 0
    assert (found.folder / "model.safetensors").exists() and not (folder / "data").exists()
    # The recipe is that of the named trial, and trained anew it gives the same.
    again = sp.fit(taskfile.find(str(tmp_path / "points.py"))[0], Recipe.load(folder / "recipe.toml"))
    assert again.metrics == found.metrics
    # What is promoted goes on from where it stands, and no epoch is trained twice.
    study = records.study(folder)
    promoted = [job for job in study.jobs.values() if job["why"] == "promote"]
    assert promoted and all(job["start"] > 0 for job in promoted)
    for trial, numbers in study.trials.items():
        evaluations = list(records.run(folder / "trials" / f"{trial:04d}").evaluations())
        stop = max(study.jobs[n]["stop"] for n in numbers)
        (place,) = (folder / "trials" / f"{trial:04d}" / "checkpoints").iterdir()
        assert len(evaluations) == stop and place.name == f"step-{10 * stop:09d}"
    assert study.state == "budget" and study.epochs <= 15 and found.metrics["loss"] == min(r.score for r in results.values())
    assert study.answer["test"] == found.test and study.answer["looks"] == 1


def test_an_answer_is_given_again_without_another_look(tmp_path: Path) -> None:
    found, _ = whole(here(tmp_path, "study"))
    search = resumed(tmp_path / "study", task=taskfile.find(str(tmp_path / "points.py"))[0])
    again, results = whole(search)
    assert not results and again.test == found.test and again.metrics == found.metrics
    assert len([line for line in (tmp_path / "study" / "study.jsonl").read_text().splitlines() if '"kind":"answer"' in line]) == 1


@pytest.fixture
def broken_off(tmp_path: Path) -> Path:
    """A study that was left after some events, in the middle of a trial."""
    search = here(tmp_path, "study")
    events = search.run()
    for _, _ in zip(range(5), events, strict=False):
        pass
    events.close()
    return tmp_path / "study"


def test_a_study_that_was_left_ends_as_an_unbroken_one(tmp_path: Path, broken_off: Path) -> None:
    whole(here(tmp_path, "whole"))
    whole(resumed(broken_off, task=taskfile.find(str(tmp_path / "points.py"))[0]))
    assert lines(broken_off) == lines(tmp_path / "whole")
    a, b = ((folder / "recipe.toml").read_text() for folder in (broken_off, tmp_path / "whole"))
    assert a == b


@pytest.mark.parametrize(
    ("first", "then", "strategy"), [("4runs", "8runs", "steepest"), ("9runs", "36epochs", "steepest"), ("4runs", "6runs", "random")]
)
def test_a_study_is_given_more(tmp_path: Path, first: str, then: str, strategy: str) -> None:
    """What it decided stands; what comes is decided with the larger budget, also after a break in which nobody says it again."""
    said = {"strategy": strategy, "stopper": "halving" if strategy == "random" else "", "patient": True}

    def go_on(name: str, **settings: str) -> Search:
        return resumed(tmp_path / name, task=taskfile.find(str(tmp_path / "points.py"))[0], **settings)

    for name in ("whole", "broken"):
        whole(here(tmp_path, name, budget=first, **said))
    before = records.study(tmp_path / "whole")
    whole(go_on("whole", budget=then))
    events = go_on("broken", budget=then).run()
    for _, _ in zip(range(3), events, strict=False):
        pass
    events.close()
    whole(go_on("broken"))
    after = records.study(tmp_path / "whole")
    assert lines(tmp_path / "whole") == lines(tmp_path / "broken") and (before.budget, after.budget) == (first, then)
    assert after.jobs.items() > before.jobs.items() and before.epochs < after.epochs <= Budget.parse(then).epochs(3)
    assert after.epochs > Budget.parse(then).epochs(3) - 3 and after.answer and after.answer["decisions"] == len(after.jobs)
    with pytest.raises(StudyError, match=r"whole has a budget of .* already; 3 runs is less"):
        go_on("whole", budget="3runs")
    if strategy == "steepest":
        with pytest.raises(StudyError, match=r"its decisions go by that: give it more, counted in (runs|epochs) again"):
            go_on("whole", budget="10m")
    else:  # whose decisions know no budget
        for other in ("10m", "20runs"):
            go_on("whole", budget=other).log.close()


def test_a_study_of_another_task_is_refused(tmp_path: Path, broken_off: Path) -> None:
    with pytest.raises(StudyError, match=r"exists already; go on with it: steepest tune --resume .*study; or choose another folder"):
        Search(plan(tmp_path), broken_off)
    (tmp_path / "points.py").write_text((tmp_path / "points.py").read_text() + "\n# another\n")
    with pytest.raises(StudyError, match=r"points.py has changed since the run began; what was measured then and now cannot be compared"):
        list(resumed(broken_off).run())


def test_folds_are_the_objective(tmp_path: Path) -> None:
    search = here(tmp_path, "study", folds=2, budget="4runs", stopper="", space=widths(4, 8), strategy="grid")
    found, results = whole(search)
    assert len(results) == 2 and found.folder == tmp_path / "study" / "best"
    for n in range(2):
        each = [records.run(tmp_path / "study" / "trials" / f"000{n}" / f"fold-{k}").summary.best for k in range(2)]
        assert results[n].score == pytest.approx(sum(each) / 2)  # type: ignore[arg-type]


def test_accuracy_against_parameters(tmp_path: Path) -> None:
    search = here(
        tmp_path,
        "study",
        others=("parameters",),
        objective="accuracy",
        better="higher",
        space=widths(4, 8, 12),
        strategy="grid",
        stopper="",
    )
    found, results = whole(search)
    # With the default, which has the model's own width, 8.
    assert sorted(r.metrics["parameters"] for r in results.values()) == [width * 5 + 2 for width in (4, 8, 8, 12)]
    front = search.plan.front(search.decisions.seen)
    assert all(a[1]["accuracy"] > b[1]["accuracy"] or a[1]["parameters"] < b[1]["parameters"] for a in front for b in front if a != b)
    assert found.answer.score == -max(r.metrics["accuracy"] for r in results.values())


def test_what_diverges_ends_at_once_and_is_the_same_again(tmp_path: Path) -> None:
    wild = ({"name": "lr", "path": "optimizer.lr", "choices": [1e30, 0.01]},)
    base = Recipe().replace({"stop.epochs": 3, "batch.size": 16, "optimizer.rule": "gd", "optimizer.engine": "reference"}).toml()
    search = here(tmp_path, "study", space=wild, base=base, strategy="grid", stopper="")
    found, results = whole(search)
    assert results[0].status == "diverged" and "NaN or Inf" in results[0].error and results[0].epochs == 1
    assert results[2].done and found.answer.trial == 2
    assert not (tmp_path / "study" / "trials" / "0000" / "checkpoints").exists()


def test_a_task_whose_every_trial_fails(tmp_path: Path) -> None:
    search = here(
        tmp_path,
        "study",
        space=({"name": "model.width", "path": "model.width", "choices": [16]},),
        strategy="random",
        stopper="",
        budget="50runs",
    )
    with pytest.raises(
        StudyError,
        match=r"all 11 trials but the default AdamW ended .* \(failed\); the first: model: .*: ValueError: a width of 16 is not liked",
    ):
        list(search.run())


# --- data that is shared -----------------------------------------------------------------------------


def test_data_in_a_file_are_the_same(tmp_path: Path) -> None:
    from steepest.data.split import gather

    data = gather(TASKS["digits-mlp"]().data)
    assert lay(data, tmp_path) is None  # small
    facts = lay(data, tmp_path, large=0)
    found = lift(json.loads(json.dumps(facts)))
    for name in ("train", "valid", "test"):
        for x, y in zip(getattr(data, name).columns, getattr(found, name).columns, strict=True):
            assert x.dtype == y.dtype and x.equal(y)
    before = Path(facts["train"][0]["file"]).read_bytes()
    found.train.columns[0].zero_()  # a private map: nobody else sees it
    assert Path(facts["train"][0]["file"]).read_bytes() == before
    assert lay(gather((["a", "b"] * 20, [0, 1] * 20)), tmp_path, large=0) is None  # texts


def test_the_space_of_these_tests() -> None:
    assert {d["name"] for d in SPACE} == {"lr", "model.width"}


def test_tune_in_one_call(tmp_path):
    small, recipe = TASKS["digits-mlp"](), Recipe({"stop": {"epochs": 1}})
    space = {"optimizer.lr": [1e-3, 1e-2], "only": True}
    found = sp.tune(small, budget="2runs", recipe=recipe, space=space, folder=tmp_path / "study", strategy="random")
    assert set(found.answer.point) == {"optimizer.lr"} and sp.load(found.folder, small) is not None
    assert sp.Recipe.load(tmp_path / "study" / "recipe.toml")["optimizer.lr"] == found.answer.point["optimizer.lr"]
    with pytest.raises(SettingError, match="budget = '2cows'"):
        sp.tune(small, budget="2cows", folder=tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_rates_are_centred_by_a_range_test(tmp_path):
    """The rate that the test suggests lies in the middle of what is left of the range; other dimensions stay; the cost is counted."""
    small, recipe = TASKS["digits-mlp"](), Recipe({"stop": {"epochs": 2}, "run": {"threads": 1}})
    space = {
        "optimizer.rule": ["adamw", "momentum"],
        "optimizer.lr": {"low": 1e-5, "high": 1.0, "log": True},
        "batch.size": [32, 64],
        "only": True,
    }
    wide, _ = planned(small, base=recipe, space=space, budget="8runs")
    plan, _ = planned(small, base=recipe, space=space, budget="8runs", centre=True)
    (before, after) = ({d.name: d for d in made.spaces.dimensions} for made in (wide, plan))
    assert [*before] == [*after] and before["batch.size"] == after["batch.size"]
    (name,) = (name for name, d in after.items() if d.path == "optimizer.lr")
    suggestion = find_rate(small, recipe.replace({"batch.size": 32}), low=1e-5, high=10.0).suggestion
    assert suggestion and after[name].range == pytest.approx((suggestion / 10, min(suggestion * 10, 1.0)))
    assert (
        "lies around" in plan.centred["words"][0] and 0 < plan.centred["epochs"] < 8 and plan.epochs == wide.epochs - plan.centred["epochs"]
    )
    with pytest.raises(SettingError, match="and a training of 2 is not left; give more, or leave centre out"):
        planned(small, base=recipe, space=space, budget="1runs", centre=True)
    found = sp.tune(small, budget="5runs", recipe=recipe, space=space, folder=tmp_path / "study", strategy="random", centre=True)
    assert Plan.begun(records.study(tmp_path / "study").begin).centred["words"] and found.metrics
    with pytest.raises(SettingError, match="there is nothing to centre"):
        planned(small, base=recipe, space={"batch.size": [32, 64], "only": True}, budget="8runs", centre=True)
