"""The lines of a record, read one at a time."""

import json
import os
from collections.abc import Iterator
from itertools import islice
from math import ceil
from pathlib import Path
from typing import Any, NoReturn

from steepest.records.schema import KINDS, RecordError, shown


def read(path: str | os.PathLike[str], *kinds: str) -> Iterator[dict[str, Any]]:
    """The lines, or those of some kinds. A torn last line, as a killed writer leaves it, is passed over; any other is an error."""
    others = tuple(start(kind) for kind in KINDS if kinds and kind not in kinds)
    for place, line in whole(path):
        if not line.startswith(others):
            found = parse(path, place, line)
            if not kinds or found["kind"] in kinds:
                yield found


def spread(path: str | os.PathLike[str], kind: str, most: int) -> Iterator[dict[str, Any]]:
    """About so many lines of a kind, evenly spread over the record."""
    every = ceil(sum(line.startswith(start(kind)) for _, line in whole(path)) / most)
    lines = (found for found in whole(path) if found[1].startswith(start(kind)))
    for place, line in islice(lines, 0, None, max(every, 1)):
        yield parse(path, place, line)


def start(kind: str) -> bytes:
    """How the writer starts a line of a kind: a line that nobody wants need not be parsed."""
    return f'{{"kind":"{kind}",'.encode()


def whole(path: str | os.PathLike[str]) -> Iterator[tuple[int, bytes]]:
    """Each line that ends, with its number from 1."""
    with Path(path).open("rb") as file:
        for place, line in enumerate(file, 1):
            if line.endswith(b"\n"):
                yield place, line


def parse(path: str | os.PathLike[str], place: int, line: bytes) -> dict[str, Any]:
    try:
        found = decode(line.decode())
    except (ValueError, RecursionError):
        raise RecordError(f"{path}, line {place} is torn: {shown(line)}") from None
    if not isinstance(found, dict) or not isinstance(found.get("kind"), str) or not isinstance(found.get("step"), int):
        raise RecordError(f"{path}, line {place} is no line of a record: {shown(found)}")
    return found


def _not_json(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


decode = json.JSONDecoder(parse_constant=_not_json).decode
