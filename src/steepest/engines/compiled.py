"""The list of updates under torch.compile: CUDA, low precision, and scopes a per-element kernel cannot serve.

Knobs and step counts are 0-D tensors, so a changing rate never recompiles.
"""

from collections.abc import Sequence
from functools import partial
from types import FunctionType, MethodType
from typing import Any

import torch
from torch import Tensor

from steepest.core.maths import model_totals, scalar_dtype
from steepest.core.rule import Rule
from steepest.engines.base import Cell, Knobs, Stepping, check_gradient, fallback, lifted, piece
from steepest.engines.reference import apply, attempt


class Compiled:
    name = "compiled"

    def __init__(self, rule: Rule, cells: Sequence[Cell]) -> None:
        self.rule, self.cells = rule, cells
        self.paths = list(rule.knobs())
        self.device = cells[0].parameter.device
        self.run, self.proven = torch.compile(_own(self._all), fullgraph=True, dynamic=False), False
        self.knobs: list[dict[str, Tensor]] = []
        self.row: Any = None

    def step(self, grads: Sequence[Tensor], knobs: Knobs) -> Stepping:
        for cell, g in zip(self.cells, grads, strict=True):
            check_gradient(cell.name, cell.parameter, g, self.rule)
        return self._stepping(grads, knobs)

    @torch.no_grad()
    def _stepping(self, grads: Sequence[Tensor], knobs: Knobs) -> Stepping:
        if knobs != self.row:
            self.row = list(knobs)
            dtype = scalar_dtype(self.cells[0].parameter)
            self.knobs = [dict(zip(self.paths, torch.tensor(row, dtype=dtype, device=self.device), strict=True)) for row in knobs]
        pieces = [piece(cell.state.get("master", cell.parameter), self.rule) for cell in self.cells]
        states = [{path: lifted(cell.state[key], cell.parameter) for path, key in cell.keys.items()} for cell in self.cells]
        times = torch.stack([cell.state["step"] for cell in self.cells]) + 1
        due = [self.rule.due(int(t)) for t in times] if type(self.rule).due is not Rule.due else [0] * len(times)
        known: dict[str, Any] = {}
        while True:
            with model_totals(known):
                shares, results = self._run(pieces, list(grads), states, times.to(self.device).unbind(), due, self.knobs)
            if not shares:
                break
            known |= yield shares
        for cell, t, (p, new) in zip(self.cells, times, results, strict=True):
            self._write(cell, t, p, new)

    def _run(self, *arguments: Any) -> tuple[dict, list]:
        """The compiled program; the same uncompiled, with a warning, where the first try shows that there is no compiler."""
        try:
            result = self.run(*arguments)
        except Exception as problem:
            if self.proven:
                raise
            fallback("compiled", problem)
            self.run = self._all
            result = self.run(*arguments)
        self.proven = True
        return result

    def _all(self, pieces: list, grads: list, states: list, times: tuple, due: list, knobs: list) -> tuple[dict, list]:
        rules = [self.rule.bind(knobs[cell.group]) for cell in self.cells]
        rows = zip(rules, pieces, grads, states, times, due, strict=True)
        return attempt([partial(apply, rule, p, g.reshape(p.shape), state, t, refresh) for rule, p, g, state, t, refresh in rows])

    def _write(self, cell: Cell, t: Tensor, p: Tensor, new: dict[str, Any]) -> None:
        for path, value in new.items():
            x = cell.state[cell.keys[path]]
            x.copy_(value if x.ndim else value.reshape(()))
        target = cell.state.get("master", cell.parameter)
        target.copy_(p.reshape(target.shape))
        if target is not cell.parameter:
            cell.parameter.copy_(target)
        cell.state["step"].copy_(t)


def _own(method: MethodType) -> MethodType:
    """The method with a code object of its own: torch counts recompilations per code object, over all engines there are."""
    function = method.__func__
    return MethodType(FunctionType(function.__code__.replace(), function.__globals__), method.__self__)
