"""Whether each method had its chance: what its search tried, what it chose, what it cost."""

import shlex
from collections.abc import Iterator
from typing import Any

from steepest.report import contrasts, tried, words
from steepest.report.contest import Contest, known, method_of, table_of
from steepest.report.parts import Column, Figure, Html, Table, details, table, tag
from steepest.report.reading import Line
from steepest.report.results import METHOD, named, short, spelled, values

# Recipes, and choices drawn against the result, that a page has room for.
RECIPES, SLICES = 12, 8


def expected(contest: Contest) -> Iterator[Figure]:
    rows = [
        (name, trials, known(x))
        for name in contest.order
        for trials, x in enumerate(contest.found.get("expected_best", {}).get(name, ()), 1)
    ]
    end = max((row[1] for row in rows), default=0)
    if end > 1:
        about = (
            f"What the best {contest.metric} of so many trials of a search is on average; the first is the method's defaults. "
            "A line that still rises at its end is a method that more trials would help."
        )
        data = Table([METHOD, Column("step", "trials", True), Column("value", contest.metric, True)], rows)
        yield Figure(
            "The best of so many trials", about, data, contrasts.stairs(contest.metric, end, [row[2] for row in rows], contest.order)
        )


def slices(contest: Contest) -> Iterator[Html | Figure]:
    """What was searched against what came of it: first what most methods have, and what was tried with most values."""
    trials, seen = searched(contest), {}
    for job, _ in trials:
        for path, x in job["point"].items():
            seen.setdefault(path, set()).add((method_of(job), repr(x)))
    worth = {path: (len({name for name, _ in pairs}), len({x for _, x in pairs})) for path, pairs in seen.items() if path != "method"}
    varied = sorted((path for path, (_, values) in worth.items() if values > 1), key=lambda path: worth[path], reverse=True)
    shown = ["method", *varied[:SLICES]]
    lasts = [(job | {"point": {path: job["point"][path] for path in shown if path in job["point"]}}, result) for job, result in trials]
    yield from tried.slices(contest.study, lasts, method_of, "method", contest.order)
    if len(varied) > SLICES:
        yield tag("p", f"{SLICES} of {len(varied)} choices; all are in the table of trainings.", class_="note")


def searched(contest: Contest) -> list[tuple[Line, Line]]:
    """The trials that came to an end. A choice that several methods have is one, whatever each calls it."""
    paths = {name: {str(fact["name"]): str(fact["path"]) for fact in one["space"]} for name, one in contest.methods.items()}
    found = []
    for job, result in contest.jobs("explore"):
        if contest.score(result) is not None:
            own = paths.get(method_of(job), {})
            found.append((job | {"point": {own.get(name, name): x for name, x in job["point"].items()}}, result))
    return found


def chosen(contest: Contest) -> Iterator[Html]:
    found = sorted(contest.found.get("chosen", ()), key=lambda row: (contest.order.index(row["method"]), row["study"]))
    if not found:
        return
    rows = [
        (
            named(contest, row["method"]), row["study"], known(row["score"]), known(row["mean"]), len(row["fresh"]), row["what"],
            values(row["point"]),
        )
        for row in found
    ]  # fmt: skip
    heads = [METHOD, Column("study", "study", True), Column("score", f"{contest.metric} in the search", True)]
    heads += [Column("mean", "on fresh seeds", True), Column("n", "seeds", True), Column("what", "the best was"), Column("point", "values")]
    yield tag("p", "What the best of a search promised is partly luck: on fresh seeds it is usually less.", class_="note")
    yield table(Table(heads, rows), "text")
    for row in found[:RECIPES]:
        if text := recipe_of(contest, row):
            of = f", study {row['study']}" if row["study"] > 1 else ""
            yield details(f"The recipe of {row['method']}{of}", tag("pre", text))


def trial_of(row: dict[str, Any]) -> int | None:
    """The training whose recipe was chosen: that of the search, or else any on a fresh seed."""
    return row["trial"] if row["trial"] is not None else next((one["trial"] for one in row["fresh"]), None)


def recipe_of(contest: Contest, row: dict[str, Any]) -> str:
    trial = trial_of(row)
    found = next((story.recipe for story in contest.stories if trial is not None and story.folder.name == f"{trial:04d}"), "")
    return found or str(contest.methods.get(row["method"], {}).get("recipe", ""))


def spent(contest: Contest) -> Iterator[Html]:
    """What each method was given, and what it took."""
    if contest.asked.get("unequal"):
        yield tag("p", tag("strong", str(contest.asked["unequal"])), class_="warning")
    paid, seconds = contest.found.get("spent") or so_far(contest), table_of(table_of((contest.study.answer or {}).get("time")).get("spent"))
    rows = []
    for name in contest.order:
        given, took, time = contest.methods.get(name, {}), paid.get(name, {}), known(seconds.get(name))
        studies = f"{given.get('studies')} {'study' if given.get('studies') == 1 else 'studies'}"
        searched = f"{studies} x {words.plural(given['trials'], 'trial')}" if given else ""
        rows.append((named(contest, name), searched, took.get("trainings"), took.get("epochs"), words.span(time) if time else None))
    heads = [METHOD, Column("searched", "its search"), Column("trainings", "trainings", True), Column("epochs", "epochs", True)]
    yield table(Table([*heads, Column("seconds", "training, on this machine")], rows), "data")


def so_far(contest: Contest) -> dict[str, dict[str, int]]:
    pairs = [*contest.jobs("explore"), *contest.jobs("repeat")]
    own = {name: [result["epochs"] for job, result in pairs if method_of(job) == name] for name in contest.order}
    return {name: {"trainings": len(epochs), "epochs": sum(epochs)} for name, epochs in own.items()}


def defined(contest: Contest) -> Iterator[Html]:
    """What makes each method the one it is, and what was searched of it."""
    rows = []
    for name, one in contest.methods.items():
        rows.append((spelled(name), ", ".join(map(str, one["decides"])), "; ".join(map(dimension, one["space"])) or "nothing"))
    yield table(Table([METHOD, Column("decides", "what decides it"), Column("space", "what was searched")], rows), "text")


def dimension(fact: dict[str, Any]) -> str:
    if fact.get("choices") is not None:
        return f"{fact['path']} {' or '.join(str(tried.cell(x)) for x in fact['choices'])}"
    how = " by factors" if fact.get("log") else ""
    return f"{fact['path']} {short(float(fact['low']))} to {short(float(fact['high']))}{how}"


def reproduce(contest: Contest) -> Iterator[Html]:
    task, folder = str(contest.study.begin.get("task", "TASK")), str(contest.study.folder)
    again = [word for axis, names in contest.asked["axes"].items() for word in (f"--{axis}", ",".join(map(str, names)))]
    preset, seed = contest.asked["preset"]["name"], contest.study.begin["settings"].get("seed")
    again += ["--preset", str(preset)] * (preset != "own") + ["--seed", str(seed)] * bool(seed)
    lines = [shlex.join(["steepest", "compare", task, *again]), shlex.join(["steepest", "compare", "--resume", folder])]
    trials = [trial_of(row) for row in contest.found.get("chosen", ())[:RECIPES]]
    recipes = [f"{folder}/trials/{trial:04d}/recipe.toml" for trial in trials if trial is not None]
    lines += [shlex.join(["steepest", "train", task, "--recipe", recipe]) for recipe in recipes]
    yield tag(
        "p", "To compare these methods again; to go on with this comparison; to train by what was chosen for each method:", class_="note"
    )
    yield tag("pre", "\n".join(lines))
