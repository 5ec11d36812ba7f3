"""Pictures that a finished run shows: images side by side, as a PNG."""

import io
from math import ceil, sqrt

import torch
from torch import Tensor, nn

from steepest.core.errors import SteepestError
from steepest.core.task import Task


@torch.no_grad()
def picture(task: Task, model: nn.Module) -> bytes:
    assert task.pictures
    training = model.training
    model.eval()
    try:
        images = task.pictures(model)
    finally:
        model.train(training)
    if not isinstance(images, Tensor) or images.ndim != 4 or images.shape[1] not in (1, 3) or not len(images):
        looks = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise SteepestError(f"Task.pictures gave {looks}; give images in [0, 1] of shape (N, 1 or 3, rows, columns)")
    return png(sheet(images))


def sheet(images: Tensor) -> Tensor:  # (N, C, H, W) in [0, 1] -> (C, rows, columns) of bytes
    """As many in a row as in a column, with a pixel between them."""
    n, channels, height, width = images.shape
    across = ceil(sqrt(n))
    found = torch.zeros(channels, ceil(n / across) * (height + 1) - 1, across * (width + 1) - 1, dtype=torch.uint8)
    for k, image in enumerate((images.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8)):
        top, left = k // across * (height + 1), k % across * (width + 1)
        found[:, top : top + height, left : left + width] = image
    return found


def png(image: Tensor) -> bytes:  # (1 or 3, rows, columns) of bytes
    from PIL import Image  # which takes a while, and only here

    rows = image.permute(1, 2, 0).squeeze(2) if len(image) == 1 else image.permute(1, 2, 0)
    with io.BytesIO() as file:
        Image.fromarray(rows.contiguous().numpy()).save(file, format="png")
        return file.getvalue()
