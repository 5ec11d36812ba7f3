"""`steepest show`: one run on one page, without torch: what it is, how it went, what happened."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from steepest.cli.console import console, show, show_json
from steepest.cli.curve import Points, picture, short
from steepest.cli.runs import STYLES, find, printable, span
from steepest.cli.studies import FOLDER as STUDIES
from steepest.cli.studies import find_study, show_study
from steepest.cli.verdicts import show_several
from steepest.core.errors import SettingError
from steepest.records import RecordError, Run, Summary, check, comparisons
from steepest.records import number as value
from steepest.records.schema import strict

# So many steps draw the same curve as a million.
ENOUGH = 20_000
# So many of the last events.
EVENTS = 8


def show_run(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The folder of a run or a study, or its name in ./runs or ./studies.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with all evaluations and events.")] = False,
    optuna: Annotated[
        Path | None,
        typer.Option("--optuna", metavar="FILE", help="Of a study: write its trials into a storage that Optuna's dashboard reads."),
    ] = None,
) -> None:
    """Show a run: its settings, how far it came, its curves, what happened on the way. It may still be running.

    Of a study its trials, and of a comparison its verdicts.

    Into a pipe go plain lines, with a tab between name and value.

    \b
    steepest show my_run
    steepest show runs/my_run --json
    steepest show studies/digits-mlp-1
    """
    for folder in (Path(run), Path(STUDIES) / run):
        if comparisons.is_several(folder):
            show_several(folder, as_json)
            return
    if study := find_study(run):
        show_study(study, as_json, optuna)
        return
    if optuna:
        raise SettingError(f"--optuna is about a study, and {run} is none")
    found = find(run)
    try:
        summary = found.summary
        out = console()
        if as_json:
            show_json(strict(whole(found, summary)))
        elif out.is_terminal:
            show(out, *_page(found, summary), "")
        else:
            for name, text in [*facts(found, summary), *((e["name"], e["message"]) for e in checked(found.events()))]:
                print(printable(name), printable(text), sep="\t")
    except RecordError as wrong:
        raise SettingError(printable(str(wrong))) from None
    except OSError as wrong:
        raise SettingError(f"{printable(str(wrong.filename))}: {wrong.strerror}") from None


def whole(run: Run, summary: Summary) -> dict[str, Any]:
    made = dict(folder=printable(str(run.folder)), summary=asdict(summary), recipe=run.recipe, task=run.task, environment=run.environment)
    return made | dict(evaluations=list(run.evaluations()), health=latest(checked(run.health())), events=list(run.events()))


def facts(run: Run, s: Summary) -> list[tuple[str, str]]:
    """Name and value of all that is known in one line each."""
    of = f" of {s.planned}" if s.planned is not None else ""
    lines = [("state", s.state), ("steps", f"{s.steps}{of}"), ("time", span(s.seconds))]
    if s.best is not None:
        lines.append((f"best {s.metric}", f"{short(s.best)} at step {s.best_step}"))
    if s.last is not None:
        lines.append((f"last {s.metric}", short(s.last)))
    if s.loss is not None:
        lines.append(("train loss", short(s.loss)))
    gap = (latest(checked(run.health())) or {"numbers": {}})["numbers"]
    if "gap" in gap:
        share = f"{short(100 * value(gap['gap_share']))} % of the training loss"
        lines.append(("validation less training loss", f"{short(value(gap['gap']))} ({share})"))
    if s.warnings:
        lines.append(("warnings", str(s.warnings)))
    lines = [("task", s.task), ("rule", s.rule), ("seed", "" if s.seed is None else str(s.seed)), *lines, ("begun", s.begun)]
    where = run.environment
    packages = where.get("packages")
    machine = [f"{name} {where[name]}" for name in ("python", "cpus") if name in where]
    machine += [f"{name} {version}" for name, version in packages.items()] if isinstance(packages, dict) else []
    return [(printable(name), printable(text)) for name, text in [*lines, ("machine", ", ".join(machine))] if text]


def _page(run: Run, s: Summary) -> Iterator[RenderableType]:
    yield Text.assemble(
        "\n", (printable(run.folder.resolve().name), "bold cyan"), "  ", (printable(s.state), STYLES.get(s.state, "")), "\n"
    )
    yield _grid(fact for fact in facts(run, s) if fact[0] != "state")
    if recipe := run.recipe.strip():
        yield _title("Settings")
        yield _block(printable(line) for line in recipe.splitlines())
    for title, points in curves(run, s):
        if drawn := picture(points):
            yield _title(f"{title} over {s.steps} steps")
            yield _block(drawn)
    if health := latest(checked(run.health())):
        yield _title(f"Health after step {health['step']}")
        lines = [(printable(name), short(value(x))) for name, x in health["numbers"].items()]
        yield _grid([*lines, *([("warning", printable(health["warning"]))] if "warning" in health else [])])
    if events := deque(checked(run.events()), EVENTS):
        yield _title("Last events")
        yield _grid((f"step {e['step']}", printable(f"{e['name']}: {e['message']}")) for e in events)


def curves(run: Run, s: Summary) -> Iterator[tuple[str, Points]]:
    """What there is to draw: title, and values by share of the steps done."""
    end = max(s.steps - 1, 1)
    steps = list(checked(run.steps(ENOUGH)))
    for name, title in (("loss", "Training loss"), ("lr", "Rate")):
        points = [(line["step"] / end, value(line[name])) for line in steps if name in line]
        yield title, points
        if name == "loss":
            known = (x for x in checked(run.evaluations()) if x.get("split", "valid") == "valid" and s.metric in x["metrics"])
            yield f"Validation {printable(s.metric)}", [(x["step"] / max(s.steps, 1), value(x["metrics"][s.metric])) for x in known]


def checked(lines: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Lines with what their kind must have: a record may be anyone's."""
    for line in lines:
        check(line)
        yield line


def latest(lines: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """The last line of health, with each number as it was last measured: not all are measured at the same steps."""
    found: dict[str, Any] | None = None
    for line in lines:
        found = line | {"numbers": (found["numbers"] if found else {}) | line["numbers"]}
    return found


def _title(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _block(lines: Iterable[str]) -> Padding:
    return Padding(Text("\n".join(lines), no_wrap=True, overflow="ellipsis"), (0, 0, 0, 2))


def _grid(rows: Iterable[tuple[str, str]]) -> Padding:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for name, text in rows:
        table.add_row(Text(name, "cyan", no_wrap=True), Text(text))
    return Padding(table, (0, 0, 0, 2))
