"""TOML to plain tables and back: `tomllib` reads; what it cannot do, write, is small."""

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from math import isnan
from typing import Any

from steepest.core.errors import SettingError

BARE = re.compile(r"[A-Za-z0-9_-]+")
# What TOML promises of every reader.
INTEGERS = range(-(2**63), 2**63)
# Deeper than any recipe; keeps recursion off the stack's end.
DEEPEST = 8


def read(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is a plain ValueError, brackets in brackets a RecursionError
        problem = str(error) if isinstance(error, tomllib.TOMLDecodeError) else "a number is too long, or brackets are too deep"
        raise SettingError(f"this is not TOML: {problem}") from None


def plain(value: Any, where: str = "", depth: int = 0) -> Any:
    """A copy that holds text, numbers, booleans, lists and tables alone; anything else is an error that says where."""
    if depth > DEEPEST:
        raise SettingError(f"{where}: nested deeper than anything here goes")
    if isinstance(value, Mapping):
        return {text(key, where): plain(x, joined(where, key), depth + 1) for key, x in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(x, joined(where, str(i)), depth + 1) for i, x in enumerate(value)]
    if isinstance(value, int) and value not in INTEGERS:
        raise SettingError(f"{where}: a whole number of more than 64 bits")
    if isinstance(value, float) and isnan(value):
        raise SettingError(f"{where} = nan is not a number")
    return value if isinstance(value, (bool, int, float)) else text(value, where)


def text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise SettingError(f"{where}: a recipe holds text, numbers, true, false, lists and tables, not {type(value).__name__}")
    if not value.isascii() and re.search("[\ud800-\udfff]", value):
        raise SettingError(f"{where}: {value!a:.60} is no text that a file can hold")
    return value


def joined(where: str, key: str) -> str:
    return f"{where}.{written_key(key)}" if where else written_key(key)


def shown(value: Any) -> str:
    """A value in a message: on one line, and not long."""
    said = literal(value) if isinstance(value, (str, bool, int, float, list, tuple, Mapping)) else repr(value)
    return said if len(said) <= 60 else said[:57] + "..."


# --- writing ----------------------------------------------------------------------------------------


def write(blocks: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    """Blocks of text, each a head such as `[batch]` (or none) and the lines below it."""
    return "\n\n".join("\n".join([*filter(None, [head]), *lines(table)]) for head, table in blocks) + "\n"


def lines(table: Mapping[str, Any]) -> list[str]:
    return [f"{written_key(key)} = {literal(value)}" for key, value in table.items()]


def literal(value: Any) -> str:
    """A value as TOML writes it on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value).replace("e-0", "e-")
    if isinstance(value, str):
        return "".join(x if x.isprintable() else f"\\U{ord(x):08x}" for x in json.dumps(value, ensure_ascii=False))
    if isinstance(value, Mapping):
        return f"{{ {', '.join(lines(value))} }}" if value else "{}"
    return f"[{', '.join(map(literal, value))}]" if isinstance(value, (list, tuple)) else str(value)


def written_key(key: str) -> str:
    return key if BARE.fullmatch(key) else literal(key)
