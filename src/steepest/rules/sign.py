"""Rules that look at the sign alone: every element moves by the same amount, or by one of its own."""

from math import inf

from steepest.core.knob import knob
from steepest.core.maths import full_like, lerp, maximum, minimum, sign, where, zeros_like
from steepest.core.rule import Rule
from steepest.rules.common import beta, decay, rate


class Lion(Rule):
    """The sign of an interpolated momentum (Chen et al., 2023, Algorithm 2)."""

    paper = "Chen et al., Symbolic Discovery of Optimization Algorithms, NeurIPS 2023; arXiv:2302.06675"
    use = "Large batches and half of Adam's memory; set lr first (a third to a tenth of AdamW's, with weight_decay as much larger)."

    lr: float = rate(1e-4, search=(1e-6, 1e-2))
    beta1: float = beta(0.9, "how much of the momentum goes into the step")
    beta2: float = beta(0.99, "decay of the momentum")
    weight_decay: float = decay(0.0, search=(1e-4, 10.0))

    def init(self, p):
        return dict(m=zeros_like(p))

    def direction(self, p, g, state, t):
        c = lerp(state.m, g, 1 - self.beta1)
        m = lerp(state.m, g, 1 - self.beta2)
        return sign(c), dict(m=m)


class Rprop(Rule):
    """A step size per element, grown while the sign stays and cut when it flips (Riedmiller & Braun, 1993).

    As in torch this is iRprop- (Igel & Huesken, 2000): after a flip the element rests for one step. lr is the first step size only.
    """

    paper = "Riedmiller & Braun, A Direct Adaptive Method for Faster Backpropagation Learning: The RPROP Algorithm, ICNN 1993"
    use = "Full-batch training of small networks; nothing much to set, not for mini-batches."

    lr: float = rate(1e-2)
    eta_minus: float = knob(0.5, "factor of the step size when the sign flips", valid=(0, 1), search=(0.2, 0.9))
    eta_plus: float = knob(1.2, "factor of the step size while the sign stays", valid=(1, inf), search=(1.05, 2.0))
    step_min: float = knob(1e-6, "smallest step size", valid=(0, inf), search=(1e-8, 1e-4), log=True)
    step_max: float = knob(50.0, "largest step size", valid=(0, inf), search=(1e-1, 1e2), log=True)

    def init(self, p):
        return dict(step_size=full_like(p, self.lr), previous=zeros_like(p))

    def update(self, p, g, state, t):
        agreement = sign(g) * state.previous
        slower = where(agreement < 0, self.eta_minus * state.step_size, state.step_size)
        step_size = where(agreement > 0, self.eta_plus * state.step_size, slower)
        step_size = minimum(maximum(step_size, self.step_min), self.step_max)
        g = where(agreement < 0, 0, g)
        return -sign(g) * step_size, dict(step_size=step_size, previous=g)
