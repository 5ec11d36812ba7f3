"""Does it take He's initialization to train deep ReLU networks without normalization?

He et al. (2015, section 2.2): a network of 22 layers learns from Xavier's too, later; one of 30 learns from He's alone.
Theirs were convolutional, on ImageNet. These are fully connected, on digits, with the best of four rates for each start: some minutes.

python experiments/he_vs_xavier.py [--seeds 5] [--steps 400]
"""

from pathlib import Path

import altair as alt
import torch
import typer
from common import HERE, Data, digits, interval, percent, show, train
from torch import nn

from steepest import init
from steepest.optim import Optimizer
from steepest.rules import Momentum

DEPTHS, PLANS, RATES, WIDTH = (14, 22, 30), ("xavier", "he"), (0.001, 0.01, 0.1, 1.0), 64
LEARNED = 0.5


def network(depth: int) -> nn.Module:
    hidden = [layer for i in range(depth - 1) for layer in (nn.Linear(WIDTH if i else 64, WIDTH), nn.ReLU())]
    return nn.Sequential(*hidden, nn.Linear(WIDTH, 10))


def accuracies(depth: int, plan: str, data: Data, seeds: int, steps: int) -> tuple[float, list[float]]:
    """The best rate by the mean, and what each seed reached with it."""
    by_rate = {}
    for lr in RATES:
        by_rate[lr] = []
        for seed in range(seeds):
            model = network(depth)
            init.apply(model, plan, sample=data[0][:2], seed=seed)
            by_rate[lr].append(train(model, Optimizer(model, Momentum(lr=lr, momentum=0.9)), data, steps, seed))
    best = max(by_rate, key=lambda lr: sum(by_rate[lr]))
    return best, by_rate[best]


def verdict(found: dict[tuple[int, str], tuple[float, list[float]]], seeds: int) -> str:
    lines = []
    for depth in DEPTHS:
        xavier, he = (found[depth, plan][1] for plan in PLANS)
        gap, low, high = interval([b - a for a, b in zip(xavier, he, strict=True)])
        learned = ", ".join(f"{name} in {sum(a > LEARNED for a in runs)} of {seeds}" for name, runs in (("Xavier", xavier), ("He", he)))
        sign = "He ahead" if low > 0 else "Xavier ahead" if high < 0 else "not distinguishable"
        lines.append(f"{depth} layers: {learned} runs learn; He − Xavier {gap:+.1%} [{low:+.1%}, {high:+.1%}], n = {seeds} pairs: {sign}.")
    return "\n".join(lines)


def draw(found: dict[tuple[int, str], tuple[float, list[float]]], path: Path) -> None:
    names = {"xavier": "Xavier", "he": "He"}
    points = [dict(depth=f"{d} layers", start=names[p], accuracy=a) for (d, p), (_, runs) in found.items() for a in runs]
    base = alt.Chart(alt.Data(values=points)).encode(
        x=alt.X("start:N", title=None, sort=["Xavier", "He"], axis=alt.Axis(labelAngle=0)),
        y=alt.Y("accuracy:Q", title="test accuracy", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
        color=alt.Color("start:N", legend=None, scale=alt.Scale(domain=["Xavier", "He"], range=["#c8452d", "#2a6fbb"])),
    )
    whole = alt.layer(base.mark_circle(size=60, opacity=0.6), base.encode(y="mean(accuracy):Q").mark_tick(thickness=2, size=30))
    chart = whole.properties(width=150, height=240).facet(column=alt.Column("depth:N", title=None))
    chart.properties(title="ReLU networks without normalization, one dot per seed").configure_axis(gridColor="#eeeeee").save(
        str(path), ppi=150
    )


def main(seeds: int = 5, steps: int = 400, png: Path = HERE / "he_vs_xavier.png") -> None:
    torch.set_num_threads(1)
    data = digits()
    found = {(depth, plan): accuracies(depth, plan, data, seeds, steps) for depth in DEPTHS for plan in PLANS}
    rows = [(str(d), p, f"{lr:g}", percent(runs), f"{min(runs):.1%}", f"{max(runs):.1%}") for (d, p), (lr, runs) in found.items()]
    columns = ("layers", "start", "best lr", "accuracy, mean [95 %]", "worst", "best")
    show(f"Plain ReLU networks on digits, {steps} steps, {seeds} seeds", columns, rows, verdict(found, seeds))
    draw(found, png)


if __name__ == "__main__":
    typer.run(main)
