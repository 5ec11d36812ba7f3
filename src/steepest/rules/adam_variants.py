"""Adam with one idea changed: what the second moment measures, how it moves, when it is used."""

from math import inf

from steepest.core.knob import knob, option
from steepest.core.maths import debias, full_like, lerp, maximum, minimum, sign, sqrt, square, where, zeros_like
from steepest.core.rule import Rule
from steepest.rules.common import beta, decay, epsilon, rate


class AdaBelief(Rule):
    """Divide by the surprise, g - m, instead of the size of g (Zhuang et al., 2020, Algorithm 2; its eps enters s at every step)."""

    paper = "Zhuang et al., AdaBelief Optimizer: Adapting Stepsizes by the Belief in Observed Gradients, NeurIPS 2020; arXiv:2010.07468"
    use = "Adam where SGD generalizes better; set lr first (1e-3), then eps (1e-16 for transformers, 1e-8 for images)."

    lr: float = rate(1e-3)
    beta1: float = beta(0.9, "decay of the first moment")
    beta2: float = beta(0.999, "decay of the squared surprise")
    eps: float = epsilon(1e-16, search=(1e-16, 1e-6))
    weight_decay: float = decay(0.0)

    def init(self, p):
        return dict(m=zeros_like(p), s=zeros_like(p))

    def direction(self, p, g, state, t):
        m = lerp(state.m, g, 1 - self.beta1)
        s = lerp(state.s, square(g - m), 1 - self.beta2) + self.eps
        return debias(m, self.beta1, t) / (sqrt(debias(s, self.beta2, t)) + self.eps), dict(m=m, s=s)


class Yogi(Rule):
    """v moves towards g^2 by a share of g^2, not of the difference (Zaheer et al., 2018, Algorithm 2).

    The paper leaves debiasing out "for simplicity"; it is done here, as in every implementation in use. v starts at initial_accumulator.
    """

    paper = "Zaheer et al., Adaptive Methods for Nonconvex Optimization, NeurIPS 2018"
    use = "Adam when gradients are sparse or noisy, so that v must not forget in a hurry; set lr first (1e-2)."

    lr: float = rate(1e-2)
    beta1: float = beta(0.9, "decay of the first moment")
    beta2: float = beta(0.999, "1 - beta2 of g^2 is how far v moves")
    initial_accumulator: float = knob(1e-6, "the second moment to start with", valid=(0, inf), search=(1e-8, 1e-2), log=True)
    eps: float = epsilon(1e-3, search=(1e-8, 1e-2))
    weight_decay: float = decay(0.0)

    def init(self, p):
        return dict(m=zeros_like(p), v=full_like(p, self.initial_accumulator))

    def direction(self, p, g, state, t):
        m = lerp(state.m, g, 1 - self.beta1)
        v = state.v - (1 - self.beta2) * sign(state.v - g * g) * (g * g)
        return debias(m, self.beta1, t) / (sqrt(debias(v, self.beta2, t)) + self.eps), dict(m=m, v=v)


class ADOPT(Rule):
    """Divide g by the v of the steps before it, then average (Taniguchi et al., 2024, Algorithm 2; without clip, Algorithm 1).

    The first gradient only starts v, so the paper's t is t - 1 here. weight_decay acts at that step too.
    """

    paper = "Taniguchi et al., ADOPT: Modified Adam Can Converge with Any beta2 with the Optimal Rate, NeurIPS 2024; arXiv:2411.02853"
    use = "Adam that does not depend on beta2; set lr first (1e-3)."

    lr: float = rate(1e-3)
    beta1: float = beta(0.9, "decay of the first moment")
    beta2: float = beta(0.9999, "decay of the second moment")
    eps: float = epsilon(1e-6, "the smallest denominator")
    weight_decay: float = decay(0.0)
    clip: bool = option(True, "clip each normalized gradient to (t - 1)^(1/4)")

    def init(self, p):
        return dict(m=zeros_like(p), v=zeros_like(p))

    def direction(self, p, g, state, t):
        d = g / maximum(sqrt(state.v), self.eps)
        if self.clip:
            c = (t - 1) ** 0.25
            d = minimum(maximum(d, -c), c)
        m = where(t > 1, lerp(state.m, d, 1 - self.beta1), state.m)
        v = lerp(state.v, g * g, where(t > 1, 1 - self.beta2, 1))
        return m, dict(m=m, v=v)


class Adan(Rule):
    """Nesterov momentum from differences of gradients (Xie et al., 2022, Algorithm 1).

    Letters as in the authors' code: their beta is 1 - beta of the paper, and moments are debiased. Decay is the paper's
    p = (p - lr d) / (1 + lr weight_decay), which is p - lr / (1 + lr weight_decay) (d + weight_decay p).
    """

    paper = "Xie et al., Adan: Adaptive Nesterov Momentum Algorithm for Faster Optimizing Deep Models, 2022; arXiv:2208.06677"
    use = "Vision transformers and large batches, where it bears 5 to 10 times the rate of AdamW; set lr first (1e-3)."

    lr: float = rate(1e-3)
    beta1: float = beta(0.98, "decay of the gradient")
    beta2: float = beta(0.92, "decay of the difference of gradients")
    beta3: float = beta(0.99, "decay of the second moment")
    eps: float = epsilon(1e-8)
    weight_decay: float = decay(0.0)

    @property
    def rate(self):
        return self.lr / (1 + self.lr * self.weight_decay)

    def init(self, p):
        return dict(m=zeros_like(p), v=zeros_like(p), n=zeros_like(p), previous=zeros_like(p))

    def direction(self, p, g, state, t):
        difference = where(t > 1, g - state.previous, 0)
        m = lerp(state.m, g, 1 - self.beta1)
        v = lerp(state.v, difference, 1 - self.beta2)
        n = lerp(state.n, square(g + self.beta2 * difference), 1 - self.beta3)
        d = debias(m, self.beta1, t) + self.beta2 * debias(v, self.beta2, t)
        return d / (sqrt(debias(n, self.beta3, t)) + self.eps), dict(m=m, v=v, n=n, previous=g)
