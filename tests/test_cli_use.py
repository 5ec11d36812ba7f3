"""`steepest predict` for each kind of input, and what `steepest evaluate` says of classes, of noise and of attacks."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import wavfile

import steepest as sp
from steepest.cli.main import main
from steepest.data import gather
from steepest.data.parts import DataError
from steepest.train import taskfile
from steepest.train.confusion import confusion, per_class
from steepest.train.use import disturbed, measure, subject

TASKS = """
import steepest as sp
import torch
from torch import nn

dice = torch.Generator().manual_seed(0)
n = 120
side = torch.arange(n) % 2

# Class 1 is bright on the right, 0 on the left.
pixels = torch.randint(0, 60, (n, 1, 6, 8), generator=dice, dtype=torch.uint8)
for k in range(n):
    pixels[k, :, :, 4 * int(side[k]) : 4 * int(side[k]) + 4] += 180
network = lambda: nn.Sequential(nn.Flatten(), nn.Linear(48, 2))
gray = sp.Task(model=network, data=((pixels, side), (pixels[:40], side[:40]), (pixels[:30], side[:30])), metrics=["accuracy"])
level = sp.Task(model=network, data=(pixels.float() / 255, side))
scaled = gray.replace(preprocess=["scale", "standardize"])
color = sp.Task(model=lambda: nn.Sequential(nn.Flatten(), nn.Linear(144, 2)), data=(pixels.expand(-1, 3, -1, -1).contiguous(), side))

# Class 1 is the higher of two tones.
time = torch.arange(800) / 8000
waves = torch.stack([(2 * torch.pi * (400 + 1200 * int(k)) * time).sin() for k in side]) + 0.1 * torch.randn(n, 800, generator=dice)
bands = sp.data.Spectrogram(window=128, hop=80, bands=8, coefficients=4)
sound = sp.Task(model=lambda: nn.Sequential(nn.Flatten(), nn.Linear(44, 2)), data=(waves, side), preprocess=[bands, "standardize"])

texts = ["a fine day", "a bad day", "fine", "bad bad"] * 20
text = sp.Task(
    model=lambda: nn.Sequential(nn.Embedding(20, 4), nn.Flatten(), nn.Linear(12, 2)),
    data=(texts, [0, 1] * 40), preprocess=[sp.data.Vocabulary(size=20, length=3)], metrics=["accuracy"],
)
language = sp.Task(
    model=lambda: sp.models.recurrent_language(width=16),
    data=sp.data.language("abcabcabc" * 60, 9), preprocess=[sp.data.characters(9)],
)
people = [f"{k}, {'up' if k % 2 else 'down'}" for k in range(n)]
table = sp.Task(model=lambda: nn.Linear(3, 2), data=(people, side), preprocess=[sp.data.Columns(), "standardize"])
x = torch.randn(n, 3, generator=dice)
row = sp.Task(model=lambda: nn.Linear(3, 2), data=(x, (x[:, 0] > 0).long()), metrics=["accuracy"], class_weights="balanced")
number = sp.Task(model=lambda: nn.Linear(3, 1), data=(x, x.sum(1)), loss="mse")
alone = sp.Task(model=lambda: nn.Linear(3, 3), data=x, batch_loss=lambda model, batch: (model(batch[0]) - batch[0]).square().mean())
"""
NAMES = ["gray", "level", "scaled", "color", "sound", "text", "language", "table", "row", "number", "alone"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """A trained run of each task, by its name."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "tasks.py").write_text(TASKS)
    for name in NAMES:
        task, facts = taskfile.find(f"{folder / 'tasks.py'}:{name}")
        recipe = sp.Recipe({"optimizer": {"lr": 0.02}, "batch": {"size": 20}, "stop": {"epochs": 15}, "run": {"threads": 1}})
        for _ in sp.train(task, recipe, folder=folder / name, facts=facts):
            pass
    return folder


def told(capsys: pytest.CaptureFixture[str], *argv: str, also: str = "") -> str:
    """What stands on stdout; `also` is on stderr."""
    main([str(x) for x in argv])
    out, err = capsys.readouterr()
    assert re.search(also, err) if also else not err
    return out


def mistake(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    with pytest.raises(SystemExit) as end:
        main([str(x) for x in argv])
    out, err = capsys.readouterr()
    assert end.value.code == 2 and not out and err.count("\n") == 1
    return err


def said(line: str) -> tuple[str, float]:
    name, share = line.split("\t")
    return name, float(share)


# --- predict: images ----------------------------------------------------------------------------------


def half(right: bool, width: int = 8, height: int = 6) -> np.ndarray:
    pixels = np.full((height, width), 20, np.uint8)
    pixels[:, width // 2 if right else 0 : width if right else width // 2] = 220
    return pixels


@pytest.mark.parametrize("run", ["gray", "level", "scaled", "color"])
@pytest.mark.parametrize("suffix", ["png", "bmp", "PNG"])
def test_images(runs, tmp_path, capsys, run, suffix):
    for k in (0, 1):
        path = tmp_path / f"{k}.{suffix}"
        Image.fromarray(half(bool(k))).convert("RGB" if k else "L").save(path, format=suffix)
        name, share = said(told(capsys, "predict", runs / run, path))
        assert name == str(k) and share > 0.8


def test_an_image_is_what_its_pixels_are(runs, tmp_path, capsys):
    """As the same numbers from an array; on several inputs, each with its name."""
    pixels = half(True)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    np.save(tmp_path / "x.npy", pixels[None, None])
    np.save(tmp_path / "level.npy", pixels[None, None] / np.float32(255))
    for run, array in (("scaled", "x.npy"), ("level", "level.npy")):
        one, two = told(capsys, "predict", runs / run, tmp_path / "x.png", tmp_path / array).splitlines()
        assert one.split("\t")[0] == str(tmp_path / "x.png") and one.split("\t")[1:] == two.split("\t")[1:]
    told(capsys, "predict", runs / "scaled", tmp_path / "x.png", tmp_path / "x.npy", "--out", tmp_path / "y.npy")
    logits = np.load(tmp_path / "y.npy")
    assert logits.shape == (2, 2) and np.array_equal(logits[0], logits[1])


def test_an_image_of_another_size_is_resized_and_it_is_said(runs, tmp_path, capsys):
    Image.fromarray(half(True, 64, 48)).save(tmp_path / "x.jpg")
    out = told(capsys, "predict", runs / "gray", tmp_path / "x.jpg", also=r"x\.jpg: resized from 64 x 48 to 8 x 6 pixels")
    assert said(out)[0] == "1"


# --- predict: sound -----------------------------------------------------------------------------------


def tone(frequency: float, rate: int, seconds: float = 0.1) -> np.ndarray:
    wave = np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)
    return (wave + 0.1 * np.random.default_rng(0).normal(size=len(wave))).astype(np.float32)


@pytest.mark.parametrize(("frequency", "wanted"), [(400, "0"), (1600, "1")])
def test_sounds(runs, tmp_path, capsys, frequency, wanted):
    wavfile.write(tmp_path / "x.wav", 8000, tone(frequency, 8000))
    assert said(told(capsys, "predict", runs / "sound", tmp_path / "x.wav"))[0] == wanted
    # Longer ones are cut.
    wavfile.write(tmp_path / "long.wav", 8000, tone(frequency, 8000, 0.5))
    assert said(told(capsys, "predict", runs / "sound", tmp_path / "long.wav"))[0] == wanted
    # Of another rate, and stereo.
    wavfile.write(tmp_path / "y.wav", 16000, np.stack([tone(frequency, 16000)] * 2, 1))
    out = told(capsys, "predict", runs / "sound", tmp_path / "y.wav", also=r"y\.wav: resampled from 16,000 to 8,000 Hz")
    assert said(out)[0] == wanted


# --- predict: text and rows ---------------------------------------------------------------------------


def test_texts_and_rows_said_outright(runs, tmp_path, capsys):
    assert said(told(capsys, "predict", runs / "text", "a fine day"))[0] == "0"
    assert [x.split("\t")[:2] for x in told(capsys, "predict", runs / "text", "fine", "bad bad").splitlines()] == [
        ["fine", "0"],
        ["bad bad", "1"],
    ]
    (tmp_path / "x.txt").write_text("bad bad\nfine\n")
    assert [said(x)[0] for x in told(capsys, "predict", runs / "text", tmp_path / "x.txt").splitlines()] == ["1", "0"]
    assert [said(told(capsys, "predict", runs / "row", "--", x))[0] for x in ("3,0,0", "-3, 0.5, 1e-1")] == ["1", "0"]
    assert len(told(capsys, "predict", runs / "number", "1,2,3").split("\t")) == 1


def test_rows_with_words(runs, tmp_path, capsys):
    (tmp_path / "x.csv").write_text("7, up\n\n8, down\n")
    assert [said(x)[0] for x in told(capsys, "predict", runs / "table", tmp_path / "x.csv").splitlines()] == ["1", "0"]
    assert said(told(capsys, "predict", runs / "table", "7, up"))[0] == "1"
    assert "line 1: 3 columns, and there should be 2" in mistake(capsys, "predict", runs / "table", "7, up, 1")
    (tmp_path / "head.csv").write_text("age, way\n7, up\n")
    assert "could not convert string to float: 'age'" in mistake(capsys, "predict", runs / "table", tmp_path / "head.csv")


def test_a_language_model_says_what_comes_next(runs, capsys):
    for text, wanted in {"ab": "'c'", "abca": "'b'", "c": "'a'"}.items():
        assert said(told(capsys, "predict", runs / "language", text))[0] == wanted


def test_inputs_of_the_wrong_kind(runs, tmp_path, capsys):
    Image.fromarray(half(True)).save(tmp_path / "x.png")
    wavfile.write(tmp_path / "x.wav", 8000, tone(400, 8000))
    wavfile.write(tmp_path / "none.wav", 8000, np.zeros(0, np.int16))
    (tmp_path / "torn.png").write_bytes((tmp_path / "x.png").read_bytes()[:40])
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)).save(tmp_path / "noise.png")
    (tmp_path / "short.png").write_bytes((tmp_path / "noise.png").read_bytes()[:2000])
    (tmp_path / "torn.wav").write_bytes((tmp_path / "x.wav").read_bytes()[:60])
    (tmp_path / "no.png").write_bytes(b"nothing of the kind")
    (tmp_path / "no.wav").write_bytes(b"nothing of the kind")
    for run, path, message in [
        ("text", "x.png", "is an image, and the model was trained on texts"),
        ("sound", "x.png", r"is an image, and the model was trained on inputs of shape \(N, 800\)"),
        ("gray", "x.wav", r"is a sound, and the model was trained on inputs of shape \(N, 1, 6, 8\)"),
        ("text", "x.wav", "is a sound, and the model was trained on texts"),
        ("sound", "none.wav", "no samples|no WAV file"),
        ("sound", "torn.wav", "no WAV file that can be read"),
        ("sound", "no.wav", "no WAV file that can be read"),
        ("gray", "torn.png", "is no image that can be read"),
        ("gray", "short.png", "cannot be read: .*truncated"),
        ("gray", "no.png", "is no image that can be read"),
        ("gray", "nothing.png", "does not exist"),
        ("text", "nothing.txt", "does not exist"),
    ]:
        assert re.search(message, mistake(capsys, "predict", runs / run, tmp_path / path)), (run, path)
    assert "'some words' is no file, and no row of numbers with commas between them" in mistake(
        capsys, "predict", runs / "row", "some words"
    )
    assert "cannot take these inputs (shape (1, 2), float32)" in mistake(capsys, "predict", runs / "row", "1,2")


def test_a_run_from_before_inputs_were_described(runs, tmp_path, capsys):
    import shutil

    shutil.copytree(runs / "gray", tmp_path / "old")
    facts = json.loads((tmp_path / "old" / "preprocess.json").read_text())
    assert facts.pop("shape") == [1, 6, 8] and facts.pop("kind") == "uint8"
    (tmp_path / "old" / "preprocess.json").write_text(json.dumps(facts))
    Image.fromarray(half(True)).save(tmp_path / "x.png")
    assert "trained on inputs that its run does not describe; train it anew" in mistake(
        capsys, "predict", tmp_path / "old", tmp_path / "x.png"
    )


# --- evaluate: classes --------------------------------------------------------------------------------


def test_confusion_and_figures_of_classes(runs):
    found = subject(runs / "row", "train")
    with torch.no_grad():
        found.model.network.bias += torch.tensor([0.0, 3.0])  # type: ignore[operator]  # from here on it says 1 too often
    matrix = confusion(found)
    assert matrix[0, 1] > matrix[1, 0]
    x, y = gather(found.task.data).train.columns  # type: ignore[union-attr]
    with torch.no_grad():
        taken = found.model(x).argmax(1)
    assert matrix.tolist() == [[int(((y == a) & (taken == b)).sum()) for b in (0, 1)] for a in (0, 1)]
    from sklearn.metrics import precision_recall_fscore_support

    literal = precision_recall_fscore_support(y, taken, zero_division=0)
    for k, row in enumerate(per_class(matrix)):
        assert [row[name] for name in ("precision", "recall", "f1", "count")] == pytest.approx([float(x[k]) for x in literal])


def test_a_class_that_is_never_said_or_not_there():
    rows = per_class(torch.tensor([[3, 0, 0], [2, 0, 0], [0, 0, 0]]))
    assert rows[1] == {"class": 1, "count": 2, "precision": 0.0, "recall": 0.0, "f1": 0.0}
    assert rows[2]["count"] == 0 and rows[2]["f1"] == 0.0 and rows[0]["precision"] == 0.6


def test_classes_on_the_command_line(runs, capsys):
    found = json.loads(told(capsys, "evaluate", runs / "gray", "--split", "test", "--classes", "--json"))
    assert found["accuracy"] == measure(runs / "gray", "test")[0]["accuracy"]
    assert sum(map(sum, found["confusion"])) == 30 == sum(row["count"] for row in found["classes"])
    lines = told(capsys, "evaluate", runs / "gray", "--part", "test", "--classes").splitlines()
    empty = [k for k, line in enumerate(lines) if not line]
    assert lines[empty[0] + 1] == "class\tcount\tprecision\trecall\tf1" and lines[empty[1] + 1] == "class\tas 0\tas 1"
    assert lines[-1].split("\t") == ["1", *map(str, found["confusion"][1])]
    for run in ("number", "alone"):
        assert "a confusion matrix is of classes, and the loss of this task is of none" in mistake(
            capsys, "evaluate", runs / run, "--classes"
        )
    assert "needs outputs (N, C) and class numbers (N,)" in mistake(capsys, "evaluate", runs / "language", "--classes")


# --- evaluate: noise and attacks ----------------------------------------------------------------------


@pytest.mark.parametrize("run", ["gray", "scaled", "row", "sound"])
def test_noise_and_attacks_do_harm(runs, capsys, run):
    plain = json.loads(told(capsys, "evaluate", runs / run, "--json"))
    for option, size in (("--noise", "1.5"), ("--fgsm", "0.4")):
        worse = json.loads(told(capsys, "evaluate", runs / run, "--json", option, size))
        assert worse == json.loads(told(capsys, "evaluate", runs / run, "--json", option, size))  # the same each time
        assert worse["loss"] > 1.05 * plain["loss"]
    attacked = measure(runs / run, attack=0.05)[0]["loss"]
    assert attacked > measure(runs / run, noise=0.05)[0]["loss"] and attacked > plain["loss"]


def test_what_disturbs_is_what_it_says(runs):
    """Of pixels, in [0, 1] and before they are standardized; each moved by epsilon, to where the loss is greater."""
    found = subject(runs / "scaled", "valid")
    pixels = gather(found.task.data).valid.take(torch.arange(40))  # type: ignore[union-attr]
    deviation, still = found.model.preprocess.fitted[1]["deviation"], found.model.preprocess(pixels[0])
    moved = disturbed(found.model, found.objective, 0.0, 0.1)(pixels)[0]
    steps = (moved - still) * deviation
    assert float(steps.abs().max()) < 0.1 + 1e-5 and float(((steps.abs() - 0.1).abs() < 1e-5).double().mean()) > 0.9
    back = moved * deviation + found.model.preprocess.fitted[1]["mean"]
    assert float(back.min()) > -1e-5 and float(back.max()) < 1 + 1e-5
    back = disturbed(found.model, found.objective, 0.5, 0.0)(pixels)[0] * deviation + found.model.preprocess.fitted[1]["mean"]
    assert float(back.min()) > -1e-5 and float(back.max()) < 1 + 1e-5
    noisy = disturbed(found.model, found.objective, 0.01, 0.0)(pixels)[0]
    assert float(((noisy - still) * deviation).std()) == pytest.approx(0.01, rel=0.1)
    assert all(p.grad is None for p in found.model.parameters())


def test_what_cannot_be_disturbed(runs, capsys):
    for run, options, message in [
        ("text", ["--noise", "0.1"], "noise and attacks are for numbers, and these inputs are text, or tokens"),
        ("language", ["--fgsm", "0.1"], "noise and attacks are for numbers, and these inputs are text, or tokens"),
        ("alone", ["--fgsm", "0.1"], "an attack needs targets, and a loss of output and target"),
        ("gray", ["--noise", "-1"], "noise = -1 is outside [0, inf)"),
        ("gray", ["--fgsm", "nan"], "fgsm = nan is outside [0, inf)"),
    ]:
        assert message in mistake(capsys, "evaluate", runs / run, *options)
    assert "loss" in told(capsys, "evaluate", runs / "alone", "--noise", "0.1")


def test_answers_from_python(runs):
    from steepest.train.use import answers

    rows, outputs, warning = answers(runs / "text", "bad bad")
    assert rows[0][0] == 1 and outputs.shape == (1, 2) and warning is None
    with pytest.raises(DataError, match="does not exist"):
        answers(runs / "text", Path("bad bad"))  # a path is a path
    found: Any = sp.load(runs / "gray")
    assert found.preprocess.shape == [1, 6, 8]
