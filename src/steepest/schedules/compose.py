"""Made of others: one after another, or times one another"""

from typing import Any

from steepest.core.errors import SettingError
from steepest.core.knob import knob
from steepest.schedules.base import Schedule
from steepest.schedules.span import TINY, duration, moments, percent, reached, share, within
from steepest.schedules.steps import check_moments

INF = float("inf")


class Warmup(Schedule):
    """In a straight line from `start` times the inner's first value to that value; the inner has the rest of the run (Goyal et al., 2017).

    A warmup of "500 steps" ends at step 500, where the inner begins.
    """

    paper = "Goyal et al., Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour, 2017; arXiv:1706.02677"
    use = "Adam and its relatives, transformers, large batches; 1% to 10% of the run."

    inner: Schedule
    warmup: float | str = duration(0.1, "how long it is", search=(0.0, 0.3))
    start: float = knob(0.01, "where it starts, as a share of the inner's first value", valid=(0, 1), closed=True, search=(0.0, 0.3))

    def value(self, x, start, end):
        begin = start + share(self.warmup)
        if reached(x, begin):
            return self.inner.value(x, begin, end)
        u = within(x, start, begin)
        return self.inner.value(begin, begin, end) * (self.start * (1 - u) + u)

    def fit(self, start, end):
        begin = start + share(self.warmup)
        if begin > end - TINY:
            left = "the run" if (start, end) == (0, 1) else f"its part, {percent(end - start)}"
            raise SettingError(f"Warmup.warmup = {percent(share(self.warmup))} of the run leaves nothing of {left}")
        self.inner.fit(begin, end)


class Sequence(Schedule):
    """Several schedules, one after another; each ends where the next begins, at the moments `until`.

    torch's SequentialLR, but with parts that know how long they are, and nothing to restore but the step.
    """

    use = "Any curve made of known ones: warmup, a long constant, two different decays."

    parts: tuple[Schedule, ...]
    until: Any = moments((), "where each part but the last ends")

    def value(self, x, start, end):
        seams = (start, *map(share, self.until), end)
        i = sum(reached(x, seam) for seam in seams[1:-1])
        return self.parts[i].value(x, seams[i], seams[i + 1])

    def check(self):
        if not self.parts or len(self.until) != len(self.parts) - 1:
            raise SettingError(
                f"Sequence.until has {len(self.until)} moments for {len(self.parts)} parts; every part but the last must say where it ends"
            )
        super().check()

    def fit(self, start, end):
        seams = (start, *map(share, self.until), end)
        check_moments("Sequence.until", seams[1:-1], start, end)
        check_moments("Sequence.until", seams, start, end)
        for part, begin, stop in zip(self.parts, seams[:-1], seams[1:], strict=True):
            part.fit(begin, stop)


class Product(Schedule):
    """Several schedules at once, multiplied."""

    use = "A slow decay with cycles on it, or a warmup on anything without moving it."

    parts: tuple[Schedule, ...]

    def value(self, x, start, end):
        result = 1.0
        for part in self.parts:
            result *= part.value(x, start, end)
        return result

    def fit(self, start, end):
        for part in self.parts:
            part.fit(start, end)


class Inverse(Schedule):
    """One over the inner, and at most `most`: a batch that grows where the rate would fall (Smith et al., 2018)."""

    paper = "Smith et al., Don't Decay the Learning Rate, Increase the Batch Size, ICLR 2018; arXiv:1711.00489"
    use = "For the batch size, by grow_batch; most is what memory allows."

    inner: Schedule
    most: float = knob(16.0, "largest factor", valid=(1, INF), closed=True, search=(2.0, 64.0), log=True)

    def value(self, x, start, end):
        return 1 / max(self.inner.value(x, start, end), 1 / self.most)

    def fit(self, start, end):
        self.inner.fit(start, end)
