"""Plans for a model's optimizer: who is not decayed, who gets Muon, and who learns slower for lying deeper."""

from collections.abc import Callable, Iterator, Mapping
from math import inf

from torch import nn

from steepest.core.errors import SettingError, nearest
from steepest.core.knob import Knob, as_number
from steepest.core.plan import Plan, Slot, slots
from steepest.core.rule import Rule

FACTOR = Knob(1.0, "what lr is multiplied by", 0.0, inf, False, None, False)


def decay_plan(rule: Rule) -> Plan[Rule]:
    """`rule`, without weight decay on biases, norms and embeddings."""
    return Plan(((undecayed, without_decay(rule)), (everything, rule)))


def muon_plan(muon: Rule, adamw: Rule) -> Plan[Rule]:
    """Muon for the weights between layers; AdamW for biases, norms, embeddings and the head."""
    return Plan(((hidden_matrix, muon), (everything, adamw)))


def layerwise_decay(model: nn.Module, rule: Rule, factor: float) -> Plan[Rule]:
    """lr times factor**depth, where depth counts blocks from the end: the last block learns at full rate (Howard & Ruder, 2018).

    Blocks are the model's children in order; where a child is an `nn.Sequential` or `nn.ModuleList`, that one's children.
    """
    if not 0 < factor <= 1:
        raise SettingError(f"layerwise_decay: factor = {factor!r} is outside (0, 1]")
    names = {id(slot.parameter): slot.name for slot in slots(model)}
    entries = []
    for block in blocks(model):
        # A shared parameter belongs to the first block that has it.
        members = frozenset(names.pop(id(p)) for p in block.parameters() if id(p) in names)
        if members:
            entries.append(members)
    if names:  # the model's own parameters (positions, tokens) come before its first block
        entries.insert(0, frozenset(names.values()))
    last = len(entries) - 1
    return Plan(tuple((_among(members), slower(rule, factor ** (last - i))) for i, members in enumerate(entries)))


def scaled(model: nn.Module, rule: Rule, multipliers: Mapping[str, float]) -> Plan[Rule]:
    """lr times a factor for each parameter named; the others learn at full rate. `sp.init.apply(model, "mup")` gives the factors."""
    names = [slot.name for slot in slots(model)]
    for name in multipliers:
        if name not in names:
            raise SettingError(f"scaled: the model has no parameter {name!r}{nearest(name, names)}")
    members: dict[float, set[str]] = {}
    for name in names:
        factor = as_number(f"scaled: multipliers[{name!r}]", multipliers.get(name, 1.0), FACTOR)
        members.setdefault(factor, set()).add(name)
    return Plan(tuple((_among(frozenset(group)), slower(rule, factor)) for factor, group in members.items()))


def blocks(model: nn.Module) -> Iterator[nn.Module]:
    for child in model.children():
        yield from child.children() if _is_row(child) and not _is_row(model) else (child,)


def _is_row(module: nn.Module) -> bool:
    return type(module) in (nn.Sequential, nn.ModuleList)


def undecayed(slot: Slot) -> bool:
    return slot.parameter.ndim < 2 or _norm_or_embedding(slot)


def hidden_matrix(slot: Slot) -> bool:
    return slot.parameter.ndim >= 2 and not slot.head and not _norm_or_embedding(slot)


def everything(slot: Slot) -> bool:
    return True


def _norm_or_embedding(slot: Slot) -> bool:
    # A bare parameter such as pos_embed has no layer of its own to tell its kind.
    return "Norm" in slot.kind or "Embedding" in slot.kind or "embed" in slot.name.rpartition(".")[2]


def _among(names: frozenset[str]) -> Callable[[Slot], bool]:
    return lambda slot: slot.name in names


def without_decay(rule: Rule) -> Rule:
    return _changed(rule, lambda value: 0.0, "weight_decay", "coefficient")  # of L1 and L2


def slower(rule: Rule, factor: float) -> Rule:
    return _changed(rule, lambda lr: lr * factor, "lr")


def _changed(rule: Rule, change: Callable[[float], float], *names: str) -> Rule:
    """The rule with these knobs changed, inside of wrappers too."""
    values = {path: change(value) for path, value in rule.knobs().items() if path.rpartition(".")[2] in names}
    if not values:
        raise SettingError(f"{rule!r} has no {names[0]}")
    return rule.bind(values)
