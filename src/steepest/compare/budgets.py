"""What each method may cost: by a preset, or in trainings; the same for all, unless it is said otherwise."""

from collections.abc import Sequence
from dataclasses import replace

from steepest.compare.entry import Entry
from steepest.compare.presets import Preset, preset
from steepest.core.errors import SettingError, nearest
from steepest.search.budget import Budget

EXAMPLE = "say how many trainings each method has, such as 20runs"


def amounts(said: str, names: Sequence[str]) -> dict[str, int]:
    """`20runs` for each; or `adamw=20runs,lion=5runs`, where no method is left out."""
    if "=" not in said:
        return dict.fromkeys(names, runs(said))
    found: dict[str, int] = {}
    for part in said.split(","):
        name, _, amount = part.rpartition("=")
        name = name.strip()
        if name not in names:
            raise SettingError(f"--budget {said}: {name!r} is none of the methods{nearest(name, names)}")
        if name in found:
            raise SettingError(f"--budget {said}: {name} is there twice")
        found[name] = runs(amount)
    if left := [name for name in names if name not in found]:
        raise SettingError(f"--budget {said}: it leaves out {', '.join(left)}; say what each method may cost, or one budget for all")
    return {name: found[name] for name in names}


def runs(said: str) -> int:
    budget = Budget.parse(said)
    if budget.unit != "runs" or budget.amount != int(budget.amount):
        raise SettingError(f"--budget {said.strip()}: a comparison gives each method equally many trainings; {EXAMPLE}")
    return int(budget.amount)


def shared(
    methods: Sequence[Entry], name: str, budget: str | None = None, fresh: int | None = None, *, unequal: bool = False
) -> tuple[list[Entry], Preset, str, str | None]:
    """The methods with their trials and studies; the preset that serves them, and its name; and whether somebody has fewer."""
    chosen = preset(name)
    named = name if budget is None and fresh is None else "own"
    if not any(method.space for method in methods):
        if budget is None:
            chosen = Preset(1, 0, max(chosen.fresh, chosen.repeats))
        else:
            return fixed(methods, budget, fresh, unequal)
    chosen = chosen.serving(len(methods)) if fresh is None else replace(chosen, fresh=fresh)
    trials = dict.fromkeys((method.name for method in methods), chosen.trials)
    if budget is not None:
        trials = {of: chosen.within(n).trials for of, n in amounts(budget, [*trials]).items()}
        chosen = replace(chosen, trials=max(trials.values()))
    few = lesser(trials, unequal)
    return [with_trials(method, chosen, trials[method.name]) for method in methods], chosen, named, few


def fixed(methods: Sequence[Entry], budget: str, fresh: int | None, unequal: bool) -> tuple[list[Entry], Preset, str, str | None]:
    """Nothing is searched: what a method costs are its fresh seeds, and they are the same for all."""
    each = amounts(budget, [method.name for method in methods])
    if len({*each.values()}) > 1 or unequal:
        raise SettingError("nothing is searched here: methods have the same fresh seeds, and no budgets of their own; give one for all")
    if fresh is not None:
        raise SettingError("nothing is searched here: --budget and --fresh say the same; leave one out")
    (count,) = {*each.values()}
    return [with_trials(method, Preset(1, 0, count), 0) for method in methods], Preset(1, 0, count), "own", None


def with_trials(method: Entry, chosen: Preset, trials: int) -> Entry:
    """What is not searched is the same in every study: it is trained anew only where studies are what is repeated."""
    if method.space and trials:
        return replace(method, trials=trials, studies=chosen.studies)
    return replace(method, trials=0, studies=chosen.studies if chosen.unit == "studies" else 1)


def lesser(trials: dict[str, int], unequal: bool) -> str | None:
    if len({*trials.values()}) == 1:
        return None
    said = ", ".join(f"{name} {count}" for name, count in trials.items())
    if not unequal:
        raise SettingError(
            f"budgets differ, in trials {said}: who may search more is found better; give all the same, or say --unequal, "
            "and every table of verdicts will tell"
        )
    return f"Not a comparison of equals: the methods had unequal numbers of trials in each study, {said}."
