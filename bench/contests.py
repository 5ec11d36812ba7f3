"""Who is measured on what: sizes, rules, and the same algorithm with equal settings in other libraries."""

from collections.abc import Callable, Iterator
from functools import cache, partial
from importlib import import_module
from inspect import signature
from typing import Any, NamedTuple

import torch
from torch import Tensor

from steepest.optim import OPTIMIZERS
from steepest.optim.table import ROWS

Shapes = tuple[tuple[int, ...], ...]
Make = Callable[[list[Tensor]], Any]

LENET = ((6, 1, 5, 5), (6,), (16, 6, 5, 5), (16,), (120, 400), (120,), (84, 120), (84,), (10, 84), (10,))
SIZES: dict[str, Shapes] = {
    "lenet": LENET,
    "many": ((64,),) * 1000,
    "square": ((256, 256),) * 305,
    "medium": ((2000, 2000),),
    "large": ((5000, 4000),),
    "embedding": ((100_000, 64),),  # for SparseAdam alone: the gradient has 1000 rows
    "loop": LENET,  # the same parameters in a network: forward and backward at batch 64 come before each step
}
# Rules that look at whole matrices take the matrices of LeNet-5, and this many of the squares.
SQUARES = 8

OURS, YARDSTICK = "steepest", "torch AdamW fused"
TORCH = {"torch": {}, "torch foreach": {"foreach": True}, "torch fused": {"fused": True}}
# The other two take foreach where they have it, unless told otherwise.
PYTORCH_OPTIMIZER = {"pytorch_optimizer": {}, "pytorch_optimizer loop": {"foreach": False}}
SCHEDULEFREE = {"schedulefree": {}, "schedulefree loop": {"foreach": False}}


class Contest(NamedTuple):
    """A rule: settings off their defaults, and pytorch_optimizer's name for it where it has code of its own.

    Settings of the same name are handed to every side; `theirs` says the others, and where a value means something else.
    """

    settings: tuple[tuple[str, Any], ...] = ()
    peer: str = ""
    theirs: tuple[tuple[str, Any], ...] = ()


CONTESTS = {
    "SGD": Contest(settings=(("momentum", 0.9),)),
    "Adagrad": Contest(),
    "Adadelta": Contest(peer="adadelta"),
    "RMSprop": Contest(),
    "Adam": Contest(),
    "AdamW": Contest(),
    "NAdam": Contest(),
    "RAdam": Contest(peer="radam", theirs=(("degenerated_to_sgd", True),)),
    "Adamax": Contest(peer="adamax"),
    "ASGD": Contest(),  # theirs of this name is another algorithm
    "Rprop": Contest(),
    "AdaBelief": Contest(peer="adabelief"),
    "Yogi": Contest(peer="yogi"),
    "ADOPT": Contest(peer="adopt"),
    "Lion": Contest(peer="lion"),
    "Adan": Contest(peer="adan"),
    "LARS": Contest(peer="lars", theirs=(("trust_coefficient", 1e-3),)),  # theirs takes no ratio for vectors: less work in "many"
    "LAMB": Contest(peer="lamb"),
    "Prodigy": Contest(peer="prodigy", theirs=(("beta3", None),)),
    "DAdaptAdam": Contest(peer="dadaptadam", theirs=(("weight_decouple", True),)),
    "ScheduleFreeSGD": Contest(peer="schedulefreesgd"),
    "ScheduleFreeAdamW": Contest(peer="schedulefreeadamw"),
    "SparseAdam": Contest(),
    "Adafactor": Contest(peer="adafactor", theirs=(("betas", (None, 0.999)), ("relative_step", False))),
    "Muon": Contest(peer="muon"),
    "Shampoo": Contest(peer="shampoo", theirs=(("matrix_eps", 1e-6),)),
    "SOAP": Contest(peer="soap", theirs=(("precondition_frequency", 10),)),
}
AUTHORS = {"ScheduleFreeSGD": "SGDScheduleFree", "ScheduleFreeAdamW": "AdamWScheduleFree"}  # in schedulefree


@cache
def library(name: str) -> Any:
    """The module, or None and a word about it, once."""
    try:
        return import_module(name)
    except ImportError:
        print(f"{name} is not installed and is left out")
        return None


def peers(rule: str) -> Iterator[tuple[type, dict[str, Any], dict[str, dict[str, Any]]]]:
    """The class of each library that has the rule, its own settings, and the ways it can be run."""
    if hasattr(torch.optim, rule):
        yield getattr(torch.optim, rule), {}, TORCH
    contest = CONTESTS[rule]
    if contest.peer and (module := library("pytorch_optimizer")):
        yield module.load_optimizer(contest.peer), dict(contest.theirs), PYTORCH_OPTIMIZER
    if rule in AUTHORS and (module := library("schedulefree")):
        yield getattr(module, AUTHORS[rule]), {}, SCHEDULEFREE


def sides(rule: str) -> dict[str, Make]:
    """How to build each side, ours first, with equal settings."""
    settings = {**ROWS[rule].defaults, **dict(CONTESTS[rule].settings)}
    found: dict[str, Make] = {OURS: partial(OPTIMIZERS[rule], **settings)}
    for cls, theirs, ways in peers(rule):
        takes = signature(cls).parameters
        shared = {key: value for key, value in settings.items() if key in takes}
        for name, way in ways.items():
            if way.keys() <= takes.keys():
                found[name] = partial(build, cls, {**shared, **theirs, **way})
    return found


def build(cls: type, settings: dict[str, Any], parameters: list[Tensor]) -> Any:
    group = {"params": parameters, "use_muon": True}  # pytorch_optimizer's Muon asks for it; no one else reads it
    optimizer = cls([group], **settings)
    if hasattr(optimizer, "train"):  # schedule-free ones of others refuse to step before
        optimizer.train()
    return optimizer


def elementwise(rule: str) -> bool:
    return ROWS[rule].built({"maximize": False, **ROWS[rule].defaults}).scope == "element"


def shapes(rule: str, size: str) -> Shapes:
    """What of this size the rule is measured on; nothing where it makes no sense."""
    if (rule == "SparseAdam") != (size == "embedding"):
        return ()
    if elementwise(rule):
        return SIZES[size]
    return tuple(s for s in SIZES[size] if len(s) == 2)[:SQUARES] if size in ("lenet", "square") else ()
