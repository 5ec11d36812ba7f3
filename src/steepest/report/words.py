"""What a person would say of a run who has looked at all its curves."""

from collections.abc import Iterable, Iterator
from math import isfinite
from statistics import fmean

from steepest.records import number
from steepest.report.parts import shown
from steepest.report.reading import Story

# A gap of so large a share of the training loss is worth a word; so is so large a share of dead units.
WIDE, DEAD = 0.25, 0.5
# By so much the validation loss may rise from its lowest before it is called a rise.
RISE = 0.1
# One evaluation is noisy: so many are taken together.
LAST = 3
WARNINGS = 5


def span(seconds: float) -> str:
    """12 s, 3 min, 2.5 h."""
    for size, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {name}"
    return f"{seconds:.3g} s" if seconds else "no time"


def plural(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' * (n != 1)}"


def how_it_went(story: Story) -> Iterator[str]:
    s = story.summary
    if s.state == "not begun":
        yield "Nothing has been recorded yet."
        return
    lr = story.settings.get("optimizer.lr")
    rate = f" with a rate of {shown(lr)}" if isinstance(lr, (int, float)) else ""
    of = f" of {s.planned:,}" if s.planned is not None and s.planned != s.steps else ""
    yield f"{s.task} was learned with {s.rule}{rate}, from seed {s.seed}: {s.steps:,}{of} steps in {span(s.seconds)}."
    if s.best is not None and s.best_step is not None:
        share = f", {100 * s.best_step / s.steps:.0f} % of the way" if s.steps else ""
        last = f" The last is {shown(s.last)}." if s.last is not None and s.last != s.best else ""
        yield f"The best {s.metric} on validation data is {shown(s.best)}, at step {s.best_step:,}{share}; {s.better} is better.{last}"
    elif s.metric:
        yield f"There is no {s.metric} on validation data{' yet' * (s.state == 'unfinished')}."
    yield how_it_ended(story)
    yield from remarks(story)


def how_it_ended(story: Story) -> str:
    s = story.summary
    if s.state == "finished":
        return "The run is finished."
    if s.state == "unfinished":
        return (
            "The run has not ended: it is still going on, or its process died. "
            "What there was when this page was made is on it; steepest resume goes on from the last checkpoint."
        )
    return f"The run ended before its plan: {s.state}."


def remarks(story: Story) -> Iterator[str]:
    """What to look at, each with its numbers."""
    s = story.summary
    known = [(line["step"], number(line["metrics"][s.metric])) for line in story.valid if s.metric in line["metrics"]]
    if len(known) > 2 and s.best_step == known[-1][0]:
        yield "The best evaluation is the last one: more steps may improve it."
    losses = [(line["step"], number(line["metrics"]["loss"])) for line in story.valid if "loss" in line["metrics"]]
    finite = [(step, x) for step, x in losses if isfinite(x)]
    if len(finite) > LAST:
        means = [(finite[i][0], fmean(x for _, x in finite[i - LAST + 1 : i + 1])) for i in range(LAST - 1, len(finite))]
        (step, low), (_, end) = min(means, key=lambda found: found[1]), means[-1]
        if low > 0 and end > (1 + RISE) * low:
            yield (
                f"The validation loss was lowest around step {step:,} ({shown(low)}, the mean of {LAST} evaluations) and ends "
                f"{100 * (end / low - 1):.0f} % higher: a sign of learning the training data by heart. "
                "Regularization, more data or stop.patience help."
            )
    health = latest(story.health)
    if (gap := health.get("gap_share", 0.0)) > WIDE and isfinite(gap):
        yield f"At the last look the validation loss was {100 * gap:.0f} % above the training loss."
    dead = {name.partition("/")[2]: x for name, x in health.items() if name.startswith("dead/") and x > DEAD}
    for layer, share in dead.items():
        yield f"{100 * share:.0f} % of the units of {layer} let no gradient through for any sample of the last batch that was looked at."
    bad = [line["step"] for line in story.steps if not isfinite(number(line["loss"]))]
    if bad:
        yield f"The training loss was not a finite number at {plural(len(bad), 'step')}, first at step {bad[0]:,}."
    if rollbacks := sum(line["name"] == "rollback" for line in story.events):
        yield f"{plural(rollbacks, 'rollback')}: steps that went wrong were undone and left out. The events say which."
    warned = [f"Step {line['step']:,}: {line['warning']}" for line in story.health if "warning" in line]
    yield from warned[:WARNINGS]
    if len(warned) > WARNINGS:
        yield f"{plural(len(warned) - WARNINGS, 'more warning')} of this kind."


def latest(lines: Iterable[dict]) -> dict[str, float]:
    """Each number as it was last measured."""
    return {name: number(x) for line in lines for name, x in line["numbers"].items()}
