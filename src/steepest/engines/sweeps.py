"""What each sweep over the parameters forms, reads and stores.

A sweep for each depth of totals, and a last one that stores parameters and state. State whose new value a total needs is
stored on the way already, and what comes after reads it there instead of forming it again from more.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from steepest.engines.trace import Graph

# The columns of the address table: step count, parameter, gradient, then the state.
PARAMETER, GRADIENT, STATE = 1, 2, 3
# A column and the node that belongs to it.
Pairs = Sequence[tuple[int, int]]
LEAVES = ("const", "knob", "state", "p", "g", "t", "size", "total")


@dataclass(frozen=True)
class Sweep:
    """The totals it forms, the columns it stores, and the nodes that it finds stored, each in its column."""

    totals: Pairs
    stores: Pairs
    stored: Mapping[int, int]

    @property
    def targets(self) -> list[int]:
        return [i for _, i in (*self.totals, *self.stores)]


def sweeps(graph: Graph) -> list[Sweep]:
    depths = max((graph.nodes[i].depth for i in graph.totals), default=0)
    summed = [[(q, graph.nodes[i].args[0]) for q, i in enumerate(graph.totals) if graph.nodes[i].depth == d + 1] for d in range(depths)]
    changed = {columns(graph)[path]: i for path, i in graph.new.items() if path in graph.elements and not _unchanged(graph, path, i)}
    early = _early(graph, summed, changed)
    stores = [[(column, changed[column]) for column, at in early.items() if at == d] for d in range(depths)]
    last = [(PARAMETER, graph.change), *((column, i) for column, i in changed.items() if column not in early)]
    stored = [{changed[column]: column for column, at in early.items() if at < d} for d in range(depths + 1)]
    return [Sweep(*parts) for parts in zip([*summed, []], [*stores, last], stored, strict=True)]


def _early(graph: Graph, summed: Sequence[Pairs], changed: Mapping[int, int]) -> dict[int, int]:
    """By column of state, the sweep that stores it although sweeps follow: its totals need the new value, and none after it the old one."""
    beneath = [set(needed(graph, [i for _, i in totals])) for totals in summed]
    asked = {column: [d for d, nodes in enumerate(beneath) if i in nodes] for column, i in changed.items()}
    early = {column: where[0] for column, where in asked.items() if where}
    targets = [*([i for _, i in totals] for totals in summed), [graph.change, *changed.values()]]
    while True:
        stored = [{changed[column]: column for column, at in early.items() if at < d} for d in range(len(targets))]
        old = [_old(graph, t, s) for t, s in zip(targets, stored, strict=True)]
        good = {column: at for column, at in early.items() if not any(column in read for read in old[at + 1 :])}
        if good == early:
            return early
        early = good


def _old(graph: Graph, targets: Iterable[int], stored: Mapping[int, int]) -> set[int]:
    """The columns of state whose value before the step is read."""
    nodes = [graph.nodes[i] for i in needed(graph, targets, stored) if i not in stored]
    return {columns(graph)[node.args[0]] for node in nodes if node.op == "state"}


def _unchanged(graph: Graph, path: str, i: int) -> bool:
    return graph.nodes[i].op == "state" and graph.nodes[i].args == (path,)


def columns(graph: Graph) -> dict[str, int]:
    """The column of each state by its path."""
    return {path: STATE + k for k, path in enumerate([*graph.elements, *graph.scalars])}


def column(graph: Graph, i: int) -> int:
    """Where a parameter, a gradient or a state lies."""
    node = graph.nodes[i]
    return {"p": PARAMETER, "g": GRADIENT}.get(node.op) or columns(graph)[node.args[0]]


def operands(graph: Graph, i: int) -> list[int]:
    node = graph.nodes[i]
    return [] if node.op in LEAVES else list(node.args)


def needed(graph: Graph, targets: Iterable[int], stored: Mapping[int, int] | None = None) -> list[int]:
    """The nodes beneath the targets, in order. A total ends the search, and what is stored: it is known by then."""
    seen: set[int] = set()
    stack = list(targets)
    while stack:
        i = stack.pop()
        if i not in seen:
            seen.add(i)
            stack += [] if stored and i in stored else operands(graph, i)
    return sorted(seen)


def reads(graph: Graph, sweep: Sweep) -> set[int]:
    """The columns that a sweep reads."""
    found = [i for i in needed(graph, sweep.targets, sweep.stored) if graph.nodes[i].element]
    return {sweep.stored[i] if i in sweep.stored else column(graph, i) for i in found if i in sweep.stored or _lies(graph, i)}


def _lies(graph: Graph, i: int) -> bool:
    return graph.nodes[i].op in ("p", "g", "state")
