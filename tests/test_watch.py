"""Numbers about a step against literal formulas, the same after a resume, and no trace left of looking."""

import copy
from collections.abc import Callable
from functools import partial
from math import inf, sqrt
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from steepest.core.errors import ParameterError, SettingError, SteepestError
from steepest.core.rng import generator
from steepest.init.travel import CURVES
from steepest.watch import Activations, Health, first_bad, first_bad_gradient, first_bad_parameter, gap, layers, shares, sizes
from steepest.watch.activations import KINDS


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=generator(seed, "test"))


def network() -> nn.Module:
    net = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Dropout(0.2), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))
    for k, p in enumerate(net.parameters()):
        p.data = normal(*p.shape, seed=k) / 2
    return net


def train(steps: int, every: int = 3, saved: dict[int, Any] | None = None, resume: Any = None, watched: bool = True) -> tuple[Any, dict]:
    """A loop with dropout and momentum that may begin at any step. `saved` is filled with what to resume from, before each step."""
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    begin = 0
    if resume:
        begin, weights, state = resume
        net.load_state_dict(weights)
        optimizer.load_state_dict(state)
    health = Health(net, every=every, start=begin) if watched else None
    numbers = {}
    for k in range(begin, steps):
        if saved is not None:
            saved[k] = copy.deepcopy((k, net.state_dict(), optimizer.state_dict()))
        torch.manual_seed(k)
        optimizer.zero_grad()
        net(normal(8, 6, seed=k)).square().mean().backward()
        optimizer.step()
        if health and (found := health(k)):
            numbers[k] = found
        net.eval()
        net(normal(8, 6, seed=k))  # an evaluation; forgetting no_grad changes nothing
        net.train()
    if health:
        health.stop()
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in net.modules())
    return net, numbers


# --- sizes -----------------------------------------------------------------------------------------


def test_sizes_are_the_literal_norms(float64: None) -> None:
    net = network()
    before = [p.detach().clone() for p in net.parameters()]
    net(normal(7, 6)).square().sum().backward()
    with torch.no_grad():
        for p in net.parameters():
            p.add_(p.grad, alpha=-0.01)
    numbers = sizes(layers(net), [b.clone() for b in before])

    def norm(tensors: list[Tensor]) -> float:
        return sqrt(sum(float((x * x).sum().detach()) for x in tensors))

    named = {name: [*net.get_submodule(name).parameters()] for name in ("0", "3", "5")}
    named[""] = [*net.parameters()]
    old = {name: [b for b, p in zip(before, net.parameters(), strict=True) if any(p is q for q in mine)] for name, mine in named.items()}
    for name, mine in named.items():
        end = f"/{name}" if name else ""
        assert numbers[f"weight_norm{end}"] == pytest.approx(norm(mine), rel=1e-12)
        assert numbers[f"gradient_norm{end}"] == pytest.approx(norm([p.grad for p in mine]), rel=1e-12)
        moved = norm([p - b for p, b in zip(mine, old[name], strict=True)])
        assert numbers[f"update_ratio{end}"] == pytest.approx(moved / norm(mine), rel=1e-12)
    assert len(numbers) == 12 and all(type(x) is float for x in numbers.values())


def test_sizes_of_odd_parameters() -> None:
    parts = {"low": nn.Linear(3, 3, dtype=torch.float16), "table": nn.Embedding(9, 2, sparse=True)}
    net = nn.ModuleDict(parts | {"fixed": nn.Linear(2, 2), "tied": nn.Embedding(9, 2)})
    net["tied"].weight = net["table"].weight  # counts once
    net["fixed"].requires_grad_(False)
    net["low"].weight.data.fill_(300.0)  # the square overflows float16
    net["low"].bias.data.zero_()
    net["table"](torch.tensor([1, 1, 4])).sum().backward()
    numbers = sizes(layers(net))
    assert numbers["weight_norm/low"] == 900
    assert numbers["gradient_norm/table"] == pytest.approx(sqrt(2 * (2**2 + 1**2))) and numbers["gradient_norm/low"] == 0
    assert not any("fixed" in name or "tied" in name or "update" in name for name in numbers)
    assert not any("gradient" in name for name in sizes(layers(nn.Linear(2, 2))))  # there is none
    assert sizes(layers(nn.Linear(2, 2))).keys() == {"weight_norm"}  # the model is the layer
    whole = nn.Linear(2, 2, bias=False, dtype=torch.complex64)
    whole.weight.data.fill_(3 + 4j)
    assert sizes(layers(whole)) == {"weight_norm": 10}


def test_ratios_at_zero() -> None:
    net = nn.Linear(2, 2)
    nn.init.zeros_(net.weight), nn.init.zeros_(net.bias)
    assert sizes(layers(net), [torch.zeros(2, 2), torch.zeros(2)])["update_ratio"] == 0
    assert sizes(layers(net), [torch.ones(2, 2), torch.zeros(2)])["update_ratio"] == inf


def test_gap() -> None:
    assert gap(0.5, 0.75) == {"gap": 0.25, "gap_share": 0.5} and gap(0.5, 0.25) == {"gap": -0.25, "gap_share": -0.5}
    assert gap(0.0, 1.0)["gap_share"] == inf


# --- dead and saturated ----------------------------------------------------------------------------


def test_dead_and_saturated_units() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))
    for layer in net[::2]:
        nn.init.zeros_(layer.weight), nn.init.zeros_(layer.bias)
    net[0].bias.data = torch.tensor([-1.0, 1, 1, 1])
    net[2].bias.data = torch.tensor([0.0, 0, 3, -3])  # 1 - tanh(3)² is 1 % of its steepest slope
    look = Activations(net)
    look.begin()
    net(normal(6, 4))
    assert look.end() == {"dead/1": 0.25, "dead/3": 0, "saturated/3": 0.5}
    net(normal(6, 4))
    assert look.end() == {}  # the hooks are gone


@pytest.mark.parametrize(
    ("net", "x"),
    [
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True)), normal(5, 1, 4, 4)),
        (nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU()), normal(5, 2, 8)),
        (nn.Sequential(nn.Linear(3, 4), nn.ReLU()), normal(5, 7, 3)),  # tokens
    ],
    ids=["conv2d", "conv1d", "tokens"],
)
def test_a_unit_is_a_channel_or_a_feature(net: nn.Module, x: Tensor) -> None:
    last = net[1] if isinstance(net[1], nn.BatchNorm2d) else net[0]
    nn.init.zeros_(last.weight)
    last.bias.data = torch.tensor([-1.0, -1, 1, -1])
    look = Activations(net)
    look.begin()
    expected = F.relu(net[:-1](x))
    assert torch.equal(net(x), expected)  # in place or not
    (share,) = look.end().values()
    assert share == 0.75


@pytest.mark.parametrize(
    "kind", [m for m in vars(nn).values() if isinstance(m, type) and m.__name__.lower() in KINDS], ids=lambda m: m.__name__
)
def test_every_curve_is_known_and_not_disturbed(kind: type[nn.Module]) -> None:
    module: Any = kind(0.1, 0.0) if kind is nn.Threshold else kind()
    x, again = (normal(6, 5).requires_grad_() for _ in range(2))
    look = Activations(nn.Sequential(module))
    look.begin()
    y = module(x)
    found = look.end()
    assert 0 <= found["dead/0" if "dead/0" in found else "dead/"] <= 1
    y.square().sum().backward()
    module(again).square().sum().backward()
    assert torch.equal(x.grad, again.grad)
    assert all(p.grad is not None for p in module.parameters())


def test_every_curve_of_the_probe_has_its_module() -> None:
    names = {m.__name__.lower() for m in vars(nn).values() if isinstance(m, type)}
    assert names >= KINDS.keys() and len(KINDS) == len(CURVES) - 1  # RReLU apart


def test_only_training_passes_count_and_calls_are_averaged() -> None:
    curve = nn.ReLU()
    net, look = nn.Sequential(curve), Activations(nn.Sequential(curve))
    dead, alive = -torch.ones(3, 2, requires_grad=True), torch.ones(3, 2, requires_grad=True)
    look.begin()
    with torch.no_grad():
        net(dead)
    net.eval()(dead)
    net.train()
    assert look.end() == {}
    look.begin()
    for x in (dead, alive, alive, alive):
        net(x)
    assert look.end() == {"dead/0": 0.25}


def test_slopes_of_a_curve() -> None:
    x = torch.tensor([[-1.0, 9.0], [-2.0, 0.0]])
    assert shares(torch.relu, x, 1, None) == (0.5, None)
    dead, saturated = shares(torch.sigmoid, x, 1, 0.25)
    assert (dead, saturated) == (0, 0.25)


def test_no_harm_under_vmap_and_compile() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    look = Activations(net)
    look.begin()
    torch.func.vmap(lambda x: net(x))(normal(4, 5, 3))
    compiled = torch.compile(net, backend="eager")
    assert torch.equal(compiled(normal(4, 3)), F.relu(net[0](normal(4, 3))))
    look.end()
    torch._dynamo.reset()


# --- health ----------------------------------------------------------------------------------------


def test_measured_steps_depend_on_their_number_alone() -> None:
    _, numbers = train(8)
    assert [*numbers] == [0, 3, 6]
    for found in numbers.values():
        assert found.keys() >= {
            "gradient_norm",
            "gradient_norm/0",
            "weight_norm/5",
            "update_ratio",
            "update_ratio/3",
            "dead/1",
            "saturated/4",
        }
        assert 0 < found["update_ratio"] < 1
    assert numbers[0] != numbers[3]


@pytest.mark.parametrize("every", [1, 3])
def test_a_resume_at_any_step_gives_the_same_numbers(every: int) -> None:
    saved: dict[int, Any] = {}
    net, whole = train(8, every, saved)
    for k in range(8):
        again, rest = train(8, every, resume=saved[k])
        assert rest == {step: found for step, found in whole.items() if step >= k}
        assert all(torch.equal(p, q) for p, q in zip(net.parameters(), again.parameters(), strict=True))


def test_looking_changes_nothing() -> None:
    looked, _ = train(7, every=1)
    alone, _ = train(7, watched=False)
    assert all(torch.equal(p, q) for p, q in zip(looked.parameters(), alone.parameters(), strict=True))


def test_update_ratio_is_that_of_the_step() -> None:
    net = network()
    health = Health(net, every=2, start=1)
    assert health(1) == {}
    before = torch.cat([p.detach().flatten() for p in net.parameters()])
    net(normal(4, 6)).sum().backward()
    torch.optim.SGD(net.parameters(), lr=0.1).step()
    after = torch.cat([p.detach().flatten() for p in net.parameters()])
    assert health(2)["update_ratio"] == pytest.approx(float((after - before).norm() / after.norm()), rel=1e-5)


def test_after_a_rollback() -> None:
    net = network()
    health = Health(net, every=5)
    health(0), health(1), health.prepare(10)
    assert "weight_norm" in health(10)
    assert health(11) == {}
    health.stop()


def test_health_refuses() -> None:
    for every in (0, -1, 1.5, True):
        with pytest.raises(SettingError, match=rf"Health.every = {every}; give a whole number of steps, 1 or more"):
            Health(network(), every=every)  # type: ignore[arg-type]
    health = Health(network())
    health(0)
    with pytest.raises(SteepestError, match=r"step 300 is to be measured, and Health expected step 1: make Health\(model, start=300\)"):
        health(300)
    stopped = Health(network())
    stopped.stop()
    with pytest.raises(SteepestError, match="step 0 is to be measured"):
        stopped(0)


# --- the first bad value ----------------------------------------------------------------------------


class Root(nn.Module):
    """Takes a root of what may be negative, outside of any module; `inner`: the root is its own last act."""

    def __init__(self, inner: bool) -> None:
        super().__init__()
        self.a, self.b, self.inner = nn.Linear(3, 3), nn.Linear(3, 3), inner

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.a(x)).abs().neg().sqrt() if self.inner else self.b(torch.sqrt(-self.a(x).abs() - 1))


def test_the_first_module_with_a_bad_output() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.ReLU(), nn.Linear(3, 2)), nn.Linear(2, 2))
    x = normal(4, 3)
    assert first_bad(net, x) is None
    net[1][1].bias.data[1] = inf
    bad = first_bad(net, x)
    assert bad and (bad.part, bad.name, bad.kind, bad.nan, bad.inf, bad.of) == ("output", "1.1", "Linear", 0, 4, 8)
    assert str(bad) == "the output of 1.1 (Linear) holds 4 Inf among 8 values; so does its bias" and bad.suspects == ("bias",)
    assert str(first_bad_parameter(net)) == "the parameter 1.1.bias holds 1 Inf among 2 values"


def test_where_no_module_is_to_blame() -> None:
    bad = first_bad(Root(inner=False), normal(4, 3))
    assert bad and (bad.name, bad.inherited) == ("b", True) and "its input did already, from no module" in str(bad)
    bad = first_bad(Root(inner=True), normal(4, 3))
    assert bad and (bad.name, bad.kind, bad.inherited) == ("", "Root", False)
    assert str(bad) == "the output of the model (Root) holds 12 NaN among 12 values; its inputs and weights are finite"
    inner = first_bad(nn.Sequential(nn.Identity(), Root(inner=False)), normal(4, 3))
    assert inner and inner.name == "1.b"


def test_bad_inputs_and_masks() -> None:
    net = nn.Linear(2, 2)
    x = torch.tensor([[1.0, torch.nan]])
    assert str(first_bad(net, x)) == "the input of the model holds 1 NaN among 2 values"
    layer = nn.TransformerEncoderLayer(4, 1, 4, dropout=0.0, batch_first=True)
    mask = nn.Transformer.generate_square_subsequent_mask(3)  # -inf, as it should be
    assert first_bad(layer, {"src": normal(2, 3, 4), "src_mask": mask}) is None
    layer.linear2.weight.data[0, 0] = torch.nan
    bad = first_bad(layer, {"src": normal(2, 3, 4), "src_mask": mask})
    assert bad and bad.name == "linear2"


def test_bad_parameters_buffers_and_gradients() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Embedding(3, 2, sparse=True))
    assert first_bad_parameter(net) is None and first_bad_gradient(net) is None
    net[1].running_var[0] = torch.nan
    bad = first_bad_parameter(net)
    assert bad and (bad.part, bad.name) == ("buffer", "1.running_var")
    (net[2](torch.tensor([1])) * torch.tensor([inf, torch.nan])).sum().backward()
    assert str(first_bad_gradient(net)) == "the gradient of 2.weight holds 1 NaN and 1 Inf among 2 values"


@pytest.mark.parametrize("breakdown", [None, "middle"])
def test_first_bad_leaves_the_model_as_it_was(breakdown: str | None) -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Linear(3, 3))
    if breakdown:
        net[3].weight.data[0] = torch.nan
    before, state = copy.deepcopy(net.state_dict()), torch.get_rng_state()
    assert (first_bad(net, normal(4, 3)) is None) == (breakdown is None)
    assert all(torch.equal(x.nan_to_num(), y.nan_to_num()) for x, y in zip(before.values(), net.state_dict().values(), strict=True))
    assert torch.equal(torch.get_rng_state(), state) and not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    with pytest.raises(ParameterError, match="the model fails on this sample"):
        first_bad(net, normal(4, 7))
    assert not any(m._forward_hooks for m in net.modules())


def test_a_model_that_catches_everything_is_stopped_all_the_same() -> None:
    class Stubborn(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            run: Callable[[], Tensor] = partial(self.a, x)
            try:
                return run()
            except Exception:
                return x

    net = Stubborn()
    net.a.bias.data.fill_(torch.nan)
    bad = first_bad(net, normal(2, 2))
    assert bad and bad.name == "a"
