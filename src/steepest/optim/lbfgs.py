"""L-BFGS as torch.optim has it: several iterations a step, over all parameters as one vector, with a line search."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from steepest.core.errors import ParameterError, SettingError
from steepest.core.rule import State
from steepest.drivers.line_search import Point, strong_wolfe
from steepest.optim.groups import as_groups, check_names, check_parameters, names_of
from steepest.optim.row import check_number
from steepest.rules.lbfgs import LBFGS as Rule


class LBFGS(torch.optim.Optimizer):
    """L-BFGS (Liu & Nocedal, 1989), with torch's arguments, decisions and defaults; `step` needs a closure.

    One parameter group. The state is a plain tensor each, declared before the first step: the pairs (S, Y), the last
    step and the last gradient.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        groups = as_groups(params)
        check_parameters(groups, "LBFGS")
        check_names(groups)
        if len(groups) != 1:
            raise ParameterError(f"LBFGS sees all parameters as one vector and takes one group, not {len(groups)}")
        if line_search_fn not in (None, "strong_wolfe"):
            raise SettingError(f"LBFGS.line_search_fn = {line_search_fn!r} is not one of None, 'strong_wolfe'")
        check_number("LBFGS.lr", lr, Rule.own_knobs()["lr"])
        max_eval = max_iter * 5 // 4 if max_eval is None else max_eval
        names = ("lr", "max_iter", "max_eval", "tolerance_grad", "tolerance_change", "history_size", "line_search_fn")
        values = (lr, max_iter, max_eval, tolerance_grad, tolerance_change, history_size, line_search_fn)
        Rule(history=history_size)
        super().__init__(groups, dict(zip(names, values, strict=True)))

    @property
    def rule(self) -> Rule:
        return Rule(history=self.param_groups[0]["history_size"])

    @property
    def names(self) -> list[str]:
        return names_of(self.param_groups)

    @property
    def parameters(self) -> list[Tensor]:
        return self.param_groups[0]["params"]

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Iterate until a tolerance, `max_iter` or `max_eval` says stop; returns the loss before."""
        if closure is None:
            raise ParameterError("LBFGS.step needs a closure that computes the loss and its gradient")
        search = _Search(self, closure, self.param_groups[0])
        first = search.evaluate()
        if search.is_flat():
            return first
        for iteration in range(1, self.param_groups[0]["max_iter"] + 1):
            if search.iterate(last=iteration == self.param_groups[0]["max_iter"]):
                break
        return first

    def flat_state(self) -> dict[str, Any]:
        """The state of the one vector; it lies with the first parameter, as in torch."""
        state = self.state[self.parameters[0]]
        if not state:
            state |= {"step": torch.zeros(()), **self.rule.init(_flat(self.parameters))}
        return state


class _Search:
    """One call of `step`: where it is, what the loss is there, and how many evaluations it took."""

    def __init__(self, optimizer: LBFGS, closure: Callable[[], Any], group: dict[str, Any]) -> None:
        self.optimizer, self.closure, self.group = optimizer, closure, group
        self.rule = optimizer.rule.bind({"lr": float(group["lr"])})
        self.evaluations = 0
        self.loss, self.g = 0.0, torch.empty(0)

    def evaluate(self) -> Any:
        with torch.enable_grad():
            loss = self.closure()
        self.evaluations += 1
        self.loss, self.g = float(loss), _gradient(self.optimizer.parameters)
        return loss

    def is_flat(self) -> bool:
        return bool(self.g.abs().max() <= self.group["tolerance_grad"])

    def iterate(self, last: bool) -> bool:
        """One iteration; whether to stop."""
        state = self.optimizer.flat_state()
        state["step"] += 1
        p, before, g = _flat(self.optimizer.parameters), self.loss, self.g
        d, new = self.rule.direction(p, g, State(state), int(state["step"]))
        slope = -float(g.dot(d))
        if slope > -self.group["tolerance_change"]:
            return True
        alpha = float(self.rule.step_size(g, int(state["step"])))
        if self.group["line_search_fn"]:
            alpha = self._wolfe(p, d, alpha, slope)
        else:
            _place(self.optimizer.parameters, p - alpha * d)
            if not last:
                self.evaluate()
        state.update(new, s=-alpha * d)
        small = bool((alpha * d).abs().max() <= self.group["tolerance_change"]) or abs(self.loss - before) < self.group["tolerance_change"]
        return last or self.evaluations >= self.group["max_eval"] or self.is_flat() or small

    def _wolfe(self, p: Tensor, d: Tensor, alpha: float, slope: float) -> float:
        seen: dict[float, tuple[float, Tensor]] = {0.0: (self.loss, self.g)}

        def phi(alpha: float) -> tuple[float, float]:
            _place(self.optimizer.parameters, p - alpha * d)
            self.evaluate()
            seen[alpha] = self.loss, self.g
            return self.loss, -float(self.g.dot(d))

        most = self.group["max_eval"] - self.evaluations
        found = strong_wolfe(phi, Point(0.0, self.loss, slope), alpha, length=float(d.abs().max()), most=most)
        _place(self.optimizer.parameters, p - found.alpha * d)
        self.loss, self.g = seen[found.alpha]
        return found.alpha


def _flat(tensors: list[Tensor]) -> Tensor:
    return torch.cat([x.detach().reshape(-1) for x in tensors])


def _gradient(parameters: list[Tensor]) -> Tensor:
    return _flat([torch.zeros_like(p) if p.grad is None else p.grad.to_dense() for p in parameters])


def _place(parameters: list[Tensor], flat: Tensor) -> None:
    for p, x in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
        p.copy_(x.view_as(p))
