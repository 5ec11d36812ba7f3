"""`steepest report`: a page of a run, of a study, of many runs; or their table for another program."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from steepest.cli.console import console

# What a terminal cannot show.
BINARY = ("parquet",)
SUFFIXES = {".htm": "html", ".md": "markdown", ".tex": "latex"}


def report(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The folder of a run or of a study, or a folder of runs.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Where to write it; PATH/report.html if left out, and tables to the screen."),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="html; or csv, markdown, latex, parquet: the table of runs, or of methods. By FILE's ending if left out.",
        ),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Write a page of what was learned and how: one HTML file that needs no network.

    Curves, health of gradients and units, what happened, the recipe with every value explained, how to reproduce it. It reads records
    alone: runs may still be going on, have died, or come from another machine.

    \b
    steepest report runs/digits-mlp-1
    steepest report studies/digits-mlp-1 --open
    steepest report runs --format csv > runs.csv
    """
    from steepest.core.errors import SettingError, nearest
    from steepest.records import comparisons
    from steepest.report import FORMATS, stories
    from steepest.report import report as page
    from steepest.report.tables import rows, write

    ending = out.suffix.lower() if out else ""
    found = kind or SUFFIXES.get(ending, ending.removeprefix(".") or "html")
    if found not in ("html", *FORMATS):
        raise SettingError(f"there is no format {found!r}{nearest(found, ['html', *FORMATS])}")
    if found == "html":
        target = page(path, out)
        console().print(Text(str(target)), soft_wrap=True)
        if show:
            import webbrowser

            webbrowser.open(target.resolve().as_uri())
        return
    if show:
        raise SettingError(f"--open shows a page, and {found} is none; leave out --open or --format")
    if out is None and found in BINARY:
        raise SettingError(f"{found} is not for a screen; say --out runs.{found}")
    text = FORMATS[found](comparisons.rows_at(path) or rows(stories(path)))
    if out is None:
        sys.stdout.write(text.decode())
    else:
        write(text, out)
        console().print(Text(str(out)), soft_wrap=True)
