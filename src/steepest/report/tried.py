"""What a study tried: how the best was found, and what was chosen against what came of it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import inf, isfinite
from typing import Any

from steepest.records import Study, number
from steepest.report import charts
from steepest.report.decided import literal
from steepest.report.parts import Column, Figure, Table, shown
from steepest.report.reading import Line

TRIAL, EPOCHS = Column("run", "trial"), Column("method", "trained for")


def last_results(found: Study) -> list[tuple[Line, Line]]:
    """Of each trial the last decision and its result, if that has a value."""
    pairs = [(found.jobs[n], found.results[n]) for ns in found.trials.values() for n in ns[-1:]]
    return [(job, result) for job, result in pairs if isfinite(value(found, result))]


def value(found: Study, result: Line) -> float:
    """The objective as the task measures it; where a result has no such metric, its score, of which less is better."""
    metrics = result.get("metrics", {})
    objective = found.begin.get("objective")
    return number(metrics[objective]) if objective in metrics else number(result.get("score", inf))


def course(found: Study) -> Iterator[Figure]:
    """What each decision brought, and the best so far, by what had been spent."""
    objective, choose = found.begin.get("objective", "score"), max if higher(found) else min
    spent, best = 0, None
    rows: list[tuple[Any, ...]] = []
    for n in sorted(found.results.keys() & found.jobs.keys()):
        line = found.results[n]
        spent += line["epochs"]
        x = value(found, line)
        if isfinite(x):
            best = x if best is None else choose(best, x)
        rows.append(
            (f"trial {found.jobs[n]['trial']}", trained_for(found.jobs[n]), spent, x if isfinite(x) else None, best, line["status"])
        )
    if sum(row[3] is not None for row in rows) > 1:
        columns = [
            TRIAL,
            EPOCHS,
            Column("step", "epochs spent", True),
            Column("value", objective, True),
            Column("best", "best so far", True),
        ]
        order = by_length(row[1] for row in rows if row[3] is not None)
        chart = charts.search(objective, [row[3] for row in rows], order)
        about = "A point to each decision, and the best so far as a line. A trial that is trained further is another decision."
        yield Figure("Best so far, by what was spent", about, Table([*columns, Column("status", "status")], rows), chart)


def higher(found: Study) -> bool:
    """Whether more is better: of a metric, as the study says; of scores less is."""
    objective = found.begin.get("objective")
    return found.begin.get("better") == "higher" and any(objective in line.get("metrics", {}) for line in found.results.values())


def by_length(names: Iterable[str]) -> list[str]:
    return sorted(set(names), key=lambda name: int(name.split()[0]))


def trained_for(job: Line) -> str:
    return f"{job['stop']} epochs"


def slices(
    found: Study,
    lasts: Sequence[tuple[Line, Line]],
    label: Callable[[Line], str] = trained_for,
    of: str = "trained for",
    order: Sequence[str] = (),
) -> Iterator[Figure]:
    """The value of each trial against each of its choices, in the colors of what `label` says of it."""
    objective = found.begin.get("objective", "score")
    for name in dict.fromkeys(name for job, _ in lasts for name in job["point"] if name != of):
        rows = [
            (f"trial {job['trial']}", label(job), cell(job["point"][name]), value(found, result))
            for job, result in lasts
            if name in job["point"]
        ]
        if len({row[2] for row in rows}) > 1:
            labels = [row[1] for row in rows]
            ranked = order or by_length(labels)
            xs = [row[2] for row in rows]
            heads = [
                TRIAL,
                Column("method", of),
                Column("x", name, all(not isinstance(x, str) for x in xs)),
                Column("best", objective, True),
            ]
            chart = charts.scatter("x", name, objective, xs, [row[3] for row in rows], ranked, of=of)
            yield Figure(name, "", Table(heads, rows), chart)


def cell(x: Any) -> Any:
    """A value of a point, as a chart has it."""
    if x is None:
        return "off"
    return x if is_number(x) else shown(x) if isinstance(x, str) else literal(x)


def is_number(x: Any) -> bool:
    return isinstance(x, (int, float)) and not isinstance(x, bool)


def mattered(found: Study) -> Iterator[Figure]:
    rows = [(name, number(x)) for name, x in ((found.answer or {}).get("importance") or {}).items()]
    if rows:
        about = (
            "The share of each choice in the differences between trials of one length, alone and together with others (functional ANOVA)."
        )
        data = Table([Column("name", "choice"), Column("share", "share", True)], rows)
        yield Figure("How much each choice mattered", about, data, charts.bars("share", [name for name, _ in rows]))
