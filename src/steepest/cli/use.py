"""`steepest evaluate`, `steepest predict` and `steepest new`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from steepest.cli.console import console, show_json

RUN = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run.")]


def evaluate(
    folder: RUN,
    part: Annotated[str, typer.Option("--part", help="train, valid or test.")] = "valid",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure a trained model on a part of its task's data. Look at test last, and once: what was chosen by it proves nothing.

    \b
    steepest evaluate runs/digits-mlp-1
    steepest evaluate runs/digits-mlp-1 --part test
    """
    from steepest.train.use import measure

    found, warning = measure(folder, part)
    _warn(warning)
    if as_json:
        show_json(found)
    else:
        for name, value in found.items():
            print(f"{name}\t{value:.6g}")


def predict(
    folder: RUN,
    inputs: Annotated[
        Path, typer.Argument(metavar="INPUT", help="Inputs as the task has them: .npy, .csv (a row each), or .txt (a text per line).")
    ],
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write outputs there: .npy, or text.")] = None,
) -> None:
    """What a trained model says of new inputs: for classes the likeliest and its probability, else the outputs.

    \b
    steepest predict runs/digits-mlp-1 images.npy
    steepest predict runs/digits-mlp-1 images.npy --out logits.npy
    """
    from steepest.train.use import answers

    rows, outputs, warning = answers(folder, inputs)
    _warn(warning)
    text = "".join("\t".join(_cell(x) for x in row) + "\n" for row in rows)
    if out is None:
        print(text, end="")
    elif out.suffix == ".npy":
        import numpy as np

        with _writing(out):
            np.save(out, outputs.numpy())
    else:
        with _writing(out):
            out.write_text(text, encoding="utf-8")


def new(
    task: Annotated[str, typer.Argument(metavar="TASK", help="A file with a task in it, or a built-in one.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write it.")] = Path("recipe.toml"),
) -> None:
    """Write a first recipe: every decision, its default, and what else it may be.

    \b
    steepest new my_task.py
    steepest new digits-mlp --out first.toml
    """
    import shlex

    from steepest.core.errors import SettingError
    from steepest.train import taskfile
    from steepest.train.template import template

    found, _ = taskfile.find(task)
    if out.exists():
        raise SettingError(f"{out} exists already; choose another name with --out")
    with _writing(out):
        out.write_text(template(found), encoding="utf-8")
    then = shlex.join(["steepest", "train", task, "--recipe", str(out)])
    console().print(Text(f"{out} written; change what you like, then: {then}"), soft_wrap=True)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        from steepest.core.errors import SettingError

        raise SettingError(f"{path} cannot be written: {error.strerror or error}") from None


def _warn(warning: str | None) -> None:
    """On stderr: what stands on stdout may be read by a program."""
    if warning:
        print(f"steepest: warning: {warning}", file=sys.stderr)


def _cell(x: Any) -> str:
    return f"{x:.6g}" if isinstance(x, float) else str(x)
