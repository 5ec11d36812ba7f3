"""L2 inside of Adam or decoupled decay: with which can rate and decay be tuned one after the other?

Loshchilov & Hutter (2019; arXiv:1711.05101, figure 2): with L2 the best decay moves with the rate; decoupled, the two are separable.
Their decay takes the same share of the weights at any rate; torch's `weight_decay`, and ours, takes lr × weight_decay. Hence three maps
of validation loss, and two measures: how many decades the best decay moves per decade of the rate, and how much loss it costs to
tune one after the other (the best decay at some rate, then the best rate at that decay). Then test data, with other seeds: four minutes.

python experiments/l2_or_decay.py [--seeds 10] [--fresh 20] [--steps 400]
"""

from itertools import combinations, product
from math import exp, log, log10
from pathlib import Path
from statistics import linear_regression, mean

import altair as alt
import torch
import typer
from common import HERE, interval, percent, show
from runs import TUNING, Figures, digit_task, figures, gap, plain, points, ratio, verdict

import steepest as sp

TRAIN, WORST = 256, log(10)
RATES, SHARES = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1), (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
TITLES = {"L2": "L2 inside of Adam", "lr × decay": "weights × (1 − lr × decay)", "decay alone": "weights × (1 − decay)"}
DECAYS = {"L2": SHARES, "lr × decay": (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0), "decay alone": SHARES}
Map = dict[tuple[float, float], float]  # (lr, decay): ln of validation loss


def recipe(kind: str, lr: float, decay: float, steps: int) -> sp.Recipe:
    if kind == "L2":
        optimizer = {"lr": lr, "wrap": {"l2": {"coefficient": decay}}}
    else:
        optimizer = {"lr": lr, "weight_decay": decay if kind == "lr × decay" else decay / lr}
    return plain(model={"width": 64}, optimizer=optimizer, schedule={"lr": "cosine"}, batch={"size": 64}, stop={"steps": steps})


def run(kind: str, lr: float, decay: float, steps: int, seed: int) -> Figures:
    return figures(digit_task(seed, TRAIN), recipe(kind, lr, decay, steps), seed)


def best_decay(kind: str, found: Map, lr: float) -> float:
    return min(DECAYS[kind], key=lambda decay: found[lr, decay])


def moves(kind: str, found: Map) -> float:
    """Decades of the best decay per decade of the rate: the slope of a line."""
    return linear_regression([log10(lr) for lr in RATES], [log10(best_decay(kind, found, lr)) for lr in RATES]).slope


def cost(kind: str, found: Map) -> float:
    """ln of the loss that is found one after the other, from any of the rates, over the least of the map."""
    return mean(min(found[lr, best_decay(kind, found, start)] for lr in RATES) for start in RATES) - min(found.values())


def conclusion(maps: dict[str, list[Map]], fresh: dict[str, list[Figures]]) -> str:
    lines, costs = [], {kind: [cost(kind, one) for one in maps[kind]] for kind in DECAYS}
    for kind in DECAYS:
        slope = interval([moves(kind, one) for one in maps[kind]])
        n, said = len(maps[kind]), verdict(slope, "it rises with the rate", "it falls with the rate", "not distinguishable from staying")
        figure = "{:+.2f} [{:+.2f}, {:+.2f}] decades per decade of rate".format(*slope)
        lines.append(f"{kind}: best decay {figure}: {said}; one after the other loss {ratio(interval(costs[kind]))}, n = {n} seeds.")
    for a, b in combinations(DECAYS, 2):
        more = gap(costs[a], costs[b])
        right = gap([f.test for f in fresh[a]], [f.test for f in fresh[b]])
        said = verdict(more, f"{a} is the more separable", f"{b} is the more separable")
        lines.append(f"{b} against {a}: cost {ratio(more)}, n = {len(costs[a])} pairs: {said}.")
        said = "the same recipe" if fresh[a] == fresh[b] else verdict(right, f"{b} ahead", f"{a} ahead")
        lines.append(f"  Test accuracy of the best cells {points(right)}, n = {len(fresh[a])} pairs: {said}.")
    return "\n".join(lines)


def draw(maps: dict[str, list[Map]], path: Path) -> None:
    panels = []
    for kind, found in maps.items():
        cells = [dict(lr=f"{lr:g}", decay=f"{d:g}", loss=exp(mean(one[lr, d] for one in found))) for lr, d in found[0]]
        base = alt.Chart(alt.Data(values=cells)).encode(
            x=alt.X("decay:N", sort=None, title="decay" if panels else "coefficient", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("lr:N", sort=None, title="rate" if not panels else None),
        )
        scale = alt.Scale(type="log", domain=[0.2, 2.4], scheme="blues", reverse=True)
        squares = base.mark_rect().encode(color=alt.Color("loss:Q", scale=scale, legend=None))
        numbers = base.mark_text(fontSize=11).encode(
            text=alt.Text("loss:Q", format=".2f"), color=alt.condition("datum.loss < 0.7", alt.value("white"), alt.value("#333333"))
        )
        panels.append(alt.layer(squares, numbers).properties(width=280, height=200, title=TITLES[kind]))
    title = alt.TitleParams("Adam: validation loss by rate and decay, geometric mean over seeds", anchor="start")
    alt.hconcat(*panels).properties(title=title).configure_title(fontSize=13).save(str(path), ppi=150)


def main(seeds: int = 10, fresh: int = 20, steps: int = 400, png: Path = HERE / "l2_or_decay.png") -> None:
    torch.set_num_threads(1)
    maps, judged, rows = {}, {}, []
    for kind, decays in DECAYS.items():
        cells = list(product(RATES, decays))
        losses = [{cell: run(kind, *cell, steps, TUNING + seed).valid_loss for cell in cells} for seed in range(seeds)]
        maps[kind] = [{cell: log(min(loss, WORST)) for cell, loss in one.items()} for one in losses]
        lr, decay = min(cells, key=lambda cell: mean(one[cell] for one in maps[kind]))
        judged[kind] = [run(kind, lr, decay, steps, seed) for seed in range(fresh)]
        shown = f"{exp(mean(one[lr, decay] for one in maps[kind])):.3f}", percent([f.test for f in judged[kind]])
        rows.append((kind, f"{lr:g}", f"{decay:g}", *shown))
    columns = ("", "best lr", "best decay", "validation loss", "test accuracy, mean [95 %]")
    title = f"Adam on {TRAIN} digits, {steps} steps; maps of {seeds} seeds, their best cells judged with {fresh} others"
    show(title, columns, rows, conclusion(maps, judged))
    draw(maps, png)


if __name__ == "__main__":
    typer.run(main)
