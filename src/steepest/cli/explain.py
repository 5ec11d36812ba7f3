"""`steepest explain`: one name on one page, the formula first."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.box import ROUNDED, SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from steepest.cli.console import console, show, show_json

# Narrower than this, a knob's two ranges stand one above the other.
ROOMY = 96


def explain(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="What steepest list shows, in any case: adamw, ScheduleFreeSGD, he_normal, plan.orthogonal, warmup_cosine."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Explain one name: formula or curve, settings and their ranges, cost, paper, when to use it.

    The formula is read from the code that runs. steepest list shows the names.

    \b
    steepest explain adamw
    steepest explain he_normal
    steepest explain warmup_cosine
    steepest explain lion --json
    """
    known = _facts(name)
    if as_json:
        show_json(known)
    else:
        out = console()
        show(out, *PAGES[known["kind"]](known, out))


def _facts(name: str) -> dict[str, Any]:
    from steepest.cli.cards import schedule_called, schedule_facts

    if shape := schedule_called(name):
        return schedule_facts(shape)
    from steepest.cli.facts import facts  # torch: schedules are numbers, and do not wait for it

    return facts(name)


def page(known: dict[str, Any], out: Console) -> Iterator[RenderableType]:
    rich = out.is_terminal
    yield from _head(known, f"{known['kind']} {known['cls']}", rich)
    yield from _formula("one step", known["formula"], "; ".join(known["legend"]), rich)
    if known["knobs"]:
        yield from _section("Knobs", _knobs(known["knobs"], out))
    if known["options"]:
        yield from _section("Options", _options(known["options"], rich))
    yield from _section("Memory", _memory(known))
    yield from _use("When to use it, what to set first", known)
    if known["torch"]:
        yield _indented(known["torch"])
    if rich:
        yield ""


def start_page(known: dict[str, Any], out: Console) -> Iterator[RenderableType]:
    """An initializer or a plan."""
    rich = out.is_terminal
    yield from _head(known, "initializer" if known["kind"] == "initializer" else "plan of initializers", rich)
    if known.get("formula"):
        yield from _formula("one weight", known["formula"], "", rich)
    if known.get("settings"):
        rows = [[x["name"], "required" if x["default"] is None else str(x["default"]), x["meaning"]] for x in known["settings"]]
        yield from _section("Settings", _table(["name", "default", "meaning"], rows, rich))
    if "draws" in known:
        yield from _section("What it gives", _indented(_draws(known["draws"])))
    yield from _use("When to use it", known)
    if rich:
        yield ""


def card_page(known: dict[str, Any], out: Console) -> Iterator[RenderableType]:
    """A schedule, with its curve, or a regularizer, with what it costs."""
    rich = out.is_terminal
    yield from _head(known, f"{known['kind']} {known['cls']}", rich)
    if "curve" in known:
        yield from _section(known["curve"]["title"], "", _curve(known["curve"]["y"]))
    if known["knobs"]:
        yield from _section("Knobs", _knobs(known["knobs"], out))
    if known["options"]:
        yield from _section("Options", _options(known["options"], rich))
    if known["note"]:
        yield _indented(Text(known["note"], "dim"))
    for title, key in (("When to use it, what to set first", "use"), ("When it hurts", "hurts"), ("What it costs", "cost")):
        if known.get(key):
            yield from _section(title, _indented(known[key]))
    if "measured" in known:
        yield from _section("Measured here", _indented(known["measured"] or "nothing yet"))
    yield from _section("In a recipe", _indented(Text("\n".join(known["recipe"]), "green")))
    yield from _section("How", _indented(Text("\n".join(known["code"]), "green")))
    if rich:
        yield ""


def _curve(ys: list[float]) -> Text:
    from steepest.cli.curve import HEIGHT, MARGIN, draw

    lines = draw(ys)
    parts = [part for line in lines[:HEIGHT] for part in ((line[:MARGIN], "dim"), (f"{line[MARGIN:]}\n", "cyan"))]
    return Text.assemble(*parts, ("\n".join(lines[HEIGHT:]), "dim"))


def _head(known: dict[str, Any], kind: str, rich: bool) -> Iterator[RenderableType]:
    yield Text.assemble("\n" if rich else "", (known["name"], "bold cyan"), (f"  {kind}", "dim"))
    yield from map(Text, known["about"])
    if known["paper"]:
        yield Text(f"Paper: {known['paper']}", style="italic dim")


def _use(title: str, known: dict[str, Any]) -> Iterator[RenderableType]:
    yield from _section(title, _indented(known["use"]))
    yield from _section("How", _indented(Text("\n".join(known["code"]), "green")))


def _draws(draws: dict[str, Any]) -> str:
    from steepest.cli.notation import number

    mean, std, low, high, least, most = (
        number(float(f"{x:.3g}")) for x in (*(draws[k] for k in ("mean", "std", "low", "high")), *draws["singular"])
    )
    shape = " × ".join(map(str, draws["shape"]))
    return f"a weight of {shape}: mean {mean}, deviation {std}, from {low} to {high}; singular values {least} to {most}"


def _section(title: str, *parts: RenderableType) -> Iterator[RenderableType]:
    yield Text(f"\n{title}", style="bold")
    yield from parts


def _indented(part: RenderableType) -> RenderableType:
    # A Text, because a bare string would be read as markup.
    return Padding(Text(part) if isinstance(part, str) else part, (0, 0, 0, 2))


def _formula(title: str, formula: list[str], explained: str, rich: bool) -> Iterator[RenderableType]:
    lines = Text()
    for line in formula:
        lines.append(f"{line}\n", "bold" if line.lstrip().startswith("p ←") else "")
    lines.rstrip()
    legend = [_indented(Text(explained, style="dim"))] if explained else []
    if rich:
        yield ""
        yield Panel(lines, title=title, title_align="left", box=ROUNDED, border_style="cyan", padding=(0, 2))
        yield from legend
    else:
        yield from _section("Formula", _indented(lines), *(["", *legend] if legend else []))


def _table(columns: list[str], rows: list[list[str]], rich: bool) -> RenderableType:
    table = Table(box=SIMPLE_HEAD if rich else None, header_style="dim", border_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    table.show_edge = False
    for i, column in enumerate(columns):
        table.add_column(column, style="cyan" if i == 0 else "", no_wrap=i < len(columns) - 1)
    for row in rows:
        table.add_row(*map(Text, row))
    return _indented(table)


def _knobs(knobs: list[dict[str, Any]], out: Console) -> RenderableType:
    from steepest.cli.notation import number

    narrow = out.width < ROOMY
    rows = []
    for k in knobs:
        search = " to ".join(map(number, k["search"])) + (", log" if k["log"] else "") if k["search"] else ""
        valid = f"[{number(k['low'])}, {number(k['high'])}{']' if k['closed'] else ')'}"
        ranges = [f"{valid}\n{search}".rstrip()] if narrow else [valid, search]
        name = k["name"] if k["symbol"] == k["name"] else f"{k['name']} {k['symbol']}"
        rows.append([name, number(k["default"]), *ranges, k["meaning"]])
    return _table(["name", "default", *(["valid, search"] if narrow else ["valid", "search"]), "meaning"], rows, out.is_terminal)


def _options(options: list[dict[str, Any]], rich: bool) -> RenderableType:
    rows = [
        [o["name"], "none" if o["default"] == () else str(o["default"]), ", ".join(map(str, o["choices"])), o["meaning"]] for o in options
    ]
    return _table(["name", "default", "choices", "meaning"], rows, rich)


def _memory(known: dict[str, Any]) -> RenderableType:
    state = known["state"]
    kept = "nothing per element"
    if state["tensors"]:
        square = "" if all(x["shape"] == "as p" for x in state["tensors"]) else " of a 64 × 64 matrix"
        kept = f"{state['bytes_per_element']:g} bytes per float32 element{square}: {_alike(state['tensors'])}"
    if state["scalars"]:
        kept += f"; 8 bytes per parameter for each of {_alike(state['scalars'])}"
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_row(Text("state", "cyan"), Text(kept))
    table.add_row(Text("traffic", "cyan"), Text(_traffic(known["traffic"])))
    return _indented(table)


def _alike(states: list[dict[str, str]]) -> str:
    """Names together that are shaped and start alike: `m, v (as p, from 0)`."""
    groups: dict[str, list[str]] = {}
    for x in states:
        groups.setdefault(", ".join([*([x["shape"]] if "shape" in x else []), f"from {x['start']}"]), []).append(x["name"])
    return ", ".join(f"{', '.join(names)} ({how})" for how, names in groups.items())


def _traffic(traffic: dict[str, Any]) -> str:
    if traffic["bytes_per_element"] is None:
        return f"n/a: {traffic['why']}"
    passes = "1 pass" if traffic["passes"] == 1 else f"{traffic['passes']} passes"
    text = f"{traffic['bytes_per_element']} bytes per float32 element and step, in {passes}"
    if traffic["inner"]:
        return f"{text}, around Adam (alone {traffic['inner']['bytes_per_element']})"
    return f"{text}: {sum(traffic['reads'])} reads and {traffic['writes']} writes"


PAGES = {"rule": page, "wrapper": page, "initializer": start_page, "plan": start_page, "schedule": card_page, "regularizer": card_page}
