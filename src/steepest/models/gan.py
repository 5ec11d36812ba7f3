"""Two networks that play against each other (Goodfellow et al., 2014), of convolutions (DCGAN: Radford et al., 2016)."""

import torch
from torch import Generator, Tensor, nn

from steepest.core.errors import SettingError
from steepest.models.checks import counts, shares


class GAN(nn.Module):
    """A generator, which makes images in [0, 1] of codes, and a critic, which says by a logit whether an image is real.

    It has no forward of its own: who plays when is a matter of the losses.
    """

    def __init__(self, generator: nn.Sequential, critic: nn.Sequential, code: int) -> None:
        super().__init__()
        self.generator, self.critic, self.code = generator, critic, code

    def draw(self, n: int, generator: Generator | None = None) -> Tensor:
        """New images. Without a generator from torch's global stream, as dropout."""
        return self.generator(torch.randn(n, self.code, generator=generator).to(next(self.parameters())))


def gan(channels: int = 1, size: int = 28, code: int = 64, width: int = 32, depth: int = 2, dropout: float = 0.0, norm: bool = True) -> GAN:
    """`depth` times twice the size for the generator, with BatchNorm, and half of it for the critic, with leaky ReLU and dropout."""
    counts("gan", channels=channels, size=size, code=code, width=width, depth=depth)
    shares("gan", dropout=dropout)
    if size % 2**depth:
        raise SettingError(f"gan: images of {size} x {size} cannot be halved {depth} times; size must be a multiple of {2**depth}")
    side, widest = size >> depth, width << (depth - 1)
    first = [*([nn.BatchNorm2d(widest)] if norm else []), nn.ReLU()]
    maker: list[nn.Module] = [nn.Linear(code, widest * side * side), nn.Unflatten(1, (widest, side, side)), *first]
    judge: list[nn.Module] = []
    for k in range(depth):
        near, far = (width << (k - 1)) if k else channels, width << k
        judge += [nn.Conv2d(near, far, 4, 2, padding=1), nn.LeakyReLU(0.2), *([nn.Dropout2d(dropout)] if dropout else [])]
    for k in reversed(range(1, depth)):
        wide = width << (k - 1)
        maker += [nn.ConvTranspose2d(2 * wide, wide, 4, 2, padding=1, bias=not norm), *([nn.BatchNorm2d(wide)] if norm else []), nn.ReLU()]
    maker += [nn.ConvTranspose2d(width, channels, 4, 2, padding=1), nn.Sigmoid()]
    return GAN(nn.Sequential(*maker), nn.Sequential(*judge, nn.Flatten(), nn.Linear(widest * side * side, 1)), code)
