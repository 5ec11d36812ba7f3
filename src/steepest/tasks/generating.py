"""Built-in tasks that make images."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import softplus

from steepest.core.rng import generator
from steepest.core.task import Task
from steepest.data import Data, gather, mnist
from steepest.data.parts import Arrays
from steepest.models import gan, vae

# So many rows and columns in a picture of samples.
ROWS = 8


def images() -> Data:
    """MNIST without its labels."""
    whole: Any = gather(mnist())
    return Data(*(Arrays(part.columns[:1]) for part in (whole.train, whole.valid, whole.test)))


def dice(model: nn.Module) -> Generator | None:
    """In training torch's global stream, as dropout; an evaluation draws the same each time, and nothing from that stream."""
    return None if model.training else generator(0, "evaluation")


def samples(model: Any) -> Tensor:
    """New images, always of the same codes."""
    return model.draw(ROWS * ROWS, generator(0, "pictures"))


def bound(model: Any, batch: tuple[Tensor, ...]) -> Tensor:
    """In nats an image, of which less is better."""
    distortion, rate = model.bound(batch[0], dice(model))
    return (distortion + rate).mean()


def vae_mnist() -> Task:
    """Digits from a code of a few numbers: the evidence lower bound (Kingma & Welling, 2014)."""
    return Task(model=vae, data=images, batch_loss=bound, pictures=samples, preprocess=["scale"], name="vae-mnist")


def critic_loss(model: Any, batch: tuple[Tensor, ...]) -> Tensor:
    """Real images are to have a high logit, made ones a low one."""
    with torch.no_grad():
        made = model.draw(len(batch[0]), dice(model))
    return softplus(-model.critic(batch[0])).mean() + softplus(model.critic(made)).mean()


def generator_loss(model: Any, batch: tuple[Tensor, ...]) -> Tensor:
    """The loss that does not saturate (Goodfellow et al., 2014, section 3)."""
    return softplus(-model.critic(model.draw(len(batch[0]), dice(model)))).mean()


def gan_mnist() -> Task:
    """Digits that a critic cannot tell from real ones (Goodfellow et al., 2014; Radford et al., 2016)."""
    players = {"critic": ("critic.*", critic_loss), "generator": ("generator.*", generator_loss)}
    return Task(model=gan, data=images, losses=players, pictures=samples, preprocess=["scale"], name="gan-mnist")


def frechet(a: Tensor, b: Tensor) -> float:  # (N, F), (M, F)
    """The distance of two sets of features, taken for Gaussians (Heusel et al., 2017): |m - n|^2 + tr(A + B - 2 (A B)^(1/2))."""
    means = [x.double().mean(0) for x in (a, b)]
    first, second = (torch.cov(x.double().T) for x in (a, b))
    # The eigenvalues of A B are those of a positive matrix, whatever rounding says.
    root = torch.linalg.eigvals(first @ second).real.clamp(min=0).sqrt().sum()
    return float((means[0] - means[1]).square().sum() + first.trace() + second.trace() - 2 * root)


GENERATING: dict[str, Callable[[], Task]] = {"vae-mnist": vae_mnist, "gan-mnist": gan_mnist}
