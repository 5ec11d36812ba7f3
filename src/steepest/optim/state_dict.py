"""Loading a state_dict: looked at whole, by name where there are names, before anything is changed."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from steepest.core.errors import SettingError, StateError, nearest
from steepest.engines import initial
from steepest.optim.binding import Member
from steepest.optim.row import Row
from steepest.optim.table import ROWS

# Entries of torch's groups that say how torch computes, not what.
TORCH_ONLY = ("foreach", "fused", "capturable", "differentiable")
GROUP_ENTRIES = ("params", "param_names", "initial_lr", "max_lr", "min_lr", "base_momentum", "max_momentum", "swa_lr")


def check_options(owner: str, row: Row, group: Mapping[str, Any]) -> None:
    """A misspelt option in a group is an error, not a silent extra."""
    for name in group:
        if name in TORCH_ONLY:
            refuse_torch_only(owner, name, group[name])
        elif name not in ("maximize", *row.defaults, *GROUP_ENTRIES) and nearest(name, row.defaults).startswith("; did"):
            raise SettingError(f"{owner} has no setting {name!r}{nearest(name, row.defaults)}")


def refuse_torch_only(owner: str, name: str, value: Any) -> None:
    if value:
        raise SettingError(f'{owner}: {name}={value!r} chooses an implementation of torch; here engine="auto" chooses one')


def load(optimizer: Any, saved: Mapping[str, Any]) -> None:
    """Check the whole of it, then put it in place."""
    if not isinstance(saved, Mapping) or not saved.keys() >= {"state", "param_groups"}:
        raise StateError('not the state_dict of an optimizer: it must hold "state" and "param_groups"')
    groups = saved["param_groups"]
    if not isinstance(saved["state"], Mapping) or not all(isinstance(group, Mapping) and "params" in group for group in groups):
        raise StateError('the state_dict is damaged: "state" must be a dict, and each of "param_groups" a dict with "params"')
    if len(groups) != len(optimizer.param_groups):
        raise StateError(f"the state_dict has {len(groups)} parameter groups, the optimizer {len(optimizer.param_groups)}")
    placed = [_placed(k, mine, theirs) for k, (mine, theirs) in enumerate(zip(optimizer.param_groups, groups, strict=True))]
    updated = [_group(optimizer, k, theirs) for k, theirs in enumerate(groups)]
    strangers = saved["state"].keys() - {index for pairs in placed for index, _ in pairs}
    if strangers:
        raise StateError(f"the state_dict holds state of {len(strangers)} parameters that are in none of its groups")

    entries: dict[Tensor, dict[str, Any]] = {}
    for k, pairs in enumerate(placed):
        member = Member(optimizer.rows[k], updated[k])
        for index, (name, p) in pairs:
            entry = saved["state"].get(index)
            if entry:
                entries[p] = _entry(optimizer, member, name, p, entry)

    for mine, new in zip(optimizer.param_groups, updated, strict=True):
        mine.update(new)
    optimizer.state.clear()
    for p, entry in entries.items():
        optimizer.state[p] = entry


def _placed(k: int, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[tuple[int, tuple[str, Tensor]]]:
    """Which saved index belongs to which of our parameters."""
    ours, saved = mine.get("param_names"), theirs.get("param_names")
    if len(theirs["params"]) != len(mine["params"]):
        raise StateError(f"group {k} of the state_dict has {len(theirs['params'])} parameters, the optimizer's {len(mine['params'])}")
    if not ours or not saved:
        names = ours or [f"parameter {i} of group {k}" for i in range(len(mine["params"]))]
        return list(zip(theirs["params"], zip(names, mine["params"], strict=True), strict=True))
    missing = [name for name in ours if name not in saved]
    if missing:
        raise StateError(f"the state_dict has no state of {missing[0]}{nearest(missing[0], set(saved) - set(ours))}")
    parameters = dict(zip(ours, mine["params"], strict=True))
    return [(index, (name, parameters[name])) for index, name in zip(theirs["params"], saved, strict=True)]


def _group(optimizer: Any, k: int, theirs: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers and options of a saved group, as this optimizer would hold them."""
    row, mine = optimizer.rows[k], optimizer.param_groups[k]
    needed = [name for name in row.defaults if name not in ("decoupled_weight_decay", "rule")]
    missing = [name for name in needed if name not in theirs]
    if missing:
        raise StateError(
            f"the state_dict is not of {type(optimizer).__name__}: its group {k} has no {missing[0]}; "
            f"it has {', '.join(sorted(set(theirs) - {'params'}))}"
        )
    if theirs.get("rule", mine.get("rule")) != mine.get("rule"):
        raise StateError(f"the state_dict is of the rule {theirs['rule']}, not of {mine.get('rule', type(optimizer).__name__)}")
    foreign = [name for name in theirs if name not in row.defaults and _of_another_rule(name, theirs[name])]
    if foreign:
        raise StateError(
            f"the state_dict is not of {type(optimizer).__name__}: its group {k} has {foreign[0]}, which is a setting of another rule"
        )
    new = {**mine, **{name: deepcopy(value) for name, value in theirs.items() if name not in (*TORCH_ONLY, "params", "param_names")}}
    try:
        row.check(type(optimizer).__name__, new)
    except SettingError as error:
        raise StateError(f"the state_dict cannot be loaded, its group {k} has {error}") from None
    return new


def _of_another_rule(name: str, value: Any) -> bool:
    """Whether only other classes of ours have this setting. torch's AdamW notes that its decay is decoupled, which it always is."""
    return not (name == "decoupled_weight_decay" and value) and any(name in row.defaults for row in ROWS.values())


def _entry(optimizer: Any, member: Member, name: str, p: Tensor, saved: Mapping[str, Any]) -> dict[str, Any]:
    """The state of one parameter, in the dtype, device and layout that its engine computes in."""
    keys = member.row.keys(member.bound(), p)
    entry = initial(member.bound(), p, keys, optimizer.master_weights)
    if not isinstance(saved, Mapping):
        raise StateError(f"the state of {name} is damaged: it must be a dict, not {type(saved).__name__}")
    given = {key: value for key, value in saved.items() if value is not None}
    if "step" not in given and given:
        given["step"] = 1.0  # torch's SGD keeps a buffer and no count; all that matters is that it has begun
    for key in keys.values():
        if key not in given and any(other in given for other in keys.values()):
            raise StateError(f"the state of {name} has no {key}; it has {', '.join(sorted(given))}: it is of another rule, or truncated")
    for key, mine in entry.items():
        if key in given:
            try:
                value = torch.as_tensor(given[key])
            except (TypeError, ValueError, RuntimeError):
                raise StateError(f"the state {key} of {name} is damaged: {given[key]!r} is not a tensor") from None
            if value.shape != mine.shape and not value.numel() == mine.numel() == 1:
                raise StateError(f"the state {key} of {name} has shape {tuple(value.shape)}, the optimizer needs {tuple(mine.shape)}")
            mine.copy_(value.detach().reshape(mine.shape))
    extra = given.keys() - entry.keys()
    if extra:
        raise StateError(
            f"the state of {name} has {', '.join(sorted(extra))}, which {type(optimizer).__name__} does not know: it is of another rule"
        )
    return entry
