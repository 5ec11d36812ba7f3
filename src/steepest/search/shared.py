"""Data that many processes read and none copies: large tensors lie in files that each of them maps into its memory."""

from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from steepest.data.parts import Arrays
from steepest.data.split import Data

# Bytes from which on sharing is worth a file.
LARGE = 16 << 20


def lay(data: Data, folder: Path, large: int = LARGE) -> dict[str, Any] | None:
    """Write the data's tensors into files; what `lift` needs to find them. None where they are small, or no tensors."""
    parts = {name: part for name, part in vars(data).items() if part is not None}
    if not all(isinstance(part, Arrays) and all(isinstance(x, Tensor) for x in part.columns) for part in parts.values()):
        return None
    columns: dict[str, list[Tensor]] = {name: list(part.columns) for name, part in parts.items()}
    if sum(x.nbytes for xs in columns.values() for x in xs) < large:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    return {name: [_lay(x, folder / f"{name}-{k}.bin") for k, x in enumerate(xs)] for name, xs in columns.items()}


def lift(facts: dict[str, Any]) -> Data:
    return Data(**{name: Arrays(tuple(map(_lift, columns))) for name, columns in facts.items()})


def _lay(x: Tensor, path: Path) -> dict[str, Any]:
    # An array without an element has no file that could be mapped; it never gets here, since parts are not empty.
    x.contiguous().reshape(-1).view(torch.uint8).numpy().tofile(path)
    return {"file": str(path), "shape": list(x.shape), "dtype": str(x.dtype).removeprefix("torch.")}


def _lift(facts: dict[str, Any]) -> Tensor:
    """A private map: pages are shared until somebody writes to one, and then the writer alone sees it."""
    shape, dtype = facts["shape"], getattr(torch, facts["dtype"])
    return torch.from_file(facts["file"], shared=False, size=prod(shape), dtype=dtype).reshape(shape)
