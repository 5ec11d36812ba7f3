"""A trained model in use: measured on a part of its data, or asked about new inputs."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from steepest import records
from steepest.core.errors import SettingError, nearest
from steepest.core.task import Task
from steepest.data.parts import Batch, DataError, Part
from steepest.data.split import balanced, gather
from steepest.train import taskfile
from steepest.train.evaluation import evaluate
from steepest.train.objective import Objective
from steepest.train.run import Model, load

# Inputs at a time.
ASKED = 1000


def measure(folder: str | Path, part: str = "valid", task: Task | None = None) -> tuple[dict[str, float], str | None]:
    """Loss and metrics of a run's model on a part, and a warning if the task has changed since."""
    task, warning = (task, None) if task else taskfile.again(records.run(folder).task)
    model = load(folder, task)
    data = gather(task.data)
    if part not in ("train", "valid", "test"):
        raise SettingError(f"unknown part {part!r}{nearest(part, ('train', 'valid', 'test'))}")
    chosen: Part | None = getattr(data, part)
    if chosen is None:
        raise DataError(f"the task has no {part} data")
    weights = task.class_weights
    weight = balanced(data.train) if isinstance(weights, str) else None if weights is None else torch.tensor([float(x) for x in weights])

    def prepared(batch: Batch) -> Batch:
        return (model.preprocess(batch[0]), *batch[1:])

    return evaluate(model.network, chosen, Objective(task, weight), prepared), warning


def answers(folder: str | Path, path: Path, task: Task | None = None) -> tuple[list[list[Any]], Tensor]:
    """For each input of a file: the likeliest class and its probability where the loss is about classes, else the outputs."""
    task = task or taskfile.again(records.run(folder).task)[0]
    outputs = ask(load(folder, task), inputs_of(path))
    if task.loss in ("cross_entropy", "nll") and outputs.ndim == 2:
        shares, best = outputs.softmax(1).max(1)
        return [[int(c), float(p)] for c, p in zip(best, shares, strict=True)], outputs
    return [[float(x) for x in row.reshape(-1)] for row in outputs], outputs


@torch.no_grad()
def ask(model: Model, inputs: Any) -> Tensor:
    return torch.cat([model(inputs[lo : lo + ASKED]).cpu() for lo in range(0, len(inputs), ASKED)])


def inputs_of(path: Path) -> Any:
    if not path.is_file():
        raise DataError(f"{path} does not exist")
    try:
        if path.suffix == ".npy":
            array = np.load(path, allow_pickle=False)
        elif path.suffix == ".csv":
            array = np.loadtxt(path, delimiter=",", ndmin=2, dtype=np.float32)
        elif path.suffix == ".txt":
            return path.read_text(encoding="utf-8").splitlines()
        else:
            raise DataError(f"{path}: inputs are read from .npy, .csv and .txt")
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    if array.size == 0:
        raise DataError(f"{path} is empty")
    return torch.from_numpy(array.astype(np.float32) if array.dtype == np.float64 else array)
