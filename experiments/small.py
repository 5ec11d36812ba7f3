"""Tasks of five families, made small: a training takes seconds. What is known of recipes and of searches is measured on these.

Test data are not among them: nothing here looks at any.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch

import steepest as sp
from steepest.core.errors import SteepestError
from steepest.data import Vocabulary, cifar10, imdb, teacher_student, tinyshakespeare, two_moons
from steepest.data.parts import Arrays
from steepest.data.preprocess import fit
from steepest.data.split import Data, carve, gather
from steepest.models import gpt, mlp, recurrent, recurrent_language, speech_cnn, textcnn, transformer
from steepest.tasks import task
from steepest.tasks.images import knobs


@dataclass(frozen=True)
class Small:
    """A task with `rows` of its training and `valid` of its validation data (all, if None), trained for `epochs`."""

    family: str
    epochs: int
    made: Callable[[], sp.Task]
    rows: int | None = None
    valid: int = 2000

    def task(self) -> sp.Task:
        """Its data prepared and in memory, so that a training is training alone."""
        return _prepared(self)


def from_builtin(name: str, **changes: Any) -> Callable[[], sp.Task]:
    return lambda: task(name).replace(**changes)


def reviews(name: str, model: Callable[..., Any], length: int) -> Callable[[], sp.Task]:
    """The first words of reviews, 5,000 different ones."""
    words = Vocabulary(size=5000, length=length)
    return lambda: sp.Task(model=model, data=imdb(), metrics=["accuracy"], preprocess=[words], name=name)


def letters(name: str, model: Callable[..., Any]) -> Callable[[], sp.Task]:
    return from_builtin(name, model=model, data=tinyshakespeare(64))


def teacher() -> sp.Task:
    return sp.Task(
        model=knobs(mlp, inputs=20, outputs=1), data=teacher_student(5000, inputs=20, width=30, noise=0.1), loss="mse", name="teacher"
    )


def moons() -> sp.Task:
    return sp.Task(model=knobs(mlp, inputs=2, outputs=2), data=two_moons(4000, noise=0.2), name="moons")


TASKS = {
    "digits-mlp": Small("images", 20, from_builtin("digits-mlp")),
    "lenet5-mnist": Small("images", 5, from_builtin("lenet5-mnist"), 8000),
    "cnn-cifar10": Small("images", 5, from_builtin("cnn-cifar10", data=cifar10("part")), 4000),
    "spoken-digits": Small("sounds", 15, from_builtin("spoken-digits", model=knobs(speech_cnn, width=8)), 600, 300),
    "textcnn-imdb": Small("texts", 5, reviews("textcnn-imdb", knobs(textcnn, vocabulary=5000, embedding=32, width=32), 100), 5000),
    "lstm-imdb": Small("texts", 4, reviews("lstm-imdb", knobs(recurrent, vocabulary=5000, embedding=32, width=32), 60), 4000),
    "transformer-imdb": Small(
        "texts", 4, reviews("transformer-imdb", knobs(transformer, vocabulary=5000, length=60, width=32, depth=1), 60), 4000
    ),
    "char-lm": Small("characters", 6, letters("char-lm", knobs(recurrent_language, width=64, embedding=32)), 4000, 800),
    "gpt-char": Small("characters", 3, letters("gpt-char", knobs(gpt, width=32, depth=2, length=64)), 4000, 500),
    "adult-mlp": Small("tables", 5, from_builtin("adult-mlp"), 8000),
    "housing-mlp": Small("tables", 15, from_builtin("housing-mlp"), 8000),
    "teacher": Small("tables", 15, teacher),
    "moons": Small("tables", 10, moons),
}
# The same with few data, seen many times: there hot rates and no regularization do harm, which a short training does not show.
FEW = {
    f"{name}-few": replace(TASKS[name], rows=rows, epochs=epochs)
    for name, rows, epochs in [
        ("digits-mlp", 300, 80), ("lenet5-mnist", 1000, 25), ("cnn-cifar10", 1000, 20), ("spoken-digits", 200, 50), ("char-lm", 400, 40),
        ("teacher", 300, 100), ("moons", 200, 100),
    ]
}  # fmt: skip


@cache
def _prepared(small: Small) -> sp.Task:
    whole = small.made()
    data = gather(whole.data)
    if data.valid is None:
        raise SteepestError(f"{whole.name} has no validation data")
    train, valid = _some(data.train, small.rows), _some(data.valid, small.valid)
    preprocess = fit(whole.preprocess, train)
    parts = []
    for part in (train, valid):
        inputs, *others = part.take(torch.arange(len(part)))
        parts.append(Arrays((preprocess(inputs), *others)))
    return whole.replace(data=Data(*parts), preprocess=[])


def _some(part: Any, rows: int | None) -> Any:
    return part if rows is None or rows >= len(part) else part.subset(carve(len(part), part.target, rows / len(part))[0][:rows])
