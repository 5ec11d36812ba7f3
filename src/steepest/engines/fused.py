"""The rule as one generated kernel over all parameters: for the CPU, in as few passes as its totals need."""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import chain
from operator import attrgetter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from steepest.core.errors import ParameterError
from steepest.core.rule import Rule
from steepest.engines import disk
from steepest.engines.base import Cell, Knobs, Stepping, check_gradient
from steepest.engines.emit import Program, emit
from steepest.engines.kernel import BLOCK, LARGE_BLOCK, block_table, gather
from steepest.engines.sweeps import GRADIENT
from steepest.engines.threads import sweep
from steepest.engines.trace import trace

DTYPE = attrgetter("dtype")
# How many tensors of state a step looks at.
WINDOW = 64
DTYPES = {torch.float32: "float32", torch.float64: "float64"}


@cache
def program(structure: Rule, ndim: int, dtype: torch.dtype, step: torch.dtype) -> Program:
    """Traced and written once per structure; knobs are arguments, so a changed rate compiles nothing."""
    graph = trace(structure, ndim)
    if ndim != 2 and not trace(structure, 2).asks_ndim:
        return program(structure, 2, dtype, step)
    return emit(graph, f"{structure!r}", DTYPES[dtype], DTYPES[step])


def asks_ndim(structure: Rule) -> bool:
    """Whether the rule does something else for vectors than for matrices."""
    return trace(structure, 2).asks_ndim


class Fused:
    name = "fused"

    def __init__(self, rule: Rule, cells: Sequence[Cell]) -> None:
        parameters = [cell.parameter for cell in cells]
        self.rule, self.cells, self.parameters = rule, cells, parameters
        self.program = program(rule.structure(), min(max(parameters[0].ndim, 1), 2), parameters[0].dtype, cells[0].state["step"].dtype)
        code = disk.module(self.program.source)
        self.sweeps: list[Callable] = [getattr(code, f"sweep{d}") for d in range(self.program.sweeps)]
        self.finish: Callable = code.finish_all
        self.entries = ["step"] + [cells[0].keys[path] for path in (*self.program.elements, *self.program.scalars)]

        self.counts = counts = [p.numel() for p in parameters]
        units = [p.shape[0] if self.program.by_unit and p.ndim > 1 else 1 for p in parameters]
        n, q = len(cells), sum(map(len, self.program.totals))
        self.blocks = block_table(counts, units, BLOCK if q else LARGE_BLOCK)
        self.elements = sum(counts)
        self.table = np.zeros((n, 2 + len(self.entries)), dtype=np.int64)
        self.knobs = np.zeros((1 + max(cell.group for cell in cells), len(rule.knobs())))
        self.model = np.zeros(q)
        self.partial = np.zeros((len(self.blocks), q))
        sizes = np.array([(c, c // max(u, 1), cell.group) for c, u, cell in zip(counts, units, cells, strict=True)], dtype=np.int64)
        self.arguments = (self.table, sizes, self.blocks, self.knobs, np.zeros((sum(units), q)), np.zeros((n, q)), self.model, self.partial)
        self.row: Any = None
        # What was true of the tensors when the table was written.
        self.states = [[cell.state[key] for key in self.entries] for cell in cells]
        self.watched = list(chain.from_iterable(self.states))
        self.turn = 0
        self.seen: tuple[Any, ...] = ()
        self.contiguous = False
        self.places: list[int] = []
        self.homes: list[int] = []
        self.held: list[Any] = []
        self.copies: list[tuple[Tensor, Tensor, bool]] = []

    def step(self, grads: Sequence[Tensor], knobs: Knobs) -> Stepping:
        self._look(grads)
        return self._stepping(knobs)

    def _stepping(self, knobs: Knobs) -> Stepping:
        if knobs != self.row:
            self.row = list(knobs)
            self.knobs[:] = self.row
        if self.copies:
            _copy([(shadow, original) for original, shadow, _ in self.copies])
        for run, totals in zip(self.sweeps, self.program.totals, strict=False):
            sweep(run, self.arguments, len(self.blocks), self.elements, False)
            _, _, blocks, _, units, tensors, model, partial = self.arguments
            for q, _ in totals:
                gather(blocks, partial, units, tensors, model, q)
            if shares := {name: float(model[q]) for q, name in totals if name}:
                sums = yield shares
                for q, name in totals:
                    if name:
                        model[q] = float(sums[name])
        if sweep(self.sweeps[-1], self.arguments, len(self.blocks), self.elements, True):
            self.finish(*self.arguments)
        if self.copies:
            _copy([(original, shadow) for original, shadow, written in self.copies if written])
        torch.autograd.graph.increment_version(self.parameters)

    def _look(self, grads: Sequence[Tensor]) -> None:
        """See that every tensor is where it was and as it was: a kernel that trusts an old address corrupts memory.

        Of weights and gradients that is asked at every step. State, whose memory is held so that writing to it is always
        safe, is asked in turn, `WINDOW` tensors at a step: a model of less is asked whole.
        """
        try:
            places = list(map(Tensor.data_ptr, grads))
        except RuntimeError:  # a sparse gradient has no address
            self._lay_out(grads)
            raise
        seen = (list(map(Tensor.data_ptr, self.parameters)), list(map(DTYPE, grads)), self._layout(grads))
        if seen != self.seen or self._moved() or (places != self.places and (self.copies or list(map(Tensor.numel, grads)) != self.counts)):
            self._lay_out(grads)
            self.homes = list(map(Tensor.data_ptr, self.watched))
            self.contiguous = all(map(Tensor.is_contiguous, chain(self.parameters, grads)))
            seen = (*seen[:2], self._layout(grads))
        elif places != self.places:
            self.table[:, GRADIENT] = places
        self.seen, self.places = seen, places

    def _layout(self, grads: Sequence[Tensor]) -> Any:
        """How weights and gradients lie: that all are contiguous, where they were, or the strides of each."""
        if self.contiguous and all(map(Tensor.is_contiguous, self.parameters)) and all(map(Tensor.is_contiguous, grads)):
            return True
        return list(map(Tensor.stride, chain(self.parameters, grads)))

    def _moved(self) -> bool:
        window = slice(self.turn, self.turn + WINDOW)
        self.turn = window.stop if window.stop < len(self.watched) else 0
        return list(map(Tensor.data_ptr, self.watched[window])) != self.homes[window]

    def _lay_out(self, grads: Sequence[Tensor]) -> None:
        """Write the address table; what lies otherwise in memory than its parameter is copied around each step."""
        self.seen, self.copies = (), []
        self.held = [x.untyped_storage() for x in self.watched]
        elements = len(self.program.elements)
        for i, (cell, g, (step, *state)) in enumerate(zip(self.cells, grads, self.states, strict=True)):
            p = cell.parameter
            check_gradient(cell.name, p, g, self.rule)
            like = p if _dense(p) and not self.program.by_unit else torch.empty_like(p, memory_format=torch.contiguous_format)
            for x in (p, g, *state[:elements]):
                if x.numel() != self.counts[i] or x.device != p.device:
                    raise ParameterError(
                        f"{cell.name} has now {p.numel()} elements, its gradient {g.numel()}, its state {self.counts[i]}; "
                        "clear its state, or give the new tensor to a new optimizer"
                    )
            row = [self._at(step, step, True), self._at(p, like, True), self._at(g, like, False)]
            row += [self._at(x, like if k < elements else x, True) for k, x in enumerate(state)]
            self.table[i] = row

    def _at(self, x: Tensor, like: Tensor, written: bool) -> int:
        if x.stride() == like.stride() and x.dtype == like.dtype and _dense(x):
            return x.data_ptr()
        shadow = torch.empty_like(like.detach())
        self.copies.append((x, shadow, written))
        return shadow.data_ptr()


@torch.no_grad()
def _copy(pairs: list[tuple[Tensor, Tensor]]) -> None:
    for target, source in pairs:
        target.copy_(source)


def _dense(x: Tensor) -> bool:
    """Whether its elements fill one stretch of memory, in whatever order."""
    return torch.ops.aten.is_non_overlapping_and_dense.default(x)
