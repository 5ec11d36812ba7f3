"""Which learning rate? A short training in which it grows from step to step (Smith, 2017, section 3.3)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf, isfinite, log10
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from torch import Tensor, nn

from steepest.core.errors import ParameterError, SettingError
from steepest.drivers.accumulate import Accumulate
from steepest.train.trial import BatchLoss, feed, summed
from steepest.train.untouched import untouched

# The deviation of the Gaussian that smooths losses, in decades of the rate: chosen, as the rule was, on six small tasks (docs/finders.md).
WIDTH = 0.3
# So many times its own error must the smoothed loss fall; fewer measured points than LEAST tell nothing.
SURE, LEAST = 7.0, 10


@dataclass(frozen=True)
class RangeResult:
    """`losses[k]` is the loss before the step with `rates[k]`. Where it ran away the test was ended."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    suggestion: float | None
    reason: str

    def chart(self, path: str | Path) -> None:
        """A picture (PNG, SVG, or a page that needs no network): the loss against the rate, and the suggestion."""
        from steepest.train.range_chart import draw  # altair: only a picture waits for it

        if Path(path).suffix not in (".png", ".svg", ".html"):
            raise SettingError(f"a chart is a .png, .svg or .html, not {str(path)!r}")
        draw(self, Path(path))


def range_test(
    model: nn.Module,
    optimizer: Any,
    batches: Any,
    loss: BatchLoss,
    low: float = 1e-7,
    high: float = 10.0,
    steps: int = 100,
    accumulate: int = 1,
) -> RangeResult:
    """Train for `steps` optimizer steps of `accumulate` batches each, the rate growing from `low` to `high`, and put everything back.

    `optimizer` is one, or a function that makes one for the model; groups keep the ratios of their rates, and the rate is that of the
    largest. `batches`: a list, a DataLoader or a function that makes an iterator; they begin anew when they end. `loss(model, batch)` is
    the mean over a batch, or (sum, count), or a name of LOSSES for batches (inputs, targets). The model runs in the mode it is in.
    """
    check(low, high, steps, accumulate)
    rates = [low * (high / low) ** (k / (steps - 1)) for k in range(steps)]
    losses: list[float] = []
    with untouched(model, optimizer, data=batches):
        optimizer = optimizer if hasattr(optimizer, "param_groups") else optimizer(model)
        stream, total, write = feed(batches), summed(loss), writer(optimizer)
        for rate in rates:
            write(rate)
            losses.append(float(Accumulate().step(optimizer, [partial(total, model, next(stream)) for _ in range(accumulate)])))
            if runaway(losses):
                break
    return RangeResult(tuple(rates[: len(losses)]), tuple(losses), *suggest(rates[: len(losses)], losses))


def check(low: float, high: float, steps: int, accumulate: int) -> None:
    if not 0 < low < high < inf:
        raise SettingError(f"range_test: low = {low:g} and high = {high:g}; rates must grow, 0 < low < high")
    if steps < 2 * LEAST:
        raise SettingError(f"range_test: steps = {steps} show no curve; take {2 * LEAST} or more")
    if accumulate < 1:
        raise SettingError(f"range_test: accumulate = {accumulate}; a step needs at least 1 batch")


def writer(optimizer: Any) -> Callable[[float], None]:
    """Sets the rate: that of the group with the largest, the others in proportion."""
    groups = optimizer.param_groups
    without = next((k for k, group in enumerate(groups) if "lr" not in group), None)
    if without is not None:
        raise ParameterError(f"group {without} of {type(optimizer).__name__} has no lr to test")
    bases = [float(group["lr"]) for group in groups]
    largest = max(bases)
    shares = [base / largest if largest else 1.0 for base in bases]

    def write(rate: float) -> None:
        for group, share in zip(groups, shares, strict=True):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate * share)
            else:
                group["lr"] = rate * share

    return write


def runaway(losses: Sequence[float]) -> bool:
    """The last loss is none, or worse than the best by more than four times the first."""
    return not isfinite(losses[-1]) or losses[-1] > min(losses) + 4 * abs(losses[0])


def suggest(rates: Sequence[float], losses: Sequence[float]) -> tuple[tuple[float, ...], float | None, str]:
    """The smoothed losses, a rate or None, and why.

    The rate is half of that where the smoothed loss is lowest: there it begins to rise, and a whole training bears less than a few steps.
    (The point of the steepest fall is further off: any model first learns the mean of its targets, at a rate too small for all else.)
    """
    whole = not runaway(losses)
    measured = np.array(losses if whole else losses[:-1])
    if len(measured) < LEAST:
        return tuple(losses), None, f"diverged at once, at a rate of {rates[len(losses) - 1]:.2g}: start lower"
    spread = WIDTH / log10(rates[1] / rates[0])  # in steps
    first = float(measured[:5].mean())
    curve = gaussian_filter1d(
        np.minimum(measured, 2 * first - measured.min()), spread, mode="nearest"
    )  # one huge loss must not hide the rest
    smoothed, bottom = tuple(curve.tolist()), int(curve.argmin())
    fall, error = float(curve[0] - curve[bottom]), noise(measured) / (12.6 * spread**2) ** 0.25
    if bottom < 2 or fall <= SURE * error or fall <= 1e-3 * abs(first):
        return smoothed, None, nothing(curve, first, fall, error, rates, whole)
    if whole and bottom > len(curve) - 2:
        return smoothed, None, f"the loss still falls at the highest rate, {rates[-1]:.2g}: raise high"
    return smoothed, rates[bottom] / 2, f"half the rate at which the smoothed loss is lowest, {rates[bottom]:.2g}"


def noise(losses: NDArray[np.float64]) -> float:
    """The deviation of a single loss around a smooth curve, from second differences; a few wild ones do not count."""
    return float(np.median(np.abs(np.diff(losses, 2))) / (0.6745 * 6**0.5)) if len(losses) > 2 else 0.0


def nothing(curve: NDArray[np.float64], first: float, fall: float, error: float, rates: Sequence[float], whole: bool) -> str:
    """Why there is no suggestion."""
    if error > 0.01 * abs(first):
        return f"too noisy: the loss falls by {fall:.2g} and is uncertain by {error:.2g}: take more steps, or accumulate more batches"
    if not whole or curve[-1] > first + max(SURE * error, 0.01 * abs(first)):
        return f"the loss only rises: it is lowest at the first rates, {rates[0]:.2g}; start lower, or the model is trained already"
    return f"flat: from {first:.3g} the loss falls by no more than {fall:.2g}: raise high, or ask whether the gradient reaches the weights"
