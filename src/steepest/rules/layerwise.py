"""One rate per layer: the step of every tensor is measured by the size of the tensor itself."""

from math import inf

from steepest.core.knob import knob
from steepest.core.maths import minimum, norm, where, zeros_like
from steepest.core.rule import Rule, State
from steepest.rules.adam import Adam
from steepest.rules.common import beta, epsilon, rate
from steepest.rules.wrappers import TrustRatio


class LARS(Rule):
    """Layer-wise adaptive rate scaling (You, Gitman & Ginsburg, 2017, Algorithm 1).

    The local rate is 1 where the weights or the gradient are zero; eps in the denominator is not in the paper.
    Leave biases and norms to another rule: their small norms stop them.
    """

    paper = "You, Gitman & Ginsburg, Large Batch Training of Convolutional Networks, 2017; arXiv:1708.03888"
    use = "Convolutional networks with batches of many thousands; set lr first, with a warmup."

    lr: float = rate(1.0, search=(1e-2, 1e2))
    momentum: float = beta(0.9, "decay of the velocity")
    trust: float = knob(1e-3, "how much of its own norm a layer may move", valid=(0, inf), search=(1e-4, 1e-1), log=True)
    weight_decay: float = knob(0.0, "weight decay, inside the local rate", valid=(0, inf), search=(1e-6, 1e-2), log=True)
    eps: float = epsilon(1e-8)

    def init(self, p):
        return dict(v=zeros_like(p))

    def update(self, p, g, state, t):
        w, dw = norm(p, over="tensor"), norm(g, over="tensor")
        local = where(minimum(w, dw) > 0, self.trust * w / (dw + self.weight_decay * w + self.eps), 1.0)
        v = self.momentum * state.v + self.lr * local * (g + self.weight_decay * p)
        return -v, dict(v=v)


class LAMB(Rule):
    """Layer-wise adaptive moments for batch training (You et al., 2020, Algorithm 2): the trust ratio of Adam's direction.

    It is `TrustRatio(inner=Adam(...))` under its own name; phi is the identity.
    """

    paper = "You et al., Large Batch Optimization for Deep Learning: Training BERT in 76 minutes, ICLR 2020; arXiv:1904.00962"
    use = "Transformers with batches of many thousands; set lr first, near the square root of the batch size times AdamW's."

    lr: float = rate(1e-3)
    beta1: float = beta(0.9, "decay of the first moment")
    beta2: float = beta(0.999, "decay of the second moment")
    eps: float = epsilon(1e-6)
    weight_decay: float = knob(0.0, "weight decay, inside the ratio", valid=(0, inf), search=(1e-5, 1e-1), log=True)

    @property
    def decay(self):
        return 0.0  # it is inside the ratio

    @property
    def composed(self) -> TrustRatio:
        return TrustRatio(inner=Adam()).bind({f"inner.{name}": value for name, value in self.knobs().items()})

    def init(self, p):
        return self.composed.inner.init(p)

    def direction(self, p, g, state, t):
        d, new = self.composed.direction(p, g, State(inner=state), t)
        return d, new["inner"]
