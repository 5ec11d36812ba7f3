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
    part: Annotated[str, typer.Option("--part", "--split", help="train, valid or test.")] = "valid",
    classes: Annotated[bool, typer.Option("--classes", help="Also figures of each class, and which are taken for which.")] = False,
    noise: Annotated[float, typer.Option("--noise", metavar="STD", help="Add noise to the inputs; of pixels, in [0, 1].")] = 0.0,
    fgsm: Annotated[float, typer.Option("--fgsm", metavar="EPSILON", help="Move each number of the inputs against the model.")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure a trained model on a part of its task's data. Look at test last, and once: what was chosen by it proves nothing.

    \b
    steepest evaluate runs/digits-mlp-1
    steepest evaluate runs/digits-mlp-1 --part test --classes
    steepest evaluate runs/digits-mlp-1 --noise 0.1
    """
    from steepest.train.confusion import confusion, per_class
    from steepest.train.use import figures, subject

    chosen = subject(folder, part, noise=noise, attack=fgsm)
    _warn(chosen.warning)
    matrix = confusion(chosen) if classes else None
    found: dict[str, Any] = dict(figures(chosen))
    if as_json:
        show_json(found | ({"classes": per_class(matrix), "confusion": matrix.tolist()} if matrix is not None else {}))
        return
    for name, value in found.items():
        print(f"{name}\t{value:.6g}")
    if matrix is not None:
        _show_classes(per_class(matrix), matrix.tolist())


def _show_classes(rows: list[dict[str, float]], matrix: list[list[int]]) -> None:
    """Two tables with tabs between the columns: figures of each class; then what it was taken for."""
    print()
    print(*rows[0], sep="\t")
    for row in rows:
        print(*map(_cell, row.values()), sep="\t")
    print()
    print("class", *(f"as {k}" for k in range(len(matrix))), sep="\t")
    for k, counts in enumerate(matrix):
        print(k, *counts, sep="\t")


def predict(
    folder: RUN,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Files: .npy, .csv (a row each), .txt (a text per line), images, .wav; or else a text, or a row of numbers.",
        ),
    ],
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write outputs there: .npy, or text.")] = None,
) -> None:
    """What a trained model says of new inputs: for classes the likeliest and its probability, else the outputs.

    \b
    steepest predict runs/digits-mlp-1 images.npy
    steepest predict runs/digits-mlp-1 images.npy --out logits.npy
    steepest predict runs/lenet5-mnist-1 seven.png eight.png
    steepest predict runs/textcnn-imdb-1 "not a fine film"
    """
    from steepest.train.use import answers

    found, outputs = [], []
    for each in inputs:
        rows, output, warning = answers(folder, each)
        # Of several inputs, each line begins with where it comes from.
        found += [[each, *row] for row in rows] if len(inputs) > 1 else rows
        outputs.append(output)
        if each is inputs[0]:
            _warn(warning)
    text = "".join("\t".join(_cell(x) for x in row) + "\n" for row in found)
    if out is None:
        print(text, end="")
    elif out.suffix == ".npy":
        import numpy as np

        with _writing(out):
            np.save(out, np.concatenate([output.numpy() for output in outputs]))
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
