"""The default strategy: what is known first, then halving, then refinement around what survives, and again over other seeds."""

from math import inf

from steepest.search.dimension import text
from steepest.search.gain import exhausted
from steepest.search.halving import promotion, rungs
from steepest.search.history import History, Trial
from steepest.search.jobs import WAIT, Job, Point, Wait
from steepest.search.naming import candidates, noise, ranked
from steepest.search.refining import RATES, paced, refined
from steepest.search.strategies import Deciding, Setup

# Of the portfolio so many are trained in full before any race. (Pools of 60 recipes on seven tasks: with one the race tells more by the
# third training, and later, than a second one in full does.)
FIRST = 1
# Trials of a cohort: of nine in a ninth of a training three go on to a third, and one to the end. (24 random recipes for digits: the
# loss after 2 of 20 epochs has a rank correlation of 0.88 with the last; 18 of the portfolio, alike as they are, of 0.65.)
COHORT = 9
# Where trials come from: those that begin the first cohort, and from then on in turn.
OPENING = ("known", "known", "known", "known", "hotter", "cooler")
SOURCES = ("refined", "known", "refined", "refined", "refined")
# The share of the budget that goes into repeats, over how many of the best, and with how many seeds at most.
REPEATS, LEADERS, SEEDS = 0.2, 3, 5


class Steepest(Deciding):
    """The first recipe of the portfolio in full; cohorts by successive halving; repeats of the leaders.

    The first cohort is the portfolio's, the leader's at other rates, and a model's; then come points that the model prefers, and some of
    the portfolio. Where the budget is known, nothing is begun that could not be finished: what is left goes to trials that wait, and to
    repeats. A budget too small for a race goes to the portfolio in full. `patient`: go on also when little gain is likely.
    """

    def __init__(self, setup: Setup, known: list[tuple[str, Point]], patient: bool = False) -> None:
        self.setup, self.known, self.patient = setup, known, patient

    @property
    def first(self) -> int:
        """How many begin in full: with a small budget all that it buys."""
        budget = self.setup.budget
        small = budget is not None and budget < (FIRST + 4) * self.setup.full
        return max(1, budget // self.setup.full) if small and budget is not None else FIRST

    def next(self, history: History) -> Job | Wait | None:
        explored = [t for t in history.trials.values() if t.kind == "explore"]
        raced = explored[self.first :]
        if len(explored) < self.first:
            return self._explore(history, len(explored), self.setup.full)
        if due := self._due(raced):
            return history.promote(*due)
        if not self.patient and exhausted(explored, self.setup.full, noise(candidates(history.trials.values()))):
            return WAIT if history.pending else None
        if repeat := self._repeat(history, REPEATS * history.spent):
            return repeat
        if self._left(history) >= self.setup.full:
            return self._explore(history, len(explored), self.rungs[0])
        return WAIT if history.pending else self._finish(history, raced)

    @property
    def rungs(self) -> tuple[int, ...]:
        return rungs(self.setup.full)

    def _left(self, history: History) -> float:
        budget = self.setup.budget_at(history.number)
        return inf if budget is None else budget - history.spent

    def _due(self, raced: list[Trial]) -> tuple[Trial, int] | None:
        for begin in range(0, len(raced) - COHORT + 1, COHORT):
            if due := promotion(raced[begin : begin + COHORT], self.rungs):
                return due
        return None

    def _explore(self, history: History, k: int, stop: int) -> Job:
        """Exploration `k` of the study."""
        point, origin = self._point(history, k)
        return history.explore(point, self.setup.seed, stop, origin)

    def _point(self, history: History, k: int) -> tuple[Point, str]:
        place = max(0, k - self.first)
        turns, turn = divmod(max(0, place - len(OPENING)), len(SOURCES))
        source = "known" if k < self.first else OPENING[place] if place < len(OPENING) else SOURCES[turn]
        if source == "known":
            before = OPENING[:place].count("known") + turns * SOURCES.count("known") + SOURCES[:turn].count("known")
            if (before := before + min(k, self.first)) < len(self.known):
                origin, point = self.known[before]
                return point, origin
        if source in RATES and (found := paced(self.setup.space, history, source)):
            return found
        return refined(self.setup.space, self.setup.seed, history, self.setup.full)

    def _repeat(self, history: History, share: float) -> Job | None:
        """One of the leaders with another seed, the one with fewest, as long as repeats take no more than a share."""
        full = self.setup.full
        spent = sum(t.stop for t in history.trials.values() if t.kind == "repeat")
        if spent + full > share or self._left(history) < full:
            return None
        leaders = [c for c in ranked(candidates(history.trials.values())) if c.epochs == full][:LEADERS]
        fewest = min(leaders, key=lambda c: history.seeds[text(c.point)], default=None)
        if len(leaders) < 2 or fewest is None or history.seeds[text(fewest.point)] >= SEEDS:
            return None
        origin = f"again, as trial {fewest.trials[0].number}"
        return history.explore(fewest.point, self.setup.seed + history.seeds[text(fewest.point)], full, origin, "repeat")

    def _finish(self, history: History, raced: list[Trial]) -> Job | None:
        """What the rest of a budget buys: the best that waits is finished, or a leader is repeated."""
        waiting = [t for t in raced if t.waiting and self.setup.full - t.epochs <= self._left(history) and t.epochs < self.setup.full]
        if waiting:
            return history.promote(min(waiting, key=lambda t: (t.score, t.number)), self.setup.full)
        return self._repeat(history, inf)
