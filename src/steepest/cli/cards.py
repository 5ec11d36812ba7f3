"""All that can be said about a schedule: the class is its own card. No torch is needed."""

import json
from dataclasses import fields
from typing import Any

from steepest.cli.catalog import REGISTRIES, registry
from steepest.cli.curve import ACROSS
from steepest.cli.notation import symbol
from steepest.core.knob import Knob, Option, Settings
from steepest.schedules import SCHEDULES, Plateau, Schedule, Warmup, plateau_of, read
from steepest.schedules.reading import PREFIX
from steepest.schedules.span import percent

SPANS = 'A span is a share of the run, or "10%", "3 epochs", "500 steps", "60000 samples", "1e6 tokens".'
# What a schedule that is made of others is shown with.
EXAMPLES: dict[str, dict[str, Any]] = {
    "warmup": {"inner": "cosine"},
    "sequence": {"parts": ["warmup_constant", "linear"], "until": ["60%"]},
    "product": {"parts": ["linear", "triangular"]},
    "inverse": {"inner": {"shape": "step", "factor": 0.5}},
}


def schedule_called(asked: str) -> str | None:
    """The schedule of exactly this name, if nothing else has it. Of other spellings `facts.find` knows, which imports torch."""
    others = {name for kind in REGISTRIES if kind != "schedules" for name in registry(kind)}
    return asked if asked.removeprefix(PREFIX) in SCHEDULES and asked not in others else None


def schedule_facts(name: str) -> dict[str, Any]:
    inner = SCHEDULES[name.removeprefix(PREFIX)]
    warm = name not in SCHEDULES
    lines = [*([Warmup] if warm else []), inner]
    said = {"shape": name, **EXAMPLES.get(name.removeprefix(PREFIX), {})}
    schedule = read(said)
    about = paragraphs(inner)
    spans = any("span" in f.metadata for cls in lines for f in fields(cls))
    return dict(
        name=name,
        kind="schedule",
        cls=f"{inner.__name__} after Warmup" if warm else inner.__name__,
        about=[*([f"A warmup, then {name.removeprefix(PREFIX)}. Of it:"] if warm else []), *about],
        paper=inner.paper or (Warmup.paper if warm else ""),
        use=inner.use,
        curve=curve(schedule),
        knobs=[knob_fact(of, spec) for cls in lines for of, spec in cls.own_knobs().items() if not (warm and cls is inner and of in OURS)],
        options=[option_fact(of, spec) for cls in lines for of, spec in cls.own_options().items()],
        note="\n".join([*(made_of(inner)), *([SPANS] if spans else [])]),
        recipe=["[schedule]", f"lr = {table(said | span(lines[0]))}"],
        code=[
            "from steepest.schedules import torch_scheduler",
            f"scheduler = torch_scheduler(optimizer, {json.dumps(said if len(said) > 1 else name)}, steps=1000)",
            "scheduler.step()  # after each optimizer.step()",
            *(["scheduler.observe(metric)  # after each evaluation"] if plateau_of(schedule) else []),
        ],
    )


def made_of(cls: type[Schedule]) -> list[str]:
    """What it takes besides numbers."""
    names = [f.name for f in fields(cls) if not f.metadata]
    return [f"{name}: {'schedules, each' if name == 'parts' else 'a schedule,'} a name or a table." for name in names]


def span(cls: type[Schedule]) -> dict[str, Any]:
    """The first span of a schedule, as it may be said."""
    for f in fields(cls):
        if "span" in f.metadata and f.default != ():
            said: Any = f.default
            return {f.name: [percent(x) for x in said] if isinstance(said, tuple) else percent(said)}
    return {}


# Settings that are the warmup's in `warmup_X`.
OURS = ("warmup", "start")


def curve(schedule: Schedule) -> dict[str, Any]:
    """The factor at evenly spaced moments; of a plateau, while no evaluation is better than the first."""
    ys = [schedule(i / ACROSS) for i in range(ACROSS + 1)]
    plateau = plateau_of(schedule)
    if not plateau:
        return dict(title="The factor on the knob's base value, over the run", y=ys)
    factors = standing_still(plateau, 4 * plateau.patience)
    ys = [y * factors[i * (len(factors) - 1) // ACROSS] for i, y in enumerate(ys)]
    return dict(title=f"The factor, if the first of {len(factors)} evaluations stays the best", y=ys)


def standing_still(plateau: Plateau, evaluations: int) -> list[float]:
    state, factors = plateau.start(), []
    for _ in range(evaluations):
        state = plateau.observe(state, 1.0)
        factors.append(plateau.factor(state))
    return factors


def paragraphs(cls: type[Settings]) -> list[str]:
    return [" ".join(paragraph.split()) for paragraph in (cls.__doc__ or "").split("\n\n")]


def knob_fact(name: str, spec: Knob) -> dict[str, Any]:
    keys = ("default", "low", "high", "closed", "search", "log", "meaning")
    return dict(name=name, symbol=symbol(name)) | {key: getattr(spec, key) for key in keys}


def option_fact(name: str, spec: Option) -> dict[str, Any]:
    choices = spec.choices or ((False, True) if isinstance(spec.default, bool) else ())
    return dict(name=name, default=spec.default, choices=choices, meaning=spec.meaning)


def table(said: Any) -> str:
    """As TOML writes it on one line."""
    if isinstance(said, dict):
        return "{ " + ", ".join(f"{key} = {table(value)}" for key, value in said.items()) + " }"
    if isinstance(said, (list, tuple)):
        return f"[{', '.join(map(table, said))}]"
    if isinstance(said, bool):
        return str(said).lower()
    return f'"{said}"' if isinstance(said, str) else f"{said:g}"
