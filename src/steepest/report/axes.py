"""What all charts are made of: axes, colors, what a pointer does."""

from collections.abc import Sequence
from math import ceil, floor, isfinite, log10
from typing import Any

import altair as alt

# Beyond this ratio of greatest to least an axis counts by factors.
FACTORS = 50.0
NUMBER = ".5~g"
COUNT = "format(datum.value, datum.value >= 10000 ? '~s' : ',')"
TICKS = 6


def plain(chart: Any) -> dict[str, Any]:
    """As a page holds it: the theme and the data come from elsewhere."""
    made = chart.properties(data=alt.NamedData(name="rows"), width="container").to_dict(validate=False)
    return {key: value for key, value in made.items() if key not in ("config", "$schema")}


def axis(name: str, title: str, values: Sequence[float | None]) -> Any:
    """Up the side. What is all above zero and spans a large factor counts by factors."""
    return alt.Y(f"{name}:Q", title=title, scale=scale(values), axis=alt.Axis(**ticks(values)))


def even(name: str, title: str, values: Sequence[float | None]) -> Any:
    """The same from zero, by differences: a rate that falls to nothing has no logarithm worth seeing."""
    return alt.Y(f"{name}:Q", title=title, scale=alt.Scale(zero=min(ends(values)) >= 0), axis=alt.Axis(tickCount=5, format="~g"))


def scale(values: Sequence[float | None], **more: Any) -> Any:
    low, high = ends(values)
    if low == high:
        return alt.Scale(domain=[low - (abs(low) or 1) / 10, low + (abs(low) or 1) / 10], zero=False)
    return alt.Scale(type="log", nice=False, **more) if by_factors(low, high) else alt.Scale(zero=False, nice=True, **more)


def by_factors(low: float, high: float) -> bool:
    return low > 0 and high / low > FACTORS


def ends(values: Sequence[float | None]) -> tuple[float, float]:
    known = [x for x in values if x is not None and isfinite(x)]
    return min(known, default=0.0), max(known, default=0.0)


def ticks(values: Sequence[float | None]) -> dict[str, Any]:
    """Few enough to read. Vega draws a line at every 1, 2, 3, ... of every power of ten."""
    low, high = ends(values)
    if low == high or not by_factors(low, high):
        return dict(tickCount=5)
    first, last = floor(log10(low)), ceil(log10(high))
    every = max(1, ceil((last - first) / TICKS))
    powers = [10.0**k for k in range(first, last + 1, every)]
    digits = (1,) if sum(low <= x <= high for x in powers) > 2 else (1, 2, 5)
    return dict(values=[digit * x for x in powers for digit in digits if low <= digit * x <= high], format="~g")


def steps(end: int, title: str = "step") -> Any:
    return alt.X("step:Q", title=title, scale=alt.Scale(domain=[0, max(end, 1)], nice=False), axis=alt.Axis(labelExpr=COUNT, tickCount=6))


def color(name: str, order: Sequence[str], symbol: str = "stroke") -> Any:
    """By name, in a fixed order; a legend where there is a choice."""
    legend = alt.Legend(orient="top", title=None, columns=0, symbolType=symbol, labelLimit=260) if len(order) > 1 else None
    return alt.Color(f"{name}:N", sort=list(order), scale=alt.Scale(domain=list(order)), legend=legend)


def picked(name: str, bright: float = 1.0) -> tuple[Any, Any]:
    """A legend to click on, and what it does: the others fade."""
    pick = alt.selection_point(name="pick", fields=[name], bind="legend")
    return pick, alt.condition(pick, alt.value(bright), alt.value(0.08 * bright))


def only() -> Any:
    """The method that the page was told to show; all, if none."""
    return alt.param(name="only", value="")


def hovered(base: Any, tooltip: list[Any], by: str = "step") -> list[Any]:
    """The value nearest to the pointer, and a rule through it."""
    near = alt.selection_point(name="near", on="pointerover", clear="pointerout", nearest=True, fields=[by], empty=False)
    points = base.mark_point(filled=True, size=45).encode(opacity=alt.condition(near, alt.value(1), alt.value(0)), tooltip=tooltip)
    rule = base.mark_rule(style="hover").encode(x="step:Q", opacity=alt.condition(near, alt.value(0.5), alt.value(0)))
    return [rule.encode(y=alt.Undefined, color=alt.Undefined), points.add_params(near)]


def tip(name: str, title: str, number: bool = True) -> Any:
    return alt.Tooltip(f"{name}:Q", title=title, format=NUMBER) if number else alt.Tooltip(f"{name}:N", title=title)
