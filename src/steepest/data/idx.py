"""The IDX format of MNIST and its kin: a magic number, the shape, and bytes; nothing is unpickled."""

import math
import struct
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from steepest.data.archive import unpacked
from steepest.data.parts import DataError

# The third byte of the file names the type of its numbers.
TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

# What NumPy and torch can hold.
DIMENSIONS = 64


def read_idx(path: Path) -> Tensor:
    """The array in an IDX file, packed by gzip or not."""
    raw = unpacked(path)
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] not in TYPES:
        raise DataError(f"{path} is no IDX file: it begins with {raw[:4].hex() or 'nothing'}")
    kind, ndim = np.dtype(TYPES[raw[2]]), raw[3]
    if not 1 <= ndim <= DIMENSIONS:
        raise DataError(f"{path} is no IDX file that can be read: it says that it has {ndim} dimensions")
    if len(raw) < 4 + 4 * ndim:
        raise DataError(f"{path} ends within its header")
    shape = struct.unpack(f">{ndim}I", raw[4 : 4 + 4 * ndim])
    wanted = 4 + 4 * ndim + kind.itemsize * math.prod(shape)
    if len(raw) != wanted:
        raise DataError(f"{path} has {len(raw)} bytes, but its header speaks of {wanted}")
    array = np.frombuffer(raw, kind, offset=4 + 4 * ndim).reshape(shape)
    return torch.from_numpy(array.astype(kind.newbyteorder("="), copy=True))
