"""The second moment of a matrix from its row and column sums: memory for rows + columns, not rows x columns."""

from math import inf

import torch

from steepest.core.knob import knob
from steepest.core.maths import lerp, maximum, minimum, norm, size, sqrt, where
from steepest.core.rule import Rule
from steepest.rules.common import decay, rate


def rms(x):
    return norm(x, over="tensor") / sqrt(size(x, over="tensor"))


class Adafactor(Rule):
    """Adaptive rates with sublinear memory (Shazeer & Stern, 2018, Algorithms 4 and 5), with torch's reading of it.

    As in torch: lr is the largest relative step (the paper: 0.01) and the rate of the decoupled decay; means instead of
    sums; eps1 bounds the denominators (the paper adds it to g * g). Vectors keep their whole second moment.
    """

    paper = "Shazeer & Stern, Adafactor: Adaptive Learning Rates with Sublinear Memory Cost, ICML 2018; arXiv:1804.04235"
    use = "Large embeddings and language models where Adam's state does not fit; the defaults are meant to stay."
    scope = "tensor"

    lr: float = rate(1e-2, search=(1e-4, 1e-1))
    beta2_decay: float = knob(-0.8, "the second moment forgets as 1 - t**beta2_decay", valid=(-inf, 0), closed=True, search=(-1.0, -0.5))
    eps1: float = knob(0.0, "smallest root of a second moment; 0 stands for the machine epsilon of the dtype", valid=(0, inf))
    eps2: float = knob(1e-3, "smallest size that a tensor is taken to have", valid=(0, inf), search=(1e-4, 1e-2), log=True)
    d: float = knob(1.0, "largest root mean square of a step, before the rate", valid=(1, inf), search=(1.0, 4.0))
    weight_decay: float = decay(0.0)

    def init(self, p):
        if p.ndim < 2:
            return dict(v=torch.zeros_like(p))
        return dict(r=torch.zeros_like(p[..., :1]), c=torch.zeros_like(p[..., :1, :]))

    def update(self, p, g, state, t):
        eps1 = where(self.eps1 > 0, self.eps1, torch.finfo(p.dtype).eps)
        weight = t**self.beta2_decay
        rho = minimum(self.lr, 1 / sqrt(t))
        alpha = maximum(self.eps2, rms(p)) * rho
        if p.ndim < 2:
            v = lerp(state.v, g * g, weight)
            new = dict(v=v)
        else:
            r = lerp(state.r, (g * g).mean(-1, keepdim=True), weight)
            c = lerp(state.c, (g * g).mean(-2, keepdim=True), weight)
            v = r @ c / maximum(r.mean(-2, keepdim=True), eps1)
            new = dict(r=r, c=c)
        u = g / sqrt(maximum(v, eps1 * eps1))
        return -self.lr * self.weight_decay * p - alpha * u / maximum(1.0, rms(u) / self.d), new
