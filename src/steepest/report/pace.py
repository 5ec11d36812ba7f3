"""How fast methods learn: their curves, and when they came to a target."""

from collections.abc import Iterator
from typing import Any

from steepest.report import beside, charts, words
from steepest.report.contest import Contest, known, table_of
from steepest.report.parts import Column, Figure, Html, Table, table, tag
from steepest.report.results import METHOD, named


def curves(contest: Contest) -> Iterator[Figure]:
    """By method as the record has them; before it has any, and for each run, as the runs have."""
    yield from averaged(contest)
    group = contest.fresh()
    if group.stories:
        figures = list(beside.curves(group))
        yield from (
            figure for figure in figures if not (contest.found.get("curves") and figure.title == f"Validation {contest.metric}, by method")
        )


def averaged(contest: Contest) -> Iterator[Figure]:
    rows: list[tuple[Any, ...]] = []
    for name in contest.order:
        if curve := contest.found.get("curves", {}).get(name):
            columns = zip(curve["epochs"], curve["mean"], curve["low"], curve["high"], curve["n"], strict=True)
            rows += [(name, epoch, *map(known, numbers), n) for epoch, *numbers, n in columns]
    if len({row[1] for row in rows}) > 1:
        heads = [METHOD, Column("step", "epoch", True), Column("value", "mean", True), Column("low", "95 % from", True)]
        data = Table([*heads, Column("high", "to", True), Column("n", "runs", True)], rows)
        about = (
            "The mean of the runs on fresh seeds after each epoch, which lies in the band with 95 %. A run that diverged ends where it did."
        )
        chart = charts.bands(contest.metric, max(row[1] for row in rows), [x for row in rows for x in row[2:5]], contest.order, SAID)
        yield Figure(f"The {contest.metric} by epoch", about, data, chart)


SAID = ("epoch", "mean", "95 % from", "to")


def target(contest: Contest) -> Iterator[Html]:
    found = contest.found.get("target")
    if not found:
        return
    seconds = table_of(table_of((contest.study.answer or {}).get("time")).get("target"))
    rows = []
    for name in contest.order:
        row = found["methods"][name]
        took = known(seconds.get(name))
        rows.append(
            (named(contest, name), f"{row['reached']} of {row['n']}", row["epochs"], row["steps"], words.span(took) if took else None)
        )
    yield tag(
        "p",
        f"The target: {found['words']}. What it took is the median over the runs on fresh seeds, where at least half came there.",
        class_="note",
    )
    heads = [METHOD, Column("reached", "came there"), Column("epochs", "epochs", True), Column("steps", "steps", True)]
    yield table(Table([*heads, Column("seconds", "time, on this machine")], rows), "data")
