"""The page of a comparison on several tasks: who comes to the targets first, and the verdicts on each task."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from steepest.records.comparisons import NAME, several
from steepest.records.schema import RecordError
from steepest.records.studies import readable
from steepest.report import contrasts, results, words
from steepest.report.contest import UNLIKE, Contest, is_comparison, known, table_of
from steepest.report.parts import Column, Figure, Html, Section, Table, bullets, shown, table, tag
from steepest.report.results import METHOD

# What a cost is called.
COSTS = {"steps": "steps", "seconds": "time"}


def called(cost: str) -> str:
    return COSTS.get(cost, cost)


def sections(folder: Path) -> list[Section]:
    problems: list[str] = []
    whole = read(folder, problems)
    contests = opened(folder, whole, problems)
    over = Section("Over all tasks", [overview(whole, contests)])
    try:
        over.parts += list(together(table_of(whole.get("conclusion"))))
    except UNLIKE as wrong:
        problems.append(f"{folder / NAME} is unlike any that is known here: {wrong!r}")
    made = [over]
    for contest in contests:
        made.append(
            contest.section(
                f"On {contest.study.begin.get('task', contest.study.folder.name)}", results.verdicts, results.standings, whole_page
            )
        )
        problems += contest.problems
    made.append(Section("What could not be read", [bullets(problems[:20], "problems")] if problems else []))
    return [one for one in made if one.parts]


def read(folder: Path, problems: list[str]) -> dict[str, Any]:
    try:
        return several(folder)
    except RecordError as wrong:
        problems.append(f"{wrong}; what there is of its tasks is here")
        return {}


def opened(folder: Path, whole: dict[str, Any], problems: list[str]) -> list[Contest]:
    """The comparisons within this folder, in their order; nothing beyond it, whatever the file says."""
    listed = whole.get("tasks") if isinstance(whole.get("tasks"), list) else None
    names = [str(table_of(one).get("folder")) for one in listed or ()] or sorted(
        path.name for path in folder.iterdir() if is_comparison(path)
    )
    inside = [folder / name for name in names if (folder / name).resolve().parent == folder.resolve()]
    there = [path for path in inside if is_comparison(path)]
    contests = [Contest(found, [], wrong) for found, wrong in map(readable, there)]
    for contest in contests:  # a method has one color and one row on all tasks
        contest.order = list(dict.fromkeys([*ranked(table_of(whole.get("conclusion"))), *contest.order]))
    return contests


def overview(whole: dict[str, Any], contests: list[Contest]) -> Html:
    ended = sum(bool(contest.found) for contest in contests)
    planned = len(whole["tasks"]) if isinstance(whole.get("tasks"), list) else len(contests)
    said = [f"{words.plural(planned, 'task')}, {len(contests)} begun, {ended} with verdicts."]
    conclusion = table_of(whole.get("conclusion"))
    said += map(str, conclusion.get("words", ()) if isinstance(conclusion.get("words"), list) else ())
    if not conclusion:
        said.append("No task has ended: there is nothing to say over all of them yet.")
    return bullets([*said, "Targets are those of each task; a target that was not reached is a miss, and no task is left out."])


def ranked(conclusion: dict[str, Any]) -> list[str]:
    """Methods by their first score over all tasks, the best first; none before there are scores."""
    scores = table_of(next(iter(table_of(conclusion.get("scores")).values()), None))
    return sorted(scores, key=lambda name: -(known(scores[name]) or 0.0))


def together(conclusion: dict[str, Any]) -> Iterator[Html | Figure]:
    scores, order = conclusion.get("scores", {}), ranked(conclusion)
    if scores:
        heads = [METHOD, *(Column(of, f"score by {called(of)}", True) for of in scores)]
        yield tag(
            "p",
            "The score is the mean height of the profile below from 1 to 4 times the quickest: 1 for who is first everywhere.",
            class_="note",
        )
        yield table(Table(heads, [(name, *(known(own.get(name)) for own in scores.values())) for name in order]), "data")
    for of, profile in conclusion.get("profiles", {}).items():
        rows = [(name, at, known(x)) for name in order for at, x in zip(profile["at"], profile["shares"][name], strict=True)]
        data = Table([METHOD, Column("step", "times", True), Column("value", "share of tasks", True)], rows)
        most = f"at most so many times the {called(of)} of the quickest"
        about = f"The share of tasks whose target a method reaches in {most} (Dolan & Moré, 2002)."
        yield Figure(f"Performance profile by {called(of)}", about, data, contrasts.profiles(called(of), order))
    for of, costs in conclusion.get("costs", {}).items():
        tasks = [str(task) for task in conclusion["tasks"]]
        told = words.span if of == "seconds" else shown
        cells = {name: [known(costs[name].get(task)) for task in tasks] for name in order}
        rows = [(name, *("not reached" if x is None else told(x) for x in row)) for name, row in cells.items()]
        yield tag("p", f"{called(of).capitalize()} to the target of each task:", class_="note")
        yield table(Table([METHOD, *(Column(f"task{k}", task) for k, task in enumerate(tasks))], rows), "data")


def whole_page(contest: Contest) -> Iterator[Html]:
    yield tag("p", f"All about it: steepest report {contest.study.folder}", class_="note")
