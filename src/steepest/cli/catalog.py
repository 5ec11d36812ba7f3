"""What there is, read from the source of the rooms without importing them: a listing waits for no torch."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

# What apply gives an initializer besides its settings.
HIDDEN = ("dtype", "groups", "out")
# How a field is declared that is no knob.
OPTIONS = ("option(", "moments(", "field(")
REGISTRIES = {
    "rules": "steepest.rules",
    "wrappers": "steepest.rules",
    "initializers": "steepest.init.initializers",
    "plans": "steepest.init.plans",
    "schedules": "steepest.schedules.reading",
    "regularizers": "steepest.regularizers",
}


@dataclass(frozen=True)
class Entry:
    """One name of a registry. `state` is that of a matrix, at default options; a wrapper's own. An initializer has `options` alone.

    What it costs, when it hurts and what was measured is said of regularizers.
    """

    kind: str
    name: str
    cls: str
    group: str
    summary: str
    use: str
    paper: str
    scope: str
    knobs: tuple[str, ...]
    options: tuple[str, ...]
    state: tuple[str, ...]
    hurts: str = ""
    cost: str = ""
    measured: str = ""


def catalog() -> list[Entry]:
    """Everything, in the order of the registries."""
    return [
        _start(kind, name, cls) if kind in ("initializers", "plans") else _entry(kind, name, module, cls)
        for kind in REGISTRIES
        for name, (module, cls) in _table(REGISTRIES[kind], kind.upper()).items()
    ]


def registry(kind: str) -> dict[str, str]:
    """The dict RULES, WRAPPERS, ... as it stands in the source: name -> the name of the class or function."""
    return {name: cls for name, (_, cls) in _table(REGISTRIES[kind], kind.upper()).items()}


def _table(module: str, table: str) -> dict[str, tuple[str, str]]:
    """A dict of classes or functions as it stands in the source, each with its module; `**OTHER` is followed."""
    for node in _source(module).body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == table:
            assert isinstance(node.value, ast.Dict)
            found: dict[str, tuple[str, str]] = {}
            for key, value in zip(node.value.keys, node.value.values, strict=True):
                found |= {ast.literal_eval(key): (module, ast.unparse(value))} if key else _table(module, ast.unparse(value))
            return found
        if isinstance(node, ast.ImportFrom) and any(alias.name == table for alias in node.names):
            return _table(node.module or "", table)
    raise LookupError(f"{module} has no {table}")


def tasks() -> dict[str, str]:
    """The built-in tasks, each with its sentence."""
    made = {name: _function(*where) for name, where in _table("steepest.tasks", "TASKS").items()}
    return {name: sentence(ast.get_docstring(function) or "") for name, function in made.items() if function}


def sentence(text: str) -> str:
    """The first sentence of a docstring, on one line. A full stop within parentheses, or that of `et al.`, ends none."""
    line = " ".join(text.split("\n\n")[0].split())
    for stop in re.finditer(r"(?<!et al)\.(?= |$)", line):
        if line.count("(", 0, stop.start()) == line.count(")", 0, stop.start()):
            return line[: stop.end()]
    return line


def _entry(kind: str, name: str, where: str, cls: str) -> Entry:
    lineage = list(_lineage(where, cls))
    module, node = lineage[0]
    # Wrappers are grouped by what they change, rules by the file they stand in.
    group = ast.get_docstring(lineage[1][1] if kind == "wrappers" else _source(module)) or ""
    settings = [s for _, c in reversed(lineage) for s in c.body if isinstance(s, ast.AnnAssign) and isinstance(s.value, ast.Call)]
    options = {ast.unparse(s.target): ast.unparse(s.value).startswith(OPTIONS) for s in settings if s.value}
    scope = {"rules": "element", "wrappers": "inner's"}.get(kind, "")
    return Entry(
        kind=kind, name=name, cls=cls, group=sentence(group).rstrip("."),
        summary=sentence(ast.get_docstring(node) or ""),
        use=_constant(lineage, "use"), paper=_constant(lineage, "paper"),
        scope=_constant(lineage, "scope") or scope,
        knobs=tuple(k for k, option in options.items() if not option), options=tuple(k for k, option in options.items() if option),
        state=tuple(dict.fromkeys(x for x in _state(lineage) if x != "inner")),
        hurts=_constant(lineage, "hurts"), cost=_constant(lineage, "cost"), measured=_constant(lineage, "measured"),
    )  # fmt: skip


def _start(kind: str, name: str, function: str) -> Entry:
    """An initializer or a plan of initializers; its card says what its code cannot."""
    summary, use, *paper = cards(kind)[name]
    node = _function(REGISTRIES[kind], function)
    settings = [a.arg for a in node.args.kwonlyargs if a.arg not in HIDDEN] if node else []
    group = sentence(ast.get_docstring(_source(REGISTRIES[kind])) or "").rstrip(".")
    paper = "".join(paper)
    return Entry(kind, name, "", group, summary, use, paper, "", (), tuple(settings), ())


def cards(kind: str) -> dict[str, list[str]]:
    """The texts of a registry's cards."""
    body = _source("steepest.init.cards").body
    texts = {ast.unparse(n.targets[0]): ast.literal_eval(n.value) for n in body if isinstance(n, ast.Assign)}
    table = next(n.value for n in body if isinstance(n, ast.AnnAssign) and ast.unparse(n.target) == kind.upper())
    assert isinstance(table, ast.Dict)
    return {
        ast.literal_eval(key): [texts[x.id] if isinstance(x, ast.Name) else ast.literal_eval(x) for x in card.args]
        for key, card in zip(table.keys, table.values, strict=True)
        if key and isinstance(card, ast.Call)
    }


def _function(module: str, name: str) -> ast.FunctionDef | None:
    for node in _source(module).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node
        if isinstance(node, ast.ImportFrom) and any(alias.name == name for alias in node.names):
            return _function(node.module or "", name)
    return None


@cache
def _source(module: str) -> ast.Module:
    room = find_spec("steepest.cli")
    assert room and room.origin
    path = Path(room.origin).parents[1].joinpath(*module.split(".")[1:])
    return ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8"))


def _lineage(module: str, cls: str) -> Iterator[tuple[str, ast.ClassDef]]:
    """A class and its bases, each with its module, followed through the imports."""
    for node in _source(module).body:
        if isinstance(node, ast.ImportFrom) and any(alias.name == cls for alias in node.names):
            yield from _lineage(node.module or "", cls)
        elif isinstance(node, ast.ClassDef) and node.name == cls:
            yield module, node
            if node.bases and ast.unparse(node.bases[0]) != "Settings":
                yield from _lineage(module, ast.unparse(node.bases[0]))


def _constant(lineage: list[tuple[str, ast.ClassDef]], name: str) -> str:
    for _, cls in lineage:
        for node in cls.body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
                return ast.literal_eval(node.value)
    return ""


# --- state -----------------------------------------------------------------------------------------


def _state(lineage: list[tuple[str, ast.ClassDef]]) -> Iterator[str]:
    """The names in the dicts that `init` returns."""
    for i, (module, cls) in enumerate(lineage):
        method = next((x for x in cls.body if isinstance(x, ast.FunctionDef) and x.name == "init"), None)
        if method:
            if "super().init(p)" in ast.unparse(method):
                yield from _state(lineage[i + 1 :])
            if "self.composed" in ast.unparse(method):  # a rule under another name: it has the state of the innermost
                composed = next(x for x in cls.body if isinstance(x, ast.FunctionDef) and x.name == "composed")
                inner = [k.value for k in ast.walk(composed) if isinstance(k, ast.keyword) and k.arg == "inner"]
                yield from _state(list(_lineage(module, ast.unparse(inner[-1].func))))  # type: ignore[attr-defined]
            yield from _names(method.body)
            return


def _names(body: list[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.If):
            holds = _holds(node.test)
            yield from _names(node.body if holds else node.orelse)
            if holds and isinstance(node.body[-1], (ast.Return, ast.Raise)):
                return
        else:
            yield from _keys(node)


def _keys(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.IfExp):
        yield from _keys(node.body if _holds(node.test) else node.orelse)
    elif isinstance(node, ast.DictComp):
        yield from ast.literal_eval(node.generators[0].iter)
    else:
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "dict":
            yield from (k.arg for k in node.keywords if k.arg)
        for child in ast.iter_child_nodes(node):
            yield from _keys(child)


def _holds(test: ast.expr) -> bool:
    """For a matrix of moderate size, at default options (which are off wherever state depends on them)."""
    return ast.unparse(test).startswith("p.ndim >= 2")
