"""From the rules of a recipe and a model to its optimizer: each parameter gets one rule, and one factor on that rule's lr."""

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import nn

from steepest.core.errors import ParameterError, SettingError
from steepest.core.plan import Pattern, Plan, Slot, matches, slots
from steepest.core.rule import Rule
from steepest.optim.lbfgs import LBFGS
from steepest.optim.optimizer import Optimizer
from steepest.rules.gradient import GradientDescent
from steepest.rules.plans import decay_plan, everything, layerwise_decay, muon_plan, scaled, slower
from steepest.train.optimizing import Rules


def optimizer(rules: Rules, model: nn.Module, multipliers: Mapping[str, float], only: str = "*") -> Optimizer | LBFGS:
    """For the parameters that `only` matches. What each gets does not depend on which others are asked for."""
    plan = Plan((*rules.groups, *rest(rules)))
    chosen = plan.assign(slots(model))
    if rules.how.plan == "muon" and len(rules.groups) not in chosen.values():
        raise SettingError('optimizer.plan = "muon": this model has no weight matrix between layers for the rule to move; use another plan')
    mine = {slot.name for slot in slots(model) if matches(only, slot)}
    if not mine:
        raise ParameterError(f"{only!r} matches no parameter of the model; there is nothing to optimize")
    lr = factors(rules, model, multipliers)
    if rules.rule.scope == "flat":
        return lbfgs(rules.rule, part(model, mine), lr)
    members: dict[tuple[int, float], set[str]] = {}
    for name in mine:
        members.setdefault((chosen[name], lr[name]), set()).add(name)
    entries = [(among(names), scaled_rule(plan.entries[i][1], factor)) for (i, factor), names in sorted(members.items())]
    return Optimizer(part(model, mine), Plan(tuple(entries)), engine=rules.how.engine, master_weights=rules.how.master_weights)


def rest(rules: Rules) -> Iterable[tuple[Pattern, Rule]]:
    """What the parameters get that no group claims."""
    if rules.how.plan == "decay":
        return decay_plan(rules.rule).entries
    if rules.others:
        return muon_plan(rules.rule, rules.others).entries
    return ((everything, rules.rule),)


def factors(rules: Rules, model: nn.Module, multipliers: Mapping[str, float]) -> dict[str, float]:
    """What each parameter's lr is multiplied by: the factor of its depth times its own."""
    one = GradientDescent(lr=1.0)  # under a plan that changes lr, its lr is the factor
    plans = [scaled(model, one, multipliers)]
    if rules.how.layerwise_decay < 1:
        plans.append(layerwise_decay(model, one, rules.how.layerwise_decay))
    found = {slot.name: 1.0 for slot in slots(model)}
    for plan in plans:
        for name, entry in plan.assign(slots(model)).items():
            found[name] *= plan.entries[entry][1].knobs()["lr"]
    return found


def scaled_rule(rule: Rule, factor: float) -> Rule:
    return rule if factor == 1 else slower(rule, factor)


def among(names: set[str]) -> Callable[[Slot], bool]:
    return lambda slot: slot.name in names


def part(model: nn.Module, names: set[str]) -> nn.Module:
    """The model as an optimizer sees it: the same modules and names, with these parameters alone."""

    def shell(module: nn.Module, prefix: str) -> nn.Module:
        seen = copy.copy(module)
        seen._parameters = {name: p for name, p in module._parameters.items() if prefix + name in names}
        seen._modules = {name: child and shell(child, f"{prefix}{name}.") for name, child in module._modules.items()}
        return seen

    return model if names == {slot.name for slot in slots(model)} else shell(model, "")


def lbfgs(rule: Any, model: nn.Module, lr: Mapping[str, float]) -> LBFGS:
    """torch's class, which wants a closure: one iteration a step, with a line search of at most 25 evaluations."""
    if any(factor != 1 for factor in lr.values()):
        raise SettingError("optimizer.rule: lbfgs has one lr for all parameters, and this [init] wants several")
    return LBFGS(model, lr=rule.lr, max_iter=1, max_eval=25, history_size=rule.history, line_search_fn="strong_wolfe")
