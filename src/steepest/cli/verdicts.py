"""What a comparison came to, on a page of the terminal; or how far it is. Read from its records, without torch."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from steepest.cli.console import console, show, show_json
from steepest.cli.progress import digits
from steepest.cli.runs import STYLES, printable, span
from steepest.core.errors import SettingError
from steepest.records import RecordError, Study, comparisons
from steepest.records.schema import strict
from steepest.records.studies import readable

Cells = list[tuple[str, str]]
# So much of a method's name stays in one line, however narrow the terminal.
NAMED = 16
LEGEND = "first: how often it ranks first when seeds are drawn again; reached: runs that came to the target, and when"


def show_verdicts(folder: Path) -> None:
    found, problems = understood(folder)
    out = console()
    if out.is_terminal:
        show(out, *page(found, problems))
        return
    for name, text in [*facts(found), *(("unreadable", problem) for problem in problems)]:
        print(printable(name), printable(text), sep="\t")
    rows = cells(found)
    for row in [[name for name, _ in rows[0]], *([text for _, text in row] for row in rows)]:
        print(*map(printable, row), sep="\t")
    for sentence in comparisons.sentences(found):
        print(printable(sentence))


def page(found: Study, problems: list[str]) -> Iterator[RenderableType]:
    name = printable(found.folder.resolve().name)
    yield Text.assemble("\n", (name, "bold cyan"), "  ", (printable(found.state), STYLES.get(found.state, "")), "\n")
    yield grid([(name, text) for name, text in facts(found) if name != "state"])
    rows = cells(found)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column, _ in rows[0]:
        named = column == "method"
        least = min(max(len(row[0][1]) for row in rows), NAMED) if named else None
        table.add_column(column, no_wrap=not named, overflow="fold", justify="left" if named else "right", min_width=least)
    for row in rows:
        table.add_row(*(Text(printable(text), "cyan" if column == "method" else "") for column, text in row))
    yield Padding(table, (1, 0, 0, 2))
    yield Padding(Text(LEGEND if (found.answer or {}).get("comparison") else "", "dim"), (0, 0, 1, 2))
    if unequal := found.begin["comparison"].get("unequal"):
        yield Padding(Text(printable(unequal), "bold yellow"), (0, 0, 1, 2))
    own = (found.answer or {}).get("comparison")
    if own and found.answer:
        yield Text(f"{printable(found.answer['message'])}\n", style="bold")
        verdicts = sorted(own["verdicts"], key=lambda verdict: verdict["kind"] != "better")
        yield bullets((verdict["words"], "green" if verdict["kind"] == "better" else "") for verdict in verdicts)
        yield bullets((sentence, "yellow") for sentence in [*(flag["words"] for flag in own["flags"]), *own["notes"]])
    yield bullets((f"unreadable: {problem}", "red") for problem in problems)


def bullets(rows: Iterable[tuple[str, str]]) -> Padding:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
    for text, style in rows:
        table.add_row(Text("·", "dim"), Text(printable(text), style))
    return Padding(table, (0, 0, 1 if table.rows else 0, 2))


def grid(rows: Cells) -> Padding:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for name, text in rows:
        table.add_row(Text(printable(name), "cyan", no_wrap=True), Text(printable(text)))
    return Padding(table, (0, 0, 0, 2))


def facts(found: Study) -> Cells:
    """Name and value of what is known in one line each."""
    begin, own = found.begin, found.begin["comparison"]
    what = f"{begin['objective']} on validation data, {begin['better']} is better"
    lines = [
        ("task", begin["task"]), ("state", found.state), ("compared by", what),
        ("budget", f"{own['preset']['name']}: {own['preset']['words']}"), ("took", f"{found.epochs} epochs in {span(found.seconds)}"),
    ]  # fmt: skip
    answer = (found.answer or {}).get("comparison")
    if answer and answer.get("target"):
        lines.append(("target", answer["target"]["words"]))
    if answer and found.answer:
        first = answer["ranking"]["order"][0]
        best = max((x for x in answer["chosen"] if x["method"] == first), key=lambda x: goodness(found, x["mean"]))
        run = best["trial"] if best["trial"] is not None else best["fresh"][0]["trial"]
        lines.append(("best recipe", f"{first}, {best['what']}: {found.folder}/trials/{run:04d}/recipe.toml"))
    lines += [("note", sentence) for sentence in own.get("about", [])]
    return lines


def goodness(found: Study, score: float | None) -> float:
    if score is None:
        return float("-inf")
    return score if found.begin["better"] == "higher" else -score


def show_several(folder: Path, as_json: bool = False) -> None:
    """A comparison on several tasks."""
    try:
        found = comparisons.several(folder)
        studies = {task["name"]: readable(folder / task["folder"])[0] for task in found["tasks"]}
    except (RecordError, OSError, KeyError, TypeError) as wrong:
        raise SettingError(printable(f"{folder}: {wrong}")) from None
    if as_json:
        show_json(strict(found))
        return
    out = console()
    lines = [(task, one.answer["message"] if one.answer else one.state) for task, one in studies.items()]
    words = (found.get("conclusion") or {}).get("words", [])
    if out.is_terminal:
        heading = Text(f"\n{printable(folder.resolve().name)}\n", "bold cyan")
        show(out, heading, grid(lines), Text(""), bullets((text, "") for text in words))
        return
    for name, text in lines:
        print(printable(name), printable(text), sep="\t")
    for text in words:
        print(printable(text))


def understood(folder: Path) -> tuple[Study, list[str]]:
    """All of a study that can be read; without its first line there is nothing to understand it by."""
    found, problems = readable(folder)
    if problems and not found.begin:
        raise SettingError(printable(problems[0]))
    return found, problems


# --- the table --------------------------------------------------------------------------------------


def cells(found: Study) -> list[Cells]:
    """A row to each method, as (column, text); of a comparison without an answer how far it is."""
    rows = comparisons.rows(found)
    if not (found.answer or {}).get("comparison"):
        return [
            [
                ("method", row["method"]), ("best trial", short(row["best"])), ("trials", f"{row['trials']}/{row['of_trials']}"),
                ("fresh", f"{row['fresh']}/{row['of_fresh']}"), ("missed", str(row["missed"])),
            ]
            for row in rows
        ]  # fmt: skip
    objective, unit = found.begin["objective"], found.begin["comparison"]["unit"]
    diverged, fewer = any(row["diverged"] for row in rows), len({row[unit] for row in rows}) > 1
    return [
        [
            ("method", row["method"]), (objective, short(row["mean"])), ("95 %", between(row)),
            *([(unit, str(row[unit]))] if fewer else []), *([("diverged", str(row["diverged"]))] if diverged else []),
            ("first", f"{100 * row['first']:.0f} %"), ("reached", f"{row['reached']}/{times(found, row)}"),
            ("epochs", few(row["epochs_to_target"])), ("time", brief(row["seconds_to_target"])),
        ]
        for row in rows
    ]  # fmt: skip


def between(row: dict[str, Any]) -> str:
    return "-" if row["low"] is None else f"{short(row['low'])} to {short(row['high'])}"


def times(found: Study, row: dict[str, Any]) -> Any:
    return found.answer["comparison"]["target"]["methods"][row["method"]]["n"] if found.answer else ""


def brief(seconds: float | None) -> str:
    """Trainings may take less than a second."""
    return "-" if seconds is None else f"{seconds:.2g} s" if seconds < 10 else span(seconds)


def few(x: float | None) -> str:
    return "-" if x is None else f"{x:g}"


def short(x: float | None) -> str:
    """As wide as its neighbors."""
    return "-" if x is None else digits(x).strip()
