"""Several metrics at once: what nothing else beats in all of them."""

from collections.abc import Sequence

from steepest.core.errors import SettingError


def front(rows: Sequence[Sequence[float]]) -> list[int]:
    """The rows, all to be minimized, that no other equals everywhere and beats somewhere; by the first number. Of twins both."""
    if len({len(row) for row in rows}) > 1:
        raise SettingError("pareto: every row needs the same metrics")
    best = [k for k, row in enumerate(rows) if not any(beats(other, row) for other in rows)]
    return sorted(best, key=lambda k: (tuple(rows[k]), k))


def beats(a: Sequence[float], b: Sequence[float]) -> bool:
    return all(x <= y for x, y in zip(a, b, strict=True)) and tuple(a) != tuple(b)
