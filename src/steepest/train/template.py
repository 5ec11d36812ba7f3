"""The text of a first recipe: every default, and what it means, read from where it is declared."""

import textwrap
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

from steepest.core.knob import Knob
from steepest.core.task import Task, keywords
from steepest.drivers import DRIVERS
from steepest.rules import RULES, WRAPPERS
from steepest.train.contents import VERSION
from steepest.train.kinds import defaults, specs
from steepest.train.optimizing import USUAL
from steepest.train.sections import Batch, Optimizing, Run, Stop
from steepest.train.toml import literal, written_key

# Where comments begin, and where lines end.
COLUMN, WIDTH = 32, 120
# Numbers for keys that are nothing unless they are said.
EXAMPLES = {"micro": 32, "steps": 10_000, "patience": 5}
Line = tuple[str, str]


def template(task: Task | None = None) -> str:
    """A recipe that decides what no recipe at all decides, and says what could be decided instead."""
    blocks = [block(name, *about) for name, about in sections(task).items()]
    title = f"A recipe{f' for {task.name}' if task and task.name else ''}: every decision about how the task is learned."
    about = "All values are the defaults: change them, or leave lines out. `steepest list` names what there is to choose from."
    head = [f"# {title}", f"# {about}", "", f"version = {VERSION}"]
    return "\n".join([*head, *(f"\n{text}" for text in blocks)]) + "\n"


def sections(task: Task | None) -> Mapping[str, tuple[str, Iterator[Line]]]:
    return {
        "model": ("arguments of the function that makes the model", model(task)),
        "init": ("what the weights are before the first step", init()),
        "optimizer": ("how the gradient changes the weights", optimizer()),
        "schedule": ("factors on knobs in the course of the run; all are constant unless something is said", schedule()),
        "batch": ("which samples a step sees", keys(Batch)),
        "driver": ("how often, and where, the gradient is asked", driver()),
        "regularize": ("against learning the training data by heart; nothing unless something is said", regularize()),
        "stop": ("how long", keys(Stop)),
        "run": ("what does not decide what is learned, but how the run goes, and its random numbers", keys(Run)),
    }


def block(name: str, about: str, lines: Iterator[Line]) -> str:
    return "\n".join([*written(f"[{name}]", about), *(text for line in lines for text in written(*line))])


def written(code: str, comment: str) -> list[str]:
    """Code, and a comment beside it that goes on below where it is long; above it where the code is long."""
    if len(code) >= COLUMN:
        return [*(f"# {text}" for text in textwrap.wrap(comment, WIDTH - 2)), code]
    first, *more = textwrap.wrap(comment, WIDTH - COLUMN - 2) or [""]
    return [f"{code.ljust(COLUMN)}# {first}" if comment else code, *(f"{'#'.ljust(COLUMN)}# {text}" for text in more)]


# --- the sections -----------------------------------------------------------------------------------


def model(task: Task | None) -> Iterator[Line]:
    factories = task.factories if task else {}
    if len(factories) > 1:
        yield f"name = {literal(next(iter(factories)))}", f"which of {', '.join(factories)}"
    for key, default in keywords(next(iter(factories.values()))).items() if factories else ():
        if isinstance(default, (bool, int, float, str)):
            yield f"{key} = {literal(default)}", ""
        else:
            yield f"# {key} = ", "must be said: it has no default" if default is ... else "has a default that cannot be written here"


def init() -> Iterator[Line]:
    from steepest.init.cards import PLANS

    others = ", ".join(name for name in PLANS if name != "auto")
    yield 'plan = "auto"', f"{lowered(PLANS['auto'].summary)}; or {others}"
    yield '# pretrained = "my.safetensors"', "go on from these weights"
    yield '# "*.bias" = "zeros"', "patterns over names and kinds of layers go before the plan; the first that matches wins"
    yield '# Conv2d = { name = "he_normal", mode = "fan_out" }', ""


def optimizer() -> Iterator[Line]:
    yield f"rule = {literal(USUAL)}", f"{lowered(RULES[USUAL].use)}; all: steepest list rules"
    yield from keys(RULES[USUAL])
    yield from keys(Optimizing)
    yield "# [optimizer.wrap.clip]", "wrappers, the first outermost; all: steepest list wrappers"
    yield from off(keys(WRAPPERS["clip"]))
    yield "# [[optimizer.group]]", "parameters that are treated in another way; of several groups, the first that matches"
    yield '# match = "*.bias|*norm*"', "patterns over names of parameters and kinds of layers"
    yield "# weight_decay = 0.0", "any knob, or a rule with its knobs"


def schedule() -> Iterator[Line]:
    yield '# lr = { shape = "warmup_cosine", warmup = "10%" }', "a factor on the knob's value; all shapes: steepest list schedules"
    yield '# clip.norm = { shape = "linear", end = 0.1 }', "a wrapper's knob"
    yield '# batch = { shape = "step", at = ["50%", "75%"], factor = 2 }', "the batch size"
    yield '# length = { shape = "linear", start = 0.25, end = 1 }', "how much of each sequence of tokens is seen"
    yield '# regularize.dropout.rate = { shape = "linear", start = 0, end = 1 }', "a knob of what stands in [regularize]"


def driver() -> Iterator[Line]:
    yield 'name = "plain"', f"or {', '.join(name for name in DRIVERS if name != 'plain')}"
    yield '# name = "sam"', lowered(DRIVERS["sam"].use)  # type: ignore[attr-defined]
    yield from off(keys(DRIVERS["sam"]))


def regularize() -> Iterator[Line]:
    from steepest.regularizers import REGULARIZERS

    for name in ("label_smoothing", "dropout", "mixup"):
        cls = REGULARIZERS[name]
        yield f"# {name} = {literal(defaults(cls)[cls.main])}", f"{described(specs(cls)[cls.main])}"
    yield "# mixup = { alpha = 0.2 }", "the same in full; all: steepest list regularizers"


# --- what a declaration says ------------------------------------------------------------------------


def keys(cls: Any) -> Iterator[Line]:
    for key, spec in specs(cls).items():
        value = EXAMPLES[key] if spec.default is None else spec.default
        yield f"{'# ' if spec.default is None else ''}{written_key(key)} = {literal(value)}", described(spec)


def off(lines: Iterator[Line]) -> Iterator[Line]:
    for code, comment in lines:
        yield f"# {code}", comment


def described(spec: Any) -> str:
    if isinstance(spec, Knob):
        return f"{spec.meaning}; {range_of(spec)}"
    *most, last = map(str, getattr(spec, "choices", ()) or ("",))
    said = all(choice in spec.meaning for choice in (*most, last))
    return spec.meaning if said else f"{spec.meaning}; {', '.join(most)} or {last}"


def range_of(spec: Knob) -> str:
    if spec.search:
        return f"mostly {short(spec.search[0])} to {short(spec.search[1])}"
    return f"from {short(spec.low)}" + (f" to {short(spec.high)}" if isfinite(spec.high) else "")


def short(x: float) -> str:
    return f"{x:g}".replace("e-0", "e-")


def lowered(sentence: str) -> str:
    """A sentence as part of another."""
    return sentence[0].lower() + sentence[1:].rstrip(".")
