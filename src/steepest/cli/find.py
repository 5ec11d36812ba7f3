"""`steepest find`: a learning rate, the largest batch, the batch that is worth it; each by some trial steps, with the reason."""

import math
import shlex
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from steepest.cli.console import console, show_json
from steepest.cli.progress import say
from steepest.cli.train import SET, TASK, chosen_recipe, stoppable, warned

RECIPE = Annotated[str | None, typer.Option("--recipe", metavar="FILE", help="The recipe to begin from, as for steepest train.")]
JSON = Annotated[bool, typer.Option("--json", help="Print JSON, with all that was measured.")]
UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def rate(
    task: TASK,
    recipe: RECIPE = None,
    changes: SET = None,
    low: Annotated[float, typer.Option("--low", help="The first rate.")] = 1e-7,
    high: Annotated[float, typer.Option("--high", help="The last rate.")] = 10.0,
    steps: Annotated[int, typer.Option("--steps", help="How many rates, one a step.")] = 100,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="A picture: .html, .png or .svg.")] = None,
    as_json: JSON = False,
) -> None:
    """A learning rate to begin with: train while it grows from step to step, and take half of that where the loss is lowest.

    It is a place to begin a search, mostly too low, seldom off by more than a factor of 5.

    \b
    steepest find rate my_task.py --out rate.html
    steepest find rate my_task.py --set optimizer.rule=lion --set batch.size=32
    """
    found = asked("find_rate", task, recipe, changes, low=low, high=high, steps=steps)
    if out:
        found.chart(out)
    if as_json:
        show_json(asdict(found))
    elif found.suggestion is None:
        say(console(), f"no rate to suggest: {found.reason}")
    else:
        say(console(), f"rate {found.suggestion:.2g}: {found.reason}")
        said = [*(["--recipe", recipe] if recipe else []), *(word for change in changes or [] for word in ("--set", change))]
        say(console(), shlex.join(["steepest", "train", task, *said, "--set", f"optimizer.lr={found.suggestion:.2g}"]))


def batch(
    task: TASK,
    recipe: RECIPE = None,
    changes: SET = None,
    limit: Annotated[int | None, typer.Option("--limit", help="Try no larger one.")] = None,
    memory: Annotated[
        str | None, typer.Option("--memory", metavar="SIZE", help="What the process may take, such as 6G; else 80 % of what is free.")
    ] = None,
    as_json: JSON = False,
) -> None:
    """The largest batch that fits into memory: whole steps, twice each, of growing batches, until one does not fit.

    What fits is not what is best: see find noise. With batch.micro in the recipe it is the largest micro-batch.

    \b
    steepest find batch my_task.py --memory 6G
    """
    found = asked("find_batch", task, recipe, changes, limit=limit, memory=memory and size(memory))
    if as_json:
        show_json(asdict(found))
    else:
        say(console(), f"batch {found.batch}: {found.reason}" if found.batch else f"no batch fits: {found.reason}")


def noise(
    task: TASK,
    recipe: RECIPE = None,
    changes: SET = None,
    each: Annotated[int, typer.Option("--size", help="Samples in a micro-batch.")] = 8,
    micro: Annotated[int, typer.Option("--micro", help="Micro-batches in a measurement.")] = 16,
    measurements: Annotated[int, typer.Option("--measurements", help="How many; the error is that of their mean.")] = 8,
    as_json: JSON = False,
) -> None:
    """The batch that is worth it, by the gradient noise scale: up to it, twice the batch makes twice the progress per step.

    Measured before the first step; the noise grows while a model learns, and the batch that is worth it with it.

    \b
    steepest find noise my_task.py
    """
    found = asked("find_noise", task, recipe, changes, size=each, micro=micro, measurements=measurements)
    if as_json:
        show_json(asdict(found) | {"critical_batch": found.critical_batch})
    elif found.critical_batch is None:
        say(console(), f"no batch to suggest: {found.reason}")
    else:
        say(console(), f"batch {found.critical_batch} ± {found.standard_error:.2g}: {found.reason}")


FINDERS: dict[str, Callable[..., None]] = {"rate": rate, "batch": batch, "noise": noise}


def asked(finder: str, task: str, recipe: str | None, changes: list[str] | None, **settings: Any) -> Any:
    with stoppable(), warned(console()):
        from steepest.train import finding, taskfile

        found, _ = taskfile.find(task)
        return getattr(finding, finder)(found, chosen_recipe(task, recipe).set_text(changes or []), **settings)


def size(said: str) -> int:
    """ "6G" in bytes."""
    from steepest.core.errors import SettingError

    factor = UNITS.get(said[-1:].upper(), 1)
    try:
        amount = float(said[:-1] if factor > 1 else said) * factor
    except ValueError:
        amount = math.nan
    if not 1 <= amount < math.inf:
        raise SettingError(f"--memory {said} is no size; say 6G, 800M, or a number of bytes")
    return int(amount)
