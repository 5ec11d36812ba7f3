"""One call that initializes a whole model: everything that can be wrong is found first, then values are written."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from steepest.core.errors import ParameterError, PlanError, SettingError, SteepestError, nearest
from steepest.core.plan import Plan
from steepest.core.rng import generator, seed_of, untouched
from steepest.init.choices import Choice, PlanFunction
from steepest.init.fans import Fans, blocks, fans_of, forget_gate
from steepest.init.initializers import FILLS, INITIALIZERS, Rehearsed
from steepest.init.layers import Structure, refuse_lazy
from steepest.init.plans import PLANS
from steepest.init.report import Report, Row
from steepest.init.sites import Site, Writes, sites, twin
from steepest.init.structure import structure

Written = Mapping[str, Any] | Iterable[tuple[Any, Any]] | Plan[Any]


def apply(model: nn.Module, plan: "str | Written" = "auto", *, sample: Any = None, seed: int = 0, keep: bool = False) -> Report:
    """Initialize every parameter of `model` by a plan, and report what was done and why.

    `plan` is a name of PLANS, or patterns over names and layer kinds, each with an initializer or a plan; first match wins:

        apply(model, {"*.bias": "zeros", "Conv2d": "he_normal", "Linear": {"name": "normal", "std": 0.02}, "*": "auto"})

    `sample` is an input, or a tuple or dict of them: needed where torch.fx cannot trace the model. Each parameter draws
    from a stream of its own name, so that its values do not depend on the others. Frozen parameters stay as they are; so do, with
    `keep`, those of the caller's own modules, for which the plan has no rule.
    An error leaves the model unchanged.
    """
    refuse_lazy(model)
    found = structure(model, sample)
    places = sites(model)
    active = [site for site in places if not site.frozen]
    chosen = _chosen(active, plan, found, keep)
    active = [site for site in active if site.name in chosen]
    rows, ready = _prepared(places, chosen, seed)
    with torch.no_grad():  # from here on nothing can be wrong with what was asked
        for site in active:
            if site.name in ready:
                writes = ready[site.name]
            else:
                (parameter,) = site.parameters.values()
                writes = [(parameter, _value(site, chosen[site.name], seed, out=parameter.detach()))]
            for parameter, value in writes:
                if value.data_ptr() != parameter.data_ptr():
                    parameter.copy_(value)
    rates = (
        {name: chosen[site.name].rate for site in active for name in site.parameters} if any(c.rate != 1 for c in chosen.values()) else {}
    )
    return Report([rows[site.name] for site in places], found.unclassified, rates)


def _prepared(places: list[Site], chosen: dict[str, Choice], seed: int) -> tuple[dict[str, Row], dict[str, Writes]]:
    """What will stand in the report, and the values that others than us may refuse: parametrizations, torch's own start.

    The rest is rehearsed on shapes alone and drawn in place later, so that a model needs no second copy of itself.
    """
    rows: dict[str, Row] = {}
    ready: dict[str, Writes] = {}
    for site in places:
        reason = "frozen: requires_grad is False" if site.frozen else f"no rule is known for {site.leaf} of {site.kind}"
        done = "left as it is"
        if site.name in chosen:
            choice = chosen[site.name]
            done, reason = _described(choice), choice.reason
            _rehearse(site, choice)
            if choice.initializer == "reset_parameters" or site.leaf not in site.module._parameters:
                with torch.no_grad():
                    value = _reset(site, seed) if choice.initializer == "reset_parameters" else _value(site, choice, seed)
                    try:
                        ready[site.name] = [(p, x) for p, x in site.spread(value) if p.requires_grad]
                    except NotImplementedError:
                        ready[site.name] = []
                        done, reason = "left as it is", "its parametrization has no right_inverse"
        rows[site.name] = Row(site.name, site.kind, site.shape, done, reason)
    return rows, ready


# --- what each parameter gets -----------------------------------------------------------------------


def _chosen(places: list[Site], plan: "str | Written", found: Structure, keep: bool) -> dict[str, Choice]:
    if isinstance(plan, str):
        if plan not in PLANS:
            hint = f'; as a plan: {{"*.bias": "zeros", "*": "{plan}"}}' if plan in INITIALIZERS else nearest(plan, PLANS)
            raise SettingError(f"unknown plan {plan!r}{hint}")
        choices = {site.name: PLANS[plan](site, found) for site in places}
    else:
        entries = _written(plan)
        makers = [_maker(pattern, value) for pattern, value in entries.entries]
        falls = entries.assign(site.slot for site in places)
        choices = {site.name: makers[falls[site.name]](site, found) for site in places}
    strange = [f"{site.name} of {site.kind}" for site in places if choices[site.name] is None]
    if strange and not keep:
        raise PlanError(
            f"no rule is known for {', '.join(strange[:8])}{f' and {len(strange) - 8} more' if len(strange) > 8 else ''}; "
            f'write it out: {{"{strange[0].split()[0]}": "zeros", "*": "{plan if isinstance(plan, str) else "auto"}"}}'
        )
    return {name: choice for name, choice in choices.items() if choice}


def _written(plan: Written) -> Plan[Any]:
    if isinstance(plan, Plan):
        return plan
    entries: Any = plan.items() if isinstance(plan, Mapping) else plan
    try:
        return Plan(tuple((pattern, value) for pattern, value in entries))
    except (TypeError, ValueError):
        raise SettingError(f"a plan is a name, or patterns with an initializer each, not {plan!r:.60}") from None


def _maker(pattern: Any, value: Any) -> PlanFunction:
    """A written entry as a function: the name of an initializer or a plan, or {"name": ..., settings}."""
    settings = dict(value) if isinstance(value, Mapping) else {"name": value}
    name = settings.pop("name", None)
    if name in PLANS and not settings:
        return PLANS[name]
    if name not in INITIALIZERS:
        raise SettingError(f"plan entry {pattern!r}: unknown initializer {name!r}{nearest(str(name), [*INITIALIZERS, *PLANS])}")
    known = [x for x in inspect.signature(INITIALIZERS[name]).parameters if x not in ("shape", "fans", "generator", "dtype", "groups")]
    for setting in settings:
        if setting not in known:
            raise SettingError(f"plan entry {pattern!r}: {name} has no setting {setting!r}{nearest(setting, known)}")
    if name == "constant" and "value" not in settings:
        raise SettingError(f"plan entry {pattern!r}: constant needs value=...")
    return lambda site, found: Choice(name, settings, f"plan entry {pattern!r}" if isinstance(pattern, str) else "plan entry")


# --- values -----------------------------------------------------------------------------------------


def _rehearse(site: Site, choice: Choice) -> None:
    """Every error that drawing could meet, without drawing."""
    if any(p.is_meta for p in site.parameters.values()):
        raise ParameterError(f"{site.name} is on the meta device and holds no values: call model.to_empty(device=...) first")
    if not site.dtype.is_floating_point:
        raise ParameterError(f"{site.name} is {str(site.dtype).removeprefix('torch.')}; initializers draw real floating-point numbers")
    try:
        if choice.initializer != "reset_parameters":
            _value(site, choice, None)
    except Rehearsed:
        pass
    except SteepestError as error:
        raise type(error)(f"{site.name}, {choice.initializer}: {error}") from None


def _value(site: Site, choice: Choice, seed: int | None, out: Tensor | None = None) -> Tensor:
    draw, stream = INITIALIZERS[choice.initializer], None if seed is None else generator(seed, "init", site.name)
    dtype = torch.float64 if site.dtype == torch.float64 else torch.float32
    settings: dict[str, Any] = {**choice.settings, "dtype": dtype}
    if "groups" in inspect.signature(draw).parameters:
        settings["groups"] = getattr(site.module, "groups", 1)
    rows = blocks(site.module, site.leaf) if site.leaf in site.module._parameters else [slice(None)]
    if out is not None and choice.initializer in FILLS and len(rows) == 1 and _plain(out, dtype):
        settings["out"] = out
    parts = [draw(shape, _fans(site, shape), stream, **settings) for shape in _shapes(site.shape, rows)]
    value = parts[0] if len(parts) == 1 else torch.cat(parts)
    if choice.forget and (gate := forget_gate(site.module, site.leaf)):
        value[gate] = 1.0
    return value


def _plain(out: Tensor, dtype: torch.dtype) -> bool:
    return out.device.type == "cpu" and out.is_contiguous() and out.dtype == dtype


def _shapes(shape: tuple[int, ...], rows: list[slice]) -> list[tuple[int, ...]]:
    return [shape if x.start is None else (x.stop - x.start, *shape[1:]) for x in rows]


def _fans(site: Site, shape: tuple[int, ...]) -> Fans | None:
    """None where there are none; an initializer that needs them says so."""
    return fans_of(site.module, site.kind, shape) if len(shape) > 1 and 0 not in shape else None


def _reset(site: Site, seed: int) -> Tensor:
    """What torch's own start of this layer gives, drawn from its own stream."""
    with untouched():
        torch.manual_seed(seed_of(seed, "init", site.owner))
        fresh: Any = twin(site.module)
        (fresh.reset_parameters if hasattr(fresh, "reset_parameters") else fresh._reset_parameters)()
    return getattr(fresh, site.leaf).detach()


def _described(choice: Choice) -> str:
    numbers = [f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in choice.settings.items()]
    return f"{choice.initializer}({', '.join(numbers)})" if numbers else choice.initializer
