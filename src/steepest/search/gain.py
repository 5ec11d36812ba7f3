"""Is more searching likely to gain anything? From how the best scores lie, as records of independent draws do."""

from collections.abc import Iterable, Sequence
from math import log
from statistics import mean

from steepest.search.history import Trial

# Fewer full trainings than this tell nothing of a tail.
LEAST = 12
# A gain that nobody would wait for, as a share of the score; and the chance of more that is let go.
SMALL, CHANCE = 0.002, 0.1


def likely_gain(scores: Sequence[float], more: int, chance: float = CHANCE) -> float:
    """By how much `more` trials, drawn as those were, lower the best: what they exceed with this chance alone.

    The lower tail of scores is taken as exponential, of the scale that the best third has. Then one draw beats the best of n by more
    than g with probability exp(-g / scale) / n.
    """
    ordered = sorted(scores)
    n, k = len(ordered), max(2, len(ordered) // 3)
    scale = mean(ordered[k] - x for x in ordered[:k])
    return max(0.0, scale * log(more / (n * chance)))


def exhausted(trials: Iterable[Trial], full: int, noise: float, more: int = 16) -> bool:
    """Whether `more` full trainings are unlikely to gain what anybody would notice, or what one could tell from another seed."""
    scores = [t.score for t in trials if t.epochs == full and not t.over]
    return len(scores) >= LEAST and likely_gain(scores, more) < max(SMALL * abs(min(scores)), noise)
