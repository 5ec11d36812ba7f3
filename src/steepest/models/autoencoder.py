"""Networks that say an image again from a short code: an autoencoder (denoising: Vincent et al., 2008), and the variational one."""

from math import prod

import torch
from torch import Generator, Tensor, nn

from steepest.core.errors import SettingError
from steepest.models.checks import counts, shares


def autoencoder(
    channels: int = 1, size: int = 28, code: int = 32, width: int = 16, depth: int = 2, dropout: float = 0.0, norm: bool = False
) -> nn.Sequential:
    """Convolutions that halve the image `depth` times, a code, and the way back; logits of pixels.

    Noise that it is to take away comes with the data, or by the recipe's `regularize.input_noise`.
    """
    counts("autoencoder", channels=channels, size=size, code=code, width=width, depth=depth)
    shares("autoencoder", dropout=dropout)
    if size % 2**depth:
        raise SettingError(f"autoencoder: images of {size} x {size} cannot be halved {depth} times; size must be a multiple of {2**depth}")

    def behind(wide: int) -> list[nn.Module]:
        return [*([nn.BatchNorm2d(wide)] if norm else []), nn.ReLU()]

    wides = [width << k for k in range(depth)]
    shape = (wides[-1], size >> depth, size >> depth)
    inner: list[nn.Module] = []
    outer: list[nn.Module] = [nn.ConvTranspose2d(width, channels, 4, 2, padding=1)]
    for k, wide in enumerate(wides):
        inner += [nn.Conv2d(wides[k - 1] if k else channels, wide, 4, 2, padding=1, bias=not norm), *behind(wide)]
        if k:
            outer = [nn.ConvTranspose2d(wide, wides[k - 1], 4, 2, padding=1, bias=not norm), *behind(wides[k - 1]), *outer]
    narrow = [nn.Flatten(), nn.Linear(prod(shape), code), *([nn.Dropout(dropout)] if dropout else [])]
    return nn.Sequential(*inner, *narrow, nn.Linear(code, prod(shape)), nn.ReLU(), nn.Unflatten(1, shape), *outer)


class VAE(nn.Module):
    """Auto-Encoding Variational Bayes (Kingma & Welling, 2014, appendix C): a Gaussian over codes, and logits of pixels from a code."""

    def __init__(self, encoder: nn.Sequential, decoder: nn.Sequential, code: int) -> None:
        super().__init__()
        self.encoder, self.decoder, self.code = encoder, decoder, code

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:  # -> (N, code) twice
        """Mean and logarithm of the variance."""
        mean, spread = self.encoder(x).chunk(2, 1)
        return mean, spread

    def forward(self, x: Tensor) -> Tensor:
        """The image again, as logits, from the mean of its codes."""
        return self.decoder(self.encode(x)[0])

    def bound(self, x: Tensor, generator: Generator | None = None) -> tuple[Tensor, Tensor]:  # -> (N,) twice
        """The evidence lower bound of each image in nats is - distortion - rate, from one code drawn for each (equation 10)."""
        mean, spread = self.encode(x)
        noise = torch.empty_like(mean).normal_(generator=generator)
        logits = self.decoder(mean + (spread / 2).exp() * noise)
        distortion = nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)
        return distortion, ((mean.square() + spread.exp() - 1 - spread) / 2).sum(1)

    def draw(self, n: int, generator: Generator) -> Tensor:
        """New images."""
        return self.decoder(torch.randn(n, self.code, generator=generator).to(next(self.parameters()))).sigmoid()


def vae(
    channels: int = 1, size: int = 28, code: int = 20, width: int = 400, depth: int = 1, dropout: float = 0.0, norm: bool = False
) -> VAE:
    """`depth` fully connected layers of `width` on either side of the code."""
    counts("vae", channels=channels, size=size, code=code, width=width, depth=depth)
    shares("vae", dropout=dropout)

    def hidden(inputs: int) -> list[nn.Module]:
        layers: list[nn.Module] = []
        for k in range(depth):
            layers += [nn.Linear(width if k else inputs, width, bias=not norm), *([nn.BatchNorm1d(width)] if norm else []), nn.ReLU()]
            layers += [nn.Dropout(dropout)] if dropout else []
        return layers

    shape = (channels, size, size)
    encoder = nn.Sequential(nn.Flatten(), *hidden(prod(shape)), nn.Linear(width, 2 * code))
    return VAE(encoder, nn.Sequential(*hidden(code), nn.Linear(width, prod(shape)), nn.Unflatten(1, shape)), code)
