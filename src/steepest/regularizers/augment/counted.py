"""Changes that draw a number for each sample of sound or token as they go: loops for Numba, which `passes` hands out.

The numbers are those of `draws.bits`: number t of row i is known from t and i, so that a loop needs no state.
"""

import numpy as np
from numba import njit

from steepest.regularizers.augment.draws import GOLDEN, LEVELS, MIX, PIECE

FIRST, SECOND = MIX


@njit(nogil=True)
def mixed(z):
    z = (z ^ (z >> np.uint64(30))) * FIRST
    z = (z ^ (z >> np.uint64(27))) * SECOND
    return z ^ (z >> np.uint64(31))


@njit(nogil=True)
def bits(key, row, found):  # (size,) of uint32
    """A row of `draws.bits`."""
    wide, start = np.empty((len(found) + 1) // 2, np.uint64), mixed(key + row)
    for t in range(len(wide)):
        wide[t] = mixed(start + np.uint64(t) * GOLDEN)
    found[:] = wide.view(np.uint32)[: len(found)]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc"})
def noise(x, found, key, sizes, quantile):  # (N, T) both, a number, (N,), `draws.QUANTILE`
    """x + size * sqrt(power of x / power of the noise) * noise"""
    n, length = x.shape
    number = x.dtype.type
    drawn, pieces = np.empty(length, np.uint32), np.empty(length, np.uint32)
    levels, z = np.empty(length, np.float32), np.empty(length, np.float32)
    first, places, starts, slopes, negative = np.int32(PIECE), levels.view(np.int32), quantile[0], quantile[1], drawn.view(np.int32)
    for i in range(n):
        bits(key, np.uint64(i), drawn)
        source, target, mine, its = x[i], found[i], number(0), np.float32(0)
        for t in range(length):
            levels[t] = np.float32(np.int32(drawn[t] & np.uint32(LEVELS) | np.uint32(1)))
        for t in range(length):
            pieces[t] = np.uint32((places[t] >> np.int32(17)) - first)
        for t in range(length):
            z[t] = starts[pieces[t]] + slopes[pieces[t]] * levels[t]
        for t in range(length):
            z[t] = -z[t] if negative[t] < 0 else z[t]
        for t in range(length):
            its += z[t] * z[t]
            mine += source[t] * source[t]
        factor = number(sizes[i]) * np.sqrt(mine / number(its))
        for t in range(length):
            target[t] = source[t] + factor * number(z[t])


@njit(cache=True, nogil=True)
def forget(x, key, below, token, padding):  # (N, T), in place
    drawn = np.empty(x.shape[1], np.uint32)
    for i in range(len(x)):
        bits(key, np.uint64(i), drawn)
        for t in range(len(drawn)):
            if drawn[t] < below and x[i, t] != padding:
                x[i, t] = token


@njit(cache=True, nogil=True)
def exchange(x, key, below, padding):  # (N, T), in place
    length = x.shape[1]
    drawn, places = np.empty(length, np.uint32), np.empty(length + 1, np.int64)
    for i in range(len(x)):
        bits(key, np.uint64(i), drawn)
        count = 0
        for t in range(length):
            places[count] = t
            count += drawn[t] < below and x[i, t] != padding
        chosen = places[:count]
        order = chosen[np.argsort(drawn[chosen])]
        for k in range(0, count - 1, 2):
            a, b = order[k], order[k + 1]
            x[i, a], x[i, b] = x[i, b], x[i, a]
