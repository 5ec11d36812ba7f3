"""Small studies to carry out, in this process and in real ones; and what two of them have in common."""

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from steepest.search.conduct import Ended
from steepest.search.plan import Plan
from steepest.search.tune import Search
from steepest.train import taskfile
from steepest.train.recipe import Recipe

# A task whose width decides what happens to its trial: some widths are fatal.
TASK = """
import os
import signal
import time

import steepest as sp
import torch
from torch import nn

dice = torch.Generator().manual_seed(0)
x = torch.randn(240, 2, generator=dice)
y = (x[:, 0] * x[:, 1] > 0).long()


def model(width: int = 8):
    if width == 13:
        os.kill(os.getpid(), signal.SIGKILL)
    if width == 14:
        time.sleep(1000)
    if width == 15:
        raise MemoryError("no room for 15")
    if width == 16:
        raise ValueError("a width of 16 is not liked")
    if width == 17:
        os._exit(3)
    return nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, 2))


parts = {"train": (x[:160], y[:160]), "valid": (x[160:200], y[160:200]), "test": (x[200:], y[200:])}
task = sp.Task(model=model, data=parts, metrics=["accuracy"])
"""
SPACE = (
    {"name": "lr", "path": "optimizer.lr", "low": 1e-3, "high": 1e-1, "log": True},
    {"name": "model.width", "path": "model.width", "choices": [4, 8, 12]},
)


def widths(*chosen: int) -> tuple[dict[str, Any], ...]:
    return ({"name": "model.width", "path": "model.width", "choices": list(chosen)},)


def plan(folder: Path, **changes: Any) -> Plan:
    """A study of the task above: 3 epochs in full, by chance and halving unless it is said otherwise."""
    path = folder / "points.py"
    if not path.exists():
        path.write_text(TASK)
    base = Recipe().replace({"stop.epochs": 3, "batch.size": 16, "optimizer.engine": "reference"})
    said = {
        "name": "points", "space": SPACE, "budget": "4runs", "full": 3, "task": taskfile.find(str(path))[1], "base": base.toml(),
        "strategy": "random", "stopper": "halving", "width": 4,
    }  # fmt: skip
    return Plan(**said | changes)


def lines(folder: Path) -> list[str]:
    """Decisions and results in the order of decisions, and the answer: all of a study but time."""
    found = [json.loads(line) for line in (folder / "study.jsonl").read_text().splitlines()]
    for line in found:
        line.pop("time", None)
    order = {"study": 0, "job": 1, "result": 2, "answer": 3, "end": 4}
    known = [line for line in found if line["kind"] in order]
    return sorted(
        (json.dumps(line, sort_keys=True) for line in known), key=lambda text: (order[json.loads(text)["kind"]], json.loads(text)["step"])
    )


def whole(search: Search) -> Any:
    """The answer of a study that is carried out to its end, and the results on the way."""
    events = list(search.run())
    return events[-1], {event.job.number: event.result for event in events if isinstance(event, Ended)}


def main(folder: str, workers: str) -> None:
    """What a killed process runs: it begins, or goes on."""
    from steepest.search.tune import resumed

    path = Path(folder) / "study"
    begun = (path / "study.jsonl").exists() and (path / "study.jsonl").read_bytes().endswith(b"\n")
    if not begun and path.exists():
        for part in path.iterdir():  # killed before its first line was written; the lock may be held
            shutil.rmtree(part) if part.is_dir() else part.unlink() if part.name != "lock" else None
    whole(resumed(path, workers=int(workers)) if begun else Search(plan(Path(folder)), path, workers=int(workers)))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(*sys.argv[1:])
