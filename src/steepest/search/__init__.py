"""Search: a better recipe than the default, within a budget. What is heavy (torch, Optuna, SciPy) is imported where it is used."""

from typing import TYPE_CHECKING, Any

from steepest.search.jobs import WAIT, Answer, Job, Point, Result, Strategy, Wait

if TYPE_CHECKING:
    from steepest.search.own import Study
    from steepest.search.space import Space

__all__ = ["WAIT", "Answer", "Job", "Point", "Result", "Space", "Strategy", "Study", "Wait"]


def __getattr__(name: str) -> Any:
    """A worker of somebody's own program lives without torch."""
    if name == "Space":
        from steepest.search.space import Space

        return Space
    if name == "Study":
        from steepest.search.own import Study

        return Study
    raise AttributeError(f"module 'steepest.search' has no attribute {name!r}")
