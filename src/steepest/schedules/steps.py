"""In steps: constant between moments, or drawn from point to point"""

from dataclasses import field
from itertools import pairwise
from math import floor
from typing import Any

from steepest.core.errors import SettingError
from steepest.core.knob import Knob, Option, as_number, knob
from steepest.schedules.base import Schedule
from steepest.schedules.span import TINY, duration, moments, percent, reached, share, within

INF = float("inf")
VALUE = Knob(1.0, "a factor", 0, INF, False, None, False)


def check_moments(where: str, at: tuple[float, ...], start: float, end: float) -> None:
    """Rising, and within the part."""
    for earlier, later in pairwise(at):
        if later - earlier < TINY:
            raise SettingError(f"{where} is out of order: {percent(later)} does not come after {percent(earlier)}")
    for moment in at:
        if moment < start - TINY:
            raise SettingError(f"{where}: {percent(moment)} of the run lies before its part, which begins at {percent(start)}")
        if moment > end + TINY:
            raise SettingError(f"{where}: {percent(moment)} of the run lies after its part, which ends at {percent(end)}")


def cycle(x: float, start: float, end: float, period: float) -> tuple[int, float]:
    """Periods that are over, and how far x is in the one after them. At the very end none begins anew."""
    q = (x - start) / period
    whole = round(q)
    if abs(q - whole) > TINY * max(1.0, q):
        return floor(q), q % 1
    return (whole - 1, 1.0) if whole and reached(x, end) else (whole, 0.0)


class Step(Schedule):
    """Times `factor` at each of the moments `at`; torch's MultiStepLR."""

    paper = "He et al., Deep Residual Learning for Image Recognition, CVPR 2016; arXiv:1512.03385"
    use = "SGD with momentum on images, by 0.1 at 50% and 75%; for the batch size, with factor 2."

    at: Any = moments((0.5, 0.75), "when: one moment or several, in order")
    factor: float = knob(0.1, "what each moment multiplies by", valid=(0, INF), search=(0.05, 0.5), log=True)

    def value(self, x, start, end):
        return self.factor ** sum(reached(x, share(moment)) for moment in self.at)

    def fit(self, start, end):
        check_moments("Step.at", tuple(map(share, self.at)), start, end)


class Staircase(Schedule):
    """Times `factor` after every `every`; torch's StepLR. Not at the very last step, which would have that factor alone."""

    use = "The same as step, without a list of moments: every 30 epochs by 0.1, or every epoch by 0.95."

    every: float | str = duration(0.3, "how long a stair is", search=(0.05, 0.5), log=True)
    factor: float = knob(0.1, "what each stair multiplies by", valid=(0, INF), search=(0.05, 0.95), log=True)

    def value(self, x, start, end):
        return self.factor ** cycle(x, start, end, share(self.every))[0]

    def fit(self, start, end):
        check_period("Staircase.every", share(self.every), start, end)


def check_period(where: str, period: float, start: float, end: float) -> None:
    if period < TINY:
        raise SettingError(f"{where} = 0 must be longer than nothing")
    if period > end - start + TINY:
        raise SettingError(f"{where} = {percent(period)} of the run is longer than its part, {percent(end - start)}")


class Piecewise(Schedule):
    """Straight lines from point to point: `values` at the moments `at`, level before the first and after the last."""

    use = "Any curve you can draw: at = [0, 0.2, 0.8, 1], values = [0.1, 1, 0.1, 0]."

    at: Any = moments((0.0, 0.2, 1.0), "when, in order")
    values: Any = field(default=(0.1, 1.0, 0.0), metadata={"option": Option((0.1, 1.0, 0.0), "the factor at each of these moments", ())})

    def value(self, x, start, end):
        at, values = tuple(map(share, self.at)), self.values
        if not reached(x, at[0]):
            return values[0]
        i = sum(reached(x, moment) for moment in at) - 1
        if i == len(at) - 1:
            return values[-1]
        u = within(x, at[i], at[i + 1])
        return values[i] * (1 - u) + values[i + 1] * u

    def check(self):
        if len(self.at) != len(self.values) or not self.at:
            raise SettingError(f"Piecewise needs a value for each moment, not {len(self.values)} for {len(self.at)}")
        super().check()

    def fit(self, start, end):
        # A curve drawn over the whole run may stand in a part of it: the rest is not asked for.
        check_moments("Piecewise.at", tuple(map(share, self.at)), 0.0, 1.0)

    def _checked(self, name: str, value: Any) -> Any:
        if name != "values":
            return super()._checked(name, value)
        if not isinstance(value, (list, tuple)):
            raise SettingError(f"Piecewise.values = {value!r} must be a list of numbers")
        return tuple(as_number("Piecewise.values", x, VALUE) for x in value)
