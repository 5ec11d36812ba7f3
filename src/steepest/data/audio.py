"""Sound as pictures: mel spectrograms, cepstral coefficients and their changes, for batches of waves (N, T).

The figures are those of librosa: mel scale and filters after Slaney's Auditory Toolbox (1998), a Hann window, frames centered on multiples
of the hop with silence around the sound, powers in decibels of which those 80 below the loudest of a sound are cut.
"""

from functools import cache
from math import factorial, log

import torch
from torch import Tensor
from torch.nn import functional as F

from steepest.data.parts import DataError

FLOOR, DYNAMIC = 1e-10, 80.0


def power(x: Tensor, window: int, hop: int) -> Tensor:  # (N, T) -> (N, window / 2 + 1, frames)
    shape = torch.hann_window(window, dtype=x.dtype, device=x.device)
    spectrum = torch.stft(x, window, hop, window=shape, center=True, pad_mode="constant", return_complex=True)
    return spectrum.real.square() + spectrum.imag.square()


def log_mel(x: Tensor, rate: int, window: int, hop: int, bands: int) -> Tensor:  # (N, T) -> (N, bands, frames)
    """Decibels in each band."""
    mel = mel_filters(rate, window, bands).to(x) @ power(x, window, hop)
    decibels = 10 * mel.clamp(min=FLOOR).log10()
    return decibels.maximum(decibels.amax(dim=(1, 2), keepdim=True) - DYNAMIC)


def mfcc(x: Tensor, rate: int, window: int, hop: int, bands: int, coefficients: int) -> Tensor:  # (N, T) -> (N, coefficients, frames)
    """Davis & Mermelstein (1980): the shape of the log spectrum without its fine structure."""
    return cosines(bands)[:coefficients].to(x) @ log_mel(x, rate, window, hop, bands)


def delta(x: Tensor, order: int = 1, width: int = 9) -> Tensor:  # (N, F, frames), the same
    """How features change: the derivative of the polynomial of this order that fits `width` frames best (Savitzky & Golay, 1964).

    It is constant, so that the frames at either end, which have too few neighbors, have that of the nearest whole stretch.
    """
    if x.shape[-1] < width:
        raise DataError(f"{x.shape[-1]} frames are too few for changes over {width}; give longer sounds, or a shorter hop")
    places = torch.arange(width, dtype=torch.float64) - width // 2
    fit = torch.linalg.pinv(places.unsqueeze(1) ** torch.arange(order + 1))
    weights = (factorial(order) * fit[order]).to(x)
    return F.pad((x.unfold(-1, width, 1) * weights).sum(-1), (width // 2, width // 2), mode="replicate")


@cache
def mel_filters(rate: int, window: int, bands: int) -> Tensor:  # (bands, window / 2 + 1)
    """Triangles between neighbors of `bands` + 2 places at equal distances in mel, from 0 to half the rate; each of area 1."""
    frequencies = torch.linspace(0, rate / 2, window // 2 + 1, dtype=torch.float64)
    corners = hertz(torch.linspace(0, float(mels(torch.tensor(rate / 2, dtype=torch.float64))), bands + 2, dtype=torch.float64))
    low, center, high = (corners[k : k + bands].unsqueeze(1) for k in range(3))
    triangles = torch.minimum((frequencies - low) / (center - low), (high - frequencies) / (high - center)).clamp(min=0)
    return triangles * (2 / (high - low))


# Mels are linear up to 1,000 Hz, which are 15, and logarithmic above: 27 of them to a factor of 6.4.
LINEAR, BREAK, STEP = 200 / 3, 1000.0, log(6.4) / 27


def mels(f: Tensor) -> Tensor:
    return torch.where(f < BREAK, f / LINEAR, BREAK / LINEAR + (f.clamp(min=BREAK) / BREAK).log() / STEP)


def hertz(m: Tensor) -> Tensor:
    return torch.where(m < BREAK / LINEAR, m * LINEAR, BREAK * (STEP * (m - BREAK / LINEAR)).exp())


@cache
def cosines(n: int) -> Tensor:  # (n, n)
    """The orthonormal cosine transform (DCT-II)."""
    k, place = torch.arange(n, dtype=torch.float64).unsqueeze(1), torch.arange(n, dtype=torch.float64)
    found = torch.cos(torch.pi / n * (place + 0.5) * k) * (2 / n) ** 0.5
    found[0] /= 2**0.5
    return found
