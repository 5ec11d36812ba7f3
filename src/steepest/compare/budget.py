"""The best that a budget of trials can be expected to find."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import betaln

from steepest.compare.scores import Array, better_is_more, floored, sign_of


def expected_best(values: Sequence[float | None], direction: str) -> Array:
    """What the best of k trials is on average, for k = 1, ..., n, if n trials of equal standing came out like this.

    The mean over all k of the n, which is unbiased; the best of the first k depends on their order, and the best of k drawn with
    repetition is too bad (Tang et al., 2020, arXiv:2004.13705). Trials of a sampler that learns are not of equal standing: for
    those, it is about their order at random. A miss counts as the worst of the others.
    """
    x = np.sort(floored(better_is_more(values, direction)))
    n = len(x)
    i, k = np.arange(1, n + 1), np.arange(1, n + 1)[:, None]
    at_least = i >= k  # the best of k is never among the k - 1 worst
    weight = np.where(at_least, np.exp(choose(i - 1, k - 1) - choose(n, k)), 0.0)  # the i-th is the best of k
    return sign_of(direction) * (weight @ x)


def choose(n: Any, k: Any) -> Array:
    """The logarithm of n over k."""
    return -np.log(n + 1) - betaln(np.maximum(n - k, 0) + 1, k + 1)
