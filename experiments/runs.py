"""What the experiments on training share: digits in three parts, what a run came to, the best of a grid. Not a library."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from math import exp, log
from statistics import mean
from typing import Any, NamedTuple

import torch
from common import digits, interval
from sklearn.model_selection import train_test_split
from torch import Tensor
from torch.nn.functional import cross_entropy

import steepest as sp
from steepest.train.guard import TrainingError

# Rates and strengths are chosen with these seeds, which have nothing to do with those of the figures.
TUNING = 1000
BLUE, RED, GREEN, GRAY = "#2a6fbb", "#c8452d", "#3c8c5a", "#8a8a8a"
Part = tuple[Tensor, Tensor]
_digits = cache(digits)


class Figures(NamedTuple):
    """Of the weights that a run leaves; where it broke, those of a guess."""

    valid_loss: float
    valid: float
    test_loss: float
    test: float
    steps: int
    broke: bool = False


def digit_task(seed: int, train: int, valid: int | None = None, model: Any = sp.models.mlp) -> sp.Task:
    """Digits: `train` to learn from, `valid` (or the rest) to choose by, drawn by the seed from 1297; always the same 500 to judge by."""
    x, y, *test = _digits()
    rows, rest = train_test_split(range(len(y)), train_size=train, random_state=seed, stratify=y)
    parts = [(x[i].view(-1, 1, 8, 8), y[i]) for i in (rows, rest[:valid])]
    data = (*parts, (test[0].view(-1, 1, 8, 8), test[1]))
    return sp.Task(model=model, data=data, metrics=["accuracy"], preprocess=["scale", "standardize"])


def figures(task: sp.Task, recipe: sp.Recipe, seed: int) -> Figures:
    x, y = task.data[2]
    try:
        done = sp.fit(task, recipe.replace({"run.seed": seed}), health=0)
    except TrainingError:
        guess = 1 / (int(y.max()) + 1)
        return Figures(-log(guess), guess, -log(guess), guess, 0, broke=True)
    with torch.no_grad():
        output = done.model(x)
    right = (output.argmax(1) == y).float().mean().item()
    return Figures(done.metrics["loss"], done.metrics["accuracy"], cross_entropy(output, y).item(), right, done.steps)


def best(grid: Iterable[Any], run: Callable[[Any, int], Figures], seeds: int) -> Any:
    """The choice with most validation digits right, by the mean over seeds; among equals the one with less loss."""

    def merit(choice: Any) -> tuple[float, float]:
        found = [run(choice, TUNING + seed) for seed in range(seeds)]
        return mean(f.valid for f in found), -mean(f.valid_loss for f in found)

    return max(grid, key=merit)


def edge(choice: float, grid: Sequence[float]) -> str:
    """A rate, with a mark where the grid ends: the best may lie beyond."""
    return f"{choice:g}" + ("*" if choice in (min(grid), max(grid)) else "")


def gap(a: Sequence[float], b: Sequence[float]) -> tuple[float, float, float]:
    """b − a in pairs: mean and 95 % interval."""
    return interval([y - x for x, y in zip(a, b, strict=True)])


def log_gap(a: Sequence[float], b: Sequence[float]) -> tuple[float, float, float]:
    """The same of logarithms, for losses."""
    return gap([log(x) for x in a], [log(x) for x in b])


def verdict(found: tuple[float, float, float], more: str, less: str, neither: str = "not distinguishable") -> str:
    """What an interval says: all of it above 0, all of it below, or neither."""
    return more if found[1] > 0 else less if found[2] < 0 else neither


def points(found: tuple[float, float, float]) -> str:
    """A difference of shares, in points."""
    return "{:+.2f} [{:+.2f}, {:+.2f}] points".format(*(100 * x for x in found))


def ratio(found: tuple[float, float, float]) -> str:
    """A difference of logarithms, as a factor."""
    return "× {:.3g} [{:.3g}, {:.3g}]".format(*map(exp, found))


def plain(**sections: Mapping[str, Any]) -> sp.Recipe:
    """A recipe of which the last weights are judged, and no others; a run that breaks has broken, and is not helped."""
    return sp.Recipe({"run": {"evaluate_every": "1000000 epochs", "on_nan": "stop", "threads": 1}, **sections})
