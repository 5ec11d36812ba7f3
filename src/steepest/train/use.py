"""A trained model in use: measured on a part of its data, or asked about new inputs."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from steepest import records
from steepest.core.errors import SettingError, SteepestError, nearest
from steepest.core.task import Task
from steepest.data.parts import Batch, DataError, Part, column, is_text
from steepest.data.split import Data, balanced, gather
from steepest.train import taskfile
from steepest.train.evaluation import evaluate
from steepest.train.objective import Objective
from steepest.train.trained import Model, load

# Inputs at a time.
ASKED = 1000


def measure(
    folder: str | Path, part: str = "valid", task: Task | None = None, *, data: Data | None = None
) -> tuple[dict[str, float], str | None]:
    """Loss and metrics of a run's model on a part, and a warning if the task has changed since. `data`: as in train."""
    if part not in ("train", "valid", "test"):
        raise SettingError(f"unknown part {part!r}{nearest(part, ('train', 'valid', 'test'))}")
    task, warning = (task, None) if task else taskfile.again(records.run(folder).task)
    model = load(folder, task)
    data = data or gather(task.data)
    chosen: Part | None = getattr(data, part)
    if chosen is None:
        raise DataError(f"the task has no {part} data")
    weights = task.class_weights
    weight = balanced(data.train) if isinstance(weights, str) else None if weights is None else torch.tensor([float(x) for x in weights])

    def prepared(batch: Batch) -> Batch:
        return (model.preprocess(batch[0]), *batch[1:])

    return evaluate(model.network, chosen, Objective(task, weight), prepared), warning


def answers(folder: str | Path, path: Path, task: Task | None = None) -> tuple[list[list[Any]], Tensor, str | None]:
    """For each input of a file: the likeliest class and its probability where the loss is about classes, else the outputs.

    And all outputs as they are, and a warning if the task has changed since.
    """
    inputs = inputs_of(path)
    task, warning = (task, None) if task else taskfile.again(records.run(folder).task)
    model = load(folder, task)
    try:
        outputs = ask(model, inputs)
    except SteepestError as error:
        raise DataError(f"{path}: {error}") from None
    except Exception as error:  # the model is the user's, and so are the inputs
        looks = "text" if is_text(inputs) else f"shape {tuple(inputs.shape)}, {str(inputs.dtype).removeprefix('torch.')}"
        raise DataError(f"{path}: the model cannot take these inputs ({looks}): {type(error).__name__}: {error}") from error
    if task.loss in ("cross_entropy", "nll") and not task.batch_loss and not task.losses and outputs.ndim == 2:
        shares, best = outputs.softmax(1).max(1)
        return [[int(c), float(p)] for c, p in zip(best, shares, strict=True)], outputs, warning
    return [[float(x) for x in row.reshape(-1)] for row in outputs], outputs, warning


@torch.no_grad()
def ask(model: Model, inputs: Any) -> Tensor:
    """The outputs for all inputs, some at a time."""
    found = [model(inputs[lo : lo + ASKED]) for lo in range(0, len(inputs), ASKED)]
    if not isinstance(found[0], Tensor):
        raise DataError(f"the model returned {type(found[0]).__name__}, and what can be written is one tensor of outputs")
    return torch.cat([output.cpu() for output in found])


def inputs_of(path: Path) -> Any:
    """The inputs in a file, as training would see them."""
    if not path.is_file():
        raise DataError(f"{path} does not exist")
    if path.suffix not in READERS:
        raise DataError(f"{path}: inputs are read from {', '.join(READERS)}")
    try:
        found = READERS[path.suffix](path)
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    if not len(found):
        raise DataError(f"{path} is empty")
    return column(found, str(path))


def _array(path: Path) -> np.ndarray:
    found = np.load(path, allow_pickle=False)
    return np.atleast_1d(found)


def _table(path: Path) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, of an empty file
        return np.loadtxt(path, delimiter=",", ndmin=2, dtype=np.float32, encoding="utf-8-sig")


def _texts(path: Path) -> list[str]:
    """A text per line; those between others may be empty. (Not `splitlines`, for which a form feed ends a line too.)"""
    lines = path.read_text(encoding="utf-8-sig").split("\n")
    return lines[:-1] if not lines[-1] else lines


READERS: dict[str, Callable[[Path], Any]] = {".npy": _array, ".csv": _table, ".txt": _texts}
