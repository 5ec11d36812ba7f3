"""One pass over a batch where torch needs several. Loops for Numba, over contiguous arrays on the CPU, which `common.passes` compiles.

Each says what a function of torch calls says too, in `images`, `light` or `geometry`; that serves everything else, and the tests
compare them.
"""

import numpy as np
from numba import njit

from steepest.regularizers.augment.counted import exchange, forget, noise
from steepest.regularizers.augment.lights import lights

__all__ = ["exchange", "forget", "hide", "lights", "mirror", "noise", "shade", "shift", "warp", "warp_bytes"]


@njit(cache=True, nogil=True)
def shift(x, found, down, right):  # (N, C, rows, columns) both; (N,) whole numbers
    """found[i, c, r, k] = x[i, c, r + down[i], k + right[i]], 0 beyond the edge: a plane in one copy, then what came from other rows."""
    n, channels, rows, columns = x.shape
    size = rows * columns
    for i in range(n):
        d, s = min(max(down[i], -rows), rows), min(max(right[i], -columns), columns)
        skip = d * columns + s
        first, last = max(0, -skip), min(size, size - skip)
        low, high = max(0, -s), min(columns, columns - s)
        for c in range(channels):
            if first < last:
                source = x[i, c].reshape(size)[first + skip : last + skip]
                target = found[i, c].reshape(size)[first:last]
                for k in range(last - first):
                    target[k] = source[k]
            for r in range(rows):
                line = found[i, c, r]
                inside = 0 <= r + d < rows
                for k in range(low if inside else columns):
                    line[k] = 0
                for k in range(high, columns):
                    line[k] = 0


@njit(cache=True, nogil=True)
def mirror(x, found, across, down):  # (N, C, rows, columns) both; (N,) both
    """Read backwards, a plane is mirrored both ways; one that is to be mirrored one way alone gets its lines exchanged."""
    n, channels, rows, columns = x.shape
    size = rows * columns
    for i in range(n):
        for c in range(channels):
            source, target = x[i, c].reshape(size), found[i, c].reshape(size)
            if across[i]:
                last = np.uint64(size - 1)  # without a sign, which Numba would look at
                for k in range(size):
                    target[k] = source[last - np.uint64(k)]
            else:
                for k in range(size):
                    target[k] = source[k]
            for r in range(rows // 2 if across[i] != down[i] else 0):
                upper, lower = found[i, c, r], found[i, c, rows - 1 - r]
                for k in range(columns):
                    upper[k], lower[k] = lower[k], upper[k]


@njit(cache=True, nogil=True)
def hide(x, boxes, values):  # (N, C, rows, columns), changed in place; (N, k, 4); (N,)
    """x[i, c, top : bottom, left : right] = values[i] for each (top, bottom, left, right) of boxes[i]"""
    n, channels, rows, columns = x.shape
    for i in range(n):
        for top, bottom, left, right in boxes[i]:
            for c in range(channels):
                for r in range(max(top, 0), min(bottom, rows)):
                    line = x[i, c, r]
                    for k in range(max(left, 0), min(right, columns)):
                        line[k] = values[i]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc"})
def shade(x, found, factors, shares, unit, zero, one):  # (N, C, pixels) both, (N,), (C,) or (0,); a unit of x is `unit`
    """mean + factor * (x - mean), into [0, 1], mean that of the channels in these shares; without shares factor * x."""
    n, channels, size = x.shape
    for i in range(n):
        mean = zero
        for c in range(len(shares)):
            pixels, total = x[i, c], zero
            for k in range(size):
                total += pixels[k] * unit
            mean += shares[c] * total / size
        factor, start = factors[i] * unit, mean - factors[i] * mean
        for c in range(channels):
            source, target = x[i, c], found[i, c]
            for k in range(size):
                value = source[k] * factor + start
                value = zero if value < zero else value
                target[k] = one if value > one else value


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def origins(m, r, rows, places, low, high, wide, at, u, v):
    """For row r of the result: in a frame of `wide` columns, which pixel is up and left of where each comes from, and how far it is."""
    across, down = (len(places) - 1) / 2, (rows - 1) / 2
    # A step to the right in the result is one by (a, d) in the image.
    number = places.dtype.type
    a, d = number(m[0, 0]), number(m[1, 0])
    x = number(m[0, 1] * (r - down) + m[0, 2] + across - m[0, 0] * across)
    y = number(m[1, 1] * (r - down) + m[1, 2] + down - m[1, 0] * across)
    for k in range(len(places)):
        column, row = x + a * places[k], y + d * places[k]
        # What is not a number compares as false, and ends at `low`.
        row, column = row if row > low[0] else low[0], column if column > low[1] else low[1]
        row, column = row if row < high[0] else high[0], column if column < high[1] else high[1]
        upper, left = np.floor(row), np.floor(column)
        u[k], v[k] = column - left, row - upper
        at[k] = (np.int32(upper) + 1) * wide + np.int32(left) + 1


@njit(cache=True, nogil=True, error_model="numpy")
def warp(x, found, matrices, places, low, high):  # (N, C, rows, columns) both, (N, 3, 3), (columns,), (2,), (2,)
    """`geometry.warp`: places are 0, 1, ...; what comes from outside of [low, high] (row, column) comes from there.

    Each image lies in a frame of zeros, so that no neighbor needs a check; weights serve all channels.
    """
    n, channels, rows, columns = x.shape
    wide = columns + 3
    size = (rows + 3) * wide
    framed = np.zeros((channels, size), x.dtype)
    at, u, v = np.empty(columns, np.uint32), np.empty(columns, x.dtype), np.empty(columns, x.dtype)
    for i in range(n):
        for c in range(channels):
            for r in range(rows):
                line, source = framed[c, (r + 1) * wide + 1 : (r + 1) * wide + 1 + columns], x[i, c, r]
                for k in range(columns):
                    line[k] = source[k]
        for r in range(rows):
            origins(matrices[i], r, rows, places, low, high, wide, at, u, v)
            for c in range(channels):
                plane, line = framed[c], found[i, c, r]
                right, under, beyond = plane[1:], plane[wide:], plane[wide + 1 :]
                for k in range(columns):
                    p = at[k]
                    above = plane[p] + u[k] * (right[p] - plane[p])
                    below = under[p] + u[k] * (beyond[p] - under[p])
                    line[k] = above + v[k] * (below - above)


@njit(cache=True, nogil=True, error_model="numpy")
def warp_bytes(x, found, matrices, places, low, high):
    """The same of bytes, found as floats in [0, 1]: four neighbors are one number of 32 bits, and read at once."""
    n, channels, rows, columns = x.shape
    wide = columns + 3
    size = (rows + 3) * wide
    framed = np.zeros(size + wide + 1, np.uint8)
    fours = np.empty((channels, size), np.uint32)
    at, u, v = np.empty(columns, np.uint32), np.empty(columns, found.dtype), np.empty(columns, found.dtype)
    near, unit = np.empty(columns, np.uint32), places.dtype.type(1 / 255)
    for i in range(n):
        for c in range(channels):
            for r in range(rows):
                line, source = framed[(r + 1) * wide + 1 : (r + 1) * wide + 1 + columns], x[i, c, r]
                for k in range(columns):
                    line[k] = source[k]
            right, under, beyond, four = framed[1:], framed[wide:], framed[wide + 1 :], fours[c]
            for k in range(size):
                four[k] = np.uint32(framed[k]) | np.uint32(right[k]) << 8 | np.uint32(under[k]) << 16 | np.uint32(beyond[k]) << 24
        for r in range(rows):
            origins(matrices[i], r, rows, places, low, high, wide, at, u, v)
            for c in range(channels):
                four, line = fours[c], found[i, c, r]
                for k in range(columns):
                    near[k] = four[at[k]]
                for k in range(columns):
                    q = near[k]
                    a, b = np.float32(np.int32(q & 255)), np.float32(np.int32(q >> 8 & 255))
                    d, e = np.float32(np.int32(q >> 16 & 255)), np.float32(np.int32(q >> 24 & 255))
                    above, below = a + u[k] * (b - a), d + u[k] * (e - d)
                    line[k] = (above + v[k] * (below - above)) * unit
