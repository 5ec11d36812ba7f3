"""TPE and GP from Optuna by ask, in memory; CMA-ES from `cmaes`, the package that Optuna's own is built on."""

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import optuna
from cmaes import CMA
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from steepest.core.rng import seed_of
from steepest.search.dimension import Dimension, text
from steepest.search.jobs import Point
from steepest.search.samplers import Random, Sampler, Scored, worst
from steepest.search.space import Space

# Proposals by chance before a model knows anything, as Optuna has it.
STARTUP = 10


def distribution(d: Dimension) -> BaseDistribution:
    """A choice is its JSON text, for tables are no categories of Optuna's."""
    if d.choices:
        return CategoricalDistribution([text(x) for x in d.choices])
    low, high = d.range
    if d.fading:  # Optuna counts by factors of a number, not of what is missing to 1
        return FloatDistribution(1 - high, 1 - low, True)
    return IntDistribution(int(low), int(high), d.log) if d.integer else FloatDistribution(low, high, d.log)


def told(d: Dimension, value: Any) -> Any:
    return text(value) if d.choices else 1 - value if d.fading else value


def heard(d: Dimension, value: Any) -> Any:
    return json.loads(value) if d.choices else d.within(1 - value if d.fading else value)


def trial_of(space: Space, point: Mapping[str, Any], score: float) -> optuna.trial.FrozenTrial:
    there = [d for d in space.dimensions if d.name in point]
    return optuna.trial.create_trial(
        params={d.name: told(d, point[d.name]) for d in there}, distributions={d.name: distribution(d) for d in there}, value=score
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Within, Optuna says nothing: what it warns of (experimental options, kernels, independent sampling) was chosen."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(level)


class Modeled:
    """A sampler of Optuna's. The study grows with what is seen; each proposal has random numbers of its own, so that it is pure."""

    def __init__(self, name: str, make: Callable[..., Any], space: Space, seed: int) -> None:
        self.name, self.make, self.space, self.seed = name, make, space, seed
        self.study: optuna.Study | None = None
        self.known: list[tuple[Point, float]] = []

    def propose(self, i: int, seen: Scored) -> Point:
        now = [(point, score) for (point, _), score in zip(seen, worst(seen), strict=True)]
        with quiet():
            if self.study is None or self.known != now[: len(self.known)]:
                self.study, self.known = optuna.create_study(), []
            self.study.add_trials([trial_of(self.space, *x) for x in now[len(self.known) :]])
            self.known = now
            self.study.sampler = self.make(seed=seed_of(self.seed, "optuna", i) % 2**32)
            trial = self.study.ask()
            point = self.space.draw(lambda d: heard(d, trial._suggest(d.name, distribution(d))))
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)  # asked, and forgotten
        return point


class CMAES:
    """Covariance matrix adaptation (Hansen, 2016) on places, a generation at a time; proposals in between are of the last distribution."""

    name = "cmaes"

    def __init__(self, space: Space, seed: int = 0) -> None:
        self.space, self.seed = space, seed

    def propose(self, i: int, seen: Scored) -> Point:
        n = len(self.space.dimensions)
        if n < 2:  # of one dimension there is no covariance
            return Random(self.space, self.seed).propose(i, seen)
        bounds = np.array([[0.0, 1.0]] * n)
        search = CMA(np.full(n, 0.5), 0.25, bounds, seed=seed_of(self.seed, "cmaes", i) % 2**32)
        size = search.population_size
        scored = [(self._vector(point), score) for (point, _), score in zip(seen, worst(seen), strict=True)]
        for k in range(0, len(scored) - size + 1, size):
            search.tell(scored[k : k + size])
        return self.space.at(dict(zip(self.space.by_name, search.ask().tolist(), strict=True)))

    def _vector(self, point: Point) -> np.ndarray:
        return np.array(list(self.space.places(point).values()))


def tpe(space: Space, seed: int = 0) -> Sampler:
    """Tree-structured Parzen estimator (Bergstra et al., 2011), multivariate, for each branch of the conditions."""
    make = partial(optuna.samplers.TPESampler, multivariate=True, group=True, n_startup_trials=STARTUP)
    return Modeled("tpe", make, space, seed)


def gp(space: Space, seed: int = 0) -> Sampler:
    """Gaussian process with expected improvement of logarithms. Optuna models what all points share; the rest is chance."""
    make = partial(optuna.samplers.GPSampler, n_startup_trials=STARTUP, warn_independent_sampling=False)
    return Modeled("gp", make, space, seed)


MODELED: dict[str, Callable[..., Sampler]] = {"tpe": tpe, "gp": gp, "cmaes": CMAES}
