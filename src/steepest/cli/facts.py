"""All that can be said about one name; about a rule or wrapper, computed from the rule itself."""

from typing import Any

import torch

from steepest.cli.cards import knob_fact, option_fact, schedule_facts
from steepest.cli.formula import formula, legend
from steepest.cli.notation import number, symbol
from steepest.cli.regularizer_card import regularizer_facts
from steepest.cli.starts import start_facts
from steepest.core.errors import SettingError, nearest
from steepest.core.rule import Rule, flatten
from steepest.engines.emit import emit
from steepest.engines.trace import trace
from steepest.init import INITIALIZERS, PLANS
from steepest.optim import OPTIMIZERS
from steepest.optim.row import read
from steepest.optim.table import ROWS
from steepest.regularizers import REGULARIZERS
from steepest.rules import ALIASES, RULES, WRAPPERS
from steepest.rules.adam import Adam
from steepest.rules.wrapper import Wrapper
from steepest.rules.wrappers import L2
from steepest.schedules import SCHEDULES
from steepest.schedules.reading import ALIASES as SHAPES
from steepest.schedules.reading import PREFIX

# One class of torch's is two rules of ours.
FACES = {"gd": "SGD", "momentum": "SGD"}
CARDS: dict[str, Any] = {"schedules": SCHEDULES, "regularizers": REGULARIZERS}
STARTS = {"initializers": INITIALIZERS, "plans": PLANS}
NAMES: dict[str, Any] = {"rules": RULES, "wrappers": WRAPPERS, **STARTS, **CARDS}
CLASSES = {kind: names for kind, names in NAMES.items() if kind not in STARTS}
ROWS_OF, COLUMNS_OF = 48, 80
FLOAT32 = 4


def facts(asked: str) -> dict[str, Any]:
    kind, name = find(asked)
    if kind in STARTS:
        return start_facts(kind, name)
    if kind in CARDS:
        return schedule_facts(name) if kind == "schedules" else regularizer_facts(name)
    cls = (RULES | WRAPPERS)[name]
    rule = cls(inner=Adam()) if issubclass(cls, Wrapper) else cls()
    lines = formula(rule)
    return dict(
        name=name,
        kind="wrapper" if isinstance(rule, Wrapper) else "rule",
        cls=cls.__name__,
        about=[" ".join(paragraph.split()) for paragraph in (cls.__doc__ or "").split("\n\n")],
        paper=rule.paper,
        use=rule.use,
        formula=lines,
        legend=legend(lines),
        knobs=[knob_fact(of, spec) for of, spec in cls.own_knobs().items()],
        options=[option_fact(of, spec) for of, spec in cls.own_options().items()],
        state=_state(rule),
        traffic=_traffic(rule),
        code=_code(name, rule),
        torch=_torch(name),
    )


def find(asked: str) -> tuple[str, str]:
    """The registry and its name for a name or class, whatever its case and underscores. `plan.orthogonal` is the plan of two.

    Any schedule may have `warmup_` before it.
    """
    first, _, rest = asked.rpartition(".")
    kinds = [kind for kind in NAMES if first.lower() in ("", kind, kind.removesuffix("s"))]
    known = {}
    if "schedules" in kinds:
        known |= {_plain(PREFIX + name): ("schedules", PREFIX + name) for name in NAMES["schedules"]}
        known |= {_plain(alias): ("schedules", name) for alias, name in SHAPES.items()}
    for kind in reversed([kind for kind in kinds if kind in CLASSES]):
        known |= {_plain(cls.__name__): (kind, name) for name, cls in reversed(CLASSES[kind].items())}
    for kind in reversed(kinds):
        known |= {_plain(name): (kind, name) for name in NAMES[kind]}
    known |= {alias: ("rules", name) for alias, name in ALIASES.items() if "rules" in kinds}
    if _plain(rest) in known:
        return known[_plain(rest)]
    guess = nearest(asked, [*ALIASES, *(name for names in NAMES.values() for name in names)])
    raise SettingError(f"nothing is called {asked!r}" + (guess if guess.startswith("; did") else "; steepest list shows all"))


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


# --- memory ----------------------------------------------------------------------------------------


def _state(rule: Rule) -> dict[str, Any]:
    """What one parameter keeps, for a wrapper without its inner rule."""
    shapes = {ROWS_OF: "rows", COLUMNS_OF: "columns", ROWS_OF * COLUMNS_OF: "elements"}
    tensors, scalars = [], []
    marks = {path: 0.1234 + i / 1000 for i, path in enumerate(rule.knobs())}
    p = torch.rand(ROWS_OF, COLUMNS_OF)
    for path, x in _own(rule.bind(marks), p).items():
        start = _start(x, p, marks)
        if x.ndim == 0:
            scalars.append(dict(name=path, start=start))
        else:
            shape = "as p" if x.shape == p.shape else " × ".join(shapes.get(n, str(n)) for n in x.shape)
            tensors.append(dict(name=path, shape=shape, start=start))
    square = torch.zeros(64, 64)
    bytes_ = sum(x.numel() * x.element_size() for x in _own(rule, square).values() if x.ndim) / square.numel()
    return dict(tensors=tensors, scalars=scalars, bytes_per_element=bytes_)


def _own(rule: Rule, p: torch.Tensor) -> dict[str, torch.Tensor]:
    return {path: x for path, x in flatten(rule.init(p)).items() if not path.startswith("inner.")}


def _start(x: torch.Tensor, p: torch.Tensor, marks: dict[str, float]) -> str:
    """What a state holds before the first step: a number, p, or a knob, recognized by the value it was given here."""
    if x.shape == p.shape and torch.equal(x, p):
        return "p"
    first = x.flatten()[0].item()
    for path, mark in marks.items():
        if abs(first - mark) < 1e-6:
            return symbol(path)
    return number(first)


def _traffic(rule: Rule) -> dict[str, Any]:
    """Bytes that one step reads and writes per element of a float32 parameter, by the fused engine's program."""
    if rule.scope != "element":
        return dict(bytes_per_element=None, why=f"depends on the shape: the rule looks at a whole {rule.scope} at once")
    program = emit(trace(rule), "", "float32", "float32")
    inner = _traffic(rule.inner) if isinstance(rule, Wrapper) else None
    moved = FLOAT32 * (sum(program.reads) + program.writes)
    return dict(bytes_per_element=moved, reads=list(program.reads), writes=program.writes, passes=program.sweeps, inner=inner)


# --- use -------------------------------------------------------------------------------------------


def _code(name: str, rule: Rule) -> list[str]:
    """Lines that run as they are, given a model."""
    cls = type(rule).__name__
    lr = f"lr={getattr(rule, 'lr', 0):g}"
    face = _face(name)
    if isinstance(rule, Wrapper):
        names, call = ", ".join(sorted({"Adam", cls})), f"{cls}(inner=Adam(lr=0.001))"
    else:
        names, call = cls, f"{cls}({lr})"
    if face:
        settings = f"{lr}, momentum=0.9" if name == "momentum" else lr
        lines = [f"from steepest.optim import {face}", f"optimizer = {face}(model.parameters(), {settings})"]
    else:
        lines = ["from steepest.optim import Optimizer", f"from steepest.rules import {names}", f"optimizer = Optimizer(model, {call})"]
    if type(rule).view not in (Rule.view, Wrapper.view):
        lines.append("with optimizer.viewing(): ...  # evaluate and save here")
    return lines


def _face(name: str) -> str | None:
    if name in FACES:
        return FACES[name]
    return next((face for face in OPTIMIZERS if _plain(face) == _plain(name)), None)


def _torch(name: str) -> str:
    """How the class that torch users know differs from the bare rule."""
    face = _face(name)
    if face not in ROWS or name in FACES:
        return ""
    row = ROWS[face]
    plain = row.built({"maximize": False, **row.defaults})
    decayed = row.built({"maximize": False, **row.defaults, "weight_decay": 0.1})
    notes = []
    if isinstance(decayed, L2):
        notes.append("adds weight_decay to the gradient, as torch does (the wrapper l2)")
    defaults = {source: (read(row.defaults, source), plain.knobs()[path]) for path, source in row.sources(plain).items() if source}
    other = [f"{source}={torchs:g}" for source, (torchs, ours) in defaults.items() if torchs is not None and torchs != ours]
    if other:
        notes.append(f"has these defaults: {', '.join(other)}")
    return f"steepest.optim.{face} {' and '.join(notes)}." if notes else ""
