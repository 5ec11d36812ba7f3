"""Studies with real processes: the same for any number of them, whatever is killed, and nothing stays behind."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from studies import lines, plan, whole, widths

from steepest.search.conduct import Ended
from steepest.search.defaults import space_of
from steepest.search.finish import Finished
from steepest.search.jobs import Job
from steepest.search.log import Log, StudyError
from steepest.search.plan import Plan
from steepest.search.pool import Processes
from steepest.search.tune import Search
from steepest.tasks import TASKS
from steepest.train import taskfile
from steepest.train.recipe import Recipe

HANGING = """
import time
from pathlib import Path

import steepest as sp


def model(width: int = 4):
    Path({path!r}).touch()
    {code}


task = sp.Task(model=model, data=([[0.0]] * 40, [0, 1] * 20))
"""
STUDIES = Path(__file__).with_name("studies.py")


def children(pid: int) -> list[int]:
    try:
        return [int(x) for x in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def wait_for(what, seconds: float = 120.0) -> bool:
    """Whether it came to be. Machines may be busy."""
    until = time.monotonic() + seconds
    while not what():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def gone(pids: list[int]) -> bool:
    return not any(Path(f"/proc/{pid}").exists() and "State:\tZ" not in Path(f"/proc/{pid}/status").read_text() for pid in pids)


# --- the same decisions ------------------------------------------------------------------------------


def test_one_two_and_four_workers_find_the_same(tmp_path: Path) -> None:
    """Digits, the default space and the default strategy, 2 epochs in full."""
    base = Recipe().replace({"stop.epochs": 3, "batch.size": 256, "optimizer.engine": "reference"})
    task, facts = taskfile.find("digits-mlp")
    space = tuple(space_of(task, base, ("adamw", "lion")).facts())
    made = Plan(name="digits-mlp", space=space, budget="8runs", full=3, task=facts, base=base.toml(), seed=1)
    answers = {n: whole(Search(made, tmp_path / str(n), workers=n)) for n in (1, 2, 4)}
    assert lines(tmp_path / "1") == lines(tmp_path / "2") == lines(tmp_path / "4")
    assert answers[1][0].metrics == answers[2][0].metrics == answers[4][0].metrics
    assert answers[1][1] == answers[2][1] == answers[4][1] and len(answers[1][1]) > 8
    weights = {n: (found.folder / "model.safetensors").read_bytes() for n, (found, _) in answers.items()}
    assert weights[1] == weights[2] == weights[4]
    kinds = {line.split('"why": "')[1].split('"')[0] for line in lines(tmp_path / "1") if '"why"' in line}
    assert kinds >= {"explore", "promote"}


# --- accidents ---------------------------------------------------------------------------------------


def test_an_accident_costs_its_trial_alone(tmp_path: Path) -> None:
    others = children(os.getpid())  # of tests before
    space = widths(4, 13, 14, 15, 16, 17, 8)
    search = Search(plan(tmp_path, space=space, strategy="grid", stopper="", budget="20runs"), tmp_path / "study", workers=2, silence=12.0)
    found, results = whole(search)
    said = {job.point.get("model.width"): results[job.number] for job in search.decisions.jobs}
    assert said[4].done and said[8].done and found.answer.point.get("model.width") in (4, 8, None)  # or the default
    assert {width: said[width].status for width in (13, 14, 15, 16, 17)} == {13: "lost", 14: "lost", 15: "lost", 16: "failed", 17: "lost"}
    assert "was killed (SIGKILL" in said[13].error and said[13].error.startswith("worker ")
    assert "said nothing for 12 s and was stopped" in said[14].error
    assert "out of memory: " in said[15].error and "no room for 15" in said[15].error
    assert "ValueError: a width of 16 is not liked" in said[16].error
    assert "ended with code 3" in said[17].error
    assert set(children(os.getpid())) <= set(others)


def test_a_task_that_breaks_in_a_worker_is_said(tmp_path: Path) -> None:
    others = children(os.getpid())
    setup = {"kind": "task", "task": {"builtin": "nothing-like-it"}, "folds": 0, "data": None}
    pool = Processes(1, setup, tmp_path)
    with pytest.raises(StudyError, match="'nothing-like-it' is neither a Python file nor a built-in task"):
        pool.wait(100.0)
    pool.close()
    pool = Processes(1, {"kind": "unheard of"}, tmp_path)
    with pytest.raises(StudyError, match=r"workers end before they are ready: KeyError: 'unheard of'; see .*worker-1\.log"):
        pool.wait(100.0)
    pool.close()
    assert set(children(os.getpid())) <= set(others)


# --- kills -------------------------------------------------------------------------------------------


def begun(folder: Path, workers: int) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, str(STUDIES), str(folder), str(workers)], stderr=subprocess.PIPE)


def written(folder: Path) -> int:
    path = folder / "study" / "study.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("unbroken")
    whole(Search(plan(folder), folder / "study", task=taskfile.find(str(folder / "points.py"))[0]))
    return told(folder)


def told(folder: Path) -> list[str]:
    """All but where the task's file lies."""
    return [line for line in lines(folder / "study") if '"kind": "study"' not in line]


@pytest.mark.parametrize("kills", [5, pytest.param(20, marks=pytest.mark.full)])
def test_killed_at_random_moments(tmp_path: Path, unbroken: list[str], kills: int) -> None:
    """SIGKILL of the main process; of its workers nobody is left, and the answer is that of an unbroken study."""
    dice = random.Random(kills)
    plan(tmp_path)
    for _ in range(kills):
        before = written(tmp_path)
        process = begun(tmp_path, dice.choice([1, 2]))
        more = dice.randint(0, max(1, 24 // kills))
        assert wait_for(lambda process=process, n=before + more: written(tmp_path) >= n or process.poll() is not None)
        time.sleep(dice.uniform(0, 0.3))
        workers = children(process.pid)
        process.kill()
        process.communicate()
        assert wait_for(lambda workers=workers: gone(workers), 30), f"still there: {workers}"
    process = begun(tmp_path, 2)
    _, errors = process.communicate()
    assert process.returncode == 0, errors.decode()
    assert told(tmp_path) == unbroken


@pytest.mark.full
def test_workers_killed_at_random_moments(tmp_path: Path) -> None:
    """SIGKILL of a worker, 20 times: each costs one trial at most, and is named; the study goes on to its answer."""
    dice, kills = random.Random(0), 0
    search = Search(plan(tmp_path, budget="80runs", stopper=""), tmp_path / "study", workers=2)
    for event in search.run():
        if isinstance(event, Ended) and event.result.done and kills < 20:
            time.sleep(dice.uniform(0, 0.5))
            os.kill(dice.choice(children(os.getpid())), signal.SIGKILL)
            kills += 1
    lost = [result for _, result in search.decisions.seen if result.status == "lost"]
    assert kills == 20 and 0 < len(lost) <= 20 and isinstance(event, Finished)
    assert all("was killed (SIGKILL" in result.error for result in lost) and children(os.getpid()) == []


def test_workers_that_hang_do_not_outlive_the_study(tmp_path: Path) -> None:
    """One sleeps in its trial, and would for 1,000 seconds; another never gives control back to Python."""
    for code in ("time.sleep(1000)", "sum(iter(int, 1))"):
        (tmp_path / "points.py").write_text(HANGING.format(path=str(tmp_path / "at"), code=code))
        process = begun(tmp_path, 1)
        assert wait_for(lambda: (tmp_path / "at").exists())
        workers = children(process.pid)
        assert len(workers) == 1
        process.kill()
        process.communicate()
        assert wait_for(lambda workers=workers: gone(workers), 30), f"still there: {workers}"
        (tmp_path / "at").unlink()
        shutil.rmtree(tmp_path / "study")


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    log = Log(tmp_path / "study")
    second = begun(tmp_path, 1)
    _, errors = second.communicate()
    assert second.returncode and f"is being written by another process (process {os.getpid()})".encode() in errors
    log.close()


def test_an_interrupt_leaves_a_study_whole(tmp_path: Path, unbroken: list[str]) -> None:
    process = begun(tmp_path, 1)
    assert wait_for(lambda: written(tmp_path) >= 4)
    workers = children(process.pid)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode and errors.strip().endswith(b"KeyboardInterrupt") and gone(workers)
    process = begun(tmp_path, 2)
    process.communicate()
    assert process.returncode == 0 and told(tmp_path) == unbroken


# --- programs ----------------------------------------------------------------------------------------


def test_a_program_takes_its_own_processes_with_it(tmp_path: Path) -> None:
    """A program that hangs, with a child that would stay behind: both are ended with their worker."""
    code = f"import os, pathlib, subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)']); pathlib.Path({str(tmp_path / 'pids')!r}).write_text(f'{{os.getpid()}} {{p.pid}}\\n'); time.sleep(1000)"  # noqa: E501
    setup = {"kind": "script", "command": [sys.executable, "-c", code], "objective": "auto", "more": False, "regex": None}
    pool = Processes(1, setup, tmp_path, silence=20.0, grace=0.0)
    job = Job(0, 0, {}, 0, 0, 1, "explore")
    pool.give({"do": "train", "number": 0, "job": job.facts(), "folder": str(tmp_path / "trial")})
    pids = tmp_path / "pids"
    assert wait_for(lambda: pool.wait(0.1) or (pids.exists() and pids.read_text().endswith("\n")))
    both = [int(x) for x in pids.read_text().split()]
    assert pool.leave() == [] and wait_for(lambda: gone(both), 30)
    pool.close()


def test_tasks_are_there() -> None:
    assert "digits-mlp" in TASKS
