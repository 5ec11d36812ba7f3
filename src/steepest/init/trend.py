"""Whether sizes grow or shrink with depth."""

from dataclasses import dataclass
from math import exp, inf, isfinite, log, nan
from statistics import linear_regression

# Up to this factor between the first layer and the last, depth does not stand in the way of learning.
STABLE = 10.0


@dataclass(frozen=True)
class Trend:
    """ln std = intercept + slope × depth, fitted; `change` is the factor along the signal's way: down for activations, up for gradients."""

    slope: float
    intercept: float
    change: float
    verdict: str  # vanishing, stable, exploding; zero: none arrives; unknown: nothing was measured


def trend(depths: list[int], sizes: list[float], way: int) -> Trend:
    measured = [(depth, x) for depth, x in zip(depths, sizes, strict=True) if x == x]
    if not measured:
        return Trend(nan, nan, nan, "unknown")
    finite = [(depth, log(x)) for depth, x in measured if isfinite(x) and x > 0]
    slope, intercept, change = nan, nan, nan
    if len(finite) > 1:
        slope, intercept = linear_regression(*zip(*finite, strict=True))
        change = exp(min(way * slope * (depths[-1] - depths[0]), 700))
    if any(x == inf for _, x in measured) or change > STABLE:
        verdict = "exploding"
    elif change < 1 / STABLE:
        verdict = "vanishing"
    else:
        verdict = "zero" if any(x == 0 for _, x in measured) else "stable"
    return Trend(slope, intercept, change, verdict)


def described(trend: Trend) -> str:
    return f"{trend.verdict}, × {times(trend.change)} on the way ({trend.slope:+.3f} in ln std per layer)"


def times(x: float) -> str:
    return f"{x:,.0f}" if 10 <= x < 1e6 else f"{x:.2g}"
