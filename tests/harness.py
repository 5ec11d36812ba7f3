"""A rule on an engine without the optimizer face, problems to run it on, and torch's optimizers in the form of papers.py."""

from collections.abc import Callable, Sequence
from math import sin
from typing import Any

import papers
import torch
from papers import Gradient, Rate, Tensors, at
from torch import Tensor

from steepest.core.rule import Rule, nest
from steepest.engines import ENGINES, Cell, advance, initial, program_key
from steepest.engines.base import paths, piece

Paper = Callable[[Tensors, Gradient, int, Rate], Any]


class Runner:
    """Executes one rule on one engine over some parameters, in place; groups that share no program run side by side."""

    def __init__(self, rule: Rule, parameters: Sequence[Tensor], engine: str = "reference", master: bool = False) -> None:
        self.rule, self.parameters = rule, list(parameters)
        groups: dict[Any, list[int]] = {}
        for place, p in enumerate(self.parameters):
            groups.setdefault(program_key(rule, p, engine), []).append(place)
        self.cells = [self._cell(f"p{i}", p, master) for i, p in enumerate(self.parameters)]
        build = ENGINES[engine]()
        self.parts = [(build(rule, [self.cells[i] for i in places]), places) for places in groups.values()]

    def _cell(self, name: str, p: Tensor, master: bool) -> Cell:
        keys = {path: path for path in paths(self.rule, p)}
        return Cell(name, p, initial(self.rule, p, keys, master), keys)

    def step(self, grads: Sequence[Tensor], lr: float | None = None, **knobs: float) -> None:
        values = self.rule.knobs() | knobs
        if lr is not None:
            values |= {path: lr for path in values if path.rpartition(".")[2] == "lr"}
        row = tuple(values.values())
        advance([engine.step([grads[i] for i in places], [row]) for engine, places in self.parts])

    def views(self) -> Tensors:
        pairs = [(piece(cell.parameter, self.rule), cell) for cell in self.cells]
        return [self.rule.view(p, nest({k: cell.state[k] for k in cell.keys})).reshape(cell.parameter.shape) for p, cell in pairs]

    def states(self) -> dict[str, Tensor]:
        return {f"{cell.name}.{key}": x for cell in self.cells for key, x in cell.state.items()}


def train(rule: Rule, parameters: Tensors, gradient: Gradient, steps: int, lr: Rate, engine: str = "reference") -> Runner:
    runner = Runner(rule, papers.start(parameters), engine)
    for t in range(1, steps + 1):
        runner.step(gradient(runner.parameters, t), at(lr, t))
    return runner


def varying(lr: float) -> Callable[[int], float]:
    """A rate that is new at every step, and at the first the rule's own: some rules put that into their state."""
    return lambda t: lr * (1 + 0.5 * sin(t - 1))


def rate_of(rule: Rule) -> float:
    return next(value for path, value in rule.knobs().items() if path.rpartition(".")[2] == "lr")


def problem(shapes: Sequence[tuple[int, ...]], dtype: torch.dtype = torch.float64, noise: float = 0.3) -> tuple[Tensors, Gradient]:
    """Weights, and a noisy gradient that depends on them, so that errors grow instead of fading."""
    generator = torch.Generator().manual_seed(0)
    parameters, target = ([torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes] for _ in range(2))
    curvature = [torch.rand(s, generator=generator, dtype=torch.float64) * 2 + 0.1 for s in shapes]

    def gradient(p: Tensors, t: int) -> Tensors:
        dice = torch.Generator().manual_seed(t)
        random = [noise * torch.randn(s, generator=dice, dtype=torch.float64) for s in shapes]
        rows = zip(curvature, p, target, random, strict=True)
        return [(a * (x - c) + e * (1 + x * x).sqrt()).to(dtype) for a, x, c, e in rows]

    return [x.to(dtype) for x in parameters], gradient


def distance(a: Sequence[Tensor], b: Sequence[Tensor]) -> float:
    """The largest difference, relative to the largest element of its tensor; nan where either holds one."""
    pairs = [(x.detach().double(), y.detach().double()) for x, y in zip(a, b, strict=True) if x.numel()]
    return float(torch.stack([(x - y).abs().max() / y.abs().max().clamp(min=1e-300) for x, y in pairs]).max())


# torch's optimizers as algorithms of papers.py


def by_torch(make: Callable[..., Any], decay: float = 0.0, view: str = "", sparse: bool = False) -> Paper:
    """A torch optimizer on the parameters themselves. Decoupled decay, where torch has only the other, is done by hand."""

    def run(parameters: Tensors, gradient: Gradient, steps: int, lr: Rate) -> Any:
        p = [torch.nn.Parameter(x) for x in papers.start(parameters)]
        optimizer = make(p, lr=at(lr, 1))
        for t in range(1, steps + 1):
            optimizer.param_groups[0]["lr"] = at(lr, t)
            old = papers.start(p)
            for x, g in zip(p, gradient(old, t), strict=True):
                x.grad = g.to_sparse() if sparse else g.clone()
            optimizer.step(lambda: torch.zeros(()))
            with torch.no_grad():
                for x, before in zip(p, old, strict=True):
                    x -= at(lr, t) * decay * before
        final = papers.start(p)
        return (final, [optimizer.state[x][view] for x in p]) if view else final

    return run


Around = Callable[[Tensor, Tensor, Tensor], Tensor]


def around_torch(make: Callable[..., Any], around: Around) -> Paper:
    """`around(d, g, p)` in place of the direction d of a torch optimizer, which is read off parameters at 0 at a rate of 1."""

    def run(parameters: Tensors, gradient: Gradient, steps: int, lr: Rate) -> Any:
        p = papers.start(parameters)
        d = [torch.nn.Parameter(x) for x in papers.zeros(parameters)]
        optimizer = make(d, lr=1.0)
        for t in range(1, steps + 1):
            grads = gradient(p, t)
            for x, g in zip(d, grads, strict=True):
                x.data.zero_()
                x.grad = g.clone()
            optimizer.step()
            p = [x - at(lr, t) * around(-move.detach(), g, x) for x, move, g in zip(p, d, grads, strict=True)]
        return p

    return run


def after_torch(make: Callable[..., Any], begin: Callable[[Tensors], Any], after: Callable[[Tensors, Any, int], None]) -> Paper:
    """`after(p, memory, t)` has its say after each step of a torch optimizer; `memory` is also the view."""

    def run(parameters: Tensors, gradient: Gradient, steps: int, lr: Rate) -> Any:
        p = [torch.nn.Parameter(x) for x in papers.start(parameters)]
        optimizer, memory = make(p, lr=at(lr, 1)), begin(papers.start(parameters))
        for t in range(1, steps + 1):
            optimizer.param_groups[0]["lr"] = at(lr, t)
            for x, g in zip(p, gradient(papers.start(p), t), strict=True):
                x.grad = g.clone()
            optimizer.step()
            after([x.data for x in p], memory, t)
        return papers.start(p), memory

    return run
