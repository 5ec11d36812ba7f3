"""Archives read as streams: nothing is unpacked to disk, so that no member's name can lead anywhere."""

import bz2
import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from steepest.data.parts import DataError

TORN = (OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, RuntimeError, NotImplementedError)


def members(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each wanted file in a folder, a tar (packed or not) or a zip, in the order in which they lie there."""
    try:
        if path.is_dir():
            yield from _of_folder(path, wanted)
        elif zipfile.is_zipfile(path):
            yield from _of_zip(path, wanted)
        else:
            yield from _of_tar(path, wanted)
    except TORN as problem:
        raise DataError(f"{path} cannot be read: {problem or type(problem).__name__}; it is damaged, delete it and get it again") from None


def unpacked(path: Path) -> bytes:
    """The bytes of a file, packed by gzip or not."""
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except TORN as problem:
        raise DataError(f"{path} cannot be read: {problem}") from None


def text(raw: bytes, name: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise DataError(f"{name} is not UTF-8: byte {problem.start} is {raw[problem.start]:#04x}; convert it to UTF-8") from None


def _of_folder(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    for file in sorted(path.rglob("*")):
        name = f"{path.name}/{file.relative_to(path).as_posix()}"
        if wanted(name) and file.is_file():
            yield name, file.read_bytes()


def _of_zip(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if wanted(info.filename) and not info.is_dir():
                yield info.filename, archive.read(info)


def _of_tar(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    # Read from front to back, since going back in a packed tar means unpacking it again.
    with _opened(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        for info in archive:
            file = archive.extractfile(info) if wanted(info.name) and info.isfile() else None
            if file is not None:
                yield info.name, file.read()
        # A tar ends before what packs it does, and the checksum comes last.
        while stream.read(1 << 20):
            pass


# How packed files begin.
OPENERS: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"\xfd7zXZ": lzma.open, b"BZh": bz2.open}


def _opened(path: Path) -> Any:
    with path.open("rb") as file:
        start = file.read(6)
    return next((opener for magic, opener in OPENERS.items() if start.startswith(magic)), Path.open)(path, "rb")
