"""The probe measures what is there, LSUV and ZerO do what their papers say, and nothing else changes."""

import copy
import random
from collections.abc import Callable
from math import exp, inf, isnan, log, nan, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from steepest import init
from steepest.core.errors import ParameterError, SettingError
from steepest.core.rng import generator
from steepest.init.chart import panel, picture, span, ticks
from steepest.init.probe import Probe, probe
from steepest.init.travel import std
from steepest.init.trend import trend
from steepest.init.zero import hadamard, zer_o


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=generator(seed, "test"))


def scaled(factor: float, layers: int = 12, width: int = 8) -> nn.Sequential:
    """A linear network in which every layer multiplies by `factor`."""
    net = nn.Sequential(*(nn.Linear(width, width, bias=False) for _ in range(layers)))
    for layer in net:
        layer.weight.data = factor * torch.eye(width)
    return net


class Block(nn.Module):
    """tanh(x + B f(A x) / 2), added in place and bent in place: what is hard to watch."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        out = self.b(torch.relu(self.a(x))) / 2
        out += x
        return torch.tanh_(out)


# --- numbers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [2.0, 0.5, 1.0])
def test_a_linear_network_gives_the_analytic_numbers(factor: float) -> None:
    x = normal(64, 8)
    seen = probe(scaled(factor), x)
    began = x.double().std(correction=0).item()
    for k, row in enumerate(seen.rows, 1):
        assert row.depth == k and row.kind == "Linear" and row.nonlinearity == ""
        assert row.activation_std == pytest.approx(began * factor**k, rel=1e-6)
        assert row.activation_variance == pytest.approx(row.activation_std**2)
    back = [row.gradient_std for row in seen.rows]
    assert back == pytest.approx([back[-1] * factor ** (12 - k) for k in range(1, 13)], rel=1e-6)
    assert back[-1] == pytest.approx(1, abs=0.1)  # random numbers come back from the output
    assert seen.input_std == pytest.approx(began) and seen.input_gradient_std == pytest.approx(back[0] * factor, rel=1e-6)
    assert seen.activation.slope == pytest.approx(log(factor), abs=1e-9) and seen.gradient.slope == pytest.approx(-log(factor), abs=1e-9)
    # The last layer is the head: the trend is that of the eleven before it.
    assert seen.activation.change == pytest.approx(factor**10, rel=1e-6) and seen.gradient.change == pytest.approx(factor**10, rel=1e-6)


def test_the_gradient_of_a_loss() -> None:
    net, x = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)), normal(7, 5)
    seen = probe(net, x, loss=lambda out: out.square().sum())
    first = net[0](x).detach().requires_grad_()
    second = net[2](torch.tanh(first))
    expected = torch.autograd.grad(second.square().sum(), (first, second))
    assert [row.gradient_std for row in seen.rows] == pytest.approx([g.std(correction=0).item() for g in expected], rel=1e-5)


def test_the_stream_behind_a_branch_is_measured_whatever_is_written_over_it() -> None:
    width, x = 16, normal(32, 16)
    net = nn.Sequential(nn.Linear(width, width), Block(width), Block(width), nn.Linear(width, 3))
    seen = probe(net, x, loss=lambda out: out.square().sum())
    assert [row.layer for row in seen.rows] == ["0", "1.a", "1.b", "2.a", "2.b", "3"]
    assert [row.trunk for row in seen.rows] == [True, False, True, False, True, False]
    h = net[0](x).detach().requires_grad_()
    sums = []
    for block in (net[1], net[2]):
        sums.append((block.b(torch.relu(block.a(h))) / 2 + h).detach().requires_grad_())
        h = torch.tanh(sums[-1])
    streams = {row.layer: row for row in seen.rows}
    assert streams["1.b"].activation_std == pytest.approx(sums[0].std(correction=0).item(), rel=1e-5)
    (g,) = torch.autograd.grad(net[3](torch.tanh(sums[1])).square().sum(), sums[1])
    assert streams["2.b"].gradient_std == pytest.approx(g.std(correction=0).item(), rel=1e-5)
    assert streams["2.b"].nonlinearity == "tanh" and streams["2.a"].nonlinearity == "relu"


def test_dead_and_saturated() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(4, 2))
    for layer in net[::2]:
        nn.init.zeros_(layer.weight), nn.init.zeros_(layer.bias)
    net[0].bias.data = torch.tensor([-1.0, 1, 1, 1])  # one unit of four never opens
    net[2].bias.data = torch.tensor([0.0, 1.5, 3, -3])  # 1 - tanh(3)^2 is 1 % of its steepest slope, 1 - tanh(1.5)^2 18 %
    net[4].bias.data = torch.tensor([0.0, 0, 3, 5])  # 18 % and 3 % of its own steepest slope, 1/4
    rows = probe(net, normal(6, 4)).rows
    assert [row.dead for row in rows[:3]] == [0.25, 0, 0]
    assert rows[0].saturated != rows[0].saturated  # not a number: ReLU does not saturate, it is off
    assert [row.saturated for row in rows[1:3]] == [0.5, 0.25]
    conv = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
    nn.init.zeros_(conv[0].weight)
    conv[0].bias.data = torch.tensor([-1.0, -1, -1, 1])
    assert probe(conv, normal(5, 1, 4, 4)).rows[0].dead == 0.75  # of channels


class Through(nn.Module):
    """One layer of four units, whose biases are their values, and a function."""

    def __init__(self, function: Callable[[Tensor], Tensor], *values: float) -> None:
        super().__init__()
        self.layer, self.function, self.head = nn.Linear(4, 4), function, nn.Linear(4, 2)
        nn.init.zeros_(self.layer.weight)
        self.layer.bias.data = torch.tensor(values)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.function(self.layer(x)))


@pytest.mark.parametrize(
    ("function", "dead", "curve"),
    [
        (lambda z: F.leaky_relu(z, 0.0), 0.5, "leaky_relu"),  # its slope as it was given, by place
        (lambda z: F.leaky_relu(z, negative_slope=0.0), 0.5, "leaky_relu"),  # and by name
        (lambda z: F.leaky_relu(z), 0, "leaky_relu"),
        (F.silu, 0, "silu"),  # falls at -2, which is not dead
        (lambda z: torch.tanh(torch.relu_(z)), 0.5, "relu"),  # the first counts, in place or not
        (lambda z: torch.relu(z) + torch.tanh(z), 0.5, "relu"),  # the structure cannot tell, the pass can
        (lambda z: z.clamp_min(0), nan, "relu"),  # the other way round
        (torch.sin, nan, ""),
    ],
)
def test_dead_is_what_the_function_that_was_called_makes_of_it(function: Callable[[Tensor], Tensor], dead: float, curve: str) -> None:
    row = probe(Through(function, -2.0, -2, 1, 1), normal(6, 4)).rows[0]
    assert row.dead == pytest.approx(dead, nan_ok=True) and row.nonlinearity == curve


def test_a_unit_is_dead_for_all_samples_or_not_at_all() -> None:
    net = Through(torch.relu, 0.0, 0, 0, -9)
    net.layer.weight.data = torch.eye(4)
    assert probe(net, normal(64, 4)).rows[0].dead == 0.25
    assert probe(net, normal(8, 5, 4)).rows[0].dead == 0.25  # units are the last dimension, positions are samples


class Own(nn.Module):
    """x + branch(x) on the input itself, the branch as a function of both."""

    def __init__(self, branch: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.a, self.b, self.branch, self.head = nn.Linear(4, 4), nn.Linear(4, 4), branch, nn.Linear(4, 2)

    def stream(self, x: Tensor) -> Tensor:
        return x + self.branch(self.b(torch.relu(self.a(x))), x)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stream(x))


@pytest.mark.parametrize("branch", [lambda y, x: y, lambda y, x: y + y.mean(), lambda y, x: y * x])
def test_the_stream_is_where_the_branch_meets_the_other_signal(branch: Callable[[Tensor, Tensor], Tensor]) -> None:
    net, x = Own(branch), normal(16, 4)
    row = probe(net, x).rows[1]
    assert row.layer == "b" and row.trunk and row.activation_std == pytest.approx(net.stream(x).std(correction=0).item(), rel=1e-5)


def test_norms_that_end_a_branch_are_seen() -> None:
    net = Own(lambda y, x: y)
    net.b = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    rows = probe(net, normal(16, 4)).rows
    assert {row.layer: row.trunk for row in rows} == {"a": False, "b.0": False, "b.1": True, "head": False}


def test_std_of_what_float32_cannot_hold() -> None:
    assert std(torch.tensor([1e30, -1e30])) == pytest.approx(1e30)
    assert std(torch.tensor([1.0, inf])) == inf and std(torch.tensor([1.0, nan])) == inf


# --- verdicts --------------------------------------------------------------------------------------


def deep(curve: Callable[[], nn.Module], std: float, layers: int = 20, width: int = 64) -> nn.Module:
    net = nn.Sequential(*(part for _ in range(layers) for part in (nn.Linear(width, width, bias=False), curve())))
    for k, layer in enumerate(net[::2]):
        layer.weight.data = std * normal(width, width, seed=k)
    return net


@pytest.mark.parametrize(
    ("curve", "std", "activation", "gradient"),
    [
        (nn.ReLU, sqrt(2 / 64), "stable", "stable"),
        (nn.ReLU, sqrt(1 / 64), "vanishing", "vanishing"),
        (nn.ReLU, sqrt(4 / 64), "exploding", "exploding"),
        (nn.Sigmoid, sqrt(1 / 64), "stable", "vanishing"),
        (nn.Tanh, sqrt(16 / 64), "stable", "exploding"),
        (nn.ReLU, 1e15, "exploding", "exploding"),  # overflows
        (nn.ReLU, 1e-15, "vanishing", "zero"),  # underflows
    ],
)
def test_verdicts(curve: type[nn.Module], std: float, activation: str, gradient: str) -> None:
    seen = probe(deep(curve, std), normal(128, 64))
    assert seen.activation.verdict == activation and seen.gradient.verdict in (gradient, activation)
    assert activation in str(seen) and seen.gradient.verdict in str(seen)


@pytest.mark.parametrize(
    ("sizes", "way", "change", "verdict"),
    [
        ([1.0, 2, 4, 8], 1, 8, "stable"),
        ([1.0, 4, 16, 64], 1, 64, "exploding"),
        ([1.0, 4, 16, 64], -1, 1 / 64, "vanishing"),
        ([nan, 1, 4, 16], 1, 64, "exploding"),  # the slope of what was measured, over all layers
        ([1.0, 2, 4, inf], 1, 8, "exploding"),
        ([1.0, 2, 4, 0], 1, 8, "zero"),
        ([1e-300, 1e-100, 1e100, 1e300], 1, exp(700), "exploding"),
        ([1.0], 1, nan, "stable"),
        ([nan, nan], 1, nan, "unknown"),
    ],
)
def test_trends(sizes: list[float], way: int, change: float, verdict: str) -> None:
    found = trend(list(range(1, len(sizes) + 1)), sizes, way)
    assert found.verdict == verdict and found.change == pytest.approx(change, nan_ok=True)


def test_with_one_layer_in_line_the_head_counts_too() -> None:
    seen = probe(scaled(3.0, layers=2), normal(4, 8))
    assert seen.activation.slope == pytest.approx(log(3)) and [row.trunk for row in seen.rows] == [True, False]


def test_chance_is_that_of_the_seed() -> None:
    net, x = nn.Sequential(nn.Linear(8, 8), nn.Dropout(), nn.Linear(8, 2)), normal(6, 8)
    torch.manual_seed(1)
    first = probe(net, x)
    torch.manual_seed(2)
    assert probe(net, x) == first and probe(net.eval(), x) != first
    still = [probe(net, x, seed=seed).input_gradient_std for seed in (0, 1)]
    assert still[0] != still[1]  # what comes back is drawn too


def test_gradients_are_measured_where_torch_is_told_not_to() -> None:
    with torch.no_grad():
        seen = probe(scaled(2.0), normal(4, 8))
    assert seen.rows[0].gradient_std > 0 and seen.rows[0].gradient_variance == seen.rows[0].gradient_std ** 2


def test_whole_numbers_go_in_where_no_gradient_reaches() -> None:
    words = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 2))
    seen = probe(words, torch.randint(0, 10, (3, 6)))
    assert isnan(seen.input_std) and isnan(seen.input_gradient_std) and all(row.gradient_std > 0 for row in seen.rows)


# --- the promise of auto ---------------------------------------------------------------------------


def plain(curve: type[nn.Module], layers: int = 50, width: int = 256) -> nn.Module:
    return nn.Sequential(*(part for _ in range(layers) for part in (nn.Linear(width, width), curve())))


def convolutional(layers: int = 50, channels: int = 32) -> nn.Module:
    return nn.Sequential(*(part for _ in range(layers) for part in (nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU())))


class Residual(nn.Module):
    def __init__(self, width: int = 128, blocks: int = 24) -> None:
        super().__init__()
        self.stem = nn.Linear(width, width)
        self.branches = nn.ModuleList(
            nn.Sequential(nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)) for _ in range(blocks)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for branch in self.branches:
            x = x + branch(x)
        return x


DEEP: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "50 relu": (lambda: plain(nn.ReLU), (64, 256)),
    "50 tanh": (lambda: plain(nn.Tanh), (64, 256)),
    "50 convolutions": (convolutional, (8, 32, 12, 12)),
    "24 residual blocks": (Residual, (64, 128)),
}


def spread(seen: Probe) -> tuple[float, float]:
    """By what factor activations leave the size of the input, and gradients that of the one at the input and of the one that came in, 1."""
    rows = [row for row in seen.rows if row.trunk]
    forward = [row.activation_std / seen.input_std for row in rows]
    gradients = [seen.input_gradient_std, *(row.gradient_std for row in rows), 1.0]
    backward = [g / seen.input_gradient_std for g in gradients] + gradients
    return max(max(x, 1 / max(x, 1e-30)) for x in forward), max(max(x, 1 / max(x, 1e-30)) for x in backward)


@pytest.mark.parametrize("name", DEEP)
def test_auto_keeps_signals(name: str) -> None:
    """Torch's own start beside it. It fades in every plain stack; a residual network it leaves alone, but there He's explodes."""
    make, shape = DEEP[name]
    torch.manual_seed(0)
    model, x = make(), normal(*shape)
    found = {"torch": spread(probe(model, x))}
    for plan in ("he", "auto"):
        init.apply(model, plan, sample=x, seed=0)
        found[plan] = spread(probe(model, x))
    print(name, *(f"{start}: activations ×{a:.3g}, gradients ×{g:.3g}" for start, (a, g) in found.items()), sep="; ")
    assert max(found["auto"]) <= 2
    assert max(found["he" if make is Residual else "torch"]) > 100


# --- LSUV and ZerO ---------------------------------------------------------------------------------


def convnet() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.2), weight_norm(nn.Conv2d(8, 16, 3)), nn.Tanh(),
        nn.Flatten(), nn.Linear(16 * 36, 32), nn.Sigmoid(), nn.Linear(32, 10),
    )  # fmt: skip


def outputs(model: nn.Module, x: Tensor) -> dict[str, float]:
    """The variance of every layer's output."""
    found: dict[str, float] = {}
    hooks = [
        m.register_forward_hook(lambda m, args, out, name=name: found.update({name: out.double().var(correction=0).item()}))
        for name, m in model.named_modules()
        if isinstance(m, (nn.Linear, nn.Conv2d))
    ]
    model(x)
    for hook in hooks:
        hook.remove()
    return found


def test_lsuv_reaches_unit_variance() -> None:
    model, x = convnet().eval(), normal(32, 1, 8, 8) * 3 + 1
    report = init.lsuv(model, x, seed=0, tolerance=1e-3)
    reached = outputs(model, x)
    assert len(reached) == 4 and all(abs(v - 1) < 1e-3 for v in reached.values())
    assert sum(row.reason.startswith("LSUV") for row in report.rows) == 4
    weight = model[7].weight.detach()
    gram = weight @ weight.T  # still orthogonal, up to the factor
    assert torch.allclose(gram, gram[0, 0] * torch.eye(32), atol=1e-5)
    again = convnet().eval()
    again.load_state_dict(convnet().state_dict())
    init.lsuv(again, x, seed=0, tolerance=1e-3)
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), model.parameters(), strict=True))


def test_lsuv_says_when_it_cannot() -> None:
    model, x = convnet(), normal(8, 1, 8, 8)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ParameterError, match=r"0\.weight: its output has variance 0 on this batch"):
        init.lsuv(model, torch.zeros(8, 1, 8, 8))
    with pytest.raises(ParameterError):
        init.lsuv(model, normal(8, 3, 8, 8))
    with pytest.raises(SettingError, match="tolerance"):
        init.lsuv(model, x, tolerance=0)
    with pytest.raises(SettingError, match="most"):
        init.lsuv(model, x, most=0)
    assert all(torch.equal(a, before[name]) for name, a in model.state_dict().items())
    model[0].weight.requires_grad_(False)
    init.lsuv(model, x)
    assert torch.equal(model[0].weight, before["0.weight"])


@pytest.mark.parametrize("n", [1, 2, 8, 64])
def test_hadamard(n: int) -> None:
    h = hadamard(n, n, torch.float64)
    assert torch.allclose(h @ h.T, torch.eye(n, dtype=torch.float64), atol=1e-14)
    assert h.abs().max() - h.abs().min() < 1e-15


def test_zer_o() -> None:
    draw = generator(0)
    before = draw.get_state()
    assert torch.equal(zer_o((4, 4), None, draw), torch.eye(4))
    assert torch.equal(zer_o((3, 5), None, draw), torch.eye(3, 5))
    wide = zer_o((6, 4), None, draw)
    expected = torch.tensor([[1.0, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1], [1, 1, 1, 1], [1, -1, 1, -1]]) / sqrt(8)
    assert torch.allclose(wide, expected)
    assert torch.linalg.matrix_rank(zer_o((64, 16), None, draw)) == 16
    kernel = zer_o((8, 4, 3, 5), None, draw)
    assert torch.equal(kernel[:, :, 1, 2], zer_o((8, 4), None, draw)) and kernel.abs().sum() == kernel[:, :, 1, 2].abs().sum()
    assert torch.equal(draw.get_state(), before)
    with pytest.raises(ParameterError, match="no rows and columns"):
        zer_o((5,), None, draw)


def test_zer_o_as_a_plan_leaves_nothing_to_chance() -> None:
    models = [nn.Sequential(nn.Linear(16, 32), Block(32), Block(32), nn.Linear(32, 4)) for _ in range(2)]
    for seed, model in enumerate(models):
        init.apply(model, "zer_o", sample=normal(2, 16), seed=seed)
    assert all(torch.equal(a, b) for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True))
    assert models[0][1].b.weight.abs().max() == 0 and torch.equal(models[0][1].a.weight, torch.eye(32))


# --- as found --------------------------------------------------------------------------------------


class Drawing(Dataset):
    """Images with an augmentation that draws from every generator there is."""

    def __len__(self) -> int:
        return 40

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return torch.rand(1, 8, 8) + random.random() + np.random.rand(), i


def everything(model: nn.Module, loader: DataLoader | None) -> list[Any]:
    """Every byte that running a model could change."""
    tensors = [*model.state_dict().values(), *(p.grad for p in model.parameters() if p.grad is not None)]
    states = [torch.get_rng_state(), torch.tensor(np.random.get_state()[1].astype(np.int64)), torch.tensor(random.getstate()[1])]
    if loader is not None:
        states += [g.get_state() for g in (loader.generator, loader.sampler.generator) if g is not None]
    facts = [np.random.get_state()[2:], [m.training for m in model.modules()], [p.requires_grad for p in model.parameters()]]
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
    return [*(x.detach().contiguous().view(-1).view(torch.uint8).tolist() for x in (*tensors, *states)), *facts, hooks]


def loaded() -> DataLoader:
    return DataLoader(Drawing(), batch_size=8, shuffle=True, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("source", ["tensor", "loader"])
def test_everything_is_left_as_found(source: str) -> None:
    model = convnet()
    model[3].eval()
    model(normal(4, 1, 8, 8)).sum().backward()
    grads = [p.grad for p in model.parameters()]
    loader = loaded()
    position = iter(loader)
    next(position)
    batch = loader if source == "loader" else normal(16, 1, 8, 8)
    kept = batch.clone() if isinstance(batch, Tensor) else None
    before = everything(model, loader)
    init.probe(model, batch)
    assert everything(model, loader) == before
    with pytest.raises(ZeroDivisionError):
        init.probe(model, batch, loss=lambda out: 1 / 0)
    assert everything(model, loader) == before
    buffers = [b.clone() for b in model.buffers()]
    init.lsuv(model, batch)
    rest = everything(model, loader)
    count = len(model.state_dict())
    assert rest[count:] == before[count:]
    assert all(torch.equal(a, b) for a, b in zip(model.buffers(), buffers, strict=True))
    assert all(p.grad is g for p, g in zip(model.parameters(), grads, strict=True))
    assert kept is None or torch.equal(batch, kept)
    # What the loader gives next is what it would have given.
    other = iter(loaded())
    next(other)
    assert [rows.tolist() for _, rows in position] == [rows.tolist() for _, rows in other]


def test_samples_in_many_forms() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
            return {"out": self.a(x) + torch.relu(self.b(y))}

    model, x, y = Two(), normal(5, 4), normal(5, 4, seed=1)
    by_place, by_name = init.probe(model, (x, y)), init.probe(model, dict(x=x, y=y))
    assert by_place == by_name and len(by_place.rows) == 2
    assert by_place.input_std == std(x) != std(y)  # of several, the first
    alone = nn.Sequential(nn.Linear(4, 4))
    batches = DataLoader(TensorDataset(x, y), batch_size=5)
    assert init.probe(alone, batches) == init.probe(alone, x)
    words = nn.Sequential(nn.Embedding(10, 4).requires_grad_(False), nn.Linear(4, 2).requires_grad_(False))
    seen = init.probe(words, torch.randint(0, 10, (3, 6)))
    assert [row.kind for row in seen.rows] == ["Embedding", "Linear"] and seen.rows[0].gradient_std > 0


def test_attention_a_layer_twice_and_a_layer_never() -> None:
    encoder = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    rows = {row.layer: row for row in init.probe(encoder, normal(2, 5, 8)).rows}
    assert list(rows) == ["self_attn.out_proj", "linear1", "linear2"] and rows["linear1"].nonlinearity == "relu"
    assert all(row.gradient_std > 0 for row in rows.values())

    class Again(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.a(torch.tanh(self.a(x)))

    seen = init.probe(Again(), normal(3, 4))
    assert [row.layer for row in seen.rows] == ["a", "a (2)"] and seen.unseen == ("b",) and "not called: b" in str(seen)


def test_bad_input() -> None:
    model = nn.Sequential(nn.Linear(4, 4))
    before = everything(model, None)

    class Stream(IterableDataset):
        def __iter__(self) -> Any:
            return iter([normal(4)])

    for sample, message in (
        (normal(3, 5), "fail"),
        (DataLoader(Stream()), "IterableDataset"),
        (DataLoader(TensorDataset(normal(0, 4))), "no batch"),
    ):
        with pytest.raises(ParameterError, match=message):
            init.probe(model, sample)
    with pytest.raises(ParameterError, match="no gradient comes back"):
        init.probe(model, normal(3, 4), loss=lambda out: out.detach().sum())
    assert everything(model, None) == before


# --- shown -----------------------------------------------------------------------------------------


def test_the_table_shows_every_layer_or_both_ends() -> None:
    text = str(probe(scaled(2.0), normal(4, 8)))
    assert "activations: exploding, × 1,024 on the way (+0.693 in ln std per layer)" in text and "\x1b" not in text
    long = str(probe(scaled(1.0, layers=100), normal(4, 8)))
    assert "... 40 more" in long and len(long.splitlines()) < 75
    assert [line.split()[0] for line in long.splitlines() if " Linear " in line] == [str(k) for k in (*range(1, 31), *range(71, 101))]


def part(chart: Any, which: int) -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]:
    """A panel of the picture: its title, its points, its line."""
    panel = chart.to_dict()["vconcat"][which]
    marks = {layer["mark"]["type"]: layer.get("data", panel.get("data"))["values"] for layer in panel["layer"]}
    return panel["title"], marks["circle"], marks.get("line", [])


def test_the_picture_shows_the_numbers() -> None:
    net = scaled(2.0)
    net[5].weight.data *= 0  # from here on nothing
    seen = probe(net, normal(4, 8), loss=lambda out: (out + normal(4, 8, seed=1)).square().sum())
    title, points, _ = part(picture(seen), 0)
    assert [p["depth"] for p in points] == [1, 2, 3, 4, 5] and title["subtitle"] == "exploding, × 1,024 on the way"
    assert [p["std"] for p in points] == [row.activation_std for row in seen.rows[:5]]
    title, points, line = part(picture(seen), 1)
    assert [p["std"] for p in points] == [row.gradient_std for row in seen.rows[5:]]
    assert [p["part"] for p in points] == ["layers in line"] * 6 + ["inside branches, head"]
    assert title["subtitle"] == f"{seen.gradient.verdict}, × 1,024 on the way"
    # The line, through what was measured, at the first layer and at the last in line.
    assert [(p["depth"], p["std"]) for p in line] == [(d, pytest.approx(points[0]["std"] * 2.0 ** (6 - d), rel=1e-5)) for d in (1, 11)]


def test_the_picture_of_what_cannot_be_drawn() -> None:
    rows = probe(nn.Sequential(nn.Linear(4, 2)), normal(3, 4))
    _, points, line = part(picture(rows), 0)
    assert len(points) == 1 and not line
    inner = panel("t", [(3, 1.0, False), (5, 4.0, False)], trend([3, 5], [1.0, 4.0], 1), None).to_dict()
    assert [p["depth"] for p in inner["layer"][0]["data"]["values"]] == [3, 5]  # nothing is in line: the line is through all
    legends = [panel("t", [(1, 1.0, True), (2, 1.0, way)], trend([1, 2], [1.0, 1], 1), None).to_dict() for way in (True, False)]
    assert [one["layer"][1]["encoding"]["color"]["legend"] is None for one in legends] == [True, False]


def test_axes() -> None:
    low, high = span([1.0, 2.0])
    assert low == pytest.approx(sqrt(2 / 10)) and high == pytest.approx(sqrt(2 * 10))
    low, high = span([1e-5, 1e5])
    assert 1e-6 < low < 0.5e-5 and 2e5 < high < 1e6
    assert span([]) == pytest.approx((10**-0.5, 10**0.5)) and span([1e-300])[0] > 0 and span([1e-200, 1e-180])[0] > 0
    assert ticks(0.3, 3) == pytest.approx([0.5, 1, 2]) and ticks(1e-3, 1e3) == pytest.approx([1e-3, 1e-1, 10, 1000])
    assert len(ticks(1e-20, 1e20)) <= 7


def test_the_chart_is_a_picture(tmp_path: Path) -> None:
    seen = probe(scaled(2.0), normal(4, 8))
    seen.chart(tmp_path / "probe.png")
    picture = (tmp_path / "probe.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) > 10_000
    probe(nn.Sequential(nn.Linear(4, 2)), normal(3, 4)).chart(str(tmp_path / "one.png"))  # a single layer has no trend
    with pytest.raises(SettingError, match=r"\.png"):
        seen.chart(tmp_path / "probe.jpeg")
