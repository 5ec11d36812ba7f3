"""Charts of many runs beside each other: their results, their curves, and what was chosen against what came of it."""

from collections.abc import Iterator, Sequence
from math import isfinite
from statistics import median
from typing import Any

from steepest.records import number
from steepest.report import charts, thin
from steepest.report.groups import Group, bad_to_good
from steepest.report.parts import Column, Figure, Table, shown

# Points of all curves of a chart together, at most so many of one; settings that are drawn against the result.
POINTS, EACH, SLICES = 4000, 60, 8
RUN, METHOD = Column("run", "run"), Column("method", "method")


def strips(group: Group) -> Iterator[Figure]:
    rows = [(s.name, m, s.summary.best) for s, m in zip(group.stories, group.methods, strict=True) if isfinite(bad_to_good(s))]
    metric = group.metric[1]
    if len(rows) > 1:
        order = [method for method in group.order if any(row[1] == method for row in rows)]
        chart = charts.strip(f"best {metric}", [row[2] for row in rows], order)
        about = f"The best {metric} of each run; a bar is the median of its method."
        yield Figure(
            f"Best {metric}", about, Table([METHOD, RUN, Column("best", f"best {metric}", True)], [(m, r, x) for r, m, x in rows]), chart
        )


def curves(group: Group) -> Iterator[Figure]:
    metric = group.metric[1]
    evaluated = [
        [(line["step"], number(line["metrics"][metric])) for line in story.valid if metric in line["metrics"]] for story in group.stories
    ]
    trained = [[(line["step"], number(line["loss"])) for line in story.steps] for story in group.stories]
    yield from curve(group, metric, f"Validation {metric}", evaluated)
    yield from curve(group, "training loss", "Training loss", trained)


def curve(group: Group, title: str, head: str, points: Sequence[Sequence[tuple[int, float]]]) -> Iterator[Figure]:
    """By method with bands, where a method has several runs; and each run by itself."""
    end = max((line[-1][0] for line in points if line), default=0)
    if not end:
        return
    steps = thin.grid(end, max(min(POINTS // len(points), EACH), 12))
    laid = [thin.laid(line, steps) for line in points]
    order = group.order
    if len(order) < len(points):
        rows = banded(group.methods, order, steps, laid)
        heads = [METHOD, Column("step", "up to step", True), Column("value", "median", True), Column("low", "least", True)]
        data = Table([*heads, Column("high", "greatest", True), Column("n", "runs", True)], rows)
        about = "The median of the runs of each method, and from the least to the greatest of them."
        yield Figure(
            f"{head}, by method", about, data, charts.bands(title, end, [x for row in rows for x in row[2:5]], order), said_of(steps)
        )
    kept = [i for i, line in enumerate(laid) if any(x is not None for x in line)]
    rows = [(group.methods[i], group.stories[i].name, *laid[i]) for i in kept]
    data = Table([METHOD, RUN, *(Column(f"at{step}", f"{step:,}", True, step) for step in steps)], rows)
    about = "A line to each run. Point at one to see which it is; click on the legend to see one method."
    yield Figure(f"{head}, each run", about, data, charts.each_run(title, end, [x for line in laid for x in line], order), said_of(steps))


def said_of(steps: Sequence[int]) -> str:
    return f"Up to each step, the mean of the values since the one before: every {steps[0]:,} steps, so that runs stand side by side."


def banded(
    methods: Sequence[str], order: Sequence[str], steps: Sequence[int], laid: Sequence[Sequence[float | None]]
) -> list[tuple[Any, ...]]:
    rows = []
    for method in order:
        lines = [line for line, of in zip(laid, methods, strict=True) if of == method]
        for i, step in enumerate(steps):
            values = [x for line in lines if (x := line[i]) is not None and isfinite(x)]
            if values:
                rows.append((method, step, median(values), min(values), max(values), len(values)))
    return rows


def slices(group: Group) -> Iterator[Figure]:
    """The best of each run against each setting that was not the same in all, and against time."""
    known = [i for i, story in enumerate(group.stories) if isfinite(bad_to_good(story))]
    if len(known) < 3:
        return
    choices = {path: [values[i] for i in known] for path, values in group.differ.items()}
    choices = {path: values for path, values in choices.items() if worth(values)}
    ranked = sorted(choices, key=lambda path: -len({repr(x) for x in choices[path]}))
    for path in ranked[:SLICES]:
        yield against(group, known, path, path, choices[path])
    seconds = [round(group.stories[i].summary.seconds, 3) for i in known]
    if len(set(seconds)) > 1:
        yield against(group, known, "Time", "seconds of training", seconds)


def worth(values: Sequence[Any]) -> bool:
    """Whether it can be seen against a result: numbers or short texts, not the same for all."""
    said = {repr(x) for x in values if x is not None}
    return len(said) > 1 and all(x is None or isinstance(x, (bool, int, float, str)) for x in values)


def against(group: Group, known: Sequence[int], title: str, head: str, values: Sequence[Any]) -> Figure:
    metric = group.metric[1]
    rows = [
        (
            group.methods[i],
            group.stories[i].name,
            x if isinstance(x, (int, float)) and not isinstance(x, bool) else shown(x),
            group.stories[i].summary.best,
        )
        for i, x in zip(known, values, strict=True)
        if x is not None
    ]
    of = [row[2] for row in rows]
    data = Table([METHOD, RUN, Column("x", head, all(not isinstance(x, str) for x in of)), Column("best", f"best {metric}", True)], rows)
    order = [method for method in group.order if any(row[0] == method for row in rows)]
    return Figure(title, "", data, charts.scatter("x", head, f"best {metric}", of, [row[3] for row in rows], order))
