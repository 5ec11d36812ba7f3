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
    grads = [p.grad for p in weights]
    groups: dict[str, list[tuple[str, Tensor]]] = {"weight_norm": list(zip(owners, weights, strict=True))}
    groups["gradient_norm"] = [(owner, g) for owner, g in zip(owners, grads, strict=True) if g is not None]
    if before is not None:
        torch._foreach_sub_(list(before), weights)  # type: ignore[attr-defined]
        groups["update"] = list(zip(owners, before, strict=True))

    squares = iter(n * n for n in norms([x for group in groups.values() for _, x in group]))
    by_layer = {what: dict.fromkeys(layers, 0.0) for what in groups}
    for what, group in groups.items():
        for owner, _ in group:
            by_layer[what][owner] += next(squares)
    if not groups["gradient_norm"]:
        del by_layer["gradient_norm"]
    found = {what: named(what, {owner: sqrt(x) for owner, x in shares.items()}) for what, shares in by_layer.items()}
    weight, update = found["weight_norm"], found.pop("update", {})
    ratios = {name: ratio(x, weight[name.replace("update", "weight_norm", 1)]) for name, x in update.items()}
    numbers = {name: x for what in ("gradient_norm", "weight_norm") for name, x in found.get(what, {}).items()}
    return numbers | {name.replace("update", "update_ratio", 1): x for name, x in ratios.items()}


def named(what: str, by_layer: dict[str, float]) -> dict[str, float]:
    """The whole first, then every layer. A model that is one layer has no name for it."""
    whole = {what: sqrt(sum(x * x for x in by_layer.values()))}
    return whole | {f"{what}/{name}": x for name, x in by_layer.items() if name}


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
