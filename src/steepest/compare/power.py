"""How likely a difference is to be found, and how many seeds that takes."""

from math import floor

from scipy.stats import ncf, norm
from scipy.stats import t as student

# In standard errors. Beyond this no difference is in doubt, and no table of a distribution is asked.
CERTAIN = 30.0


def power(n: int, difference: float, spread: float, alpha: float = 0.05) -> float:
    """The probability that the test of n pairs finds a mean difference that differs by `spread` from seed to seed.

    That of Student's t test on normal numbers, which the test by signs comes near, at the level that 2^n equally likely ways can have:
    for 5 pairs and alpha = 0.05 that is none. Where only pairs that all have one sign are enough, it is how likely that is.
    """
    ways = 2.0 ** (min(n, 60) - 1)
    level = floor(alpha * ways) / ways
    if not level or not difference:
        return level
    size = abs(difference) / spread if spread else CERTAIN
    if level == 1 / ways:
        return float(norm.cdf(size) ** n + norm.cdf(-size) ** n)
    return float(ncf.sf(student.isf(level / 2, n - 1) ** 2, 1, n - 1, min(n * size**2, CERTAIN**2)))


def seeds_for(difference: float, spread: float, alpha: float = 0.05, wanted: float = 0.8, most: int = 1000) -> int | None:
    """The fewest pairs with which the difference is found with probability `wanted`; None if `most` are too few."""
    if power(most, difference, spread, alpha) < wanted:
        return None
    low, high = 1, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle, difference, spread, alpha) >= wanted else (middle, high)
    return high
