"""Range test, batch finder, noise scale; and that whatever they do, everything is as it was found."""

import copy
import os
import random
import re
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from math import inf, nan, sqrt
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from steepest.core.errors import ParameterError, SettingError
from steepest.core.rng import generator
from steepest.core.task import Task
from steepest.optim import SGD, AdamW
from steepest.train import batch_finder, heap, memory
from steepest.train.batch_finder import full_step, largest_batch
from steepest.train.finding import find_batch, find_noise, find_rate
from steepest.train.noise_scale import Estimate, conclude, estimate, jackknife, measure, noise_scale
from steepest.train.range_test import noise, range_test, runaway, suggest, writer
from steepest.train.recipe import Recipe
from steepest.train.run import train
from steepest.train.trial import feed, gradient, samples, summed
from steepest.train.untouched import untouched


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=generator(seed, "test"))


class Odd(nn.Module):
    """All that is hard to put back: dropout, running statistics, spectral norm, plain attributes, random streams, tied weights."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.norm, self.drop = nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.3)
        self.b = nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4))
        self.c = nn.Linear(4, 4)
        self.c.weight = self.a.weight
        self.frozen = nn.Parameter(torch.ones(4), requires_grad=False)
        self.register_buffer("spread", torch.ones(1).expand(4))  # four elements, one memory
        self.calls, self.seen, self.history, self.memory = 0, [torch.zeros(2)], deque([1], maxlen=3), {"last": torch.zeros(4)}
        self.stream, self.dice, self.numbers = torch.Generator().manual_seed(3), random.Random(4), np.random.default_rng(5)
        self.array, self.names = np.zeros(3), {"x"}

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.calls += 1
            self.seen[0] += 1
            self.seen.append(torch.ones(1))
            self.history.append(self.calls)
            self.memory["last"].copy_(x[0].detach())
            self.memory[f"call {self.calls}"] = x
            self.array += self.dice.random() + self.numbers.random() + random.random() + np.random.rand()
            self.names.add(str(self.calls))
            x = x + torch.rand(x.shape, generator=self.stream)
        return self.c(self.drop(torch.relu(self.norm(self.b(self.a(x)))))) * self.frozen * self.spread


def fingerprint(x: Any, seen: set[int] | None = None) -> Any:
    """Every byte and every identity in x, written independently of what is tested."""
    seen = set() if seen is None else seen
    if isinstance(x, Tensor):
        plain = x.detach().to_dense() if x.is_sparse else x.detach()
        grad = fingerprint(x.grad) if x.is_leaf and x.grad is not None else None
        where = None if x.is_sparse else plain.data_ptr()
        return id(x), where, x.dtype, tuple(x.shape), plain.contiguous().numpy().tobytes(), x.requires_grad, grad
    if isinstance(x, np.ndarray):
        return id(x), x.tobytes()
    if isinstance(x, torch.Generator):
        return x.get_state().numpy().tobytes()
    if isinstance(x, random.Random):
        return x.getstate()
    if isinstance(x, np.random.Generator):
        return str(x.bit_generator.state)
    if id(x) in seen:
        return id(x)
    seen.add(id(x))
    if isinstance(x, dict):
        return id(x), [(str(k) if isinstance(k, str) else id(k), fingerprint(v, seen)) for k, v in x.items()]
    if isinstance(x, (list, tuple, deque)):
        return id(x) if not isinstance(x, tuple) else 0, [fingerprint(v, seen) for v in x]
    if isinstance(x, set):
        return id(x), sorted(x)
    if isinstance(x, (nn.Module, torch.optim.Optimizer, DataLoader)):
        return id(x), fingerprint(vars(x), seen)
    return x if isinstance(x, (int, float, str, bool, type(None))) else id(x)


def world() -> Any:
    numpy: Any = np.random.get_state()
    return torch.get_rng_state().numpy().tobytes(), random.getstate(), numpy[1].tobytes(), numpy[2:]


def started(make: Callable[[nn.Module], Any]) -> tuple[nn.Module, Any]:
    """A model and an optimizer in the middle of a training, gradients still there, one part in evaluation mode."""
    model = Odd()
    optimizer = make(model)
    for k in range(2):
        optimizer.zero_grad()
        model(normal(6, 4, seed=k)).square().mean().backward()
        optimizer.step()
    model.norm.eval()
    return model, optimizer


OPTIMIZERS: dict[str, Callable[[nn.Module], Any]] = {
    "adamw": lambda m: AdamW(m, lr=1e-3),
    "torch": lambda m: torch.optim.AdamW(m.parameters(), lr=1e-3, amsgrad=True),
    "groups": lambda m: SGD([{"params": m.a.parameters(), "lr": 0.1}, {"params": m.b.parameters(), "lr": 0.01}], lr=0.1, momentum=0.9),
    "tensor": lambda m: torch.optim.Adam(m.parameters(), lr=torch.tensor(1e-3), capturable=False, foreach=False),
    "lbfgs": lambda m: torch.optim.LBFGS([p for p in m.parameters() if p.requires_grad], lr=1e-3),
}
SCALE = [(normal(8, 4, seed=k), normal(8, 4, seed=k + 50)) for k in range(5)]


# --- as found --------------------------------------------------------------------------------------


def disturb(model: nn.Module, optimizer: Any) -> None:
    """More than any finder does."""
    for k in range(3):
        batch = normal(5, 4, seed=k)

        def closure(batch: Tensor = batch) -> Tensor:
            optimizer.zero_grad()
            loss = model(batch).square().mean()
            loss.backward()
            return loss

        if isinstance(optimizer, torch.optim.LBFGS):
            optimizer.step(closure)
        else:
            closure()
            optimizer.step()
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    model.eval()
    model.a.weight.data = torch.zeros(7, 7)
    model.b.requires_grad_(False)
    model.c.bias.grad = None
    model.norm.running_mean = torch.full((4,), nan)
    model.extra, model.calls = nn.Linear(1, 1), -1
    del model.drop
    optimizer.param_groups[0]["lr"] = 77.0
    optimizer.state.clear()
    optimizer.zero_grad()


@pytest.mark.parametrize("name", [n for n in OPTIMIZERS if n != "lbfgs"])
def test_everything_is_put_back(name: str) -> None:
    model, optimizer = started(OPTIMIZERS[name])
    before, outside = fingerprint([model, optimizer])[1], world()
    with untouched(model, optimizer):
        disturb(model, optimizer)
        np.random.rand(), random.random(), torch.rand(1)
        assert fingerprint([model, optimizer])[1] != before and world() != outside
    assert fingerprint([model, optimizer])[1] == before and world() == outside


def test_lists_of_an_optimizer_too() -> None:
    model = nn.Linear(4, 4)
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = model(normal(5, 4)).square().mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    before = fingerprint([model, optimizer])[1]
    with untouched(model, optimizer):
        optimizer.step(closure)
        assert fingerprint([model, optimizer])[1] != before
    assert fingerprint([model, optimizer])[1] == before


@pytest.mark.parametrize("name", ["adamw", "torch", "groups"])
def test_training_goes_on_as_if_nothing_had_been(name: str) -> None:
    ends = []
    for tried in (False, True):
        torch.manual_seed(0), random.seed(0), np.random.seed(0)
        model, optimizer = started(OPTIMIZERS[name])
        if tried:
            with untouched(model, optimizer):
                disturb(model, optimizer)
        for k in range(4):
            optimizer.zero_grad()
            model(normal(6, 4, seed=k)).square().mean().backward()
            optimizer.step()
        ends.append([p.detach().clone() for p in model.parameters()])
    assert all(torch.equal(p, q) for p, q in zip(*ends, strict=True))


def test_put_back_after_an_error_and_in_a_fresh_optimizer() -> None:
    model = nn.Linear(3, 3)
    optimizer = AdamW(model)
    before = fingerprint([model, optimizer])[1]

    def fails() -> None:
        with untouched(model, optimizer):
            model(normal(2, 3)).sum().backward()
            optimizer.step()
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fails()
    assert fingerprint([model, optimizer])[1] == before and len(optimizer.state) == 0


def test_sparse_gradients_and_shared_memory() -> None:
    model = nn.Sequential(nn.Embedding(5, 2, sparse=True), nn.Linear(2, 2))
    flat = torch.cat([p.detach().flatten() for p in model.parameters()])
    at = 0
    for p in model.parameters():  # all weights look into one memory
        p.data, at = flat[at : at + p.numel()].view(p.shape), at + p.numel()
    model(torch.tensor([1, 3])).sum().backward()
    before = fingerprint(model)
    with untouched(model) as kept:
        flat.mul_(2)
        model[0].weight.grad.zero_()
        assert kept.bytes == flat.nbytes + sum(p.grad.numel() * 4 for p in model.parameters())
    assert fingerprint(model) == before


def test_what_cannot_be_put_back_is_refused() -> None:
    with (
        pytest.raises(ParameterError, match="lazy layers that were never run, and cannot be put back; run it on one batch before"),
        untouched(nn.LazyLinear(3)),
    ):
        pass


class Told:
    """Batches that say where they are."""

    def __init__(self) -> None:
        self.at = SimpleNamespace(k=0)  # in an object that nobody looks into

    def __iter__(self) -> Iterator[Any]:
        while True:
            self.at.k += 1
            yield SCALE[self.at.k % 5]

    def state_dict(self) -> dict[str, Any]:
        return {"at": self.at.k}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.at.k = state["at"]


def told(batches: Any) -> Any:
    return batches.state_dict() if isinstance(batches, Told) else None


def loaders() -> dict[str, Any]:
    data = TensorDataset(normal(20, 4), normal(20, 4, seed=1))
    return {
        "list": SCALE,
        "told": Told(),
        "loader": DataLoader(data, 6, shuffle=True, generator=torch.Generator().manual_seed(1)),
        "global": DataLoader(data, 6, shuffle=True),
        "function": lambda: iter(SCALE),
    }


def mse(model: nn.Module, batch: Any) -> Tensor:
    return (model(batch[0]) - batch[1]).square().mean()


FINDERS: dict[str, Callable[[nn.Module, Any, Any], Any]] = {
    "range": lambda m, o, b: range_test(m, o, b, mse, steps=20),
    "accumulated range": lambda m, o, b: range_test(m, o, b, "mse", steps=20, accumulate=3),
    "batch": lambda m, o, b: largest_batch(full_step(m, o, mse, SCALE[0], accumulate=2), 2, 9, keep=(m, o)),
    "noise": lambda m, o, b: noise_scale(m, b, mse, micro=3, measurements=3),
}


@pytest.mark.parametrize("source", loaders())
@pytest.mark.parametrize("finder", FINDERS)
def test_finders_leave_no_trace(finder: str, source: str) -> None:
    model, optimizer = started(OPTIMIZERS["adamw" if source == "list" else "torch" if source == "told" else "groups"])
    batches = loaders()[source]
    everything = [model, optimizer, batches, vars(batches) if isinstance(batches, Told) else 0]
    before, outside = (fingerprint(everything)[1], told(batches)), world()
    FINDERS[finder](model, optimizer, batches)
    assert (fingerprint(everything)[1], told(batches)) == before and world() == outside
    if not callable(batches) and source != "global":
        first = next(feed(batches))[0]
        again = next(feed(loaders()[source]))[0]
        assert torch.equal(first, again)  # the next epoch is the one that it would have been


@pytest.mark.parametrize("finder", ["range", "noise", "batch"])
def test_no_trace_after_an_error_either(finder: str) -> None:
    model, optimizer = started(OPTIMIZERS["adamw"])
    calls = []

    def breaks(m: nn.Module, batch: Any) -> Tensor:
        calls.append(1)
        if len(calls) == 4:
            raise RuntimeError("broken")
        return mse(m, batch)

    run = {
        "range": lambda: range_test(model, optimizer, SCALE, breaks),
        "noise": lambda: noise_scale(model, SCALE, breaks),
        "batch": lambda: largest_batch(full_step(model, optimizer, breaks, SCALE[0]), keep=(model, optimizer)),
    }
    before = fingerprint([model, optimizer])[1]
    with pytest.raises(RuntimeError, match="broken"):
        run[finder]()
    assert fingerprint([model, optimizer])[1] == before


# --- batches and losses ------------------------------------------------------------------------------


def test_batches_begin_anew_and_loaders_are_shuffled() -> None:
    stream = feed([1, 2])
    assert [next(stream) for _ in range(5)] == [1, 2, 1, 2, 1]
    loader = loaders()["loader"]
    read = feed(loader)
    epochs = [torch.cat([next(read)[0] for _ in range(4)]) for _ in range(2)]
    assert not torch.equal(*epochs)  # shuffled
    assert all(torch.equal(epoch.sort(0).values, loader.dataset.tensors[0].sort(0).values) for epoch in epochs)
    assert [len(next(feed(DataLoader(TensorDataset(normal(3, 1)), batch_size=None)))) for _ in range(2)] == [1, 1]


def test_batches_that_cannot_be_put_back_are_refused() -> None:
    class Stream(IterableDataset):
        def __iter__(self) -> Iterator[int]:
            return iter(range(3))

    for batches, message in (
        (iter(SCALE), "batches are an iterator, which cannot be put back where it was; give a list, a DataLoader, or a function"),
        (DataLoader(Stream()), "a DataLoader over an IterableDataset cannot be put back where it was; give a list of its batches"),
        ([], "there is no batch in the batches"),
    ):
        with pytest.raises(ParameterError, match=message):
            next(feed(batches))


def test_losses_are_sums_and_counts() -> None:
    x, y = normal(6, 3), torch.tensor([0, 1, 2, -100, 1, -100])
    net = nn.Identity()
    total, count = summed("cross_entropy")(net, (x, y))
    assert count == 4 and float(total) == pytest.approx(float(nn.functional.cross_entropy(x, y, reduction="sum")))
    assert summed(lambda m, b: (torch.ones(()), 3))(net, (x, y)) == (1, 3)
    assert summed(lambda m, b: torch.ones(()))(net, {"x": x})[1] == 6
    assert samples(("text", [torch.ones(5, 2)])) == 5 and samples("text") == 1
    with pytest.raises(SettingError, match=r"unknown loss 'cross_entrop'; did you mean cross_entropy\?"):
        summed("cross_entrop")
    with pytest.raises(ParameterError, match=r"a loss by name needs batches \(inputs, targets\), not Tensor; give loss\(model, batch\)"):
        summed("mse")(net, x)
    with pytest.raises(ParameterError, match="no parameter that wants a gradient"):
        gradient(net, (x, y), summed("cross_entropy"))


# --- range test --------------------------------------------------------------------------------------


def bowl(scale: float = 1.0) -> nn.Module:
    """Squares of one weight: gradient descent is stable up to lr = 1 / scale."""
    net = nn.Linear(1, 1, bias=False)
    net.weight.data.fill_(3.0)
    return nn.Sequential(net)


def square(model: nn.Module, batch: Any) -> Tensor:
    return model[0].weight.square().sum() + 0 * batch.sum()


ONES = [torch.ones(2, 1)]


@pytest.mark.parametrize("accumulate", [1, 4])
def test_losses_and_rates_are_those_of_a_hand_written_loop(accumulate: int) -> None:
    net = nn.Linear(4, 4)
    twin = copy.deepcopy(net)
    found = range_test(net, lambda m: torch.optim.SGD(m.parameters(), lr=1.0, momentum=0.9), SCALE, mse, 1e-3, 1e-1, 24, accumulate)
    rates = [1e-3 * 100 ** (k / 23) for k in range(24)]
    assert found.rates == pytest.approx(rates, rel=1e-12)  # one rate per optimizer step, whatever is accumulated
    optimizer, stream, losses = torch.optim.SGD(twin.parameters(), lr=1.0, momentum=0.9), feed(SCALE), []
    for rate in rates:
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        xs, ys = zip(*[next(stream) for _ in range(accumulate)], strict=True)
        loss = mse(twin, (torch.cat(xs), torch.cat(ys)))
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert found.losses == pytest.approx(losses, rel=1e-4)


def test_unequal_micro_batches_count_by_their_samples() -> None:
    net = nn.Linear(4, 4)
    parts = [(SCALE[0][0][:7], SCALE[0][1][:7]), (SCALE[0][0][7:], SCALE[0][1][7:])]
    found = range_test(net, SGD(net), parts, mse, 1e-3, 1e-1, 20, 2)
    assert found.losses == pytest.approx(range_test(net, SGD(net), [SCALE[0]], mse, 1e-3, 1e-1, 20).losses, rel=1e-5)


def test_the_suggestion_is_below_what_diverges() -> None:
    net = bowl()
    found = range_test(net, torch.optim.SGD(net.parameters(), lr=1.0), ONES, square, 1e-4, 100.0)
    assert found.suggestion and 0.05 < found.suggestion < 1 and found.rates[-1] < 100
    assert found.reason.startswith("half the rate at which the smoothed loss is lowest, ")
    assert net[0].weight.item() == 3


def test_groups_keep_their_proportions() -> None:
    a, b, c = (nn.Parameter(torch.ones(1)) for _ in range(3))
    optimizer = torch.optim.Adam(
        [{"params": [a], "lr": 0.1}, {"params": [b], "lr": torch.tensor(0.02)}, {"params": [c], "lr": 0.0}], foreach=False
    )
    kept = optimizer.param_groups[1]["lr"]
    writer(optimizer)(5.0)
    assert optimizer.param_groups[0]["lr"] == 5.0 and float(kept) == 1.0 and optimizer.param_groups[2]["lr"] == 0
    still = torch.optim.SGD([a], lr=0.0)
    writer(still)(2.0)
    assert still.param_groups[0]["lr"] == 2.0


RATES = [1e-6 * 10 ** (7 * k / 99) for k in range(100)]


def valley(at: float = 1e-2, depth: float = 1.0, noise: float = 0.0, seed: int = 0) -> list[float]:
    """Falls from 2 towards `at`, rises behind it."""
    wild = normal(100, seed=seed).tolist()
    losses = [2 - depth / (1 + (at / 10 / r) ** 2) + (r / at / 3) ** 2 + noise * w for r, w in zip(RATES, wild, strict=True)]
    return losses[: next((k + 1 for k in range(1, 100) if runaway(losses[: k + 1])), 100)]


def test_a_valley_and_its_noise() -> None:
    smoothed, found, _ = suggest(RATES, valley())
    lowest = RATES[min(range(len(smoothed)), key=smoothed.__getitem__)]
    assert found == lowest / 2 and 0.1 < lowest / 1e-2 < 1
    for seed in range(5):
        _, noisy, _ = suggest(RATES, valley(noise=0.05, seed=seed))
        assert noisy and 1 / 4 < noisy / found < 4
    _, found, _ = suggest(RATES, [*valley()[:80], inf])  # the end does not hide the rest
    assert found


@pytest.mark.parametrize(
    ("losses", "reason"),
    [
        ([2.0] * 100, "flat: from 2 the loss falls by no more than 0: raise high, or ask whether the gradient reaches the weights"),
        ([2 + 1e-4 * w for w in normal(100).tolist()], "flat: from 2"),
        ([2 + 0.5 * w for w in normal(100).tolist()], "too noisy: the loss falls by"),
        (valley(depth=0.05, noise=0.2), "too noisy: the loss falls by"),
        ([2.0, 3.0, nan], "diverged at once, at a rate of 1.4e-06: start lower"),
        ([2.0, 3.0, 4.0, 50.0], "diverged at once, at a rate of 1.6e-06: start lower"),
        (valley(depth=0.0), "the loss only rises: it is lowest at the first rates, 1e-06; start lower"),
        ([2 / (1 + 100 * r) for r in RATES], "the loss still falls at the highest rate, 10: raise high"),
    ],
    ids=["constant", "nearly constant", "noise", "buried", "nan", "huge", "rising", "falling"],
)
def test_no_suggestion_and_why(losses: list[float], reason: str) -> None:
    _, found, why = suggest(RATES, losses)
    assert found is None and why.startswith(reason), why


def test_pure_noise_is_hardly_ever_a_suggestion() -> None:
    found = [suggest(RATES, [2 + 0.3 * w for w in normal(100, seed=seed).tolist()])[1] for seed in range(300)]
    assert sum(x is not None for x in found) <= 6  # one in a hundred


def test_noise_is_measured_beside_the_trend() -> None:
    losses = np.array([2 - 0.01 * k for k in range(2000)]) + 0.2 * normal(2000).numpy()
    losses[7] = 1e6
    assert noise(losses) == pytest.approx(0.2, rel=0.1) and noise(losses[:2]) == 0


def test_range_test_refuses() -> None:
    net = bowl()
    for settings, message in (
        (dict(low=1.0, high=0.1), "range_test: low = 1 and high = 0.1; rates must grow, 0 < low < high"),
        (dict(low=0.0), "low = 0 and high = 10"),
        (dict(steps=5), "range_test: steps = 5 show no curve; take 20 or more"),
        (dict(accumulate=0), "range_test: accumulate = 0; a step needs at least 1 batch"),
    ):
        with pytest.raises(SettingError, match=message):
            range_test(net, SGD(net), ONES, square, **settings)  # type: ignore[arg-type]
    strange = SGD(net)
    del strange.param_groups[0]["lr"]
    with pytest.raises(ParameterError, match="group 0 of SGD has no lr to test"):
        range_test(net, strange, ONES, square)


@pytest.mark.parametrize("low", [1e-4, 5.0])
def test_chart(low: float, tmp_path: Path) -> None:
    net = bowl()
    found = range_test(net, torch.optim.SGD(net.parameters(), lr=1.0), ONES, square, low, 100.0)
    assert (found.suggestion is None) == (low == 5.0)
    found.chart(tmp_path / "range.png")
    assert (tmp_path / "range.png").read_bytes().startswith(b"\x89PNG")
    found.chart(tmp_path / "range.html")
    page = (tmp_path / "range.html").read_text()
    assert "Learning-rate range test" in page and not re.search(r'<script[^>]* src="http', page), "it needs no network"
    with pytest.raises(SettingError, match=r"a chart is a .png, .svg or .html, not 'range.pdf'"):
        found.chart("range.pdf")


# --- batch finder ------------------------------------------------------------------------------------


class Machine:
    """Stands for a device on which `most` samples fit, and one fewer in a second step, when the optimizer's state is there."""

    def __init__(self, most: int, error: Exception) -> None:
        self.most, self.error, self.asked = most, error, []

    def __call__(self, n: int) -> None:
        second = bool(self.asked) and self.asked[-1] == n
        self.asked.append(n)
        if n > self.most - second:
            raise self.error


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory"), MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")],
    ids=lambda e: type(e).__name__,
)
@pytest.mark.parametrize(("most", "start"), [(2, 1), (17, 5), (33, 64)])
def test_doubling_and_halving_find_the_largest_that_ran_twice(most: int, start: int, error: Exception) -> None:
    run = Machine(most, error)
    found = largest_batch(run, start)
    assert found.batch == most - 1 and found.refused == most and found.reason.startswith(f"{most} does not fit: out of memory")
    assert run.asked.count(most - 1) == 2 and [t.batch for t in found.trials] == [*dict.fromkeys(run.asked)]


def test_large_sizes_are_found_to_three_percent() -> None:
    assert largest_batch(Machine(1000, MemoryError())).batch in range(1000 - 33, 1000)


def test_not_even_one_and_no_bound() -> None:
    found = largest_batch(Machine(0, MemoryError()), 4)
    assert found.batch is None and found.refused == 1 and found.reason == "not even 1 fits: out of memory: MemoryError"
    found = largest_batch(Machine(10**9, MemoryError()), 3, 50)
    assert found.batch == 50 and found.refused is None and found.reason == "nothing bounded it up to 50: more may fit"
    assert largest_batch(Machine(10**9, MemoryError()), 4, 4).batch == 4
    assert largest_batch(Machine(10**9, MemoryError())).batch == batch_finder.CEILING


def test_other_errors_are_not_swallowed() -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        largest_batch(Machine(4, RuntimeError("shapes do not fit")))


MEBI = 2**20


def hungry(n: int) -> None:
    torch.ones(4 * MEBI * n, dtype=torch.uint8).fill_(2)


def test_a_budget_of_main_memory_is_kept() -> None:
    memory.release()
    here = memory.resident()
    assert here
    found = largest_batch(hungry, memory=here + 60 * MEBI)
    assert found.batch and 11 <= found.batch <= 17 and found.refused in (found.batch + 1, found.batch + 2), found
    assert "the process grew to" in found.reason and "over the budget of" in found.reason
    peaks = {t.batch: t.peak - here for t in found.trials if t.peak}
    assert all(0.8 < peaks[n] / (4 * MEBI * n) < 1.5 for n in peaks if n >= 4)
    assert largest_batch(hungry, memory=1).batch is None


def test_the_copies_that_are_kept_do_not_count() -> None:
    model = nn.Linear(1, 16 * MEBI, bias=False)  # 64 MiB
    memory.release()
    here = memory.resident()
    assert here
    found = largest_batch(hungry, memory=here + 40 * MEBI, keep=(model,))
    assert found.batch and 6 <= found.batch <= 12


def test_what_the_machine_does_not_have_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_finder, "available", lambda: 100 * MEBI)
    ran = []
    found = largest_batch(lambda n: (ran.append(n), hungry(n)), memory=10**12)
    assert found.batch and 18 <= found.batch <= 26 and max(ran) < 40
    assert "would need about" in found.reason and found.reason.endswith("100 MiB are free; not run")


def test_a_full_step_has_n_samples_and_an_optimizer_state() -> None:
    net, seen = nn.Linear(4, 4), []
    optimizer = AdamW(net)

    def loss(model: nn.Module, batch: Any) -> Tensor:
        seen.append([tuple(x.shape) for x in batch[:2]] + [batch[2]])
        return mse(model, batch)

    full_step(net, optimizer, loss, (*SCALE[0], "word"), accumulate=5)(11)
    assert seen == [[(11, 4), (11, 4), "word"]] * 2 and len(optimizer.state) == 2
    full_step(net, optimizer, loss, (*SCALE[0], "word"))(3)
    assert len(seen) == 3
    assert largest_batch(full_step(net, optimizer, mse, SCALE[0], accumulate=2), 1, 16, keep=(net, optimizer)).batch == 16


def test_batch_finder_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    for start, limit in ((0, None), (5, 4)):
        with pytest.raises(
            SettingError, match=f"largest_batch: start = {start}, limit = {limit}; they must be 1 or more, and limit not below"
        ):
            largest_batch(hungry, start, limit)
    monkeypatch.setattr(memory, "STATUS", Path("/nowhere"))
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    with pytest.raises(SettingError, match=r"memory=... is measured on Linux only; give limit=... here"):
        largest_batch(hungry, memory=10)
    with pytest.raises(SettingError, match=r"nothing tells how full memory is on this system; give limit=..."):
        largest_batch(hungry)
    found = largest_batch(hungry, limit=4)
    assert found.batch == 4 and found.budget is None and found.trials[-1].peak is None


def test_memory_of_a_container(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine = memory.available()
    monkeypatch.setattr(memory, "GROUP", tmp_path)
    (tmp_path / "memory.current").write_text("1000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert machine and memory.available() and memory.available() > 10**6
    (tmp_path / "memory.max").write_text("5000\n")
    assert memory.available() == 4000
    monkeypatch.setattr(memory, "RESET", tmp_path / "no" / "such")
    assert not memory.reset_highest()
    assert memory.said(3 * 2**30) == "3.00 GiB" and memory.said(5 * MEBI) == "5 MiB"


# --- noise scale -------------------------------------------------------------------------------------


def test_estimate_is_the_papers_formula() -> None:
    # |G_B|² = |G|² + tr(Σ) / B, exactly: then the estimates are exact.
    for g2, trace, b, whole in ((2.0, 30.0, 4, 64), (0.0, 5.0, 1, 2), (7.0, 0.0, 3, 300)):
        found = estimate(g2 + trace / b, g2 + trace / whole, b, whole)
        assert found.g2 == pytest.approx(g2, rel=1e-12, abs=1e-12) and found.trace == pytest.approx(trace, rel=1e-12, abs=1e-12)


def test_a_measurement_is_literally_that_of_micro_batches(float64: None) -> None:
    sizes = (4.0, 4.0, 4.0)
    grads = [[normal(3, 2, seed=k), normal(5, seed=k + 9)] for k in range(3)]
    flat = [torch.cat([g.flatten() for g in x]) for x in grads]
    small = sum(float(x @ x) for x in flat) / 3
    mean = sum(flat[1:], flat[0]) / 3
    big = float(mean @ mean)
    found = measure(zip(copy.deepcopy(grads), sizes, strict=True))
    assert found.g2 == pytest.approx((12 * big - 4 * small) / 8, rel=1e-12)
    assert found.trace == pytest.approx((small - big) / (1 / 4 - 1 / 12), rel=1e-12)


@pytest.mark.parametrize("sizes", [(2, 2, 2, 2), (1, 3, 6, 2)])
def test_estimates_are_unbiased_whatever_the_sizes(sizes: tuple[int, ...]) -> None:
    """Over every way to draw the samples from a population of two, +1 and -1 around a mean of 0.5: |G|² = 0.25, tr(Σ) = 1."""
    n = sum(sizes)
    draws = 0.5 + torch.tensor([[1.0 if k >> i & 1 else -1.0 for i in range(n)] for k in range(2**n)], dtype=torch.float64)
    found = [measure([([part.mean().reshape(1)], float(len(part))) for part in row.split(list(sizes))]) for row in draws]
    assert sum(x.g2 for x in found) / len(found) == pytest.approx(0.25, rel=1e-12)
    assert sum(x.trace for x in found) / len(found) == pytest.approx(1, rel=1e-12)


def regression(d: int, sigma: float, away: float, batches: int, b: int, seed: int) -> tuple[nn.Module, list[Any], float, float]:
    """Half squares of a linear model at distance `away` from the truth: |G|² and tr(Σ) are known, x being normal."""
    net = nn.Linear(d, 1, bias=False)
    net.weight.data.fill_(away / sqrt(d))
    x = normal(batches, b, d, seed=seed)
    y = sigma * normal(batches, b, 1, seed=seed + 1000)
    return net, list(zip(x, y, strict=True)), away**2, (d + 1) * away**2 + d * sigma**2


def half(model: nn.Module, batch: Any) -> Tensor:
    return (model(batch[0]) - batch[1]).square().mean() / 2


def test_linear_regression_gives_the_analytic_noise_scale() -> None:
    scales, within = [], 0
    for seed in range(20):
        net, batches, g2, trace = regression(10, 2.0, 1.0, 16 * 12, 8, seed)
        found = noise_scale(net, batches, half, micro=16, measurements=12)
        assert found.significant and found.measurements == 12 and found.critical_batch == round(found.scale)
        scales.append(found.scale)
        within += abs(found.scale - trace / g2) < 2.2 * found.standard_error  # t with 11 degrees of freedom, 95 %
    true = trace / g2
    assert true == 51
    assert np.mean(scales) == pytest.approx(true, rel=3 * np.std(scales) / sqrt(20) / true)
    assert np.std(scales) / true < 0.25 and within >= 15


def test_a_gradient_lost_in_noise_is_not_significant() -> None:
    said = 0
    for seed in range(20):
        net, batches, _, _ = regression(10, 2.0, 0.01, 8 * 5, 4, seed)
        found = noise_scale(net, batches, half, micro=8, measurements=5)
        said += found.significant
        if not found.significant:
            assert found.critical_batch is None and "cannot be told from zero; measure more" in found.reason and found.at_least > 0
    assert said <= 2  # 2.5 % of 20 are expected


def test_no_noise_at_all() -> None:
    net, batches, _, _ = regression(4, 0.0, 1.0, 1, 8, 0)
    found = noise_scale(net, batches, half, micro=4, measurements=3)
    assert found.scale < 1e-3 or "show no noise" in found.reason


def test_jackknife() -> None:
    found = [Estimate(1.0, 3.0), Estimate(2.0, 3.0), Estimate(1.5, 5.0), Estimate(1.0, 2.0)]
    without = [(13 - x.trace) / (5.5 - x.g2) for x in found]
    mean = sum(without) / 4
    scale, error = jackknife(found)
    assert scale == pytest.approx(13 / 5.5) and error == pytest.approx(sqrt(3 / 4 * sum((x - mean) ** 2 for x in without)))
    # For a mean the jackknife is the usual standard error.
    same = [Estimate(1.0, t) for t in (1.0, 2.0, 4.0, 7.0)]
    assert jackknife(same)[1] == pytest.approx(np.std([1, 2, 4, 7], ddof=1) / 2)
    assert conclude([Estimate(0.0, 1.0)] * 3).significant is False


def test_noise_scale_refuses() -> None:
    net, batches, _, _ = regression(2, 1.0, 1.0, 2, 2, 0)
    with pytest.raises(SettingError, match="noise_scale: micro = 1; an estimate with an error needs at least 2"):
        noise_scale(net, batches, half, micro=1)
    with pytest.raises(SettingError, match="noise_scale: measurements = 2; an estimate with an error needs at least 3"):
        noise_scale(net, batches, half, measurements=2)


# --- for a task and a recipe ---------------------------------------------------------------------------


def points() -> Task:
    x = normal(1200, 2)
    return Task(model=lambda width=16: nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, 2)), data=(x, (x[:, 0] > 0).long()))


SMALL = Recipe({"batch": {"size": 32}, "optimizer": {"rule": "sgd", "lr": 0.1}, "run": {"threads": 1}})


def test_find_rate_trains_as_the_recipe_does() -> None:
    """The first loss is that of the first training step, and micro-batches change nothing but rounding."""
    found = find_rate(points(), SMALL, low=1e-4, high=100.0, steps=60)
    first = next(train(points(), SMALL))
    assert found.losses[0] == pytest.approx(first.loss, rel=1e-6) and found.suggestion is not None and 0.01 < found.suggestion < 20
    parts = find_rate(points(), SMALL.replace({"batch.micro": 10}), low=1e-4, high=100.0, steps=60)
    assert parts.losses[:20] == pytest.approx(found.losses[:20], rel=1e-4) and parts.losses != found.losses
    half = find_rate(points(), SMALL.replace({"run.precision": "bfloat16"}), steps=20)
    assert half.losses[0] != found.losses[0] and half.losses[0] == pytest.approx(found.losses[0], rel=0.05)


def test_find_batch_makes_the_steps_of_the_recipe() -> None:
    found = find_batch(points(), SMALL, start=8, limit=64)
    assert found.batch == 64 and found.refused is None and [trial.batch for trial in found.trials] == [8, 16, 32, 64]
    with pytest.raises(SettingError, match="start = 1, limit = 0"):
        find_batch(points(), SMALL, limit=0)


def test_find_noise_takes_different_samples() -> None:
    found = find_noise(points(), SMALL, size=8, micro=8, measurements=8)
    assert found.significant and found.measurements == 8 and 1 < found.scale < 1000
    with pytest.raises(SettingError, match="8 measurements of 16 micro-batches of 80 need 10240 samples, and there are 1080; take smaller"):
        find_noise(points(), SMALL, size=80)


def test_finders_of_tasks_refuse() -> None:
    players = points().replace(losses={"one": ("*", lambda model, batch: model(batch[0]).sum())})
    for find in (find_rate, find_batch, find_noise):
        with pytest.raises(SettingError, match="this task has several players: one"):
            find(players, SMALL)
    with pytest.raises(SettingError, match="lbfgs searches along a line"):
        find_rate(points(), Recipe({"optimizer": {"rule": "lbfgs"}}))
    assert torch.get_num_threads() == 1


FREED = """
import torch
from steepest.train import heap, memory
assert heap.keep()
blocks = [torch.ones(1 << 22) for _ in range(12)]  # 16 MB each
blocks = blocks[:1]
kept = memory.resident()
memory.reset_highest()
print(kept - memory.resident(), memory.highest() - memory.resident())
"""


@pytest.mark.skipif(memory.highest() is None, reason="measured on Linux only")
def test_memory_that_the_c_library_keeps_does_not_count() -> None:
    """A run tells the C library to keep what is freed (train/heap.py); each measurement begins by giving that back."""
    clean = {name: value for name, value in os.environ.items() if name not in heap.SAID}
    done = subprocess.run([sys.executable, "-c", FREED], env=clean, capture_output=True, text=True, check=True)
    given_back, above = map(int, done.stdout.split())
    assert given_back > 150e6 and above < 8e6
