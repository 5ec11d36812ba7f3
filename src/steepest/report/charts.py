"""Charts as Vega-Lite, by altair. They hold no data and no colors: a page gives them those of its tables and of its theme."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from steepest.report.axes import COUNT, axis, color, even, hovered, only, picked, plain, scale, steps, ticks, tip

HEIGHT = 240
# Points that a line can be drawn with one by one.
FEW = 60
SAID = ("step", "median", "least", "greatest")
ONLY = "!only || datum.method == only"


def curves(
    title: str, name: str, end: int, values: Sequence[float | None], order: Sequence[str], *, band: bool = False, events: Sequence[int] = ()
) -> dict[str, Any]:
    """Lines over steps, one to each name, with bands from `low` to `high`; events are rules across."""
    pick, seen = picked(name)
    base = alt.Chart().encode(x=steps(end), y=axis("value", title, values), color=color(name, order))
    layers: list[Any] = []
    if events:
        marks = alt.Chart(alt.Data(values=[dict(step=step) for step in events]))
        layers.append(marks.mark_rule(style="event").encode(x="step:Q", tooltip=alt.Tooltip("step:Q", title="event at step")))
    if band:
        faint = alt.condition(pick, alt.value(0.18), alt.value(0.02))
        area = base.transform_filter("isValid(datum.low)").mark_area()
        layers.append(area.encode(y=alt.Y("low:Q", title=title), y2="high:Q", opacity=faint))
    points = dict(size=20) if len(values) <= FEW * len(order) else False
    layers.append(base.mark_line(point=points).encode(opacity=seen).add_params(pick))
    tips = [
        tip(name, "of", False),
        tip("step", "step"),
        tip("value", title),
        *([tip("low", "least"), tip("high", "greatest")] if band else []),
    ]
    return plain(alt.layer(*layers, *hovered(base, tips)).properties(height=HEIGHT))


def course(title: str, end: int, values: Sequence[float | None]) -> dict[str, Any]:
    """One line, as a knob goes."""
    base = alt.Chart().encode(x=steps(end), y=even("value", title, values))
    return plain(alt.layer(base.mark_line(), *hovered(base, [tip("step", "step"), tip("value", title)])).properties(height=HEIGHT - 60))


def heat(name: str, title: str, order: Sequence[str], by_factors: bool) -> dict[str, Any]:
    """One row to each name, steps along it: for more names than a legend can hold."""
    shade = alt.Scale(type="log") if by_factors else alt.Scale(zero=True)
    chart = (
        alt.Chart()
        .mark_rect(tooltip=True)
        .encode(
            x=alt.X("step:O", title="step", axis=alt.Axis(labelOverlap=True, labelAngle=0, format="~s")),
            y=alt.Y(f"{name}:N", sort=list(order), title=None, axis=alt.Axis(labelLimit=160)),
            color=alt.Color("value:Q", title=title, scale=shade, legend=alt.Legend(orient="top", gradientLength=160)),
            tooltip=[tip(name, "of", False), tip("step", "step"), tip("value", title)],
        )
    )
    return plain(chart.properties(height=min(14 * len(order), 900) + 10))


def each_run(title: str, end: int, values: Sequence[float | None], order: Sequence[str]) -> dict[str, Any]:
    """A thin line to each run, in the color of its method; the one under the pointer stands out."""
    pick, seen = picked("method", 0.55)
    near = alt.selection_point(name="near", on="pointerover", clear="pointerout", fields=["run"], empty=False)
    strong = {"condition": [{"param": "near", "value": 1, "empty": False}, seen["condition"]], "value": seen["value"]}
    lines = alt.Chart().transform_filter(ONLY).mark_line(interpolate="linear").encode(
        x=steps(end), y=axis("value", title, values), color=color("method", order), detail="run:N",
        opacity=strong, strokeWidth=alt.condition(near, alt.value(3), alt.value(1.3)),
        tooltip=[tip("run", "run", False), tip("method", "method", False)],
    )  # fmt: skip
    return plain(lines.add_params(only(), pick, near).properties(height=HEIGHT + 60))


def bands(title: str, end: int, values: Sequence[float | None], order: Sequence[str], said: Sequence[str] = SAID) -> dict[str, Any]:
    """By method: the middle of its runs, and how far they lie apart. `said`: what steps, middle and ends are."""
    pick, seen = picked("method")
    base = alt.Chart().transform_filter(ONLY).encode(x=steps(end, said[0]), y=axis("value", title, values), color=color("method", order))
    area = base.mark_area().encode(
        y=alt.Y("low:Q", title=title), y2="high:Q", opacity=alt.condition(pick, alt.value(0.18), alt.value(0.02))
    )
    line = base.mark_line().encode(opacity=seen).add_params(pick, only())
    tips = [
        tip("method", "method", False),
        *(tip(name, head) for name, head in zip(("step", "value", "low", "high"), said, strict=True)),
        tip("n", "runs"),
    ]
    return plain(alt.layer(area, line, *hovered(base, tips)).properties(height=HEIGHT + 60))


def strip(title: str, values: Sequence[float | None], order: Sequence[str]) -> dict[str, Any]:
    """One point to each run, one row to each method, and a mark at the median."""
    base = alt.Chart().transform_filter(ONLY).encode(y=alt.Y("method:N", sort=list(order), title=None, axis=alt.Axis(labelLimit=200)))
    across = alt.X("best:Q", title=title, scale=scale(values, padding=10), axis=alt.Axis(**ticks(values)))
    tips = [tip("run", "run", False), tip("method", "method", False), tip("best", title)]
    points = base.mark_circle(size=60, opacity=0.6).encode(
        x=across, color=alt.Color("method:N", sort=list(order), scale=alt.Scale(domain=list(order)), legend=None), tooltip=tips
    )
    middle = base.mark_tick(style="middle", thickness=2, size=18).encode(x=alt.X("median(best):Q", title=title))
    return plain(alt.layer(points.add_params(only()), middle).properties(height=max(28 * len(order), 60)))


def scatter(
    name: str, head: str, title: str, xs: Sequence[Any], values: Sequence[float | None], order: Sequence[str], of: str = "method"
) -> dict[str, Any]:
    """A run to each point: what was chosen across, what came of it up."""
    pick, seen = picked("method", 0.75)
    numbers = [float(x) for x in xs if isinstance(x, (int, float)) and not isinstance(x, bool)]
    across: Any = alt.X(f"{name}:N", title=head, axis=alt.Axis(labelAngle=0, labelLimit=90))
    if len(numbers) == len(xs):
        across = alt.X(f"{name}:Q", title=head, scale=scale(numbers, padding=12), axis=alt.Axis(**ticks(numbers)))
    chart = alt.Chart().transform_filter(ONLY).mark_circle(size=60).encode(
        x=across, y=axis("best", title, values), color=color("method", order, "circle"), opacity=seen,
        tooltip=[tip("run", "of", False), tip("method", of, False), tip(name, head, len(numbers) == len(xs)), tip("best", title)],
    )  # fmt: skip
    return plain(chart.add_params(only(), pick).properties(height=HEIGHT))


def confusion(labels: Sequence[str]) -> dict[str, Any]:
    """Rows are what is true, columns what was said; the shade is the share of the row."""
    base = alt.Chart().encode(
        x=alt.X("said:N", sort=list(labels), title="said", axis=alt.Axis(orient="top", labelAngle=0, labelOverlap=True)),
        y=alt.Y("true:N", sort=list(labels), title="true"),
        tooltip=[tip("true", "true", False), tip("said", "said", False), tip("count", "count"), tip("share", "share of the row")],
    )
    shade = alt.Color("share:Q", scale=alt.Scale(domain=[0, 1]), legend=None)
    layers = [base.mark_rect().encode(color=shade)]
    if len(labels) <= 20:
        layers.append(base.transform_filter("datum.count > 0").mark_text(style="count").encode(text="count:Q"))
    return plain(alt.layer(*layers).properties(height=min(26 * len(labels), 620) + 20))


def search(title: str, values: Sequence[float | None], order: Sequence[str]) -> dict[str, Any]:
    """Points as they were found, and the best so far as a stair."""
    pick, seen = picked("method", 0.75)
    across = alt.X("step:Q", title="epochs spent", scale=alt.Scale(nice=False), axis=alt.Axis(labelExpr=COUNT, tickCount=6))
    base = alt.Chart().encode(x=across)
    stair = base.transform_filter("isValid(datum.best)").mark_line(interpolate="step-after", style="stair")
    tips = [
        tip("run", "of", False),
        tip("method", "trained for", False),
        tip("step", "epochs spent"),
        tip("value", title),
        tip("best", "best so far"),
    ]
    points = base.transform_filter("isValid(datum.value)").mark_circle(size=60).encode(
        y=axis("value", title, values), color=color("method", order, "circle"), opacity=seen, tooltip=tips
    )  # fmt: skip
    return plain(alt.layer(stair.encode(y=axis("best", title, values)), points.add_params(pick)).properties(height=HEIGHT + 40))


def bars(name: str, order: Sequence[str]) -> dict[str, Any]:
    chart = alt.Chart().mark_bar().encode(
        x=alt.X(f"{name}:Q", title=name, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%", tickCount=5)),
        y=alt.Y("name:N", sort=list(order), title=None, axis=alt.Axis(labelLimit=200)),
        tooltip=[tip("name", "choice", False), tip(name, name)],
    )  # fmt: skip
    return plain(chart.properties(height=24 * len(order) + 10))
