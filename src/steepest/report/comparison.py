"""The page of a comparison: the verdicts in words, each method with its interval, and whether it had its chance."""

from collections.abc import Iterator, Sequence

from steepest.records import Study
from steepest.report import decided, many, pace, pairs, results, study, tuning, words
from steepest.report.contest import Contest
from steepest.report.parts import Html, Section, bullets, facts
from steepest.report.reading import Story


def sections(found: Study, problems: Sequence[str], stories: Sequence[Story]) -> list[Section]:
    contest = Contest(found, stories, [*problems])
    made = [
        contest.section("The verdicts", results.verdicts, overview),
        contest.section("The methods", results.standings),
        contest.section("Pairs", pairs.pairs, pairs.ranks),
        contest.section("How they learn", pace.curves),
        contest.section("How fast they come to the target", pace.target),
        contest.section("Had each its chance?", tuning.expected, tuning.slices),
        contest.section("What was chosen for each", tuning.chosen),
        contest.section("What it cost", tuning.spent),
        contest.section("What the methods are", tuning.defined),
        contest.section("How to reproduce it", tuning.reproduce),
        contest.section("All trainings", trainings),
        Section("What happened on the way", list(many.events(stories))),
        Section("Where they ran", list(many.environments(stories))),
        Section("What could not be read", list(unread(contest))),
    ]
    return [one for one in made if one.parts]


def overview(contest: Contest) -> Iterator[Html]:
    preset, found = contest.asked.get("preset", {}), contest.study
    yield facts(
        [
            ("task", str(found.begin.get("task", ""))),
            ("objective", f"{contest.metric} ({found.begin.get('better')})"),
            ("preset", str(preset.get("name", ""))),
            ("trainings", f"{len(found.results)} of {preset.get('trainings', '?')}"),
            ("epochs", f"{found.epochs:,}"),
            ("time", words.span(found.seconds)),
            ("state", found.state),
        ]
    )


def trainings(contest: Contest) -> Iterator[Html]:
    if contest.study.trials:
        yield study.trials(contest.study)


def unread(contest: Contest, most: int = 20) -> Iterator[Html]:
    if contest.problems:
        yield bullets(contest.problems[:most], "problems")
    yield from decided.problems(contest.stories)
