"""Does clipping keep an LSTM from diverging? (Pascanu et al., 2013; arXiv:1211.5063)

The adding problem: a sequence of numbers of which two are marked, wanted is their sum. SGD with momentum over rates up to far too high,
with the norm of the gradient clipped to 1, its default, and without. A run diverges when it meets NaN or Inf; it is lost when it
ends no better than the best constant answer, whose loss it then has. Then each side at the rate that validation data and other seeds
chose for it: two minutes.

python experiments/clipping.py [--seeds 20] [--steps 500]
"""

from itertools import product
from math import exp, inf, log
from pathlib import Path
from statistics import mean

import altair as alt
import torch
import typer
from common import HERE, interval, show
from runs import BLUE, RED, TUNING, edge, gap, log_gap, plain, points, ratio, verdict
from scipy.stats import binomtest
from torch import Tensor, nn
from torch.nn.functional import mse_loss

import steepest as sp
from steepest.train.guard import TrainingError

LENGTH, RATES = 20, (0.03, 0.1, 0.3, 1.0, 3.0)
SIDES = {"not clipped": {}, "clipped": {"wrap": {"clip": {"norm": 1.0}}}}
Found = dict[tuple[str, float], list[float]]


class Network(nn.Module):
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(2, width, batch_first=True), nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:  # (N, LENGTH, 2) -> (N,)
        return self.head(self.lstm(x)[0][:, -1])[:, 0]


def adding(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Numbers in [0, 1], and a mark at one in each half; wanted is the sum of those two."""
    generator = torch.Generator().manual_seed(seed)
    numbers, marks, half = torch.rand(n, LENGTH, generator=generator), torch.zeros(n, LENGTH), LENGTH // 2
    for start in (0, half):
        marks.scatter_(1, start + torch.randint(half, (n, 1), generator=generator), 1.0)
    return torch.stack([numbers, marks], 2), (numbers * marks).sum(1)


TRAIN, VALID, TEST = adding(2000, 0), adding(500, 1), adding(1000, 2)
# A loss by name would be watched for spikes, from which a run may well come back.
TASK = sp.Task(model=Network, data=(TRAIN, VALID, TEST), loss=mse_loss)
CONSTANT = TEST[1].var(correction=0).item()


def losses(side: str, lr: float, steps: int, seed: int) -> tuple[float, float]:
    """On validation and on test data; infinite where the run diverged."""
    optimizer = {"rule": "momentum", "lr": lr, **SIDES[side]}
    recipe = plain(optimizer=optimizer, batch={"size": 64}, stop={"steps": steps}).replace({"run.seed": seed})
    try:
        done = sp.fit(TASK, recipe, health=0)
    except TrainingError:
        return inf, inf
    with torch.no_grad():
        return done.metrics["loss"], mse_loss(done.model(TEST[0]), TEST[1]).item()


def capped(values: list[float]) -> list[float]:
    return [min(loss, CONSTANT) for loss in values]


def share(runs: list[float], least: float) -> str:
    """How many losses are that large, and Wilson's interval."""
    k, n = sum(loss >= least for loss in runs), len(runs)
    found = binomtest(k, n).proportion_ci(method="wilson")
    return f"{k} of {n} [{found.low:.0%}, {found.high:.0%}]"


def lost(found: Found, side: str, seed: int) -> float:
    """The share of all rates at which this seed's run is lost."""
    return mean(found[side, lr][seed] >= CONSTANT for lr in RATES)


def conclusion(found: Found, chosen: dict[str, float], seeds: int) -> str:
    none, clipped = ([lost(found, side, seed) for seed in range(seeds)] for side in SIDES)
    fewer, lines = gap(none, clipped), []
    lines.append(f"Runs lost, over all rates: clipped − not clipped {points(fewer)}, n = {seeds} seeds: {verdict(fewer, 'more', 'fewer')}.")
    for lr in RATES:
        loss = log_gap(capped(found["not clipped", lr]), capped(found["clipped", lr]))
        lines.append(f"  Test loss at {lr:g} {ratio(loss)}, n = {seeds} pairs: {verdict(loss, 'clipping hurts', 'clipping helps')}.")
    loss = log_gap(*(capped(found[side, chosen[side]]) for side in SIDES))
    own = f"{edge(chosen['not clipped'], RATES)} without, {edge(chosen['clipped'], RATES)} with"
    said = verdict(loss, "clipping hurts", "clipping helps")
    return "\n".join([*lines, f"Each at its best rate ({own}): test loss {ratio(loss)}, n = {seeds} pairs: {said}."])


def draw(found: Found, path: Path) -> None:
    dots = [
        dict(side=side, lr=f"{lr:g}", loss=min(x, CONSTANT), place=(side == "clipped") - 0.5 + 0.6 * (i / len(runs) - 0.5))
        for (side, lr), runs in found.items()
        for i, x in enumerate(runs)
    ]
    scale, ticks = alt.Scale(type="log", domain=[5e-4, 0.3], nice=False), alt.Axis(values=[0.001, 0.01, 0.1])
    base = alt.Chart(alt.Data(values=dots)).encode(
        x=alt.X("lr:N", sort=None, title="rate", axis=alt.Axis(labelAngle=0)),
        xOffset=alt.XOffset("place:Q", scale=alt.Scale(domain=[-1, 1])),
        color=alt.Color("side:N", title=None, legend=alt.Legend(orient="bottom"), scale=alt.Scale(domain=list(SIDES), range=[RED, BLUE])),
        y=alt.Y("loss:Q", title="test loss", scale=scale, axis=ticks),
    )
    line = alt.Chart(alt.Data(values=[dict(loss=CONSTANT)])).mark_rule(strokeDash=[4, 3], color="#555555").encode(y="loss:Q")
    title = alt.TitleParams("An LSTM on the adding problem, one dot per seed; on the dashed line runs are lost", anchor="start")
    chart = alt.layer(line, base.mark_circle(size=45, opacity=0.5)).properties(width=520, height=260, title=title)
    chart.configure_axis(gridColor="#eeeeee").save(str(path), ppi=150)


def main(seeds: int = 20, tuning: int = 5, steps: int = 500, png: Path = HERE / "clipping.png") -> None:
    torch.set_num_threads(1)
    found, chosen, rows = {}, {}, []
    for side in SIDES:
        tuned = {lr: mean(capped([losses(side, lr, steps, TUNING + seed)[0] for seed in range(tuning)])) for lr in RATES}
        chosen[side] = min(tuned, key=lambda lr: tuned[lr])
    for lr, side in product(RATES, SIDES):
        runs = found[side, lr] = [losses(side, lr, steps, seed)[1] for seed in range(seeds)]
        loss = interval([log(x) for x in capped(runs)])
        rows.append((f"{lr:g}", side, share(runs, inf), share(runs, CONSTANT), "{:.4f} [{:.4f}, {:.4f}]".format(*map(exp, loss))))
    columns = ("rate", "gradient", "diverged [95 %]", "lost [95 %]", "test loss, geometric mean [95 %]")
    show(f"LSTM, adding problem over {LENGTH}, {steps} steps, {seeds} seeds", columns, rows, conclusion(found, chosen, seeds))
    draw(found, png)


if __name__ == "__main__":
    typer.run(main)
