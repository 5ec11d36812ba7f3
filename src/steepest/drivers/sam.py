"""Sharpness-aware minimization: the gradient is asked at the worst point nearby, the step is made from here."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from steepest.core.knob import Settings, knob, option
from steepest.drivers.plain import Closure, backward, parameters, running_statistics_kept


class SAM(Settings):
    """SAM (Foret et al., 2021, Algorithm 1) over any rule; adaptive: ASAM (Kwon et al., 2021, Algorithm 1).

    adaptive measures the neighborhood by T = |w| + eta, on every parameter (the authors: not on biases). Running
    statistics of normalization layers see the first pass only. Where the first gradient is zero or not finite there is
    no worst direction: that gradient is used as it is.
    """

    paper = "Foret et al., Sharpness-Aware Minimization for Efficiently Improving Generalization, ICLR 2021; arXiv:2010.01412"
    use = "When generalization is worth twice the time; set rho first (0.05; adaptive: 0.5 to 2)."

    rho: float = knob(0.05, "radius of the neighborhood", valid=(0, inf), search=(0.01, 2.0), log=True)
    eta: float = knob(0.01, "adaptive: added to |w|, so that zeros move too", valid=(0, inf), search=(1e-4, 1e-1), log=True)
    adaptive: bool = option(False, "measure the neighborhood relative to each weight")

    def step(self, optimizer: Any, closure: Closure) -> Tensor:
        """`closure()` computes the loss and is called twice; returns the loss at the weights, not at the worst point."""
        optimizer.zero_grad()
        loss = backward(closure)
        moved = self._worst(parameters(optimizer))
        if moved:
            optimizer.zero_grad()
            with elsewhere(moved), running_statistics_kept():
                backward(closure)
        optimizer.step()
        return loss

    @torch.no_grad()
    def _worst(self, params: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Each parameter and its part of the perturbation: rho T^2 g / |T g|."""
        given = [(p, p.abs() + self.eta if self.adaptive else torch.ones_like(p), p.grad) for p in params if p.grad is not None]
        ascents = [T * g for _, T, g in given]
        norm = float(get_total_norm(ascents))
        if not 0 < norm < inf:
            return []
        return [(p, T * a * (self.rho / norm)) for (p, T, _), a in zip(given, ascents, strict=True)]


@contextmanager
def elsewhere(moved: list[tuple[Tensor, Tensor]]) -> Iterator[None]:
    """Within: the parameters are moved by so much. After, also after an error: the same bits as before."""
    kept = [p.detach().clone() for p, _ in moved]
    try:
        with torch.no_grad():
            for p, e in moved:
                p.add_(e)
        yield
    finally:
        with torch.no_grad():
            for (p, _), k in zip(moved, kept, strict=True):
                p.copy_(k)
