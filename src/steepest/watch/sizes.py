"""How large gradients, weights and updates are: of the whole model and of each layer."""

from collections.abc import Iterable, Sequence
from math import inf, sqrt

import torch
from torch import Tensor, nn

from steepest.core.plan import slots

# A layer's parameters that want a gradient, by the layer's name. A shared parameter counts once, in its first layer.
Layers = dict[str, list[Tensor]]


def layers(model: nn.Module) -> Layers:
    found: Layers = {}
    for slot in slots(model):
        if slot.parameter.requires_grad and (slot.parameter.is_floating_point() or slot.parameter.is_complex()):
            found.setdefault(slot.name.rpartition(".")[0], []).append(slot.parameter)
    return found


@torch.no_grad()
def sizes(layers: Layers, before: Sequence[Tensor] | None = None) -> dict[str, float]:
    """Norms, as a flat dict: `gradient_norm` of all, `gradient_norm/conv1` of one layer; likewise `weight_norm` and `update_ratio`.

    `update_ratio` is |w - before| / |w|, w the weights as they are now. `before`, in the order of the layers, is used up: it holds
    w - before afterwards. Parameters without a gradient count as zero; if no parameter has one, nothing is said of gradients.
    """
    owners = [name for name, parameters in layers.items() for _ in parameters]
    weights = [p for parameters in layers.values() for p in parameters]
    groups: dict[str, Sequence[Tensor | None]] = {"gradient_norm": [p.grad for p in weights], "weight_norm": weights}
    if before is not None:
        torch._foreach_sub_(list(before), weights)  # type: ignore[attr-defined]
        groups["update_ratio"] = before
    found = [(what, owner, x) for what, group in groups.items() for owner, x in zip(owners, group, strict=True) if x is not None]
    squares = {what: dict.fromkeys(layers, 0.0) for what, *_ in found}
    for (what, owner, _), n in zip(found, norms([x for *_, x in found]), strict=True):
        squares[what][owner] += n * n

    numbers = {what: named({owner: sqrt(x) for owner, x in by_layer.items()}) for what, by_layer in squares.items()}
    if "update_ratio" in numbers:
        numbers["update_ratio"] = {name: ratio(x, numbers["weight_norm"][name]) for name, x in numbers["update_ratio"].items()}
    return {what + name: x for what, by_layer in numbers.items() for name, x in by_layer.items()}


def named(by_layer: dict[str, float]) -> dict[str, float]:
    """The whole first, under "", then "/conv1" and every other layer. A model that is one layer has no name for it."""
    return {"": sqrt(sum([x * x for x in by_layer.values()]))} | {f"/{name}": x for name, x in by_layer.items() if name}


def ratio(update: float, weight: float) -> float:
    return update / weight if weight else (inf if update else 0.0)


def norms(tensors: Iterable[Tensor]) -> list[float]:
    """All in one call and one look at the device; half precision is summed in float32."""
    plain = [real(x) for x in tensors]
    if not plain:
        return []
    wide = torch.float64 if any(x.dtype == torch.float64 for x in plain) else torch.float32
    device = plain[0].device
    found = torch._foreach_norm(plain, 2, wide)  # type: ignore[attr-defined]
    return torch.stack([n.to(device) for n in found]).tolist()


def real(x: Tensor) -> Tensor:
    x = x.detach()
    if x.is_sparse:
        x = x.coalesce().values()
    return torch.view_as_real(x) if x.is_complex() else x


def gap(train: float, valid: float) -> dict[str, float]:
    """How much worse the validation loss is than the training loss, and as a share of it."""
    return {"gap": valid - train, "gap_share": ratio(valid - train, abs(train)) if valid >= train else -ratio(train - valid, abs(train))}
