"""Runs that belong together, and what tells them apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import median
from typing import Any

from steepest.report.decided import literal
from steepest.report.reading import Story

# Methods that have a color each. Where there are more, the rule is the method.
METHODS = 10
# What is not a choice of method.
ASIDE = ("version", "run.", "stop.")
Metric = tuple[str, str, str]


@dataclass(frozen=True)
class Group:
    """Runs of one task by one metric. `methods` and `differ` are by run: what it is called, and what it has that others have not."""

    metric: Metric
    stories: list[Story]
    methods: list[str]
    differ: dict[str, list[Any]]
    ranked: tuple[str, ...] = ()

    @property
    def order(self) -> list[str]:
        """The methods as somebody ranked them; or else the best median first."""
        if self.ranked:
            return list(self.ranked)
        values: dict[str, list[float]] = {}
        for story, method in zip(self.stories, self.methods, strict=True):
            values.setdefault(method, []).append(bad_to_good(story))
        return sorted(values, key=lambda method: (-median(values[method]), method))


def grouped(stories: Sequence[Story]) -> list[Group]:
    """By task and metric, the largest group first. A run that has not begun belongs to none."""
    found: dict[Metric, list[Story]] = {}
    for story in stories:
        s = story.summary
        if s.metric:
            found.setdefault((s.task, s.metric, s.better), []).append(story)
    groups = [Group(metric, members, *told_apart(members)) for metric, members in found.items()]
    return sorted(groups, key=lambda group: -len(group.stories))


def told_apart(stories: Sequence[Story]) -> tuple[list[str], dict[str, list[Any]]]:
    """What to call each run's method, and the settings that are not the same in all runs."""
    paths = dict.fromkeys(path for story in stories for path in story.settings if not path.startswith(ASIDE))
    differ = {path: [story.settings.get(path) for story in stories] for path in paths}
    differ = {path: values for path, values in differ.items() if len({repr(x) for x in values}) > 1}
    rules = [story.summary.rule for story in stories]
    # What the rule decides need not be said beside it.
    beside = [path for path, values in differ.items() if path != "optimizer.rule" and varies_within(rules, values)]
    methods = [called(rule, {path: differ[path][i] for path in beside}) for i, rule in enumerate(rules)]
    return (methods if len(set(methods)) <= METHODS else rules), differ


def varies_within(rules: Sequence[str], values: Sequence[Any]) -> bool:
    return any(len({repr(x) for rule, x in zip(rules, values, strict=True) if rule == one}) > 1 for one in set(rules))


def called(rule: str, settings: Mapping[str, Any]) -> str:
    """ "adamw, lr 0.01": the rule, and what tells its runs apart."""
    said = [f"{path.rpartition('.')[2]} {literal(x)}" for path, x in settings.items() if x is not None]
    return ", ".join([rule, *said])


def bad_to_good(story: Story) -> float:
    """The best of a run, greater where it is better; a run without one is below all."""
    s = story.summary
    if s.best is None or not isfinite(s.best):
        return float("-inf")
    return s.best if s.better == "higher" else -s.best
