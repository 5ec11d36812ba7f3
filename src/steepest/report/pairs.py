"""Methods two by two: which is ahead, by how much, and how firm the order of all of them is."""

from collections.abc import Iterator
from typing import Any

from steepest.report import contrasts
from steepest.report.contest import Contest, known
from steepest.report.parts import Column, Figure, Html, Table, table
from steepest.report.results import METHOD, ranked, spelled

SETTLED = {"better": "better", "open": "not distinguishable", "same": "the same", "waiting": "not known yet"}


def pairs(contest: Contest) -> Iterator[Html | Figure]:
    found = ranked(contest)
    if not found:
        return
    points = bool(contest.asked.get("points"))
    scale, unit = (100.0, ", points") if points else (1.0, "")
    rows, cells = [], []
    for row in found:
        ahead, low, high = (None if (x := known(row[name])) is None else scale * x for name in ("difference", "low", "high"))
        p, first, second, settled = known(row["p"]), str(row["first"]), str(row["second"]), SETTLED.get(row["kind"], str(row["kind"]))
        between = f"{low:.3g} to {high:.3g}" if low is not None else ""
        more = f"about {row['more']} more" if row["more"] is not None else ""
        rows.append(
            (*map(spelled, (first, second)), settled, digits(ahead), between, digits(p, 2), digits(row["single"], 2), wins(row), more)
        )
        cells.append((first, second, settled, said(ahead, p), ahead, low, high, p))
        turned = [None if x is None else -x for x in (ahead, high, low)]
        cells.append((second, first, "worse" if settled == "better" else settled, said(turned[0], p), *turned, p))
    heads = [METHOD, Column("against", "against"), Column("verdict", "it is"), Column("ahead", f"ahead by{unit}", True)]
    heads += [Column("interval", "95 %")]
    heads += [Column("p", "p, corrected", True), Column("single", "p by itself", True), Column("wins", f"better in {contest.units}")]
    yield table(Table([*heads, Column("more", "to settle it")], rows), "data")
    columns = [
        METHOD,
        Column("against", "against"),
        Column("verdict", "it is"),
        Column("said", "ahead"),
        Column("ahead", f"ahead by{unit}", True),
    ]
    columns += [Column("low", "95 % from", True), Column("high", "to", True), Column("p", "p, corrected", True)]
    about = "By how much the method of a row is ahead of that of a column. Shaded: settled, after Holm's correction for all pairs."
    yield Figure("Each against each", about, Table(columns, cells), contrasts.matrix(contest.order))


def said(ahead: float | None, p: float | None) -> str:
    """In a cell: the difference; where there is none, p."""
    return f"{ahead:+.2g}" if ahead is not None else f"p {digits(p, 2)}" if p is not None else ""


def digits(x: Any, most: int = 3) -> str:
    value = known(x)
    return "" if value is None else "< 0.001" if most == 2 and value < 0.001 else f"{value:.{most}g}"


def wins(row: dict[str, Any]) -> str:
    share = known(row["wins"])
    return "" if share is None else f"{share * row['n']:g} of {row['n']}"


def ranks(contest: Contest) -> Iterator[Figure]:
    ranking = contest.found.get("ranking")
    if not ranking or len(ranking["order"]) < 2:
        return
    rows = [(str(name), place, float(share)) for name, shares in ranking["shares"].items() for place, share in enumerate(shares, 1)]
    about = (
        f"Were the {contest.units} others, drawn anew from those that there are: how often each method would come to each place. "
        f"The whole order would be as it is in {100 * (known(ranking['stable']) or 0.0):.0f} % of draws."
    )
    data = Table([METHOD, Column("place", "place", True), Column("share", "share", True)], rows)
    yield Figure("How firm the order is", about, data, contrasts.places([str(name) for name in ranking["order"]]))
