"""Built-in tasks: a model, data, a loss and metrics by name; beside each its recipes."""

from collections.abc import Callable
from importlib.resources import files

from steepest.core.errors import SettingError, nearest
from steepest.core.task import Task
from steepest.tasks.generating import GENERATING
from steepest.tasks.images import IMAGES
from steepest.tasks.playing import PLAYING
from steepest.tasks.sounds import SOUNDS
from steepest.tasks.tables import TABLES
from steepest.tasks.texts import TEXTS

TASKS: dict[str, Callable[[], Task]] = {**IMAGES, **TEXTS, **SOUNDS, **TABLES, **GENERATING, **PLAYING}


def task(name: str) -> Task:
    if name not in TASKS:
        raise SettingError(f"unknown task {name!r}{nearest(name, TASKS)}")
    return TASKS[name]()


def recipe_text(name: str, kind: str = "tuned") -> str | None:
    """The text of a built-in task's recipe; None if there is no such kind."""
    path = files("steepest.tasks") / "recipes" / f"{name}.{kind}.toml"
    return path.read_text(encoding="utf-8") if path.is_file() else None


def recipe_kinds(name: str) -> list[str]:
    """Which recipes a built-in task has: plain, before article and others, before tuned."""
    found = [x.name.split(".")[1] for x in (files("steepest.tasks") / "recipes").iterdir() if x.name.startswith(f"{name}.")]
    return sorted(found, key=lambda kind: (kind == "tuned", kind != "plain", kind))
