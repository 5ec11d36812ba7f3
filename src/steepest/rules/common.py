"""Knobs that many rules share, declared once: their ranges and meaning."""

from math import inf
from typing import Any

from steepest.core.knob import knob


def rate(default: float, search: tuple[float, float] = (1e-5, 1e-1)) -> Any:
    return knob(default, "learning rate: how far one step goes", valid=(0, inf), search=search, log=True)


def decay(default: float, search: tuple[float, float] = (1e-4, 1.0)) -> Any:
    return knob(default, "decoupled weight decay: each step also takes lr * weight_decay * p", valid=(0, inf), search=search, log=True)


def beta(default: float, meaning: str, search: tuple[float, float] | None = None) -> Any:
    low, high = search or ((0.8, 0.99) if default < 0.99 else (0.9, 0.9999))
    return knob(default, meaning, valid=(0, 1), search=(low, high), log=True)  # of what is missing to 1


def epsilon(default: float, meaning: str = "keeps the denominator from zero", search: tuple[float, float] = (1e-10, 1e-4)) -> Any:
    return knob(default, meaning, valid=(0, inf), search=search, log=True)
