"""Limited-memory BFGS: the curvature of the last steps, over all parameters as one vector."""

from math import inf

import torch
from torch import Tensor

from steepest.core.errors import SettingError
from steepest.core.knob import knob, option
from steepest.core.maths import abs, minimum, where, zeros_like
from steepest.core.rule import Rule


def two_loop(g: Tensor, S: Tensor, Y: Tensor) -> Tensor:
    """H g (Nocedal & Wright, Algorithm 7.4) from pairs in rows, newest last. Rows of zeros are pairs not yet there."""
    sy = (S * Y).sum(1)
    yy = Y[-1].dot(Y[-1])
    rho = where(sy > 0, 1 / sy, torch.zeros_like(sy))
    gamma = where(yy > 0, Y[-1].dot(S[-1]) / yy, torch.ones_like(yy))
    q, alpha = g, {}
    for i in reversed(range(len(S))):
        alpha[i] = rho[i] * S[i].dot(q)
        q = q - alpha[i] * Y[i]
    r = gamma * q
    for i in range(len(S)):
        r = r + (alpha[i] - rho[i] * Y[i].dot(r)) * S[i]
    return r


class LBFGS(Rule):
    """L-BFGS (Liu & Nocedal, 1989; Nocedal & Wright, Algorithm 7.5). A pair counts if y's > 1e-10; the first step is short, as in torch.

    `s` in the state is the last step: whoever moves elsewhere than `update` says (a line search) writes it there.
    """

    paper = "Liu & Nocedal, On the limited memory BFGS method for large scale optimization, Mathematical Programming 45, 1989"
    use = "Small smooth problems on the whole batch, with a strong Wolfe line search; nothing to set."
    scope = "flat"

    lr: float = knob(1.0, "step along the direction; the first trial of a line search", valid=(0, inf), search=(0.1, 1.0), log=True)
    history: int = option(10, "pairs (s, y) to remember; two vectors each")

    def check(self) -> None:
        if self.history < 1:
            raise SettingError(f"LBFGS.history = {self.history} is less than 1")

    def init(self, p):
        pairs = p.new_zeros(self.history, p.numel())
        return dict(S=pairs, Y=pairs.clone(), s=zeros_like(p), g=zeros_like(p))

    def direction(self, p, g, state, t):
        s, y = state.s, g - state.g
        # Before the first step s is zero, so y's is too.
        keep = y.dot(s) > 1e-10
        S = where(keep, torch.cat((state.S[1:], s[None])), state.S)
        Y = where(keep, torch.cat((state.Y[1:], y[None])), state.Y)
        return two_loop(g, S, Y), dict(S=S, Y=Y, s=s, g=g)

    def step_size(self, g, t):
        """lr, but at first no more than lr in all: nothing is known of the curvature yet."""
        return self.lr * where(t > 1, 1.0, minimum(1.0, 1 / abs(g).sum()))

    def update(self, p, g, state, t):
        d, new = self.direction(p, g, state, t)
        change = -self.step_size(g, t) * d
        return change, new | dict(s=change)
