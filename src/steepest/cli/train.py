"""`steepest train` and `steepest resume`: one line that moves, and a folder that stays."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import mean, stdev
from typing import Annotated, Any

import typer
from rich.console import Console

from steepest.cli.console import console
from steepest.cli.progress import Line, clock, say
from steepest.records.folders import free

TASK = Annotated[str, typer.Argument(metavar="TASK", help="A file with a task in it (my_task.py, my_task.py:name), or a built-in one.")]
SINK = Annotated[
    list[str] | None, typer.Option("--sink", metavar="NAME", help="Tell the record to tensorboard, wandb or mlflow too. May be repeated.")
]
SET = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one thing: optimizer.lr=3e-3. May be repeated.")]


def train(
    task: TASK,
    recipe: Annotated[
        str | None, typer.Option("--recipe", metavar="FILE", help="A recipe; for built-in tasks also tuned, plain or article.")
    ] = None,
    changes: SET = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Where the run goes; runs/TASK-1 and so on if left out.")
    ] = None,
    on_nan: Annotated[
        str | None, typer.Option("--on-nan", metavar="WHAT", help="rollback, skip or stop: short for --set run.on_nan.")
    ] = None,
    sinks: SINK = None,
    folds: Annotated[
        int, typer.Option("--folds", metavar="N", help="Cross-validation: N runs, each validated on another part of the data.")
    ] = 0,
) -> None:
    """Train a model by a recipe. Ctrl-C and worse lose nothing: steepest resume goes on.

    \b
    steepest train digits-mlp
    steepest train my_task.py --recipe recipe.toml
    steepest train my_task.py --set optimizer.rule=lion --set optimizer.lr=1e-4
    steepest train my_task.py --folds 5
    """
    with stoppable():
        from steepest.train import run, taskfile

        found, facts = taskfile.find(task)
        said = [*(changes or []), *([f"run.on_nan={on_nan}"] if on_nan else [])]
        chosen = chosen_recipe(task, recipe).set_text(said)
        folder = out or free(Path("runs"), facts["name"])
        if folds:
            cross(found.replace(folds=folds), chosen, folder, facts, sinks or ())
        else:
            follow(run.train(found, chosen, folder=folder, facts=facts, sinks=sinks or ()), folder)


def cross(task: Any, recipe: Any, folder: Path, facts: dict[str, Any], sinks: Sequence[str]) -> None:
    """All folds, one after another, and the mean of what came of them."""
    from steepest import records
    from steepest.train.fit import each_fold
    from steepest.train.run import train

    best: list[float] = []
    metric = ""
    for path, data, which in each_fold(task, folder):
        assert path
        follow(train(task, recipe, folder=path, data=data, facts=facts | which, sinks=sinks), path)
        summary = records.run(path).summary
        metric = summary.metric
        best += [summary.best] if summary.best is not None else []
    say(
        console(),
        f"best {metric} of {len(best)} folds: {mean(best):.4g}, deviation {stdev(best):.2g}" if len(best) > 1 else "no evaluations",
    )


def resume(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="What may change: stop.epochs=40 makes it longer.")
    ] = None,
    sinks: SINK = None,
) -> None:
    """Go on with a run, exactly where it was: killed, crashed, or finished and to be extended.

    \b
    steepest resume runs/digits-mlp-1
    steepest resume runs/digits-mlp-1 --set stop.epochs=40
    """
    with stoppable():
        from steepest import records
        from steepest.train import run, taskfile

        task, warning = taskfile.again(records.run(folder).task)
        if warning:
            say(console(), f"warning: {warning}", "yellow")
        follow(run.resume(folder, task, changes, sinks=sinks or ()), folder)


def chosen_recipe(task: str, said: str | None) -> Any:
    """A file, or the recipe of that kind of a built-in task; left out: the tuned one, or the default."""
    from steepest.core.errors import SettingError
    from steepest.tasks import TASKS, recipe_kinds, recipe_text
    from steepest.train.recipe import Recipe

    if said is None:
        text = recipe_text(task) if task in TASKS else None
        return Recipe.parse(text, f"{task}.tuned.toml") if text else Recipe()
    if task in TASKS and Path(said).suffix != ".toml":
        text = recipe_text(task, said)
        if text is None:
            raise SettingError(f"{task} has no recipe {said!r}; give the name of a file, or one of {', '.join(recipe_kinds(task))}")
        return Recipe.parse(text, f"{task}.{said}.toml")
    return Recipe.load(said)


# --- what one sees ---------------------------------------------------------------------------------


@contextmanager
def stoppable() -> Iterator[None]:
    """Ctrl-C before there is anything to lose."""
    try:
        yield
    except KeyboardInterrupt:
        say(console(), "stopped before the first step")
        raise typer.Exit(130) from None


def follow(steps: Any, folder: Path) -> None:
    """Train to the end, showing how far it is. Whatever ends it, `steps` are closed, and so the last moment is saved."""
    out = console()
    last = None
    try:
        with warned(out), closing(steps), Line(out) as line:
            for step in steps:
                if last is None:
                    say(out, f"{folder}: {step.steps} steps on {step.session.where}")
                line.show(step)
                last = step
    except KeyboardInterrupt:
        if last is None:
            raise
        say(out, f"stopped; steepest resume {folder} goes on from the last checkpoint")
        raise typer.Exit(130) from None
    finish(out, folder, last)


@contextmanager
def warned(out: Console) -> Iterator[None]:
    """Within, warnings are lines like others, without the place in the code."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: say(out, f"warning: {message}", "yellow")
        yield


def finish(out: Console, folder: Path, last: Any) -> None:
    from steepest import records

    summary = records.run(folder).summary
    if last is None:
        say(out, f"{folder} is finished already: {summary.steps} steps; steepest resume {folder} --set stop.epochs=... extends it")
        return
    best = (
        f"best {summary.metric} {summary.best:.4g} at step {summary.best_step}" if summary.best is not None else f"loss {summary.loss:.4g}"
    )
    why = "" if summary.state == "finished" else f" ({summary.state})"
    say(out, f"{best}, after {summary.steps} steps in {clock(summary.seconds)}{why}")
    say(out, f"{folder}/model.safetensors holds these weights; steepest show {folder}")
