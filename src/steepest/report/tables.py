"""The table of runs, for other programs: one row to each run, one column to each fact, and to each setting that is not the same in all."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from steepest.core.errors import nearest
from steepest.report.decided import literal
from steepest.report.groups import told_apart
from steepest.report.parts import shown
from steepest.report.reading import ReportError, Story

Rows = list[dict[str, Any]]
# What LaTeX reads as commands.
LATEX = {c: f"\\{c}" for c in "&%$#_{}"} | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
# What Markdown reads as more than text.
MARKDOWN = {c: f"\\{c}" for c in "\\`*_{}[]()#+!|~$"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;", "\n": " "}


def rows(stories: Sequence[Story]) -> Rows:
    _, differ = told_apart(stories)
    return [
        {"run": story.name, **asdict(story.summary), **{path: plain(values[i]) for path, values in differ.items()}}
        for i, story in enumerate(stories)
    ]


def plain(value: Any) -> Any:
    """Numbers and text as they are, anything else as TOML writes it."""
    return value if value is None or isinstance(value, (bool, int, float, str)) else literal(value)


def table(stories: Sequence[Story], kind: str) -> bytes:
    if kind not in FORMATS:
        raise ReportError(f"there is no format {kind!r}{nearest(kind, ['html', *FORMATS])}")
    return FORMATS[kind](rows(stories))


def as_csv(found: Rows) -> bytes:
    """RFC 4180; numbers with all their digits."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(found[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    return encoded(out.getvalue())


def as_markdown(found: Rows) -> bytes:
    heads = [escaped(name, MARKDOWN) for name in found[0]]
    lines = [heads, ["---"] * len(heads), *([escaped(shown(x), MARKDOWN) for x in row.values()] for row in found)]
    return encoded("".join(f"| {' | '.join(line)} |\n" for line in lines))


def as_latex(found: Rows) -> bytes:
    r"""A tabular, for \usepackage{booktabs}."""
    heads = " & ".join(escaped(name, LATEX) for name in found[0])
    body = "".join(" & ".join(escaped(shown(x), LATEX) for x in row.values()) + " \\\\\n" for row in found)
    columns = "".join("r" if all(isinstance(row[name], (int, float, type(None))) for row in found) else "l" for name in found[0])
    return encoded(f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{heads} \\\\\n\\midrule\n{body}\\bottomrule\n\\end{{tabular}}\n")


def as_parquet(found: Rows) -> bytes:
    try:
        pa, pq = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        raise ReportError("the format parquet needs pyarrow: pip install pyarrow; csv, markdown and latex need nothing") from None
    out = io.BytesIO()
    pq.write_table(pa.table({name: one_type([row[name] for row in found]) for name in found[0]}), out)
    return out.getvalue()


def one_type(column: list[Any]) -> list[Any]:
    """A column of a file has one type: text, where values differ in theirs."""
    kinds = {type(x) for x in column if x is not None}
    return column if len(kinds) < 2 or kinds == {int, float} else [None if x is None else literal(x) for x in column]


def escaped(text: str, how: dict[str, str]) -> str:
    return "".join(how.get(c, c) for c in text)


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def write(text: bytes, target: Path) -> None:
    try:
        target.write_bytes(text)
    except OSError as wrong:
        raise ReportError(f"{target} cannot be written: {wrong.strerror or wrong}") from None


FORMATS: dict[str, Callable[[Rows], bytes]] = {"csv": as_csv, "markdown": as_markdown, "latex": as_latex, "parquet": as_parquet}
