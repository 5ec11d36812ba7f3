"""Inputs as numbers: images come as floats in [0, 1] or as bytes, and go as they came."""

import torch
from torch import Tensor

from steepest.regularizers.base import BatchError


def as_numbers(x: Tensor) -> Tensor:
    """Floats as they are, bytes as floats in [0, 1]."""
    if x.dtype == torch.uint8:
        return x.to(torch.float32).div_(255)
    if not x.is_floating_point():
        raise BatchError(f"inputs of {str(x.dtype).removeprefix('torch.')} are names, not quantities: they cannot be mixed or disturbed")
    return x


def as_pixels(z: Tensor, like: Tensor) -> Tensor:
    """The inverse: what was bytes is rounded to bytes again."""
    return (z * 255).round().clamp(0, 255).to(torch.uint8) if like.dtype == torch.uint8 else z


def refuse_but_images(x: Tensor, name: str) -> None:
    if x.ndim != 4:
        raise BatchError(f"{name} is for images (N, C, H, W), not for inputs of shape {tuple(x.shape)}")
