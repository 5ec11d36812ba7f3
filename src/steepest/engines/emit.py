"""Write a traced rule out as a plain Numba module, a function for each sweep over blocks of all parameters.

What depends on knobs and step count alone is computed once per block in double precision (and again only where they
change); elements are computed in the parameters' dtype.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from steepest.engines.sweeps import Sweep, column, columns, needed, operands, reads, sweeps
from steepest.engines.trace import Graph

INFIX = {"+", "-", "*", "/", "**", "%", "<", "<=", ">", ">=", "==", "!=", "and", "or"}
CALLS = {
    "sqrt": "math.sqrt({0})",
    "abs": "abs({0})",
    "exp": "math.exp({0})",
    "log": "math.log({0})",
    "sign": "{dtype}({0} > 0) - {dtype}({0} < 0)",
    "minimum": "np.minimum({0}, {1})",
    "maximum": "np.maximum({0}, {1})",
    "where": "{1} if {0} else {2}",
    "number": "{dtype}({0})",
    "neg": "-{0}",
    "not": "not {0}",
}

HEADER = '''"""{title}

Written by steepest.engines.emit; every edit is lost.
"""

import math

import numpy as np
from numba import carray, float32, float64, njit

from steepest.engines.kernel import plus, pointer

'''

SWEEP = """

@njit(cache=True, nogil=True, error_model="numpy")
def sweep{depth}(table, sizes, blocks, knobs, units, tensors, model, partial, lo, hi, last):
    last_t, last_group = 0.0, -1
    for b in range(lo, hi):
        i, start, n, unit = blocks[b, 0], blocks[b, 1], blocks[b, 2], blocks[b, 3]
        t, group = float64(carray(pointer(table[i, 0], {step}), 1)[0]) + 1.0, sizes[i, 2]
        if t != last_t or group != last_group:
            last_t, last_group = t, group
{steady}
{numbers}
{arrays}
{zeros}
        for j in range(n):
{elements}
{shares}
{end}
"""

FINISH = """

@njit(cache=True, nogil=True, error_model="numpy")
def finish(table, sizes, blocks, knobs, units, tensors, model, i):
    t, group = float64(carray(pointer(table[i, 0], {step}), 1)[0]) + 1.0, sizes[i, 2]
{numbers}
{stores}
    carray(pointer(table[i, 0], {step}), 1)[0] += 1


@njit(cache=True, nogil=True, error_model="numpy")
def finish_all(table, sizes, blocks, knobs, units, tensors, model, partial):
    for i in range(table.shape[0]):
        finish(table, sizes, blocks, knobs, units, tensors, model, i)
"""


@dataclass(frozen=True)
class Program:
    """A module's source and what its caller must lay out."""

    source: str
    elements: tuple[str, ...]
    scalars: tuple[str, ...]
    sweeps: int
    # For each depth but the last: (column of the sums, name if over the model).
    totals: tuple[tuple[tuple[int, str], ...], ...]
    by_unit: bool
    reads: tuple[int, ...]
    writes: int


def emit(graph: Graph, title: str, dtype: str, step: str) -> Program:
    return _Writer(graph, title, dtype, step).program()


class _Writer:
    def __init__(self, graph: Graph, title: str, dtype: str, step: str) -> None:
        self.graph, self.title, self.dtype, self.step = graph, title, dtype, step
        self.columns = columns(graph)
        self.knobs = [node.args[0] for node in graph.nodes if node.op == "knob"]
        self.total_column = {i: q for q, i in enumerate(graph.totals)}

    def program(self) -> Program:
        graph, all_sweeps = self.graph, sweeps(self.graph)
        source = HEADER.format(title=self.title) + FINISH.format(**self._finish(), step=self.step)
        end = "        if last and blocks[b, 4]:\n            finish(table, sizes, blocks, knobs, units, tensors, model, i)"
        for depth, sweep in enumerate(all_sweeps):
            source += SWEEP.format(depth=depth, **self._sweep(sweep), end=end if sweep is all_sweeps[-1] else "")
        names = [graph.nodes[i].args[2] for i in graph.totals]
        return Program(
            source=re.sub(r"\n{2,}(?= )", "\n", source),
            elements=tuple(graph.elements),
            scalars=tuple(graph.scalars),
            sweeps=len(all_sweeps),
            totals=tuple(tuple((q, names[q]) for q, _ in sweep.totals) for sweep in all_sweeps[:-1]),
            by_unit=any(node.op in ("total", "size") and "unit" in node.args for node in graph.nodes),
            reads=tuple(len(reads(graph, sweep)) for sweep in all_sweeps),
            writes=sum(len(sweep.stores) for sweep in all_sweeps),
        )

    def _steady(self, i: int) -> bool:
        """Whether a number is the same for all parameters of a group that are at the same step."""
        return not any(self.graph.nodes[k].op in ("state", "size", "total") for k in needed(self.graph, [i]))

    def _sweep(self, sweep: Sweep) -> dict[str, str]:
        nodes = self.graph.nodes
        wanted = needed(self.graph, sweep.targets, sweep.stored)
        formed = [i for i in wanted if nodes[i].element and i not in sweep.stored]
        used = {a for i in formed for a in operands(self.graph, i) if not nodes[a].element}
        used |= {i for i in sweep.targets if not nodes[i].element}
        steady: list[str] = ["pass"]
        numbers: list[str] = []
        for i in wanted:
            if not nodes[i].element:
                lines = steady if self._steady(i) else numbers
                lines.append(self._number(i))
                if i in used:
                    lines.append(f"e{i} = s{i}" if nodes[i].truth else f"e{i} = {self.dtype}(s{i})")
        lie = reads(self.graph, sweep) | {c for c, _ in sweep.stores}
        width = 4 if self.dtype == "float32" else 8
        arrays = [f"x{c} = carray(pointer(table[i, {c}] + start * {width}, {self.dtype}), n)" for c in sorted(lie)]
        elements = [f"e{i} = x{sweep.stored[i]}[j]" if i in sweep.stored else self._element(i) for i in wanted if nodes[i].element]
        elements += [f"total{q} = plus(total{q}, float64(e{i}))" for q, i in sweep.totals]
        elements += [f"x{c}[j] = e{i}" for c, i in sweep.stores]
        return dict(
            step=self.step,
            steady=_lines(steady[1:] or steady, 12),
            numbers=_lines(numbers, 8),
            arrays=_lines(arrays, 8),
            zeros=_lines([f"total{q} = 0.0" for q, _ in sweep.totals], 8),
            elements=_lines(elements, 12),
            shares=_lines([f"partial[b, {q}] = total{q}" for q, _ in sweep.totals], 8),
        )

    def _finish(self) -> dict[str, str]:
        targets = {path: self.graph.new[path] for path in self.graph.scalars}
        numbers = [self._number(i) for i in needed(self.graph, targets.values())]
        stores = [f"carray(pointer(table[i, {self.columns[path]}], float64), 1)[0] = s{i}" for path, i in targets.items()]
        return dict(numbers=_lines(numbers, 4), stores=_lines(stores, 4))

    def _number(self, i: int) -> str:
        op, args = self.graph.nodes[i].op, self.graph.nodes[i].args
        if op == "const":
            return f"s{i} = {args[0]!r}" if abs(args[0]) != float("inf") else f"s{i} = {'-' if args[0] < 0 else ''}math.inf"
        if op == "knob":
            return f"s{i} = knobs[group, {self.knobs.index(args[0])}]  # {args[0]}"
        if op == "t":
            return f"s{i} = t"
        if op == "state":
            return f"s{i} = carray(pointer(table[i, {self.columns[args[0]]}], float64), 1)[0]  # {args[0]}"
        if op == "size":
            return f"s{i} = float64(sizes[i, {int(args[0] == 'unit')}])"
        if op == "total":
            where = {"unit": "units[unit, {q}]", "tensor": "tensors[i, {q}]", "model": "model[{q}]"}[args[1]]
            return f"s{i} = {where.format(q=self.total_column[i])}"
        return f"s{i} = {self._formula(i, 's', 'float64')}"

    def _element(self, i: int) -> str:
        node = self.graph.nodes[i]
        if node.op in ("p", "g", "state"):
            comment = f"  # {node.args[0]}" if node.args else f"  # {node.op}"
            return f"e{i} = x{column(self.graph, i)}[j]{comment}"
        return f"e{i} = {self._formula(i, 'e', self.dtype)}"

    def _formula(self, i: int, letter: str, dtype: str) -> str:
        node = self.graph.nodes[i]
        names = [f"{letter}{a}" for a in node.args]
        if node.op in INFIX:
            return f" {node.op} ".join(names)
        return CALLS[node.op].format(*names, dtype=dtype)


def _lines(lines: Iterable[str], indent: int) -> str:
    return "\n".join(" " * indent + line for line in lines)
