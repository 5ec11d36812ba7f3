"""A range test as a picture."""

from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import altair as alt

from steepest.init.chart import BLUE, GRAY, RED, ticks

if TYPE_CHECKING:
    from steepest.train.range_test import RangeResult


def draw(result: "RangeResult", path: Path) -> None:
    """Single losses as points, the smoothed loss as a line, the suggestion as a rule across; what ran away is cut off."""
    top = 1.25 * max(result.smoothed[0], *result.smoothed) - 0.25 * min(result.smoothed)
    points = [dict(rate=r, loss=x) for r, x in zip(result.rates, result.losses, strict=True) if isfinite(x) and x <= top]
    line = [dict(rate=r, loss=x) for r, x in zip(result.rates, result.smoothed, strict=False) if isfinite(x)]
    low, high = result.rates[0], result.rates[-1]
    labels = "abs(log(datum.value) / LN10) > 4 ? format(datum.value, '.0e') : format(datum.value, '~r')"
    axis = alt.Axis(values=ticks(low, high), labelExpr=labels, grid=False)
    x = alt.X("rate:Q", title="learning rate", scale=alt.Scale(type="log", domain=[low, high], nice=False), axis=axis)
    y = alt.Y("loss:Q", title="loss", scale=alt.Scale(zero=False))
    layers: list[Any] = [
        alt.Chart(alt.Data(values=points)).mark_circle(size=30, opacity=1, color=GRAY).encode(x, y),
        alt.Chart(alt.Data(values=line)).mark_line(color=BLUE, strokeWidth=2).encode(x, y),
    ]
    if result.suggestion is not None:
        layers.append(alt.Chart(alt.Data(values=[dict(rate=result.suggestion)])).mark_rule(color=RED, strokeDash=[6, 4]).encode(x))
    said = f"suggestion {result.suggestion:.2g}: {result.reason}" if result.suggestion is not None else f"no suggestion: {result.reason}"
    title = alt.TitleParams("Learning-rate range test", subtitle=said, anchor="start", frame="group", fontSize=14, subtitleFontSize=12)
    whole = alt.layer(*layers).properties(width=560, height=260, title=title, padding=14, background="white")
    whole = whole.configure_view(stroke=None).configure_axis(
        gridColor="#e8e8e8", domain=False, tickColor="#cccccc", labelColor="#444444", titleColor="#444444", titleFontWeight="normal"
    )
    how: dict[str, Any] = {"inline": True} if path.suffix == ".html" else {"ppi": 150}
    whole.save(str(path), **how)
