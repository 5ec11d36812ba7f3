"""Penalties: terms of the loss that ask for small, few or orthogonal weights.

Being part of the loss, a penalty's gradient passes through everything that happens to gradients: clipping, momentum, the division
of adaptive rules, a second look of SAM. Decay that passes by all of that is a rule's `weight_decay`; the wrappers L1 and L2 of
`steepest.rules` add the same gradient after backward, cheaper, and leave the loss as it is.
"""

from collections.abc import Iterable, Sequence
from math import inf, nan
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from steepest.core.knob import knob, option
from steepest.regularizers.base import Penalty
from steepest.regularizers.weights import ON, weights

Weights = Sequence[Tensor]


def l1(weights: Weights, coefficient: float) -> Tensor:
    """coefficient * sum |w|"""
    return coefficient * _sum(wide(w).abs().sum() for w in weights)


def l2(weights: Weights, coefficient: float) -> Tensor:
    """coefficient / 2 * sum w^2"""
    return coefficient / 2 * _sum(wide(w).square().sum() for w in weights)


def elastic_net(weights: Weights, coefficient: float, ratio: float) -> Tensor:
    """coefficient * (ratio * sum |w| + (1 - ratio) / 2 * sum w^2)"""
    return l1(weights, coefficient * ratio) + l2(weights, coefficient * (1 - ratio))


def orthogonality(weights: Weights, coefficient: float) -> Tensor:
    """coefficient * sum |W W^T - I|^2 over weights W as matrices (rows, all else), transposed where they are taller than wide"""
    grams = map(gram, weights)
    return coefficient * _sum((g - torch.eye(len(g), dtype=g.dtype, device=g.device)).square().sum() for g in grams)


def spectral(weights: Weights, coefficient: float) -> Tensor:
    """coefficient / 2 * sum sigma(W)^2, where sigma is the largest singular value of W as a matrix (rows, all else)"""
    return coefficient / 2 * _sum(_largest(gram(w)) for w in weights)


def gram(w: Tensor) -> Tensor:
    """The inner products of the rows, or of the columns where those are fewer."""
    m = wide(w).flatten(1)
    with torch.autocast(m.device.type, enabled=False):  # which would multiply in half precision
        return m @ m.T if m.shape[0] <= m.shape[1] else m.T @ m


def _largest(g: Tensor) -> Tensor:
    try:
        return torch.linalg.eigvalsh(g)[-1]
    except torch.linalg.LinAlgError:  # pyright: ignore[reportPrivateImportUsage] - a weight is not finite: the loss shall say so, as always
        return g.sum() * nan


def wide(w: Tensor) -> Tensor:
    """In float32 at least: a sum of many squares has no place in half precision."""
    return w.float() if w.element_size() < 4 else w


def _sum(parts: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(parts)).sum()


# --- as settings ------------------------------------------------------------------------------------


class WeightPenalty(Penalty):
    """A penalty on some of the model's parameters. A loop may ask for `weights(model)` once and for `of` at each step."""

    main = "coefficient"
    least: ClassVar[int] = 1

    on: str = option("weights", ON)

    def weights(self, model: nn.Module) -> list[Tensor]:
        return weights(model, self.on, self.least)

    def of(self, weights: Weights) -> Tensor:
        raise NotImplementedError

    def loss(self, model: nn.Module) -> Tensor:
        return self.of(self.weights(model))


def coefficient(default: float, meaning: str, search: tuple[float, float]) -> Any:
    return knob(default, meaning, valid=(0, inf), search=search, log=True)


class L1(WeightPenalty):
    """Few weights: coefficient * sum |w| (Tibshirani, 1996). By subgradient: weights hover near 0 rather than reach it."""

    paper = "Tibshirani, Regression Shrinkage and Selection via the Lasso, JRSS B 58(1), 1996"
    use = "When few weights should matter and the penalty should be seen in the loss; set coefficient."
    hurts = "With adaptive rules, which divide it by the size of the gradient: weights that matter little shrink fastest."
    cost = "One more pass over the weights forward and one backward; the wrapper l1 adds the same gradient for less."
    measured = (
        "At its defaults: +0.44 points of accuracy [+0.11, +0.78] on 200 digits with a small convolutional network (92.0 % without it, "
        "n = 20 seeds); 1.14 times the step."
    )

    coefficient: float = coefficient(1e-5, "strength: adds coefficient * sum |w| to the loss", (1e-7, 1e-3))

    def of(self, weights):
        return l1(weights, self.coefficient)


class L2(WeightPenalty):
    """Small weights: coefficient / 2 * sum w^2 (Krogh & Hertz, 1991)."""

    paper = "Krogh & Hertz, A Simple Weight Decay Can Improve Generalization, NeurIPS 1991"
    use = "With SGD, L-BFGS and line search, which must see the penalty in the loss; set coefficient (5e-4 for convolutional networks)."
    hurts = "With Adam and its relatives, where decoupled weight_decay is the better choice; behind a norm it only changes the rate."
    cost = "One more pass over the weights forward and one backward; the wrapper l2 adds the same gradient for less."
    measured = (
        "On 200 digits (1e-3, momentum, n = 20 seeds) +0.31 points of test accuracy [+0.17, +0.45] and 0.88 of the test loss [0.86, "
        "0.90] over all combinations with dropout, augmentation and early stopping; alone +1.0 points [+0.7, +1.4]. At its defaults: "
        "+0.26 points of accuracy [-0.09, +0.61] on 200 digits with a small convolutional network (92.0 % without it, n = 20 seeds), "
        "not distinguishable; 1.15 times the step."
    )

    coefficient: float = coefficient(1e-4, "strength: adds coefficient / 2 * sum w^2 to the loss", (1e-6, 1e-2))

    def of(self, weights):
        return l2(weights, self.coefficient)


class ElasticNet(WeightPenalty):
    """L1 and L2 in one: coefficient * (ratio * sum |w| + (1 - ratio) / 2 * sum w^2) (Zou & Hastie, 2005; scaled as in glmnet)."""

    paper = "Zou & Hastie, Regularization and Variable Selection via the Elastic Net, JRSS B 67(2), 2005"
    use = "Linear models and first layers over many correlated inputs; set coefficient, then ratio."
    hurts = "Where L1 hurts, in proportion to ratio."
    cost = "Two more passes over the weights forward and two backward."
    measured = (
        "At its defaults: +0.28 points of accuracy [-0.01, +0.57] on 200 digits with a small convolutional network (92.0 % without it, "
        "n = 20 seeds), not distinguishable; 1.22 times the step."
    )

    coefficient: float = coefficient(1e-4, "strength of both together", (1e-7, 1e-2))
    ratio: float = knob(0.5, "share of L1", valid=(0, 1), closed=True, search=(0.0, 1.0))

    def of(self, weights):
        return elastic_net(weights, self.coefficient, self.ratio)


class Orthogonality(WeightPenalty):
    """Rows (or columns, where those are fewer) that are orthonormal: coefficient * sum |W W^T - I|^2 (Bansal et al., 2018)."""

    paper = (
        "Bansal, Chen & Wang, Can We Gain More from Orthogonality Regularizations in Training Deep CNNs?, NeurIPS 2018; arXiv:1810.09102"
    )
    use = "Deep networks without norms, and GANs; set coefficient, and let a schedule lower it towards the end."
    hurts = "Together with strong weight decay, which pulls the same weights towards zero."
    cost = "One product of each weight with its transpose and its backward, whatever the batch: little for large batches."
    measured = (
        "At its defaults: +0.83 points of accuracy [+0.38, +1.29] on 200 digits with a small convolutional network (92.0 % without it, "
        "n = 20 seeds); 1.31 times the step."
    )
    least = 2

    coefficient: float = coefficient(1e-4, "strength: adds coefficient * sum |W W^T - I|^2 to the loss", (1e-6, 1e-1))

    def of(self, weights):
        return orthogonality(weights, self.coefficient)


class Spectral(WeightPenalty):
    """Layers that amplify little: coefficient / 2 * sum sigma(W)^2, sigma the largest singular value (Yoshida & Miyato, 2017).

    sigma is exact, from the eigenvalues of the smaller Gram matrix, where the paper iterates; a convolution is the matrix
    (channels out, all else), as there.
    """

    paper = "Yoshida & Miyato, Spectral Norm Regularization for Improving the Generalizability of Deep Learning, 2017; arXiv:1705.10941"
    use = "Large batches and models that should change little with their input; set coefficient (0.01)."
    hurts = "Together with norms, which undo the scale of the weights before them."
    cost = "One eigendecomposition of a symmetric matrix per weight, of its smaller side; its time grows with the cube of that side."
    measured = (
        "At its defaults: +1.12 points of accuracy [+0.68, +1.55] on 200 digits with a small convolutional network (92.0 % without it, "
        "n = 20 seeds); 1.49 times the step."
    )
    least = 2

    coefficient: float = coefficient(1e-2, "strength: adds coefficient / 2 * sum sigma^2 to the loss", (1e-4, 1.0))

    def of(self, weights):
        return spectral(weights, self.coefficient)
