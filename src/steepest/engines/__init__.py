"""Engines execute rules. `choose` says which one serves a parameter best, and why."""

import importlib
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from steepest.core.errors import SettingError, nearest
from steepest.core.rule import Rule
from steepest.engines.base import HALF, Cell, Engine, advance, fallback, initial
from steepest.engines.reference import Reference

__all__ = ["ENGINES", "Cell", "Engine", "advance", "build", "choose", "initial", "program_key"]


def _fused() -> type:
    from steepest.engines.fused import Fused

    return Fused


def _compiled() -> type:
    from steepest.engines.compiled import Compiled

    return Compiled


# Loaded when first used: Numba and the compiler are not imported for nothing.
ENGINES: dict[str, Any] = {"reference": lambda: Reference, "fused": _fused, "compiled": _compiled}


def choose(rule: Rule, p: Tensor, wanted: str = "auto") -> tuple[str, str]:
    """The engine for this rule on this parameter, and the reason."""
    if wanted not in ("auto", *ENGINES):
        raise SettingError(f"engine = {wanted!r} is not known{nearest(wanted, ['auto', *ENGINES])}")
    obstacle = _no_fused(rule, p)
    if wanted == "fused" and obstacle:
        raise SettingError(f'engine="fused" cannot serve {type(rule).__name__}: {obstacle}; use engine="auto"')
    if wanted != "auto":
        return wanted, "asked for"
    if p.device.type == "cuda":
        return "compiled", "CUDA: one compiled program over all parameters"
    if obstacle:
        return "reference", obstacle
    return "fused", "CPU: one generated kernel, in as few passes over memory as the rule needs"


def _no_fused(rule: Rule, p: Tensor) -> str:
    """Why the fused engine cannot serve this, or nothing."""
    if p.device.type != "cpu":
        return f"the parameters are on {p.device.type}, and its kernels run on the CPU"
    if type(p) not in (Tensor, nn.Parameter):
        return f"{type(p).__name__} is a tensor with ways of its own"
    if rule.scope != "element":
        return f"the rule looks at a whole {rule.scope} at once"
    if p.dtype in HALF:
        return f"the parameters are {_short(p.dtype)}, and its kernels are float32 or float64"
    return "" if _numba() else "Numba is not available"


@cache
def _numba() -> bool:
    """Whether Numba can be had. If not, because it is missing or broken, that is said once."""
    try:
        importlib.import_module("numba")
    except Exception as problem:
        fallback("fused", problem)
        return False
    return True


def program_key(rule: Rule, p: Tensor, engine: str) -> tuple:
    """Parameters that agree on this are served by one program."""
    structure = rule.structure()
    vector = engine == "fused" and p.ndim < 2 and _asks_ndim(structure)
    return structure, engine, p.dtype, p.device, vector


@cache
def _asks_ndim(structure: Rule) -> bool:
    from steepest.engines.fused import asks_ndim

    return asks_ndim(structure)


def build(name: str, rule: Rule, cells: Sequence[Cell]) -> Engine:
    """The engine, or the reference engine with one warning where it cannot be had."""
    try:
        return ENGINES[name]()(rule, cells)
    except (ImportError, OSError, NotImplementedError) as problem:
        fallback(name, problem)
        return Reference(rule, cells)


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
