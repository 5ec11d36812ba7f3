"""`steepest list runs`: the runs of a folder, the newest first. What cannot be read is shown as such."""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import JustifyMethod, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from steepest.cli.console import console, show, show_json
from steepest.cli.notation import number
from steepest.core.errors import SettingError, nearest
from steepest.records import RecordError, Run, Summary, is_run
from steepest.records.schema import strict

FOLDER = "runs"
STYLES = {"finished": "green", "unfinished": "yellow", "not begun": "dim", "unreadable": "bold red"}


@dataclass(frozen=True)
class Row:
    """A run in the list. `changed` is when its record last grew, in seconds since 1970."""

    name: str
    summary: Summary
    changed: float
    problem: str = ""


def list_runs(folder: str = FOLDER, as_json: bool = False) -> None:
    path = Path(folder)
    if not path.is_dir():
        hint = "; steepest list runs FOLDER looks elsewhere" if folder == FOLDER else ""
        raise SettingError(f"there is no folder {printable(folder)} of runs{hint}")
    rows = found(path)
    out = console()
    if as_json:
        show_json([strict(dict(name=row.name, changed=row.changed, problem=row.problem, **asdict(row.summary))) for row in rows])
    elif out.is_terminal:
        show(out, *_page(folder, rows, out.width))
    else:
        for row in rows:
            print(row.name, *_cells(row), row.problem, sep="\t")


def found(folder: Path) -> list[Row]:
    rows = [_row(path) for path in folder.iterdir() if not path.name.startswith(".") and path.is_dir() and is_run(path)]
    return sorted(rows, key=lambda row: (-row.changed, row.name))


def find(name: str) -> Run:
    """A run by its folder, or by its name in ./runs."""
    for path in (Path(name), Path(FOLDER) / name):
        if path.is_dir() and is_run(path):
            return Run(path)
    if Path(name).exists():
        raise SettingError(f"{printable(name)} is no run: it holds neither record.jsonl nor recipe.toml")
    known = [printable(path.name) for path in Path(FOLDER).iterdir() if is_run(path)] if Path(FOLDER).is_dir() else []
    raise SettingError(
        f"there is no run {printable(name)}" + (nearest(name, known) if len(known) < 20 else "; steepest list runs shows them")
    )


def printable(text: str) -> str:
    """What a terminal would obey, and bytes that are no text, as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in text)


def span(seconds: float) -> str:
    """A time as a person says it: 12 s, 3 min, 2 h, 5 days."""
    for size, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{int(seconds / size)} {name}"
    return f"{seconds:.1f} s" if 0 < seconds < 10 else f"{max(seconds, 0):.0f} s"


def _row(path: Path) -> Row:
    run, name = Run(path), printable(path.name)
    changed = (run.record if run.record.exists() else path).stat().st_mtime
    try:
        return Row(name, run.summary, changed)
    except RecordError as wrong:
        return Row(name, Summary(state="unreadable"), changed, printable(str(wrong)))
    except OSError as wrong:
        return Row(name, Summary(state="unreadable"), changed, f"{wrong.strerror}")


def _cells(row: Row) -> list[str]:
    s = row.summary
    best = f"{s.metric} {number(float(f'{s.best:.4g}'))}" if s.best is not None else ""
    steps = f"{s.steps}/{s.planned}" if s.planned is not None else ""
    return [printable(x) for x in (s.task, s.rule, best, steps, s.state, span(time.time() - row.changed))]


def _page(folder: str, rows: list[Row], width: int) -> Iterator[RenderableType]:
    count = "1 run" if len(rows) == 1 else f"{len(rows)} runs"
    yield Text.assemble("\n", (f"{count} in {printable(folder)}", "bold underline"), "" if rows else "\n")
    if not rows:
        return
    table = Table(box=SIMPLE_HEAD, header_style="dim", border_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    table.show_edge = False
    columns = [name for name in COLUMNS if width >= ROOMY or name not in SPARED]
    for name in columns:
        justify, style = COLUMNS[name]
        table.add_column(name, justify=justify, style=style, no_wrap=True, overflow="ellipsis", max_width=width // 4)
    for row in rows:
        cells = dict(zip(COLUMNS, [row.name, *_cells(row)], strict=True))
        table.add_row(*(Text(cells[name], STYLES.get(cells[name], "") if name == "state" else "") for name in columns))
    yield ""
    yield Padding(table, (0, 0, 0, 2))
    for row in rows:
        if row.problem:
            yield Padding(Text.assemble((row.name, "bold"), f": {row.problem}"), (1, 0, 0, 2))
    yield Text.assemble("\n", ("steepest show RUN", "bold"), " shows one of them.\n")


COLUMNS: dict[str, tuple[JustifyMethod, str]] = {
    "run": ("left", "cyan"),
    "task": ("left", ""),
    "rule": ("left", ""),
    "best": ("left", ""),
    "steps": ("right", ""),
    "state": ("left", ""),
    "age": ("right", "dim"),
}
# What a narrow terminal does without.
ROOMY, SPARED = 80, ("task", "steps", "age")
