"""The three finders for a task and a recipe: the model as the recipe starts it, on batches as training sees them. Nothing is kept of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from math import ceil
from typing import Any

from torch import Tensor, nn

from steepest.core.errors import SettingError
from steepest.core.task import Task
from steepest.data.parts import Batch
from steepest.optim import LBFGS
from steepest.train.batch_finder import BatchResult, full_step, largest_batch
from steepest.train.course import Streamed
from steepest.train.course import micro as micro_batches
from steepest.train.noise_scale import NoiseScale, noise_scale
from steepest.train.range_test import RangeResult, range_test
from steepest.train.recipe import Recipe
from steepest.train.run import settings
from steepest.train.session import Session

# Samples that are repeated to make a batch of any size.
EXAMPLE = 64


def find_rate(task: Task, recipe: Recipe | None = None, *, low: float = 1e-7, high: float = 10.0, steps: int = 100) -> RangeResult:
    """A learning-rate range test, on batches as the recipe makes them; its schedules and its driver stand aside."""
    with begun(task, recipe) as s:
        each = s.recipe.batch.micro or s.course.base
        return range_test(
            s.model, the_optimizer(s), partial(parts, s, each), partial(summed, s), low, high, steps, ceil(s.course.base / each)
        )


def find_batch(
    task: Task, recipe: Recipe | None = None, *, start: int = 1, limit: int | None = None, memory: int | None = None
) -> BatchResult:
    """The largest batch of which a whole step fits into memory; with batch.micro in the recipe, the largest micro-batch."""
    with begun(task, recipe) as s:
        optimizer, example = the_optimizer(s), s.feed.first(s.course, EXAMPLE)
        step = full_step(s.model, optimizer, partial(summed, s), example, 2 if s.recipe.batch.micro else 1)
        return largest_batch(step, start, limit, keep=(s.model, optimizer), memory=memory)


def find_noise(task: Task, recipe: Recipe | None = None, *, size: int = 8, micro: int = 16, measurements: int = 8) -> NoiseScale:
    """The gradient noise scale at the start of training, from micro-batches of `size` samples, all of them different."""
    with begun(task, recipe) as s:
        needed = size * micro * measurements
        if not isinstance(s.course, Streamed) and len(s.data.train) < needed:
            raise SettingError(
                f"find_noise: {measurements} measurements of {micro} micro-batches of {size} need {needed} samples, "
                f"and there are {len(s.data.train)}; take smaller micro-batches, or fewer"
            )
        return noise_scale(s.model, partial(parts, s, size), partial(summed, s), micro, measurements)


@contextmanager
def begun(task: Task, recipe: Recipe | None) -> Iterator[Session]:
    """Within: a run before its first step."""
    recipe = recipe or Recipe()
    recipe.check(task.factories)
    if task.losses:
        raise SettingError(f"the finders are for one loss, and this task has several players: {', '.join(task.losses)}")
    with settings(recipe):
        session = Session(task, recipe)
        session.model.train()
        yield session


def the_optimizer(session: Session) -> Any:
    (optimizer,) = session.optimizers.values()
    if isinstance(optimizer, LBFGS):
        raise SettingError("optimizer.rule = lbfgs searches along a line in each step: it is not made of batches, and its rate is no rate")
    return optimizer


def parts(session: Session, size: int) -> Iterator[Batch]:
    """Training batches in order, in parts of at most `size` samples."""
    for k in range(session.steps):
        yield from micro_batches(session.feed.training(session.course.batch(k)), size)


def summed(session: Session, model: nn.Module, batch: Batch) -> tuple[Tensor, float]:
    return session.stepping.summed(batch)
