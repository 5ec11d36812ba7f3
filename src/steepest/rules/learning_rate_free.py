"""No rate to set: the distance to the solution is estimated from below, and the rate follows."""

from math import inf
from typing import Any

from steepest.core.knob import knob, option
from steepest.core.maths import abs, copy, lerp, maximum, minimum, scalar, sqrt, total, where, zeros_like
from steepest.core.rule import Rule
from steepest.rules.common import beta, decay, epsilon

# Below every sum that means something, above zero: what a guarded division divides by.
TINY = 1e-30


def first_guess() -> Any:
    return knob(
        1e-6,
        "first guess of the distance to the solution, too small rather than too large",
        valid=(TINY, inf),
        search=(1e-8, 1e-3),
        log=True,
    )


def growth() -> Any:
    return knob(inf, "how much the estimate may grow in one step; 1.02 warms up gently", valid=(1, inf), closed=True)


def factor() -> Any:
    return knob(1.0, "factor on the estimated rate; schedules go here", valid=(0, inf), search=(0.1, 3.0), log=True)


def bias_correction(beta1, beta2, t):
    return sqrt(1 - beta2**t) / (1 - beta1**t)


class DAdaptAdam(Rule):
    """D-Adaptation for Adam (Defazio & Mishchenko, 2023, D-Adapt Adam), as in the authors' package `dadaptation` 3.

    As there, the product of g and s is weighted with the second moment before this step (the paper: after). One
    estimate for the whole model. Decay is decoupled unless told otherwise; groups should share beta2 and growth_rate.
    """

    paper = "Defazio & Mishchenko, Learning-Rate-Free Learning by D-Adaptation, ICML 2023; arXiv:2301.07733"
    use = "Adam without a rate to tune; leave lr at 1 and schedule it, set weight_decay first."

    lr: float = factor()
    beta1: float = beta(0.9, "decay of the first moment")
    beta2: float = beta(0.999, "decay of the second moment, and of the estimate (its root)")
    eps: float = epsilon(1e-8)
    weight_decay: float = decay(0.0)
    d0: float = first_guess()
    growth_rate: float = growth()
    decoupled: bool = option(True, "decay the weights themselves instead of adding it to the gradient")
    use_bias_correction: bool = option(False, "Adam's correction of the young averages, on the rate")

    def init(self, p):
        return dict(m=zeros_like(p), v=zeros_like(p), s=zeros_like(p), d=scalar(0.0, p), r=scalar(0.0, p))

    def update(self, p, g, state, t):
        root_beta2 = sqrt(self.beta2)
        d = maximum(state.d, self.d0)
        step = d * self.lr
        if self.use_bias_correction:
            step = step * bias_correction(self.beta1, self.beta2, t)
        if not self.decoupled:
            g = g + self.weight_decay * p
        gain = total(step * g * state.s / (sqrt(state.v) + self.eps), over="model", name="d_adaptation.gain")
        m = self.beta1 * state.m + (1 - self.beta1) * step * g
        v = lerp(state.v, g * g, 1 - self.beta2)
        s = root_beta2 * state.s + (1 - root_beta2) * step * g
        path = total(abs(s), over="model", name="d_adaptation.path")
        r = lerp(state.r, gain, 1 - root_beta2)
        d_hat = where(path > 0, r / ((1 - root_beta2) * maximum(path, TINY)), 0.0)
        change = -m / (sqrt(v) + self.eps)
        if self.decoupled:
            change = change - step * self.weight_decay * p
        return change, dict(m=m, v=v, s=s, d=maximum(d, minimum(d_hat, d * self.growth_rate)), r=r)


class Prodigy(Rule):
    """Prodigy (Mishchenko & Defazio, 2024, Algorithm 4: the Adam version), as in the authors' package `prodigyopt`.

    One estimate for the whole model; groups should share beta2, beta3, d_coef and growth_rate. Where the gradients
    of a step and all before it are zero, the authors skip the step; here only the decay happens.
    """

    paper = "Mishchenko & Defazio, Prodigy: An Expeditiously Adaptive Parameter-Free Learner, ICML 2024; arXiv:2306.06101"
    use = "AdamW without a rate to tune; leave lr at 1 with a cosine schedule, set d_coef first if it trains too timidly."

    lr: float = factor()
    beta1: float = beta(0.9, "decay of the first moment")
    beta2: float = beta(0.999, "decay of the second moment")
    beta3: float = knob(0.0, "decay of the estimate; 0 stands for the root of beta2", valid=(0, 1), search=(0.9, 0.9999))
    eps: float = epsilon(1e-8)
    weight_decay: float = decay(0.0)
    d0: float = first_guess()
    d_coef: float = knob(1.0, "factor on the estimated distance", valid=(0, inf), search=(0.3, 3.0), log=True)
    growth_rate: float = growth()
    decoupled: bool = option(True, "decay the weights themselves instead of adding it to the gradient")
    use_bias_correction: bool = option(False, "Adam's correction of the young averages, on the rate")
    safeguard_warmup: bool = option(False, "keep lr out of the estimate's denominator, for warmups")

    def init(self, p):
        zeros = {name: zeros_like(p) for name in ("m", "v", "s")}
        return zeros | dict(p0=copy(p)) | {name: scalar(0.0, p) for name in ("d", "d_max", "r")}

    def update(self, p, g, state, t):
        beta3 = where(self.beta3 > 0, self.beta3, sqrt(self.beta2))
        d, d_max = maximum(state.d, self.d0), maximum(state.d_max, self.d0)
        step = d * self.lr
        if self.use_bias_correction:
            step = step * bias_correction(self.beta1, self.beta2, t)
        if not self.decoupled:
            g = g + self.weight_decay * p
        scale = d / self.d0  # keeps the sums away from numbers too small to hold
        r = beta3 * state.r + total(scale * step * (g * (state.p0 - p)), over="model", name="prodigy.gain")
        m = self.beta1 * state.m + d * (1 - self.beta1) * g
        v = self.beta2 * state.v + d * d * (1 - self.beta2) * (g * g)
        s = beta3 * state.s + scale * (d if self.safeguard_warmup else step) * g
        path = total(abs(s), over="model", name="prodigy.path")
        d_hat = where(path > 0, self.d_coef * r / maximum(path, TINY), 0.0)
        d_max = maximum(d_max, d_hat)
        d = minimum(d_max, where(d == self.d0, maximum(d, d_hat), d) * self.growth_rate)
        change = -step * m / (sqrt(v) + d * self.eps)
        if self.decoupled:
            change = change - step * self.weight_decay * p
        return change, dict(m=m, v=v, s=s, p0=state.p0, d=d, d_max=d_max, r=r)
