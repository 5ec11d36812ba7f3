"""The space of a task when nobody names one: read from the knobs of rules and the arguments of models."""

from collections.abc import Iterator, Mapping
from typing import Any

from steepest.core.errors import SteepestError
from steepest.core.knob import Knob
from steepest.core.rng import untouched
from steepest.core.task import Task, keywords
from steepest.rules import RULES
from steepest.search.dimension import Dimension
from steepest.search.space import Space
from steepest.train.recipe import Recipe

# Of 31 rules those that differ most in what they are good at. Muon only where the model has a matrix for it.
FEW = ("adamw", "momentum", "lion", "muon")
# Knobs and options that are worth a search; the others' defaults are right nearly everywhere.
WORTH = ("lr", "weight_decay", "momentum", "beta", "beta1", "beta2")
PROGRAMS = ("nesterov",)
SHAPES = ("warmup_cosine", "warmup_linear", "warmup_stable_decay", "warmup_constant")
GROWING = {"shape": "step", "at": ["50%", "75%"], "factor": 2}
# Arguments of model factories by what they mean: how many of something (searched between half and twice), or a share.
SIZES = ("width", "hidden", "units", "channels", "depth", "layers", "heads", "embed", "dim")
SHARES = ("dropout", "drop", "drop_path")

When = tuple[tuple[str, tuple[Any, ...]], ...]


def space_of(task: Task, base: Recipe | None = None, rules: tuple[str, ...] = ()) -> Space:
    """Rule and its knobs, decay's plan, clipping, start, schedule, batch, label smoothing, and what the model has to choose."""
    base = base or Recipe()
    rules = rules or usual_rules(task, base)
    return Space([*_optimizer(base, rules), *_start(base), *_schedule(base), *_batch(base), *_loss(task, base), *_model(task, base)])


def usual_rules(task: Task, base: Recipe) -> tuple[str, ...]:
    """The few, the base's own first. A base that treats some parameters in another way, or wraps its rule, has decided."""
    own = base["optimizer.rule"]
    said = base.tables().get("optimizer", {})
    if RULES[own].scope == "flat" or said.keys() & {"group", "others", "wrap", "layerwise_decay"}:
        return (own,)
    few = [name for name in FEW if RULES[name].scope == "element" or name == own or _serves(name, task, base)]
    return tuple(dict.fromkeys([own, *few]))


def _serves(name: str, task: Task, base: Recipe) -> bool:
    """Whether every model of the task has a matrix between layers for Muon to move."""
    try:
        for factory in task.factories:
            named = {"model.name": factory} if len(task.factories) > 1 else {}
            recipe = base.replace({**dict.fromkeys(_own(base)), "optimizer.rule": name, "optimizer.plan": "muon", **named})
            with untouched():
                recipe.optimizer(recipe.model(task.factories))
    except SteepestError:
        return False
    return True


def _own(base: Recipe) -> list[str]:
    return [f"optimizer.{key}" for key in base.tables().get("optimizer", {})]


def _optimizer(base: Recipe, rules: tuple[str, ...]) -> Iterator[Dimension]:
    own = base["optimizer.rule"]
    yield Dimension("optimizer.rule", "optimizer.rule", choices=rules, usual=own if own in rules else rules[0])
    for rule in rules:
        when: When = (("optimizer.rule", (rule,)),)
        for knob, spec in RULES[rule].own_knobs().items():
            if knob in WORTH and spec.search:
                usual = base[f"optimizer.{knob}"] if rule == own else spec.default
                yield of_knob(f"{rule}.{knob}", f"optimizer.{knob}", spec, usual, when)
        for option in PROGRAMS:
            if option in RULES[rule].own_options():
                usual = base[f"optimizer.{option}"] if rule == own else RULES[rule].own_options()[option].default
                yield Dimension(f"{rule}.{option}", f"optimizer.{option}", choices=(False, True), when=when, usual=usual)
        if rule == "muon":
            yield Dimension("muon.plan", "optimizer.plan", choices=("muon",), when=when, usual="muon")
            yield of_knob("muon.others.lr", "optimizer.others.lr", RULES["adamw"].own_knobs()["lr"], 3e-3, when)
    decayed = tuple(rule for rule in rules if rule != "muon" and "weight_decay" in RULES[rule].own_knobs() and RULES[rule].scope != "flat")
    if decayed:
        when = (("optimizer.rule", decayed),) if len(decayed) < len(rules) else ()
        usual = base["optimizer.plan"] if base["optimizer.plan"] != "muon" else "plain"
        yield Dimension("optimizer.plan", "optimizer.plan", choices=("plain", "decay"), when=when, usual=usual)
    if "wrap" not in base.tables().get("optimizer", {}) and all(RULES[rule].scope != "flat" for rule in rules):
        yield Dimension("optimizer.wrap.clip", "optimizer.wrap.clip", choices=(None, {"norm": 1.0}))


def of_knob(name: str, path: str, spec: Knob, usual: float, when: When = ()) -> Dimension:
    assert spec.search
    low, high = spec.search
    return Dimension(name, path, low, high, spec.log, when=when, usual=min(max(usual, low), high))


def _start(base: Recipe) -> Iterator[Dimension]:
    if not base.tables().get("init"):
        yield Dimension("init.plan", "init.plan", choices=("auto", "orthogonal", "torch_default"), usual="auto")


def _schedule(base: Recipe) -> Iterator[Dimension]:
    said = base.tables().get("schedule", {}).get("lr", "warmup_constant")
    table = {"shape": said} if isinstance(said, str) else said if isinstance(said, Mapping) else {}
    shape, warmup = table.get("shape"), table.get("warmup", 0.0)
    yield Dimension("schedule.lr.shape", "schedule.lr.shape", choices=SHAPES, usual=shape if shape in SHAPES else SHAPES[0])
    share = warmup if isinstance(warmup, (int, float)) and warmup <= 0.2 else 0.05
    yield Dimension("schedule.lr.warmup", "schedule.lr.warmup", 0.0, 0.2, usual=float(share))


def _batch(base: Recipe) -> Iterator[Dimension]:
    size = base.batch.size
    if isinstance(size, int):
        sizes = tuple(sorted({32, 64, 128, 256, size}))
        yield Dimension("batch.size", "batch.size", choices=sizes, usual=size)
        if "batch" not in base.tables().get("schedule", {}):
            yield Dimension("schedule.batch", "schedule.batch", choices=(None, GROWING))


def _loss(task: Task, base: Recipe) -> Iterator[Dimension]:
    if task.loss == "cross_entropy" and not task.batch_loss and not task.losses:
        said = base.tables().get("regularize", {}).get("label_smoothing", {})
        usual = min(said.get("smoothing", 0.1), 0.2) if "label_smoothing" in base.tables().get("regularize", {}) else 0.0
        yield Dimension("regularize.label_smoothing", "regularize.label_smoothing", 0.0, 0.2, usual=usual)


def _model(task: Task, base: Recipe) -> Iterator[Dimension]:
    said = base.tables().get("model", {})
    names = list(task.factories)
    chosen = said.get("name", names[0])
    if len(names) > 1:
        yield Dimension("model.name", "model.name", choices=tuple(names), usual=chosen)
    for name, factory in task.factories.items():
        when: When = (("model.name", (name,)),) if len(names) > 1 else ()
        for key, default in keywords(factory).items():
            value = said.get(key, default) if name == chosen else default
            dimension = of_argument(f"{name}.{key}" if when else f"model.{key}", key, value, when)
            if dimension:
                yield dimension


def of_argument(name: str, key: str, value: Any, when: When = ()) -> Dimension | None:
    """A model's argument, if its name says what it means and its value is a number of that kind."""
    path = f"model.{key}"
    if key in SHARES and type(value) in (int, float) and 0 <= value < 1:
        return Dimension(name, path, 0.0, 0.5, when=when, usual=min(float(value), 0.5))
    if key in SIZES and type(value) is int and value >= 2:
        return Dimension(name, path, value // 2, value * 2, True, True, when=when, usual=value)
    if key in SIZES and type(value) is float and value > 0:
        return Dimension(name, path, value / 2, value * 2, True, when=when, usual=value)
    return None
