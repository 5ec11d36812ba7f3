"""Where the files of a data set lie: under `$STEEPEST_DATA/<name>/`, else where downloads go; and what has been decoded from them."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from steepest.core.cache import cache_folder
from steepest.data.parts import DataError


@dataclass(frozen=True)
class File:
    """A file as its authors named it, where it can be had, and its checksum ("sha256:..." or "md5:...") where one was published."""

    name: str
    urls: tuple[str, ...] = ()
    checksum: str | None = None


def cache() -> Path:
    """`$STEEPEST_CACHE/data`, else in the user's cache folder."""
    return cache_folder() / "data"


def given() -> Path | None:
    """The folder that somebody keeps data sets in."""
    root = os.environ.get("STEEPEST_DATA")
    return Path(root) if root else None


def find(source: str, names: Sequence[str]) -> Path | None:
    """The first of these files or folders that is there, in the given folder or among the downloads."""
    folders = [root / source for root in (given(), cache()) if root]
    return next((path for name in names for folder in folders for path in spelled(folder, name) if path.exists()), None)


def spelled(folder: Path, name: str) -> list[Path]:
    """As a file may be named: packed by gzip or not, with `.` or `-` before `idx`."""
    plain = name.removesuffix(".gz")
    stems = dict.fromkeys([name] if name.endswith(".tar.gz") else [plain, plain.replace("-idx", ".idx")])
    return [folder / f"{stem}{suffix}" for stem in stems for suffix in ("", ".gz")]


def obtain(source: str, files: Sequence[File]) -> list[Path]:
    """All of these files: those that are not there are downloaded."""
    found = {file: find(source, [file.name]) for file in files}
    missing = [file for file, path in found.items() if path is None]
    if missing:
        from steepest.data.download import fetch  # which needs the network, and only here

        found |= dict(zip(missing, fetch(source, missing), strict=True))
    return [path for path in found.values() if path]


# Part of the name of what is remembered: raised whenever something is decoded in another way.
VERSION = 1


def remembered(source: str, paths: Sequence[Path], decode: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """What is decoded from these files, kept in the cache folder under the hash of their contents. Folders are read anew each time."""
    if any(path.is_dir() for path in paths):
        return decode()
    kept = cache() / "decoded" / f"{source}-{_digest(source, paths)}.safetensors"
    try:
        return load_file(kept)
    except (OSError, SafetensorError):
        made = decode()
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as draft:
            save_file(made, Path(draft) / "made")
            (Path(draft) / "made").replace(kept)
    except (OSError, SafetensorError):
        pass  # where nothing can be kept, it is decoded again
    return made


def _digest(source: str, paths: Sequence[Path]) -> str:
    whole = hashlib.sha256(f"{source} {VERSION}".encode())
    for path in paths:
        try:
            with path.open("rb") as file:
                whole.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as problem:
            raise DataError(f"{path} cannot be read: {problem.strerror or problem}") from None
    return whole.hexdigest()[:20]
