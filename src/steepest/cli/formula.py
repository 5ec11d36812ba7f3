"""A rule's formula, read from its code: the statements of its methods in their order, as lines of mathematics.

`m ← ...` is kept for the next step, `c = ...` lives for this step only. A rule inside a rule (LAMB's Adam) is written
out in place; the unknown inner rule of a wrapper stays `inner`.
"""

import ast
from collections.abc import Callable

from steepest.cli.notation import PRODUCT, SUM, symbol
from steepest.cli.reading import Frame, Page
from steepest.cli.source import arguments, length
from steepest.core.rule import Rule
from steepest.rules.wrapper import GradientWrapper, Wrapper

# A helper longer than this is named by the first sentence of its docstring; a direction wider than this gets its own line.
SHORT, WIDE = 12, 40
LEGEND = {
    "←": "x ← ... is kept for the next step, x = ... is not",
    " · ": "· multiplies matrices, all else is elementwise",
    "ₜ₋₁": "xₜ₋₁ is x of the step before",
    "inner": "inner is the rule that is wrapped",
    "_model": "‖x‖_model, Σ_model: over all parameters of the model",
    "_unit": "‖x‖_unit, mean_unit: over each unit, a row of the weight",
    "mean_row": "mean_row, mean_column: of each row, of each column",
    "view": "view: the weights to evaluate and to save",
}


def formula(rule: Rule) -> list[str]:
    """One step of the rule, the weights to evaluate if they are others, and what the step calls."""
    page = Page(rule)
    refresh(page)
    step(page)
    view(page)
    helpers(page)
    return page.lines


def legend(lines: list[str]) -> list[str]:
    text = "\n".join(lines)
    return [meaning for sign, meaning in LEGEND.items() if sign in text]


def step(page: Page) -> None:
    rule, cls = page.rule, type(page.rule)
    if isinstance(rule, GradientWrapper):
        Frame(page, rule, type(rule).gradient).run(by_gradient)
    elif cls.update is Rule.update:
        Frame(page, rule, cls.direction).run(by_direction)
    else:
        Frame(page, rule, cls.update).run(by_change)


def by_gradient(frame: Frame, g: ast.expr) -> None:
    frame.page.write(f"g = {frame.show(g)}")
    frame.page.write("p ← p + inner(p, g)")


def by_direction(frame: Frame, direction: ast.expr) -> None:
    """What `Rule.update` makes of a direction."""
    page = frame.page
    text, strength = frame.show.text(direction)
    if strength < SUM or len(text) > WIDE:
        page.write(f"d = {text}")
        text, strength = "d", PRODUCT
    (rate, _), (decay, _) = frame.property(page.rule, "rate"), frame.property(page.rule, "decay")
    if decay != "0":
        text, strength = f"{text} + {decay} p", SUM
    whole = f"({text})" if strength < PRODUCT or " / " in text else text
    page.write(f"p ← p − {f'({rate})' if ' ' in rate else rate} {whole}")


def by_change(frame: Frame, change: ast.expr) -> None:
    text, strength = frame.show.text(change)
    if strength < SUM:
        frame.page.write(f"Δ = {text}")
        text = "Δ"
    frame.page.write(f"p ← p − {text[1:]}" if text.startswith("−") else f"p ← p + {text}")


def refresh(page: Page) -> None:
    """The expensive part that is due now and then, before the step."""
    rule, cls = page.rule, type(page.rule)
    if cls.refresh in (Rule.refresh, Wrapper.refresh, GradientWrapper.refresh):
        return
    when = Frame(page, rule, cls.due).single()
    assert when is not None
    if length(cls.refresh) > SHORT:
        page.write(f"due = {when[0]}")
        page.write("if due: refresh(p, g, due)")
        page.called["refresh"] = (cls.refresh, rule)
        return
    page.write(f"if {when[0]}:")
    page.indent += 1
    Frame(page, rule, cls.refresh).run(lambda frame, state: None)
    page.indent -= 1


def view(page: Page) -> None:
    cls = type(page.rule)
    if cls.view not in (Rule.view, Wrapper.view):
        Frame(page, page.rule, cls.view).run(lambda frame, x: page.write(f"view = {frame.show(x)}"))


def helpers(page: Page) -> None:
    if page.called:
        page.lines.append("")
    direct, done = set(page.called), set[str]()
    while rest := [name for name in page.called if name not in done]:  # a helper may call further ones
        done.add(rest[0])
        helper(page, rest[0], *page.called[rest[0]], whole=rest[0] in direct)


def helper(page: Page, name: str, function: Callable, level: Rule, whole: bool) -> None:
    frame = Frame(page, level, function, helper=True)
    head = f"{symbol(name)}({', '.join(symbol(x) for x in arguments(function))})"
    if single := frame.single():
        page.write(f"{head} = {single[0]}")
    elif not whole or length(function) > SHORT:
        page.write(f"{head}: {' '.join((function.__doc__ or '').split()).partition('. ')[0].rstrip('.')}")
    else:
        page.write(f"{head}:")
        page.indent += 1
        frame.run(lambda frame, x: page.write(f"return {frame.show(x)}"))
        page.indent -= 1
