"""The page of one run."""

from collections.abc import Iterator, Sequence
from typing import Any

from steepest.records import number
from steepest.report import charts, thin, words
from steepest.report.decided import environment, events, problems, recipe, reproduce
from steepest.report.extras import confusions, samples
from steepest.report.health import STEP, VALUE, health
from steepest.report.parts import Column, Figure, Html, Section, Table, bullets, facts, joined, shown
from steepest.report.reading import Line, Story

# Bins of a long curve; points of a curve that is drawn as it is.
BINS, POINTS = 300, 300


def sections(story: Story) -> list[Section]:
    made = [
        Section("What came of it", [summary(story)]),
        Section("Learning curves", list(learning(story))),
        Section("Rate and other knobs", list(knobs(story))),
        Section("Gradients, weights, units", list(health(story))),
        Section("What it confuses", list(confusions(story))),
        Section("Samples", list(samples(story))),
        Section("What happened on the way", list(events(story))),
        Section("The recipe", list(recipe(story))),
        Section("Where it ran", list(environment(story))),
        Section("How to reproduce it", list(reproduce(story))),
        Section("What could not be read", list(problems([story]))),
    ]
    return [one for one in made if one.parts]


def summary(story: Story) -> Html:
    s = story.summary
    tiles = facts(
        [
            (f"best {s.metric}", shown(s.best)),
            ("at step", f"{s.best_step:,}" if s.best_step is not None else None),
            ("training loss", shown(s.loss)),
            ("steps", f"{s.steps:,}" + (f" of {s.planned:,}" if s.planned is not None else "")),
            ("time", words.span(s.seconds) if s.seconds else None),
            ("steps per second", shown(float(f"{s.steps / s.seconds:.3g}")) if s.seconds else None),
            ("rule", s.rule),
            ("seed", s.seed),
            ("state", s.state),
            ("begun", s.begun.replace("T", " ").replace("+00:00", " UTC")),
        ]
    )
    return joined([bullets(words.how_it_went(story)), tiles])


def learning(story: Story) -> Iterator[Figure]:
    if story.steps:
        yield loss(story)
    names = dict.fromkeys(name for line in story.evaluations for name in line["metrics"] if name != "loss")
    for name in sorted(names, key=lambda name: name != story.summary.metric):
        yield metric(story, name)


def loss(story: Story) -> Figure:
    """The training loss in bins, and the loss of each evaluation."""
    bins, size = thin.binned([(line["step"], number(line["loss"])) for line in story.steps], BINS)
    rows: list[Sequence[Any]] = [("training", x.step, x.mean, *((x.low, x.high) if size > 1 else (None, None))) for x in bins]
    measured = [line for line in story.evaluations if "loss" in line["metrics"]]
    rows += [(split(line), line["step"], number(line["metrics"]["loss"]), None, None) for line in thin.spread(measured, POINTS)]
    order = list(dict.fromkeys(str(row[0]) for row in rows))
    columns = [Column("of", "of"), STEP, Column("value", "loss", True), Column("low", "least", True), Column("high", "greatest", True)]
    happened = sorted({line["step"] for line in story.events if line["name"] == "rollback"})
    chart = charts.curves("loss", "of", story.summary.steps, [x for row in rows for x in row[2:]], order, band=size > 1, events=happened)
    about = "The loss on training batches as it was learned from, and on whole parts of the data at each evaluation."
    if happened:
        about += " Dashed: steps that went wrong and were undone."
    return Figure("Loss", about, Table(columns, rows), chart, thinned(story, size))


def thinned(story: Story, size: int) -> str:
    read = f"One in {story.every} steps was read. " if story.every > 1 else ""
    together = f"{size} steps stand in one row: the mean, the least and the greatest of them." if size > 1 else "Every step is there."
    evaluations = sum("loss" in line["metrics"] for line in story.evaluations)
    few = f" Of {evaluations} evaluations about {POINTS} are there, evenly spread." if evaluations > POINTS else ""
    return read + (together if size > 1 or not read else "Each of them is there.") + few


def metric(story: Story, name: str) -> Figure:
    known = [line for line in story.evaluations if name in line["metrics"]]
    kept = thin.spread(known, POINTS)
    rows = [(split(line), line["step"], number(line["metrics"][name])) for line in kept]
    order = list(dict.fromkeys(row[0] for row in rows))
    s = story.summary
    best = (
        f"The best, {shown(s.best)}, is at step {s.best_step:,}; {s.better} is better."
        if name == s.metric and s.best_step is not None
        else ""
    )
    note = "Every evaluation is there." if len(kept) == len(known) else f"{len(kept)} of {len(known)} evaluations, evenly spread."
    chart = charts.curves(name, "of", s.steps, [row[2] for row in rows], order)
    return Figure(name, best, Table([Column("of", "of"), STEP, Column("value", name, True)], rows), chart, note)


def split(line: Line) -> str:
    found = str(line.get("split", "valid"))
    return {"valid": "validation", "train": "training part"}.get(found, found)


def knobs(story: Story) -> Iterator[Figure]:
    """Whatever number a line of a step has, beside its loss: a rate, and other knobs that are scheduled."""
    names = dict.fromkeys(name for line in story.steps for name in line if name not in ("kind", "step", "loss", "time"))
    for name in names:
        points = [(line["step"], x) for line in story.steps if name in line and (x := numeric(line[name])) is not None]
        if points:
            chosen = thin.spread(points, POINTS)
            note = (
                "Every step is there."
                if len(chosen) == len(points) and story.every == 1
                else f"{len(chosen)} steps, evenly spread, as they were."
            )
            title = "learning rate" if name == "lr" else name
            chart = charts.course(title, story.summary.steps, [x for _, x in chosen])
            yield Figure(title.capitalize() if name == "lr" else name, "", Table([STEP, VALUE], chosen), chart, note)


def numeric(value: Any) -> float | None:
    try:
        return None if isinstance(value, bool) else number(value)
    except (TypeError, ValueError):
        return None
