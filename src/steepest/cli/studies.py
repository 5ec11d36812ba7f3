"""Studies as folders: one on a page, or a list of them. Read from their records, without torch."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import asdict
from math import inf
from operator import itemgetter
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from steepest.cli.console import console, show, show_json
from steepest.cli.curve import ACROSS, Points, picture
from steepest.cli.notation import number
from steepest.cli.runs import STYLES, printable, span
from steepest.cli.verdicts import show_verdicts, understood
from steepest.cli.words import told
from steepest.core.errors import SettingError
from steepest.records import RecordError, Study, comparisons, is_study, study
from steepest.records.schema import strict
from steepest.records.studies import NAME, score_of

FOLDER = "studies"
# Rows of the table of trials.
ROWS = 15
# Shares of a line that some of its columns may take: what is left is for the values.
SHARES = {"result": 0.3, "from": 0.2}


def find_study(name: str) -> Path | None:
    """A study by its folder, or by its name in ./studies."""
    return next((path for path in (Path(name), Path(FOLDER) / name) if is_study(path)), None)


def show_study(folder: Path, as_json: bool = False, optuna: Path | None = None) -> None:
    found, problems = understood(folder)
    if optuna and found.is_comparison:
        raise SettingError(f"{folder} is a comparison: its methods have spaces of their own, and Optuna's dashboard shows one")
    if optuna:
        from steepest.search.export import to_optuna  # Optuna, and with it the space

        count = to_optuna(folder, optuna)
        console().print(Text(f"{count} trials written; optuna-dashboard sqlite:///{optuna} shows them"), soft_wrap=True)
        return
    out = console()
    if as_json:
        show_json(
            strict(
                {**asdict(found), "folder": printable(str(folder)), "state": found.state, "seconds": found.seconds, "problems": problems}
            )
        )
    elif found.is_comparison:
        show_verdicts(folder)
    elif out.is_terminal:
        show(out, *_page(found, out.width), *(Text(f"  unreadable: {printable(problem)}", "red") for problem in problems), "")
    else:
        for problem in problems:
            print("unreadable", printable(problem), sep="\t")
        for name, text in facts(found):
            print(printable(name), printable(text), sep="\t")
        for row in trials(found):
            print(*map(printable, row), sep="\t")


def facts(found: Study) -> list[tuple[str, str]]:
    """Name and value of what is known in one line each."""
    begin, settings = found.begin, found.begin.get("settings", {})
    wrong = {status: sum(line["status"] == status for line in found.results.values()) for status in ("diverged", "failed", "lost")}
    lines = [
        ("task", begin.get("task", "")), ("state", found.state), ("budget", found.budget),
        ("strategy", " ".join(filter(None, (settings.get("strategy"), settings.get("stopper"))))), ("seed", str(settings.get("seed", ""))),
        ("trials", str(len(found.trials))), ("epochs", str(found.epochs)), ("time", span(found.seconds)),
        *((status, str(n)) for status, n in wrong.items() if n),
    ]  # fmt: skip
    if answer := found.answer:
        lines.append((f"best {begin['objective']}", _metrics(answer["metrics"])))
        if "default" in answer:
            lines.append(("default AdamW", _metrics(answer["default"])))
        if "test" in answer:
            looks = answer.get("looks", 1)
            lines.append(("test", f"{_metrics(answer['test'])} (looked at {'once' if looks == 1 else f'{looks} times'})"))
        lines += [("trial", f"{answer['trial']}: {answer['message']}"), ("folder", str(answer.get("folder", "")))]
    elif best := found.best:
        lines.append((f"best {begin['objective']} so far", _metrics(best.get("metrics", {}))))
    return [(name, text) for name, text in lines if text]


def trials(found: Study) -> list[tuple[str, ...]]:
    """Each trial's number, epochs, metrics, origin and values; the furthest and best first."""
    rows = []
    usual = {d["name"]: d["usual"] for d in found.begin.get("settings", {}).get("space", ()) if "usual" in d}
    for trial, numbers in found.trials.items():
        job, result = found.jobs[numbers[-1]], found.results[numbers[-1]]
        what = _metrics(result.get("metrics", {})) if result["status"] == "done" else f"{result['status']}: {result.get('error', '')}"
        key = (result["status"] != "done", -job["stop"], score_of(result), trial)
        rows.append((key, (str(trial), str(job["stop"]), what, job["origin"], told(job["point"], usual))))
    return [row for _, row in sorted(rows)]


def _metrics(metrics: dict[str, Any]) -> str:
    return ", ".join(f"{name} {number(float(f'{float(x):.4g}'))}" for name, x in metrics.items())


def _page(found: Study, width: int) -> Iterator[RenderableType]:
    name = printable(found.folder.resolve().name)
    yield Text.assemble("\n", (name, "bold cyan"), "  ", (printable(found.state), STYLES.get(found.state, "")), "\n")
    yield _grid((name, text) for name, text in facts(found) if name != "state")
    yield from best_so_far(found)
    rows = trials(found)
    if rows:
        yield Text(f"\nTrials{'' if len(rows) <= ROWS else f', the first {ROWS} of {len(rows)}'}", style="bold")
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        room = {"trial": 6, "epochs": 6} | {name: int(share * width) for name, share in SHARES.items()}
        room["values"] = max(width - sum(room.values()) - 12, 10)
        for column in ("trial", "epochs", "result", "from", "values"):
            right = column in ("trial", "epochs")
            table.add_column(column, justify="right" if right else "left", no_wrap=True, overflow="ellipsis", max_width=room[column])
        for row in rows[:ROWS]:
            table.add_row(*(Text(printable(cell)) for cell in row))
        yield Padding(table, (0, 0, 0, 2))
    if found.events:
        yield Text("\nEvents", style="bold")
        yield _grid((event["name"], printable(event["message"])) for event in found.events[-8:])


def best_so_far(found: Study) -> Iterator[RenderableType]:
    """What the search had found by when, drawn: nothing before there are two scores."""
    sign, spent, best = -1 if found.begin.get("better") == "higher" else 1, 0, inf
    known: Points = []
    for _, line in sorted(found.results.items()):
        spent, best = spent + line["epochs"], min(best, score_of(line))
        known.append((spent, sign * best))
    # Between two results the best stays what it was: each column of dots has that of its time.
    steps = [max(bisect_right(known, spent * k / ACROSS, key=itemgetter(0)) - 1, 0) for k in range(ACROSS + 1)]
    if lines := picture([(k / ACROSS, known[place][1]) for k, place in enumerate(steps)]) if spent else []:
        yield Text(f"\nBest {printable(str(found.begin.get('objective', 'score')))} over {found.epochs:,} epochs", style="bold")
        yield Padding(Text("\n".join(lines), no_wrap=True), (0, 0, 0, 2))


def _grid(rows: Any) -> Padding:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for name, text in rows:
        table.add_row(Text(printable(name), "cyan", no_wrap=True), Text(printable(text)))
    return Padding(table, (0, 0, 0, 2))


def list_studies(folder: str = FOLDER, as_json: bool = False) -> None:
    """The studies of a folder, the newest first. What cannot be read is shown as such."""
    path = Path(folder)
    if not path.is_dir():
        raise SettingError(f"there is no folder {printable(folder)} of studies; steepest list studies FOLDER looks elsewhere")
    there = [x / NAME if is_study(x) else x / comparisons.NAME for x in path.iterdir() if is_study(x) or comparisons.is_several(x)]
    rows = [_row(x.parent) for x in sorted(there, key=lambda x: (-x.stat().st_mtime, x.parent.name))]
    if as_json:
        show_json([dict(zip(COLUMNS, row, strict=True)) for row in rows])
        return
    out = console()
    if not out.is_terminal:
        for row in rows:
            print(*row, sep="\t")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in COLUMNS:
        table.add_column(column, no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*row)
    show(out, "", Padding(table, (0, 0, 0, 2)), Text.assemble("\n", ("steepest show STUDY", "bold"), " shows one of them.\n"))


COLUMNS = ("study", "task", "budget", "trials", "best", "state")


def _row(folder: Path) -> tuple[str, ...]:
    try:
        if comparisons.is_several(folder):
            return _several(folder)
        found = study(folder)
    except (RecordError, OSError) as wrong:
        return printable(folder.name), "", "", "", "", f"unreadable: {printable(str(wrong))}"
    best = found.answer or found.best or {}
    cells = (folder.name, found.begin.get("task", ""), found.budget, str(len(found.trials)), _metrics(best.get("metrics", {})), found.state)
    return tuple(map(printable, cells))


def _several(folder: Path) -> tuple[str, ...]:
    """Of a comparison on several tasks."""
    found = comparisons.several(folder)
    done = (found.get("conclusion") or {}).get("tasks", [])
    tasks = ", ".join(str(task["name"]) for task in found["tasks"])
    return printable(folder.name), printable(tasks), "", "", "", "finished" if len(done) == len(found["tasks"]) else "unfinished"
