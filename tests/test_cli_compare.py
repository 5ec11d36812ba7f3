"""The verb compare as a person meets it, and what show, list and report say of comparisons."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from comparisons import SHORT, SMALL_SPACE, write, write_many
from shell import on_a_terminal, refused, said, stopped
from studies import TASK

SMALL = ["--space", "space.toml", *(x for change in SHORT for x in ("--set", change)), "--workers", "1"]
RULES = ["--rules", "sgd,adamw", "--budget", "8runs", "--fresh", "6", *SMALL]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("points", "others"):
        (tmp_path / f"{name}.py").write_text(TASK)
    (tmp_path / "space.toml").write_text(SMALL_SPACE)
    return tmp_path


def test_compare_show_list_and_once_more(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, "compare", "points.py", *RULES, "--out", "s").splitlines()
    assert out[0] == "s: points by accuracy, 2 methods x 1 study x (2 trials + 6 fresh seeds) = 16 trainings, 1 worker"
    assert out[1] == "Nothing was chosen by test data, and none were looked at."
    assert out[2].startswith("trial 0  epochs 0-2/2  accuracy 0.") and out[2].endswith("  sgd, study 1, trial 1")
    assert out[3].startswith("the first training took ") and "it would be " in out[3] and out[3].endswith(" to the end")
    assert len([line for line in out if line.startswith("trial ")]) == 16
    assert "method\taccuracy\t95 %\tfirst\treached\tepochs\ttime" in out
    assert any("adamw" in line and "sgd" in line and "6 seeds; p = " in line for line in out)
    shown = said(capsys, "show", "s")
    assert shown.splitlines() == out[-len(shown.splitlines()) :] and "best recipe\t" in shown
    whole = json.loads(said(capsys, "show", "s", "--json"))
    assert whole["answer"]["comparison"]["verdicts"][0]["words"] in shown and whole["problems"] == []
    listed = said(capsys, "list", "studies", ".").strip().split("\t")
    assert listed[:4] == ["s", "points", "16runs", "16"] and listed[-1] == "finished"
    again = said(capsys, "compare", "--resume", "s", "--workers", "1")
    assert "16 results of before" in again and again.endswith(shown)
    rows = list(csv.DictReader(io.StringIO(said(capsys, "report", "s", "--format", "csv"))))
    assert [row["place"] for row in rows] == ["1", "2"] and float(rows[0]["mean"]) >= float(rows[1]["mean"])
    assert said(capsys, "report", "s", "--format", "markdown").startswith("| place | method | mean | low | high | seeds |")
    assert r"\begin{tabular}" in said(capsys, "report", "s", "--format", "latex") and Path(rows[0]["method"])
    assert "goes on with it" in refused(capsys, "tune", "--resume", "s")
    assert "s is a comparison: its methods have spaces of their own" in refused(capsys, "show", "s", "--optuna", "o.db")


def test_several_tasks(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, "compare", "points.py,others.py", *RULES, "--out", "both")
    assert "both/points: points by accuracy" in out and "both/others: others by accuracy" in out
    shown = said(capsys, "show", "both")
    assert (
        out.endswith(shown) and "to the targets of 2 tasks, by steps (1: the quickest on each; 0: never in 4 times the quickest): " in shown
    )
    listed = said(capsys, "list", "studies", ".").strip().split("\t")
    assert listed[0] == "both" and listed[1] == "points, others" and listed[-1] == "finished"
    rows = list(csv.DictReader(io.StringIO(said(capsys, "report", "both", "--format", "csv"))))
    assert [row["task"] for row in rows] == ["points", "points", "others", "others"]
    assert json.loads(said(capsys, "show", "both", "--json"))["conclusion"]["tasks"] == ["points", "others"]
    # Gone on with where one task is missing.
    path = here / "both" / "others" / "study.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-4]))
    again = said(capsys, "compare", "--resume", "both", "--workers", "1")
    assert "both/points" not in again.splitlines()[0] and "results of before" in again and again.endswith(shown.splitlines()[-1] + "\n")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "say on what to compare: a task"),
        (["points.py"], "there is nothing to compare: name methods by --rules, --inits, --schedules, --models or --recipes"),
        (["points.py", "--rules", "adamw,lyon"], "--rules: unknown rule 'lyon'; did you mean lion?"),
        (["points.py", "--rules", "adamw"], "--rules adamw is one method only; name another to compare it with"),
        (["points.py", "--rules", "adamw,adam"], "adamw and adam are the same method under two names; leave one out"),
        (["points.py", "--rules", "adamw,,lion"], "--rules adamw,,lion: a name is empty; write them with one comma between"),
        (["points.py", "--rules", "sgd,adamw", "--inits", "he", "--schedules", "cosine,linear"], "at most two of these can be crossed"),
        (["points.py", "--rules", "sgd,adamw", "--budget", "sgd=20runs,adamw=15runs"], "budgets differ, in trials sgd 10, adamw 5"),
        (["points.py", "--rules", "sgd,adamw", "--budget", "10m"], "--budget 10m: a comparison gives each method equally many trainings"),
        (["points.py", "--rules", "sgd,adamw", "--preset", "quik"], "unknown preset 'quik'; did you mean quick?"),
        (
            ["points.py", "--rules", "sgd,adamw", "--objective", "acuracy"],
            "objective = 'acuracy' is none of the task's; did you mean accuracy?",
        ),
        (["points.py", "--rules", "sgd,adamw", "--objective", "accuracy,loss"], "methods are compared by one metric; name one"),
        (["points.py", "--rules", "sgd,adamw", "--target", "nan"], "target = nan is no score; name one that a method can reach"),
        (["points.py", "--rules", "sgd,adamw", "--set", "stop.steps=5"], "the recipe says stop.steps; say stop.epochs instead"),
        (["points.py", "--rules", "sgd,adamw", "--workers", "0"], "--workers 0: at least one is needed"),
        (["points.py", "--rules", "sgd,adamw", "--space", "none.toml"], "none.toml: No such file or directory"),
        (["points.py", "--recipes", "a.toml,b.toml"], "a.toml: No such file or directory"),
        (["points.py", "--rules", "sgd,adamw", "--out", "full"], "full exists already; or choose another folder"),
        (["points.py,points.py", "--rules", "sgd,adamw"], "two of the tasks are called points; give each task once"),
        (["points.py,others.py", "--rules", "sgd,adamw", "--recipe", "a.toml"], "--recipe is about one task; of several each has its own"),
        (["--resume", "nowhere"], "there is no study at nowhere: it does not exist"),
        (["points.py", "--resume", "full"], "--resume full knows its task and its methods; leave points.py out"),
        (["--resume", "full", "--rules", "sgd"], "--resume full knows its task and its methods; leave --rules out"),
        (["--resume", "odd"], "odd/comparison.json is no record of a comparison"),
        (["--resume", "later"], "later/comparison.json is of version 7, and this steepest reads 1: upgrade steepest"),
    ],
)
def test_mistakes_are_one_line(here: Path, capsys: pytest.CaptureFixture[str], argv: list[str], message: str) -> None:
    for name, text in (("odd", "[]"), ("later", '{"kind": "comparison", "version": 7, "tasks": []}'), ("full", "")):
        (here / name).mkdir()
        (here / name / "comparison.json").write_text(text) if text else (here / name / "thing").touch()
    assert message in refused(capsys, "compare", *argv)
    assert not (here / "studies").exists()


def test_unequal_budgets_are_said_wherever_verdicts_are(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here / "s", unequal="Not a comparison of equals: the methods had unequal numbers of trials in each study, sgd 3, adamw 9.")
    assert "Not a comparison of equals" in said(capsys, "show", "s")
    assert "Not a comparison of equals" in on_a_terminal("show", "s")


def test_a_line_that_cannot_be_read_is_named_and_the_rest_is_shown(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here / "s", missed=["sgd"])
    path = here / "s" / "study.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:6], '{"kind":"job","st', "[1, 2]", *lines[8:]]) + "\n")
    out = said(capsys, "show", "s")
    assert "unreadable\ts/study.jsonl, line 7 is torn: " in out and "s/study.jsonl, line 8 is no line of a record" in out
    assert "adamw beats sgd" in out and "diverged" in out
    assert "line 7 is torn" in on_a_terminal("show", "s")
    assert "line 7 is torn" in refused(capsys, "compare", "--resume", "s")
    lines[0] = lines[0].replace('"version": 1', '"version": 9')
    path.write_text("\n".join(lines) + "\n")
    assert "version 9 of the record is newer than 1, which this steepest reads: upgrade steepest" in refused(capsys, "show", "s")


def test_one_that_is_not_done_shows_how_far_it_is(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here / "s", done=False)
    out = said(capsys, "show", "s")
    assert "state\tunfinished" in out and "method\tbest trial\ttrials\tfresh\tmissed" in out and "\t4/4\t2/10\t0" in out
    assert " 4/4 " in on_a_terminal("show", "s")
    assert "of_fresh" in said(capsys, "report", "s", "--format", "csv")


def test_names_are_no_commands_to_a_terminal(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here / "s", ["a\x1b[2J", "[red]b", "<b>c"], task="t\x1b]0;x\x07")
    out, shown = said(capsys, "show", "s"), on_a_terminal("show", "s")
    assert "\x1b[2J" not in out + shown and "\x1b]0" not in out + shown and r"a\x1b[2J" in out and "[red]b" in shown
    write_many(here / "m", ["x\x1b[2J", "y"])
    assert "\x1b[2J" not in said(capsys, "show", "m") + on_a_terminal("show", "m")


def test_show_does_not_wait_for_torch(here: Path) -> None:
    write(here / "s")
    write_many(here / "m")
    code = "import sys\nfrom steepest.cli.show import show_run\nfor x in 'sm':\n    show_run(x, False, None)\n"
    code += "assert not {'torch', 'numpy', 'scipy', 'optuna'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True)


def test_ctrl_c_and_on(here: Path) -> None:
    argv = ["compare", "points.py", *RULES, "--out", "s"]
    code, out, err = stopped(here / "s", *argv)
    assert code == 130 and err == "" and out.splitlines()[-1] == "stopped; steepest compare --resume s goes on"


def test_the_table_on_a_terminal(here: Path) -> None:
    text = on_a_terminal("compare", "points.py", *RULES, "--out", "s")
    assert "\x1b[" in text and "of 16 trainings" in text and " left" in text and "best trial" in text and "1/6" in text and "━" in text
    assert "ranks first when seeds are drawn again" in text
