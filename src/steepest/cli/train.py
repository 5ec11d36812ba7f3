"""`steepest train` and `steepest resume`: one line that moves, and a folder that stays."""

from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn
from rich.text import Text

from steepest.cli.console import console

TASK = Annotated[str, typer.Argument(metavar="TASK", help="A file with a task in it (my_task.py, my_task.py:name), or a built-in one.")]
SET = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one thing: optimizer.lr=3e-3. May be repeated.")]


def train(
    task: TASK,
    recipe: Annotated[
        str | None, typer.Option("--recipe", metavar="FILE", help="A recipe; for built-in tasks also tuned or plain.")
    ] = None,
    changes: SET = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Where the run goes; runs/TASK-1 and so on if left out.")
    ] = None,
) -> None:
    """Train a model by a recipe. Ctrl-C and worse lose nothing: steepest resume goes on.

    \b
    steepest train digits-mlp
    steepest train my_task.py --recipe recipe.toml
    steepest train my_task.py --set optimizer.rule=lion --set optimizer.lr=1e-4
    """
    from steepest.train import run, taskfile

    found, facts = taskfile.find(task)
    chosen = chosen_recipe(task, recipe).set_text(changes or [])
    folder = out or free(Path("runs"), facts["name"])
    follow(run.train(found, chosen, folder=folder, facts=facts), folder)


def resume(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="What may change: stop.epochs=40 makes it longer.")
    ] = None,
) -> None:
    """Go on with a run, exactly where it was: killed, crashed, or finished and to be extended.

    \b
    steepest resume runs/digits-mlp-1
    steepest resume runs/digits-mlp-1 --set stop.epochs=40
    """
    from steepest import records
    from steepest.train import run, taskfile

    task, warning = taskfile.again(records.run(folder).task)
    out = console()
    if warning:
        out.print(Text(f"warning: {warning}", style="yellow"))
    follow(run.resume(folder, task, changes), folder)


def chosen_recipe(task: str, said: str | None) -> Any:
    """A file, or the recipe of that kind of a built-in task; left out: the tuned one, or the default."""
    from steepest.core.errors import SettingError
    from steepest.tasks import TASKS, recipe_text
    from steepest.train.recipe import Recipe

    if said is None:
        text = recipe_text(task) if task in TASKS else None
        return Recipe.parse(text, f"{task}.tuned.toml") if text else Recipe()
    if task in TASKS and Path(said).suffix != ".toml":
        text = recipe_text(task, said)
        if text is None:
            raise SettingError(f"{task} has no recipe {said!r}; give the name of a file, tuned or plain")
        return Recipe.parse(text, f"{task}.{said}.toml")
    return Recipe.load(said)


def free(parent: Path, name: str) -> Path:
    """The first free numbered folder."""
    number = 1
    while (parent / f"{name}-{number}").exists():
        number += 1
    return parent / f"{name}-{number}"


# --- what one sees ---------------------------------------------------------------------------------


def follow(steps: Iterator[Any], folder: Path) -> None:
    """Train to the end, showing how far it is: a moving line on a terminal, a line per evaluation elsewhere."""
    out = console()
    last, best = None, {}
    line = Line(out)
    try:
        with line:
            for step in steps:
                line.show(step)
                last = step
                if step.evaluation:
                    best = step.evaluation
    except KeyboardInterrupt:
        out.print(f"stopped; steepest resume {folder} goes on from the last checkpoint")
        raise typer.Exit(130) from None
    finish(out, folder, last, best)


def finish(out: Console, folder: Path, last: Any, evaluation: dict[str, float]) -> None:
    from steepest import records

    summary = records.run(folder).summary
    if last is None:
        out.print(f"{folder} is finished already: {summary.steps} steps; steepest resume {folder} --set stop.epochs=... extends it")
        return
    what = f"best {summary.metric} {summary.best:.4g} at step {summary.best_step}" if summary.best is not None else f"loss {last.loss:.4g}"
    why = "" if summary.state == "finished" else f" ({summary.state})"
    out.print(f"{what}, after {summary.steps} steps in {clock(summary.seconds)}{why}")
    out.print(f"{folder}/model.safetensors holds these weights; steepest show {folder}", soft_wrap=True)


class Line:
    """Progress as it is told: at most ten times a second on a terminal."""

    def __init__(self, out: Console) -> None:
        self.out, self.moves = out, out.is_terminal
        self.bar = Progress(
            TextColumn("{task.fields[epoch]}"), BarColumn(bar_width=20), TextColumn("{task.completed}/{task.total}"),
            TextColumn("{task.fields[numbers]}"), Left(), console=out, transient=True, auto_refresh=False,
        )  # fmt: skip
        self.task: Any = None
        self.began = self.shown = monotonic()
        self.first, self.samples, self.measured = 0, 0, ""

    def __enter__(self) -> "Line":
        if self.moves:
            self.bar.start()
        return self

    def __exit__(self, *_: Any) -> None:
        if self.moves:
            self.bar.stop()

    def show(self, step: Any) -> None:
        if self.task is None:
            self.first = step.number
            self.task = self.bar.add_task("", total=step.steps, completed=step.number, epoch="", numbers="")
        self.samples += step.samples
        if step.evaluation:
            self.measured = "  ".join(
                f"{name} {value:.4g}" for name, value in step.evaluation.items() if name != "loss" or len(step.evaluation) == 1
            )
        now = monotonic()
        if step.event:
            self.out.print(Text(step.event["message"], style="yellow"))
        if not self.moves:
            if step.evaluation:
                self.out.print(f"epoch {step.epoch + 1}  step {step.number + 1}/{step.steps}  {self._numbers(step, now)}", soft_wrap=True)
        elif now - self.shown > 0.1 or step.evaluation:
            self.bar.update(self.task, completed=step.number + 1, epoch=f"epoch {step.epoch + 1}", numbers=self._numbers(step, now))
            self.bar.refresh()
            self.shown = now

    def _numbers(self, step: Any, now: float) -> str:
        speed = self.samples / max(now - self.began, 1e-9)
        return f"loss {step.loss:.4f}  {self.measured}  lr {step.rate:.3g}  {speed:,.0f} samples/s"


class Left(ProgressColumn):
    """How long it will still take, by the pace so far."""

    def render(self, task: Any) -> Text:
        left = task.time_remaining
        return Text("" if left is None else f"{clock(left)} left")


def clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
