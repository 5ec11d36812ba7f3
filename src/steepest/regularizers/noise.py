"""Noise: on inputs, on gradients; and a patch of each image hidden."""

from math import inf

import torch
from torch import Tensor

from steepest.core.errors import ParameterError
from steepest.core.knob import knob
from steepest.regularizers.augment.images import erase
from steepest.regularizers.base import BatchChange, GradientChange
from steepest.regularizers.pixels import as_numbers, as_pixels, refuse_but_images


def cutout(x: Tensor, rows: Tensor, columns: Tensor, share: float, fill: float) -> Tensor:  # images (N, C, H, W)
    """x, and `fill` in a rectangle of `share` of each side around (row, column), which may reach over the edge."""
    tall, wide = (round(n * share) for n in x.shape[2:])
    top, left = rows - tall // 2, columns - wide // 2
    return erase(x, top, top + tall, left, left + wide, fill)


def variance(eta: float, gamma: float, k: int) -> float:
    """eta / (1 + k)^gamma"""
    return eta / (1 + k) ** gamma


def normal(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, dtype=like.dtype, device=generator.device, generator=generator).to(like.device)


class Cutout(BatchChange):
    """One square of each image is hidden, its center anywhere in the image (DeVries & Taylor, 2017). Not square images: a rectangle."""

    paper = "DeVries & Taylor, Improved Regularization of Convolutional Neural Networks with Cutout, 2017; arXiv:1708.04552"
    use = "Small images with convolutional networks; set share (0.5 for CIFAR-10, 0.25 for CIFAR-100)."
    hurts = "Where the object is small and may be hidden whole."
    cost = "One pass over the batch."
    measured = (
        "At its defaults: -2.05 points of accuracy [-3.36, -0.73] on 200 digits with a small convolutional network (92.0 % without it, "
        "n = 20 seeds); 1.06 times the step."
    )
    main = "share"

    share: float = knob(0.5, "side of the square, as a share of the image's", valid=(0, 1), closed=True, search=(0.1, 0.6))
    fill: float = knob(0.0, "value of the hidden part; the paper: the mean, which is 0 after normalization", valid=(-inf, inf))

    def change(self, x, y, generator):
        refuse_but_images(x, "cutout")
        draw = dict(generator=generator, device=generator.device)
        rows, columns = (torch.randint(n, (len(x),), **draw).to(x.device) for n in x.shape[2:])  # type: ignore[call-overload]
        return cutout(x, rows, columns, self.share, self.fill), y


class InputNoise(BatchChange):
    """x + std * normal noise; for small std the same as a penalty on the gradient with respect to x (Bishop, 1995)."""

    paper = "Bishop, Training with Noise is Equivalent to Tikhonov Regularization, Neural Computation 7(1), 1995"
    use = "Tables, sensors and audio, where small errors of measurement are real; set std to a tenth of the inputs' deviation or less."
    hurts = "Where fine detail matters; inputs of very different scales, since one std is for all."
    cost = "One random number per input value."
    measured = (
        "At its defaults: +0.99 points of accuracy [+0.45, +1.53] on 200 digits with a small convolutional network (92.0 % without it, "
        "n = 20 seeds); under FGSM of epsilon 0.1 +2.77 points of accuracy [+1.12, +4.41] (46.1 % without it); 1.02 times the step."
    )
    main = "std"

    std: float = knob(
        0.05, "deviation of the noise, in units of the inputs (bytes count as [0, 1])", valid=(0, inf), search=(1e-3, 0.5), log=True
    )

    def change(self, x, y, generator):
        z = as_numbers(x)
        return as_pixels(z + self.std * normal(z, generator), x), y


class GradientNoise(GradientChange):
    """g + normal noise of variance eta / (1 + k)^gamma at step k, from 0 (Neelakantan et al., 2015, eq. 1)."""

    paper = "Neelakantan et al., Adding Gradient Noise Improves Learning for Very Deep Networks, 2015; arXiv:1511.06807"
    use = "Very deep networks from a poor start; set eta to 0.01, 0.3 or 1, leave gamma."
    hurts = "With adaptive rules, whose second moments see the noise too; with gradients far smaller than sqrt(eta)."
    cost = "One random number per parameter and step."
    measured = (
        "At its defaults: -3.01 points of accuracy [-3.98, -2.05] on 200 digits with a small convolutional network (92.0 % without it, "
        "n = 20 seeds); 1.07 times the step."
    )
    main = "eta"

    eta: float = knob(0.01, "variance of the noise at the first step", valid=(0, inf), search=(1e-4, 1.0), log=True)
    gamma: float = knob(0.55, "how fast it fades", valid=(0, inf), search=(0.3, 1.0))

    @torch.no_grad()
    def change(self, grads, generator, k):
        std = variance(self.eta, self.gamma, k) ** 0.5
        for g in grads:
            if g.layout != torch.strided:
                raise ParameterError("gradient noise reaches every element; a sparse gradient cannot take it: use Embedding(sparse=False)")
            g.add_(normal(g, generator), alpha=std)
