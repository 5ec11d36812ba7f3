"""Don't decay the rate, grow the batch? (Smith et al., 2018; arXiv:1711.00489)

At equal epochs one schedule, a quarter at half of the run and again at three quarters, is given once to the rate and once, upside down,
to the batch: the noise of SGD falls alike, in fewer steps. A constant rate is the control. The digits are turned, moved and scaled at
random, so that there is noise to the end; without that, decay itself does nothing here. Each with the best of five rates: five minutes.

python experiments/batch_growth.py [--seeds 20] [--epochs 24]
"""

from pathlib import Path
from statistics import mean

import altair as alt
import torch
import typer
from common import HERE, interval, percent, show
from runs import BLUE, GRAY, RED, Figures, best, digit_task, edge, figures, gap, log_gap, plain, points, ratio, verdict

import steepest as sp

TRAIN, SIZE, RATES = 1024, 16, (0.001, 0.003, 0.01, 0.03, 0.1)
FALL = {"shape": "step", "at": ["50%", "75%"], "factor": 0.25}
# What `schedules.grow_batch` makes of it, as a recipe says it.
ARMS = {"constant": {}, "rate decays": {"lr": FALL}, "batch grows": {"batch": {"shape": "inverse", "inner": FALL}}}
AUGMENT = {"rotate": 15.0, "translate": 0.1, "scale": 1.2}


def recipe(arm: str, lr: float, epochs: int) -> sp.Recipe:
    made = {"model": {"width": 64}, "optimizer": {"rule": "momentum", "lr": lr}, "batch": {"size": SIZE}, "stop": {"epochs": epochs}}
    return plain(**made, regularize=AUGMENT, schedule=ARMS[arm])


def course(task: sp.Task, recipe: sp.Recipe, seed: int) -> list[tuple[int, int, float]]:
    """After each epoch: epochs, steps, validation loss."""
    steps = sp.train(task, recipe.replace({"run.seed": seed, "run.evaluate_every": "1 epoch"}), health=0)
    return [(step.epoch + 1, step.number + 1, step.evaluation["loss"]) for step in steps if step.evaluation]


def conclusion(found: dict[str, list[Figures]], seeds: int) -> str:
    lines = []
    for less, more in (("rate decays", "batch grows"), ("constant", "rate decays"), ("constant", "batch grows")):
        right = gap([f.test for f in found[less]], [f.test for f in found[more]])
        loss = log_gap([f.test_loss for f in found[less]], [f.test_loss for f in found[more]])
        said = verdict(right, f"{more} ahead", f"{less} ahead"), verdict(loss, f"{less} ahead", f"{more} ahead")
        lines.append(f"{more} − {less}: {points(right)}: {said[0]}; test loss {ratio(loss)}: {said[1]}; n = {seeds} pairs.")
    grown, decayed = (mean(f.steps for f in found[arm]) for arm in ("batch grows", "rate decays"))
    return "\n".join([*lines, f"Growing the batch takes {grown / decayed:.0%} of the steps."])


def draw(courses: dict[str, list[list[tuple[int, int, float]]]], path: Path) -> None:
    rows = [
        dict(arm=arm, epoch=runs[0][i][0], step=runs[0][i][1], loss=mean(run[i][2] for run in runs))
        for arm, runs in courses.items()
        for i in range(len(runs[0]))
    ]
    colors = alt.Scale(domain=list(ARMS), range=[GRAY, BLUE, RED])
    scale = alt.Scale(type="log", nice=False, padding=8)
    lines = alt.Chart(alt.Data(values=rows)).mark_line(strokeWidth=2).encode(
        y=alt.Y("loss:Q", title="validation loss", scale=scale, axis=alt.Axis(values=[0.05, 0.1, 0.2, 0.4, 0.8])),
        color=alt.Color("arm:N", title=None, scale=colors, legend=alt.Legend(orient="bottom")),
    )  # fmt: skip
    panels = [lines.encode(x=alt.X(f"{x}:Q", title=f"{x}s", axis=alt.Axis(tickCount=5))) for x in ("epoch", "step")]
    panels = [panel.properties(width=260, height=220) for panel in panels]
    title = alt.TitleParams("One schedule, on the rate or on the batch: means over seeds", anchor="start")
    alt.hconcat(*panels).properties(title=title).configure_axis(gridColor="#eeeeee").save(str(path), ppi=150)


def main(seeds: int = 20, tuning: int = 5, epochs: int = 24, png: Path = HERE / "batch_growth.png") -> None:
    torch.set_num_threads(1)
    found, courses, rows = {}, {}, []
    for arm in ARMS:
        lr = best(RATES, lambda lr, seed, arm=arm: figures(digit_task(seed, TRAIN), recipe(arm, lr, epochs), seed), tuning)
        found[arm] = [figures(digit_task(seed, TRAIN), recipe(arm, lr, epochs), seed) for seed in range(seeds)]
        courses[arm] = [course(digit_task(seed, TRAIN), recipe(arm, lr, epochs), seed) for seed in range(seeds)]
        loss = interval([f.test_loss for f in found[arm]])
        right = percent([f.test for f in found[arm]])
        rows.append((arm, edge(lr, RATES), str(found[arm][0].steps), right, "{:.3f} [{:.3f}, {:.3f}]".format(*loss)))
    columns = ("", "best lr", "steps", "test accuracy, mean [95 %]", "test loss, mean [95 %]")
    title = f"Batch {SIZE}, {TRAIN} digits, {epochs} epochs, {seeds} seeds; rates by validation, other seeds (* the grid ends)"
    show(title, columns, rows, conclusion(found, seeds))
    draw(courses, png)


if __name__ == "__main__":
    typer.run(main)
