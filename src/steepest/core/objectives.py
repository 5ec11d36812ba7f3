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
    check_classes(output, target, weight)
    if target.is_floating_point():
        return F.cross_entropy(output, target.to(output.dtype), weight, label_smoothing=label_smoothing)
    return by_class(F.cross_entropy, output, target, weight, label_smoothing=label_smoothing)


def nll(output: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Log-probabilities (N, C, ...) against class numbers (N, ...)."""
    check_numbers(output, target)
    check_classes(output, target, weight)
    return by_class(F.nll_loss, output, target, weight)


def by_class(function: Callable[..., Tensor], output: Tensor, target: Tensor, weight: Tensor | None, **settings: float) -> Tensor:
    try:
        loss = function(output, target.long(), weight, **settings)
    except IndexError as error:
        raise SteepestError(f"a target is none of the {output.shape[1]} classes that the model has outputs for: {error}") from None
    # The mean of no term at all is NaN in torch. Here it is 0, so that a part in which nothing counts adds nothing to the whole.
    return output.sum() * 0 if bool(loss.isnan()) and bool((target == IGNORED).all()) else loss


def labels(target: Tensor, weight: Tensor | None) -> float:
    if target.is_floating_point():  # shares of classes
        return target.numel() / target.shape[1]
    known = target[target != IGNORED]
    return float(known.numel()) if weight is None else float(weight[known.long()].sum())


def binary_cross_entropy(output: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Logits against 0 and 1. `weight`: of a single output those of 0 and 1; of several one each, on their positive cases."""
    output = matched(output, target)
    target = target.to(output.dtype)
    if weight is None or not single(target):
        if weight is not None and weight.numel() != output.shape[-1]:
            raise SteepestError(f"class_weights has {weight.numel()} numbers, and the targets {output.shape[-1]} columns")
        return F.binary_cross_entropy_with_logits(output, target, pos_weight=weight)
    each = weighed(target, weight)
    return F.binary_cross_entropy_with_logits(output, target, each, reduction="sum") / each.sum()


def cases(target: Tensor, weight: Tensor | None) -> float:
    return elements(target, weight) if weight is None or not single(target) else float(weighed(target, weight).sum())


def single(target: Tensor) -> bool:
    return target.ndim == 1 or target.shape[1:] == (1,)


def weighed(target: Tensor, weight: Tensor) -> Tensor:
    """The weight of each sample, of 0 and 1 and of what lies between."""
    if weight.numel() != 2:
        raise SteepestError(f"class_weights has {weight.numel()} numbers; a single output of binary_cross_entropy has two classes, 0 and 1")
    zero, one = weight
    return zero + (one - zero) * target


def ctc(output: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Logits (N, T, C), class 0 the blank, against labels (N, S) padded with 0; each sample by its label's length, as torch's mean."""
    unweighted("ctc", weight)
    one_tensor(output)
    if output.ndim != 3 or target.ndim != 2 or len(output) != len(target):
        raise SteepestError(f"ctc needs outputs (N, T, C) and labels (N, S), not {tuple(output.shape)} and {tuple(target.shape)}")
    if target.numel() and not 0 <= int(target.min()) <= int(target.max()) < output.shape[2]:  # torch reads beyond its memory
        raise SteepestError(f"the labels go from {int(target.min())} to {int(target.max())}, and the model has {output.shape[2]} outputs")
    lengths = (target > 0).sum(1)
    whole = torch.full_like(lengths, output.shape[1])
    return F.ctc_loss(output.log_softmax(-1).transpose(0, 1), target.long(), whole, lengths, zero_infinity=True)


def elementwise(name: str, function: Callable[..., Tensor], output: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    unweighted(name, weight)
    output = matched(output, target)
    return function(output, target if target.dtype == output.dtype else target.to(output.dtype))


def elements(target: Tensor, weight: Tensor | None) -> float:
    return float(target.numel())


def samples(target: Tensor, weight: Tensor | None) -> float:
    return float(len(target))


LOSSES: dict[str, Loss] = {
    "cross_entropy": Loss(cross_entropy, labels),
    "binary_cross_entropy": Loss(binary_cross_entropy, cases),
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
    """The share of right answers: the largest of several outputs, or the sign of each where the targets are 0 and 1."""
    one_tensor(output)
    if output.ndim == target.ndim + 1 and output.shape[1] > 1:
        check_classes(output, target)
        return (output.argmax(1) == target).sum(), labels(target, None)
    if target.is_floating_point() and not bool(((target == 0) | (target == 1)).all()):
        raise SteepestError("accuracy and error need targets that are class numbers, or 0 and 1; these are shares, or other numbers")
    return ((matched(output, target) > 0) == (target > 0.5)).sum(), target.numel()


def error(output: Tensor, target: Tensor) -> tuple[Tensor, float]:
    right, count = accuracy(output, target)
    return count - right, count


def top5(output: Tensor, target: Tensor) -> tuple[Tensor, float]:
    check_numbers(output, target)
    check_classes(output, target)
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


def check_classes(output: Any, target: Tensor, weight: Tensor | None = None) -> None:
    one_tensor(output)
    wanted = output.shape if target.is_floating_point() else (output.shape[0], *output.shape[2:])
    if output.ndim < 2 or target.shape != wanted:
        raise SteepestError(
            f"outputs of shape {tuple(output.shape)} do not fit targets of shape {tuple(target.shape)} ({_name(target)}): "
            "class numbers (N,) need one output per class, (N, C)"
            + ("; they must be whole numbers: y.long()" if target.is_floating_point() and output.ndim == target.ndim + 1 else "")
        )
    if weight is not None and weight.numel() != output.shape[1]:
        raise SteepestError(f"class_weights has {weight.numel()} numbers, and the model has {output.shape[1]} outputs")


def check_numbers(output: Any, target: Tensor) -> None:
    if target.is_floating_point():
        raise SteepestError(f"targets of shape {tuple(target.shape)} ({_name(target)}) are no class numbers, which are whole: y.long()")


def matched(output: Any, target: Tensor) -> Tensor:
    """The outputs in the shape of the targets: (N, 1) meets (N,)."""
    one_tensor(output)
    if output.shape == target.shape:
        return output
    if output.shape != (*target.shape, 1):
        raise SteepestError(f"outputs of shape {tuple(output.shape)} do not fit targets of shape {tuple(target.shape)}: they must be equal")
    return output.squeeze(-1)


def one_tensor(output: Any) -> None:
    if not isinstance(output, Tensor):
        raise SteepestError(f"the model returned {type(output).__name__}; a loss or metric by name needs one tensor of outputs")


def unweighted(name: str, weight: Tensor | None) -> None:
    if weight is not None:
        raise SteepestError(f"class_weights are for cross_entropy, nll and binary_cross_entropy; {name} has no classes")


def _name(x: Tensor) -> str:
    return str(x.dtype).removeprefix("torch.")
