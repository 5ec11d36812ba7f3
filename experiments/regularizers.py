"""What regularizes a small network on little data: dropout, L2, augmentation, early stopping, alone and together.

200 digits to learn from, 100 to stop by. The strength of each, alone, and the rate for each of the 16 combinations are chosen by
all 1097 that validation may have: chosen by 100, they were luck, and turned what is said of dropout around. "Over all" is what one
changes in the mean over all combinations of the others: six minutes.

python experiments/regularizers.py [--seeds 20] [--epochs 100]
"""

from collections.abc import Sequence
from itertools import product
from math import exp, log
from pathlib import Path
from statistics import mean
from typing import Any

import altair as alt
import torch
import typer
from common import HERE, interval, percent, show
from runs import BLUE, GRAY, RED, Figures, best, digit_task, edge, figures, plain, points, ratio, verdict

TRAIN, VALID, RATES = 200, 100, (0.01, 0.03, 0.1)
# What may be said for each, from weak to strong.
STRENGTHS: dict[str, list[dict[str, Any]]] = {
    "dropout": [{"regularize.dropout": {"rate": rate, "place": "activations"}} for rate in (0.1, 0.3, 0.5)],
    "L2": [{"regularize.l2": coefficient} for coefficient in (1e-3, 1e-2, 3e-2)],
    "augmentation": [
        {"regularize.rotate": degrees, "regularize.translate": share, "regularize.scale": factor}
        for degrees, share, factor in ((7.5, 0.05, 1.1), (15.0, 0.1, 1.2), (22.5, 0.15, 1.3))
    ],
    "early stopping": [{"run.evaluate_every": "1 epoch", "stop.metric": "loss", "stop.patience": patience} for patience in (5, 10, 20)],
}
On = tuple[bool, ...]
EVERY = sorted(product((False, True), repeat=len(STRENGTHS)), key=sum)
NOTHING, ALL = EVERY[0], EVERY[-1]
Found = dict[On, list[Figures]]


def run(changes: Sequence[dict[str, Any]], lr: float, epochs: int, seed: int, valid: int | None = None) -> Figures:
    recipe = plain(optimizer={"rule": "momentum", "lr": lr}, batch={"size": 32}, stop={"epochs": epochs})
    for change in changes:
        recipe = recipe.replace(change)
    return figures(digit_task(seed, TRAIN, valid), recipe, seed)


def label(on: On) -> str:
    return " + ".join(name for name, used in zip(STRENGTHS, on, strict=True) if used) or "nothing"


def changed(found: Found, pairs: Sequence[tuple[On, On]], seeds: int, loss: bool) -> tuple[float, float, float]:
    """Seed by seed the mean change from the first of each pair to the second: of test accuracy, or of ln test loss."""

    def of(figures: Figures) -> float:
        return log(figures.test_loss) if loss else figures.test

    return interval([mean(of(found[b][seed]) - of(found[a][seed]) for a, b in pairs) for seed in range(seeds)])


def contrasts(i: int) -> dict[str, list[tuple[On, On]]]:
    """One regularizer's pairs without and with it: over all combinations of the others, beside none, beside all of them."""
    pairs = [((*on[:i], False, *on[i + 1 :]), on) for on in EVERY if on[i]]
    return {"over all": pairs, "alone": pairs[:1], "beside the others": pairs[-1:]}


def conclusion(found: Found, seeds: int) -> str:
    lines = []
    named = [(f"{name}, {how}", pairs) for i, name in enumerate(STRENGTHS) for how, pairs in contrasts(i).items()]
    for name, pairs in [*named, ("all four, against nothing", [(NOTHING, ALL)])]:
        right, loss = changed(found, pairs, seeds, loss=False), changed(found, pairs, seeds, loss=True)
        said = verdict(right, "helps", "hurts"), verdict(loss, "hurts", "helps")
        lines.append(f"{name}: {points(right)}: {said[0]}; test loss {ratio(loss)}: {said[1]}; n = {seeds} seeds.")
    return "\n".join(lines)


def draw(found: Found, seeds: int, path: Path) -> None:
    panels = []
    for loss, title in ((False, "test accuracy, change in points"), (True, "test loss, as a factor")):
        rows = []
        for i, name in enumerate(STRENGTHS):
            for how, pairs in contrasts(i).items():
                figures = [exp(x) if loss else 100 * x for x in changed(found, pairs, seeds, loss)]
                rows.append(dict(zip(("middle", "low", "high"), figures, strict=True), name=name, how=how))
        base = alt.Chart(alt.Data(values=rows)).encode(
            y=alt.Y("name:N", sort=list(STRENGTHS), title=None, axis=None if loss else alt.Axis(labelLimit=200)),
            yOffset=alt.YOffset("how:N", sort=list(contrasts(0))),
            color=alt.Color(
                "how:N", title=None, scale=alt.Scale(domain=list(contrasts(0)), range=[RED, BLUE, GRAY]), legend=alt.Legend(orient="bottom")
            ),
        )
        x = alt.X("middle:Q", title=title, scale=alt.Scale(type="log", nice=False, padding=8) if loss else alt.Scale())
        zero = alt.Chart(alt.Data(values=[dict(x=1 if loss else 0)])).mark_rule(color="#555555", strokeDash=[4, 3]).encode(x="x:Q")
        bars = base.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q")
        panels.append(alt.layer(zero, bars, base.mark_circle(size=60, opacity=1).encode(x=x)).properties(width=260, height=220))
    title = alt.TitleParams(f"What each changes, on {TRAIN} digits; bars are 95 % intervals over seeds", anchor="start")
    alt.hconcat(*panels).properties(title=title).configure_axis(gridColor="#eeeeee").save(str(path), ppi=150)


def main(seeds: int = 20, tuning: int = 8, epochs: int = 100, png: Path = HERE / "regularizers.png") -> None:
    torch.set_num_threads(1)
    chosen = {}
    for name, strengths in STRENGTHS.items():
        grid = list(product(range(len(strengths)), RATES))
        place, _ = best(grid, lambda c, seed, s=strengths: run([s[c[0]]], c[1], epochs, seed), tuning)
        chosen[name] = strengths[place]
    print(*(f"{name}: {strength}" for name, strength in chosen.items()), sep="\n")
    found, rows = {}, []
    for on in EVERY:
        changes = [chosen[name] for name, used in zip(STRENGTHS, on, strict=True) if used]
        lr = best(RATES, lambda lr, seed, changes=changes: run(changes, lr, epochs, seed), tuning)
        runs = found[on] = [run(changes, lr, epochs, seed, VALID) for seed in range(seeds)]
        loss = "{:.3f} [{:.3f}, {:.3f}]".format(*map(exp, interval([log(f.test_loss) for f in runs])))
        rows.append((label(on), edge(lr, RATES), f"{mean(f.steps for f in runs):.0f}", percent([f.test for f in runs]), loss))
    columns = ("", "best lr", "steps", "test accuracy, mean [95 %]", "loss, geometric mean [95 %]")
    show(f"{TRAIN} digits, at most {epochs} epochs, {seeds} seeds (* the grid of rates ends)", columns, rows, conclusion(found, seeds))
    draw(found, seeds, png)


if __name__ == "__main__":
    typer.run(main)
