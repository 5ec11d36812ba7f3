"""Gradients, updates, weights and units of a run, as they were watched: of each layer a line, or, where they are many, a row."""

from collections.abc import Iterator
from math import isfinite

from steepest.records import number
from steepest.report import charts, thin
from steepest.report.parts import Column, Figure, Table
from steepest.report.reading import Story

# Layers that have a color each; numbers in a chart of many layers.
LAYERS, CELLS = 10, 3000
STEP, VALUE = Column("step", "step", number=True), Column("value", "value", number=True)
# What is watched: title, and what it tells.
WATCHED = {
    "gradient_norm": ("Gradient norms", "How long the gradient is, as the optimizer saw it. Layers far below the others learn little."),
    "update_ratio": ("Updates", "How far a step moves the weights, over the norm that they have. Around 0.001 is usual; 0.1 is wild."),
    "weight_norm": ("Weight norms", "How long the weights are. Without decay they grow as long as they learn."),
    "dead": ("Dead units", "The share of units that let no gradient through for any sample of the batch."),
    "saturated": ("Saturated units", "The share of values where tanh, sigmoid and their like are flat."),
}


def health(story: Story) -> Iterator[Figure]:
    for name, (title, about) in WATCHED.items():
        yield from watched(story, name, title, about)
    gaps = [("gap", line["step"], number(line["numbers"]["gap"])) for line in story.health if "gap" in line["numbers"]]
    if gaps:
        chart = charts.curves("validation less training loss", "of", story.summary.steps, [x for *_, x in gaps], ["gap"])
        about = "The validation loss less the training loss of the last steps before it. What grows is learned by heart."
        yield Figure("Gap", about, Table([Column("of", "of"), STEP, VALUE], gaps), chart)


def watched(story: Story, name: str, title: str, about: str) -> Iterator[Figure]:
    """Of each layer a line, or, where they are many, a row."""
    lines = [line for line in story.health if any(key.partition("/")[0] == name for key in line["numbers"])]
    layers = list(dict.fromkeys(key for line in lines for key in line["numbers"] if key.partition("/")[0] == name))
    looks = len(lines)
    lines = thin.spread(lines, max(CELLS // max(len(layers), 1), 20))
    rows = [
        (key.partition("/")[2] or "whole model", line["step"], number(line["numbers"][key]))
        for key in layers
        for line in lines
        if key in line["numbers"]
    ]
    if not rows:
        return
    order, values = list(dict.fromkeys(row[0] for row in rows)), [row[2] for row in rows]
    data = Table([Column("of", "layer"), STEP, VALUE], rows)
    note = "Every look is there." if len(lines) == looks else f"{len(lines)} of {looks} looks, evenly spread."
    if len(order) <= LAYERS:
        chart = charts.curves(title.lower(), "of", story.summary.steps, values, order)
    else:
        chart = charts.heat("of", title.lower(), order, all(x > 0 for x in values if isfinite(x)))
    yield Figure(title, about, data, chart, note)
