"""A trained model in use: measured on a part of its data, or asked about new inputs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from steepest import records
from steepest.core.errors import SettingError, SteepestError, nearest
from steepest.core.rng import generator
from steepest.core.task import Task
from steepest.data.parts import Batch, DataError, Part, columns, is_text
from steepest.data.split import Data, balanced, gather
from steepest.data.vocabulary import Vocabulary
from steepest.regularizers.adversarial import fgsm, slope_of
from steepest.train import taskfile
from steepest.train.confusion import of_classes
from steepest.train.evaluation import evaluate
from steepest.train.inputs import inputs_of
from steepest.train.objective import Objective
from steepest.train.run import fold_of
from steepest.train.trained import Model, load

# Inputs at a time.
ASKED = 1000
INFINITE = float("inf")


class Subject(NamedTuple):
    """A run's model and the part of the data it is measured on; and a warning if the task has changed since."""

    task: Task
    model: Model
    part: Part
    objective: Objective
    warning: str | None
    prepared: Callable[[Batch], Batch]


def subject(
    folder: str | Path, part: str = "valid", task: Task | None = None, *, data: Data | None = None, noise: float = 0.0, attack: float = 0.0
) -> Subject:
    """`noise`: the deviation of noise on each input; `attack`: how far each number is moved against the model (FGSM).

    Both are of pixels in [0, 1] where the task scales bytes, and they stay in there; else of inputs as the data have them.
    """
    if part not in ("train", "valid", "test"):
        raise SettingError(f"unknown part {part!r}{nearest(part, ('train', 'valid', 'test'))}")
    for name, x in (("noise", noise), ("fgsm", attack)):
        if not 0 <= x < INFINITE:
            raise SettingError(f"{name} = {x:g} is outside [0, inf)")
    task, warning = (task, None) if task else taskfile.again(records.run(folder).task)
    model = load(folder, task)
    data = data or fold_of(task, records.run(folder).task) or gather(task.data)
    chosen: Part | None = getattr(data, part)
    if chosen is None:
        raise DataError(f"the task has no {part} data")
    weights = task.class_weights
    weight = balanced(data.train) if isinstance(weights, str) else None if weights is None else torch.tensor([float(x) for x in weights])
    objective = Objective(task, weight)
    if noise or attack:
        return Subject(task, model, chosen, objective, warning, disturbed(model, objective, noise, attack))
    return Subject(task, model, chosen, objective, warning, lambda batch: (model.preprocess(batch[0]), *batch[1:]))


def disturbed(model: Model, objective: Objective, noise: float, attack: float) -> Callable[[Batch], Batch]:
    """Batches preprocessed, with what disturbs them in between, where augmentation has its place too."""
    dice, scaled = generator(0, "noise"), model.preprocess.scaled
    low, high = (0.0, 1.0) if scaled else (-INFINITE, INFINITE)

    def rest(x: Tensor) -> Tensor:
        return model.preprocess(x, scaled)

    def whole(x: Tensor) -> Any:
        return model.network(rest(x))

    def prepared(batch: Batch) -> Batch:
        x = model.preprocess(batch[0], stop=scaled)
        if is_text(batch[0]) or not (isinstance(x, Tensor) and (x.is_floating_point() or x.dtype == torch.uint8)):
            raise DataError("noise and attacks are for numbers, and these inputs are text, or tokens")
        x = x.to(torch.get_default_dtype())
        if noise:
            x = (x + noise * torch.randn(x.shape, generator=dice)).clamp(low, high)
        if attack:
            _, target = columns(batch)
            if target is None or objective.task.batch_loss or objective.task.losses:
                raise DataError("an attack needs targets, and a loss of output and target")
            x = fgsm(x, slope_of(whole, objective.base, target), attack, low, high)
        return (rest(x), *batch[1:])

    return prepared


def measure(
    folder: str | Path, part: str = "valid", task: Task | None = None, *, data: Data | None = None, noise: float = 0.0, attack: float = 0.0
) -> tuple[dict[str, float], str | None]:
    """Loss and metrics of a run's model on a part, and a warning if the task has changed since. `data`: as in train."""
    found = subject(folder, part, task, data=data, noise=noise, attack=attack)
    return figures(found), found.warning


def figures(found: Subject) -> dict[str, float]:
    return evaluate(found.model.network, found.part, found.objective, found.prepared)


def answers(folder: str | Path, said: str | Path, task: Task | None = None) -> tuple[list[list[Any]], Tensor, str | None]:
    """For each input: the likeliest class (or next token) and its probability where the loss is about classes, else the outputs.

    And all outputs as they are, and a warning if the task has changed since.
    """
    task, warning = (task, None) if task else taskfile.again(records.run(folder).task)
    model = load(folder, task)
    inputs = inputs_of(said, model.preprocess)
    try:
        outputs = ask(model, inputs)
    except SteepestError as error:
        raise DataError(f"{said}: {error}") from None
    except Exception as error:  # the model is the user's, and so are the inputs
        looks = "text" if is_text(inputs) else f"shape {tuple(inputs.shape)}, {str(inputs.dtype).removeprefix('torch.')}"
        raise DataError(f"{said}: the model cannot take these inputs ({looks}): {type(error).__name__}: {error}") from error
    if not of_classes(task):
        return [[float(x) for x in row.reshape(-1)] for row in outputs], outputs, warning
    words, last = model.preprocess.vocabulary, outputs
    if isinstance(words, Vocabulary) and outputs.ndim == 3:  # a language model: what comes after the last token
        places = (model.preprocess(inputs) != 0).sum(1).clamp(min=1) - 1
        last = outputs[torch.arange(len(outputs)), :, places]
    if last.ndim != 2:
        return [[float(x) for x in row.reshape(-1)] for row in outputs], outputs, warning
    shares, best = last.softmax(1).max(1)
    name = (lambda k: repr(words.text([k]))) if isinstance(words, Vocabulary) and last is not outputs else int
    return [[name(int(c)), float(p)] for c, p in zip(best, shares, strict=True)], outputs, warning


@torch.no_grad()
def ask(model: Model, inputs: Any) -> Tensor:
    """The outputs for all inputs, some at a time."""
    found = [model(inputs[lo : lo + ASKED]) for lo in range(0, len(inputs), ASKED)]
    if not isinstance(found[0], Tensor):
        raise DataError(f"the model returned {type(found[0]).__name__}, and what can be written is one tensor of outputs")
    return torch.cat([output.cpu() for output in found])
