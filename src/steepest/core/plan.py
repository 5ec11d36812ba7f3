"""A plan: ordered patterns that give each parameter something (its rule, its initializer). First match wins."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Generic, TypeVar

from torch import Tensor, nn

from steepest.core.errors import PlanError


@dataclass(frozen=True)
class Slot:
    """One parameter and where it sits: full name, kind of the layer that owns it, and whether that layer is the head."""

    name: str
    kind: str
    parameter: Tensor
    head: bool = False


T = TypeVar("T")
Pattern = str | Callable[[Slot], bool]


@dataclass(frozen=True)
class Plan(Generic[T]):
    """`Plan((("*.bias|*norm*", a), ("Embedding", b), ("*", c)))`: patterns over parameter names or layer kinds."""

    entries: tuple[tuple[Pattern, T], ...]

    def assign(self, slots: Iterable[Slot]) -> dict[str, int]:
        """Which entry each parameter falls to, by name. An unclaimed parameter or an idle entry is an error."""
        slots = list(slots)
        chosen = {slot.name: next((i for i, (pattern, _) in enumerate(self.entries) if matches(pattern, slot)), -1) for slot in slots}
        unclaimed = [name for name, i in chosen.items() if i < 0]
        if unclaimed:
            raise PlanError(f'plan leaves {len(unclaimed)} parameters unclaimed: {_some(unclaimed)}; add a last entry with pattern "*"')
        for i, (pattern, _) in enumerate(self.entries):
            if isinstance(pattern, str) and i not in chosen.values():
                reason = (
                    "every parameter it matches is taken by an earlier entry"
                    if any(matches(pattern, s) for s in slots)
                    else "no parameter matches it"
                )
                raise PlanError(f"plan entry {pattern!r} claims nothing: {reason}; the parameters are {_some([s.name for s in slots])}")
        return chosen


def matches(pattern: Pattern, slot: Slot) -> bool:
    """`|` separates alternatives; each is a glob over the full name, or over the layer's kind (`Conv*`, `Embedding`)."""
    if callable(pattern):
        return pattern(slot)
    return any(fnmatchcase(slot.name, part) or fnmatchcase(slot.kind, part) for part in pattern.split("|"))


def slots(model: nn.Module) -> list[Slot]:
    """The model's parameters with their names and places; a shared parameter once, under its first name."""
    head = next((m for m in reversed(list(model.modules())) if isinstance(m, nn.Linear)), None)
    return list(_distinct(model, head))


def _distinct(model: nn.Module, head: nn.Module | None) -> Iterator[Slot]:
    seen: set[int] = set()
    for prefix, module in model.named_modules():
        for name, p in module.named_parameters(recurse=False):
            if id(p) not in seen:
                seen.add(id(p))
                yield Slot(f"{prefix}.{name}" if prefix else name, type(module).__name__, p, module is head)


def _some(names: list[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
