"""A probe as a picture."""

from math import ceil, exp, floor, isfinite, log10
from pathlib import Path
from typing import TYPE_CHECKING, Any

import altair as alt

from steepest.init.trend import Trend, times

if TYPE_CHECKING:
    from steepest.init.probe import Probe

TRUNK, BRANCH = "layers in line", "inside branches, head"
BLUE, GRAY, RED = "#2a6fbb", "#b4b4b4", "#c8452d"
TICKS = 6


def draw(probe: "Probe", path: Path) -> None:
    picture(probe).save(str(path), ppi=150)


def picture(probe: "Probe") -> Any:
    forward = [(row.depth, row.activation_std, row.trunk) for row in probe.rows]
    backward = [(row.depth, row.gradient_std, row.trunk) for row in probe.rows]
    whole = alt.vconcat(
        panel("Activations, on their way down", forward, probe.activation, None),
        panel("Gradients, on their way up", backward, probe.gradient, "layer"),
        spacing=22,
        padding=14,
        background="white",
    )
    return whole.configure_view(stroke=None).configure_axis(
        gridColor="#e8e8e8", domain=False, tickColor="#cccccc", labelColor="#444444", titleColor="#444444", titleFontWeight="normal"
    )


def panel(title: str, points: list[tuple[int, float, bool]], trend: Trend, below: str | None) -> Any:
    """Sizes against depth. Zero and infinity have no place on the axis; the verdict speaks of them."""
    shown: list[dict[str, Any]] = [dict(depth=d, std=s, part=TRUNK if trunk else BRANCH) for d, s, trunk in points if isfinite(s) and s > 0]
    depths = [d for d, _, trunk in points if trunk] or [d for d, _, _ in points]
    low, high = span([p["std"] for p in shown])
    across = alt.Scale(domain=[min(p[0] for p in points), max(p[0] for p in points)], nice=False, padding=8)
    x = alt.X("depth:Q", title=below, scale=across, axis=alt.Axis(tickMinStep=1, grid=False, format="d"))
    labels = "abs(log(datum.value) / LN10) > 4 ? format(datum.value, '.0e') : format(datum.value, '~r')"
    ladder = alt.Axis(values=ticks(low, high), labelExpr=labels, minExtent=48, grid=True)
    y = alt.Y("std:Q", title="standard deviation", scale=alt.Scale(type="log", domain=[low, high]), axis=ladder)
    legend = alt.Legend(orient="bottom") if any(p["part"] == BRANCH for p in shown) else None
    color = alt.Color("part:N", title=None, scale=alt.Scale(domain=[TRUNK, BRANCH], range=[BLUE, GRAY]), legend=legend)
    layers = [alt.Chart(alt.Data(values=shown)).mark_circle(size=42, opacity=1, clip=True).encode(x, y, color)]
    if isfinite(trend.slope):
        ends = [dict(depth=d, std=exp(trend.intercept + trend.slope * d)) for d in (depths[0], depths[-1])]
        line = alt.Chart(alt.Data(values=ends)).mark_line(color=RED, strokeDash=[6, 4], strokeWidth=1.5, clip=True)
        layers.insert(0, line.encode(x, y))
    change = f", × {times(trend.change)} on the way" if isfinite(trend.change) else ""
    head = alt.TitleParams(title, subtitle=trend.verdict + change, anchor="start", frame="group", fontSize=14, subtitleFontSize=12)
    return alt.layer(*layers).properties(width=520, height=180, title=head)


def span(sizes: list[float]) -> tuple[float, float]:
    """A range that makes no mountain of a molehill: at least a factor of ten around what is shown."""
    low, high = min(sizes, default=1.0), max(sizes, default=1.0)
    middle = (low * high) ** 0.5 or low
    margin = 1.2 * (high / low) ** 0.04
    return min(low / margin, middle / 10**0.5), max(high * margin, middle * 10**0.5)


def ticks(low: float, high: float) -> list[float]:
    """Powers of ten, few enough to read; between few of them 2 and 5 as well."""
    first, last = ceil(log10(low)), floor(log10(high))
    step = max(1, ceil((last - first + 1) / TICKS))
    powers = [10.0**k for k in range(first, last + 1, step)]
    if len(powers) > 2:
        return powers
    return [m * 10.0**k for k in range(first - 1, last + 1) for m in (1, 2, 5) if low <= m * 10.0**k <= high]
