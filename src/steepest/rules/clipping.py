"""Clipping: no element, parameter, unit or model may ask for too large a step."""

from math import inf

from steepest.core.knob import knob
from steepest.core.maths import maximum, minimum, norm
from steepest.rules.common import epsilon
from steepest.rules.wrapper import GradientWrapper

# Keeps a division by the norm of a zero gradient defined; far below any norm that matters.
TINY = 1e-30


class ClipValue(GradientWrapper):
    """Each element of the gradient into [-limit, limit] (Mikolov, 2012)."""

    paper = "Mikolov, Statistical Language Models Based on Neural Networks, PhD thesis, Brno University of Technology, 2012"
    use = "Recurrent networks with rare, huge single gradients; set limit near the largest usual element."

    limit: float = knob(1.0, "largest absolute value of an element", valid=(0, inf), search=(1e-2, 10.0), log=True)

    def gradient(self, p, g):
        return minimum(maximum(g, -self.limit), self.limit)


class ClipEach(GradientWrapper):
    """Each parameter's gradient to a norm of at most `norm`: Keras's clipnorm."""

    paper = "Pascanu, Mikolov & Bengio, On the difficulty of training recurrent neural networks, ICML 2013; arXiv:1211.5063"
    use = "When layers differ much in the size of their gradients, or as Keras does it; set norm near the usual norm of a layer."

    norm: float = knob(1.0, "largest norm of one parameter's gradient", valid=(0, inf), search=(1e-2, 10.0), log=True)

    def gradient(self, p, g):
        return g * minimum(1, self.norm / maximum(norm(g, "tensor"), TINY))


class Clip(GradientWrapper):
    """The gradient of the whole model to a norm of at most `norm` (Pascanu et al., 2013, Algorithm 1), as torch's clip_grad_norm_."""

    paper = "Pascanu, Mikolov & Bengio, On the difficulty of training recurrent neural networks, ICML 2013; arXiv:1211.5063"
    use = "The default for transformers and recurrent networks; set norm to 1, or to what most steps stay below."

    norm: float = knob(1.0, "largest norm of the model's gradient", valid=(0, inf), search=(1e-1, 10.0), log=True)

    def gradient(self, p, g):
        return g * minimum(1, self.norm / (norm(g, "model", name="gradient") + 1e-6))


class AGC(GradientWrapper):
    """The gradient of each unit (output row) to at most `clipping` times the norm of its weights (Brock et al., 2021, eq. 3)."""

    paper = "Brock et al., High-Performance Large-Scale Image Recognition Without Normalization, ICML 2021; arXiv:2102.06171"
    use = "Networks without normalization, large batches; set clipping (0.01, more for small batches) and leave out the last layer."

    clipping: float = knob(0.01, "largest ratio of gradient norm to weight norm", valid=(0, inf), search=(1e-3, 0.5), log=True)
    eps: float = epsilon(1e-3, "smallest weight norm assumed, so that zero weights can move", search=(1e-5, 1e-1))

    def gradient(self, p, g):
        largest = self.clipping * maximum(norm(p, "unit"), self.eps)
        return g * minimum(1, largest / maximum(norm(g, "unit"), TINY))
