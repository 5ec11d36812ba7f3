"""Each experiment runs from end to end on a small scale: table, picture, verdict with n and interval."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).parent.parent / "experiments"
SMALL = {"he_vs_xavier": ["--steps", "2"], "vanishing": ["--steps", "1"], "loss_at_init": []}


def test_all_are_here() -> None:
    assert {path.stem for path in EXPERIMENTS.glob("*.py")} == {*SMALL, "common"}


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_runs(name: str, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    command = [sys.executable, "-W", "error", EXPERIMENTS / f"{name}.py", "--seeds", "2", *SMALL[name], "--png", picture]
    done = subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "n = 2" in done.stdout and "[" in done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")
