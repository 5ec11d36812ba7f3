"""Successive halving, in which what is promoted goes on from where it stands."""

from collections.abc import Sequence
from itertools import pairwise
from math import ceil, inf
from typing import NamedTuple

from steepest.search.history import History, Trial
from steepest.search.jobs import WAIT, Job, Wait
from steepest.search.samplers import Sampler
from steepest.search.strategies import Sampling, Setup

ETA = 3


class Bracket(NamedTuple):
    """`size` trials begin together; at each rung but the last a third of them is promoted."""

    rungs: tuple[int, ...]
    size: int


def rungs(full: int, count: int = 3) -> tuple[int, ...]:
    """A third of a third of a training, a third, all of it: fewer where trainings are short."""
    return tuple(sorted({max(1, round(full / ETA**k)) for k in range(count)}))


def promotion(cohort: Sequence[Trial], rungs: Sequence[int]) -> tuple[Trial, int] | None:
    """Who goes on next, and to where; None while somebody's result at a rung is not seen, and when all is done.

    Of n trials n/3 pass the first rung, n/9 the second, and always one. Whoever broke is passed over.
    """
    for level, (here, there) in enumerate(pairwise(rungs), 1):
        come = [t for t in cohort if t.stop >= here]
        if any(t.stop == here and not (t.over or t.waiting) for t in come):
            return None
        best = sorted((t for t in come if t.scores.get(here, inf) < inf), key=lambda t: (t.scores[here], t.number))
        for t in best[: max(1, len(cohort) // ETA**level)]:
            if t.stop == here and t.waiting:
                return t, there
    return None


class Halving(Sampling):
    """Cohort after cohort through the rungs (Jamieson & Talwalkar, 2016). One bracket; or several in turn, which is Hyperband.

    Promotions wait for a cohort to be complete. Meanwhile the next one begins, so that no worker waits.
    """

    def __init__(self, setup: Setup, sampler: Sampler, brackets: Sequence[Bracket] = ()) -> None:
        super().__init__(setup, sampler)
        steps = rungs(setup.full)
        self.brackets = tuple(brackets) or (Bracket(steps, ETA ** (len(steps) - 1)),)

    def next(self, history: History) -> Job | Wait | None:
        cohorts = self._cohorts(list(history.trials.values()))
        for bracket, cohort in cohorts:
            if len(cohort) == bracket.size and (due := promotion(cohort, bracket.rungs)):
                return history.promote(*due)
        bracket = (
            cohorts[-1][0] if cohorts and len(cohorts[-1][1]) < cohorts[-1][0].size else self.brackets[len(cohorts) % len(self.brackets)]
        )
        if job := self.explored(history, bracket.rungs[0]):
            return job
        # The sampler has nothing more: the last cohort is as large as it is.
        if cohorts and (due := promotion(cohorts[-1][1], cohorts[-1][0].rungs)):
            return history.promote(*due)
        return WAIT if history.pending else None

    def _cohorts(self, trials: list[Trial]) -> list[tuple[Bracket, list[Trial]]]:
        found: list[tuple[Bracket, list[Trial]]] = []
        begin = 0
        while begin < len(trials):
            bracket = self.brackets[len(found) % len(self.brackets)]
            found.append((bracket, trials[begin : begin + bracket.size]))
            begin += bracket.size
        return found


def hyperband(setup: Setup, sampler: Sampler) -> Halving:
    """Hyperband (Li et al., 2018): brackets from many short trials to few full ones, in turn, for nobody knows which is right."""
    steps = rungs(setup.full)
    most = len(steps)
    return Halving(setup, sampler, [Bracket(steps[k:], ceil(most / (most - k) * ETA ** (most - 1 - k))) for k in range(most)])
