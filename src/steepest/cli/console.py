"""Output for people and for pipes: colors and boxes on a terminal, plain lines elsewhere."""

import json
import sys
from typing import Any

from rich.console import Console, RenderableType

# A pipe has no width: nothing is wrapped.
ENDLESS = 10_000
# Lines longer than this are hard to read, however wide the terminal.
READABLE = 100


def console() -> Console:
    out = Console(highlight=False, soft_wrap=False)
    if out.is_terminal:
        out.width = min(out.width, READABLE)
    else:
        out.width = ENDLESS
    return out


def show(out: Console, *parts: RenderableType) -> None:
    """Print; without a terminal, without the blanks that pad lines to a width."""
    if out.is_terminal:
        out.print(*parts, sep="\n")
        return
    with out.capture() as captured:
        out.print(*parts, sep="\n")
    sys.stdout.write("\n".join(line.rstrip() for line in captured.get().split("\n")))


def show_json(value: Any) -> None:
    """One JSON document. Infinity, which JSON lacks, is the string "inf"."""
    print(json.dumps(_finite(value), indent=2, ensure_ascii=False, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(x) for key, x in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(x) for x in value]
    return str(value) if isinstance(value, float) and value in (float("inf"), float("-inf")) else value
