"""How much of the variance of scores each value explains, by Optuna's fANOVA."""

from collections.abc import Sequence

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from steepest.search.dimension import text
from steepest.search.jobs import Point
from steepest.search.modeled import quiet
from steepest.search.space import Space


def shares(space: Space, scored: Sequence[tuple[Point, float]], seed: int) -> dict[str, float]:
    """By path, the largest first: of the values that every point has, and that differ."""
    rows = [row_of(space, point) for point, _ in scored]
    common = [path for path in rows[0] if all(path in row for row in rows) and len({text(row[path]) for row in rows}) > 1]
    if not common:
        return {}
    categories = {path: sorted({row[path] for row in rows}) for path in common if isinstance(rows[0][path], str)}
    distributions: dict[str, BaseDistribution] = {
        path: CategoricalDistribution(categories[path]) if path in categories else FloatDistribution(0, 1) for path in common
    }
    with quiet():
        study = optuna.create_study()
        for row, (_, score) in zip(rows, scored, strict=True):
            params = {path: row[path] for path in common}
            study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=score))
        found = optuna.importance.get_param_importances(study, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=seed))
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def row_of(space: Space, point: Point) -> dict[str, float | str]:
    """Places of numbers, and the text of choices, by path."""
    there = [d for d in space.dimensions if d.name in point]
    return {d.path: text(point[d.name]) if d.choices else d.place(point[d.name]) for d in there}
