"""How firm a ranking is: what would it be with other seeds?"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata

from steepest.compare.scores import Scores, floored, table


@dataclass(frozen=True)
class Ranking:
    """Methods, the best first. `shares[m][r]`: of rankings by resampled seeds, how many have method m at place r (ties share).

    `stable` is the share that have the whole order as it is.
    """

    order: tuple[str, ...]
    shares: dict[str, tuple[float, ...]]
    stable: float
    n: int

    def facts(self) -> dict[str, Any]:
        return {"order": list(self.order), "shares": {name: list(x) for name, x in self.shares.items()}, "stable": self.stable, "n": self.n}


def ranking(scores: Scores, direction: str, rng: np.random.Generator, resamples: int = 2000) -> Ranking:
    """By the mean over the seeds that all have. Misses count as the worst score of any method."""
    methods, seeds, values = table(scores, direction)
    n, k = len(seeds), len(methods)
    if not n or not np.isfinite(values).any():
        return Ranking(methods, dict.fromkeys(methods, (1 / k,) * k), 0.0, n)
    values = floored(values)
    means = values.mean(-1)
    times = rng.multinomial(n, np.full(n, 1 / n), size=resamples) / n
    resampled = (values @ times.T).round(12)
    best = np.argsort(-means, kind="stable")
    first, last = (rankdata(-resampled, method, axis=0) for method in ("min", "max"))
    places = np.arange(1, k + 1)[:, None, None]
    held = (first <= places) & (places <= last)  # (place, method, resample)
    share = np.mean(held / held.sum(0), axis=-1)
    shares = {methods[m]: tuple(share[:, m].tolist()) for m in best}
    stable = np.all(np.diff(resampled[best], axis=0) <= 0, axis=0)
    return Ranking(tuple(methods[m] for m in best), shares, float(stable.mean()), n)
