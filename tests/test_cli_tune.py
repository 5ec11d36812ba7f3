"""The verb tune as a person meets it, and what show and list say of studies."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from shell import on_a_terminal, refused, said, stopped
from studies import TASK

from steepest.cli.words import told

SPACE = '[space]\nonly = true\n"optimizer.lr" = { low = 1e-3, high = 0.1, log = true }\n"model.width" = [4, 8]\n'
SHORT = ["--set", "stop.epochs=2", "--set", "batch.size=16", "--set", "optimizer.engine=reference", "--workers", "1"]
SCRIPT = """
import json, sys
lr, width = float(sys.argv[1]), int(sys.argv[2])
print("some words")
print(json.dumps({"loss": (lr - 0.01) ** 2 + width / 1e6, "accuracy": 1 - lr}))
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "points.py").write_text(TASK)
    (tmp_path / "space.toml").write_text(SPACE)
    (tmp_path / "own.toml").write_text("[space]\nlr = { low = 1e-3, high = 0.1, log = true }\nwidth = [4, 8]\n")
    (tmp_path / "train.py").write_text(SCRIPT)
    return tmp_path


def test_tune_show_list_and_once_more(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, "tune", "points.py", "--space", "space.toml", "--budget", "3runs", "--strategy", "random", "--out", "s", *SHORT)
    first, *rest = out.splitlines()
    assert first == "s: points, 2 choices, 3 runs, random, 1 worker"
    lines = [line for line in rest if line.startswith("trial ") and "  epochs 0-2/2  loss 0." in line]
    assert len(lines) == 3 and "lr=" in lines[0] and "random 0" in lines[0] and "default AdamW" in lines[1] and "random 1" in lines[2]
    words = rest[3:]
    assert re.match(r"best recipe: val accuracy 0\.\d+ \(default AdamW 0\.\d+\), loss 0\.\d+ \(default AdamW 0\.\d+\)", words[0])
    assert any(line.startswith("test loss") and "measured once, at the end; nothing was chosen by it" in line for line in words)
    assert any(line.startswith("advice: ") for line in words)
    assert any(line.startswith("cost: 3 of 3 runs, 6 epochs in ") and line.endswith("core-seconds") for line in words)
    assert words[-1].startswith("s/recipe.toml is the recipe; s/trials/000") and words[-1].endswith("steepest show s")
    assert (place / "s" / "recipe.toml").exists()

    shown = dict(line.split("\t", 1) for line in said(capsys, "show", "s").splitlines()[:12])
    assert shown["task"] == "points" and shown["state"] == "budget" and shown["trials"] == "3" and shown["epochs"] == "6"
    assert shown["test"].endswith("(looked at once)")
    assert json.loads(said(capsys, "show", "s", "--json"))["answer"]["test"]["loss"] > 0
    listed = said(capsys, "list", "studies", ".").strip().split("\t")
    assert listed[:4] == ["s", "points", "3runs", "3"] and listed[-1] == "budget"
    again = said(capsys, "tune", "--resume", "s", "--workers", "1")
    assert "3 results of before" in again and words[0] in again
    assert "3 trials written; optuna-dashboard sqlite:///o.db" in said(capsys, "show", "s", "--optuna", "o.db")
    import optuna

    study = optuna.load_study(study_name="s", storage="sqlite:///o.db")
    assert len(study.trials) == 3 and study.best_value == pytest.approx(json.loads(said(capsys, "show", "s", "--json"))["answer"]["score"])
    assert "o.db exists already" in refused(capsys, "show", "s", "--optuna", "o.db")


def test_a_command_of_ones_own(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = said(
        capsys, "tune", "--space", "own.toml", "--budget", "4runs", "--sampler", "random", "--workers", "2", "--",
        sys.executable, "train.py", "{lr}", "{width}",
    )  # fmt: skip
    assert out.splitlines()[0] == "studies/train-1: the command, 2 choices, 4 runs, random, 2 workers"
    assert "best recipe: val accuracy 0.9" in out and "holds its output" in out and "AdamW" not in out
    assert (place / "studies/train-1/trials/0003/stdout.txt").read_text().startswith("some words\n")
    out = said(
        capsys, "tune", "--space", "own.toml", "--budget", "2runs", "--sampler", "random", "--objective", "accuracy", "--maximize",
        "--metric-regex", 'accuracy": (?P<accuracy>[0-9.]+)', "--", sys.executable, "train.py", "{lr}", "{width}",
    )  # fmt: skip
    found = json.loads(said(capsys, "show", "train-2", "--json"))
    best = max(line["metrics"]["accuracy"] for line in found["results"].values())
    assert found["answer"]["metrics"] == {"accuracy": best} and f"best recipe: val accuracy {best:.4g}" in out
    assert "the command names {lrr}, and the space has no lrr; did you mean lr?" in refused(
        capsys, "tune", "--space", "own.toml", "--", "python", "train.py", "{lrr}"
    )
    assert "a command of your own needs --space FILE" in refused(capsys, "tune", "--", "python", "train.py")
    assert "--recipe, --set, --folds and --centre are about tasks" in refused(capsys, "tune", "--folds", "3", "--", "python", "train.py")
    assert "has no group" in refused(capsys, "tune", "--space", "own.toml", "--metric-regex", "x", "--", "python", "{lr}", "{width}")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "say what to tune: a task, or after -- a command of your own"),
        (["nowhere.py"], "nowhere.py does not exist"),
        (["points.py", "--budget", "0runs"], "budget = '0runs' buys nothing; give a time"),
        (["points.py", "--budget", "soon"], "budget = 'soon' is not a time"),
        (["points.py", "--strategy", "rnadom"], "unknown strategy 'rnadom'; did you mean random?"),
        (["points.py", "--sampler", "tpe", "--stopper", "halve"], "unknown stopper 'halve'; did you mean halving?"),
        (["points.py", "--objective", "acuracy"], "objective = 'acuracy' is none of the task's; did you mean accuracy?"),
        (["points.py", "--objective", "loss,size"], "objective = 'size' is none of the task's"),
        (["points.py", "--workers", "0"], "--workers 0: at least one is needed"),
        (["points.py", "--width", "0"], "width = 0; it is a whole number from 1 on"),
        (["points.py", "--set", "stop.steps=5"], "a search counts in epochs, and the recipe says stop.steps; say stop.epochs instead"),
        (["points.py", "--space", "bad.toml"], "optimizer.lr has low = high"),
        (["points.py", "--out", "full"], "full exists already; or choose another folder"),
        (["points.py", "--maximize"], "--metric-regex and --maximize are about a command of your own"),
        (["--resume", "nowhere"], "there is no study at nowhere: it does not exist"),
        (["points.py", "--resume", "full"], "--resume full knows its task; leave points.py out"),
    ],
)
def test_mistakes_are_one_line(place: Path, capsys: pytest.CaptureFixture[str], argv: list[str], message: str) -> None:
    (place / "full").mkdir()
    (place / "full" / "thing").touch()
    (place / "bad.toml").write_text('[space]\n"optimizer.lr" = { low = 0.1, high = 0.1 }\n')
    assert message in refused(capsys, "tune", *argv)
    assert not (place / "studies").exists()


def test_a_single_training_has_no_default_beside_it(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, "tune", "points.py", "--space", "space.toml", "--budget", "1runs", "--strategy", "random", *SHORT)
    assert "the default AdamW was left out: it is a trial of studies of at least 2 full trainings" in out.splitlines()


def test_when_every_trial_fails_the_first_error_is_said(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "bad.toml").write_text('[space]\nonly = true\n"model.width" = [16]\n')
    argv = ["points.py", "--space", "bad.toml", "--strategy", "random", "--budget", "30runs", "--width", "1", *SHORT]
    error = refused(capsys, "tune", *argv)
    assert (
        "all 8 trials but the default AdamW ended without a score (failed); the first: " in error and "a width of 16 is not liked" in error
    )


def test_ctrl_c_and_on(place: Path) -> None:
    argv = ["tune", "points.py", "--space", "space.toml", "--budget", "40runs", "--strategy", "random", "--out", "s", *SHORT]
    code, out, err = stopped(place / "s", *argv)
    assert code == 130 and err == "" and out.splitlines()[-1] == "stopped; steepest tune --resume s goes on"


def test_the_table_on_a_terminal(place: Path) -> None:
    """A real terminal: the table moves, and what stays are the words at the end."""
    argv = ["tune", "points.py", "--space", "space.toml", "--budget", "2runs", "--strategy", "random", "--out", "s", *SHORT]
    text = on_a_terminal(*argv)
    assert "\x1b[" in text and "from" in text and "of 2 runs" in text and "━" in text and "best recipe: val accuracy" in text
    assert "Best loss over 4 epochs" in text and "100%" in text
    shown = on_a_terminal("show", "s")
    assert "Best loss over 4 epochs" in shown and "┤" in shown and "trial" in shown and "epochs" in shown and "random 0" in shown


def test_a_point_in_words() -> None:
    point = {
        "optimizer.rule": "lion",
        "lion.lr": 0.00123456,
        "optimizer.wrap.clip": {"norm": 1.0},
        "schedule.lr.shape": "cosine",
        "model.width": 8,
    }
    assert told(point, {"model.width": 8}) == "lion lr=0.00123 wrap.clip=norm 1.0 lr.shape=cosine"
    assert told({"a": None, "b": True}, {}) == "a=off b=True" and told({}, {}) == ""


def test_show_and_list_do_not_wait_for_torch(place: Path) -> None:
    (place / "s").mkdir()
    line = {"kind": "study", "step": 0, "version": 1, "task": "t", "objective": "loss", "better": "lower", "settings": {}}
    (place / "s" / "study.jsonl").write_text(json.dumps(line) + "\n")
    code = "import sys\nfrom steepest.cli.show import show_run\nfrom steepest.cli.studies import list_studies\n"
    code += "show_run('s', False, None)\nlist_studies('.')\nassert not {'torch', 'numpy', 'optuna'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True)
