"""Where initial values go: every parameter of a model once, parametrized ones under the name they are used by."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from steepest.core.plan import Slot
from steepest.init.layers import kind_of

Writes = list[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Site:
    """One tensor to fill. `parameters` are the ones behind it, by name; `spread` says what to write to each.

    `tied`: the other names of a shared parameter. Of an embedding: whether another of this width is tied, and the most rows that one of
    this width has: what is added to each other starts alike.
    """

    name: str
    leaf: str
    owner: str
    module: nn.Module
    kind: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    parameters: dict[str, Tensor]
    spread: Callable[[Tensor], Writes]
    head: bool = False
    tied: tuple[str, ...] = ()
    near_tied: bool = False
    most_rows: int = 0

    @property
    def frozen(self) -> bool:
        return not any(p.requires_grad for p in self.parameters.values())

    @property
    def slot(self) -> Slot:
        return Slot(self.name, self.kind, next(iter(self.parameters.values())), self.head)


def sites(model: nn.Module) -> list[Site]:
    """In the order of the modules; tied weights once, under their first name."""
    names: dict[int, list[str]] = {}
    for name, p in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(p), []).append(name)
    head = next((m for m in reversed(list(model.modules())) if isinstance(m, nn.Linear)), None)
    found = list(_distinct(model, names, head))
    embeddings = [site for site in found if isinstance(site.module, (nn.Embedding, nn.EmbeddingBag))]
    alike = {id(site): [other for other in embeddings if other.shape[1] == site.shape[1]] for site in embeddings}
    return [_beside(site, alike[id(site)]) if id(site) in alike else site for site in found]


def _beside(site: Site, alike: list[Site]) -> Site:
    return replace(site, near_tied=not site.tied and any(x.tied for x in alike), most_rows=max(x.shape[0] for x in alike))


def _distinct(model: nn.Module, names: dict[int, list[str]], head: nn.Module | None) -> Iterator[Site]:
    seen: set[int] = set()
    for owner, module in model.named_modules():
        if isinstance(module, parametrize.ParametrizationList):
            continue
        prefix = f"{owner}." if owner else ""
        for leaf, (shape, dtype, behind, spread) in _tensors(module).items():
            if not seen.isdisjoint(map(id, behind.values())):
                continue
            seen.update(map(id, behind.values()))
            tied = tuple(other for p in behind.values() for other in names[id(p)][1:]) if list(behind) == [leaf] else ()
            parameters = {prefix + inner: p for inner, p in behind.items()}
            kind = kind_of(module)
            yield Site(prefix + leaf, leaf, owner, module, kind, shape, dtype, parameters, spread, module is head, tied)


def _tensors(module: nn.Module) -> dict[str, tuple[tuple[int, ...], torch.dtype, dict[str, Tensor], Callable[[Tensor], Writes]]]:
    found: dict[str, Any] = {}
    own = {name: p for name, p in module._parameters.items() if p is not None}
    for leaf in [name[:-2] for name in own if name.endswith("_g") and f"{name[:-2]}_v" in own]:  # torch's older weight_norm
        g, v = own.pop(f"{leaf}_g"), own.pop(f"{leaf}_v")
        found[leaf] = (tuple(v.shape), v.dtype, {f"{leaf}_g": g, f"{leaf}_v": v}, _length_and_direction(g, v))
    for leaf, p in own.items():
        found[leaf] = (tuple(p.shape), p.dtype, {leaf: p}, lambda value, p=p: [(p, value)])
    for leaf, parts in dict(getattr(module, "parametrizations", {})).items():
        behind = {f"parametrizations.{leaf}.{name}": p for name, p in parts._parameters.items() if p is not None}
        behind |= {f"parametrizations.{leaf}.{name}": p for name, p in parts.named_parameters() if "." in name}
        shape, dtype = _effective(parts)
        found[leaf] = (shape, dtype, behind, lambda value, parts=parts: _inverted(parts, value))
    return found


def _length_and_direction(g: Tensor, v: Tensor) -> Callable[[Tensor], Writes]:
    dims = [i for i in range(v.ndim) if g.ndim != v.ndim or g.shape[i] == 1]
    return lambda value: [(g, torch.linalg.vector_norm(value, dim=dims, keepdim=True).reshape(g.shape)), (v, value)]


def _effective(parts: Any) -> tuple[tuple[int, ...], torch.dtype]:
    training = [(m, m.training) for m in parts.modules()]
    parts.eval()  # spectral norm iterates whenever it is looked at in training
    try:
        with torch.no_grad():
            value = parts()
    finally:
        for m, was in training:
            m.training = was
    return tuple(value.shape), value.dtype


def _inverted(parts: Any, value: Tensor) -> Writes:
    """What the originals must be, for the parametrization to give `value`."""
    with torch.no_grad():
        for part in reversed(list(parts)):
            if not hasattr(part, "right_inverse"):
                raise NotImplementedError
            value = part.right_inverse(value)
    values = [value] if isinstance(value, Tensor) else list(value)
    originals = [p for name, p in parts._parameters.items() if name.startswith("original")]
    return list(zip(originals, values, strict=True))


def twin(module: nn.Module) -> nn.Module:
    """A copy on the CPU to call `reset_parameters` of, which writes in place: with plain weights where they were parametrized."""
    cls = type(module).__mro__[1] if "parametrizations" in module._modules else type(module)
    other = object.__new__(cls)
    plain = {leaf: torch.zeros(shape, dtype=dtype) for leaf, (shape, dtype, _, _) in _tensors(module).items()}
    other.__dict__ = {k: v for k, v in module.__dict__.items() if k not in plain}
    other._parameters = {k: None for k, p in module._parameters.items() if p is None} | {k: nn.Parameter(x) for k, x in plain.items()}
    other._modules = {k: copy.deepcopy(m).cpu() if m is not None else m for k, m in module._modules.items() if k != "parametrizations"}
    other._buffers = {k: b.detach().cpu().clone() if b is not None else b for k, b in module._buffers.items()}
    return other
