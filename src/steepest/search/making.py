"""Strategies by name: a sampler and a stopper, or the default, which is both."""

from collections.abc import Callable

from steepest.core.errors import SettingError, nearest
from steepest.search.halving import Halving, hyperband
from steepest.search.jobs import Strategy
from steepest.search.portfolio import points
from steepest.search.samplers import SAMPLERS, sampler
from steepest.search.steepest import Steepest
from steepest.search.strategies import Median, Plain, Sampling, Setup
from steepest.train.recipe import Recipe

USUAL = "steepest"

STOPPERS: dict[str, Callable[..., Sampling]] = {"none": Plain, "halving": Halving, "hyperband": hyperband, "median": Median}


def strategy(setup: Setup, base: Recipe, name: str = USUAL, stopper: str = "", task: str = "", patient: bool = False) -> Strategy:
    """`name` is "steepest" or a sampler, which goes with any stopper. `task`: the name of a built-in task, whose family is no help.

    `patient`: steepest goes on also when little gain is likely; samplers always do.
    """
    if name != USUAL and name not in SAMPLERS:
        raise SettingError(f"search: unknown strategy {name!r}{nearest(name, [USUAL, *SAMPLERS])}")
    if stopper and stopper not in STOPPERS:
        raise SettingError(f"search: unknown stopper {stopper!r}{nearest(stopper, STOPPERS)}")
    if name != USUAL:
        return STOPPERS[stopper or "none"](setup, sampler(name, setup.space, setup.seed))
    if stopper:
        raise SettingError(f"search: steepest stops trials in its own way; a stopper, {stopper}, goes with {', '.join(SAMPLERS)}")
    return Steepest(setup, points(setup.space, base, task), patient)
