"""How far along a direction: backtracking until the loss falls enough, or bracketing a point of strong Wolfe."""

from collections.abc import Callable
from math import copysign, inf, isnan, nan, sqrt
from typing import Any, NamedTuple

import torch
from torch import Tensor

from steepest.core.errors import SettingError
from steepest.core.knob import Settings, knob, option
from steepest.drivers.plain import Closure, backward, parameters, running_statistics_kept


class Point(NamedTuple):
    """A place on the line: how far, the loss there, and its slope along the line."""

    alpha: float
    value: float
    slope: float


class Searched(NamedTuple):
    """The loss where the weights ended, and how much of the proposed change they made; 0: none was good enough."""

    loss: Tensor
    alpha: float


Phi = Callable[[float], tuple[float, float]]


def backtracking(
    phi: Callable[[float], float], start: Point, alpha: float = 1.0, *, shrink: float = 0.5, c: float = 1e-4, halvings: int = 20
) -> float:
    """The first of alpha, shrink alpha, ... with enough decrease (Armijo, 1966; Nocedal & Wright, Algorithm 3.1), or 0.

    On a line that does not start downhill, no increase is enough.
    """
    for _ in range(halvings + 1):
        if phi(alpha) <= start.value + c * alpha * min(start.slope, 0.0):
            return alpha
        alpha *= shrink
    return 0.0


def strong_wolfe(
    phi: Phi, start: Point, alpha: float, *, c1: float = 1e-4, c2: float = 0.9, length: float = 1.0, tolerance: float = 1e-9, most: int = 25
) -> Point:
    """A point that decreases enough and is flat enough (Nocedal & Wright, Algorithms 3.5 and 3.6, cubic interpolation).

    It takes torch's decisions (minFunc's): trials, safeguards, and the best point so far after `most` trials or when the
    bracket, times the `length` of the direction, is below `tolerance`. A loss of nan counts as inf.
    """

    def at(alpha: float) -> Point:
        value, slope = phi(alpha)
        return Point(alpha, inf if isnan(value) else value, slope)

    def falls(x: Point) -> bool:
        return x.value <= start.value + c1 * x.alpha * start.slope

    def is_flat(x: Point) -> bool:
        return abs(x.slope) <= -c2 * start.slope

    # Go out until the minimum is behind.
    last, x, trials = start, at(alpha), 0
    while trials < most:
        if not falls(x) or (trials > 1 and x.value >= last.value):
            break
        if is_flat(x):
            return x
        if x.slope >= 0:
            break
        alpha = interpolate(last, x, x.alpha + 0.01 * (x.alpha - last.alpha), 10 * x.alpha)
        last, x, trials = x, at(alpha), trials + 1
    else:
        last = start

    # Close in on it. Equal values: the first end is the lower one.
    ends = [last, x]
    low = 0 if ends[0].value <= ends[1].value else 1
    stuck = False
    while trials < most and abs(ends[1].alpha - ends[0].alpha) * length >= tolerance:
        alpha, stuck = _trial(ends, stuck)
        x, trials = at(alpha), trials + 1
        if not falls(x) or x.value >= ends[low].value:
            ends[1 - low] = x
            low = 0 if ends[0].value <= ends[1].value else 1
            continue
        if is_flat(x):
            return x
        if x.slope * (ends[1 - low].alpha - ends[low].alpha) >= 0:
            ends[1 - low] = ends[low]
        ends[low] = x
    return ends[low]


def _trial(ends: list[Point], stuck: bool) -> tuple[float, bool]:
    """Where to look next, and whether that is close to an end: then, the second time, a tenth away from it."""
    left, right = sorted(x.alpha for x in ends)
    alpha = interpolate(ends[0], ends[1], left, right)
    margin = 0.1 * (right - left)
    if min(right - alpha, alpha - left) >= margin:
        return alpha, False
    if not stuck and left < alpha < right:
        return alpha, True
    return (right - margin if abs(alpha - right) < abs(alpha - left) else left + margin), False


def interpolate(a: Point, b: Point, low: float, high: float) -> float:
    """The minimum of the cubic through both points and slopes, within bounds (Nocedal & Wright, eq. 3.59); the middle if it has none."""
    a, b = sorted((a, b))
    if a.alpha == b.alpha:
        return (low + high) / 2
    d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.alpha - b.alpha)
    square = d1 * d1 - a.slope * b.slope
    d2 = sqrt(square) if square >= 0 else nan
    rise, bend = b.slope + d2 - d1, b.slope - a.slope + 2 * d2
    x = b.alpha - (b.alpha - a.alpha) * (rise / bend if bend else copysign(inf, rise))
    return (low + high) / 2 if isnan(x) else min(max(x, low), high)


class Backtracking(Settings):
    """Any rule's step, halved until the loss of the same batch falls enough (Armijo, 1966; on batches: Vaswani et al., 2019).

    The rule's own state goes on as if its whole step had been made.
    """

    paper = "Vaswani et al., Painless Stochastic Gradient, NeurIPS 2019; arXiv:1905.09997"
    use = "Whole batches and models that can fit their data, when lr is unknown; give the rule too large a rate."

    shrink: float = knob(0.5, "factor on the step after each refusal", valid=(1e-3, 1), search=(0.3, 0.9))
    c: float = knob(1e-4, "share of the decrease promised by the slope that must come true", valid=(0, 1), search=(1e-4, 0.5), log=True)
    halvings: int = option(20, "refusals before the step is given up")

    def check(self) -> None:
        if self.halvings < 0:
            raise SettingError(f"Backtracking.halvings = {self.halvings} is negative")

    def step(self, optimizer: Any, closure: Closure) -> Searched:
        """`closure()` computes the loss of one batch; it must give the same for the same weights."""
        optimizer.zero_grad()
        loss = backward(closure)
        params = parameters(optimizer)
        before = [p.detach().clone() for p in params]
        grads = [None if p.grad is None else p.grad.clone() for p in params]
        optimizer.step()
        after = [p.detach().clone() for p in params]
        slope = sum(float((g * (q - p)).sum()) for g, p, q in zip(grads, before, after, strict=True) if g is not None)
        losses = {0.0: loss}

        @torch.no_grad()
        def phi(alpha: float) -> float:
            place(params, before, after, alpha)
            losses[alpha] = closure().detach()
            return float(losses[alpha])

        alpha = 0.0
        try:
            with running_statistics_kept():
                alpha = backtracking(phi, Point(0.0, float(loss), slope), shrink=self.shrink, c=self.c, halvings=self.halvings)
        finally:
            place(params, before, after, alpha)
        return Searched(losses[alpha], alpha)


@torch.no_grad()
def place(params: list[Tensor], before: list[Tensor], after: list[Tensor], alpha: float) -> None:
    """On the line from `before` to `after`; exactly there at its ends."""
    for p, a, b in zip(params, before, after, strict=True):
        p.copy_(a if alpha == 0 else b if alpha == 1 else torch.lerp(a, b, alpha))
