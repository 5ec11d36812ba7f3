"""`steepest evaluate`, `steepest predict` and `steepest new`."""

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
    if warning:
        console().print(Text(f"warning: {warning}", style="yellow"))
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

    rows, outputs = answers(folder, inputs)
    if out is not None and out.suffix == ".npy":
        import numpy as np

        np.save(out, outputs.numpy())
        return
    text = "".join("\t".join(_cell(x) for x in row) + "\n" for row in rows)
    if out is None:
        print(text, end="")
    else:
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
    from steepest.core.errors import SettingError
    from steepest.train import taskfile
    from steepest.train.template import template

    found, _ = taskfile.find(task)
    if out.exists():
        raise SettingError(f"{out} exists already; choose another name with --out")
    try:
        out.write_text(template(found), encoding="utf-8")
    except OSError as error:
        raise SettingError(f"{out} cannot be written: {error.strerror or error}") from None
    console().print(f"{out} written; change what you like, then: steepest train {task} --recipe {out}", soft_wrap=True)


def _cell(x: Any) -> str:
    return f"{x:.6g}" if isinstance(x, float) else str(x)
