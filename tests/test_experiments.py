"""Each experiment runs from end to end on a small scale: table, picture, verdict with n and interval."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from steepest import schedules

EXPERIMENTS = Path(__file__).parent.parent / "experiments"
SMALL = {
    "he_vs_xavier": ["--steps", "2"],
    "vanishing": ["--steps", "1"],
    "loss_at_init": ["--runs", "2", "--steps", "2"],
    "batch_growth": ["--tuning", "1", "--epochs", "2"],
    "batch_size": ["--tuning", "1", "--epochs", "1", "--steps", "2"],
    "l2_or_decay": ["--fresh", "2", "--steps", "2"],
    "regularizers": ["--tuning", "1", "--epochs", "1"],
    "clipping": ["--tuning", "1", "--steps", "2"],
}


def test_all_are_here() -> None:
    others = {"common", "runs", "small", "grounds", "cards", "tasks", "portfolio", "comparisons"}
    assert {path.stem for path in EXPERIMENTS.glob("*.py")} == {*SMALL, *others}


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_runs(name: str, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    command = [sys.executable, "-W", "error", EXPERIMENTS / f"{name}.py", "--seeds", "2", *SMALL[name], "--png", picture]
    done = subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "n = 2" in done.stdout and "[" in done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An experiment's module by name."""
    monkeypatch.syspath_prepend(EXPERIMENTS)
    return import_module


def test_choices_are_made_on_validation_data_with_other_seeds(room: Any) -> None:
    runs, seen = room("runs"), []

    def run(choice: float, seed: int) -> Any:
        seen.append(seed)
        return runs.Figures(valid_loss=choice, valid=0.5 if choice < 0.2 else 0.9, test_loss=0.0, test=1 - choice, steps=1)

    assert runs.best((0.1, 0.3, 0.2), run, 2) == 0.2  # the most right; of two alike, the one with less loss
    assert min(seen) >= runs.TUNING


def test_a_verdict_comes_out_each_way(room: Any) -> None:
    runs = room("runs")
    pairs = [1.0, 2.0, 3.0], [1.4, 2.5, 3.6]
    assert [runs.verdict(runs.gap(a, b), "more", "less") for a, b in (pairs, pairs[::-1])] == ["more", "less"]
    pairs = [1.0, 2.0, 3.0], [3.5, 2.0, 1.0]
    assert [runs.verdict(runs.gap(a, b), "more", "less") for a, b in (pairs, pairs[::-1])] == ["not distinguishable"] * 2


def test_batch_growth_is_that_of_grow_batch(room: Any) -> None:
    arms, fall = room("batch_growth").ARMS, room("batch_growth").FALL
    said, grown = schedules.read(arms["batch grows"]["batch"]), schedules.read(schedules.grow_batch(fall)["batch"])
    assert [said(x) for x in (0.0, 0.6, 0.9)] == [grown(x) for x in (0.0, 0.6, 0.9)] == [1.0, 4.0, 16.0]


def test_separability(room: Any) -> None:
    """A bowl whose best decay stays has slope 0 and costs nothing; where only lr × decay counts, slope -1, and it costs."""
    l2 = room("l2_or_decay")
    stays = {(lr, d): abs(i - 2) + abs(j - 3.0) for i, lr in enumerate(l2.RATES) for j, d in enumerate(l2.SHARES)}
    falls = {(lr, d): abs(i + j - 5.0) + abs(i - 1) / 4 for i, lr in enumerate(l2.RATES) for j, d in enumerate(l2.SHARES)}
    assert (l2.moves("L2", stays), l2.cost("L2", stays)) == (pytest.approx(0), 0)
    assert l2.moves("L2", falls) == pytest.approx(-1, abs=0.05) and l2.cost("L2", falls) > 0.1
