"""A rate for every element, from the size of its past gradients: their sum, their average, their ratio to past steps."""

from math import inf

from steepest.core.knob import knob, option
from steepest.core.maths import full_like, lerp, maximum, sqrt, zeros_like
from steepest.core.rule import Rule
from steepest.rules.common import beta, decay, epsilon, rate


def root(s, eps, inside):
    """The denominator: eps outside the root as in torch, or inside it as in TensorFlow and JAX."""
    return sqrt(s + eps) if inside else sqrt(s) + eps


class Adagrad(Rule):
    """Divide by the root of the sum of squares (Duchi et al., 2011, Figure 1, diagonal). torch's lr_decay scales the direction."""

    sparse = True
    paper = "Duchi, Hazan & Singer, Adaptive Subgradient Methods for Online Learning and Stochastic Optimization, JMLR 12, 2011"
    use = "For sparse features and convex problems; set lr first (1e-2 to 1): the sum only grows, so steps only shrink."

    lr: float = rate(1e-2, search=(1e-3, 1.0))
    lr_decay: float = knob(0.0, "the rate falls as 1 / (1 + lr_decay (t - 1))", valid=(0, inf), search=(1e-6, 1e-2), log=True)
    initial_accumulator: float = knob(0.0, "the sum of squares to start with", valid=(0, inf), search=(1e-3, 1.0), log=True)
    eps: float = epsilon(1e-10)
    weight_decay: float = decay(0.0)
    eps_inside: bool = option(False, "add eps inside the root")

    def init(self, p):
        return dict(s=full_like(p, self.initial_accumulator))

    def direction(self, p, g, state, t):
        s = state.s + g * g
        return g / root(s, self.eps, self.eps_inside) / (1 + (t - 1) * self.lr_decay), dict(s=s)


class RMSprop(Rule):
    """Divide by the root of the average of squares (Tieleman & Hinton, 2012). For momentum: `HeavyBall(inner=RMSprop())`.

    centered subtracts the squared mean (Graves, 2013, eq. 38-39); where rounding makes that negative it counts as 0 (torch: NaN).
    """

    paper = "Tieleman & Hinton, Lecture 6.5: rmsprop, COURSERA: Neural Networks for Machine Learning, 2012"
    use = "For recurrent networks and reinforcement learning; set lr first (1e-3), then alpha."

    lr: float = rate(1e-2)
    alpha: float = beta(0.99, "decay of the average of squares")
    eps: float = epsilon(1e-8)
    weight_decay: float = decay(0.0)
    centered: bool = option(False, "divide by the deviation from the mean gradient, not by its size")
    eps_inside: bool = option(False, "add eps inside the root")

    def init(self, p):
        state = dict(s=zeros_like(p))
        return state | dict(m=zeros_like(p)) if self.centered else state

    def direction(self, p, g, state, t):
        s = lerp(state.s, g * g, 1 - self.alpha)
        new = dict(s=s)
        if self.centered:
            m = new["m"] = lerp(state.m, g, 1 - self.alpha)
            s = maximum(s - m * m, 0)
        return g / root(s, self.eps, self.eps_inside), new


class Adadelta(Rule):
    """The size of past steps over the size of past gradients (Zeiler, 2012, Algorithm 1). lr scales it; in the paper it is 1."""

    paper = "Zeiler, ADADELTA: An Adaptive Learning Rate Method, 2012; arXiv:1212.5701"
    use = "When no rate is known; leave lr at 1 and set eps first, which decides how fast it starts."

    lr: float = rate(1.0, search=(1e-2, 10.0))
    rho: float = beta(0.9, "decay of both averages of squares")
    eps: float = epsilon(1e-6, "keeps the root from zero, and starts the motion", search=(1e-8, 1e-2))
    weight_decay: float = decay(0.0)

    def init(self, p):
        return dict(s=zeros_like(p), u=zeros_like(p))

    def direction(self, p, g, state, t):
        s = lerp(state.s, g * g, 1 - self.rho)
        d = sqrt(state.u + self.eps) / sqrt(s + self.eps) * g
        u = lerp(state.u, d * d, 1 - self.rho)
        return d, dict(s=s, u=u)
