"""Rules that see a weight as the matrix it is, (..., rows, cols), and precondition it from both sides."""

from math import nan

import torch
from torch import Tensor

from steepest.core.errors import SettingError
from steepest.core.knob import knob, option
from steepest.core.maths import lerp, maximum, sqrt, where, zeros_like
from steepest.core.rule import Rule, State
from steepest.rules.common import beta, decay, epsilon, rate


def gram(x: Tensor, full: bool = True) -> Tensor:
    """x x^T, or its diagonal as a column."""
    return x @ x.mT if full else (x * x).sum(-1, keepdim=True)


def no_gram(x: Tensor, full: bool = True) -> Tensor:
    """The gram of nothing seen yet."""
    return x.new_zeros(*x.shape[:-1], x.shape[-2] if full else 1)


def eigh(s: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors; of nan they are nan, as everywhere else (torch raises, and blames the condition)."""
    finite = s.isfinite().all(-1, keepdim=True).all(-2, keepdim=True)
    values, q = torch.linalg.eigh(where(finite, s, zeros_like(s)))
    return values, where(finite, q, torch.full_like(q, nan))


def inverse_root(s: Tensor, eps: float, order: int, full: bool) -> Tensor:
    """(S + eps I)^(-1/order)."""
    if not full:
        return (s + eps) ** (-1 / order)
    values, q = eigh(s)
    return q * ((values.clamp(min=0) + eps) ** (-1 / order)).unsqueeze(-2) @ q.mT


class Shampoo(Rule):
    """Preconditioned from the left and the right (Gupta, Koren & Singer, 2018, Algorithm 1).

    eps I is added when the roots are taken instead of at the start. Sides longer than `largest` keep only the diagonal of
    their statistics, and vectors are diagonal too (then it is Adagrad). beta2 below 1 forgets; the paper sums.
    """

    paper = "Gupta, Koren & Singer, Shampoo: Preconditioned Stochastic Tensor Optimization, ICML 2018; arXiv:1802.09568"
    use = "Matrices whose rows and columns are strongly correlated, when a step may cost more; set lr first, then `every`."
    scope = "matrix"

    lr: float = rate(0.1, search=(1e-3, 1.0))
    momentum: float = beta(0.0, "decay of the velocity, which sums gradients", search=(0.5, 0.95))
    beta2: float = knob(1.0, "decay of the statistics; 1 is the paper's sum", valid=(0, 1), closed=True, search=(0.9, 1.0))
    eps: float = epsilon(1e-6, "added to the eigenvalues of the statistics")
    weight_decay: float = decay(0.0)
    every: int = option(1, "steps between two computations of the roots")
    largest: int = option(4096, "sides longer than this keep only the diagonal")

    def check(self) -> None:
        if self.every < 1:
            raise SettingError(f"Shampoo.every = {self.every} is less than 1")

    def init(self, p):
        if p.ndim < 2:
            return dict(m=zeros_like(p), v=zeros_like(p))
        L, R = no_gram(p, self._full(p)), no_gram(p.mT, self._full(p.mT))
        return dict(m=zeros_like(p), L=L, R=R, L_root=zeros_like(L), R_root=zeros_like(R))

    def _full(self, x):
        return x.shape[-2] <= self.largest

    def _statistics(self, g, state):
        return self.beta2 * state.L + gram(g, self._full(g)), self.beta2 * state.R + gram(g.mT, self._full(g.mT))

    def due(self, t):
        return (t - 1) % self.every == 0

    def refresh(self, p, g, state, due):
        if p.ndim < 2:
            return state
        L, R = self._statistics(g, state)
        L_root, R_root = inverse_root(L, self.eps, 4, self._full(p)), inverse_root(R, self.eps, 4, self._full(p.mT))
        return State(state | dict(L_root=L_root, R_root=R_root))

    def direction(self, p, g, state, t):
        m = self.momentum * state.m + g
        if p.ndim < 2:
            v = self.beta2 * state.v + g * g
            return m / sqrt(v + self.eps), dict(m=m, v=v)
        L, R = self._statistics(g, state)
        d = state.L_root @ m if self._full(p) else state.L_root * m
        d = d @ state.R_root if self._full(p.mT) else d * state.R_root.mT
        return d, dict(m=m, L=L, R=R, L_root=state.L_root, R_root=state.R_root)


# What SOAP does with its basis.
FIRST, TURN = 1, 2


class SOAP(Rule):
    """Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al., 2025, Algorithm 3), as in the authors' code.

    The first step only sets up the basis, and counts for nothing; m stays in the original space and is turned into
    whatever basis there is. Decay is the base's: of the weights before the step, and in the first step too. Sides
    longer than `largest` are not turned, vectors neither (then it is Adam).
    """

    paper = "Vyas et al., SOAP: Improving and Stabilizing Shampoo using Adam, ICLR 2025; arXiv:2409.11321"
    use = "Language models and whatever Shampoo is good at, with Adam's habits; set lr first (3e-3 is a good start)."
    scope = "matrix"

    lr: float = rate(3e-3)
    beta1: float = beta(0.95, "decay of the first moment")
    beta2: float = beta(0.95, "decay of the second moment, in the eigenbasis")
    beta3: float = beta(0.95, "decay of the statistics L and R")
    eps: float = epsilon(1e-8)
    weight_decay: float = decay(0.01)
    every: int = option(10, "steps between two turns of the basis")
    largest: int = option(10000, "sides longer than this are not turned")

    def check(self) -> None:
        if self.every < 1:
            raise SettingError(f"SOAP.every = {self.every} is less than 1")

    def init(self, p):
        state = dict(m=zeros_like(p), v=zeros_like(p))
        if p.ndim >= 2 and p.shape[-2] <= self.largest:
            state |= dict(L=no_gram(p), L_basis=no_gram(p))
        if p.ndim >= 2 and p.shape[-1] <= self.largest:
            state |= dict(R=no_gram(p.mT), R_basis=no_gram(p.mT))
        return state

    def due(self, t):
        # Steps are counted from the second on; `every` of them later, L and R know that much more.
        return FIRST if t == 1 else TURN if t > 2 and (t - 2) % self.every == 0 else 0

    def refresh(self, p, g, state, due):
        """The first basis by eigh, from the first gradient; later ones by one power iteration and QR."""
        new = State(state)
        for side, axis in (("L", -2), ("R", -1)):
            if side not in state:
                continue
            S, Q = state[side], state[f"{side}_basis"]
            if due == FIRST:
                S = lerp(S, gram(g if side == "L" else g.mT), 1 - self.beta3)
                new[f"{side}_basis"] = eigh(S)[1].flip(-1)
                continue
            x = S @ Q
            order = (Q * x).sum(-2).argsort(dim=-1, descending=True)
            new[f"{side}_basis"] = torch.linalg.qr(x.take_along_dim(order.unsqueeze(-2), -1)).Q
            new["v"] = new.v.take_along_dim(order.unsqueeze(-1 if axis == -2 else -2), axis)
        return new

    def direction(self, p, g, state, t):
        begun = where(t > 1, 1.0, 0.0)
        s = maximum(t - 1, 1)
        m = lerp(state.m, g, begun * (1 - self.beta1))
        turned = self._turn(g, state)
        v = lerp(state.v, turned * turned, begun * (1 - self.beta2))
        n = self._turn_back(self._turn(m, state) / (sqrt(v) + self.eps), state)
        d = n * (sqrt(1 - self.beta2**s) / (1 - self.beta1**s))
        new = State(state | dict(m=m, v=v))
        if "L" in state:
            new["L"] = lerp(state.L, gram(g), 1 - self.beta3)
        if "R" in state:
            new["R"] = lerp(state.R, gram(g.mT), 1 - self.beta3)
        return where(t > 1, d, zeros_like(p)), new

    def _turn(self, x, state):
        x = state.L_basis.mT @ x if "L" in state else x
        return x @ state.R_basis if "R" in state else x

    def _turn_back(self, x, state):
        x = state.L_basis @ x if "L" in state else x
        return x @ state.R_basis.mT if "R" in state else x
