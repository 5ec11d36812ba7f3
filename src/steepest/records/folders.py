"""Names of folders."""

import re
from pathlib import Path


def plain(name: str, otherwise: str = "run") -> str:
    """A name is no path, whatever is in it."""
    return re.sub(r"[^\w.-]+", "-", name).strip(".-") or otherwise


def free(parent: Path, name: str) -> Path:
    """The first free numbered folder."""
    name, number = plain(name), 1
    while (parent / f"{name}-{number}").exists():
        number += 1
    return parent / f"{name}-{number}"
