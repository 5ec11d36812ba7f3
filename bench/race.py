"""All sides of a contest in one process, one timed step each in turn; and the memory a step takes."""

import gc
import multiprocessing
import os
import random
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from typing import Any

import torch
from contests import OURS, SIZES, YARDSTICK, Make, elementwise, shapes, sides
from torch import Tensor, nn

from steepest.optim.table import ROWS

AXPY, SHARE = "axpy", "axpy bytes"
# RAdam takes a shorter way in its first five steps, and SOAP's first is none.
WARMUP, SECONDS, FEWEST, MOST = 6, 2.0, 7, 301
# At these sizes all sides together do not fit into the cache, but each does.
CACHED = ("lenet", "many")


@dataclass(frozen=True)
class Options:
    """`n` rounds, or 0 for as many as fit. `static`: the gradient objects stay. `warm`: an untimed step before a timed one."""

    n: int = 0
    static: bool = False
    warm: bool = False


class Isolated:
    """An optimizer on fixed gradients. Each step finds new gradient objects, as after zero_grad(set_to_none=True)."""

    def __init__(self, make: Make, values: list[Tensor], grads: list[Tensor], static: bool) -> None:
        self.parameters = [x.clone().requires_grad_() for x in values]
        self.grads = [g.clone() for g in grads]  # its own: some libraries write into gradients
        self.static = static
        self.optimizer = make(self.parameters)
        self.step = self.optimizer.step

    def prepare(self) -> None:
        if not (self.static and self.parameters[0].grad is not None):
            for p, g in zip(self.parameters, self.grads, strict=True):
                p.grad = g.detach()


class InLoop:
    """An optimizer on LeNet-5 in training; the step alone is timed."""

    def __init__(self, make: Make, static: bool) -> None:
        features = [nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2)]
        classifier = [nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10)]
        self.model = nn.Sequential(*features, nn.Flatten(), *classifier)
        self.images, self.labels = torch.randn(64, 1, 28, 28), torch.randint(10, (64,))
        self.static = static
        self.optimizer = make(list(self.model.parameters()))
        self.step = self.optimizer.step

    def prepare(self) -> None:
        self.optimizer.zero_grad(set_to_none=not self.static)
        nn.functional.cross_entropy(self.model(self.images), self.labels).backward()


class Axpy:
    """x += a y on as many elements: what the memory gives."""

    def __init__(self, elements: int) -> None:
        self.x, self.y = torch.randn(elements), torch.randn(elements)

    def prepare(self) -> None:
        pass

    def step(self) -> None:
        self.x.add_(self.y, alpha=1e-6)


Lane = Isolated | InLoop | Axpy


def lanes(rule: str, size: str, static: bool) -> dict[str, Lane]:
    torch.manual_seed(0)
    makers = sides(rule)
    if elementwise(rule) and rule != "AdamW" and size in ("lenet", "many", "loop"):
        makers[YARDSTICK] = partial(torch.optim.AdamW, fused=True)
    if size == "loop":
        return {name: InLoop(make, static) for name, make in makers.items()}
    values = [0.1 * torch.randn(s) for s in shapes(rule, size)]
    grads = [sparse(x) if size == "embedding" else torch.randn_like(x) for x in values]
    return {name: Isolated(make, values, grads, static) for name, make in makers.items()} | {AXPY: Axpy(sum(x.numel() for x in values))}


def sparse(x: Tensor, touched: int = 1000) -> Tensor:
    rows = torch.randperm(len(x))[:touched]
    return torch.sparse_coo_tensor(rows[None], torch.randn(touched, x.shape[1]), x.shape, check_invariants=True)


def turn(lane: Lane, steps: int = 1) -> float:
    """Seconds per step, of the steps alone."""
    seconds = 0.0
    for _ in range(steps):
        lane.prepare()
        start = perf_counter()
        lane.step()
        seconds += perf_counter() - start
    return seconds / steps


def race(runners: dict[str, Lane], period: int, rewarm: bool, n: int) -> dict[str, list[float]]:
    """Rounds in which every side takes a turn, in a new order each time: who comes after whom finds other caches.

    A turn is a whole period of the rule. `rewarm`: an untimed step comes first, so that a side finds its own data.
    """
    dice, order = random.Random(0), list(runners)
    times: dict[str, list[float]] = {name: [] for name in order}

    def play() -> None:
        dice.shuffle(order)
        for name in order:
            if rewarm:
                turn(runners[name])
            times[name].append(turn(runners[name], period))

    for _ in range(WARMUP):
        start = perf_counter()
        for name in order:
            turn(runners[name])
        seconds = (perf_counter() - start) * (period + rewarm)
    with no_garbage_collection():
        for _ in range(n or min(max(int(SECONDS / seconds), FEWEST), MOST)):
            play()
    return times


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@dataclass(frozen=True)
class Cell:
    """What a race gave. `bytes` a step moves: 0 where it is not all emitted programs."""

    rule: str
    size: str
    threads: int
    times: dict[str, list[float]]
    bytes: int

    def figures(self) -> dict[str, list[float]]:
        """Our time over theirs, round by round, as quartiles; and over what our own bytes take at axpy's bandwidth."""
        theirs = {name: times for name, times in self.times.items() if name not in (OURS, AXPY)}
        if self.bytes and AXPY in self.times:
            scale = self.bytes / (12 * sum(map(prod, shapes(self.rule, self.size))))  # axpy moves 12 bytes per element
            theirs[SHARE] = [scale * t for t in self.times[AXPY]]
        return {name: quartiles([a / b for a, b in zip(self.times[OURS], times, strict=True)]) for name, times in theirs.items()}

    def record(self) -> dict[str, Any]:
        about = dict(rule=self.rule, size=self.size, threads=self.threads, n=len(self.times[OURS]), bytes=self.bytes)
        return about | dict(seconds={name: quartiles(times) for name, times in self.times.items()}, ratios=self.figures())


def quartiles(values: list[float]) -> list[float]:
    return quantiles(values, n=4, method="inclusive")


def measure(rule: str, size: str, threads: int, options: Options) -> Cell:
    torch.set_num_threads(threads)
    runners = lanes(rule, size, options.static)
    times = race(runners, ROWS[rule].defaults.get("every", 1), size in CACHED and options.warm, options.n)
    if rule == "AdamW" and size in ("lenet", "many", "loop"):
        times[YARDSTICK] = times["torch fused"]
    return Cell(rule, size, threads, times, moved(runners[OURS].optimizer))  # type: ignore[union-attr]


def moved(optimizer: Any) -> int:
    """Bytes that a step reads and writes, by the programs that were emitted; 0 where another engine serves."""
    engines = [team.engine for team in optimizer._binding.teams]
    if any(engine.name != "fused" for engine in engines):
        return 0
    return sum((sum(e.program.reads) + e.program.writes) * e.elements * e.parameters[0].element_size() for e in engines)


def peaks() -> dict[str, float]:
    """Bytes that a step of AdamW at 20M needs at its highest beyond what it keeps: each side in a fresh process."""
    if not os.access("/proc/self/clear_refs", os.W_OK):
        print("memory of a step: not measured, it needs Linux")
        return {}
    found = {}
    for side in sides("AdamW"):
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            found[side] = pool.submit(peak, side).result()
    return found


def peak(side: str) -> float:
    runner = Isolated(sides("AdamW")[side], *([torch.ones(s) for s in SIZES["large"]] for _ in range(2)), False)
    turn(runner, 3)
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
    held = resident("VmRSS")
    turn(runner, 2)
    return max(resident("VmHWM") - held, 0)


def resident(entry: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * float(next(line for line in lines if line.startswith(entry)).split()[1])
