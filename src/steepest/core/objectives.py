"""Losses and metrics by name.

A loss is a mean, and how many it is the mean of, so that parts of a batch, unequal ones too, add up to the whole exactly.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from steepest.core.errors import SteepestError

# The label that counts for nothing, as in torch.
IGNORED = -100


class Loss(NamedTuple):
    """`mean(output, target, weight)`, and `terms(target, weight)`: how many that mean is of, or the sum of their weights."""

    mean: Callable[..., Tensor]
    terms: Callable[[Tensor, Tensor | None], float]


def cross_entropy(output: Tensor, target: Tensor, weight: Tensor | None = None, label_smoothing: float = 0.0) -> Tensor:
    """Logits (N, C, ...) against class numbers (N, ...), or against shares of classes (N, C, ...)."""
    check_classes(output, target)
    return F.cross_entropy(output, target, weight, label_smoothing=label_smoothing)


def nll(output: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Log-probabilities (N, C, ...) against class numbers (N, ...)."""
    check_classes(output, target)
    return F.nll_loss(output, target, weight)


def labels(target: Tensor, weight: Tensor | None) -> float:
    if target.is_floating_point():  # shares of classes
        return target.numel() / target.shape[1]
    counted = target[target != IGNORED]
    return float(counted.numel()) if weight is None else float(weight[counted].sum())


def binary_cross_entropy(output: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Logits against 0 and 1. `weight`: one number per output, on its positive cases."""
    output = matched(output, target)
    return F.binary_cross_entropy_with_logits(output, target.to(output.dtype), pos_weight=weight)


def ctc(output: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Logits (N, T, C), class 0 the blank, against labels (N, S) padded with 0; each sample by its label's length, as torch's mean."""
    unweighted("ctc", weight)
    lengths = (target > 0).sum(1)
    whole = torch.full_like(lengths, output.shape[1])
    return F.ctc_loss(output.log_softmax(-1).transpose(0, 1), target, whole, lengths, zero_infinity=True)


def elementwise(name: str, function: Callable[..., Tensor], output: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    unweighted(name, weight)
    output = matched(output, target)
    return function(output, target.to(output.dtype))


def elements(target: Tensor, weight: Tensor | None) -> float:
    return float(target.numel())


def samples(target: Tensor, weight: Tensor | None) -> float:
    return float(len(target))


LOSSES: dict[str, Loss] = {
    "cross_entropy": Loss(cross_entropy, labels),
    "binary_cross_entropy": Loss(binary_cross_entropy, elements),
    "nll": Loss(nll, labels),
    "mse": Loss(partial(elementwise, "mse", F.mse_loss), elements),
    "l1": Loss(partial(elementwise, "l1", F.l1_loss), elements),
    "huber": Loss(partial(elementwise, "huber", F.huber_loss), elements),
    "ctc": Loss(ctc, samples),
}


# --- metrics ---------------------------------------------------------------------------------------


class Metric(NamedTuple):
    """A sum over some samples and how many terms it has; and whether more of it is better."""

    sums: Callable[[Tensor, Tensor], tuple[Tensor | float, float]]
    more: bool


def accuracy(output: Tensor, target: Tensor) -> tuple[Tensor, float]:
    """The share of right answers: the largest of several outputs, or the sign of a single one."""
    if output.ndim == target.ndim + 1 and output.shape[1] > 1:
        return (output.argmax(1) == target).sum(), labels(target, None)
    return ((matched(output, target) > 0) == (target > 0.5)).sum(), target.numel()


def error(output: Tensor, target: Tensor) -> tuple[Tensor, float]:
    right, count = accuracy(output, target)
    return count - right, count


def top5(output: Tensor, target: Tensor) -> tuple[Tensor, float]:
    best = output.topk(min(5, output.shape[1]), dim=1).indices
    return (best == target.unsqueeze(1)).any(1).sum(), labels(target, None)


def distance(power: int, output: Tensor, target: Tensor) -> tuple[Tensor, float]:
    return (matched(output, target) - target).abs().pow(power).sum(), target.numel()


METRICS: dict[str, Metric] = {
    "accuracy": Metric(accuracy, True),
    "error": Metric(error, False),
    "top5": Metric(top5, True),
    "mae": Metric(partial(distance, 1), False),
    "mse": Metric(partial(distance, 2), False),
}


# --- what does not fit -----------------------------------------------------------------------------


def check_classes(output: Any, target: Tensor) -> None:
    one_tensor(output)
    wanted = output.shape if target.is_floating_point() else (output.shape[0], *output.shape[2:])
    if output.ndim < 2 or target.shape != wanted:
        raise SteepestError(
            f"outputs of shape {tuple(output.shape)} do not fit targets of shape {tuple(target.shape)} ({_name(target)}): "
            "class numbers (N,) need one output per class, (N, C)"
        )


def matched(output: Any, target: Tensor) -> Tensor:
    """The outputs in the shape of the targets: (N, 1) meets (N,)."""
    one_tensor(output)
    if output.shape == (*target.shape, 1):
        return output.squeeze(-1)
    if output.shape != target.shape:
        raise SteepestError(f"outputs of shape {tuple(output.shape)} do not fit targets of shape {tuple(target.shape)}: they must be equal")
    return output


def one_tensor(output: Any) -> None:
    if not isinstance(output, Tensor):
        raise SteepestError(f"the model returned {type(output).__name__}; a loss or metric by name needs one tensor of outputs")


def unweighted(name: str, weight: Tensor | None) -> None:
    if weight is not None:
        raise SteepestError(f"class_weights are for cross_entropy, nll and binary_cross_entropy; {name} has no classes")


def _name(x: Tensor) -> str:
    return str(x.dtype).removeprefix("torch.")
