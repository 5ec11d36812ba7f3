"""What cures vanishing and exploding gradients at 30 layers: alone and together.

Sigmoid, tanh and ReLU; torch's own start or `auto`; with or without residual branches, BatchNorm and clipping: 48 networks,
each with the best of two rates: about ten minutes. `Effect` is the change in test accuracy that one cure makes, over all
combinations of the others.

python experiments/vanishing.py [--seeds 5] [--steps 150]
"""

from itertools import product
from pathlib import Path
from statistics import mean

import altair as alt
import torch
import typer
from common import HERE, Data, digits, interval, percent, show, train
from torch import Tensor, nn

from steepest import init
from steepest.optim import Optimizer
from steepest.rules import Clip, Momentum

CURVES = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}
CURES = ("auto start", "residual", "BatchNorm", "clipping")
DEPTH, WIDTH, RATES = 30, 64, (0.01, 0.1)
Cures = tuple[bool, ...]


class Block(nn.Module):
    """x → f(norm(W x)), around it x if residual."""

    def __init__(self, curve: type[nn.Module], residual: bool, norm: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(WIDTH, WIDTH), *([nn.BatchNorm1d(WIDTH)] if norm else []), curve())
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.residual else self.body(x)


def network(curve: str, cures: Cures) -> nn.Module:
    blocks = [Block(CURVES[curve], residual=cures[1], norm=cures[2]) for _ in range(DEPTH - 1)]
    return nn.Sequential(*blocks, nn.Linear(WIDTH, 10))


def accuracies(curve: str, cures: Cures, data: Data, seeds: int, steps: int) -> list[float]:
    """What each seed reached, with the rate that is best by the mean."""
    by_rate = []
    for lr in RATES:
        runs = []
        for seed in range(seeds):
            torch.manual_seed(seed)
            model = network(curve, cures)
            if cures[0]:
                init.apply(model, "auto", sample=data[0][:8], seed=seed)
            rule = Momentum(lr=lr, momentum=0.9)
            runs.append(train(model, Optimizer(model, Clip(inner=rule, norm=1.0) if cures[3] else rule), data, steps, seed))
        by_rate.append(runs)
    return max(by_rate, key=mean)


def label(cures: Cures) -> str:
    return " + ".join(name for name, on in zip(CURES, cures, strict=True) if on) or "nothing"


def effects(found: dict[tuple[str, Cures], list[float]], seeds: int, only: str = "") -> list[tuple[str, tuple[float, float, float]]]:
    """For each cure, seed by seed, the mean change of accuracy when it alone is added."""
    rest = list(product((False, True), repeat=len(CURES) - 1))
    result = []
    for i, name in enumerate(CURES):
        pairs = [((c, (*r[:i], True, *r[i:])), (c, (*r[:i], False, *r[i:]))) for c in CURVES for r in rest if only in ("", c)]
        result.append((name, interval([mean(found[on][seed] - found[off][seed] for on, off in pairs) for seed in range(seeds)])))
    return result


def verdict(found: dict[tuple[str, Cures], list[float]], seeds: int) -> str:
    lines = []
    for only in ("", *CURVES):
        said = [f"{name} {d:+.1%} [{low:+.1%}, {high:+.1%}]" for name, (d, low, high) in effects(found, seeds, only)]
        lines.append(f"Effect on {only or 'all'}, n = {seeds} seeds: {'; '.join(said)}.")
    return "\n".join(lines)


def draw(found: dict[tuple[str, Cures], list[float]], path: Path) -> None:
    cells = [dict(curve=c, cures=label(k), accuracy=mean(runs)) for (c, k), runs in found.items()]
    order = sorted({cell["cures"] for cell in cells}, key=lambda name: (name != "nothing", name.count("+"), name))
    base = alt.Chart(alt.Data(values=cells)).encode(
        x=alt.X("curve:N", title=None, sort=list(CURVES), axis=alt.Axis(labelAngle=0, orient="top")),
        y=alt.Y("cures:N", title=None, sort=order, axis=alt.Axis(labelLimit=400)),
    )
    scale = alt.Scale(domain=[0, 1], scheme="blues")
    squares = base.mark_rect().encode(color=alt.Color("accuracy:Q", scale=scale, legend=None))
    numbers = base.mark_text(fontSize=11).encode(
        text=alt.Text("accuracy:Q", format=".0%"), color=alt.condition("datum.accuracy > 0.6", alt.value("white"), alt.value("#333333"))
    )
    title = alt.TitleParams(f"{DEPTH} layers on digits: mean test accuracy", anchor="start")
    alt.layer(squares, numbers).properties(width=220, height=380, title=title).save(str(path), ppi=150)


def main(seeds: int = 5, steps: int = 150, png: Path = HERE / "vanishing.png") -> None:
    torch.set_num_threads(1)
    data, combinations = digits(), sorted(product((False, True), repeat=len(CURES)), key=sum)
    found = {(c, k): accuracies(c, k, data, seeds, steps) for k in combinations for c in CURVES}
    rows = [(label(k), *(percent(found[c, k]) for c in CURVES)) for k in combinations]
    show(f"{DEPTH} layers on digits, {steps} steps, {seeds} seeds: accuracy, mean [95 %]", ("cures", *CURVES), rows, verdict(found, seeds))
    draw(found, png)


if __name__ == "__main__":
    typer.run(main)
