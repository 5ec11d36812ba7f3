"""The page of a study: how the best was found, what was tried, and which choices went with what came of it."""

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from math import isfinite
from typing import Any

from steepest.records import Study, number
from steepest.report import decided, many, words
from steepest.report.meanings import lowered
from steepest.report.parts import Column, Html, Section, Table, bullets, facts, shown, table, tag
from steepest.report.reading import Story, attempt, flat, toml
from steepest.report.tried import cell, course, last_results, mattered, slices, value


def sections(found: Study, problems: Sequence[str], stories: Sequence[Story]) -> list[Section]:
    lasts = last_results(found)
    best = Story("the answer", found.folder)
    if (found.folder / "recipe.toml").is_file():
        best.recipe = attempt(best, lambda: (found.folder / "recipe.toml").read_text(encoding="utf-8"), "")
        best.settings = attempt(best, lambda: flat(toml(best.recipe)), {})
    wrong = [*problems, *best.problems]
    made = [
        Section("What was found", list(overview(found))),
        Section("The search", list(course(found))),
        Section("What was chosen, and what came of it", [*mattered(found), *slices(found, lasts)]),
        Section("The recipe", [*decided.recipe(best), *reproduce(found)] if best.recipe else []),
        Section("All trials", [trials(found)] if lasts else []),
        Section("What could not be read of the study", [bullets(wrong[:20], "problems")] if wrong else []),
    ]
    runs = many.sections(stories) if stories else []
    return [*(one for one in made if one.parts), *(Section(f"The runs: {lowered(one.title)}", one.parts) for one in runs)]


def overview(found: Study) -> Iterator[Html]:
    objective, better = found.begin.get("objective", "score"), found.begin.get("better", "lower")
    states = Counter(line["status"] for line in found.results.values())
    became = ", ".join(f"{n} {state}" for state, n in states.most_common()) or "no result yet"
    said = [
        f"{words.plural(len(found.trials), 'trial')} of {found.begin.get('task', 'a task')} in {words.plural(found.epochs, 'epoch')} and "
        f"{words.span(found.seconds)}: {became}. The study: {found.state}."
    ]
    if found.answer:
        said.append(f"The answer is trial {found.answer['trial']}: {str(found.answer['message']).rstrip('.')}.")
        said += [
            f"On {where}: {measured(found.answer[key])}."
            for key, where in (("metrics", "validation data"), ("test", "test data"))
            if key in found.answer
        ]
        if isinstance(usual := found.answer.get("default"), dict):
            said.append(f"The default recipe, for comparison: {measured(usual)}.")
        said += found.answer.get("advice", [])
    elif found.best:
        job = found.jobs.get(found.best["step"], {})
        said.append(f"So far the best {objective} is {shown(value(found, found.best))}, of trial {job.get('trial')}; {better} is better.")
    if found.state == "unfinished":
        said.append("The study has not ended: it is still going on, or its process died. steepest tune --resume goes on.")
    failed = next((line["error"] for line in found.results.values() if line.get("error")), None)
    said += [f"The first that went wrong: {failed}"] if failed else []
    yield bullets(said)
    settings = found.begin.get("settings", {})
    names = [name for name in ("strategy", "stopper", "limit", "seed", "width", "folds") if settings.get(name) not in (None, "")]
    yield facts([("objective", f"{objective} ({better})"), *((name, cell(settings[name])) for name in names)])


def measured(metrics: dict[str, Any]) -> str:
    return ", ".join(f"{name} {shown(number(x))}" for name, x in metrics.items())


def trials(found: Study) -> Html:
    method = [Column("method", "method")] if found.is_comparison else []
    columns = [
        Column("trial", "trial", True),
        *method,
        Column("value", found.begin.get("objective", "score"), True),
        Column("epochs", "epochs", True),
    ]
    columns += [Column("status", "status"), Column("seed", "seed", True), Column("origin", "from"), Column("point", "values")]
    rows = []
    for trial, decisions in found.trials.items():
        job, result = found.jobs[decisions[-1]], found.results[decisions[-1]]
        x = value(found, result)
        point = ", ".join(f"{name} {shown(cell(x))}" for name, x in job["point"].items() if not (method and name == "method"))
        rows.append(
            (
                trial,
                *([job["point"].get("method")] if method else []),
                x if isfinite(x) else None,
                job["stop"],
                result["status"],
                job["seed"],
                job["origin"],
                point,
            )
        )
    return table(Table(columns, rows), "runs", data_sortable="")


def reproduce(found: Study) -> Iterator[Html]:
    task = str(found.begin.get("task", "TASK"))
    folder = str(found.folder)
    lines = [
        shlex.join(["steepest", "train", task, "--recipe", f"{folder}/recipe.toml"]),
        shlex.join(["steepest", "tune", "--resume", folder]),
    ]
    yield tag("p", "To train by this recipe again; to go on with the study:", class_="note")
    yield tag("pre", "\n".join(lines))
