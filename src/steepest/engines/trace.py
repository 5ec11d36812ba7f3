"""Call a rule once with symbols instead of tensors; what comes back is its program, as a graph.

Composition fuses by itself, a Python `if` on a value raises at once, and nothing of the rule's
Python is left to run at every step.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from steepest.core.errors import SteepestError
from steepest.core.rule import Rule, flatten, nest

Operand = "Symbol | float | bool"


@dataclass(frozen=True)
class Node:
    """One operation. `element`: has a value per element, else one per parameter. `depth`: totals beneath it."""

    op: str
    args: tuple[Any, ...]
    element: bool
    depth: int
    truth: bool = False


@dataclass
class Graph:
    """A rule's program: nodes in order, the change of `p`, and what each state becomes."""

    nodes: list[Node] = field(default_factory=list)
    known: dict[Node, int] = field(default_factory=dict)
    elements: list[str] = field(default_factory=list)
    scalars: list[str] = field(default_factory=list)
    change: int = -1
    new: dict[str, int] = field(default_factory=dict)
    asks_ndim: bool = False
    names: dict[str, int] = field(default_factory=dict)

    def add(self, op: str, *args: Any, element: bool = False, depth: int = 0, truth: bool = False) -> "Symbol":
        """The node for this operation; the same operation twice is one node."""
        node = Node(op, args, element, depth, truth)
        if node not in self.known:
            self.known[node] = len(self.nodes)
            self.nodes.append(node)
        return Symbol(self, self.known[node])

    def symbol(self, x: Any) -> "Symbol":
        return x if isinstance(x, Symbol) else self.add("const", float(x), truth=isinstance(x, bool))

    def call(self, op: str, *args: Any, truth: bool = False) -> "Symbol":
        symbols = [self.symbol(x) for x in args]
        nodes = [s.node for s in symbols]
        depth = max(n.depth for n in nodes)
        return self.add(op, *(s.index for s in symbols), element=any(n.element for n in nodes), depth=depth, truth=truth)

    def number(self, x: Any) -> "Symbol":
        """A truth value that is computed with counts as 0 or 1."""
        x = self.symbol(x)
        return self.call("number", x) if x.node.truth else x

    def total(self, x: Any, over: str, name: str) -> "Symbol":
        x = self.number(x)
        if name:
            self.names[name] = self.names.get(name, 0) + 1
            name = f"{name}#{self.names[name]}"
        return self.add("total", x.index, over, name, depth=x.node.depth + 1)

    @property
    def totals(self) -> list[int]:
        return [i for i, node in enumerate(self.nodes) if node.op == "total"]


class Symbol:
    """A value of the program that is being written down."""

    def __init__(self, graph: Graph, index: int, ndim: int = 2) -> None:
        self.graph, self.index, self._ndim = graph, index, ndim

    @property
    def node(self) -> Node:
        return self.graph.nodes[self.index]

    @property
    def ndim(self) -> int:
        self.graph.asks_ndim = True
        return self._ndim

    def __maths__(self, name: str, *args: Any) -> "Symbol":
        graph = self.graph
        if name == "total":
            return graph.total(*args)
        if name == "size":
            return graph.add("size", args[1])
        if name == "where":
            condition, a, b = args
            if not isinstance(condition, Symbol):
                return graph.symbol(a if condition else b)
            return graph.call("where", condition, graph.number(a), graph.number(b))
        return graph.call(name, *map(graph.number, args))

    def __bool__(self) -> bool:
        raise TraceError("a rule may not branch on a value; choose with maths.where")

    __hash__ = object.__hash__


class TraceError(SteepestError, TypeError):
    """The rule does something that has no symbolic form."""


def _binary(op: str, truth: bool, swapped: bool) -> Callable[[Symbol, Any], Symbol]:
    def method(self: Symbol, other: Any) -> Symbol:
        if isinstance(other, torch.Tensor):
            return NotImplemented
        a, b = (other, self) if swapped else (self, other)
        graph = self.graph
        if op in ("and", "or"):
            return graph.call(op, a, b, truth=True)
        a, b = graph.number(a), graph.number(b)
        if op == "/" and a.node.element and not b.node.element:
            return graph.call("*", a, graph.call("/", 1.0, b))  # one division per parameter instead of one per element
        return graph.call(op, a, b, truth=truth)

    return method


for _name, _op in {"add": "+", "sub": "-", "mul": "*", "truediv": "/", "pow": "**", "mod": "%", "and": "and", "or": "or"}.items():
    setattr(Symbol, f"__{_name}__", _binary(_op, False, False))
    setattr(Symbol, f"__r{_name}__", _binary(_op, False, True))
for _name, _op in {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}.items():
    setattr(Symbol, f"__{_name}__", _binary(_op, True, False))
Symbol.__neg__ = lambda self: self.graph.call("neg", self.graph.number(self))  # type: ignore[attr-defined]
Symbol.__invert__ = lambda self: self.graph.call("not", self, truth=True)  # type: ignore[attr-defined]
Symbol.__abs__ = lambda self: self.__maths__("abs", self)  # type: ignore[attr-defined]


def trace(rule: Rule, ndim: int = 2) -> Graph:
    """The program of a rule for parameters of this many dimensions (which matters only to rules that ask)."""
    graph = Graph()
    declared = flatten(rule.structure().init(torch.zeros((2,) * max(ndim, 1), device="meta")))
    state = {}
    for path, value in declared.items():
        element = value.ndim > 0
        (graph.elements if element else graph.scalars).append(path)
        state[path] = graph.add("state", path, element=element)
    p, g = (Symbol(graph, graph.add(name, element=True).index, ndim) for name in ("p", "g"))
    knobs = {path: graph.add("knob", path) for path in rule.knobs()}
    change, new = rule.bind(knobs).update(p, g, nest(state), graph.add("t"))
    new = flatten(new)
    if new.keys() != declared.keys():
        raise TraceError(f"{type(rule).__name__} declares the state {sorted(declared)} and returns {sorted(new)}")
    graph.change = graph.number(p + change).index
    graph.new = {path: graph.number(value).index for path, value in new.items()}
    for path in graph.scalars:
        if graph.nodes[graph.new[path]].element:
            raise TraceError(f"{type(rule).__name__} declares {path} as one number and returns a value per element")
    return graph
