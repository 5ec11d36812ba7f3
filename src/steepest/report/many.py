"""The page of many runs: side by side, by method, and what was chosen against what came of it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from math import isfinite
from statistics import median

from steepest.report import decided, words
from steepest.report.beside import RUN, curves, slices, strips
from steepest.report.groups import Group, bad_to_good, grouped
from steepest.report.parts import Column, Html, Section, Table, bullets, shown, table, tag
from steepest.report.reading import Story

# Groups of runs that measure the same thing; events; machines.
GROUPS, EVENTS, MACHINES = 4, 60, 5


def sections(stories: Sequence[Story]) -> list[Section]:
    made = [Section("What there is", [overview(stories)])]
    groups = grouped(stories)
    for group in groups[:GROUPS]:
        made += of_group(group, len(groups) > 1)
    if len(groups) > GROUPS:
        rest = sum(len(group.stories) for group in groups[GROUPS:])
        made.append(Section("And more", [tag("p", f"{words.plural(rest, 'run')} of other tasks or metrics are in the table below alone.")]))
    made += [
        Section("All runs", [runs_table(stories, groups)]),
        Section("What happened on the way", list(events(stories))),
        Section("Where they ran", list(environments(stories))),
        Section("What could not be read", list(decided.problems(stories))),
    ]
    return [one for one in made if one.parts]


def of_group(group: Group, named: bool) -> list[Section]:
    task, metric, _ = group.metric
    of = f" · {task}, {metric}" if named else ""
    made = [
        Section(f"By method{of}", [by_method(group), *strips(group)]),
        Section(f"Learning curves{of}", list(curves(group))),
        Section(f"What was chosen, and what came of it{of}", list(slices(group))),
    ]
    best = max(group.stories, key=bad_to_good)
    if best.summary.best is not None:
        about = tag("p", "That of ", tag("b", best.name), f", {metric} {shown(best.summary.best)}.")
        made.append(Section(f"The recipe of the best run{of}", [about, *decided.recipe(best), *decided.reproduce(best)]))
    return made


def overview(stories: Sequence[Story]) -> Html:
    states = Counter(story.summary.state for story in stories)
    ended = ", ".join(f"{n} {state}" for state, n in states.most_common())
    seconds = sum(story.summary.seconds for story in stories)
    said = [f"{words.plural(len(stories), 'run')}: {ended}; {words.span(seconds)} of training altogether."]
    for group in grouped(stories)[:GROUPS]:
        task, metric, better = group.metric
        best = max(group.stories, key=bad_to_good)
        known = sum(isfinite(bad_to_good(story)) for story in group.stories)
        if not known:
            said.append(f"{task}: no {metric} yet.")
            continue
        method = group.methods[group.stories.index(best)]
        said.append(
            f"{task}: the best {metric} on validation data is {shown(best.summary.best)} ({better} is better), by {best.name} with "
            f"{method}; {words.plural(len(group.order), 'method')}, {words.plural(known, 'run')} with a result."
        )
        if known < len(group.stories):
            others = words.plural(len(group.stories) - known, "run")
            said.append(f"{others} without a finite {metric} on validation data: they are in no chart of results.")
    said.append("Differences on this page are not tested. What was best of many is partly luck: steepest compare asks fresh seeds.")
    return bullets(said)


def by_method(group: Group) -> Html:
    _, metric, better = group.metric
    rows = []
    for method in group.order:
        members = [story for story, of in zip(group.stories, group.methods, strict=True) if of == method]
        values = [story.summary.best for story in members if story.summary.best is not None]
        ends = sorted(values, reverse=better == "lower") or [None]
        seconds = median(story.summary.seconds for story in members)
        rows.append((method, len(members), median(values) if values else None, ends[0], ends[-1], words.span(seconds)))
    heads = [Column("method", "method"), Column("n", "runs", True), Column("median", f"{metric}, median", True)]
    return table(Table([*heads, Column("worst", "worst", True), Column("best", "best", True), Column("time", "time, median")], rows))


def runs_table(stories: Sequence[Story], groups: Sequence[Group]) -> Html:
    methods = {id(story): method for group in groups for story, method in zip(group.stories, group.methods, strict=True)}
    columns = [
        RUN,
        Column("task", "task"),
        Column("method", "method"),
        Column("seed", "seed", True),
        Column("best", "best", True),
        Column("metric", "of"),
    ]
    columns += [Column("steps", "steps", True), Column("seconds", "seconds", True), Column("state", "state"), Column("notes", "notes")]
    rows = [
        (
            story.name, story.summary.task, methods.get(id(story), ""), story.summary.seed, story.summary.best, story.summary.metric,
            story.summary.steps, float(f"{story.summary.seconds:.4g}"), story.summary.state, notes(story),
        )
        for story in stories
    ]  # fmt: skip
    return table(Table(columns, rows), "runs", data_sortable="")


def notes(story: Story) -> str:
    rollbacks = sum(line["name"] == "rollback" for line in story.events)
    said = [words.plural(rollbacks, "rollback")] if rollbacks else []
    said += [words.plural(story.summary.warnings, "warning")] if story.summary.warnings else []
    return ", ".join([*said, *(["not all could be read"] if story.problems else [])])


def events(stories: Sequence[Story]) -> Iterator[Html]:
    lines = [(story.name, line["step"], line["name"], line["message"]) for story in stories for line in story.events]
    if lines:
        yield table(Table([RUN, Column("step", "step", True), Column("name", "what"), Column("message", "how")], lines[:EVENTS]), "text")
        if len(lines) > EVENTS:
            yield tag("p", f"The first {EVENTS} of {len(lines)}.", class_="note")


def environments(stories: Sequence[Story]) -> Iterator[Html]:
    """Each machine with its versions once, and how many runs it had."""
    found: dict[str, list[Story]] = {}
    for story in stories:
        if story.environment:
            found.setdefault(repr(sorted((k, v) for k, v in story.environment.items())), []).append(story)
    for members in sorted(found.values(), key=len, reverse=True)[:MACHINES]:
        if len(found) > 1:
            yield tag("p", f"{words.plural(len(members), 'run')}:")
        yield from decided.environment(members[0])
    if len(found) > MACHINES:
        yield tag("p", f"And {len(found) - MACHINES} more.", class_="note")
