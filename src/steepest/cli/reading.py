"""One function of a rule, statement by statement, as lines of mathematics."""

import ast
import inspect
from collections.abc import Callable

from steepest.cli.notation import ATOM, HAT, Show, Text, number, symbol
from steepest.cli.source import arguments, entries, kept, opposite, returns_state, same, statements
from steepest.core import maths
from steepest.core.rule import Rule


class Page:
    """The lines written so far, and the functions they call."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.lines: list[str] = []
        self.indent = 0
        self.called: dict[str, tuple[Callable, Rule]] = {}

    def write(self, line: str) -> None:
        self.lines.append("    " * self.indent + line)


class Frame:
    """One function of one rule while it is being read: what its names mean."""

    def __init__(self, page: Page, level: Rule, function: Callable, helper: bool = False) -> None:
        self.page, self.level, self.function, self.helper = page, level, function, helper
        self.show = Show(self)
        self.assigned = set(arguments(function))
        self.states: set[str] = {"state"}
        self.kept = kept(function)
        self.hats: dict[str, Text] = {}

    def run(self, finish: Callable[["Frame", ast.expr], None]) -> None:
        """Write the function's lines; `finish` is handed what it returns, without the state."""
        self._block(statements(self.function), finish)

    def single(self) -> Text | None:
        """A function that only returns something, as text."""
        body = statements(self.function)
        if len(body) == 1 and isinstance(body[0], ast.Return) and body[0].value:
            self.helper = True
            return self.show.text(body[0].value)
        return None

    # --- statements -------------------------------------------------------------------------------

    def _block(self, body: list[ast.stmt], finish: Callable) -> None:
        for i, statement in enumerate(body):
            if isinstance(statement, ast.Return):
                value = statement.value
                assert value is not None
                if isinstance(value, ast.Tuple) and len(value.elts) == 2 and self._is_state(value.elts[1]):
                    value, new = value.elts
                    self.show(value)  # what it defines by the way (m̂) comes before what is kept
                    self._keep(new)
                finish(self, value)
            elif isinstance(statement, ast.If):
                ends = isinstance(statement.body[-1], ast.Return)
                self._if(statement, statement.orelse or (body[i + 1 :] if ends else []), finish)
                if ends and not statement.orelse:
                    return
            elif isinstance(statement, ast.For):
                self.page.write(f"for {ast.unparse(statement.target)} in {self.show(statement.iter)}:")
                self._indented(statement.body, finish)
            elif isinstance(statement, ast.Assign):
                self._assign(statement.targets, statement.value, finish)

    def _if(self, statement: ast.If, otherwise: list[ast.stmt], finish: Callable) -> None:
        test = statement.test
        if self.level is not self.page.rule and isinstance(test, ast.Attribute):
            # The options of a rule inside a rule are settled.
            self._block(statement.body if getattr(self.level, test.attr) else otherwise, finish)
            return
        body = statement.body
        if len(body) == 1 and isinstance(body[0], ast.Return) and body[0].value and self._is_state(body[0].value):
            test, body, otherwise = opposite(test), otherwise, []  # "else nothing changes" goes without saying
        self.page.write(f"if {self.show(test)}:")
        self._indented(body, finish)
        if otherwise:
            self.page.write("else:")
            self._indented(otherwise, finish)

    def _indented(self, body: list[ast.stmt], finish: Callable) -> None:
        self.page.indent += 1
        self._block(body, finish)
        self.page.indent -= 1

    def _assign(self, targets: list[ast.expr], value: ast.expr, finish: Callable) -> None:
        target = targets[0]
        if self._is_state(value):
            self._keep(value)
            self.states |= {x.id for x in targets if isinstance(x, ast.Name)}
        elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for one, of in zip(target.elts, value.elts, strict=True):
                self._line([one], of)
        elif isinstance(target, ast.Tuple) and (called := self._called_rule(value)):
            self._inline(target, *called)
        else:
            self._line(targets, value)

    def _line(self, targets: list[ast.expr], value: ast.expr) -> None:
        text = self.show(value)
        left, lasting = [], False
        for target in targets:
            name, stays = self._target(target)
            lasting |= stays
            if name not in left:
                left.append(name)
        self.assigned |= {x.id for target in targets for x in ast.walk(target) if isinstance(x, ast.Name)}
        self.hats = {name: whole for name, whole in self.hats.items() if name not in left}
        if [text] != left:
            # `v = v_max ← ...`: kept under the last name only.
            self.page.write(f"{' = '.join(left)} {'←' if lasting else '='} {text}")

    def _target(self, target: ast.expr) -> tuple[str, bool]:
        if isinstance(target, ast.Tuple):
            parts = [self._target(x) for x in target.elts]
            return ", ".join(name for name, _ in parts), all(stays for _, stays in parts)
        if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name) and target.value.id in self.states:
            return symbol(ast.literal_eval(target.slice)), True
        return self.show(target), id(target) in self.kept

    # --- state ------------------------------------------------------------------------------------

    def _is_state(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Name):
            return node.id in self.states
        if isinstance(node, ast.BinOp):
            return isinstance(node.op, ast.BitOr) and self._is_state(node.left)
        if isinstance(node, ast.Dict):
            return True
        if isinstance(node, ast.Subscript):
            return ast.unparse(node) == "new['inner']"
        return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("dict", "State")

    def _keep(self, node: ast.expr) -> None:
        """Lines for what is kept under another name than it was computed under."""
        for name, value in entries(node):
            if not same(name, value) and ast.unparse(value) != f"state.{name}":
                self.page.write(f"{symbol(name)} ← {self.show(value)}")

    # --- rules inside rules -----------------------------------------------------------------------

    def _called_rule(self, value: ast.expr) -> tuple[Rule | None, str] | None:
        """For `self.inner.direction(...)` and its like: which rule, and which method."""
        if not (isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute)):
            return None
        owner, method = value.func.value, value.func.attr
        if ast.unparse(owner) == "self":
            return (self.level, method) if returns_state(getattr(type(self.level), method)) else None
        if isinstance(owner, ast.Attribute) and ast.unparse(owner.value) == "self":
            unknown = owner.attr == "inner" and self.level is self.page.rule
            return None if unknown else getattr(self.level, owner.attr), method
        return None

    def _inline(self, target: ast.Tuple, rule: Rule | None, method: str) -> None:
        name, self.states = self.show(target.elts[0]), self.states | {ast.unparse(target.elts[1])}
        self.assigned.add(ast.unparse(target.elts[0]))
        if rule is None:
            self.page.write(f"{name} = inner{'.direction' if method == 'direction' else ''}(p, g)")
            return

        def finish(frame: "Frame", value: ast.expr) -> None:
            text = frame.show(value)
            if text != name:
                self.page.write(f"{name} = {text}")

        Frame(self.page, rule, getattr(type(rule), method)).run(finish)

    def property(self, rule: Rule | None, name: str) -> Text:
        """`rate`, `decay` and their like, written out; those of an unknown inner rule by their usual letters."""
        if rule is None:
            return symbol({"rate": "lr", "decay": "weight_decay"}[name]), ATOM
        single = Frame(self.page, rule, getattr(type(rule), name).fget).single()
        assert single is not None
        return single

    # --- what expressions ask ---------------------------------------------------------------------

    def name(self, name: str) -> Text:
        value = self.function.__globals__.get(name)
        if isinstance(value, float) and name not in self.assigned:
            return number(value), ATOM
        return symbol(name), ATOM

    def attribute(self, node: ast.Attribute) -> Text | None:
        owner = ast.unparse(node.value)
        if owner == "state":
            # The g of the step before is not this g.
            return symbol(node.attr) + ("ₜ₋₁" if node.attr in self.assigned else ""), ATOM
        if owner in ("state.inner", "new", "self.inner"):
            inner = None if self.level is self.page.rule else getattr(self.level, "inner", None)
            return self.property(inner, node.attr) if owner == "self.inner" else (symbol(node.attr), ATOM)
        if owner != "self":
            return None
        if isinstance(inspect.getattr_static(self.level, node.attr, None), property):
            return self.property(self.level, node.attr)
        return symbol(node.attr), ATOM

    def call(self, node: ast.Call, show: Show) -> Text | None:
        func = node.func
        if isinstance(func, ast.Attribute) and ast.unparse(func.value) == "self":
            name, function = func.attr.lstrip("_"), getattr(type(self.level), func.attr)
        elif isinstance(func, ast.Name) and inspect.isfunction(self.function.__globals__.get(func.id)):
            name, function = func.id, self.function.__globals__[func.id]
        else:
            return None
        if function.__module__ == maths.__name__:
            return None
        self.page.called.setdefault(name, (function, self.level))
        given = [x for x in node.args if not self._is_state(x)]
        return f"{symbol(name)}({show.arguments(given)})", ATOM

    def hat(self, average: ast.expr, whole: Text) -> Text:
        """`debias(m, ...)` as m̂, with a line before that says what it is."""
        name = self.show(average)
        if self.helper or len(name) > 1 or self.hats.get(name, whole) != whole:
            return whole
        if name not in self.hats:
            self.hats[name] = whole
            self.page.write(f"{name}{HAT} = {whole[0]}")
        return name + HAT, ATOM
