"""Everything that is said of a comparison's scores, in one value that records can hold."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from steepest.compare.ranks import Ranking, ranking
from steepest.compare.scores import Scores
from steepest.compare.standings import Standing, standings
from steepest.compare.verdicts import Verdict, verdicts
from steepest.compare.words import words


@dataclass(frozen=True)
class Conclusion:
    """Methods from the best on, a verdict on each pair, the verdicts in words, and how firm the ranking is."""

    standings: list[Standing]
    verdicts: list[Verdict]
    words: list[str]
    ranking: Ranking

    def facts(self) -> dict[str, Any]:
        return {
            "standings": [x.facts() for x in self.standings],
            "verdicts": [x.facts() | {"words": said} for x, said in zip(self.verdicts, self.words, strict=True)],
            "ranking": self.ranking.facts(),
        }


def conclude(
    scores: Scores,
    direction: str,
    *,
    matters: float | None = None,
    alpha: float = 0.05,
    seed: int = 0,
    points: bool = False,
    unit: str = "seeds",
) -> Conclusion:
    """From scores by method and seed; also when some runs are still missing. The same scores give the same conclusion."""
    found = verdicts(scores, direction, matters=matters, alpha=alpha, seed=seed)
    said = [words(x, points=points, unit=unit) for x in found]
    return Conclusion(standings(scores, direction, seed), found, said, ranking(scores, direction, np.random.default_rng(seed)))
