"""Verdicts as sentences. Nothing is said that the numbers do not carry."""

from math import floor, isfinite, log10

from steepest.compare.statistics import least_seeds
from steepest.compare.verdicts import Verdict

# What was repeated, and one of it.
UNITS = {"seeds": "seed", "studies": "study"}


def words(verdict: Verdict, *, points: bool = False, unit: str = "seeds") -> str:
    """`adamw beats sgd by 0.8 points (95 %: 0.3 to 1.3; 10 seeds; p = 0.004)`.

    With `points` scores are shares, and differences are said in points of a hundred. `unit` is what was repeated.
    """
    both = f"{verdict.first} and {verdict.second}"
    if verdict.kind == "waiting":
        return f"{both}: nothing can be said yet; they have {verdict.n or 'none'} of the {unit} in common"
    if verdict.kind == "same":
        every = f"both diverged in all {verdict.n} {unit}" if verdict.missed[0] == verdict.n else f"the same in all {verdict.n} {unit}"
        return f"{both}: {every}"
    evidence = f"{verdict.n} {unit}; {probability(verdict)}"
    if any(verdict.missed):
        evidence = f"better in {wins(verdict)} of {evidence}; {misses(verdict)}"
    else:
        evidence = f"{100 * (1 - verdict.alpha):g} %: {between(verdict, points)}; {evidence}"
    if verdict.kind == "better":
        by = "" if any(verdict.missed) else f" by {amount(verdict.difference, verdict, points)}{' points' if points else ''}"
        return f"{verdict.first} beats {verdict.second}{by} ({evidence})"
    return f"{both}: not distinguishable ({evidence}); {outlook(verdict, points, unit)}"


def outlook(verdict: Verdict, points: bool, unit: str) -> str:
    least = least_seeds(verdict.tests, verdict.alpha)
    if verdict.n < least:
        compared = "one comparison" if verdict.tests == 1 else f"{verdict.tests} comparisons"
        return f"{verdict.n} {unit} cannot settle {compared}, however they come out; it takes {least} or more"
    if verdict.size == 0:
        return "the means are equal: there is no difference to settle"
    what = f"a difference of {amount(verdict.size, verdict, points)}" if isfinite(verdict.size) else "it"
    if verdict.more is None:
        return f"more than 1,000 {unit} would be needed to settle {what}"
    return f"about {verdict.more} more {unit if verdict.more > 1 else UNITS[unit]} would settle {what}"


def between(verdict: Verdict, points: bool) -> str:
    said = f"{amount(verdict.low, verdict, points)} to {amount(verdict.high, verdict, points)}"
    return f"{said} points" if points and verdict.kind == "open" else said


def amount(x: float, verdict: Verdict, points: bool) -> str:
    """With as many decimals as the interval is worth. What they would hide keeps one digit."""
    scale = 100.0 if points else 1.0
    x, width = scale * x, scale * (verdict.high - verdict.low)
    decimals = max(1 - floor(log10(width)), 0) if width > 0 else 3
    return f"{x:.{decimals}f}" if round(x, decimals) or not x else f"{x:.1g}"


def probability(verdict: Verdict) -> str:
    """After the correction; where that has made the difference, it is said."""
    p = "p < 0.001" if verdict.p < 0.001 else f"p = {verdict.p:.{1 if verdict.p < 0.01 else 2}g}"
    corrected = verdict.tests > 1 and verdict.single <= verdict.alpha < verdict.p
    return f"{p}, corrected for {verdict.tests} comparisons" if corrected else p


def wins(verdict: Verdict) -> str:
    """Seeds in which the first is better; those in which both are equal count half."""
    return f"{verdict.wins * verdict.n:g}"


def misses(verdict: Verdict) -> str:
    names = zip((verdict.first, verdict.second), verdict.missed, strict=True)
    return "; ".join(f"{name} diverged in {count}" for name, count in names if count)
