"""What all augmentations share: their random numbers, their checks, and how a batch is moved by whole pixels and parts of it hidden."""

from functools import cache
from importlib import import_module
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from steepest.regularizers.augment.draws import stream
from steepest.regularizers.base import BatchChange, BatchError
from steepest.regularizers.pixels import as_numbers


class Augmentation(BatchChange):
    """Changes each input by a draw of its own, whole batches at once; targets stay as they are.

    Sample i meets the same draw whatever the batch holds besides, and however many it holds: row i of a stream that one
    number of the generator starts. So the generator moves by one number per call, and a shorter last batch shifts nothing.
    """

    def change(self, x, y, generator):
        return self.augment(x, stream(generator)), y

    def augment(self, x: Tensor, draws: torch.Generator) -> Tensor:
        raise NotImplementedError


def per_sample(values: Tensor | float, x: Tensor, what: str) -> Tensor:  # (N,) in float64
    """One number, or one for each sample."""
    found = torch.as_tensor(values, dtype=torch.float64, device="cpu")
    if found.shape not in ((), (len(x),)):
        raise BatchError(f"{what} of shape {tuple(found.shape)} for a batch of {len(x)}: give one number, or one for each sample")
    return found.expand(len(x))


def spread(values: Tensor, x: Tensor) -> Tensor:
    """(N,) in x's type and with x's number of axes."""
    return values.to(x.device, x.dtype).view(-1, *[1] * (x.ndim - 1))


def between(low: Tensor, high: Tensor, size: int) -> Tensor:
    """Whether low <= position < high, for positions 0 .. size - 1: (...,) -> (..., size)."""
    place = torch.arange(size, device=low.device)
    return (place >= low[..., None]) & (place < high[..., None])


def windows(x: Tensor, top: Tensor, left: Tensor, height: int, width: int) -> Tensor:  # (N, C, H, W) -> (N, C, height, width)
    """Out of each image the window whose corner is (top, left); it must lie inside.

    Seen as a row of overlapping pieces of `width` numbers, the batch gives each line of a window by one index: one
    copy of memory per line, three times as fast as an index for each pixel.
    """
    n, channels, rows, columns = x.shape
    if not x.numel():
        return x.new_zeros(n, channels, height, width)
    inside = torch.arange(channels, device=x.device)[:, None] * rows + torch.arange(height, device=x.device)
    corner = (torch.arange(n, device=x.device) * channels * rows + top.to(x.device)) * columns + left.to(x.device)
    pieces = x.contiguous().view(-1).unfold(0, width, 1)
    return pieces.index_select(0, (corner[:, None, None] + inside * columns).view(-1)).view(n, channels, height, width)


def shift(x: Tensor, down: Tensor, right: Tensor) -> Tensor:  # (N, C, rows, columns), (N,), (N,)
    """What stands `down` and `right` of each place comes there, 0 from beyond the edge."""
    if fast := passes(x):
        x = x.contiguous()
        found = torch.empty_like(x)
        fast.shift(x.numpy(), found.numpy(), whole(down), whole(right))
        return found
    rows, columns = x.shape[2:]
    down, right = down.clamp(-rows, rows), right.clamp(-columns, columns)
    high, wide = (int(n.abs().max()) if len(x) else 0 for n in (down, right))
    return windows(F.pad(x, (wide, wide, high, high)), high + down, wide + right, rows, columns)


def hide(x: Tensor, boxes: Tensor, values: Tensor) -> Tensor:  # (N, C, rows, columns), (N, k, 4), (N,)
    """x, and its value where top <= row < bottom and left <= column < right, for each box (top, bottom, left, right)."""
    values = values.to(x.device, x.dtype)
    if fast := passes(x):
        found = x.clone(memory_format=torch.contiguous_format)
        fast.hide(found.numpy(), whole(boxes), values.contiguous().numpy())
        return found
    top, bottom, left, right = boxes.to(x.device).unbind(-1)
    rows, columns = between(top, bottom, x.shape[2]), between(left, right, x.shape[3])
    hidden = (rows[..., :, None] & columns[..., None, :]).any(1, keepdim=True)
    return torch.where(hidden, spread(values, x), x)


def passes(x: Tensor) -> Any:
    """The loops that serve x: in memory, of common types, without a gradient. None: torch's own functions do."""
    plain = x.device.type == "cpu" and x.dtype in (torch.uint8, torch.float32, torch.float64) and not x.requires_grad
    return compiled() if plain else None


@cache
def compiled() -> Any:
    try:
        return import_module("steepest.regularizers.augment.passes")  # Numba: a third of a second, when first needed
    except (ImportError, RuntimeError):  # no Numba, or no folder that it could cache in
        return None


def floats_like(x: Tensor) -> Tensor:
    """Room for an image's numbers: bytes become float32."""
    return torch.empty(x.shape, dtype=torch.float32 if x.dtype == torch.uint8 else x.dtype)


def whole(x: Tensor) -> Any:
    """As the loops want it, of one type and layout."""
    return x.to("cpu", torch.int64).contiguous().numpy()


def refuse_but(x: Tensor, axes: tuple[int, ...], kinds: str) -> None:
    if not isinstance(x, Tensor):
        raise BatchError(f"{kinds} are a tensor, not {type(x).__name__}")
    if x.ndim not in axes:
        raise BatchError(f"{kinds} have {' or '.join(map(str, axes))} axes, not shape {tuple(x.shape)}")
    if x.shape[1:].numel() == 0:
        raise BatchError(f"{kinds} of shape {tuple(x.shape)} hold nothing")


def refuse_but_floats(x: Tensor, kinds: str) -> None:
    if not x.is_floating_point():
        raise BatchError(f"{kinds} must be floats, not {str(x.dtype).removeprefix('torch.')}; convert them, as by x.float() / 32768")


def refuse_but_images(x: Tensor) -> None:
    refuse_but(x, (4,), "images (N, C, H, W)")
    if x.dtype != torch.uint8 and not x.is_floating_point():
        raise BatchError(f"images must be uint8, or floats in [0, 1], not {str(x.dtype).removeprefix('torch.')}")


def refuse_but_light(x: Tensor, what: str) -> None:
    """For what reads a pixel as an amount of light: bytes, or floats in [0, 1].

    The first image alone is looked at: standardized images have a pixel outside almost surely, and a look at all of
    them would cost as much as the change.
    """
    refuse_but_images(x)
    if x.is_floating_point() and len(x):
        low, high = (float(v) for v in x[0].detach().aminmax())
        if low < 0 or high > 1:
            raise BatchError(
                f"{what} is for images in [0, 1], and found values from {low:.3g} to {high:.3g}; augment first, standardize afterwards"
            )


def as_light(x: Tensor, what: str) -> Tensor:
    refuse_but_light(x, what)
    return as_numbers(x)
