"""Points of a search in words."""

from typing import Any


def told(point: dict[str, Any], usual: dict[str, Any]) -> str:
    """A point in a line: its rule, and what else is not as usual, by the last word of its name."""
    others = {name: value for name, value in point.items() if name != "optimizer.rule" and (name not in usual or value != usual[name])}
    parts = [
        f"{_name(name)}={value:.3g}" if isinstance(value, float) else f"{_name(name)}={_word(value)}" for name, value in others.items()
    ]
    return " ".join([str(point["optimizer.rule"]), *parts] if "optimizer.rule" in point else parts)


def _name(name: str) -> str:
    """`adamw.lr` is lr, and `schedule.lr.shape` is lr.shape."""
    parts = name.split(".")
    return ".".join(parts[-2:] if len(parts) > 2 or parts[-1] in ("plan", "size") else parts[-1:])


def _word(value: Any) -> str:
    if isinstance(value, dict):
        return value["shape"] if "shape" in value else " ".join(f"{key} {x}" for key, x in value.items())
    return "off" if value is None else str(value)
