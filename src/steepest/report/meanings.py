"""What each value of a recipe means: read from the source that declares it, without importing it. A report waits for no torch."""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
SECTIONS = {"batch": "Batch", "stop": "Stop", "run": "Run"}
# Which registry says what a table of the recipe may hold.
REGISTRIES = {
    "rules": ("steepest.rules", "RULES"),
    "wrappers": ("steepest.rules", "WRAPPERS"),
    "schedules": ("steepest.schedules.reading", "SCHEDULES"),
    "regularizers": ("steepest.regularizers", "REGULARIZERS"),
    "drivers": ("steepest.drivers", "DRIVERS"),
}


class Said(NamedTuple):
    """`default` is None where there is none, or none that can be read."""

    meaning: str = ""
    default: Any = None


def said(settings: Mapping[str, Any], path: str) -> Said:
    """About one value of a recipe, by its path. Nothing, where the recipe is newer than this package, or wrong."""
    section, _, rest = path.partition(".")
    key = rest.rpartition(".")[2]
    if path == "version":
        return Said("version of this format")
    if section == "model":
        return Said("which of the task's models" if rest == "name" else "an argument of the function that makes the model")
    if section in SECTIONS:
        return fields("steepest.train.sections", SECTIONS[section]).get(key, Said())
    if section == "init":
        return _initial(rest, settings[path])
    if section == "schedule":
        return Said(f"a factor on {rest} in the course of the run{_sentence('schedules', _shape(settings[path]))}")
    if section == "driver":
        name = settings.get("driver.name")
        return Said(f"how the gradient is asked{_sentence('drivers', name)}", "plain") if rest == "name" else _field("drivers", name, key)
    if section == "regularize":
        return _regularizer(rest)
    return _optimizer(settings, rest, key) if section == "optimizer" else Said()


def _optimizer(settings: Mapping[str, Any], rest: str, key: str) -> Said:
    if rest.startswith("wrap."):
        return _field("wrappers", rest.split(".")[1], key)
    place = rest.rpartition(".")[0]
    name = settings.get(f"optimizer.{place}.rule" if place else "optimizer.rule", settings.get("optimizer.rule"))
    if key == "rule":
        return Said(f"the rule that changes the weights{_sentence('rules', name)}")
    if key == "match":
        return Said("patterns of parameters that are treated in another way")
    return fields("steepest.train.sections", "Optimizing").get(key) or _field("rules", name, key)


def _initial(rest: str, value: Any) -> Said:
    if rest == "plan":
        card = cards("PLANS").get(str(value))
        return Said(f"what the weights are before the first step: {lowered(card)}" if card else "", "auto")
    if rest == "pretrained":
        return Said("the weights that the run begins with")
    card = cards("INITIALIZERS").get(str(value))
    return Said(f"for parameters that match: {lowered(card)}" if card else "for parameters that match")


def _regularizer(rest: str) -> Said:
    name, _, key = rest.partition(".")
    known = registry("regularizers").get(name)
    if not known:
        return Said()
    return fields(*known).get(key, Said()) if key else Said(lowered(summary(*known)))


def _shape(value: Any) -> Any:
    shape = value.get("shape") if isinstance(value, dict) else value
    return shape.removeprefix("warmup_") if isinstance(shape, str) else None


def _sentence(kind: str, name: Any) -> str:
    known = registry(kind).get(str(name))
    about = summary(*known) if known else ""
    return f": {lowered(about)}" if about else ""


def _field(kind: str, name: Any, key: str) -> Said:
    known = registry(kind).get(str(name))
    return fields(*known).get(key, Said()) if known else Said()


def lowered(sentence: str) -> str:
    """A sentence as part of another; a name at its start keeps its capitals."""
    first = sentence.split(" ", 1)[0]
    return (sentence if not first[1:].islower() and len(first) > 1 else sentence[:1].lower() + sentence[1:]).rstrip(".")


# --- the source ------------------------------------------------------------------------------------


@cache
def source(module: str) -> ast.Module:
    path = ROOT.joinpath(*module.split(".")[1:])
    return ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8"))


@cache
def registry(kind: str) -> dict[str, tuple[str, str]]:
    """Name -> module and class, as the dict stands in the source."""
    return dict(_entries(*REGISTRIES[kind]))


def _entries(module: str, table: str) -> Iterator[tuple[str, tuple[str, str]]]:
    where, node = _defined(module, table)
    if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict):
        for key, value in zip(node.value.keys, node.value.values, strict=True):
            if key:
                yield ast.literal_eval(key), (where, ast.unparse(value))
            else:
                yield from _entries(where, ast.unparse(value))


def _defined(module: str, name: str) -> tuple[str, ast.stmt | None]:
    """Where a name is defined, followed through the imports."""
    for node in source(module).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("steepest"):
            for alias in node.names:
                if name in (alias.name, alias.asname):
                    return _defined(node.module or "", alias.name)
        elif name in named(node):
            return module, node
    return module, None


def named(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [ast.unparse(target) for target in targets]


@cache
def fields(module: str, cls: str) -> dict[str, Said]:
    """What a class and those it comes from declare, by field."""
    where, node = _defined(module, cls)
    if not isinstance(node, ast.ClassDef):
        return {}
    found = {key: x for base in node.bases if isinstance(base, ast.Name) for key, x in fields(where, base.id).items()}
    for line in node.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.value, ast.Call):
            found[ast.unparse(line.target)] = _declared(where, line.value)
    return found


def _declared(module: str, call: ast.Call) -> Said:
    """`knob(0.9, "decay of the first moment")`; or the like by a helper, whose own text or default text it is."""
    default, *others = call.args or [ast.Constant(None)]
    if others and isinstance(text := _value(others[0], module), str):
        return Said(text, _value(default))
    _, helper = _defined(module, ast.unparse(call.func))
    texts = [x for x in ast.walk(helper) if isinstance(x, ast.Constant)] if isinstance(helper, ast.FunctionDef) else []
    said = [x.value for x in texts if isinstance(x.value, str) and " " in x.value and x.value != ast.get_docstring(helper)]  # type: ignore[arg-type]
    return Said(said[0] if said else "", _value(default))


def _value(node: ast.expr, module: str = "") -> Any:
    """What an expression of constants is; with a module, the name of a constant there may stand for it."""
    if module and isinstance(node, ast.Name):
        _, found = _defined(module, node.id)
        return _value(found.value) if isinstance(found, ast.Assign) else None
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def summary(module: str, cls: str) -> str:
    """The first sentence of a class; a full stop within parentheses ends none."""
    _, node = _defined(module, cls)
    line = " ".join((ast.get_docstring(node) or "" if isinstance(node, ast.ClassDef) else "").split("\n\n")[0].split())
    for i, c in enumerate(line):
        if c == "." and line[i + 1 : i + 2] in ("", " ") and line.count("(", 0, i) == line.count(")", 0, i):
            return line[:i]
    return line


@cache
def cards(table: str) -> dict[str, str]:
    """What initializers and plans say of themselves."""
    _, node = _defined("steepest.init.cards", table)
    assert isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict)
    pairs = zip(node.value.keys, node.value.values, strict=True)
    return {ast.literal_eval(key): _value(card.args[0]) for key, card in pairs if key and isinstance(card, ast.Call) and card.args}
