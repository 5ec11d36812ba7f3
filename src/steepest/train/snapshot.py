"""All that a run is, between two steps: tensors by name, and facts. What a rollback restores, and what a checkpoint holds."""

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from steepest.core.errors import StateError
from steepest.optim import Optimizer

MODEL, OPTIMIZER, BEST, RNG = "model.", "optimizer.", "best.", "rng."


def tensors_of(model: nn.Module, optimizers: dict[str, Optimizer]) -> dict[str, Tensor]:
    """The model's and the optimizers' tensors themselves, by name: state is matched by the parameter's name when it comes back."""
    found = {MODEL + name: x for name, x in model.state_dict().items() if isinstance(x, Tensor)}
    for player, optimizer in optimizers.items():
        for name, p in named(optimizer):
            for key, x in optimizer.state.get(p, {}).items():
                found[f"{OPTIMIZER}{player}/{name}/{key}"] = x if isinstance(x, Tensor) else torch.as_tensor(x)
    return found


def named(optimizer: Optimizer) -> list[tuple[str, Tensor]]:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    return list(zip(optimizer.names, parameters, strict=True))


def copied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copies in main memory that nothing else writes to; what shared memory shares it again."""
    seen: dict[tuple[Any, ...], Tensor] = {}
    copies = {}
    for name, x in tensors.items():
        key = (x.device, x.data_ptr(), x.dtype, x.shape, x.stride()) if x.numel() else (id(x),)
        if key not in seen:
            # A copy keeps its strides, so that what comes back lies in memory as it did.
            seen[key] = x.detach().clone() if x.device.type == "cpu" else x.detach().to("cpu", copy=True)
        copies[name] = seen[key]
    return copies


@torch.no_grad()
def restore(model: nn.Module, optimizers: dict[str, Optimizer], tensors: dict[str, Tensor]) -> None:
    """Write a snapshot back. Names that do not fit are an error before anything is written."""
    mine = {name.removeprefix(MODEL): x for name, x in tensors.items() if name.startswith(MODEL)}
    own = {name: x for name, x in model.state_dict().items() if isinstance(x, Tensor)}
    check_names(own, mine)
    states: dict[str, dict[str, dict[str, Tensor]]] = {player: {} for player in optimizers}
    for key, x in tensors.items():
        if key.startswith(OPTIMIZER):
            player, name, entry = key.removeprefix(OPTIMIZER).split("/", 2)
            if player not in states:
                raise StateError(f"the checkpoint has an optimizer for {player!r}; this run has {', '.join(states)}")
            states[player].setdefault(name, {})[entry] = x
    for player, optimizer in optimizers.items():
        unknown = states[player].keys() - set(optimizer.names)
        if unknown:
            raise StateError(f"the checkpoint has optimizer state for {sorted(unknown)[0]!r}, which is no parameter of this run")
    for name, x in own.items():
        x.copy_(mine[name])
    for player, optimizer in optimizers.items():
        for name, p in named(optimizer):
            _set_state(optimizer, p, states[player].get(name, {}))


def check_names(own: dict[str, Tensor], given: dict[str, Tensor], what: str = "the checkpoint") -> None:
    missing, strange = own.keys() - given.keys(), given.keys() - own.keys()
    if missing or strange:
        parts = [f"{what} lacks {', '.join(sorted(missing)[:4])}"] if missing else []
        parts += [f"the model has no {', '.join(sorted(strange)[:4])}"] if strange else []
        raise StateError("; ".join(parts))
    for name, x in own.items():
        if x.shape != given[name].shape:
            raise StateError(
                f"{name} has shape {tuple(x.shape)} in the model and {tuple(given[name].shape)} in {what.removeprefix('the ')}"
            )


def _set_state(optimizer: Optimizer, p: Tensor, saved: dict[str, Tensor]) -> None:
    present = optimizer.state.get(p, {})
    if present.keys() == saved.keys():
        for key, x in saved.items():
            if isinstance(present[key], Tensor):
                present[key].copy_(x)
            else:
                present[key] = x.item()
    elif saved:
        # State has the device and dtype it was saved with; the step count stays where the engine keeps it.
        optimizer.state[p] = {key: x.clone() if key == "step" else x.to(p.device, copy=True) for key, x in saved.items()}
    else:
        optimizer.state.pop(p, None)


# --- random numbers --------------------------------------------------------------------------------


def random_tensors(generator: torch.Generator) -> dict[str, Tensor]:
    """The states of all generators that a step may draw from."""
    found = {RNG + "torch": torch.get_rng_state(), RNG + "batches": generator.get_state()}
    if torch.cuda.is_available():
        found |= {f"{RNG}cuda.{i}": x for i, x in enumerate(torch.cuda.get_rng_state_all())}
    return found


def random_facts() -> dict[str, Any]:
    """Python's and numpy's own, which users' data code may use."""
    return {"python": random.getstate(), "numpy": np.random.get_state(legacy=True)}


def plain(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts of a snapshot as JSON holds them. Most are never written, and an array of numbers is slow to turn into a list."""
    name, keys, *rest = facts["random"]["numpy"]
    return facts | {"random": facts["random"] | {"numpy": [name, np.asarray(keys).tolist(), *map(float, rest)]}}


def restore_random(tensors: dict[str, Tensor], facts: dict[str, Any], generator: torch.Generator) -> None:
    torch.set_rng_state(tensors[RNG + "torch"])
    generator.set_state(tensors[RNG + "batches"])
    cuda = [x for name, x in sorted(tensors.items()) if name.startswith(f"{RNG}cuda.")]
    if cuda and torch.cuda.is_available() and len(cuda) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(cuda)
    version, state, gauss = facts["python"]
    random.setstate((version, tuple(state), gauss))
    name, keys, position, has_gauss, cached = facts["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), int(position), int(has_gauss), cached))
