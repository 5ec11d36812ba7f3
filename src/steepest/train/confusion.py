"""Which classes a model takes for which."""

import torch
from torch import Tensor

from steepest.data.parts import DataError, columns
from steepest.train.evaluation import EVALUATED, batches
from steepest.train.use import Subject, of_classes


@torch.no_grad()
def confusion(found: Subject) -> Tensor:  # (classes, classes)
    """How many samples of each class (rows) the model takes for which (columns)."""
    if not of_classes(found.task):
        raise DataError("a confusion matrix is of classes, and the loss of this task is of none")
    pairs, classes = [], 0
    for batch in batches(found.part, EVALUATED):
        inputs, target = columns(found.prepared(batch))
        output = found.model.network(*inputs)
        if output.ndim != 2 or target.ndim != 1 or target.is_floating_point():
            raise DataError(
                f"a confusion matrix needs outputs (N, C) and class numbers (N,), not {tuple(output.shape)} and {tuple(target.shape)}"
            )
        classes = output.shape[1]
        known = target >= 0
        pairs.append(target[known] * classes + output.argmax(1)[known])
    return torch.cat(pairs).bincount(minlength=classes * classes).view(classes, classes)


def per_class(matrix: Tensor) -> list[dict[str, float]]:
    """Of each class: how many there are, how many of those said are right, how many are found, and the harmonic mean of both."""
    rows = []
    for k in range(len(matrix)):
        right, count, said = (int(x) for x in (matrix[k, k], matrix[k].sum(), matrix[:, k].sum()))
        precision, recall = right / max(said, 1), right / max(count, 1)
        f1 = 2 * right / max(count + said, 1)
        rows.append({"class": k, "count": count, "precision": precision, "recall": recall, "f1": f1})
    return rows
