"""Muon: a weight is a matrix, and its step is orthogonal."""

import torch
from torch import Tensor

from steepest.core.errors import ParameterError, SettingError
from steepest.core.knob import option
from steepest.core.maths import lerp, zeros_like
from steepest.core.rule import Rule
from steepest.rules.common import beta, decay, epsilon, rate

Coefficients = tuple[float, float, float]
# As steep at zero as still brings singular values to about [0.7, 1.2] in five iterations (Jordan et al., 2024).
QUINTIC = (3.4445, -4.7750, 2.0315)
ADJUSTMENTS = ("original", "match_rms_adamw")


def orthogonalize(x: Tensor, steps: int = 5, coefficients: Coefficients = QUINTIC, eps: float = 1e-7) -> Tensor:
    """Nearly U V^T of x = U S V^T (..., rows, cols), by Newton-Schulz: singular values end near 1, within about 0.7 to 1.2."""
    a, b, c = coefficients
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + eps)
    for _ in range(steps):
        A = x @ x.mT
        x = a * x + (b * A + c * A @ A) @ x
    return x.mT if tall else x


class Muon(Rule):
    """Momentum, orthogonalized by Newton-Schulz (Jordan et al., 2024). Decay is decoupled (Liu et al., 2025).

    Iterates in the parameter's own precision; torch and Jordan iterate in bfloat16, which `precision` asks for.
    eps is added to the norm as by Jordan (torch: the norm is at least eps).
    """

    paper = "Jordan et al., Muon: An optimizer for hidden layers in neural networks, 2024; https://kellerjordan.github.io/posts/muon/"
    use = "Hidden weight matrices, with AdamW for everything else (`muon_plan`); set lr first, 0.02 is a good start."
    scope = "matrix"

    lr: float = rate(0.02, search=(1e-3, 1e-1))
    momentum: float = beta(0.95, "decay of the averaged gradient")
    weight_decay: float = decay(0.0)
    eps: float = epsilon(1e-7, "keeps the norm of a zero gradient from zero")
    nesterov: bool = option(True, "look ahead along the momentum")
    steps: int = option(5, "Newton-Schulz iterations")
    coefficients: Coefficients = option(QUINTIC, "a, b, c of the Newton-Schulz polynomial a x + b x^3 + c x^5")
    adjust: str = option("original", "rate by shape: sqrt(max(1, rows/cols)), or 0.2 sqrt(max(rows, cols))", choices=ADJUSTMENTS)
    precision: str = option("own", "what Newton-Schulz computes in", choices=("own", "bfloat16"))

    def check(self) -> None:
        if self.steps < 0:
            raise SettingError(f"Muon.steps = {self.steps} is negative")
        if len(self.coefficients) != 3:
            raise SettingError(f"Muon.coefficients = {self.coefficients} must be three numbers")

    def init(self, p):
        if p.ndim < 2:
            raise ParameterError(f"Muon moves matrices, not a parameter of shape {tuple(p.shape)}; give vectors to AdamW (muon_plan does)")
        return dict(m=zeros_like(p))

    def direction(self, p, g, state, t):
        m = lerp(state.m, g, 1 - self.momentum)
        x = lerp(g, m, self.momentum) if self.nesterov else m
        x = x.bfloat16() if self.precision == "bfloat16" else x
        o = orthogonalize(x, self.steps, self.coefficients, self.eps).to(p.dtype)
        rows, cols = p.shape[-2:]
        ratio = max(1, rows / cols) ** 0.5 if self.adjust == "original" else 0.2 * max(rows, cols) ** 0.5
        return ratio * o, dict(m=m)
