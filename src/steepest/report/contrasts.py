"""Charts of methods against each other."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from steepest.report.axes import axis, color, hovered, only, picked, plain, scale, ticks, tip
from steepest.report.charts import HEIGHT, ONLY

# Names up the side and along the top are cut, not the chart.
ASIDE, ABOVE = 200, 110
# A share of 1 is shaded so that a number can be read on it.
DARKEST = 1.6


def intervals(title: str, values: Sequence[float | None], order: Sequence[str], *, bars: bool = True, means: bool = True) -> dict[str, Any]:
    """A row to each method: a dot to each seed; a mark at the mean and a bar from end to end of its interval, where there are any."""
    base = alt.Chart().transform_filter(ONLY).encode(y=rows("method", order))
    shade = alt.Color("method:N", sort=list(order), scale=alt.Scale(domain=list(order)), legend=None)
    across: dict[str, Any] = dict(title=title, scale=scale(values, padding=10), axis=alt.Axis(**ticks(values)))
    tips = [tip("method", "method", False), tip("mean", "mean"), tip("low", "95 % from"), tip("high", "to")]
    bar = base.transform_filter("isValid(datum.low)").mark_rule(style="interval", strokeWidth=9, opacity=0.35, strokeCap="round")
    middle = base.transform_filter("isValid(datum.mean)").mark_tick(style="middle", thickness=2.5, size=20)
    dots = base.transform_filter("isValid(datum.score)").mark_circle(size=40, opacity=0.5)
    layers: list[Any] = [bar.encode(x=alt.X("low:Q", **across), x2="high:Q", color=shade, tooltip=tips)] if bars else []
    layers.append(dots.encode(x=alt.X("score:Q", **across), color=shade, tooltip=[tips[0], tip("run", "of", False), tip("score", title)]))
    layers += [middle.encode(x=alt.X("mean:Q", **across), tooltip=tips)] if means else []
    layers[0] = layers[0].add_params(only())
    return plain(alt.layer(*layers).properties(height=max(34 * len(order), 70)))


def matrix(order: Sequence[str]) -> dict[str, Any]:
    """Each method (a row) against each other: by how much it is ahead; shaded where that was settled."""
    base = alt.Chart().encode(
        x=columns("against", order, None),
        y=rows("method", order),
        tooltip=[
            tip("method", "method", False), tip("against", "against", False), tip("verdict", "it is", False),
            tip("ahead", "ahead by"), tip("low", "95 % from"), tip("high", "to"), tip("p", "p"),
        ],
    )  # fmt: skip
    styles = {"better": "better", "worse": "worse", "not distinguishable": "open"}
    cells: list[Any] = [base.transform_filter(f"datum.verdict == '{said}'").mark_rect(style=style) for said, style in styles.items()]
    if len(order) <= 12:
        cells.append(base.mark_text(style="count").encode(text="said:N"))
    return plain(alt.layer(*cells).properties(height=34 * len(order) + 30))


def places(order: Sequence[str]) -> dict[str, Any]:
    """How often each method (a row) comes to each place, were the seeds others."""
    base = alt.Chart().encode(
        x=alt.X("place:O", title="place", axis=alt.Axis(orient="top", labelAngle=0)),
        y=rows("method", order),
        tooltip=[tip("method", "method", False), tip("place", "place"), tip("share", "share")],
    )
    cells: list[Any] = [base.mark_rect().encode(color=alt.Color("share:Q", scale=alt.Scale(domain=[0, DARKEST]), legend=None))]
    if len(order) <= 12:
        cells.append(base.transform_filter("datum.share >= 0.005").mark_text(style="count").encode(text=alt.Text("share:Q", format=".0%")))
    return plain(alt.layer(*cells).properties(height=34 * len(order) + 30))


def profiles(what: str, order: Sequence[str]) -> dict[str, Any]:
    """The share of tasks that a method does in so many times the cost of the quickest."""
    pick, seen = picked("method")
    across = alt.X("step:Q", title=f"times the {what} of the quickest", scale=alt.Scale(nice=False, zero=False), axis=alt.Axis(tickCount=6))
    up = alt.Y("value:Q", title="share of tasks", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%", tickCount=5))
    base = alt.Chart().transform_filter(ONLY).encode(x=across, y=up, color=color("method", order))
    line = base.mark_line(interpolate="step-after").encode(opacity=seen).add_params(pick, only())
    tips = [tip("method", "method", False), tip("step", "times"), tip("value", "share of tasks")]
    return plain(alt.layer(line, *hovered(base, tips)).properties(height=HEIGHT))


def stairs(title: str, end: int, values: Sequence[float | None], order: Sequence[str]) -> dict[str, Any]:
    """The best of so many trials, by method."""
    pick, seen = picked("method")
    across = alt.X("step:Q", title="trials", scale=alt.Scale(domain=[1, max(end, 2)], nice=False), axis=alt.Axis(tickMinStep=1, format="d"))
    base = alt.Chart().transform_filter(ONLY).encode(x=across, y=axis("value", title, values), color=color("method", order))
    line = base.mark_line(point=dict(size=24)).encode(opacity=seen).add_params(pick, only())
    tips = [tip("method", "method", False), tip("step", "trials"), tip("value", title)]
    return plain(alt.layer(line, *hovered(base, tips)).properties(height=HEIGHT))


def rows(name: str, order: Sequence[str]) -> Any:
    return alt.Y(f"{name}:N", sort=list(order), scale=alt.Scale(domain=list(order)), title=None, axis=alt.Axis(labelLimit=ASIDE))


def columns(name: str, order: Sequence[str], title: str | None) -> Any:
    shown = alt.Axis(orient="top", labelAngle=0 if len(order) <= 6 else -40, labelLimit=ABOVE, labelOverlap=False)
    return alt.X(f"{name}:N", sort=list(order), scale=alt.Scale(domain=list(order)), title=title, axis=shown)
