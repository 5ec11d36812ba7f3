"""How good the model is on a part: in batches that fit, with the weights to use, and no random number drawn."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from steepest.core.errors import SteepestError
from steepest.core.objectives import METRICS
from steepest.core.task import Task
from steepest.data.parts import Batch, DataError, Loader, Part, columns, is_text
from steepest.train.memory import out_of_memory
from steepest.train.objective import Objective

# Samples at a time, unless memory says less.
EVALUATED = 1000
# Batches of training data that fill the running statistics of a view's BatchNorm.
REFILL = 50


@torch.no_grad()
def evaluate(
    model: nn.Module, part: Part, objective: Objective, prepared: Callable[[Batch], Batch], size: int = EVALUATED
) -> dict[str, float]:
    """The loss and the metrics of the task. A batch that does not fit into memory is halved, and so are those after it."""
    training = model.training
    model.eval()
    try:
        while True:
            try:
                return _evaluate(model, part, objective, prepared, size)
            except torch.OutOfMemoryError:
                if size == 1:
                    raise
                size = max(1, size // 2)
    finally:
        model.train(training)


def _evaluate(model: nn.Module, part: Part, objective: Objective, prepared: Callable[[Batch], Batch], size: int) -> dict[str, float]:
    task = objective.task
    sums: dict[str, list[Any]] = {}
    whole: list[tuple[Tensor, Tensor]] = []
    for batch in batches(part, size):
        batch = prepared(batch)
        if task.losses or task.batch_loss:
            add(sums, "loss", task.batch_loss(model, batch) if task.batch_loss else _players(model, batch, task), len(batch[0]))
            continue
        inputs, target = columns(batch)
        output = answer(model, inputs)
        count = objective.count(batch)
        add(sums, "loss", objective.plain(model, batch, output), count)
        for metric in task.metrics:
            if isinstance(metric, str):
                total, count = METRICS[metric].sums(output, target)
                add(sums, metric, total / max(count, 1), count)
        if any(callable(metric) for metric in task.metrics):
            whole.append((output.cpu(), target.cpu()))
    values = {name: float(sum(totals) / max(sum(counts), 1e-300)) for name, (totals, counts) in sums.items()}
    if whole:
        output, target = torch.cat([x for x, _ in whole]), torch.cat([y for _, y in whole])
        values |= {name_of(metric): float(metric(output, target)) for metric in task.metrics if callable(metric)}
    return values


def answer(model: nn.Module, inputs: Sequence[Any], whose: str = "these") -> Any:
    """What the model says to inputs; those that it cannot take are one clear line."""
    try:
        return model(*inputs)
    except (SteepestError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # the model is the user's, and so are the inputs
        if out_of_memory(error):
            raise
        what = " and ".join("text" if is_text(x) else f"shape {tuple(x.shape)}, {str(x.dtype).removeprefix('torch.')}" for x in inputs)
        said = " ".join(str(error).split())
        raise DataError(f"the model cannot take {whose} inputs ({what}): {type(error).__name__}: {said}") from error


def _players(model: nn.Module, batch: Batch, task: Task) -> Tensor:
    return torch.stack([loss(model, batch).detach().double() for _, loss in task.losses.values()]).sum()


def add(sums: dict[str, list[Any]], name: str, mean: Any, count: float) -> None:
    totals, counts = sums.setdefault(name, [[], []])
    totals.append(float(mean) * count)
    counts.append(count)


def batches(part: Part, size: int) -> Iterator[Batch]:
    if isinstance(part, Loader):
        yield from part
    else:
        for lo in range(0, len(part), size):
            yield part.take(torch.arange(lo, min(lo + size, len(part)), device=device_of_part(part)))


def device_of_part(part: Any) -> torch.device:
    first = getattr(part, "columns", (None,))[0]
    return first.device if isinstance(first, Tensor) else torch.device("cpu")


def name_of(metric: Any) -> str:
    return metric if isinstance(metric, str) else getattr(metric, "__name__", type(metric).__name__)


def watched(task: Task, metric: str) -> tuple[str, bool]:
    """The metric that decides which weights are best, and whether more of it is better."""
    if metric == "auto":
        metric = name_of(task.metrics[0]) if task.metrics else "loss"
    known = {name_of(x): x for x in task.metrics}
    chosen = known.get(metric)
    if isinstance(chosen, str):
        return metric, METRICS[chosen].more
    return metric, metric != "loss" and getattr(chosen, "higher_is_better", True)


@contextmanager
def view(model: nn.Module, optimizers: Sequence[Any], refill: Callable[[], Iterator[Batch]]) -> Iterator[None]:
    """Within: the model holds the weights to use. Where they are not those in training, BatchNorm learns its statistics anew."""
    optimizers = [optimizer for optimizer in optimizers if hasattr(optimizer, "viewing")]  # L-BFGS trains what it evaluates
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    other = norms and any(map(moved, optimizers))
    with ExitStack() as stack:
        for optimizer in optimizers:
            stack.enter_context(optimizer.viewing())
        if other:
            stack.enter_context(_refilled(model, norms, refill))
        yield


def moved(optimizer: Any) -> bool:
    """Whether the weights to use are others than those in training."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    return any(x.data_ptr() != p.data_ptr() for x, p in zip(optimizer.view(), parameters, strict=True))


@contextmanager
def _refilled(model: nn.Module, norms: list[Any], refill: Callable[[], Iterator[Batch]]) -> Iterator[None]:
    kept = [({k: b.clone() for k, b in m.named_buffers(recurse=False)}, m.momentum) for m in norms]
    training = model.training
    model.eval()
    for m in norms:
        m.reset_running_stats()
        m.momentum = None  # a plain average over the batches
        m.train()
    with torch.no_grad():
        for batch in refill():
            model(*columns(batch)[0])
    model.train(training)
    for m, (_, momentum) in zip(norms, kept, strict=True):
        m.momentum = momentum
    try:
        yield
    finally:
        with torch.no_grad():
            for m, (buffers, _) in zip(norms, kept, strict=True):
                for name, b in m.named_buffers(recurse=False):
                    b.copy_(buffers[name])
