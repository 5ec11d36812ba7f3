"""Refinement: the best at another rate; what is near the best, or anywhere, chosen by a model of all that was seen, short trainings too."""

from collections.abc import Sequence
from math import log
from typing import TYPE_CHECKING, Any

import torch
from torch import Generator

from steepest.core.rng import generator
from steepest.search.dimension import Dimension, text
from steepest.search.history import History
from steepest.search.jobs import Point
from steepest.search.naming import candidates, ranked
from steepest.search.space import Space

if TYPE_CHECKING:
    import numpy as np

# Survivors that are refined, steps away from them (in places), and how many are drawn near them and anywhere for one to be chosen.
PARENTS, STEPS, NEAR, ANYWHERE = 3, (0.05, 0.12, 0.3), 80, 40
# Shares of numbers and of choices that change.
NUMBERS, CHOICES = 0.5, 0.15
# The leader's rate times these is tried.
RATES = {"hotter": 2.5, "cooler": 0.4}
# The newest trials that the model knows, and the least for it to know anything.
KNOWN, LEAST = 200, 6


def refined(space: Space, seed: int, history: History, full: int) -> tuple[Point, str]:
    """The most promising of many points near the survivors and anywhere, and where it comes from."""
    dice = generator(seed, "refine", history.number)
    parents = ranked(candidates(history.trials.values()))[:PARENTS]
    near = [parents[k] for k in torch.randint(len(parents), (NEAR,), generator=dice).tolist()] if parents else []
    drawn = [(neighbor(space, c.point, dice), f"refined from {c.trials[0].number}") for c in near]
    drawn += [(space.at(uniform(space, dice)), "by chance") for _ in range(ANYWHERE)]
    tried = {text(t.point) for t in history.trials.values()}
    new = [(point, origin) for point, origin in drawn if text(point) not in tried] or drawn
    return new[promising(space, history, full, [point for point, _ in new])]


def paced(space: Space, history: History, how: str) -> tuple[Point, str] | None:
    """The leader at another rate, which matters more than all else; None without a leader or a rate, or where that was tried."""
    leader = next(iter(ranked(candidates(history.trials.values()))), None)
    rates = [d for d in space.dimensions if d.path == "optimizer.lr" and not d.choices and leader and d.name in leader.point]
    if leader is None or not rates:
        return None
    point = leader.point | {d.name: d.within(leader.point[d.name] * RATES[how]) for d in rates}
    if any(text(t.point) == text(point) for t in history.trials.values()):
        return None
    return point, f"trial {leader.trials[0].number}, {how}"


def uniform(space: Space, dice: Generator) -> dict[str, float]:
    u = torch.rand(len(space.dimensions), generator=dice, dtype=torch.float64)
    return dict(zip(space.by_name, u.tolist(), strict=True))


def neighbor(space: Space, parent: Point, dice: Generator) -> Point:
    """A step away from a point: some numbers move, fewer choices are drawn anew; what the parent has not is drawn."""
    step = STEPS[int(torch.randint(len(STEPS), (), generator=dice))]
    keep, anew = uniform(space, dice), uniform(space, dice)
    away = dict(zip(space.by_name, torch.randn(len(space.dimensions), generator=dice, dtype=torch.float64).tolist(), strict=True))

    def choose(d: Dimension) -> Any:
        if d.name not in parent:
            return d.at(anew[d.name])
        if keep[d.name] >= (CHOICES if d.choices else NUMBERS):
            return parent[d.name]
        return d.at(anew[d.name] if d.choices else reflected(d.place(parent[d.name]) + step * away[d.name]))

    return space.draw(choose)


def reflected(u: float) -> float:
    """Back into [0, 1] from its walls."""
    u = u % 2
    return 2 - u if u > 1 else u


def promising(space: Space, history: History, full: int, new: Sequence[Point]) -> int:
    """Which of new points a Gaussian process expects to improve most on the best it knows of, after full trainings (Močkus, 1975).

    The length of a training is one more input, so that short trials tell of long ones. Of few lengths and noises the likeliest are taken.
    """
    import numpy as np
    from scipy.stats import norm
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import Matern

    x, y = observed(space, history, full)
    if len(y) < LEAST or np.ptp(y) == 0:
        return 0
    y = (y - y.mean()) / y.std()
    models = [
        GaussianProcessRegressor(Matern(scale, nu=2.5), alpha=alpha, optimizer=None).fit(x, y)  # type: ignore[arg-type]
        for scale in (0.5, 1.0, 2.0)
        for alpha in (0.03, 0.3)
    ]
    model = max(models, key=lambda m: m.log_marginal_likelihood_value_)
    means, deviations = map(np.asarray, model.predict(np.array([[*encoded(space, point), 0.0] for point in new]), return_std=True))
    best = np.asarray(model.predict(np.hstack([x[:, :-1], np.zeros((len(x), 1))]))).min()
    z = (best - means) / np.maximum(deviations, 1e-9)
    return int((deviations * (z * norm.cdf(z) + norm.pdf(z))).argmax())


def observed(space: Space, history: History, full: int) -> "tuple[np.ndarray, np.ndarray]":
    """Encoded trials with the logarithm of their length, and scores. One that broke is as bad as the worst; far worse is no worse."""
    import numpy as np

    seen = [(t.point, epochs, score) for t in history.trials.values() for epochs, score in t.scores.items()]
    broke = [(t.point, t.stop, np.inf) for t in history.trials.values() if t.over]
    rows = sorted(seen + broke, key=lambda row: row[2])[:KNOWN]
    scores = np.array([score for _, _, score in rows])
    finite = scores[np.isfinite(scores)]
    if not len(finite):
        return np.zeros((0, 1)), finite
    most = np.median(finite) + 3 * (np.median(finite) - finite.min())
    x = [[*encoded(space, point), log(epochs / full) / 2] for point, epochs, _ in rows]
    return np.array(x), np.minimum(scores, most)


def encoded(space: Space, point: Point) -> list[float]:
    """A number for each range (its place, the middle where it does not exist), and one for each choice."""
    found: list[float] = []
    for d in space.dimensions:
        if d.choices:
            found += [0.5 * (d.name in point and d.index(point[d.name]) == k) for k in range(len(d.choices))]
        else:
            found.append(d.place(point[d.name]) if d.name in point else 0.5)
    return found
