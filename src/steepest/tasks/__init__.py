"""Built-in tasks: a model, data, a loss and metrics by name; beside each its recipes."""

from collections.abc import Callable
from importlib.resources import files

from steepest.core.errors import SettingError, nearest
from steepest.core.task import Task
from steepest.data import digits, mnist
from steepest.models import lenet5, mlp


def digits_mlp() -> Task:
    """Digits of 8 x 8, which every installation has: seconds."""
    return Task(model=mlp, data=digits(), metrics=["accuracy"], name="digits-mlp")


def lenet5_mnist() -> Task:
    """LeNet-5 on the 60,000 digits it was made for (LeCun et al., 1998: 0.95 % errors, 0.8 % with distorted digits)."""
    return Task(model=lenet5, data=mnist(), metrics=["error", "accuracy"], preprocess=["scale", "standardize"], name="lenet5-mnist")


TASKS: dict[str, Callable[[], Task]] = {"digits-mlp": digits_mlp, "lenet5-mnist": lenet5_mnist}


def task(name: str) -> Task:
    if name not in TASKS:
        raise SettingError(f"unknown task {name!r}{nearest(name, TASKS)}")
    return TASKS[name]()


def recipe_text(name: str, kind: str = "tuned") -> str | None:
    """The text of a built-in task's recipe; None if there is no such kind."""
    path = files("steepest.tasks") / "recipes" / f"{name}.{kind}.toml"
    return path.read_text(encoding="utf-8") if path.is_file() else None
