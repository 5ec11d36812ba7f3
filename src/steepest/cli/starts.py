"""All that can be said about one initializer or plan: its card, its formula read from the code, and what it draws."""

import ast
import inspect
from collections.abc import Callable
from typing import Any

import torch

from steepest.cli.catalog import HIDDEN
from steepest.cli.notation import number
from steepest.cli.source import tree
from steepest.core.errors import ParameterError
from steepest.core.rng import generator
from steepest.init.cards import INITIALIZERS as CARDS
from steepest.init.cards import PLANS as PLAN_CARDS
from steepest.init.cards import SETTINGS
from steepest.init.fans import fans
from steepest.init.gains import gain
from steepest.init.initializers import INITIALIZERS
from steepest.init.plans import PLANS

# What the numbers of a card are drawn for; the second where the first has too few dimensions.
SHAPES = ((128, 256), (64, 32, 3, 3))
NEEDED = {"value": 0.5}
FANS = {"'fan_in'": "fan_in", "'fan_out'": "fan_out", "'fan_avg'": "(fan_in + fan_out) / 2", "mode": "fan"}
LAWS = {"'normal'": "w ~ N(0, σ²)", "'uniform'": "w ~ U(−√3 σ, √3 σ)", "distribution": "w ~ the distribution of deviation σ"}


def start_facts(kind: str, name: str) -> dict[str, Any]:
    if kind == "plans":
        made, card, known = PLANS[name], PLAN_CARDS[name], {}
        code = [f'report = init.apply(model, "{name}")']
        if name == "mup":
            code.append("plan = scaled(model, Adam(lr=1e-3), report.lr_multipliers)")
        # Plans made by another function share its docstring, which is none.
        about = inspect.getdoc(made) if made.__name__ != "plan" else None
    else:
        made, card = INITIALIZERS[name], CARDS[name]
        settings = [setting(x) for x in inspect.signature(made).parameters.values() if x.kind is x.KEYWORD_ONLY and x.name not in HIDDEN]
        drawn = draws(name)
        known = dict(settings=settings, formula=formula(made), draws=drawn)
        layer = "Linear" if len(drawn["shape"]) == 2 else "Conv2d"
        wanted = f'{{"name": "{name}", "value": 0.5}}' if name == "constant" else f'"{name}"'
        code = [f'report = init.apply(model, {{"*.bias": "zeros", "{layer}": {wanted}}})']
        about = inspect.getdoc(made)
    imports = ["from steepest import init"]
    if name == "mup":
        imports += ["from steepest.rules import Adam", "from steepest.rules.plans import scaled"]
    text = [card.summary, *(" ".join(part.split()) for part in (about or "").split("\n\n") if part)]
    return dict(name=name, kind=kind[:-1], about=text, paper=card.paper, use=card.use, code=[*imports, *code, "print(report)"], **known)


def setting(of: inspect.Parameter) -> dict[str, Any]:
    return dict(name=of.name, default=None if of.default is of.empty else of.default, meaning=SETTINGS[of.name])


def formula(made: Callable[..., Any]) -> list[str]:
    """The variance, where it is variance_scaling's: read from the call, with the mode and law it names."""
    settings = inspect.signature(made).parameters
    if made.__name__ == "variance_scaling":
        said = dict(scale="scale", mode="mode", distribution="distribution")
    else:
        answer = tree(made).body[-1]
        call = answer.value if isinstance(answer, ast.Return) else None
        if not (isinstance(call, ast.Call) and ast.unparse(call.func) == "variance_scaling"):
            return []
        said = dict(scale="1", mode="'fan_in'", distribution="'normal'") | {k.arg: ast.unparse(k.value) for k in call.keywords if k.arg}
    scale = {"gain_of(gain) ** 2": "gain²"}.get(said["scale"], said["scale"])
    lines = [
        f"σ² = {scale} / {FANS[said['mode']]}".replace("/ (fan_in + fan_out) / 2", "× 2 / (fan_in + fan_out)"),
        LAWS[said["distribution"]],
    ]
    if said["mode"] == "mode":
        lines.append(f"fan: {settings['mode'].default}, or what mode says")
    if "gain" in settings and isinstance(settings["gain"].default, str):
        lines.append(f"gain: {number(round(gain(settings['gain'].default), 4))} for {settings['gain'].default}, or what gain says")
    return lines


def draws(name: str) -> dict[str, Any]:
    """What it gives for one weight, measured."""
    made = INITIALIZERS[name]
    needed = {key: value for key, value in NEEDED.items() if key in inspect.signature(made).parameters}
    for shape in SHAPES:
        try:
            value = made(shape, fans(shape), generator(0, "explain", name), **needed)
        except ParameterError:
            continue
        singular = torch.linalg.svdvals(value.flatten(1))
        ends = dict(low=value.min().item(), high=value.max().item())
        return dict(
            shape=shape,
            mean=value.mean().item(),
            std=value.std(correction=0).item(),
            **ends,
            singular=[singular[-1].item(), singular[0].item()],
        )
    raise LookupError(f"{name} takes neither a matrix nor a kernel")
