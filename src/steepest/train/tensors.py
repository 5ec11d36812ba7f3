"""Tensors as safetensors, hashed while they are written and checked before they are read."""

import hashlib
import json
import os
from collections.abc import Mapping
from io import FileIO
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from steepest.core.errors import SteepestError


class CheckpointError(SteepestError, ValueError):
    """A checkpoint that cannot be written, or that is not as it was written."""


# The names of the format. Its own writer wants a file read again to be hashed, or all of it in memory: half as fast.
NAMES = {
    torch.bool: "BOOL",
    torch.uint8: "U8",
    torch.int8: "I8",
    torch.int16: "I16",
    torch.int32: "I32",
    torch.int64: "I64",
    torch.uint16: "U16",
    torch.uint32: "U32",
    torch.uint64: "U64",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float32: "F32",
    torch.float64: "F64",
    torch.complex64: "C64",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
}


def write(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Write, flush to the disk, and give back what `read` needs besides: hash, size, strides, and names of one and the same tensor."""
    for name, x in tensors.items():
        nameable = name != "__metadata__" and name.encode(errors="ignore").decode() == name
        if not (nameable and x.dtype in NAMES and x.layout == torch.strided):
            raise CheckpointError(f"{name!a} ({x.dtype}, {x.layout}) cannot be saved: safetensors has no place for it")
    aliases = tied(tensors)
    # Widest elements first, as the format's own writer does: who maps the file finds every tensor aligned.
    names = sorted(tensors.keys() - aliases.keys(), key=lambda name: (-tensors[name].element_size(), name))
    start = header({name: tensors[name] for name in names})
    digest = hashlib.sha256(start)
    with path.open("wb", buffering=0) as file:
        put(file, memoryview(start))
        for name in names:
            data = flat(tensors[name]).numpy().data
            put(file, data)
            digest.update(data)
        os.fsync(file.fileno())
        size = file.tell()
    strides = {name: list(layout(tensors[name])) for name in names if layout(tensors[name]) != plain(tensors[name])}
    return dict(sha256=digest.hexdigest(), bytes=size, strides=strides, aliases=aliases)


def read(path: Path, known: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors, from the very bytes that were checked against what `write` gave back."""
    data = path.read_bytes()
    compare(path, known, len(data), hashlib.sha256(data).hexdigest())
    try:
        tensors = load(data)
    except SafetensorError as wrong:
        raise CheckpointError(f"{path.name} is not safetensors: {wrong}") from None
    for name, stride in known["strides"].items():
        x = tensors[name]
        tensors[name] = torch.empty_strided(x.shape, stride, dtype=x.dtype).copy_(x)
    return tensors | {name: tensors[of] for name, of in known["aliases"].items()}


def verify(path: Path, known: Mapping[str, Any]) -> None:
    """The check alone, without the tensors."""
    with path.open("rb") as file:
        compare(path, known, os.fstat(file.fileno()).st_size, None)
        compare(path, known, known["bytes"], hashlib.file_digest(file, "sha256").hexdigest())


def compare(path: Path, known: Mapping[str, Any], size: int, digest: str | None) -> None:
    if size != known["bytes"]:
        raise CheckpointError(f"{path.name} has {size} bytes instead of {known['bytes']}")
    if digest is not None and digest != known["sha256"]:
        raise CheckpointError(f"{path.name} is not what was written: its hash differs")


def tied(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Names that are the same memory as an earlier one, seen the same way: name -> that earlier name."""
    first: dict[tuple, str] = {}
    found = {}
    for name, x in tensors.items():
        if x.numel():
            of = first.setdefault((x.device, x.data_ptr(), x.dtype, x.shape, x.stride()), name)
            if of != name:
                found[name] = of
    return found


def header(tensors: Mapping[str, Tensor]) -> bytes:
    """How a safetensors file starts: the length of a JSON object, then the object, padded to eight bytes."""
    at, entries = 0, {}
    for name, x in tensors.items():
        end = at + x.numel() * x.element_size()
        entries[name] = dict(dtype=NAMES[x.dtype], shape=list(x.shape), data_offsets=[at, end])
        at = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def flat(x: Tensor) -> Tensor:  # (bytes,) uint8; a view where x lies in order on the CPU
    return x.detach().cpu().resolve_conj().resolve_neg().reshape(-1).view(torch.uint8)


def layout(x: Tensor) -> tuple[int, ...]:
    """The strides to come back to: x's own, unless it overlaps itself or has gaps."""
    return torch.empty_like(x, device="meta", memory_format=torch.preserve_format).stride()


def plain(x: Tensor) -> tuple[int, ...]:
    return torch.empty(x.shape, device="meta").stride()


def put(file: FileIO, data: memoryview) -> None:
    """All of it: one call may write less."""
    while data:
        data = data[file.write(data) :]
