"""Small tasks to train, and what two runs of one recipe have in common."""

import json
from collections import deque
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from steepest.core.task import Task
from steepest.train.recipe import Recipe
from steepest.train.run import resume, train


def points(n: int = 240, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two classes that a small network separates."""
    dice = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 2, generator=dice)
    return x, (x[:, 0] * x[:, 1] > 0).long()


def small(width: int = 8, norm: bool = False, dropout: float = 0.0) -> nn.Module:
    layers: list[nn.Module] = [nn.Linear(2, width)]
    layers += [nn.BatchNorm1d(width)] if norm else []
    layers += [nn.ReLU()]
    layers += [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(*layers, nn.Linear(width, 2))


def task(**changes: Any) -> Task:
    return Task(**{"model": small, "data": points(), "metrics": ["accuracy"], **changes})


def recipe(**changes: Any) -> Recipe:
    """24 steps an epoch; keys with `__` for the dot: `stop__epochs=3`."""
    base = {"batch.size": 9, "stop.epochs": 4, "run.threads": 1, "run.checkpoint_every": "7 steps", "optimizer.lr": 0.02}
    return Recipe().replace(base | {key.replace("__", "."): value for key, value in changes.items()})


def lines(folder: Path) -> list[dict[str, Any]]:
    """The record without what two runs do not share."""
    found = [json.loads(line) for line in (folder / "record.jsonl").read_text().splitlines()]
    for line in found:
        line.pop("time", None)
    return found


def last(steps: Any) -> Any:
    """Run to the end; the last step."""
    (step,) = deque(steps, maxlen=1) or (None,)
    return step


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: x.detach().clone() for name, x in model.state_dict().items()}


# What a killed child process runs: it begins, or goes on.

RICH = {
    "stop.epochs": 6, "optimizer.wrap": {"clip": {"norm": 1.0}, "average": {}}, "schedule.lr": {"shape": "warmup_cosine", "warmup": "10%"},
    "schedule.batch": {"shape": "step", "at": ["50%"], "factor": 2.0}, "regularize.dropout": 0.1, "regularize.mixup": 0.2,
    "regularize.label_smoothing": 0.05, "model.norm": True,
}  # fmt: skip


def begin_or_resume(folder: str) -> None:
    path = Path(folder)
    rich = Recipe().replace(recipe().changes() | RICH)
    if (path / "record.jsonl").exists() and (path / "record.jsonl").stat().st_size:
        last(resume(path, task(), health=10))
    else:
        if path.exists():
            for file in path.iterdir():
                file.unlink()
        last(train(task(), rich, folder=path, health=10))
