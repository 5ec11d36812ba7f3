"""Does a large batch generalize worse, when the rate is tuned for it?

Keskar et al. (2017; arXiv:1609.04836) say so; Shallue et al. (2019; arXiv:1811.03600) find nothing of the kind once all is tuned for
each size. Two budgets here: equal epochs, where a large batch makes few steps, and equal steps, where it sees more. The rate is tuned
on validation data for each size and budget: some minutes.

python experiments/batch_size.py [--seeds 20] [--epochs 20] [--steps 640]
"""

from itertools import product
from math import log2
from pathlib import Path
from statistics import linear_regression, mean

import altair as alt
import torch
import typer
from common import HERE, interval, percent, show
from runs import BLUE, RED, Figures, best, digit_task, edge, figures, gap, log_gap, plain, points, ratio, verdict

import steepest as sp

TRAIN, SIZES = 1024, (8, 32, 128, 512, 1024)
RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
Found = dict[tuple[str, int], list[Figures]]


def recipe(stop: dict[str, int], size: int, lr: float) -> sp.Recipe:
    return plain(model={"width": 64}, optimizer={"rule": "momentum", "lr": lr}, batch={"size": size}, stop=stop)


def doubling(found: Found, budget: str, seed: int) -> float:
    """How much the test accuracy of one seed changes with each doubling of the batch: a line through all sizes."""
    return linear_regression([log2(size) for size in SIZES], [found[budget, size][seed].test for size in SIZES]).slope


def conclusion(found: Found, budgets: list[str], seeds: int) -> str:
    lines, large, names = [], SIZES[-1], ("larger is better", "larger is worse")
    for budget in budgets:
        slope = interval([doubling(found, budget, seed) for seed in range(seeds)])
        lines.append(f"Equal {budget}: {points(slope)} per doubling: {verdict(slope, *names)}; n = {seeds} seeds.")
        for small in SIZES[:-1]:
            right = gap([f.test for f in found[budget, small]], [f.test for f in found[budget, large]])
            loss = log_gap([f.test_loss for f in found[budget, small]], [f.test_loss for f in found[budget, large]])
            said = f"{points(right)}: {verdict(right, *names)}; loss {ratio(loss)}: {verdict(loss, *names[::-1])}"
            lines.append(f"  {large} − {small}: {said}; n = {seeds} pairs.")
    return "\n".join(lines)


def draw(found: Found, path: Path) -> None:
    rows = []
    for (budget, size), runs in found.items():
        middle, low, high = interval([f.test for f in runs])
        rows.append(dict(budget=f"equal {budget}", size=size, middle=middle, low=low, high=high))
    sizes = alt.Scale(type="log", domain=[SIZES[0] / 1.3, SIZES[-1] * 1.3], nice=False)
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("size:Q", title="batch size", scale=sizes, axis=alt.Axis(values=list(SIZES), format="d", grid=False)),
        color=alt.Color("budget:N", title=None, legend=alt.Legend(orient="bottom"), scale=alt.Scale(range=[RED, BLUE])),
    )
    line = base.encode(y=alt.Y("middle:Q", title="test accuracy", axis=alt.Axis(format=".0%", tickCount=5), scale=alt.Scale(zero=False)))
    bars = base.mark_rule(strokeWidth=1.5).encode(y="low:Q", y2="high:Q")
    title = alt.TitleParams("Batch size, each with its best rate; bars are 95 % intervals over seeds", anchor="start")
    chart = alt.layer(bars, line.mark_line(point=True, strokeWidth=2)).properties(width=460, height=260, title=title)
    chart.configure_axis(gridColor="#eeeeee").save(str(path), ppi=150)


def main(seeds: int = 20, tuning: int = 10, epochs: int = 20, steps: int = 640, png: Path = HERE / "batch_size.png") -> None:
    torch.set_num_threads(1)
    budgets, found, rows = {"epochs": {"epochs": epochs}, "steps": {"steps": steps}}, {}, []
    for (budget, stop), size in product(budgets.items(), SIZES):

        def run(lr: float, seed: int, size: int = size, stop: dict[str, int] = stop) -> Figures:
            return figures(digit_task(seed, TRAIN), recipe(stop, size, lr), seed)

        lr = best(RATES, run, tuning)
        runs = found[budget, size] = [run(lr, seed) for seed in range(seeds)]
        loss = f"{mean(f.test_loss for f in runs):.3f}"
        rows.append((budget, str(size), edge(lr, RATES), str(runs[0].steps), percent([f.test for f in runs]), loss))
    columns = ("equal", "batch", "best lr", "steps", "test accuracy, mean [95 %]", "loss")
    title = f"{TRAIN} digits, {epochs} epochs or {steps} steps, {seeds} seeds; rates by validation, other seeds (* the grid ends)"
    show(title, columns, rows, conclusion(found, list(budgets), seeds))
    draw(found, png)


if __name__ == "__main__":
    typer.run(main)
