"""Parameters as they are handed over: checked, named, and in torch's groups."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from steepest.core.errors import ParameterError
from steepest.core.plan import slots


def as_groups(params: Any) -> list[dict[str, Any]]:
    """A model, tensors, named tensors or groups of these, as a list of groups of the form that torch stores."""
    if isinstance(params, nn.Module):
        params = [(slot.name, slot.parameter) for slot in slots(params)]
    if isinstance(params, Tensor) or not isinstance(params, Iterable):
        raise ParameterError(f"parameters must be a model or an iterable of tensors, not {type(params).__name__}")
    given = list(params)
    if not given:
        raise ParameterError("there are no parameters to optimize")
    groups = [listed(group) for group in (given if isinstance(given[0], dict) else [{"params": given}])]
    if not any(group["params"] for group in groups):
        raise ParameterError("there are no parameters to optimize")
    return groups


def listed(group: Any) -> dict[str, Any]:
    if not isinstance(group, dict) or "params" not in group:
        raise ParameterError('a parameter group must be a dict with "params"')
    params = group["params"]
    if isinstance(params, (set, frozenset)):
        raise ParameterError("parameters in a set have no order, which a state_dict needs; pass a list")
    if isinstance(params, nn.Module):
        params = [(slot.name, slot.parameter) for slot in slots(params)]
    members = [params] if isinstance(params, Tensor) else list(params)
    return {**group, "params": members}


def check_parameters(groups: Sequence[dict[str, Any]], owner: str, known: Sequence[Tensor] = ()) -> None:
    """Each parameter a real floating-point leaf, and each once."""
    seen = {id(p) for p in known}
    place = 0
    for group in groups:
        for member in group["params"]:
            name, p = member if isinstance(member, tuple) else (f"parameter {place}", member)
            place += 1
            if not isinstance(p, Tensor):
                raise ParameterError(f"{owner} can optimize tensors; {name} is {type(p).__name__}")
            if p.layout != torch.strided:
                raise ParameterError(f"{owner} can optimize dense parameters; {name} is {str(p.layout).removeprefix('torch.')}")
            if not p.is_floating_point():
                raise ParameterError(
                    f"{owner} can optimize real floating-point parameters; {name} is {str(p.dtype).removeprefix('torch.')}"
                )
            if not (p.is_leaf or p.retains_grad):
                raise ParameterError(f"{name} is not a leaf: it was computed from others, which are what to optimize")
            if id(p) in seen:
                raise ParameterError(f"{name} of shape {tuple(p.shape)} is given twice")
            seen.add(id(p))


def check_names(groups: Sequence[dict[str, Any]]) -> None:
    """Every parameter with a name, or none."""
    named = [isinstance(member, tuple) or "param_names" in group for group in groups for member in group["params"]]
    if any(named) and not all(named):
        raise ParameterError(f"parameter {named.index(False)} has no name, and others have; name all or none")


def names_of(groups: Sequence[dict[str, Any]]) -> list[str]:
    """A name for each parameter, for messages: its own, or its place."""
    names: list[str] = []
    for group in groups:
        own = group.get("param_names") or [None] * len(group["params"])
        for name, p in zip(own, group["params"], strict=True):
            names.append(name or f"parameter {len(names)} of shape {tuple(p.shape)}")
    return names
