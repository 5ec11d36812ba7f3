"""Several tasks at once: who reaches the targets, and how much later than the quickest."""

from collections.abc import Iterable, Mapping
from math import inf, isfinite

import numpy as np

from steepest.compare.scores import Array, sign_of
from steepest.core.errors import SettingError

# By method and task: the steps or seconds to the target. None (or NaN, or infinity): not reached, which is a miss.
Costs = Mapping[str, Mapping[str, float | None]]


def reached(curve: Iterable[tuple[float, float]], target: float, direction: str) -> float | None:
    """The cost of the first (cost, score) that is as good as the target; None if there is none."""
    sign = sign_of(direction)
    return next((cost for cost, score in curve if sign * score >= sign * target), None)


def ratios(costs: Costs) -> dict[str, Array]:
    """The cost of each task over that of the quickest method there; infinity for a miss."""
    tasks = dict.fromkeys(task for own in costs.values() for task in own)
    for method, own in costs.items():
        if left := [task for task in tasks if task not in own]:
            raise SettingError(f"{method} has no result on {', '.join(left)}; a target that was not reached is None, not left out")
    paid = {method: np.array([cost(own[task], method, task) for task in tasks]) for method, own in costs.items()}
    quickest = np.min(list(paid.values()), axis=0)
    return {method: np.divide(x, quickest, out=np.full(len(tasks), inf), where=np.isfinite(x)) for method, x in paid.items()}


def cost(value: float | None, method: str, task: str) -> float:
    if value is None or not isfinite(value):
        return inf
    if value <= 0:
        raise SettingError(f"{method} reaches the target of {task} at a cost of {value:g}; a cost is above 0")
    return value


def profile(costs: Costs, at: Iterable[float]) -> dict[str, Array]:
    """The share of tasks that each method does in at most `at` times the cost of the quickest (Dolan & Moré, 2002)."""
    most = np.array([*at])
    return {method: np.mean(x <= most[:, None] * (1 + 1e-12), axis=-1) for method, x in ratios(costs).items()}


def profile_scores(costs: Costs, most: float = 4.0) -> dict[str, float]:
    """The mean height of each profile from 1 to `most`: 1 for who is quickest everywhere, 0 for who never comes in time.

    That is AlgoPerf's score (Dahl et al., 2023, arXiv:2306.07179), with its bound. The area under steps is a sum.
    """
    if not 1 < most < inf:
        raise SettingError(f"profile_scores: most = {most!r} must be above 1, and finite")
    return {method: float(np.mean(np.clip((most - x) / (most - 1), 0, 1))) for method, x in ratios(costs).items()}
