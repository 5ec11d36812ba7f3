"""Built-in tasks on tables."""

from collections.abc import Callable

from torch import Tensor

from steepest.core.task import Task
from steepest.data import adult, california_housing
from steepest.data.tables import PEOPLE
from steepest.models import mlp
from steepest.tasks.images import knobs

# A column for each that holds numbers, and for each word of the others.
ADULT = sum(len(words) or 1 for words in PEOPLE.words)


def balanced(output: Tensor, target: Tensor) -> float:
    """The mean over classes of the share of each that is right: half for whoever always says the same of two."""
    right = output.argmax(1) == target
    return sum(float(right[target == k].double().mean()) for k in target.unique()) / len(target.unique())


def adult_mlp() -> Task:
    """Who earned more than 50,000 dollars in 1994, one in four: classes weighed in inverse proportion to their share."""
    model = knobs(mlp, inputs=ADULT, outputs=2)
    metrics = [balanced, "accuracy"]
    return Task(model=model, data=adult(), metrics=metrics, preprocess=[PEOPLE, "standardize"], class_weights="balanced", name="adult-mlp")


def housing_mlp() -> Task:
    """What a house costs, by where it stands: regression. The error is in 100,000 dollars."""
    model = knobs(mlp, inputs=8, outputs=1)
    return Task(model=model, data=california_housing(), loss="mse", metrics=["mae"], preprocess=["standardize"], name="housing-mlp")


TABLES: dict[str, Callable[[], Task]] = {"housing-mlp": housing_mlp, "adult-mlp": adult_mlp}
