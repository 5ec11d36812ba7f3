"""What the experiments share: data, training, an interval, a table. Not a library."""

from collections.abc import Iterable, Sequence
from math import sqrt
from pathlib import Path
from statistics import mean, stdev

import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from scipy.stats import t as student
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from steepest.optim import Optimizer

HERE = Path(__file__).parent
Data = tuple[Tensor, Tensor, Tensor, Tensor]


def digits() -> Data:
    """Handwritten digits, 8 x 8: 1297 to learn from, 500 to judge by; each pixel with mean 0 and deviation 1 over all."""
    x, y = load_digits(return_X_y=True)
    parts = train_test_split((x - x.mean()) / x.std(), y, test_size=500, random_state=0, stratify=y)
    x, x_test = (torch.tensor(part, dtype=torch.float32) for part in parts[:2])
    y, y_test = (torch.tensor(part) for part in parts[2:])
    return x, y, x_test, y_test


def train(model: nn.Module, optimizer: Optimizer, data: Data, steps: int, seed: int, batch: int = 64) -> float:
    """The share of the test digits that are right at the end; 0.1 is chance. A run that breaks has chance too."""
    x, y, x_test, y_test = data
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        rows = torch.randint(len(x), (batch,), generator=generator)
        optimizer.zero_grad()
        loss = cross_entropy(model(x[rows]), y[rows])
        loss.backward()
        if not loss.isfinite():
            return 0.1
        optimizer.step()
    model.eval()
    with torch.no_grad():
        return (model(x_test).argmax(1) == y_test).float().mean().item()


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean and 95 % interval by Student's t."""
    half = student.ppf(0.975, len(values) - 1) * stdev(values) / sqrt(len(values)) if len(values) > 1 else float("inf")
    return mean(values), mean(values) - half, mean(values) + half


def percent(values: Sequence[float]) -> str:
    middle, low, high = interval(values)
    return f"{middle:.1%} [{max(low, 0):.1%}, {min(high, 1):.1%}]"


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], verdict: str) -> None:
    table = Table(title=title, box=SIMPLE_HEAD, title_justify="left")
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console(width=None if Console().is_terminal else 140)
    console.print(table)
    console.print(verdict, soft_wrap=True, highlight=False)
