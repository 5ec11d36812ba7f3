"""How noisy gradients are, and up to which batch size a larger batch is worth it."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite, nan, sqrt
from typing import Any, NamedTuple

import torch
from scipy.stats import t as student
from torch import Tensor, nn

from steepest.core.errors import SettingError
from steepest.train.trial import BatchLoss, feed, gradient, summed
from steepest.train.untouched import untouched
from steepest.watch.sizes import norms


class Estimate(NamedTuple):
    """Unbiased estimates from one measurement: |G|² of the true gradient, and the trace of the covariance of a sample's gradient."""

    g2: float
    trace: float


@dataclass(frozen=True)
class NoiseScale:
    """The simple noise scale B = tr(Σ) / |G|², in samples, and the standard error of it; `reason` says what it rests on.

    B is the critical batch size that it suggests: far below B twice the batch makes twice the progress per step, far above it is wasted.
    Without significance `critical_batch` is None: |G|² cannot be told from zero, and B could be anything above `at_least`.
    """

    scale: float
    standard_error: float
    g2: float
    trace: float
    measurements: int
    significant: bool
    at_least: float
    reason: str

    @property
    def critical_batch(self) -> int | None:
        return max(1, round(self.scale)) if self.significant else None


def estimate(small: float, big: float, b: float, B: float) -> Estimate:
    """From E|G_B|² = |G|² + tr(Σ) / B at two batch sizes (McCandlish et al., 2018, arXiv:1812.06162, appendix A.1)."""
    return Estimate((B * big - b * small) / (B - b), (small - big) / (1 / b - 1 / B))


def jackknife(found: list[Estimate]) -> tuple[float, float]:
    """The ratio of the means, and its standard error by leaving out one measurement at a time."""
    n = len(found)
    g2, trace = sum(x.g2 for x in found), sum(x.trace for x in found)
    without = [(trace - x.trace) / (g2 - x.g2) if g2 != x.g2 else nan for x in found]
    mean = sum(without) / n
    return (trace / g2 if g2 else nan), sqrt((n - 1) / n * sum((x - mean) ** 2 for x in without))


def conclude(found: list[Estimate], confidence: float = 0.95) -> NoiseScale:
    n = len(found)
    g2, trace = sum(x.g2 for x in found) / n, sum(x.trace for x in found) / n
    scale, error = jackknife(found)
    spread = sqrt(sum((x.g2 - g2) ** 2 for x in found) / (n - 1) / n)
    reach = float(student.ppf((1 + confidence) / 2, n - 1)) * spread
    significant = isfinite(scale) and g2 > reach and trace > 0
    at_least = max(trace, 0.0) / (g2 + reach) if g2 + reach > 0 else nan
    if significant:
        reason = f"|G|² = {g2:.3g} ± {spread:.2g} and tr(Σ) = {trace:.3g}, {n} measurements"
    elif trace <= 0:
        reason = f"the gradients of {n} measurements show no noise: tr(Σ) = {trace:.3g}"
    else:
        reason = (
            f"not significant: |G|² = {g2:.3g} ± {spread:.2g} of {n} measurements cannot be told from zero; "
            "measure more, with more micro-batches each"
        )
    return NoiseScale(scale, error, g2, trace, n, significant, at_least, reason)


def noise_scale(model: nn.Module, batches: Any, loss: BatchLoss, micro: int = 16, measurements: int = 8) -> NoiseScale:
    """The noise scale of the model as it stands, from micro-batches: each measurement compares `micro` of them with their mean.

    `loss(model, batch)` is the mean loss of a batch, or a name; see `range_test`. Batches may be unequal; they must be independent samples,
    so give `micro × measurements` different ones. Noise is all that differs between them, dropout too. The model runs in the mode it is
    in and is left as it was found, as are the batches and all random states.
    """
    for name, value, least in (("micro", micro, 2), ("measurements", measurements, 3)):
        if value < least:
            raise SettingError(f"noise_scale: {name} = {value}; an estimate with an error needs at least {least}")
    with untouched(model, data=batches):
        stream, total = feed(batches), summed(loss)
        found = [measure(gradient(model, next(stream), total) for _ in range(micro)) for _ in range(measurements)]
    return conclude(found)


def measure(gradients: Iterable[tuple[list[Tensor], float]]) -> Estimate:
    """One measurement from the mean gradients of micro-batches and their sizes: one at a time beside a sum.

    E|g|² = |G|² + tr(Σ) / b is linear in 1/b, so the small batch of unequal ones has their harmonic mean as its size.
    """
    whole: list[Tensor] = []
    squares, inverse, count, k = 0.0, 0.0, 0.0, 0
    for grads, b in gradients:
        squares, inverse, count, k = squares + square(grads), inverse + 1 / b, count + b, k + 1
        torch._foreach_mul_(grads, b)  # type: ignore[attr-defined]
        if whole:
            torch._foreach_add_(whole, grads)  # type: ignore[attr-defined]
        else:
            whole = grads
    return estimate(squares / k, square(whole) / count**2, k / inverse, count)


def square(grads: list[Tensor]) -> float:
    return sum(n * n for n in norms(grads))
