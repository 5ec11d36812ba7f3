"""What a careful person would say of a study, in plain sentences, and only what its trials show."""

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import NamedTuple

from steepest.search.dimension import text
from steepest.search.gain import LEAST, likely_gain
from steepest.search.history import Trial, history_of
from steepest.search.jobs import Seen
from steepest.search.naming import Candidate, candidates, noise, ranked
from steepest.search.space import Space

# A place so near to the end of a range is at its end.
EDGE = 0.03
# Fewer trials than so many for each number that was searched know little of it; and fewer trials of one rule than this, of the rule.
EACH, FEW = 2, 4
# Leaders that are held against the noise; the trials that importance needs; a share of it that is worth a word.
LEADERS, NEEDED, WORTH = 5, 20, 0.1
# A test loss of so many validation losses is worth a word.
FITTED = 2.0


class Advice(NamedTuple):
    """Sentences, the most useful first; and the share of each choice in the differences between trials."""

    sentences: list[str]
    importance: dict[str, float]


def advice(space: Space, full: int, seen: Seen) -> Advice:
    """A study without a trial that came to a score says nothing."""
    trials = list(history_of(seen).trials.values())
    found, shares = ranked(candidates(trials)), importance(space, trials)
    if not found:
        return Advice([], shares)
    said = [
        *edges(space, found[0]),
        *undertuned(space, trials, found[0]),
        *indistinguishable(found),
        *prospects(full, trials, noise(found)),
        *weighty(shares),
    ]
    return Advice(said, shares)


def fitted(valid: Mapping[str, float], test: Mapping[str, float] | None) -> Iterator[str]:
    """A loss on test data far above the one that chose."""
    chose, found = valid.get("loss", 0.0), (test or {}).get("loss", 0.0)
    if 0 < chose * FITTED < found:
        yield (
            f"The test loss, {found:.3g}, is {found / chose:.1f} times the validation loss of the same weights: test data are harder, "
            "or the search has fitted its validation samples; --folds 5 would choose by all of the data."
        )


def edges(space: Space, best: Candidate) -> Iterator[str]:
    for d in space.dimensions:
        if d.name in best.point and not d.choices:
            u, value = d.place(best.point[d.name]), best.point[d.name]
            # A share that is best at 0, or a size at 1, has no further to go.
            if u < EDGE and d.low != 0 and not (d.integer and d.low == 1):
                yield f"The best {d.path} = {value:g} is at the lower edge of its range [{d.low:g}, {d.high:g}]; widen the range below."
            elif u > 1 - EDGE:
                yield f"The best {d.path} = {value:g} is at the upper edge of its range [{d.low:g}, {d.high:g}]; widen the range above."


def undertuned(space: Space, trials: Sequence[Trial], best: Candidate) -> Iterator[str]:
    there = [d for d in space.dimensions if d.name in best.point and len(d.choices) != 1]
    points = len({text(t.point) for t in trials})
    if points < EACH * len(there):
        yield f"{points} recipes were tried, with {len(there)} things to choose: a better one may well be missed; give more budget."
    rules = next((d for d in space.dimensions if d.path == "optimizer.rule" and len(d.choices) > 1), None)
    for rule in rules.choices if rules else ():
        times = len({text(t.point) for t in trials if t.point.get(rules.name) == rule}) if rules else 0
        if times < FEW:
            yield f"{rule} was tried {_times(times)}: that is no verdict on it."


def indistinguishable(found: Sequence[Candidate]) -> Iterator[str]:
    spread, leaders = noise(found), found[:LEADERS]
    close = [c for c in leaders if c.mean - leaders[0].mean <= spread]
    if not spread and len(leaders) > 1:
        yield "No recipe was trained with a second seed, so nobody knows how much of the difference between the best is chance."
    elif len(close) > 1:
        far = max(c.mean for c in close) - min(c.mean for c in close)
        yield f"The best {len(close)} recipes differ by {far:.2g}, less than the noise between seeds, {spread:.2g}: take the one you like."


def prospects(full: int, trials: Sequence[Trial], spread: float, more: int = 16) -> Iterator[str]:
    scores = [t.score for t in trials if t.epochs == full and t.kind != "repeat" and isfinite(t.score)]
    if len(scores) >= LEAST:
        gain, best = likely_gain(scores, more), abs(min(scores))
        if 0 < min(scores) <= gain:  # the estimate knows no floor; nobody gains more than all there is
            return
        said = f"{gain:.2g}" + (f" ({gain / best:.1%})" if best else "")
        small = ", which is less than the noise between seeds" if gain < spread else ""
        yield f"{more} more trainings like these are unlikely (1 in 10) to gain more than {said}{small}."


def weighty(found: Mapping[str, float]) -> Iterator[str]:
    heavy = [f"{path} {share:.0%}" for path, share in found.items() if share >= WORTH]
    if heavy:
        rest = [path for path, share in found.items() if share < WORTH / 10]
        tail = f" Hardly any: {', '.join(rest[:5])}." if rest else ""
        yield f"Of the differences between trials these explain most: {', '.join(heavy)}.{tail}"


def importance(space: Space, trials: Sequence[Trial], seed: int = 0) -> dict[str, float]:
    """The share of each value in the variance of scores (functional ANOVA: Hutter et al., 2014), the largest first; {} of few trials.

    Of trials as long as most were. A knob that each rule has in a range of its own counts by its place in that range.
    """
    scored = [(t, epochs) for t in trials for epochs in t.scores]
    lengths = [epochs for _, epochs in scored]
    if not lengths:
        return {}
    length = max(set(lengths), key=lambda n: (lengths.count(n), n))
    known = [t for t, epochs in scored if epochs == length]
    if len(known) < NEEDED:
        return {}
    from steepest.search.anova import shares  # Optuna and scikit-learn: only a study with enough trials waits for them

    return shares(space, [(t.point, t.scores[length]) for t in known], seed)


def _times(n: int) -> str:
    return ("not at all", "once", "twice")[n] if n < 3 else f"{n} times"
