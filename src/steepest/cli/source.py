"""The source of a rule's methods as syntax trees, and what can be asked of it."""

import ast
import inspect
import textwrap
from collections.abc import Callable
from functools import cache


@cache
def tree(function: Callable) -> ast.FunctionDef:
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    assert isinstance(node, ast.FunctionDef)
    return node


def statements(function: Callable) -> list[ast.stmt]:
    body = tree(function).body
    return body[1:] if ast.get_docstring(tree(function)) else body


def arguments(function: Callable) -> list[str]:
    return [arg.arg for arg in tree(function).args.args if arg.arg not in ("self", "state")]


def length(function: Callable) -> int:
    return sum(isinstance(node, ast.stmt) for node in ast.walk(tree(function))) - 1


def returns_state(function: Callable) -> bool:
    """Whether it answers with a pair of a value and the new state, and so is part of the step."""
    answer = statements(function)[-1]
    if not (isinstance(answer, ast.Return) and isinstance(answer.value, ast.Tuple)):
        return False
    return isinstance(answer.value.elts[-1], (ast.Dict, ast.Call, ast.Name))


def kept(function: Callable) -> set[int]:
    """The targets whose value a later `dict(m=m)` keeps: the last assignment to that name before it, by identity."""
    places: dict[str, ast.Name] = {}
    found: set[int] = set()
    nodes = [node for node in ast.walk(tree(function)) if isinstance(node, (ast.Assign, ast.Call))]
    for node in sorted(nodes, key=lambda node: (node.lineno, node.col_offset)):
        if isinstance(node, ast.Assign):
            places |= {name.id: name for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)}
        else:
            found |= {id(places[name]) for name, value in entries(node) if same(name, value) and name in places}
    return found


def entries(node: ast.AST) -> list[tuple[str, ast.expr]]:
    """Name and value of each entry of every `dict(...)` in an expression."""
    calls = [call for call in ast.walk(node) if isinstance(call, ast.Call) and ast.unparse(call.func) == "dict"]
    return [(k.arg, k.value) for call in calls for k in call.keywords if k.arg]


def same(name: str, value: ast.expr) -> bool:
    return isinstance(value, ast.Name) and value.id == name


def opposite(test: ast.expr) -> ast.expr:
    swapped = {ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt}
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and type(test.ops[0]) in swapped:
        return ast.Compare(test.left, [swapped[type(test.ops[0])]()], test.comparators)
    return ast.UnaryOp(ast.Not(), test)
