"""A curve in characters: eight dots to each, by the Braille block of Unicode."""

from bisect import bisect_left
from itertools import pairwise
from math import isfinite
from statistics import fmean

from steepest.cli.notation import number

# Where between 0 and 1, and the value there.
Points = list[tuple[float, float]]
WIDTH, HEIGHT = 64, 10  # characters
ACROSS, DOWN = 2 * WIDTH, 4 * HEIGHT  # dots
MARGIN = 9  # characters before the curve: label and axis
# The bit of each dot of a character, by row and column.
BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
BLANK = 0x2800


def draw(ys: list[float]) -> list[str]:
    """HEIGHT lines of the curve, from 0 at the bottom, and two of the axis. Each column of dots leads from one value to the next.

    There is room for ACROSS + 1 values; jumps are drawn as walls.
    """
    top = max(*ys, 1e-300)
    rows = [DOWN - 1 - round(y / top * (DOWN - 1)) for y in ys]
    cells = [[BLANK] * WIDTH for _ in range(HEIGHT)]
    for x, (before, row) in enumerate(pairwise(rows)):
        # The dot of the first value belongs to the column before.
        step = (row > before) - (row < before)
        for y in range(min(row, before + step), max(row, before + step) + 1):
            cells[y // 4][x // 2] |= BITS[y % 4][x % 2]
    labels = {0: number(float(f"{top:.2g}")), HEIGHT - 1: "0"}
    lines = [f"{labels.get(i, ''):>7} ┤{''.join(map(chr, row))}".rstrip(chr(BLANK)) for i, row in enumerate(cells)]
    quarters = [round(i * (WIDTH - 1) / 4) for i in range(5)]
    ruler = "".join("┬" if i in quarters else "─" for i in range(WIDTH))
    below = [" "] * (WIDTH + 4)
    for i, column in enumerate(quarters):
        label = f"{25 * i}%"
        start = max(column - len(label) // 2, 0)
        below[start : start + len(label)] = label
    return [*lines, f"{'':>8}└{ruler}", f"{'':>9}{''.join(below).rstrip()}"]


def short(x: float) -> str:
    return number(float(f"{x:.4g}"))


def picture(points: Points) -> list[str]:
    """The curve from its lowest value, or from 0 if that is not far below; nothing for less than two values."""
    finite = [(x, y) for x, y in points if isfinite(y)]
    if len(finite) < 2:
        return []
    ys = columns(finite, ACROSS + 1)
    low, high = min(ys), max(ys)
    low = 0.0 if 0 <= low < high / 2 else low
    lines = draw([y - low for y in ys])
    for place, y in ((0, high), (HEIGHT - 1, low)):
        lines[place] = f"{short(y):>7}{lines[place][7:]}"
    lost = len(points) - len(finite)
    return lines + ([f"{'':>9}not finite: {lost} of {len(points)} values"] if lost else [])


def columns(points: Points, count: int) -> list[float]:
    """The mean in each column, and a straight line over columns without a point."""
    inside: dict[int, list[float]] = {}
    for x, y in points:
        inside.setdefault(min(max(int(x * count), 0), count - 1), []).append(y)
    places = sorted(inside)
    means = [fmean(inside[place]) for place in places]
    return [_between(places, means, column) for column in range(count)]


def _between(places: list[int], means: list[float], at: int) -> float:
    right = bisect_left(places, at)
    if right == len(places) or places[right] == at or right == 0:
        return means[min(right, len(means) - 1)]
    share = (at - places[right - 1]) / (places[right] - places[right - 1])
    return means[right - 1] + share * (means[right] - means[right - 1])
