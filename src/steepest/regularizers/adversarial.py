"""Training on the worst inputs nearby: FGSM and PGD."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from typing import Any

import torch
from torch import Tensor, nn

from steepest.core.errors import SettingError
from steepest.core.knob import knob, option
from steepest.regularizers.base import Adversarial, BatchError, Loss

Slope = Callable[[Tensor], Tensor]


def fgsm(x: Tensor, slope: Slope, epsilon: float, low: float, high: float) -> Tensor:
    """clip(x + epsilon sign(slope(x)), low, high), where slope is the gradient of the loss with respect to x"""
    return (x + epsilon * slope(x).sign()).clamp(low, high)


def pgd(x: Tensor, start: Tensor, slope: Slope, epsilon: float, step: float, steps: int, low: float, high: float) -> Tensor:
    """z <- clip(z + step sign(slope(z)), x - epsilon, x + epsilon), clipped to [low, high]; `steps` times from `start`"""
    z = start
    for _ in range(steps):
        z = (z + step * slope(z).sign()).clamp(x - epsilon, x + epsilon).clamp(low, high)
    return z


def slope_of(model: Callable[[Tensor], Any], loss: Loss, y: Any) -> Slope:
    """The gradient of the loss with respect to the inputs; no parameter's gradient is touched."""

    def slope(x: Tensor) -> Tensor:
        with torch.enable_grad():
            z = x.detach().requires_grad_()
            value = loss(model(z), y)
            found = torch.autograd.grad(value, z, allow_unused=True)[0] if value.requires_grad else None
        if found is None:
            raise BatchError("the loss does not depend on the inputs, so no inputs are worse; the model must not detach them")
        return found

    return slope


@contextmanager
def buffers_kept(model: nn.Module) -> Iterator[None]:
    """Within: the model may run. After, also after an error: its buffers (running statistics) are as they were."""
    kept = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in kept:
                buffer.copy_(value)


def refuse_outside(x: Tensor, low: float, high: float, name: str) -> None:
    if not x.is_floating_point():
        raise BatchError(
            f"{name} needs inputs with a gradient, not {str(x.dtype).removeprefix('torch.')}; make images floats in [0, 1] before the model"
        )
    least, most = (float(v) for v in torch.aminmax(x)) if x.numel() else (low, high)
    if least < low or most > high:
        raise BatchError(
            f"the inputs reach from {least:g} to {most:g}, outside of {name}'s [low, high] = [{low:g}, {high:g}]; set these"
            " to what inputs may be"
        )


class Bounded(Adversarial):
    """An attack within epsilon of each input and within [low, high], the bounds of valid inputs."""

    main = "epsilon"

    epsilon: float = knob(8 / 255, "greatest change of one value", valid=(0, inf), search=(1e-3, 0.3), log=True)
    low: float = knob(0.0, "smallest valid input", valid=(-inf, inf))
    high: float = knob(1.0, "largest valid input", valid=(-inf, inf), closed=True)

    def check(self) -> None:
        if self.low >= self.high:
            name = type(self).__name__
            raise SettingError(f"{name}.low = {self.low:g} is not below {name}.high = {self.high:g}")

    def worst(self, x: Tensor, slope: Slope, generator: torch.Generator) -> Tensor:
        raise NotImplementedError

    def change(self, model, loss, x, y, generator):
        refuse_outside(x, self.low, self.high, type(self).__name__)
        with buffers_kept(model):
            return self.worst(x.detach(), slope_of(model, loss, y), generator).detach()


class FGSM(Bounded):
    """clip(x + epsilon sign(gradient of the loss with respect to x), low, high) (Goodfellow et al., 2015, section 4)."""

    paper = "Goodfellow, Shlens & Szegedy, Explaining and Harnessing Adversarial Examples, ICLR 2015; arXiv:1412.6572"
    use = "A first defense of classifiers of images; set epsilon (8/255 for color images, 0.1 to 0.3 for digits), and low and high."
    hurts = "Accuracy on clean inputs; against stronger attacks it may only seem to help (use pgd)."
    cost = "One more forward and backward pass per step."
    measured = (
        "With epsilon 0.1: +2.21 points of accuracy [+1.31, +3.10] on 200 digits with a small convolutional network (92.0 % without "
        "it, n = 20 seeds); under FGSM of epsilon 0.1 +24.62 points of accuracy [+22.61, +26.63] (46.1 % without it); 1.77 times the "
        "step."
    )

    def worst(self, x, slope, generator):
        return fgsm(x, slope, self.epsilon, self.low, self.high)


class PGD(Bounded):
    """FGSM in small steps from a random start, kept within epsilon and [low, high] (Madry et al., 2018, section 2.1)."""

    paper = "Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks, ICLR 2018; arXiv:1706.06083"
    use = "Where robustness is the aim; set epsilon, then step to about 2.5 epsilon / steps."
    hurts = "Accuracy on clean inputs, by some percent to tens of percent; small models, which cannot fit the attacks."
    cost = "`steps` more forward and backward passes per step."
    measured = (
        "With epsilon 0.1, step 0.025: +1.55 points of accuracy [-0.36, +3.46] on 200 digits with a small convolutional network (92.0 "
        "% without it, n = 20 seeds), not distinguishable; under FGSM of epsilon 0.1 +24.33 points of accuracy [+21.63, +27.02] (46.1 "
        "% without it); 7.57 times the step."
    )

    step: float = knob(2 / 255, "size of one step", valid=(0, inf), search=(1e-3, 0.1), log=True)
    steps: int = option(10, "steps of the attack")
    random_start: bool = option(True, "start anywhere within epsilon, not at the input")

    def check(self) -> None:
        super().check()
        if self.steps < 1:
            raise SettingError(f"PGD.steps = {self.steps} is less than 1")

    def worst(self, x, slope, generator):
        start = x
        if self.random_start:
            u = torch.rand(x.shape, dtype=x.dtype, device=generator.device, generator=generator).to(x.device)
            start = (x + self.epsilon * (2 * u - 1)).clamp(self.low, self.high)
        return pgd(x, start, slope, self.epsilon, self.step, self.steps, self.low, self.high)
