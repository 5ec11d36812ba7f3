"""Adam and what came of it: two moments, and how to divide one by the root of the other."""

from math import inf

from steepest.core.knob import knob, option
from steepest.core.maths import abs, debias, lerp, maximum, scalar, sqrt, where, zeros_like
from steepest.core.rule import Rule
from steepest.rules.common import beta, decay, epsilon, rate


class Adam(Rule):
    """Adaptive moments (Kingma & Ba, 2015, Algorithm 1). weight_decay is decoupled (Loshchilov & Hutter, 2019), so this is AdamW too.

    Coupled decay, as torch's Adam has it, is `L2(inner=Adam())`. amsgrad takes its maximum before debiasing, as torch does.
    """

    paper = "Kingma & Ba, Adam: A Method for Stochastic Optimization, ICLR 2015; arXiv:1412.6980"
    use = "The default for transformers and for anything untuned; set lr first (1e-3 is a good start)."

    lr: float = rate(1e-3)
    beta1: float = beta(0.9, "decay of the first moment")
    beta2: float = beta(0.999, "decay of the second moment")
    eps: float = epsilon(1e-8)
    weight_decay: float = decay(0.0)
    amsgrad: bool = option(False, "divide by the largest second moment so far (Reddi et al., 2018)")

    def init(self, p):
        state = dict(m=zeros_like(p), v=zeros_like(p))
        return state | dict(v_max=zeros_like(p)) if self.amsgrad else state

    def direction(self, p, g, state, t):
        m = lerp(state.m, g, 1 - self.beta1)
        v = lerp(state.v, g * g, 1 - self.beta2)
        new = dict(m=m, v=v)
        if self.amsgrad:
            v = new["v_max"] = maximum(state.v_max, v)
        return debias(m, self.beta1, t) / (sqrt(debias(v, self.beta2, t)) + self.eps), new


class SparseAdam(Rule):
    """Adam on the rows that have a gradient, as torch's SparseAdam: the others neither move nor forget, and t counts for all rows.

    eps is added before debiasing (Kingma & Ba, 2015, end of section 2). On a dense gradient every row has one.
    """

    sparse = True
    paper = "Kingma & Ba, Adam: A Method for Stochastic Optimization, ICLR 2015; arXiv:1412.6980"
    use = "For nn.Embedding(sparse=True) with many rows; set lr first (1e-3 is a good start)."

    lr: float = rate(1e-3)
    beta1: float = beta(0.9, "decay of the first moment")
    beta2: float = beta(0.999, "decay of the second moment")
    eps: float = epsilon(1e-8)
    weight_decay: float = decay(0.0)

    def init(self, p):
        return dict(m=zeros_like(p), v=zeros_like(p))

    def direction(self, p, g, state, t):
        m = lerp(state.m, g, 1 - self.beta1)
        v = lerp(state.v, g * g, 1 - self.beta2)
        return sqrt(1 - self.beta2**t) / (1 - self.beta1**t) * m / (sqrt(v) + self.eps), dict(m=m, v=v)


class Adamax(Rule):
    """Adam with the largest recent gradient for a denominator (Kingma & Ba, 2015, Algorithm 2). eps goes beside |g|, as in torch."""

    paper = "Kingma & Ba, Adam: A Method for Stochastic Optimization, ICLR 2015; arXiv:1412.6980"
    use = "Where single huge gradients, as of rare words, unsettle Adam; set lr first (2e-3)."

    lr: float = rate(2e-3)
    beta1: float = beta(0.9, "decay of the first moment")
    beta2: float = beta(0.999, "decay of the largest gradient")
    eps: float = epsilon(1e-8)
    weight_decay: float = decay(0.0)

    def init(self, p):
        return dict(m=zeros_like(p), u=zeros_like(p))

    def direction(self, p, g, state, t):
        m = lerp(state.m, g, 1 - self.beta1)
        u = maximum(self.beta2 * state.u, abs(g) + self.eps)
        return debias(m, self.beta1, t) / u, dict(m=m, u=u)


class NAdam(Rule):
    """Adam with Nesterov's look ahead (Dozat, 2016, Algorithm 2), with its schedule mu_t of the momentum.

    As in torch, mu_t weighs m and g in the step, while m itself decays by beta1.
    """

    paper = "Dozat, Incorporating Nesterov Momentum into Adam, ICLR 2016 workshop"
    use = "Adam for short runs, a little faster at the start; set lr first (2e-3)."

    lr: float = rate(2e-3)
    beta1: float = beta(0.9, "decay of the first moment")
    beta2: float = beta(0.999, "decay of the second moment")
    momentum_decay: float = knob(4e-3, "how fast mu_t rises from beta1 / 2 to beta1", valid=(0, inf), search=(1e-4, 1e-1), log=True)
    eps: float = epsilon(1e-8)
    weight_decay: float = decay(0.0)

    def init(self, p):
        return dict(m=zeros_like(p), v=zeros_like(p), mu_product=scalar(1.0, p))

    def mu(self, t):
        return self.beta1 * (1 - 0.5 * 0.96 ** (t * self.momentum_decay))

    def direction(self, p, g, state, t):
        mu, mu_next = self.mu(t), self.mu(t + 1)
        mu_product = state.mu_product * mu
        m = lerp(state.m, g, 1 - self.beta1)
        v = lerp(state.v, g * g, 1 - self.beta2)
        m_hat = mu_next / (1 - mu_product * mu_next) * m + (1 - mu) / (1 - mu_product) * g
        return m_hat / (sqrt(debias(v, self.beta2, t)) + self.eps), dict(m=m, v=v, mu_product=mu_product)


class RAdam(Rule):
    """Adam with its own warmup (Liu et al., 2020, Algorithm 2). As in torch: rectified from rho_t > 5 on, eps before debiasing."""

    paper = "Liu et al., On the Variance of the Adaptive Learning Rate and Beyond, ICLR 2020; arXiv:1908.03265"
    use = "Adam when no warmup is wanted; set lr first (1e-3)."

    lr: float = rate(1e-3)
    beta1: float = beta(0.9, "decay of the first moment")
    beta2: float = beta(0.999, "decay of the second moment")
    eps: float = epsilon(1e-8)
    weight_decay: float = decay(0.0)

    def init(self, p):
        return dict(m=zeros_like(p), v=zeros_like(p))

    def direction(self, p, g, state, t):
        m = lerp(state.m, g, 1 - self.beta1)
        v = lerp(state.v, g * g, 1 - self.beta2)
        rho_inf = 2 / (1 - self.beta2) - 1
        rho = rho_inf - 2 * t * self.beta2**t / (1 - self.beta2**t)
        # Above rho = 5 both products exceed 1; below, r is not used and must only be a number.
        r = sqrt(maximum((rho - 4) * (rho - 2) * rho_inf, 1) / maximum((rho_inf - 4) * (rho_inf - 2) * rho, 1))
        adaptive = r * sqrt(1 - self.beta2**t) / (sqrt(v) + self.eps)
        return debias(m, self.beta1, t) * where(rho > 5, adaptive, 1), dict(m=m, v=v)
