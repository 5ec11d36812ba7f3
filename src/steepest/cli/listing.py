"""`steepest list`: what there is, at a glance."""

from dataclasses import asdict
from itertools import groupby
from typing import Annotated

import typer
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from steepest.cli.catalog import REGISTRIES, Entry, catalog
from steepest.cli.console import console, show, show_json
from steepest.cli.runs import FOLDER, list_runs
from steepest.cli.studies import FOLDER as STUDIES
from steepest.cli.studies import list_studies
from steepest.core.errors import SettingError, nearest

# "rules, wrappers, ... or regularizers"
KINDS = " or ".join((", ".join([*REGISTRIES][:-1]), [*REGISTRIES][-1]))


def listing(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="[KIND]", help=f"{KINDS}; all if left out. Or tasks, runs [FOLDER], or studies [FOLDER]", show_default=False
        ),
    ] = "",
    folder: Annotated[str, typer.Argument(metavar="[FOLDER]", help="of runs or studies", show_default=False)] = FOLDER,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with knobs, papers and scopes besides.")] = False,
) -> None:
    """List what there is: what each is, when to use it, what it remembers or can be told.

    A rule is an optimization algorithm; a wrapper goes around one and clips, masks or averages. An initializer fills one
    parameter, a plan a whole model. A schedule moves a knob during the run; a regularizer makes a model fit less and hold better.
    Into a pipe go plain lines, with tabs between name, kind, class or function, state or settings, summary and use.

    \b
    steepest list
    steepest list schedules
    steepest list rules | cut -f 1
    steepest list tasks
    steepest list runs
    steepest list studies
    steepest list --json
    """
    if kind == "runs":
        list_runs(folder, as_json)
        return
    if kind == "studies":
        list_studies(folder if folder != FOLDER else STUDIES, as_json)
        return
    if kind == "tasks":
        list_tasks(as_json)
        return
    if kind and kind not in REGISTRIES:
        raise SettingError(f"there is no kind {kind!r} to list{nearest(kind, [*REGISTRIES, 'runs', 'studies', 'tasks'])}")
    entries = [entry for entry in catalog() if kind in ("", entry.kind)]
    out = console()
    if as_json:
        show_json([asdict(entry) for entry in entries])
    elif out.is_terminal:
        for of, members in groupby(entries, lambda entry: entry.kind):
            show(out, *_page(of, list(members)))
        show(out, Text.assemble("\n", ("steepest explain NAME", "bold"), " shows the whole card, and how to use it.\n"))
    else:
        for e in entries:
            print(e.name, e.kind, e.cls, " ".join(_detail(e)[1]), e.summary, e.use, sep="\t")


def _page(kind: str, entries: list[Entry]) -> list[Text | Padding]:
    parts: list[Text | Padding] = [Text(f"\n{len(entries)} {kind}", style="bold underline")]
    width = max(len(entry.name) for entry in entries)
    for group, members in groupby(entries, lambda entry: entry.group):
        parts.append(Text(f"\n{group}", style="magenta"))
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
        table.add_column(width=width, no_wrap=True)
        table.add_column(ratio=1)
        for entry in members:
            word, names = _detail(entry)
            detail = f"  {word} {', '.join(names) or 'nothing'}" if word else ""
            table.add_row(
                Text.assemble((entry.name, "bold cyan"), "\n", (entry.cls, "dim")),
                Text.assemble(entry.summary, "\n", (entry.use, "green"), (detail, "dim")),
            )
        parts.append(Padding(table, (0, 0, 0, 2)))
    return parts


def _detail(entry: Entry) -> tuple[str, tuple[str, ...]]:
    if entry.kind in ("rules", "wrappers"):
        return "keeps", entry.state
    settings = entry.knobs + entry.options
    return ("settings" if settings else ""), settings


def list_tasks(as_json: bool) -> None:
    """The built-in tasks. Their names and sentences are read as the rest is: without torch."""
    from steepest.cli.catalog import tasks

    if as_json:
        show_json([{"name": name, "summary": summary} for name, summary in tasks().items()])
    else:
        for name, summary in tasks().items():
            print(name, summary, sep="\t")
