"""What a comparison found: the verdicts, each method by itself, pairs, how firm the order is."""

from collections.abc import Iterator
from typing import Any

from steepest.report import contrasts, words
from steepest.report.contest import Contest, known, method_of
from steepest.report.parts import Column, Figure, Html, Table, bullets, details, joined, shown, table, tag

METHOD = Column("method", "method")
# Verdicts that are read one by one; the others are there when they are asked for.
SAID = 12
FLAGS = {"edge": "undertuned: {knob} at the edge", "climbing": "undertuned: still climbing"}


def verdicts(contest: Contest) -> Iterator[Html]:
    """In words, and before them whatever makes them doubtful."""
    if contest.asked.get("unequal"):
        yield tag("p", tag("strong", str(contest.asked["unequal"])), class_="warning")
    if not contest.found:
        yield bullets(so_far(contest))
        return
    told = [str(row["words"]) for row in ranked(contest)]
    yield tag("p", tag("strong", str((contest.study.answer or {})["message"])))
    yield bullets(told[:SAID], "verdicts")
    if told[SAID:]:
        yield details(f"And {words.plural(len(told) - SAID, 'more pair')}", bullets(told[SAID:]))
    if contest.found["flags"]:
        yield bullets((str(flag["words"]) for flag in contest.found["flags"]), "problems")
    yield bullets(
        map(str, [*contest.found["notes"], *contest.asked["about"], f"Laid down beforehand: {contest.asked['preset']['words']}."]), "notes"
    )


def ranked(contest: Contest) -> list[dict[str, Any]]:
    """The verdicts, those on the best methods first."""
    place = {name: k for k, name in enumerate(contest.order)}
    return sorted(contest.found.get("verdicts", []), key=lambda row: sorted((place[row["first"]], place[row["second"]])))


def so_far(contest: Contest) -> Iterator[str]:
    done, planned = len(contest.study.results), contest.asked.get("preset", {}).get("trainings")
    yield f"There is no verdict yet: {done}{f' of {planned}' if planned else ''} trainings are done."
    yield "It is still going on, or its process died. steepest compare --resume goes on; what there was when this page was made is on it."
    failed = next((line["error"] for line in contest.study.results.values() if line.get("error")), None)
    if failed:
        yield f"The first that went wrong: {failed}"


def standings(contest: Contest) -> Iterator[Html | Figure]:
    metric = contest.metric
    rows: list[tuple[Any, ...]] = []
    for k, row in enumerate(contest.found.get("standings", ()), 1):
        low, high = known(row["low"]), known(row["high"])
        between = f"{shown(low)} to {shown(high)}" if low is not None else ""
        rows.append(
            (k, named(contest, row["method"]), known(row["mean"]), between, row["n"], row["missed"] or "", best_of(contest, row["method"]))
        )
    if rows:
        heads = [Column("place", "place", True), METHOD, Column("mean", f"{metric}, mean", True), Column("interval", "95 %")]
        heads += [Column("n", contest.units, True), Column("missed", "diverged", True), Column("what", "with")]
        yield table(Table(heads, rows), "data")
        yield from dots(contest)
    else:
        yield from course(contest)


def named(contest: Contest, method: str) -> Html:
    """The name with what is to be said against it."""
    kinds = [flag for flag in contest.found.get("flags", ()) if flag["method"] == method]
    unlike = [one for one in (contest.methods.get(method),) if one and uneven(contest) and contest.asked.get("unequal")]
    said = [
        tag("span", FLAGS.get(flag["kind"], "{knob}").format(knob=flag["knob"]), class_="flag", title=str(flag["words"])) for flag in kinds
    ]
    said += [tag("span", f"{one['studies']} x {one['trials']} trials", class_="flag") for one in unlike]
    return joined([spelled(method), *said], " ")


def spelled(method: Any) -> Html:
    return tag("span", str(method), class_="name")


def uneven(contest: Contest) -> bool:
    return len({(one.get("studies"), one.get("trials")) for one in contest.methods.values()}) > 1


def best_of(contest: Contest, method: str) -> str:
    """What its search chose, in a word."""
    chosen = [row for row in contest.found["chosen"] if row["method"] == method]
    if len(chosen) > 1:
        return f"the best of each of {len(chosen)} studies"
    return "".join(str(row["what"]) for row in chosen)


def values(point: dict[str, Any]) -> str:
    return ", ".join(f"{name} {short(x)}" for name, x in point.items() if name != "method")


def short(x: Any) -> str:
    return f"{x:.3g}" if isinstance(x, float) else shown(x)


def dots(contest: Contest) -> Iterator[Figure]:
    """Each seed, the mean, and the interval of the mean."""
    rows: list[tuple[Any, ...]] = []
    for row in contest.found["standings"]:
        method = str(row["method"])
        rows.append((method, f"{row['n']} together", None, known(row["mean"]), known(row["low"]), known(row["high"])))
        rows += [(method, f"{contest.unit} {at}", known(x), None, None, None) for at, x in contest.found["scores"].get(method, {}).items()]
    heads = [METHOD, Column("run", "of"), Column("score", contest.metric, True), Column("mean", "mean", True)]
    about = (
        f"A dot to each {contest.unit}, a mark at the mean; the mean lies within the bar with 95 %. Bars of two methods that overlap "
        "do not say that the methods are equal: methods are compared seed by seed."
    )
    bars, means = (any(row[k] is not None for row in rows) for k in (4, 3))
    chart = contrasts.intervals(contest.metric, [x for row in rows for x in row[2:]], contest.order, bars=bars, means=means)
    data = Table([*heads, Column("low", "95 % from", True), Column("high", "to", True)], rows)
    yield Figure(f"The {contest.metric} of each method", about, data, chart, "What diverged has no number.")


def course(contest: Contest) -> Iterator[Html | Figure]:
    """Before there is an answer: what is done of each method, and how well it went."""
    rows, points = [], []
    for name in contest.order:
        explored, fresh = ([(job, result) for job, result in contest.jobs(why) if method_of(job) == name] for why in ("explore", "repeat"))
        scores = [[contest.score(result) for _, result in pairs] for pairs in (explored, fresh)]
        best = max((x for x in scores[0] if x is not None), key=lambda x: x if contest.higher else -x, default=None)
        there = [x for x in scores[1] if x is not None]
        rows.append((name, len(explored), best, len(fresh), sum(there) / len(there) if there else None))
        for pairs, what in ((explored, "trial"), (fresh, "fresh seed")):
            points += [
                (name, f"{what} {job['trial'] if what == 'trial' else job['seed']}", contest.score(x), None, None, None) for job, x in pairs
            ]
    heads = [METHOD, Column("trials", "trials", True), Column("best", f"best {contest.metric}", True), Column("fresh", "fresh seeds", True)]
    yield table(Table([*heads, Column("mean", "their mean", True)], rows), "data")
    if any(row[2] is not None for row in points):
        columns = [METHOD, Column("run", "of"), Column("score", contest.metric, True), Column("mean", "mean", True)]
        data = Table([*columns, Column("low", "95 % from", True), Column("high", "to", True)], points)
        chart = contrasts.intervals(contest.metric, [row[2] for row in points], contest.order, bars=False, means=False)
        yield Figure(f"The {contest.metric} so far", "A dot to each training: trials of the search, and fresh seeds.", data, chart)
