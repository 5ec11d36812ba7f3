"""Rules whose answer is an average of their path: `view` gives it."""

from math import inf

from steepest.core.errors import SettingError
from steepest.core.knob import knob, option
from steepest.core.maths import copy, debias, lerp, maximum, minimum, scalar, sqrt, where, zeros_like
from steepest.core.rule import Rule
from steepest.rules.common import beta, decay, epsilon, rate


class ASGD(Rule):
    """Averaged SGD (Polyak & Juditsky, 1992) with Bottou's schedule (Xu, 2011). As in torch, eta comes from the lr of the step before."""

    paper = "Polyak & Juditsky, Acceleration of Stochastic Approximation by Averaging, SIAM J. Control and Optimization 30(4), 1992"
    use = "Convex problems in one pass, and language models at the end of training; set lr first, then t0 at the start of the last phase."

    lr: float = rate(1e-2, search=(1e-4, 10.0))
    lambd: float = knob(1e-4, "decay of p, and pace of the schedule", valid=(0, inf), search=(1e-6, 1e-2), log=True)
    alpha: float = knob(0.75, "power of the schedule", valid=(0, inf), search=(0.5, 1.0))
    t0: float = knob(1e6, "step at which averaging starts", valid=(0, inf), search=(1.0, 1e6), log=True)

    def init(self, p):
        return dict(ax=copy(p), eta=scalar(self.lr, p), mu=scalar(1.0, p))

    def update(self, p, g, state, t):
        change = -state.eta * (g + self.lambd * p)
        ax = lerp(state.ax, p + change, state.mu)
        eta = self.lr / (1 + self.lambd * self.lr * t) ** self.alpha
        mu = 1 / maximum(t - self.t0, 1)
        return change, dict(ax=ax, eta=eta, mu=mu)

    def view(self, p, state):
        return state.ax


class ScheduleFree(Rule):
    """Abstract: gradients are asked at y, steps are taken by z, x is the average of z (Defazio et al., 2024, eq. 3-5).

    As in the authors' package p holds y, x is not stored, and decay acts at y. Steps weigh t^r lr^weight_lr_power in the average.
    """

    paper = "Defazio et al., The Road Less Scheduled, NeurIPS 2024; arXiv:2405.15682"

    lr: float = rate(1e-3)
    weight_decay: float = decay(0.0)
    r: float = knob(0.0, "weigh step t in the average as t^r", valid=(0, inf), search=(0.0, 2.0))
    weight_lr_power: float = knob(2.0, "weigh a step in the average as the largest lr so far to this", valid=(0, inf), search=(0.0, 4.0))
    warmup_steps: int = option(0, "steps over which lr rises linearly from 0")

    def check(self) -> None:
        if self.warmup_steps < 0:
            raise SettingError(f"{type(self).__name__}.warmup_steps = {self.warmup_steps} is negative")

    @property
    def interpolation(self):
        """How far y lies from z towards x: the beta of the paper."""
        raise NotImplementedError

    def normalized(self, g, state, t):
        """The gradient as z will use it, and the new state this takes."""
        raise NotImplementedError

    def init(self, p):
        return dict(z=copy(p), weight_sum=scalar(0.0, p), lr_max=scalar(0.0, p))

    def update(self, p, g, state, t):
        beta = self.interpolation
        lr = self.lr * minimum(t / self.warmup_steps, 1) if self.warmup_steps > 0 else self.lr
        lr_max = maximum(lr, state.lr_max)
        weight = t**self.r * lr_max**self.weight_lr_power
        weight_sum = state.weight_sum + weight
        c = weight / where(weight_sum > 0, weight_sum, 1)

        d, new = self.normalized(g, state, t)
        d = d + self.weight_decay * p
        change = c * (state.z - p) - lr * (1 - beta * (1 - c)) * d
        return change, new | dict(z=state.z - lr * d, weight_sum=weight_sum, lr_max=lr_max)

    def view(self, p, state):
        return lerp(p, state.z, 1 - 1 / self.interpolation)


class ScheduleFreeSGD(ScheduleFree):
    """SGD without a schedule (Defazio et al., 2024), as SGDScheduleFree of the authors' package."""

    use = "SGD when the length of training is open; set lr first (10 to 50 times that of SGD with momentum), evaluate the view."

    lr: float = rate(1.0, search=(1e-2, 100.0))
    # x is found from y by a division by this, so it cannot be 0.
    momentum: float = knob(0.9, "how far y lies from z towards the average x", valid=(0.01, 1), search=(0.8, 0.99), log=True)

    @property
    def interpolation(self):
        return self.momentum

    def normalized(self, g, state, t):
        return g, {}


class ScheduleFreeAdamW(ScheduleFree):
    """AdamW without a schedule (Defazio et al., 2024, Algorithm 1), as AdamWScheduleFree of the authors' package."""

    use = "AdamW when the length of training is open; set lr first (1 to 10 times AdamW's) and warmup_steps, evaluate the view."

    lr: float = rate(2.5e-3)
    beta1: float = knob(0.9, "how far y lies from z towards the average x", valid=(0.01, 1), search=(0.8, 0.99), log=True)
    beta2: float = beta(0.999, "decay of the second moment")
    eps: float = epsilon(1e-8)

    @property
    def interpolation(self):
        return self.beta1

    def init(self, p):
        return super().init(p) | dict(v=zeros_like(p))

    def normalized(self, g, state, t):
        v = lerp(state.v, g * g, 1 - self.beta2)
        return g / (sqrt(debias(v, self.beta2, t)) + self.eps), dict(v=v)
