"""Digits under each transform, as docs/augment.png: one row per transform, the first column as they were."""

from pathlib import Path

import altair as alt
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from steepest.core.rng import generator
from steepest.regularizers.augment import AUGMENTATIONS, Chain

COLUMNS = 10
# Stronger than the defaults, so that eight pixels show it.
SHOWN = {
    "as they are": Chain(),
    "flip": AUGMENTATIONS["flip"](),
    "crop, padding 2": AUGMENTATIONS["crop"](padding=2),
    "rotate, 30": AUGMENTATIONS["rotate"](degrees=30.0),
    "scale, 1.5": AUGMENTATIONS["scale"](factor=1.5),
    "translate, 0.25": AUGMENTATIONS["translate"](share=0.25),
    "shear, 25": AUGMENTATIONS["shear"](horizontal=25.0),
    "brightness, 0.6": AUGMENTATIONS["brightness"](strength=0.6),
    "contrast, 0.6": AUGMENTATIONS["contrast"](strength=0.6),
    "erase, 1": AUGMENTATIONS["erase"](probability=1.0, fill=0.5),
    "randaugment, 15": AUGMENTATIONS["randaugment"](magnitude=15.0),
    "trivialaugment": AUGMENTATIONS["trivialaugment"](),
}


def digits() -> Tensor:
    """0 to 9, in floats from 0 to 1."""
    return torch.tensor(load_digits().images[:COLUMNS], dtype=torch.float32)[:, None] / 16


def draw(path: Path) -> None:
    rows = []
    for row, (name, change) in enumerate(SHOWN.items()):
        found, _ = change.change(digits(), None, generator(0, "picture", name))
        for column, image in enumerate(found[:, 0].tolist()):
            for i, line in enumerate(image):
                rows += [dict(x=9 * column + j, y=9 * row + i, ink=v) for j, v in enumerate(line)]
    side = 5
    size = dict(width=9 * COLUMNS * side, height=9 * len(SHOWN) * side)
    ticks = {9 * row + 3: name for row, name in enumerate(SHOWN)}
    names = "{" + ", ".join(f"{k}: '{v}'" for k, v in ticks.items()) + "}[datum.value]"
    axis = alt.Axis(values=list(ticks), labelExpr=names, title=None, domain=False, ticks=False, labelFontSize=12, labelColor="#444444")
    chart = (
        alt.Chart(alt.Data(values=rows), **size)
        .mark_rect()
        .encode(
            x=alt.X("x:O", axis=None, scale=alt.Scale(domain=list(range(9 * COLUMNS)), padding=0)),
            y=alt.Y("y:O", axis=axis, scale=alt.Scale(domain=list(range(9 * len(SHOWN))), padding=0)),
            color=alt.Color("ink:Q", scale=alt.Scale(domain=[0, 1], range=["#f1f1ee", "#16324f"]), legend=None),
        )
    )
    chart.configure_view(stroke=None).properties(background="white", padding=12).save(str(path), ppi=72)
