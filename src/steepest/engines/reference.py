"""The truth: the rule called on tensors, parameter by parameter, as written. Every other engine is tested against it."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from steepest.core.maths import TOTALS, Pending, model_totals
from steepest.core.rule import Rule, State, flatten, nest
from steepest.engines.base import Cell, Knobs, Stepping, check_gradient, lifted, piece


class Reference:
    name = "reference"

    def __init__(self, rule: Rule, cells: Sequence[Cell]) -> None:
        self.rule, self.cells = rule, cells
        self.paths = list(rule.knobs())

    def step(self, grads: Sequence[Tensor], knobs: Knobs) -> Stepping:
        for cell, g in zip(self.cells, grads, strict=True):
            check_gradient(cell.name, cell.parameter, g, self.rule)
        return self._stepping(grads, knobs)

    @torch.no_grad()
    def _stepping(self, grads: Sequence[Tensor], knobs: Knobs) -> Stepping:
        rules = [self.rule.bind(dict(zip(self.paths, row, strict=True))) for row in knobs]
        known: dict[str, Any] = {}
        while True:
            with model_totals(known):
                shares, changes = attempt([partial(self._change, rules[c.group], c, g) for c, g in zip(self.cells, grads, strict=True)])
            if not shares:
                break
            known |= yield shares
        for cell, (rows, p, new) in zip(self.cells, changes, strict=True):
            self._write(cell, rows, p, new)

    def _change(self, rule: Rule, cell: Cell, g: Tensor) -> tuple[Any, Tensor, dict[str, Any]]:
        """Which places, what `p` becomes there, and the new state. A sparse gradient may concern its places alone."""
        p, rows = piece(cell.state.get("master", cell.parameter), rule), ...
        state = {path: lifted(cell.state[key], cell.parameter) for path, key in cell.keys.items()}
        if g.is_sparse and rule.sparse == "whole":
            g = g.to_dense()
        if g.is_sparse:
            g = g.coalesce()
            rows, g = tuple(g.indices()), g.values()
            state = {path: x[rows] if x.shape == p.shape else x for path, x in state.items()}
            p = p[rows]
        new_p, new = apply(rule, p, g.reshape(p.shape), state, int(cell.state["step"]) + 1)
        return rows, new_p, new

    def _write(self, cell: Cell, rows: Any, p: Tensor, new: dict[str, Any]) -> None:
        for path, value in new.items():
            x = cell.state[cell.keys[path]]
            if rows is ... or not x.ndim:
                x.copy_(value if x.ndim else value.reshape(())) if isinstance(value, Tensor) else x.fill_(value)
            else:
                x[rows] = value
        target = cell.state.get("master", cell.parameter)
        target[rows] = p if rows is not ... else p.reshape(target.shape)
        if target is not cell.parameter:
            cell.parameter.copy_(target)
        cell.state["step"].add_(1)


def attempt(calls: Sequence[Callable[[], Any]]) -> tuple[dict[str, Any], list[Any]]:
    """The results of all calls, or their shares of the total that they cannot go on without."""
    shares: dict[str, Any] = {}
    results = []
    for call in calls:
        TOTALS.seen = {}
        try:
            results.append(call())
        except Pending as ask:
            shares[ask.name] = shares[ask.name] + ask.share if ask.name in shares else ask.share
    return shares, results


def apply(rule: Rule, p: Tensor, g: Tensor, state: dict[str, Tensor], t: Any, due: int | None = None) -> tuple[Tensor, dict[str, Any]]:
    """What the parameter and its (flat) state become at step `t`."""
    nested, g = nest(state), g.to(p.dtype)
    due = rule.due(t) if due is None else due
    if due:
        nested = State(rule.refresh(p, g, nested, due))
        TOTALS.seen = {}  # the update asks for the same totals again, and rules that refresh less often ask once
    change, new = rule.update(p, g, nested, t)
    return p + change, flatten(new)
