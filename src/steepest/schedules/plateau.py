"""By what is measured: the one schedule that remembers"""

from math import isfinite

from steepest.core.errors import SettingError
from steepest.core.knob import knob, option
from steepest.schedules.base import Schedule

State = tuple[float, float]  # the best value, and a count of bad evaluations


class Plateau(Schedule):
    """Times `by` after every `patience` evaluations without a better value; torch's ReduceLROnPlateau(patience - 1).

    As a function of progress it is 1, so that it can stand inside others (`warmup_plateau`); what was measured multiplies
    that: `plateau.factor(state)`. The state is the best value and a count that an improvement rounds down to a whole
    multiple of patience, so that the reductions are count // patience. NaN is never better.
    """

    use = "When the length of the run is not known beforehand; patience of a few evaluations, the same metric as early stopping."

    by: float = knob(0.1, "what each reduction multiplies by", valid=(0, 1), search=(0.1, 0.7), log=True)
    threshold: float = knob(1e-4, "how much better counts, as a share of the best value", valid=(0, 1), search=(1e-5, 1e-2), log=True)
    end: float = knob(0.0, "smallest factor", valid=(0, 1), search=(0.0, 0.1))
    patience: int = option(10, "bad evaluations in a row before a reduction")
    mode: str = option("min", "whether small or large values are good", choices=("min", "max"))

    def shape(self, u):
        return 1.0

    def start(self) -> State:
        return (float("inf") if self.mode == "min" else float("-inf"), 0.0)

    def observe(self, state: State, metric: float) -> State:
        best, count = state
        margin = self.threshold * abs(best) if isfinite(best) else 0.0
        better = metric < best - margin if self.mode == "min" else metric > best + margin
        return (float(metric), count // self.patience * self.patience) if better else (best, count + 1)

    def factor(self, state: State) -> float:
        return max(self.by ** (state[1] // self.patience), self.end)

    def check(self):
        if self.patience < 1:
            raise SettingError(f"Plateau.patience = {self.patience} must be at least 1")
        super().check()


def plateau_of(schedule: Schedule) -> Plateau | None:
    """The plateau in a schedule, whose factor multiplies it."""
    found = [level for level in schedule.levels() if isinstance(level, Plateau)]
    if len(found) > 1:
        raise SettingError(f"a schedule can hold one Plateau, not {len(found)}")
    return found[0] if found else None
