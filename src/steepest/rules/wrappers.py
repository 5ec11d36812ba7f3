"""Rules around rules: what is added to the gradient, done to the direction, and made of the result."""

from math import inf

from steepest.core.errors import SettingError
from steepest.core.knob import knob, option
from steepest.core.maths import copy, lerp, maximum, mean, minimum, norm, scalar, sign, size, total, where, zeros_like
from steepest.rules.common import beta
from steepest.rules.wrapper import ChangeWrapper, DirectionWrapper, GradientWrapper


class Maximize(GradientWrapper):
    """Climb instead of descend. Put it outside of decay: `Maximize(inner=L2(inner=...))`."""

    use = "When the objective is a reward; nothing to set."

    def gradient(self, p, g):
        return -g


class L2(GradientWrapper):
    """Decay coupled to the gradient: g + coefficient p (Krogh & Hertz, 1991). This is weight_decay of torch's SGD and Adam."""

    keeps_zero = False
    paper = "Krogh & Hertz, A Simple Weight Decay Can Improve Generalization, NeurIPS 1991"
    use = "With SGD (5e-4 for convolutional networks); for adaptive rules prefer their own, decoupled weight_decay."

    coefficient: float = knob(1e-4, "strength: adds coefficient / 2 |p|^2 to the loss", valid=(0, inf), search=(1e-6, 1e-2), log=True)

    def gradient(self, p, g):
        return g + self.coefficient * p


class L1(GradientWrapper):
    """Lasso by subgradient: g + coefficient sign(p) (Tibshirani, 1996). Weights hover near 0 rather than reach it."""

    keeps_zero = False
    paper = "Tibshirani, Regression Shrinkage and Selection via the Lasso, JRSS B 58(1), 1996"
    use = "When few weights should matter; set coefficient, and round small weights to 0 afterwards."

    coefficient: float = knob(1e-5, "strength: adds coefficient |p|_1 to the loss", valid=(0, inf), search=(1e-7, 1e-3), log=True)

    def gradient(self, p, g):
        return g + self.coefficient * sign(p)


class Centralize(GradientWrapper):
    """Gradient centralization: each unit's gradient minus its mean (Yong et al., 2020, eq. 1); vectors are left alone."""

    paper = "Yong et al., Gradient Centralization: A New Optimization Technique for Deep Neural Networks, ECCV 2020; arXiv:2004.01461"
    use = "Convolutional networks with SGD or Adam; nothing to set."

    def gradient(self, p, g):
        return g - mean(g, "unit") if p.ndim > 1 else g


class HeavyBall(DirectionWrapper):
    """Momentum over any direction: v = momentum v + d (Polyak, 1964). Around RMSprop it is torch's RMSprop(momentum=...)."""

    paper = "Polyak, Some methods of speeding up the convergence of iteration methods, USSR CMMP 4(5), 1964"
    use = "RMSprop with momentum; set momentum (0.9) and divide lr by 10."

    momentum: float = beta(0.9, "how much of the last step is kept")

    def init(self, p):
        return super().init(p) | dict(v=zeros_like(p))

    def direction(self, p, g, state, t):
        d, inner = self.inner.direction(p, g, state.inner, t)
        v = self.momentum * state.v + d
        return v, dict(inner=inner, v=v)


class Cautious(DirectionWrapper):
    """Only where direction and gradient agree, scaled up for what was left out (Liang et al., 2024, Algorithm 1). Decay is not masked."""

    paper = "Liang et al., Cautious Optimizers: Improving Training with One Line of Code, 2024; arXiv:2411.16085"
    use = "Around any rule with momentum, Adam or Lion; nothing to set."

    def direction(self, p, g, state, t):
        d, inner = self.inner.direction(p, g, state.inner, t)
        mask = sign(maximum(d * g, 0))
        return d * mask * (size(d, "tensor") / (total(mask, "tensor") + 1)), dict(inner=inner)


class TrustRatio(DirectionWrapper):
    """Each parameter moves in proportion to its norm: around Adam this is LAMB (You et al., 2020, Algorithm 2).

    Decay is inside the ratio. `low` and `high` bound the norm of p, which is phi of the paper; a zero norm gives ratio 1.
    """

    paper = "You et al., Large Batch Optimization for Deep Learning: Training BERT in 76 minutes, ICLR 2020; arXiv:1904.00962"
    use = "Very large batches; set lr first (it is now the relative change per step, 1e-3 to 1e-2)."

    low: float = knob(0.0, "smallest norm of p to count", valid=(0, inf))
    high: float = knob(inf, "largest norm of p to count", valid=(0, inf), closed=True)

    @property
    def decay(self):
        return 0.0

    def direction(self, p, g, state, t):
        d, inner = self.inner.direction(p, g, state.inner, t)
        d = d + self.inner.decay * p
        phi, length = minimum(maximum(norm(p, "tensor"), self.low), self.high), norm(d, "tensor")
        ratio = where((phi > 0) & (length > 0), phi / where(length > 0, length, 1), 1)
        return d * ratio, dict(inner=inner)


class Lookahead(ChangeWrapper):
    """k fast steps forward, then a slow one: slow + alpha (fast - slow), where fast starts anew (Zhang et al., 2019, Algorithm 1)."""

    paper = "Zhang et al., Lookahead Optimizer: k steps forward, 1 step back, NeurIPS 2019; arXiv:1907.08610"
    use = "Around SGD or Adam with a rate a little too large; leave k and alpha, evaluate the view."

    alpha: float = knob(0.5, "how far the slow weights go towards the fast ones", valid=(0, 1), closed=True, search=(0.2, 0.9))
    k: int = option(5, "fast steps between two slow ones")

    def check(self) -> None:
        if self.k < 1:
            raise SettingError(f"Lookahead.k = {self.k} is less than 1")

    def init(self, p):
        return super().init(p) | dict(slow=copy(p), n=scalar(0.0, p))

    def update(self, p, g, state, t):
        change, inner = self.inner.update(p, g, state.inner, t)
        due = t >= (state.n + 1) * self.k
        slow = where(due, lerp(state.slow, p + change, self.alpha), state.slow)
        return where(due, slow - p, change), dict(inner=inner, slow=slow, n=where(due, state.n + 1, state.n))

    def view(self, p, state):
        return state.slow


class Average(ChangeWrapper):
    """Exponential moving average of the weights; the first ones are copied, as in torch's AveragedModel with get_ema_avg_fn.

    debias weighs the first ones no more than their age deserves: (1 - beta) / (1 - beta^t) in place of 1 - beta.
    """

    paper = "Morales-Brotons, Vogels & Hendrikx, Exponential Moving Average of Weights in Deep Learning, TMLR 2024; arXiv:2411.18704"
    use = "Nearly always, for free accuracy; set beta so that 1 / (1 - beta) is about a tenth of all steps, evaluate the view."

    beta: float = beta(0.999, "how much of the average is kept at each step")
    debias: bool = option(False, "weigh early weights by their age")

    def init(self, p):
        return super().init(p) | dict(average=copy(p))

    def update(self, p, g, state, t):
        change, inner = self.inner.update(p, g, state.inner, t)
        weight = (1 - self.beta) / (1 - self.beta**t) if self.debias else where(t > 1, 1 - self.beta, 1)
        return change, dict(inner=inner, average=lerp(state.average, p + change, weight))

    def view(self, p, state):
        return state.average


class StochasticAverage(ChangeWrapper):
    """Stochastic weight averaging: the plain mean of the weights at start, start + every, ... (Izmailov et al., 2018, Algorithm 1)."""

    paper = "Izmailov et al., Averaging Weights Leads to Wider Optima and Better Generalization, UAI 2018; arXiv:1803.05407"
    use = "The last quarter of training at a constant, rather high lr; set start and every (an epoch), evaluate the view."

    start: int = option(1, "first step whose weights count")
    every: int = option(1, "steps between two that count")

    def check(self) -> None:
        if self.every < 1:
            raise SettingError(f"StochasticAverage.every = {self.every} is less than 1")

    def init(self, p):
        return super().init(p) | dict(average=zeros_like(p), n=scalar(0.0, p))

    def update(self, p, g, state, t):
        change, inner = self.inner.update(p, g, state.inner, t)
        due = t >= self.start + state.n * self.every
        average = where(due, lerp(state.average, p + change, 1 / (state.n + 1)), state.average)
        return change, dict(inner=inner, average=average, n=where(due, state.n + 1, state.n))

    def view(self, p, state):
        return where(state.n > 0, state.average, p)
