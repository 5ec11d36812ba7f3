"""Runs and studies as a notebook shows them: a small table, and the validation metric of a run as a line."""

from html import escape
from math import isfinite
from typing import TYPE_CHECKING, Any

from steepest.records.schema import RecordError, number

if TYPE_CHECKING:
    from steepest.records.reader import Run
    from steepest.records.studies import Study

WIDTH, HEIGHT = 240, 48


def card(run: "Run") -> str:
    try:
        s = run.summary
        points = [(line["step"], number(line["metrics"][s.metric])) for line in run.evaluations() if s.metric in line.get("metrics", {})]
    except (RecordError, OSError) as wrong:
        return f"<p>{escape(str(run.folder))}: {escape(str(wrong))}</p>"
    best = f"{s.best:.5g} at step {s.best_step}" if s.best is not None else None
    steps = f"{s.steps}" + (f" of {s.planned}" if s.planned is not None else "")
    rows = {"run": run.folder.name, "task": s.task, "rule": s.rule, "state": s.state, "steps": steps, f"best {s.metric}": best}
    return table(rows) + line_of([(x, y) for x, y in points if isfinite(y)])


def study_card(study: "Study") -> str:
    """A comparison says its verdicts elsewhere; here it is a study."""
    metrics = study.answer["metrics"] if study.answer else (study.best or {}).get("metrics", {})
    objective = study.begin.get("objective", "score")
    best = f"{number(metrics[objective]):.5g}" if objective in metrics else None
    why = study.answer["message"] if study.answer else None
    rows = {"study": study.folder.name, "task": study.begin.get("task"), "state": study.state, "trials": len(study.trials)}
    return table(rows | {"epochs": study.epochs, f"best {objective}": best, "why": why})


def table(rows: dict[str, Any]) -> str:
    cells = "".join(f"<tr><th>{escape(name)}</th><td>{escape(str(x))}</td></tr>" for name, x in rows.items() if x)
    return f"<table>{cells}</table>"


def line_of(points: list[tuple[int, float]]) -> str:
    if len(points) < 2:
        return ""
    xs, ys = zip(*points, strict=True)
    across, up = (WIDTH - 4) / ((xs[-1] - xs[0]) or 1), (HEIGHT - 4) / ((max(ys) - min(ys)) or 1)
    path = " ".join(f"{2 + (x - xs[0]) * across:.1f},{HEIGHT - 2 - (y - min(ys)) * up:.1f}" for x, y in points)
    return f'<svg width="{WIDTH}" height="{HEIGHT}"><polyline points="{path}" fill="none" stroke="#2a6fbb" stroke-width="1.5"/></svg>'
