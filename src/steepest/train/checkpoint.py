"""Checkpoints: folders that are there whole or not at all, and that are checked before they are believed.

A checkpoint is written into a hidden folder beside its place, flushed to the disk, and renamed. Nothing is unpickled.
One writer at a time: `save` and `sweep` remove hidden folders as left behind.
"""

import errno
import hashlib
import json
import os
import platform
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import steepest
from steepest.core.errors import SettingError
from steepest.train.tensors import CheckpointError, read, verify, write

FORMAT = 1
STATE, MANIFEST = "state.safetensors", "manifest.json"
# A hidden folder is not yet there or no longer (tmp), or about to be replaced (old).
NAME = re.compile(r"(?P<hidden>\.)?(?P<name>step-(?P<step>\d{9,}))(?(hidden)\.(?P<state>tmp|old))")


@dataclass(frozen=True)
class Checkpoint:
    """`skipped` says which newer ones `latest` passed over, and why; `versions` what wrote it."""

    path: Path
    step: int
    tensors: dict[str, Tensor]
    facts: dict[str, Any]
    versions: dict[str, str]
    skipped: tuple[str, ...] = ()


def save(folder: str | Path, step: int, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Path:
    """Write a checkpoint. If anything goes wrong, those that were there still are, and nothing else is.

    Facts are plain JSON; NaN and infinity are allowed and come back as they were.
    """
    folder = Path(folder)
    _plain(facts, "facts")
    place = folder / f"step-{step:09d}"
    draft = _hidden(place, "tmp")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        draft.mkdir()
        state = write(draft / STATE, tensors)
        known = dict(format=FORMAT, step=step, versions=_versions(), files={STATE: state}, facts=dict(facts))
        with (draft / MANIFEST).open("w", encoding="ascii") as file:
            file.write(json.dumps(dict(sha256=_digest(known)) | known, indent=1) + "\n")
            file.flush()
            os.fsync(file.fileno())
        _flush(draft)
        if place.exists():
            place.rename(_hidden(place, "old"))
        draft.rename(place)
        _flush(folder)
        sweep(folder)
    except BaseException as wrong:
        if folder.is_dir():
            sweep(folder)
        if isinstance(wrong, OSError):
            raise CheckpointError(f"no checkpoint of step {step}: {_reason(folder, wrong)}; those before it are untouched") from wrong
        raise
    return place


def load(path: str | Path) -> Checkpoint:
    """Read a checkpoint that was checked against its hashes."""
    path = Path(path)
    with _blame(path):
        known = _manifest(path)
        return Checkpoint(path, known["step"], read(path / STATE, known["files"][STATE]), known["facts"], known["versions"])


def latest(folder: str | Path) -> Checkpoint:
    """The newest that is whole. What was passed over, and why, stands in `skipped`: say so to the user."""
    skipped: list[str] = []
    for place in _newest_first(Path(folder)):
        try:
            return replace(load(place), skipped=tuple(skipped))
        except CheckpointError as wrong:
            skipped.append(str(wrong))
    raise CheckpointError(f"no checkpoint in {folder} can be used: {'; '.join(skipped) or 'there is none'}")


def prune(folder: str | Path, keep: int = 2, spare: Collection[int] = ()) -> list[Path]:
    """Remove what is older than the newest `keep` whole ones, but for the steps to spare. Whether one is whole is read, not assumed."""
    if keep < 1:
        raise SettingError(f"keep = {keep} is below 1: the newest checkpoint always stays")
    whole, removed = 0, []
    for place in _newest_first(Path(folder)):
        if whole < keep:
            whole += _is_whole(place)
        elif _step(place) not in spare:
            gone = _hidden(place, "tmp")  # never seen half removed
            place.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)
            removed.append(place)
    return removed


def sweep(folder: str | Path) -> None:
    """Remove what a killed writer left behind; finish or undo a replacement that it had begun."""
    for path in Path(folder).glob(".step-*"):
        found = NAME.fullmatch(path.name)
        if found and found["state"] == "old" and not path.with_name(found["name"]).exists():
            path.rename(path.with_name(found["name"]))
        elif found:
            shutil.rmtree(path, ignore_errors=True)


def _newest_first(folder: Path) -> list[Path]:
    """One being replaced counts when its writer was killed before the new one stood in its place."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    found = [match for match in map(NAME.fullmatch, names) if match and match["state"] != "tmp"]
    return [folder / match[0] for match in sorted(found, key=lambda match: (-int(match["step"]), match["hidden"] or ""))]


def _step(place: Path) -> int:
    found = NAME.fullmatch(place.name)
    return int(found["step"]) if found else -1


def _hidden(place: Path, state: str) -> Path:
    return place.with_name(f".{place.name.removeprefix('.').removesuffix('.old')}.{state}")


def _is_whole(place: Path) -> bool:
    try:
        with _blame(place):
            verify(place / STATE, _manifest(place)["files"][STATE])
    except CheckpointError:
        return False
    return True


def _manifest(path: Path) -> dict[str, Any]:
    try:
        known = json.loads((path / MANIFEST).read_text(encoding="ascii"))
    except (ValueError, RecursionError):
        raise CheckpointError(f"{MANIFEST} is torn") from None
    if not isinstance(known, dict):
        raise CheckpointError(f"{MANIFEST} is torn")
    if known.get("format") != FORMAT:
        raise CheckpointError(f"it is of format {known.get('format')!r}; this steepest reads {FORMAT}")
    if known.pop("sha256", None) != _digest(known):
        raise CheckpointError(f"{MANIFEST} is not what was written: its hash differs")
    if _step(path) not in (-1, known["step"]):
        raise CheckpointError(f"it is of step {known['step']}, whatever its name")
    return known


@contextmanager
def _blame(path: Path) -> Iterator[None]:
    """Errors that name the checkpoint."""
    try:
        yield
    except CheckpointError as wrong:
        raise CheckpointError(f"{path.name}: {wrong}") from None
    except FileNotFoundError as wrong:
        raise CheckpointError(f"{path.name}: {Path(wrong.filename).name} is missing") from None
    except OSError as wrong:
        raise CheckpointError(f"{path.name}: {wrong.strerror}") from None
    except (LookupError, TypeError, AttributeError, RuntimeError) as wrong:
        raise CheckpointError(f"{path.name}: {MANIFEST} does not describe {STATE}: {wrong}") from wrong


def _digest(known: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(known, separators=(",", ":")).encode()).hexdigest()


def _versions() -> dict[str, str]:
    return dict(steepest=steepest.__version__, torch=str(torch.__version__), python=platform.python_version())


def _flush(folder: Path) -> None:
    """A rename, or a new file, is on the disk when its folder is."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _reason(folder: Path, wrong: OSError) -> str:
    if wrong.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"no space is left for {folder} ({wrong.strerror}); free some and resume"
    if wrong.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{folder} may not be written to ({wrong.strerror})"
    return f"{folder}: {wrong.strerror}"


def _plain(value: Any, where: str) -> None:
    """JSON would turn a key that is a number into text, and say nothing."""
    if isinstance(value, Mapping):
        for key, x in value.items():
            if not isinstance(key, str):
                raise CheckpointError(f"{where} has the key {key!r}; keys are text")
            _plain(x, f"{where}.{key}")
    elif isinstance(value, (list, tuple)):
        for place, x in enumerate(value):
            _plain(x, f"{where}[{place}]")
    elif not (value is None or isinstance(value, (str, int, float))):
        raise CheckpointError(f"{where} is a {type(value).__name__}; facts are numbers, text, lists and dicts, tensors go with the tensors")
