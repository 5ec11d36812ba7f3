"""Which trial to name, when each score is a draw: points by the mean over their seeds, and what may be chance counted against them."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite, sqrt
from statistics import mean, variance

from steepest.search.dimension import text
from steepest.search.history import Trial, history_of
from steepest.search.jobs import Answer, Point, Seen


@dataclass(frozen=True)
class Candidate:
    """A point and its trials that went furthest, each with another seed."""

    point: Point
    epochs: int
    trials: tuple[Trial, ...]

    @property
    def scores(self) -> list[float]:
        return [t.score for t in self.trials]

    @property
    def mean(self) -> float:
        return mean(self.scores)

    def careful(self, noise: float) -> float:
        """The mean plus its standard error: one lucky seed does not beat three good ones."""
        return self.mean + noise / sqrt(len(self.trials))


def candidates(trials: Iterable[Trial]) -> list[Candidate]:
    by_point: dict[str, list[Trial]] = {}
    for t in trials:
        if isfinite(t.score):
            by_point.setdefault(text(t.point), []).append(t)
    found = []
    for some in by_point.values():
        furthest = max(t.epochs for t in some)
        found.append(Candidate(some[0].point, furthest, tuple(t for t in some if t.epochs == furthest)))
    return found


def noise(found: Iterable[Candidate]) -> float:
    """The deviation between seeds, pooled over points that have several; 0 where none has."""
    several = [c for c in found if len(c.trials) > 1]
    freedom = sum(len(c.trials) - 1 for c in several)
    return sqrt(sum(variance(c.scores) * (len(c.trials) - 1) for c in several) / freedom) if freedom else 0.0


def ranked(found: Iterable[Candidate]) -> list[Candidate]:
    found = list(found)
    spread = noise(found)
    return sorted(found, key=lambda c: (c.careful(spread), -c.epochs, c.trials[0].number))


def named(seen: Seen) -> Answer | None:
    """Of the best point the trial with the lowest score."""
    found = ranked(candidates(history_of(seen).trials.values()))
    if not found:
        return None
    best, spread = found[0], noise(found)
    trial = min(best.trials, key=lambda t: (t.score, t.number))
    seeds = len(best.trials)
    among = f"of {len(found)} recipe{'s' * (len(found) > 1)}"
    if not spread:
        why = f"the lowest score {among}, each trained with one seed"
    else:
        why = f"the lowest mean {among}, over {seeds} seed{'s' * (seeds > 1)}; noise between seeds is {spread:.2g}, and counted"
    return Answer(trial.number, best.point, best.mean, seeds, why)
