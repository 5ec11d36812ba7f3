"""A run as a folder: what was asked, where it took place, what came of it. Nothing is read before it is asked for."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from steepest.records.card import card
from steepest.records.lines import read, spread
from steepest.records.schema import RecordError, strict
from steepest.records.summary import Summary, summarize


class Run:
    """One run. `steps`, `evaluations`, `events` and `health` read the record anew each time, a line at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record = folder / "record.jsonl"

    @property
    def recipe(self) -> str:
        return _text(self.folder / "recipe.toml")

    @property
    def task(self) -> dict[str, Any]:
        return _object(self.folder / "task.json")

    @property
    def environment(self) -> dict[str, Any]:
        return _object(self.folder / "environment.json")

    @property
    def summary(self) -> Summary:
        """Kept by `keep`, or else read from the record."""
        return _kept(self) or _summary(self)

    def steps(self, most: int | None = None) -> Iterator[dict[str, Any]]:
        """All steps; with `most`, about so many of them, evenly spread."""
        return self.lines("step") if most is None or not _has_record(self) else spread(self.record, "step", most)

    def evaluations(self) -> Iterator[dict[str, Any]]:
        return self.lines("evaluation")

    def events(self) -> Iterator[dict[str, Any]]:
        return self.lines("event")

    def health(self) -> Iterator[dict[str, Any]]:
        return self.lines("health")

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return card(self)

    def lines(self, *kinds: str) -> Iterator[dict[str, Any]]:
        return read(self.record, *kinds) if _has_record(self) else iter(())


def run(folder: str | os.PathLike[str]) -> Run:
    """The run in a folder; a RecordError if it holds none."""
    path = Path(folder)
    if not is_run(path):
        what = "holds no record.jsonl and no recipe.toml" if path.is_dir() else "is no folder" if path.exists() else "does not exist"
        raise RecordError(f"there is no run at {folder}: it {what}")
    return Run(path)


def is_run(folder: Path) -> bool:
    return any(os.path.lexists(folder / name) for name in ("record.jsonl", "recipe.toml"))


def keep(folder: str | os.PathLike[str]) -> Summary:
    """Write summary.json, so that the run can be listed without reading its record. It counts until the record changes."""
    found = run(folder)
    summary = _summary(found)
    text = json.dumps(strict(dict(bytes=_size(found.record), **asdict(summary))), indent=2, allow_nan=False)
    draft = found.folder / ".summary.json.tmp"
    draft.write_text(text + "\n")
    draft.replace(found.folder / "summary.json")
    return summary


def _summary(run: Run) -> Summary:
    return summarize(run.record) if _has_record(run) else Summary()


def _kept(run: Run) -> Summary | None:
    try:
        found = json.loads((run.folder / "summary.json").read_text())
        return Summary.of(found) if found["bytes"] == _size(run.record) else None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None  # the record knows


def _has_record(run: Run) -> bool:
    """A pipe or a device in its place would never end."""
    if os.path.lexists(run.record) and not run.record.is_file():
        raise RecordError(f"{run.record} is not a file")
    return run.record.is_file()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _text(path: Path) -> str:
    if not path.is_file():
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise RecordError(f"{path} is not text") from None


def _object(path: Path) -> dict[str, Any]:
    text = _text(path)
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError) as wrong:
        raise RecordError(f"{path} is not JSON: {wrong}") from None
    if not isinstance(found, dict):
        raise RecordError(f"{path} holds no object")
    return found
