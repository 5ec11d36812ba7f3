"""The command line: one verb, one file. A user's mistake is one line and exit code 2; a bug of ours shows its traceback."""

import io
import os
import sys
import warnings
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

import steepest
from steepest.cli.compare import compare
from steepest.cli.explain import explain
from steepest.cli.find import FINDERS
from steepest.cli.listing import listing
from steepest.cli.report import report
from steepest.cli.show import show_run
from steepest.cli.train import resume, train
from steepest.cli.tune import tune
from steepest.cli.use import evaluate, new, predict
from steepest.core.errors import SteepestError
from steepest.records import RecordError

VERBS = {
    "train": train,
    "resume": resume,
    "tune": tune,
    "compare": compare,
    "evaluate": evaluate,
    "predict": predict,
    "new": new,
    "report": report,
    "show": show_run,
    "list": listing,
    "explain": explain,
}


def app() -> typer.Typer:
    # Panels on a terminal, plain text elsewhere; tracebacks as Python prints them.
    style = "rich" if sys.stdout.isatty() else None
    made = typer.Typer(rich_markup_mode=style, pretty_exceptions_enable=False, add_completion=False)
    made.callback(invoke_without_command=True)(top)
    for name, verb in VERBS.items():
        made.command(name)(verb)
    finders = typer.Typer(rich_markup_mode=style, help="Find a rate or a batch by some trial steps. Nothing is trained.")
    for name, finder in FINDERS.items():
        finders.command(name)(finder)
    made.add_typer(finders, name="find")
    return made


def version(wanted: bool) -> None:
    if wanted:
        print(f"steepest {steepest.__version__}")
        raise typer.Exit


def top(
    context: typer.Context,
    _: Annotated[bool, typer.Option("--version", callback=version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Train a PyTorch model by a recipe, without losing work; and look up what a recipe can say.

    \b
    steepest train digits-mlp       train a built-in task, or my_task.py
    steepest new my_task.py         write a first recipe.toml for it
    steepest find rate my_task.py   a learning rate to begin with; find batch, find noise
    steepest resume runs/my_task-1  go on with a run, exactly
    steepest tune my_task.py        search for a better recipe, within a budget
    steepest compare my_task.py --rules sgd,adamw,lion   a verdict, and how sure it is
    steepest show runs/my_task-1    its curves, in the terminal
    steepest report runs/my_task-1  all of it, on a page
    steepest list                   everything there is, by kind
    steepest explain adamw          formula, knobs, memory, paper
    steepest explain he_normal      formula, settings, paper
    steepest explain warmup_cosine  the curve, knobs, paper
    steepest explain mixup          when it helps, when it hurts, what it costs
    steepest explain clip --json    the same for programs
    """
    if context.invoked_subcommand is None:
        print(context.get_help())


def main(argv: list[str] | None = None) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper) and "utf" not in sys.stdout.encoding.lower():
        sys.stdout.reconfigure(errors="replace")
    code = 0
    try:
        with warnings.catch_warnings():
            warnings.showwarning = warn
            code = app()(args=argv, prog_name="steepest", standalone_mode=False)
        sys.stdout.flush()
    except (SteepestError, TyperException, RecordError) as mistake:
        fail(mistake)
    except BrokenPipeError:
        # Whoever read has seen enough. What is still buffered goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    if code:
        sys.exit(code)


def warn(message: Warning | str, *_: Any, **__: Any) -> None:
    """One line, as of a mistake; where in our code it was raised concerns nobody here."""
    print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)


def fail(mistake: SteepestError | TyperException | RecordError) -> None:
    """One line, and where to read on."""
    text = str(mistake)
    if isinstance(mistake, TyperException):
        context = getattr(mistake, "ctx", None)
        text = mistake.format_message() + (f" See {context.command_path} --help" if context else "")
    print(f"steepest: {' '.join(text.split())}", file=sys.stderr)
    sys.exit(2)
