"""A record is written line by line, and cut where a run resumes."""

import json
import os
from math import isfinite
from pathlib import Path
from typing import Any

from steepest.records.lines import parse, whole
from steepest.records.schema import KINDS, RecordError, shown, strict

# ASCII, so that a character is a byte: `position` costs no encoding.
encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
# So much is kept back until it is worth a system call.
FULL = 1 << 16
# Steps become text so many at a time: between other work each costs four times as much.
TOGETHER = 100


class Record:
    """Appends lines to a file. They wait in memory until `flush`, or until there are many.

    >>> with Record("record.jsonl") as record:
    ...     record.write("step", 0, loss=0.7)
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        # Unbuffered, with a buffer of our own: Python's would be written twice where a process forks, and cannot be
        # counted on after a disk was full.
        self._file = self.path.open("ab", buffering=0)
        self._steps: list[tuple[int, float, float, float]] = []
        self._lines: list[str] = []
        self._waiting = 0
        end = _end(self.path)
        if end < self._file.tell():
            os.truncate(self.path, end)  # a line that was torn when its writer was killed
        self._written = end

    @property
    def position(self) -> int:
        """Bytes written so far, those that wait included: where `cut` cuts to come back to this moment."""
        self._encode()
        return self._written + self._waiting

    def write(self, kind: str, step: int, **fields: Any) -> None:
        if kind not in KINDS:
            raise RecordError(f"kind = {shown(kind)} is none of {', '.join(KINDS)}")
        self._encode()
        self._add(_text({"kind": kind, "step": step, **fields}))

    def step(self, step: int, loss: float, lr: float, seconds: float) -> None:
        """`write("step", step, loss=loss, lr=lr, time={"seconds": seconds})` for a loop, which says little else."""
        self._steps.append((step, loss, lr, seconds))
        if len(self._steps) == TOGETHER:
            self._encode()

    def _encode(self) -> None:
        if self._steps:
            said, self._steps = self._steps, []
            self._add("\n".join([_step(*one) for one in said]))

    def _add(self, text: str) -> None:
        if self._file.closed:
            raise RecordError(f"{self.path} is closed")
        self._lines.append(text + "\n")
        self._waiting += len(text) + 1
        if self._waiting > FULL:
            self.flush()

    def flush(self, *, sync: bool = False) -> None:
        """Hand over what waits; with `sync`, wait until the disk has it."""
        self._encode()
        data = "".join(self._lines).encode("ascii")
        try:
            while data:
                done = self._file.write(data)
                data = data[done:]
                self._written += done
            if sync:
                os.fsync(self._file.fileno())
        except OSError as wrong:
            raise RecordError(f"cannot write {self.path}: {wrong.strerror}; nothing is lost yet, flush again") from wrong
        finally:
            self._lines = [data.decode("ascii")] if data else []
            self._waiting = len(data)

    def close(self) -> None:
        if not self._file.closed:
            try:
                self.flush()
            finally:
                self._file.close()

    def __enter__(self) -> "Record":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _step(step: int, loss: float, lr: float, seconds: float) -> str:
    """What `_text` says of it, in 40 % of the time."""
    if isfinite(loss) and isfinite(lr):
        return f'{{"kind":"step","step":{step},"loss":{float(loss)!r},"lr":{float(lr)!r},"time":{{"seconds":{seconds!r}}}}}'
    return _text({"kind": "step", "step": step, "loss": loss, "lr": lr, "time": {"seconds": seconds}})


def _text(line: dict[str, Any]) -> str:
    try:
        return encode(line)
    except ValueError:
        return encode(strict(line))
    except TypeError as wrong:
        raise RecordError(f"{line['kind']}: a line takes numbers, text, lists and dicts alone: {wrong}") from None


def cut(path: str | os.PathLike[str], position: int) -> None:
    """Drop all lines past a position that `Record.position` once gave."""
    with Path(path).open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        if position > size:
            raise RecordError(f"{path} has {size} bytes and cannot be cut at {position}: lines that were there are lost")
        file.seek(max(position - 1, 0))
        if position < 0 or (position > 0 and file.read(1) != b"\n"):
            raise RecordError(f"{path} cannot be cut at {position}: no line ends there")
        file.truncate(position)
        os.fsync(file.fileno())


def position_before(path: str | os.PathLike[str], step: int) -> int:
    """Where the line of that step begins, or of the first after it; where the lines end if there is none."""
    position = 0
    for place, line in whole(path):
        found = parse(path, place, line)
        if found["kind"] == "step" and found["step"] >= step:
            break
        position += len(line)
    return position


def _end(path: Path) -> int:
    """Where the last whole line ends."""
    with path.open("rb") as file:
        position = file.seek(0, os.SEEK_END)
        while position > 0:
            start = max(0, position - FULL)
            file.seek(start)
            found = file.read(position - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            position = start
    return 0
