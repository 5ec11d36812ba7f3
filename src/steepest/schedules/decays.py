"""Smooth: from one factor to another"""

from collections.abc import Callable
from math import cos, pi, sqrt

from steepest.core.errors import SettingError
from steepest.core.knob import knob, option
from steepest.schedules.base import Schedule
from steepest.schedules.span import TINY, duration, percent, reached, share, within

INF = float("inf")
# 0 itself has no logarithm and no inverse.
LEAST = 1e-12


def lerp(a: float, b: float, u: float) -> float:
    """From a to b, both met exactly."""
    return a * (1 - u) + b * u


def cosine(u: float) -> float:
    return (1 + cos(pi * u)) / 2


# What is left of the way down at progress u: 1 at 0, 0 at 1.
FALLS: dict[str, Callable[[float], float]] = {
    "linear": lambda u: 1 - u,
    "cosine": cosine,
    "sqrt": lambda u: 1 - sqrt(u),
    "square": lambda u: 1 - u * u,
}


def _end(default: float) -> float:
    return knob(default, "factor at the last step", valid=(0, INF), search=(0.0, 0.1))


class Constant(Schedule):
    """The same factor from the first step to the last."""

    use = "Rules that need no schedule (Schedule-Free, Prodigy), and as a part of a sequence."

    factor: float = knob(1.0, "the factor", valid=(0, INF), search=(0.1, 10.0), log=True)

    def shape(self, u):
        return self.factor


class Linear(Schedule):
    """A straight line from `start` to `end`."""

    paper = "Defazio et al., When, Why and How Much? Adaptive Learning Rate Scheduling by Refinement, 2023; arXiv:2310.07831"
    use = "Fine-tuning, and a strong default with a warmup; leave end at 0."

    start: float = knob(1.0, "factor at the first step", valid=(0, INF), search=(0.1, 1.0))
    end: float = _end(0.0)

    def shape(self, u):
        return lerp(self.start, self.end, u)


class Polynomial(Schedule):
    """What is left of the run to a power: `end + (1 - end) (1 - u)^power`."""

    paper = "Chen et al., DeepLab, TPAMI 2018; arXiv:1606.00915"
    use = "Segmentation, with power 0.9; power 1 is linear, 2 falls early and ends gently."

    power: float = knob(2.0, "1 is a straight line, more falls earlier", valid=(0, INF), search=(0.5, 3.0))
    end: float = _end(0.0)

    def shape(self, u):
        return lerp(self.end, 1.0, (1 - u) ** self.power)


class Cosine(Schedule):
    """Half a wave of the cosine: slow, fast, slow (Loshchilov & Hutter, 2017, eq. 5, without restarts)."""

    paper = "Loshchilov & Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, ICLR 2017; arXiv:1608.03983"
    use = "The usual choice when the length of the run is known; with a warmup for transformers."

    end: float = _end(0.0)

    def shape(self, u):
        return lerp(self.end, 1.0, cosine(u))


class Exponential(Schedule):
    """The same ratio from each step to the next: `end^u`."""

    use = "When the rate must span orders of magnitude, as in a range test upwards; set end."

    end: float = knob(0.01, "factor at the last step", valid=(LEAST, INF), search=(1e-3, 0.5), log=True)

    def shape(self, u):
        return self.end**u


class InverseTime(Schedule):
    """`1 / (1 + c u)`, with the c that ends at `end` (Robbins & Monro, 1951: the rate that provably converges)."""

    paper = "Robbins & Monro, A Stochastic Approximation Method, Annals of Mathematical Statistics 22, 1951"
    use = "Convex problems and plain SGD with noise; it falls early and then hardly."

    end: float = knob(0.1, "factor at the last step", valid=(LEAST, INF), search=(1e-2, 0.5), log=True)

    def shape(self, u):
        return 1 / (1 + (1 / self.end - 1) * u)


class InverseSqrt(Schedule):
    """`1 / sqrt(1 + t / timescale)`, t from the start of its part (Zhai et al., 2022, rsqrt).

    After a warmup as long as timescale it is the rate of Vaswani et al. (2017, eq. 3), sqrt(warmup / t), t from the start of
    the run; `warmup_inverse_sqrt` sets it so.
    """

    paper = "Vaswani et al., Attention Is All You Need, NIPS 2017; arXiv:1706.03762. Zhai et al., 2022; arXiv:2106.04560"
    use = "Transformers whose end is not known beforehand: the value at a step does not depend on the length, if timescale is in steps."

    timescale: float | str = duration(0.1, "after this long the rate is down to 0.71", search=(0.01, 0.5), log=True)

    def value(self, x, start, end):
        return 1 / sqrt(1 + max(x - start, 0.0) / share(self.timescale))

    def fit(self, start, end):
        if share(self.timescale) < TINY:
            raise SettingError("InverseSqrt.timescale = 0 must be longer than nothing")


class StableDecay(Schedule):
    """Constant, then down at the end of the run. `warmup_stable_decay`, or wsd, is this after a warmup.

    Falls (u: progress of the decay): linear 1 - u, cosine, sqrt 1 - √u, square 1 - u², exponential end^u.
    """

    paper = (
        "Hu et al., MiniCPM, 2024; arXiv:2404.06395. Hägele et al., Scaling Laws and Compute-Optimal Training Beyond Fixed "
        "Training Durations, NeurIPS 2024; arXiv:2405.18392 (1 - sqrt)"
    )
    use = "When a run may be continued: train on from before the decay. Set decay to 10% to 20%; sqrt was the best fall in Hägele et al."

    decay: float | str = duration(0.2, "how long the decay at the end lasts", search=(0.05, 0.5))
    end: float = _end(0.0)
    fall: str = option("sqrt", "how it goes down", choices=(*FALLS, "exponential"))

    def value(self, x, start, end):
        begin = end - share(self.decay)
        if not reached(x, begin) or end - begin < TINY:
            return 1.0
        u = within(x, begin, end)
        return self.end**u if self.fall == "exponential" else lerp(self.end, 1.0, FALLS[self.fall](u))

    def check(self):
        if self.fall == "exponential" and self.end < LEAST:
            raise SettingError(f"StableDecay.end = {self.end:g} cannot be reached by an exponential fall; say end = 0.01")
        super().check()

    def fit(self, start, end):
        if share(self.decay) > end - start + TINY:
            raise SettingError(
                f"StableDecay.decay = {percent(share(self.decay))} of the run does not fit into the {percent(end - start)} that are left"
            )
