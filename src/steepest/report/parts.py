"""Pieces of a page. Whatever was not written here is escaped here: names, messages, recipes may be anyone's."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from math import isfinite, isnan
from typing import Any


class Html(str):
    """Text that is HTML already; all other text is escaped when it comes into a page."""


@dataclass(frozen=True)
class Column:
    """`name` is what a chart calls it, `head` what a person reads. A column `at` a step belongs to a curve that lies along the row."""

    name: str
    head: str
    number: bool = False
    at: int | None = None


@dataclass(frozen=True)
class Table:
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Figure:
    """A chart, which reads its data from the table beneath it: there is nothing in it that is not there."""

    title: str
    about: str
    table: Table
    chart: dict[str, Any]
    note: str = ""


@dataclass
class Section:
    title: str
    parts: list[Html | Figure] = field(default_factory=list)


def html(value: Any) -> Html:
    if isinstance(value, Html):
        return value
    # A surrogate, as names of files can have, is no character of a page.
    return Html(escape(shown(value).encode("utf-8", "backslashreplace").decode("utf-8")))


def tag(name: str, *inside: Any, **attributes: Any) -> Html:
    """`tag("p", text, class_="note")`: the text is escaped, and so are attributes; one that is None is left out."""
    given = "".join(f' {key.strip("_").replace("_", "-")}="{html(x)}"' for key, x in attributes.items() if x is not None)
    return Html(f"<{name}{given}>{''.join(map(html, inside))}</{name}>")


def joined(parts: Iterable[Any], between: str = "") -> Html:
    return Html(between.join(map(html, parts)))


def shown(value: Any) -> str:
    """A value in a cell: five digits of a number; nothing for what is not there."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if not isfinite(value):
            return "nan" if isnan(value) else "inf" if value > 0 else "-inf"
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.5g}"
    return str(value)


def table(of: Table, class_: str = "data", **attributes: Any) -> Html:
    """A cell costs nine bytes around what it says: end tags that HTML lets one leave out are left out."""
    heads = "".join(f'<th scope="col" data-name="{html(c.name)}"{said(c)}>{html(c.head)}' for c in of.columns)
    # Lines end before a row's first cell, where they are nothing; after its last they would be part of what that says.
    rows = "".join(f"<tr>\n{''.join(f'<td>{html(x)}' for x in row)}" for row in of.rows)
    inside = Html(f"<thead><tr>{heads}</thead><tbody>{rows}</tbody>")
    return tag("div", tag("table", inside, class_=class_, **attributes), class_=f"wide {class_}", tabindex="0")


def said(column: Column) -> str:
    return (" data-number" if column.number else "") + (f' data-at="{column.at}"' if column.at is not None else "")


def facts(rows: Iterable[tuple[str, Any]]) -> Html:
    """Name and value, one beneath the other."""
    lines = joined(tag("div", tag("dt", name), tag("dd", value)) for name, value in rows if value not in (None, ""))
    return tag("dl", lines, class_="facts")


def details(title: Any, *inside: Any) -> Html:
    return tag("details", tag("summary", title), *inside)


def bullets(sentences: Iterable[Any], class_: str | None = None) -> Html:
    return tag("ul", *(tag("li", sentence) for sentence in sentences), class_=class_)


def figure(of: Figure, key: str) -> Html:
    count = len(of.table.rows)
    rows = details(f"The data: {count} row{'s' * (count != 1)}", tag("p", of.note, class_="note") if of.note else "", table(of.table))
    return tag(
        "figure",
        tag("h3", of.title),
        tag("p", of.about, class_="note") if of.about else "",
        tag("div", class_="chart", role="img", aria_label=f"{of.title}: a chart of the table beneath it"),
        Html(f'<script type="application/json">{inert(of.chart)}</script>'),
        rows,
        id=key,
    )


def inert(value: Any) -> str:
    """JSON that no parser of HTML takes for markup, whatever text is in it."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def section(of: Section, key: str) -> Html:
    parts = [figure(part, f"{key}-{i}") if isinstance(part, Figure) else part for i, part in enumerate(of.parts)]
    figures = sum(isinstance(part, Figure) for part in of.parts)
    return tag("section", tag("h2", of.title), *parts, id=key, class_="pair" if figures > 1 else None)
