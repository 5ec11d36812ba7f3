"""Gradient descent, and the three things that are called momentum."""

from steepest.core.knob import knob, option
from steepest.core.maths import lerp, where, zeros_like
from steepest.core.rule import Rule
from steepest.rules.common import beta, decay, rate

# A step takes lr * weight_decay of a weight, and these rates are ten times and more those of rules that rescale the gradient.
DECAYS = (1e-5, 1e-1)


class GradientDescent(Rule):
    """Against the gradient: p = p - lr g (Cauchy, 1847; on samples: Robbins & Monro, 1951). torch's SGD without momentum."""

    sparse = True
    paper = "Cauchy, Méthode générale pour la résolution des systèmes d'équations simultanées, Comptes Rendus 25, 1847"
    use = "The baseline, and enough for convex problems; set lr first, as large as stays stable."

    lr: float = rate(1e-3, search=(1e-4, 1.0))
    weight_decay: float = decay(0.0, search=DECAYS)

    def direction(self, p, g, state, t):
        return g, {}


class Momentum(Rule):
    """Heavy ball: v = mu v + (1 - dampening) g (Polyak, 1964), as torch's SGD: the first v is g, undampened.

    nesterov looks ahead along v (Nesterov, 1983), in the form of Sutskever et al. (2013) with the gradient asked at p.
    """

    sparse = "whole"
    paper = "Polyak, Some methods of speeding up the convergence of iteration methods, USSR CMMP 4(5), 1964"
    use = "The default for convolutional networks; set lr first (0.1 at momentum 0.9 with normalization layers), then decay it."

    lr: float = rate(1e-3, search=(1e-4, 1.0))
    momentum: float = beta(0.9, "how much of the last step is kept")
    dampening: float = knob(0.0, "share of the gradient left out of v", valid=(0, 1), closed=True)
    weight_decay: float = decay(0.0, search=DECAYS)
    nesterov: bool = option(False, "go where the momentum will have led")

    def init(self, p):
        return dict(v=zeros_like(p))

    def direction(self, p, g, state, t):
        v = self.momentum * state.v + where(t > 1, 1 - self.dampening, 1) * g
        return g + self.momentum * v if self.nesterov else v, dict(v=v)


class AverageMomentum(Rule):
    """Momentum as an exponential average: v = beta v + (1 - beta) g. The step does not grow as beta does."""

    paper = "Sutskever et al., On the importance of initialization and momentum in deep learning, ICML 2013"
    use = "Momentum whose beta can be changed without retuning lr; set lr first (that of heavy ball, over 1 - beta)."

    lr: float = rate(1e-2, search=(1e-3, 10.0))
    beta: float = beta(0.9, "decay of the average gradient")
    weight_decay: float = decay(0.0, search=DECAYS)

    def init(self, p):
        return dict(v=zeros_like(p))

    def direction(self, p, g, state, t):
        v = lerp(state.v, g, 1 - self.beta)
        return v, dict(v=v)


class RateInsideMomentum(Rule):
    """Momentum with the rate inside: v = mu v + lr g, p = p - v (Sutskever et al., 2013, eq. 1). A new lr acts on new gradients only."""

    paper = "Sutskever et al., On the importance of initialization and momentum in deep learning, ICML 2013"
    use = "To reproduce results of Caffe and Keras under a changing lr; set lr first, as for heavy ball."

    lr: float = rate(1e-3, search=(1e-4, 1.0))
    momentum: float = beta(0.9, "how much of the last step is kept")
    weight_decay: float = decay(0.0, search=DECAYS)

    def init(self, p):
        return dict(v=zeros_like(p))

    def update(self, p, g, state, t):
        v = self.momentum * state.v + self.lr * g
        return -(v + self.lr * self.weight_decay * p), dict(v=v)
