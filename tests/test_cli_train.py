"""The verbs train, resume, evaluate, predict and new, as a person meets them: in this process, in real ones, and on a terminal."""

import io
import json
import os
import pty
import random
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from rich.console import Console

from steepest import records
from steepest.cli.main import main
from steepest.cli.progress import Line, Pace, clock, digits, moving
from steepest.cli.train import free

STEEPEST = [sys.executable, "-W", "error", "-c", "from steepest.cli.main import main; main()"]

POINTS = """
import steepest as sp
import torch
from torch import nn

dice = torch.Generator().manual_seed(0)
x = torch.randn(240, 2, generator=dice)
y = (x[:, 0] * x[:, 1] > 0).long()


def model(width: int = 8):
    return nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, 2))


task = sp.Task(model=model, data=(x, y), metrics=["accuracy"], preprocess=["standardize"])
outputs = sp.Task(model=lambda: nn.Linear(2, 3), data=(x, x.sum(1, keepdim=True).expand(-1, 3)), loss="mse", preprocess=["standardize"])
game = sp.Task(model=lambda: nn.Linear(2, 2), data=x, batch_loss=lambda model, batch: (model(batch[0]) - batch[0]).square().mean())
"""

READER = """
import steepest as sp
from torch import nn

texts = ["a fine day", "a bad day", "fine", "bad bad"] * 20
task = sp.Task(
    model=lambda: nn.Sequential(nn.Embedding(20, 4), nn.Flatten(), nn.Linear(12, 2)),
    data=(texts, [0, 1] * 40), preprocess=[sp.data.Vocabulary(size=20, length=3)],
)
"""

SHORT = ["--set", "stop.epochs=2", "--set", "batch.size=32", "--set", "run.threads=1"]


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("my_task.py").write_text(POINTS)
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    main(list(argv))
    out, err = capsys.readouterr()
    assert not err
    return out


def mistake(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(list(argv))
    out, err = capsys.readouterr()
    assert end.value.code == 2 and out == "" and err.startswith("steepest: ") and err.count("\n") == 1, (argv, out, err)
    return err.removeprefix("steepest: ").rstrip("\n")


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """Three finished runs: of classes, of numbers, of text."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "my_task.py").write_text(POINTS)
    (folder / "reader.py").write_text(READER)
    for task, name in (("my_task.py", "classes"), ("my_task.py:outputs", "outputs"), ("reader.py", "texts"), ("my_task.py:game", "game")):
        main(["train", str(folder / task), *SHORT, "--set", "stop.epochs=8", "--set", "optimizer.lr=0.1", "--out", str(folder / name)])
    return folder


# --- from the first recipe to predictions ------------------------------------------------------------


def test_the_whole_way(here, capsys):
    assert told(capsys, "new", "my_task.py") == (
        "recipe.toml written; change what you like, then: steepest train my_task.py --recipe recipe.toml\n"
    )
    out = told(capsys, "train", "my_task.py", "--recipe", "recipe.toml", *SHORT)
    lines = out.splitlines()
    assert re.fullmatch(r"runs/my_task-1: 14 steps on \S+ with 1 thread: 42 parameters", lines[0])
    assert len(lines) == 5 and "\x1b" not in out and "\r" not in out
    assert re.fullmatch(r"epoch 1  step 7/14  loss \S+ +accuracy \S+ +lr 0.001 +[\d,.]+ samples/s", lines[1])
    assert re.fullmatch(r"best accuracy \S+ at step (7|14), after 14 steps in \d+ s", lines[3])
    assert lines[4] == "runs/my_task-1/model.safetensors holds these weights; steepest show runs/my_task-1"
    found = json.loads(told(capsys, "evaluate", "runs/my_task-1", "--json"))
    assert found["accuracy"] == pytest.approx(records.run("runs/my_task-1").summary.best)
    plain = dict(line.split("\t") for line in told(capsys, "evaluate", "runs/my_task-1").splitlines())
    assert plain.keys() == {"loss", "accuracy"} and float(plain["loss"]) == pytest.approx(found["loss"], rel=1e-5)
    assert told(capsys, "evaluate", "runs/my_task-1", "--part", "train").startswith("loss\t")
    assert told(capsys, "resume", "runs/my_task-1").startswith("runs/my_task-1 is finished already: 14 steps; steepest resume")
    longer = told(capsys, "resume", "runs/my_task-1", "--set", "stop.epochs=3")
    assert "step 21/21" in longer and "after 21 steps" in longer
    assert told(capsys, "train", "my_task.py", *SHORT).startswith("runs/my_task-2: 14 steps on ")


def test_folds(here, capsys):
    out = told(capsys, "train", "my_task.py", *SHORT, "--folds", "3", "--out", "run")
    best = [records.run(f"run/fold-{k}").summary.best for k in range(3)]
    assert f"best accuracy of 3 folds: {sum(best) / 3:.4g}, deviation " in out
    # The fold is found again by evaluate and by resume: 80 of 240 samples are its validation part.
    _, accuracy = (float(line.split("\t")[1]) for line in told(capsys, "evaluate", "run/fold-1").splitlines())
    assert accuracy == pytest.approx(best[1], abs=1e-5) and accuracy * 80 == pytest.approx(round(accuracy * 80), abs=1e-3)
    told(capsys, "resume", "run/fold-1", "--set", "stop.epochs=3")
    assert records.run("run/fold-1").summary.steps == 15
    assert mistake(capsys, "train", "my_task.py", "--folds", "1") == "Task.folds = 1; cross-validation needs at least 2, and 0 is none"


def test_finding(here, capsys):
    asked = ["find", "rate", "my_task.py:outputs", *SHORT, "--set", "optimizer.rule=sgd", "--low", "1e-4"]
    out = told(capsys, *asked, "--out", "rate.html")
    rate, command = out.splitlines()
    assert re.fullmatch(r"rate [\d.e-]+: half the rate at which the smoothed loss is lowest, .*", rate)
    assert command == f"steepest train {' '.join(asked[2:-2])} --set optimizer.lr={rate.split()[1].rstrip(':')}"
    assert Path("rate.html").stat().st_size > 10_000
    found = json.loads(told(capsys, *asked, "--json"))
    assert f"{found['suggestion']:.2g}" == rate.split()[1].rstrip(":") and len(found["rates"]) == len(found["losses"])
    assert told(capsys, "find", "rate", "my_task.py", "--low", "1e-9", "--high", "1e-8", "--steps", "20").startswith("no rate to suggest: ")
    assert told(capsys, "find", "batch", "my_task.py", "--limit", "32") == "batch 32: nothing bounded it up to 32: more may fit\n"
    assert json.loads(told(capsys, "find", "batch", "my_task.py", "--limit", "32", "--memory", "900G", "--json"))["budget"] == 900 * 2**30
    noise = json.loads(told(capsys, "find", "noise", "my_task.py", "--size", "2", "--micro", "8", "--json"))
    assert noise["measurements"] == 8 and "critical_batch" in noise
    assert not Path("runs").exists(), "nothing is written but the picture"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["find"], "Missing command."),
        (["find", "rat", "my_task.py"], "No such command 'rat'"),
        (["find", "rate", "my_task.py", "--low", "1", "--high", "0.1"], "rates must grow, 0 < low < high"),
        (["find", "rate", "my_task.py", "--steps", "40", "--out", "x.pdf", *SHORT], "a chart is a .png, .svg or .html, not 'x.pdf'"),
        (["find", "batch", "my_task.py", "--memory", "6Q"], "--memory 6Q is no size; say 6G, 800M, or a number of bytes"),
        (["find", "noise", "my_task.py", "--size", "100"], "need 12800 samples, and there are 216"),
    ],
)
def test_what_cannot_be_found(argv, message, here, capsys):
    assert message in mistake(capsys, *argv)


def test_folders_are_free_and_stay_where_they_belong(tmp_path):
    (tmp_path / "a-1").mkdir()
    assert free(tmp_path, "a") == tmp_path / "a-2"
    for name, wanted in (("../../etc/x", "etc-x-1"), ("a b[c]", "a-b-c-1"), ("..", "run-1"), ("", "run-1"), ("é", "é-1")):
        assert free(tmp_path, name) == tmp_path / wanted


def test_odd_names(here, capsys):
    """Brackets are no markup, and blanks are quoted in what one may copy."""
    Path("my [bold] task.py").write_text(POINTS)
    assert told(capsys, "new", "my [bold] task.py").endswith("steepest train 'my [bold] task.py' --recipe recipe.toml\n")
    out = told(capsys, "train", "my [bold] task.py", *SHORT, "--out", "a[b]c")
    assert out.startswith("a[b]c: 14 steps on ") and "a[b]c/model.safetensors" in out


def test_a_changed_task_is_said_and_is_no_answer(here, capsys):
    told(capsys, "train", "my_task.py", *SHORT, "--out", "run")
    Path("my_task.py").write_text(POINTS + "# changed\nprint('noise')\n")
    np.save("x.npy", np.zeros((3, 2), np.float32))
    for argv in (["evaluate", "run", "--json"], ["predict", "run", "x.npy"]):
        main(argv)
        out, err = capsys.readouterr()
        assert "my_task.py has changed since the run began" in err and "noise" in err
        assert json.loads(out) if "--json" in argv else len(out.splitlines()) == 3
    main(["resume", "run", "--set", "stop.epochs=3"])
    assert capsys.readouterr().out.startswith("warning: ")


def test_a_torn_checkpoint_is_one_line(here, capsys):
    told(capsys, "train", "my_task.py", *SHORT, "--set", "run.checkpoint_every=3 steps", "--out", "run")
    newest = max(Path("run/checkpoints").iterdir())
    (newest / "state.safetensors").write_bytes(b"torn")
    import warnings

    with warnings.catch_warnings():  # elsewhere in the tests they are errors
        warnings.simplefilter("default")
        out = told(capsys, "resume", "run", "--set", "stop.epochs=3")
    assert out.startswith(f"warning: {newest.name}: ") and ".py" not in out and "after 21 steps" in out


# --- predictions ---------------------------------------------------------------------------------------


def test_predictions(trained, tmp_path, capsys):
    x = np.random.default_rng(0).normal(size=(5, 2))
    np.save(tmp_path / "x.npy", x)
    np.savetxt(tmp_path / "x.csv", x, delimiter=",", fmt="%.9g")
    (tmp_path / "bom.csv").write_text("\ufeff" + (tmp_path / "x.csv").read_text(), encoding="utf-8")
    rows = [line.split("\t") for line in told(capsys, "predict", str(trained / "classes"), str(tmp_path / "x.npy")).splitlines()]
    assert len(rows) == 5 and {int(c) for c, _ in rows} <= {0, 1} and all(0.5 <= float(p) <= 1 for _, p in rows)
    for name in ("x.csv", "bom.csv"):
        assert told(capsys, "predict", str(trained / "classes"), str(tmp_path / name)).splitlines() == ["\t".join(row) for row in rows]
    out = tmp_path / "out.npy"
    assert told(capsys, "predict", str(trained / "classes"), str(tmp_path / "x.npy"), "--out", str(out)) == ""
    logits = np.load(out)
    assert [int(c) for c, _ in rows] == logits.argmax(1).tolist()
    told(capsys, "predict", str(trained / "outputs"), str(tmp_path / "x.npy"), "--out", str(tmp_path / "out.txt"))
    assert [len(line.split("\t")) for line in (tmp_path / "out.txt").read_text().splitlines()] == [3] * 5
    assert len(told(capsys, "predict", str(trained / "game"), str(tmp_path / "x.npy")).split("\t")) == 6  # numbers, no classes


def test_predictions_of_texts(trained, tmp_path, capsys):
    (tmp_path / "x.txt").write_text("a fine day\n\nbad \x0c bad\r\nfine", encoding="utf-8")
    rows = told(capsys, "predict", str(trained / "texts"), str(tmp_path / "x.txt")).splitlines()
    assert len(rows) == 4 and [row[0] for row in (rows[0], rows[2], rows[3])] == ["0", "1", "0"]


def test_inputs_that_no_model_takes(trained, tmp_path, capsys):
    def put(name: str, array) -> str:
        np.save(tmp_path / name, array)
        return str(tmp_path / name)

    def write(name: str, text: bytes) -> str:
        (tmp_path / name).write_bytes(text)
        return str(tmp_path / name)

    run = str(trained / "classes")
    for path, message in {
        put("a.npy", np.zeros((4, 3), np.float32)): r"inputs of shape \(4, 3\) cannot be standardized: what was learned is for \(N, 2\)",
        put("b.npy", np.zeros((4, 1), np.float32)): "cannot be standardized",
        put("c.npy", np.float32(3)): "cannot be standardized",
        put("d.npy", np.zeros((0, 2), np.float32)): "is empty",
        put("e.npy", np.array(["a", None], object)): "cannot be read: Object arrays cannot be loaded",
        put("f.npy", np.zeros((2, 2), complex)): "holds complex128, which is no number",
        put("g.npy", np.array(["a", "b"])): "the model cannot take these inputs",
        write("h.npy", b"\x93NUMPY\x01\x00"): "cannot be read",
        write("i.npy", b"nonsense"): "cannot be read",
        write("j.csv", b"a,b\n1,2\n"): "cannot be read: could not convert string 'a'",
        write("k.csv", b"1,2\n3\n"): "cannot be read: .* columns",
        write("l.csv", b""): "is empty",
        write("m.csv", b"\xff\xfe"): "cannot be read",
        write("n.txt", b""): "is empty",
        write("o.txt", b"some text\n"): r"the model cannot take these inputs \(text\)",
        write("p.txt", b"\xff\n"): "cannot be read",
        write("q.xyz", b""): r"inputs are read from \.npy, \.csv, \.txt, \.png",
        str(tmp_path): "does not exist",
        str(tmp_path / "nothing.npy"): "does not exist",
    }.items():
        assert re.search(message, mistake(capsys, "predict", run, path)), path
    numbers = put("numbers.npy", np.zeros((4, 5), np.float32))
    assert "the model cannot take these inputs (shape (4, 5), float32): " in mistake(capsys, "predict", str(trained / "texts"), numbers)
    fine = put("fine.npy", np.zeros((4, 2), np.float64))
    for out in (tmp_path / "no" / "x.npy", tmp_path / "no" / "x.txt", tmp_path):
        assert mistake(capsys, "predict", run, fine, "--out", str(out)).endswith(("No such file or directory", "Is a directory"))
    for kind in (np.int64, np.uint8, np.float16, ">f8", bool):
        assert len(told(capsys, "predict", run, put("kind.npy", np.ones((4, 2), kind))).splitlines()) == 4


# --- mistakes ------------------------------------------------------------------------------------------

VALUES = [
    "nonsense", "optimizer.lr", "optimizer.lr=-1", "optimizer.lr=abc", "optimizer.momentun=1", "=", "=3", "optimizer=3", ".=1",
    "a.b.c=1", "optimizer.rule=adamv", "batch.size=0", "batch.size=1.5", "stop.epochs=-1", "stop.metric=", "model.widht=3",
    "model.width=wide", "schedule.lr={shape='cosin'}", "schedule.lr={", "regularize.dropout=2", "run.device=tpu",
    "init.plan=outo", "run.evaluate_every=sometimes", "driver.name=tram", "optimizer.wrap.clap.norm=1", "\x00", "[",
    "optimizer.lr=nan", "run.seed=-1", "é=1",
]  # fmt: skip


def malformed(dice: random.Random) -> list[str]:
    """A command line with one thing wrong."""
    setting = dice.choice([v for v in VALUES if v != "stop.metric="])
    return dice.choice(
        [
            ["train", "digits-mlp", "--set", setting],
            ["train", "my_task.py", "--set", "optimizer.lr=1e-3", "--set", setting],
            ["train", "digits-mlp", "--recipe", dice.choice(["nothing.toml", "tunde", "", ".", "my_task.py", "broken.toml"])],
            [
                "train",
                dice.choice(["nothing.py", "my_task", "my_task.py:nothing", "my_task.py:x", "digits_mlp", "", ".", "runs", "lenet5-mnist"]),
            ],
            ["train", "digits-mlp", "--out", dice.choice(["full", "my_task.py", "my_task.py/x", "/proc/nothing", "\0"])],
            ["train", "digits-mlp", dice.choice(["--sett", "--set", "--out", "extra", "-x"])],
            ["train"],
            ["resume", dice.choice(["nothing", "full", "my_task.py", "", "."])],
            ["resume", "full", "--set", setting],
            ["evaluate", dice.choice(["nothing", "full", "my_task.py"]), *dice.choice([[], ["--json"], ["--part", "valid"]])],
            ["evaluate", "nothing", "--part", "vaild"],
            ["predict", dice.choice(["nothing", "full"]), dice.choice(["nothing.npy", "my_task.py", "x.npy"])],
            ["predict", "full"],
            ["new", dice.choice(["nothing.py", "digits", "my_task.py:y"])],
            ["new", "digits-mlp", "--out", dice.choice(["full", "my_task.py", "no/where.toml", "my_task.py/x.toml"])],
        ]
    )


def test_three_hundred_malformed_command_lines(here, capsys, monkeypatch):
    monkeypatch.delenv("STEEPEST_DATA", raising=False)
    Path("full").mkdir()
    Path("full/something").write_text("x")
    Path("broken.toml").write_text("[optimizer\nlr = 1")
    np.save("x.npy", np.zeros((3, 2)))
    before = sorted(here.rglob("*"))
    dice = random.Random(0)
    for _ in range(300):
        mistake(capsys, *malformed(dice))
    assert [path for path in sorted(here.rglob("*")) if "__pycache__" not in str(path)] == before


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["train", "digits-mlp", "--set", "nonsense"], "--set 'nonsense' must be PATH=VALUE, such as optimizer.lr=3e-3"),
        (
            ["train", "lenet5-mnist"],
            "mnist is not complete, and STEEPEST_OFFLINE is set: put train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, "
            "t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz into a folder mnist/, and set STEEPEST_DATA to the folder around it",
        ),
        (["train", "digits-mpl"], "'digits-mpl' is neither a Python file nor a built-in task; did you mean digits-mlp?"),
        (["train", "digits-mlp", "--recipe", "fast"], "digits-mlp has no recipe 'fast'; give the name of a file, or one of plain, tuned"),
        (["train", "my_task.py", "--out", "full"], "full exists already; or choose another folder"),
        (["new", "my_task.py", "--out", "my_task.py"], "my_task.py exists already; choose another name with --out"),
        (["train", "my_task.py", "--set", "stop.metric=f1"], "stop.metric = 'f1' is none of loss, accuracy"),
    ],
)  # fmt: skip
def test_what_mistakes_say(argv, message, here, capsys, monkeypatch):
    monkeypatch.delenv("STEEPEST_DATA", raising=False)
    Path("full").mkdir()
    Path("full/something").write_text("x")
    if "stop.metric=f1" in argv:
        with pytest.raises(SystemExit) as end:
            main(argv)
        assert end.value.code == 2 and message in capsys.readouterr().err
    else:
        assert mistake(capsys, *argv) == message


def test_evaluate_and_predict_what_is_not_there(trained, tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.zeros((3, 2), np.float32))
    assert "unknown part 'vaild'; did you mean valid?" in mistake(capsys, "evaluate", str(trained / "classes"), "--part", "vaild")
    assert "the task has no test data" in mistake(capsys, "evaluate", str(trained / "classes"), "--part", "test")
    shutil.copytree(trained / "classes", tmp_path / "half")
    (tmp_path / "half" / "model.safetensors").unlink()
    for argv in (["evaluate", str(tmp_path / "half")], ["predict", str(tmp_path / "half"), str(tmp_path / "x.npy")]):
        assert "is not finished: it has no model.safetensors; steepest resume" in mistake(capsys, *argv)


# --- real processes ------------------------------------------------------------------------------------


@contextmanager
def started(*argv: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that Ctrl-C reaches, although tests in the background ignore it; gone afterwards, whatever happens."""
    environment = {name: x for name, x in os.environ.items() if name not in ("FORCE_COLOR", "STEEPEST_DATA")}
    pipe, heed = subprocess.PIPE, lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen([*STEEPEST, *argv], cwd=folder, env=environment, text=True, stdout=pipe, stderr=pipe, preexec_fn=heed) as process:
        try:
            yield process
        finally:
            process.kill()


def test_ctrl_c_loses_nothing(here):
    """As many steps as would take minutes; stopped in the middle; gone on with to an end that comes sooner."""
    with started("train", "my_task.py", *SHORT, "--set", "stop.epochs=100000", "--out", "run", folder=here) as process:
        assert process.stdout
        for _ in range(5):
            assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and err == ""
    assert out.endswith("stopped; steepest resume run goes on from the last checkpoint\n")
    kept = max(int(path.name.removeprefix("step-")) for path in Path("run/checkpoints").iterdir())
    assert kept > 0 and not Path("run/model.safetensors").exists()
    with started("resume", "run", "--set", f"stop.epochs={kept // 7 + 3}", folder=here) as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and err == ""
    steps = [line["step"] for line in records.run("run").lines("step")]
    assert steps == list(range((kept // 7 + 3) * 7)) and Path("run/model.safetensors").exists()


def test_ctrl_c_between_two_steps_saves_before_the_verb_ends(here, capsys, monkeypatch):
    """It may strike while the line is drawn, outside the loop: the loop is closed, and so the last moment is on the disk."""
    original = Line.show

    def show(self, step):
        original(self, step)
        if step.number == 10:
            raise KeyboardInterrupt

    monkeypatch.setattr(Line, "show", show)
    with pytest.raises(SystemExit) as end:  # which holds the frames, and in them the loop
        main(["train", "my_task.py", *SHORT, "--out", "run"])
    assert end.value.code == 130 and [path.name for path in Path("run/checkpoints").iterdir()][-1:] == ["step-000000007"]
    monkeypatch.setattr(Line, "show", original)
    capsys.readouterr()
    assert "after 14 steps" in told(capsys, "resume", "run")


def test_ctrl_c_before_the_first_step(here):
    Path("slow.py").write_text(POINTS.replace("dice =", "print('reading', flush=True)\nimport time\ntime.sleep(60)\ndice ="))
    with started("train", "slow.py", "--out", "run", folder=here) as process:
        assert process.stderr and process.stderr.readline() == "reading\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 130 and out == "stopped before the first step\n" and err == ""
        assert not Path("run").exists()


def test_mistakes_in_a_real_process(here):
    Path("bad.py").write_text("x = 1\ny = x / 0\n")
    with started("train", "bad.py", folder=here) as process:
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err) == (2, "", "steepest: bad.py, line 2: ZeroDivisionError: division by zero\n")


# --- on a terminal ---------------------------------------------------------------------------------------


def on_terminal(*argv: str, columns: int, folder: Path) -> str:
    leader, follower = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    terminal = {"TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": "30"}
    process = subprocess.Popen([*STEEPEST, *argv], cwd=folder, stdout=follower, env=kept | terminal)
    os.close(follower)
    shown = b""
    try:
        while block := os.read(leader, 65536):
            shown += block
    except OSError:
        pass
    os.close(leader)
    assert process.wait() == 0
    return shown.decode()


def test_the_moving_line_is_one_line_and_goes_away(here):
    shown = on_terminal("train", "my_task.py", *SHORT, "--set", "stop.epochs=30", columns=70, folder=here)
    frames = [line for line in re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)) if "━" in line]
    assert len(frames) > 10 and max(map(len, frames)) < 70
    assert all(re.match(r"━{10} +\d+ %  epoch \d+ ", frame) for frame in frames)
    # A column stays where it is.
    assert len({frame.index("loss") for frame in frames if "left" in frame}) == 1
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1  # the cursor comes back
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).splitlines()[-2:]
    assert last[0].startswith("best accuracy") and last[1].startswith("runs/my_task-1/model.safetensors")


def step(number: int, **changes) -> SimpleNamespace:
    usual = dict(number=number, steps=100, epoch=number // 10, loss=0.25, rate=1e-3, samples=32, evaluation=None, event=None)
    return SimpleNamespace(**{**usual, **changes})


def test_the_first_step_does_not_count_for_speed():
    pace = Pace()
    pace.add(step(20), 100.0)  # resumed; however long the first step took
    assert pace.speed is None and pace.left(100) is None
    for k in range(1, 5):
        pace.add(step(20 + k), 100.0 + k)
    assert pace.speed == 32.0 and pace.left(100) == 75.0
    pace.add(step(10), 106.0)  # rolled back
    assert pace.left(100) is None


def test_a_line_at_every_width():
    pace = Pace()
    for k in range(3):
        pace.add(step(k), float(k))
    for width in range(20, 140):
        text = moving(step(2), "accuracy 0.9510", pace, width)
        assert text.cell_len < max(width, 22) and "\n" not in text.plain
    whole = "━━━━━━━━━━   3 %  epoch 1   1:37 left  loss 0.2500   accuracy 0.9510  lr 0.001     32 samples/s"
    assert moving(step(2), "accuracy 0.9510", pace, 100).plain == whole
    assert moving(step(2), "accuracy 0.9510", pace, 90).plain == whole.removesuffix("  32 samples/s")
    assert moving(step(2), "", pace, 140).plain.endswith("lr 0.001     32 samples/s")
    assert moving(step(99), "", pace, 140).plain.startswith("━" * 10 + " 100 %")


def test_events_and_silence(monkeypatch):
    import steepest.cli.progress as room

    now = 0.0
    monkeypatch.setattr(room, "monotonic", lambda: now)
    out = Console(width=10_000, force_terminal=False, record=True, file=io.StringIO())
    with Line(out) as line:
        for k in range(100):
            now = 10.0 * k
            line.show(step(k, event={"message": "step 7: NaN [in] the loss; back to step 0"} if k == 7 else None))
    shown = out.export_text().splitlines()
    assert "step 7: NaN [in] the loss; back to step 0" in shown
    lines = [text for text in shown if text.startswith("epoch")]
    assert 10 <= len(lines) <= 16 and lines[0].startswith("epoch 1  step 8/100  loss 0.2500")  # one a minute
    assert lines[0].endswith("3.2 samples/s")


def test_numbers_and_clocks():
    assert [digits(x).strip() for x in (0.12345, 12.345, 1234.5, 123456.0, 1e-5, 0.0, float("nan"))] == [
        "0.1235", "12.35", "1234", "1.235e+05", "1.000e-05", "0.000", "nan"]  # fmt: skip
    assert [clock(x) for x in (0.4, 12, 59.6, 65, 3600, 7325)] == ["0 s", "12 s", "1:00", "1:05", "1:00:00", "2:02:05"]


def test_verbs_leave_the_random_state_of_this_process_alone(here, capsys):
    told(capsys, "train", "my_task.py", *SHORT, "--out", "run")
    before = torch.get_rng_state()
    told(capsys, "evaluate", "run")
    assert torch.equal(before, torch.get_rng_state())
