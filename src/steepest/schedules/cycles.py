"""In cycles: down and up again"""

from steepest.core.errors import SettingError
from steepest.core.knob import knob, option
from steepest.schedules.base import Schedule
from steepest.schedules.decays import cosine, lerp
from steepest.schedules.span import TINY, duration, percent, reached, share, within
from steepest.schedules.steps import check_period, cycle

INF = float("inf")


class CosineRestarts(Schedule):
    """Half a wave of the cosine in each cycle, then up at once (Loshchilov & Hutter, 2017, eq. 5). Never up at the very last step."""

    paper = "Loshchilov & Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, ICLR 2017; arXiv:1608.03983"
    use = "To collect a good model at the end of each cycle (snapshots); otherwise cosine. growth 2 with a period that fills the run."

    period: float | str = duration(0.25, "how long the first cycle is", search=(0.05, 0.5), log=True)
    growth: float = knob(1.0, "how much longer each cycle is than the one before", valid=(1, INF), search=(1.0, 3.0))
    end: float = knob(0.0, "factor at the end of a cycle", valid=(0, INF), search=(0.0, 0.1))

    def value(self, x, start, end):
        first = share(self.period)
        if self.growth == 1:
            return lerp(self.end, 1.0, cosine(cycle(x, start, end, first)[1]))
        begin, period = start, first
        while reached(x, begin + period) and not reached(begin + period, end):
            begin, period = begin + period, period * self.growth
        return lerp(self.end, 1.0, cosine(within(x, begin, begin + period)))

    def fit(self, start, end):
        check_period("CosineRestarts.period", share(self.period), start, end)


class Triangular(Schedule):
    """Up and down between `low` and 1 in straight lines (Smith, 2017); with shrink 0.5 his triangular2."""

    paper = "Smith, Cyclical Learning Rates for Training Neural Networks, WACV 2017; arXiv:1506.01186"
    use = "When no single rate is sure: set low and the knob's value to the ends of a range test."

    period: float | str = duration(0.25, "how long a cycle is", search=(0.05, 0.5), log=True)
    low: float = knob(0.1, "factor at the start of a cycle", valid=(0, INF), search=(0.01, 0.5), log=True)
    rise: float = knob(0.5, "the share of a cycle that goes up", valid=(0, 1), closed=True, search=(0.1, 0.9))
    shrink: float = knob(1.0, "how much lower each peak is than the one before", valid=(0, 1), closed=True, search=(0.5, 1.0))

    def value(self, x, start, end):
        passed, u = cycle(x, start, end, share(self.period))
        height = within(u, 0.0, self.rise) if u <= self.rise else 1 - within(u, self.rise, 1.0)
        return lerp(self.low, 1.0, height * self.shrink**passed)

    def fit(self, start, end):
        check_period("Triangular.period", share(self.period), start, end)


class OneCycle(Schedule):
    """From `start` up to `peak`, then down to `end` (Smith & Topin, 2018); in three phases first down to `start` as fast as it went up.

    The defaults are those of torch's OneCycleLR and fast.ai's. For momentum: start 1, peak 0.85 / 0.95, end 1.
    """

    paper = "Smith & Topin, Super-Convergence, 2018; arXiv:1708.07120"
    use = "Short runs at a high rate, with SGD or AdamW; set the rate near the edge that a range test finds."

    rise: float | str = duration(0.3, "how long it goes up", search=(0.1, 0.5))
    start: float = knob(0.04, "factor at the first step", valid=(0, INF), search=(0.01, 0.2), log=True)
    peak: float = knob(1.0, "factor at the top", valid=(0, INF), search=(0.5, 2.0), log=True)
    end: float = knob(4e-6, "factor at the last step", valid=(0, INF), search=(1e-6, 1e-2), log=True)
    curve: str = option("cosine", "how it goes from one to the next", choices=("cosine", "linear"))
    three_phase: bool = option(False, "back to start first, then to end")

    def value(self, x, start, end):
        top = start + share(self.rise)
        if not reached(x, top):
            return self._between(self.start, self.peak, within(x, start, top))
        if not self.three_phase:
            return self._between(self.peak, self.end, within(x, top, end))
        back = top + share(self.rise)
        if not reached(x, back):
            return self._between(self.peak, self.start, within(x, top, back))
        return self._between(self.start, self.end, within(x, back, end))

    def _between(self, a: float, b: float, u: float) -> float:
        return lerp(b, a, cosine(u)) if self.curve == "cosine" else lerp(a, b, u)

    def fit(self, start, end):
        needed = share(self.rise) * (2 if self.three_phase else 1)
        if needed > end - start - TINY:
            twice = " twice" if self.three_phase else ""
            said = f"OneCycle.rise = {percent(share(self.rise))} of the run{twice}"
            raise SettingError(f"{said} leaves nothing of the {percent(end - start)} to go down")
