"""`steepest.init.apply` on a model of 100 million weights beside torch's own init calls, in turn, in one process.

python bench/init.py [--n 5] [--layers 24]
"""

from collections.abc import Callable
from statistics import median
from time import perf_counter

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import nn

from steepest import init

# What each is called in torch, for the weights; biases are zero on both sides.
SIDES: dict[str, Callable] = {
    "he_normal": lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"),
    "xavier_uniform": nn.init.xavier_uniform_,
    "normal": nn.init.normal_,
    "truncated_normal": nn.init.trunc_normal_,
}


def by_torch(model: nn.Module, fill: Callable) -> None:
    for module in model:
        if isinstance(module, nn.Linear):
            fill(module.weight)
            nn.init.zeros_(module.bias)


def seconds(call: Callable[[], object]) -> float:
    start = perf_counter()
    call()
    return perf_counter() - start


def main(n: int = 5, layers: int = 24, threads: int = 1) -> None:
    """Time both sides n times, alternately, after one round that is not counted."""
    torch.set_num_threads(threads)
    model = nn.Sequential(*[m for _ in range(layers) for m in (nn.Linear(2048, 2048), nn.ReLU())])
    weights = sum(p.numel() for p in model.parameters())
    table = Table(title=f"{weights / 1e6:.0f}M weights, {threads} thread, median of {n}; target: at most 1.5")
    for heading in ("initializer", "steepest", "torch", "ratio", "lowest to highest"):
        table.add_column(heading, justify="left" if heading == "initializer" else "right")
    for name, fill in SIDES.items():
        plan = {"*.bias": "zeros", "*": name}
        rounds = [(seconds(lambda: init.apply(model, plan)), seconds(lambda: by_torch(model, fill))) for _ in range(n + 1)][1:]  # noqa: B023
        ratios = sorted(ours / theirs for ours, theirs in rounds)
        ours, theirs = (median(side) for side in zip(*rounds, strict=True))
        table.add_row(name, f"{ours:.2f} s", f"{theirs:.2f} s", f"{median(ratios):.2f}", f"{ratios[0]:.2f}-{ratios[-1]:.2f}")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
