"""Which classes a model takes for which."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from steepest.core.task import Task
from steepest.data.parts import Batch, DataError, Loader, columns
from steepest.train.evaluation import EVALUATED, batches, device_of_part
from steepest.train.loop import Loop

if TYPE_CHECKING:
    from steepest.train.use import Subject

# A page has room for so many classes. To ask about a sample costs a third to two thirds of learning from it: about so large a share of
# those that were learned from takes less than 1 % of the run. Fewer than the last say little.
CLASSES, SHARE, FEWEST = 100, 0.015, 50


def of_classes(task: Task) -> bool:
    return task.loss in ("cross_entropy", "nll") and not task.batch_loss and not task.losses


def confusion(found: "Subject") -> Tensor:  # (classes, classes)
    """How many samples of each class (rows) the model takes for which (columns)."""
    if not of_classes(found.task):
        raise DataError("a confusion matrix is of classes, and the loss of this task is of none")
    return counted(found.model.network, map(found.prepared, batches(found.part, EVALUATED)))


@torch.no_grad()
def counted(network: nn.Module, prepared: Iterable[Batch], most: int | None = None) -> Tensor:
    pairs, classes = [], 0
    for batch in prepared:
        inputs, target = columns(batch)
        output = network(*inputs)
        if output.ndim != 2 or target.ndim != 1 or target.is_floating_point():
            raise DataError(
                f"a confusion matrix needs outputs (N, C) and class numbers (N,), not {tuple(output.shape)} and {tuple(target.shape)}"
            )
        classes = output.shape[1]
        if most is not None and classes > most:
            raise DataError(f"{classes} classes are more than the {most} that there is room for")
        known = target >= 0
        pairs.append(target[known] * classes + output.argmax(1)[known])
    return torch.cat(pairs).bincount(minlength=classes * classes).view(classes, classes)


def keep(folder: Path, loop: Loop) -> None:
    """confusion.json of a finished run, for its report; of no run whose outputs are not one of a few classes."""
    s, part = loop.session, loop.session.data.valid
    if part is None or isinstance(part, Loader) or not of_classes(s.task):
        return
    count = min(len(part), int(SHARE * loop.k * s.course.base))
    if count < min(len(part), FEWEST):
        return
    index = torch.arange(count, device=device_of_part(part)) * len(part) // count
    try:
        prepared = (s.prepared(part.take(some)) for some in index.split(EVALUATED))
        matrix = counted(s.model, prepared, CLASSES)
    except Exception:  # the model and the data are the user's; the run is finished, and shall be
        return
    facts = {"labels": list(range(len(matrix))), "counts": matrix.tolist(), "split": "valid", "of": len(part)}
    draft = folder / ".confusion.json.tmp"
    draft.write_text(json.dumps(facts) + "\n", encoding="utf-8")
    draft.replace(folder / "confusion.json")


def per_class(matrix: Tensor) -> list[dict[str, float]]:
    """Of each class: how many there are, how many of those said are right, how many are found, and the harmonic mean of both."""
    rows = []
    for k in range(len(matrix)):
        right, count, said = (int(x) for x in (matrix[k, k], matrix[k].sum(), matrix[:, k].sum()))
        precision, recall = right / max(said, 1), right / max(count, 1)
        f1 = 2 * right / max(count + said, 1)
        rows.append({"class": k, "count": count, "precision": precision, "recall": recall, "f1": f1})
    return rows
