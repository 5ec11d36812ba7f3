"""Initialization: moments, fans, gains, structure, plans; and that a mistake leaves the model as it was."""

import contextlib
import copy
import math
import subprocess
import sys

import models_for_init as models
import pytest
import torch
from models_for_init import MODELS
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

import steepest as sp
from steepest.core.errors import ParameterError, PlanError, SettingError, SteepestError
from steepest.core.plan import Plan
from steepest.core.rng import generator
from steepest.init import record as recording
from steepest.init.fans import Fans, blocks, fans
from steepest.init.gains import GAINS, REACH, critical, gain, moment, slope
from steepest.init.initializers import FILLS, INITIALIZERS, Rehearsed
from steepest.init.plans import PLANS
from steepest.init.structure import structure
from steepest.optim import Optimizer
from steepest.rules import Adam, Clip
from steepest.rules.plans import scaled


def draw(name, shape, seed=0, given=None, **settings):
    return INITIALIZERS[name](shape, given, generator(seed, "test", name), **settings)


def state(model):
    return {name: x.clone() for name, x in model.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


# --- initializers -------------------------------------------------------------------------------------

SHAPE = (400, 200, 2)  # fan_in 400, fan_out 800
FIXED = {"zeros", "ones", "constant", "identity", "dirac", "zer_o"}
# name, settings -> mean, variance, fourth moment over variance squared
NORMAL, FLAT, CUT = 3.0, 1.8, 2.3656
MOMENTS = {
    "normal": ("normal", {}, 0.0, 1.0, NORMAL),
    "normal with numbers": ("normal", dict(mean=3.0, std=0.5), 3.0, 0.25, NORMAL),
    "uniform": ("uniform", {}, 0.0, 1 / 3, FLAT),
    "uniform with numbers": ("uniform", dict(low=1.0, high=3.0), 2.0, 1 / 3, FLAT),
    "truncated_normal": ("truncated_normal", {}, 0.0, 0.7737413, CUT),
    "truncated_normal with numbers": ("truncated_normal", dict(mean=-1.0, std=2.0), -1.0, 4 * 0.7737413, CUT),
    "variance_scaling": ("variance_scaling", {}, 0.0, 1 / 400, NORMAL),
    "variance_scaling cut": ("variance_scaling", dict(scale=2.0, distribution="truncated_normal", mode="fan_out"), 0.0, 2 / 800, CUT),
    "xavier_uniform": ("xavier_uniform", {}, 0.0, 2 / 1200, FLAT),
    "xavier_normal": ("xavier_normal", dict(gain=2.0), 0.0, 8 / 1200, NORMAL),
    "he_uniform": ("he_uniform", {}, 0.0, 2 / 400, FLAT),
    "he_normal": ("he_normal", {}, 0.0, 2 / 400, NORMAL),
    "he_normal fan_out": ("he_normal", dict(mode="fan_out", gain=3.0), 0.0, 9 / 800, NORMAL),
    "lecun_uniform": ("lecun_uniform", {}, 0.0, 1 / 400, FLAT),
    "lecun_normal": ("lecun_normal", {}, 0.0, 1 / 400, NORMAL),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", MOMENTS)
def test_moments_at_four_sigma(case, dtype):
    name, settings, mean, variance, kurtosis = MOMENTS[case]
    for seed in range(3):
        x = draw(name, SHAPE, seed, dtype=dtype, **settings)
        n = x.numel()
        assert x.shape == SHAPE and x.dtype == dtype
        assert abs(x.double().mean() - mean) < 4 * math.sqrt(variance / n)
        assert abs(x.double().var() / variance - 1) < 4 * math.sqrt((kurtosis - 1) / n), "the variance"
        fourth = ((x.double() - x.double().mean()) ** 4).mean() / variance**2
        assert fourth == pytest.approx(kurtosis, rel=0.03), "the shape of the distribution"


def test_the_cut_is_where_it_is_said():
    x = draw("truncated_normal", (1000, 100), mean=1.0, std=0.5, cut=1.5)
    assert 0.25 <= x.min() < 0.26 and 1.74 < x.max() <= 1.75


@pytest.mark.parametrize("shape", [(64, 64), (30, 70), (70, 30), (16, 8, 3, 3), (512, 256)])
def test_orthogonal(shape):
    q = draw("orthogonal", shape).reshape(shape[0], -1).double()
    gram = q @ q.T if q.shape[0] <= q.shape[1] else q.T @ q
    assert (gram - torch.eye(len(gram))).abs().max() < 1e-6
    assert torch.allclose(draw("orthogonal", shape, gain=3.0), 3 * draw("orthogonal", shape))


def test_centered_rows_do_not_pass_what_all_inputs_share():
    q = draw("orthogonal", (30, 70), gain=2.0, centered=True)
    assert q.sum(1).abs().max() < 1e-5 < draw("orthogonal", (30, 70), gain=2.0).sum(1).abs().max()
    assert torch.linalg.matrix_norm(q / 2, 2) <= 1 + 1e-6
    kernel = draw("delta_orthogonal", (8, 8, 3, 3), centered=True)
    assert kernel.sum(1).abs().max() < 1e-5 and kernel[..., 1, 1].any()


def test_orthogonal_is_uniform():
    """Without the sign of r, QR favors one half of all matrices: the mean of the first entry would be -0.5."""
    entries = torch.stack([draw("orthogonal", (2, 2), seed)[0, 0] for seed in range(400)])
    assert abs(entries.mean()) < 4 * math.sqrt(0.5 / 400)


@pytest.mark.parametrize(("shape", "groups"), [((8, 8, 3), 1), ((16, 8, 3, 3), 1), ((8, 4, 5, 5), 2), ((8, 8, 1, 3, 3), 1)])
def test_delta_orthogonal(shape, groups):
    x = draw("delta_orthogonal", shape, groups=groups)
    center = x[(..., *(k // 2 for k in shape[2:]))]
    assert x.count_nonzero() == center.count_nonzero() > 0
    for q in center.double().chunk(groups):
        assert (q.T @ q - torch.eye(shape[1])).abs().max() < 1e-6 or (q @ q.T - torch.eye(len(q))).abs().max() < 1e-6


def test_looks_linear_is_linear_behind_relus():
    first = draw("looks_linear", (12, 6), inputs=False, gain=1.0)
    middle = draw("looks_linear", (20, 12), gain=math.sqrt(2))
    last = draw("looks_linear", (5, 20), outputs=False, gain=math.sqrt(2))

    def network(x):
        return F.relu(F.relu(x @ first.T) @ middle.T) @ last.T

    x, y = torch.randn(2, 7, 6)
    assert torch.allclose(network(x + 2 * y), network(x) + 2 * network(y), atol=1e-5)


def test_fixed_values():
    assert torch.equal(draw("zeros", (3, 2)), torch.zeros(3, 2)) and torch.equal(draw("ones", (2,)), torch.ones(2))
    assert torch.equal(draw("constant", (3,), value=0.5), torch.full((3,), 0.5))
    assert torch.equal(draw("identity", (3, 5), gain=2.0), 2 * torch.eye(3, 5))
    x = torch.randn(2, 6, 7, 7)
    assert torch.equal(F.conv2d(x, draw("dirac", (6, 6, 3, 3)), padding=1), x)
    assert torch.equal(F.conv2d(x, draw("dirac", (6, 3, 3, 3), groups=2), padding=1, groups=2), x)


def test_sparse_gives_each_output_its_inputs():
    x = draw("sparse", (50, 40), connections=7, std=2.0)
    assert (x.count_nonzero(dim=1) == 7).all()
    assert abs(x[x != 0].var() / 4 - 1) < 4 * math.sqrt(2 / 350)
    assert draw("sparse", (5, 3)).count_nonzero() == 15


@pytest.mark.parametrize("name", INITIALIZERS)
def test_initializers_are_pure(name):
    shape = (6, 6, 3, 3) if name in ("delta_orthogonal", "dirac") else (6, 6)
    settings = {"value": 1.0} if name == "constant" else {}
    first, again = draw(name, shape, **settings), draw(name, shape, **settings)
    assert torch.equal(first, again), "the stream alone decides"
    assert draw(name, shape, dtype=torch.float64, **settings).dtype == torch.float64
    with contextlib.nullcontext() if name in FIXED else pytest.raises(Rehearsed):  # nothing random without a generator
        INITIALIZERS[name](shape, None, None, **settings)
    if name in FILLS:
        out = torch.empty(shape)
        assert draw(name, shape, out=out, **settings) is out and torch.equal(out, first)


# --- fans and gains -----------------------------------------------------------------------------------

FANS = {
    "linear": ((20, 10), "Linear", {}, (10, 20)),
    "conv1d": ((8, 4, 5), "Conv1d", {}, (20, 40)),
    "conv2d": ((8, 4, 3, 3), "Conv2d", {}, (36, 72)),
    "conv3d": ((8, 4, 3, 3, 3), "Conv3d", {}, (108, 216)),
    "grouped": ((8, 2, 3, 3), "Conv2d", {"groups": 2}, (18, 36)),
    "depthwise": ((8, 1, 3, 3), "Conv2d", {"groups": 8}, (9, 9)),
    "transposed": ((4, 8, 3, 3), "ConvTranspose2d", {}, (36, 72)),
    "transposed with stride": ((4, 8, 2, 2), "ConvTranspose2d", {"stride": (2, 2)}, (4, 32)),
    "transposed and grouped": ((4, 8, 3), "ConvTranspose1d", {"groups": 2}, (6, 24)),
    "embedding": ((100, 16), "Embedding", {}, (1, 16)),
    "bilinear": ((5, 3, 4), "Bilinear", {}, (12, 5)),
}


@pytest.mark.parametrize("case", FANS)
def test_fans(case):
    shape, kind, more, expected = FANS[case]
    assert fans(shape, kind, **more) == Fans(*expected)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Linear(60, 40),
        nn.Conv2d(24, 16, 3, groups=4),
        nn.Conv1d(16, 8, 5),
        nn.ConvTranspose2d(32, 16, 4, stride=2),
        nn.ConvTranspose1d(32, 16, 3, groups=2),
        nn.Conv3d(8, 6, 3),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_fan_in_is_what_one_output_sees(layer):
    """Variance 1/fan_in and inputs of variance 1 give outputs of variance 1, away from the borders."""
    sp.init.apply(layer, {"bias": "zeros", "weight": "lecun_normal"})
    spatial = layer.weight.ndim - 2
    x = torch.randn(200 if not spatial else 8, getattr(layer, "in_channels", 60), *[14] * spatial)
    y = layer(x)[(..., *[slice(4, -4)] * spatial)]
    assert y.var().item() == pytest.approx(1, abs=4 * math.sqrt(2 / layer.weight.numel()) + 0.05)


def test_packed_parameters_are_matrices_of_their_own():
    assert blocks(nn.LSTM(3, 5), "weight_ih_l0") == [slice(0, 5), slice(5, 10), slice(10, 15), slice(15, 20)]
    assert len(blocks(nn.GRU(3, 5), "weight_hh_l0")) == 3 and len(blocks(nn.GRUCell(3, 5), "bias_ih")) == 3
    assert blocks(nn.RNN(3, 5), "weight_hh_l0") == [slice(None)]
    assert blocks(nn.LSTM(3, 5, proj_size=2), "weight_hr_l0") == [slice(None)]
    attention = nn.MultiheadAttention(6, 2)
    assert blocks(attention, "in_proj_weight") == [slice(0, 6), slice(6, 12), slice(12, 18)]
    sp.init.apply(attention, {"*bias": "zeros", "*": "orthogonal"})
    for part in attention.in_proj_weight.detach().chunk(3):
        assert (part @ part.T - torch.eye(6)).abs().max() < 1e-6


KNOWN = {
    "linear": 1.0,
    "relu": math.sqrt(2),
    "leaky_relu": math.sqrt(2 / (1 + 0.01**2)),
    "prelu": math.sqrt(2 / (1 + 0.25**2)),
    "selu": 1.0,
    "reglu": 2**0.25,
    # By scipy.integrate.quad to 1e-12.
    "tanh": 1.5925374197228312,
    "sigmoid": 1.8462285,
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_gains(name):
    assert gain(name) == pytest.approx(KNOWN[name], abs=1e-6)


def test_gains_take_parameters():
    assert gain("leaky_relu", slope=0.3) == pytest.approx(math.sqrt(2 / 1.09), abs=1e-9)
    assert gain("elu", alpha=0.5) != gain("elu")


@pytest.mark.parametrize("name", GAINS)
def test_every_gain_keeps_the_second_moment(name):
    z, a = torch.randn(2, 1_000_000, generator=generator(0, name), dtype=torch.float64)
    if name in ("glu", "reglu", "geglu", "swiglu"):
        out = gain(name) * a * GAINS[name](gain(name) * z)
    else:
        out = gain(name) * GAINS[name](z)
    assert out.square().mean().item() == pytest.approx(1, abs=4 * (out.square().std() / 1e3).item())


@pytest.mark.parametrize("layers", [1, 50])
@pytest.mark.parametrize("name", REACH)
def test_the_critical_gain_keeps_gradients_and_its_biases_keep_activations(name, layers):
    f, level = GAINS[name], (0.75 * REACH[name]) ** 2
    factor, bias = critical(name, layers)
    rest = f(torch.zeros(1, dtype=torch.float64))
    assert bias > 0 and factor**2 * moment(lambda z: f(z) - rest, level) + bias**2 == pytest.approx(level, abs=1e-9), "a fixed point"
    assert factor**2 * slope(f, level) == pytest.approx({1: 13 / 12, 50: 1.02}[layers], abs=1e-9)
    at_zero, bound = math.sqrt(slope(f, 1e-12)), (f(torch.tensor(1e6, dtype=torch.float64)) - rest).item()
    assert REACH[name] == pytest.approx(bound / at_zero, rel=1e-5)


# --- structure ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_tracing_and_watching_agree(name, monkeypatch):
    make, sample = MODELS[name]
    model = make()
    watched = structure_by_watching(model, sample, monkeypatch)
    assert not watched.unclassified
    if isinstance(recording.trace(model), recording.Record):
        traced = structure(model)
        assert [without_module(x) for x in traced.layers] == [without_module(x) for x in watched.layers]
    else:
        assert name in ("encoder", "gpt")


def structure_by_watching(model, sample, monkeypatch):
    monkeypatch.setattr(recording, "trace", lambda model: "not asked")
    found = structure(model, sample)
    monkeypatch.undo()
    assert "watched" in found.how
    return found


def without_module(layer):
    return {k: v for k, v in vars(layer).items() if k != "module"}


def nonlinearities(model, sample=None):
    return {x.name: x.nonlinearity for x in structure(model, sample).layers if x.weighs}


def test_what_follows():
    assert nonlinearities(models.lenet()) == {"0": "relu", "3": "relu", "7": "relu", "9": "relu", "11": None}
    assert nonlinearities(models.SwiGLU()) == {"gate": "swiglu", "value": "swiglu", "out": None}
    gpt = nonlinearities(models.GPT(1), models.TOKENS)
    assert gpt["blocks.0.up"] == "gelu" and not any(v for k, v in gpt.items() if k != "blocks.0.up")
    assert nonlinearities(models.UNet())["up"] == "relu"
    encoder = nonlinearities(models.Encoder(), models.TOKENS)
    assert encoder["encoder.layers.1.linear1"] == "gelu" and encoder["encoder.layers.1.self_attn.out_proj"] is None


FOLLOWED = {
    "leaky_relu": lambda h: F.leaky_relu(h, 0.2),
    "elu": lambda h: F.elu_(h, 0.5),
    "tanh": lambda h: h.tanh(),
    "silu": lambda h: h * torch.sigmoid(h),
    "glu": lambda h: F.glu(h),
    "geglu": lambda h: F.gelu(h.chunk(2, -1)[0]) * h.chunk(2, -1)[1],
    "softplus": lambda h: F.softplus(F.layer_norm(h, (8,)).transpose(0, 1).reshape(h.size(0), -1)),
    "sigmoid": lambda h: torch.sigmoid(F.dropout(h.T.mT, training=False) + 1) - torch.zeros_like(h),
}


@pytest.mark.parametrize("watching", [False, True], ids=["traced", "watched"])
@pytest.mark.parametrize("name", FOLLOWED)
def test_functions_are_seen(name, watching, monkeypatch):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 8), nn.LazyLinear(3)

        def forward(self, x):
            return self.b(FOLLOWED[name](self.a(x)))

    model, x = Net(), torch.randn(5, 4)
    model(x)
    found = structure_by_watching(model, x, monkeypatch) if watching else structure(model)
    assert not found.unclassified
    assert found.by_name["a"].nonlinearity == name and found.by_name["b"].head and not found.by_name["a"].head
    assert found.by_name["a"].normalized == (name == "softplus")
    assert found.by_name["a"].parameters == {"leaky_relu": {"slope": 0.2}, "elu": {"alpha": 0.5}}.get(name, {})


def test_what_cannot_be_told_is_listed():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            h = self.b(torch.sin(self.a(x)))
            return torch.relu(h) + torch.tanh(h)

    report = sp.init.apply(Odd())
    assert report.unclassified == [
        "a: followed by sin, which has no gain",
        "b: followed by relu or tanh, which has no gain",
        "c: it was not called as a module",
    ]
    assert "not classified: a: followed by sin" in str(report)
    assert {row.reason for row in report.rows if row.parameter in ("a.weight", "c.weight")} == {"what follows is unknown"}
    without = sp.init.apply(models.GPT())
    assert "pass sample=" in without.unclassified[0]


def ends(model, sample=None):
    return [x.name for x in structure(model, sample).ends]


def test_where_residual_branches_end():
    assert ends(models.residual(2, 4)) == ["0.down", "1.down"]
    assert ends(models.GPT(2), models.TOKENS) == [f"blocks.{i}.{x}" for i in range(2) for x in ("proj", "down")]
    assert ends(models.Encoder(), models.TOKENS) == [f"encoder.layers.{i}.{x}" for i in range(3) for x in ("self_attn.out_proj", "linear2")]
    resnet = models.ResNet((2, 2), bottleneck=False)
    assert ends(resnet) == [f"layers.{i}.bn2" for i in range(4)], "not the projections that skip"
    assert ends(models.ResNet((1, 1), bottleneck=True)) == ["layers.0.bn3", "layers.1.bn3"]
    assert not ends(models.UNet()) and not ends(models.lenet()) and not ends(models.SwiGLU())
    inside = [x.name for x in structure(models.residual(1, 4, norm=True)).layers if x.in_residual]
    assert inside == ["0.norm", "0.up", "0.down"]


def test_depth_and_feeding():
    layers = structure(models.lenet()).by_name
    assert [layers[x].depth for x in ("0", "3", "7", "9", "11")] == [1, 2, 3, 4, 5]
    assert [layers[x].fed_by for x in ("0", "3", "7", "9", "11")] == [None, "0", "3", "7", "9"]


# --- apply --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("name", MODELS)
def test_every_model_takes_every_plan(name, plan):
    make, sample = MODELS[name]
    model = make().train()
    before, chance, modes = state(model), torch.get_rng_state(), [m.training for m in model.modules()]
    if plan in ("fixup", "skip_zero", "depth_scaled") and not structure(model, sample).ends:
        with pytest.raises(PlanError, match="no residual branch"):
            sp.init.apply(model, plan, sample=sample)
        assert same(state(model), before)
        return
    report = sp.init.apply(model, plan, sample=sample)
    named = dict(model.named_parameters())
    assert all(torch.isfinite(p).all() and p.grad is None for p in named.values())
    assert len(report.rows) <= len(named) and all(row.reason and row.initializer for row in report.rows)
    assert torch.equal(torch.get_rng_state(), chance) and modes == [m.training for m in model.modules()]
    assert all(torch.equal(b, before[k]) for k, b in model.named_buffers()), "buffers are as they were"
    frozen = {k for k, p in named.items() if not p.requires_grad}
    assert all(torch.equal(named[k], before[k]) for k in frozen)
    assert {row.parameter for row in report.rows if row.initializer == "left as it is"} == frozen
    again = make()
    sp.init.apply(again, plan, sample=sample)
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), again.parameters(), strict=True) if p.requires_grad)
    assert torch.isfinite(model.eval()(sample)).all()


def test_the_order_of_modules_does_not_matter():
    def model(reverse):
        parts = {"a": nn.Linear(5, 4), "b": nn.Conv1d(2, 3, 3), "c": nn.LSTM(3, 4)}
        return nn.ModuleDict(dict(reversed(parts.items())) if reverse else parts)

    forward, backward, other = model(False), model(True), model(False)
    for m, seed in ((forward, 3), (backward, 3), (other, 4)):
        sp.init.apply(m, {"*bias*": "zeros", "*": "orthogonal"}, seed=seed)
    assert same(state(forward), state(backward)) and not same(state(forward), state(other))


def test_bits_do_not_depend_on_precision_or_layout():
    plain, half, strided = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3).bfloat16(), nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    for m in (plain, half, strided):
        sp.init.apply(m, "he")
    assert torch.equal(plain.weight, strided.weight) and torch.equal(plain.weight.bfloat16(), half.weight)


def test_embeddings_of_words_start_small_and_what_is_added_to_them_too():
    model = nn.ModuleDict({"words": nn.Embedding(1000, 8), "places": nn.Embedding(50, 8), "letters": nn.Embedding(999, 16)})
    assert {row.parameter: row.initializer for row in sp.init.apply(model).rows} == {
        "words.weight": "normal(std=0.03)",
        "places.weight": "normal(std=0.03)",
        "letters.weight": "normal",
    }


def test_tied_weights_once_under_their_first_name():
    model = models.GPT()
    report = sp.init.apply(model, sample=models.TOKENS)
    assert model.head.weight is model.tokens.weight
    assert [row.parameter for row in report.rows if row.parameter in ("tokens.weight", "head.weight")] == ["tokens.weight"]
    assert model.tokens.weight.std().item() == pytest.approx(0.25, rel=0.2)


def test_forget_gates_start_open():
    model = models.Recurrent()
    sp.init.apply(model)
    bias = (model.rnn.bias_ih_l1 + model.rnn.bias_hh_l1).detach()
    assert bias.tolist() == [0.0] * 12 + [1.0] * 12 + [0.0] * 24
    for part in model.rnn.weight_hh_l1.detach().chunk(4):
        assert (part @ part.T - torch.eye(12)).abs().max() < 1e-6


def test_parametrized_weights_become_what_was_drawn():
    plain = nn.Linear(6, 8)
    sp.init.apply(plain, "he")
    normed = parametrizations.weight_norm(nn.Linear(6, 8))
    report = sp.init.apply(normed, "he")
    assert torch.allclose(normed.weight, plain.weight, atol=1e-6)
    assert [row.parameter for row in report.rows] == ["bias", "weight"]
    with pytest.warns(FutureWarning):
        older = nn.utils.weight_norm(nn.Linear(6, 8))
    sp.init.apply(older, "he")
    older(torch.zeros(1, 6))
    assert torch.allclose(older.weight, plain.weight, atol=1e-6)

    class Doubled(nn.Module):
        def forward(self, x):
            return 2 * x

    odd = nn.Linear(6, 8)
    nn.utils.parametrize.register_parametrization(odd, "weight", Doubled())
    before = odd.weight.clone()
    report = sp.init.apply(odd, "he")
    assert torch.equal(odd.weight, before) and "no right_inverse" in str(report)


def test_spectral_norm_is_looked_at_without_being_moved():
    model = nn.Sequential(parametrizations.spectral_norm(nn.Linear(6, 8)), nn.ReLU())
    before = {k: b.clone() for k, b in model.named_buffers()}
    sp.init.apply(model, sample=torch.zeros(2, 6))
    assert all(torch.equal(b, before[k]) for k, b in model.named_buffers())


def test_plans_written_out():
    model = models.vgg()
    plan = {"*.bias": "zeros", "Conv2d": {"name": "he_normal", "mode": "fan_out"}, "Linear": "xavier_normal", "*": "auto"}
    first = sp.init.apply(model, plan)
    kinds = {row.kind: row.initializer for row in first.rows if row.parameter.endswith("weight")}
    assert kinds == {"Conv2d": "he_normal(mode=fan_out)", "Linear": "xavier_normal", "BatchNorm2d": "ones"}
    again = sp.init.apply(model, list(plan.items()))
    assert again == first == sp.init.apply(model, Plan(tuple(plan.items())))
    custom = models.Custom()
    sp.init.apply(custom, {"temperature": {"name": "constant", "value": 3}, "*": "auto"})
    assert custom.temperature.item() == 3


def test_no_compiler_is_loaded():
    code = (
        "import sys, torch, steepest as sp\n"
        "for name in sp.init.INITIALIZERS:\n"
        "    model = torch.nn.Conv2d(4, 4, 3) if name in ('dirac', 'delta_orthogonal') else torch.nn.Linear(4, 4)\n"
        "    sp.init.apply(model, {'bias': 'zeros', '*': {'name': name, 'value': 1.0} if name == 'constant' else name})\n"
        "print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_report_is_data():
    report = sp.init.apply(models.lenet())
    assert report.rows[0] == ("0.weight", "Conv2d", (6, 1, 5, 5), "he_normal(gain=1.414)", "relu follows")
    assert report.as_dict()["rows"][0]["kind"] == "Conv2d"
    assert str(report).splitlines()[1].split()[:3] == ["0.weight", "Conv2d", "6x1x5x5"]
    assert report.__rich__().row_count == len(report.rows) == 10


def test_torch_default_is_torchs_own():
    model = nn.Linear(300, 400)
    sp.init.apply(model, "torch_default")
    bound = 1 / math.sqrt(300)
    assert model.weight.abs().max() <= bound and abs(model.weight.var() * 3 / bound**2 - 1) < 4 * math.sqrt(0.8 / 120_000)
    assert model.bias.abs().max() > 0


# --- what plans promise -------------------------------------------------------------------------------


def test_residual_plans():
    model = models.residual(6, 16)
    x = torch.randn(8, 16)
    for plan in ("skip_zero", "fixup"):
        sp.init.apply(model, plan)
        assert torch.equal(model(x), x), plan
    assert model[0].up.weight.var().item() == pytest.approx(2 / 16 / 6, rel=0.3)
    sp.init.apply(model, "depth_scaled")
    assert model[0].down.weight.var().item() == pytest.approx(1 / 32 / 6, rel=0.3)
    resnet = models.ResNet((2, 2), bottleneck=False)
    sp.init.apply(resnet, "skip_zero")
    assert not resnet.layers[1].bn2.weight.any() and resnet.layers[1].conv2.weight.any() and resnet.layers[1].bn1.weight.all()


def signals(model, x):
    """Standard deviations at every stop: activations in units of the input's; gradients from the input's to the one that came in."""
    seen = [x.clone().requires_grad_()]
    for part in model:  # what each layer gives, and what the nonlinearity behind it makes of that
        seen.append(part(seen[-1]))
        seen[-1].retain_grad()
    back = torch.randn(seen[-1].shape, generator=generator(0, "gradient"))
    seen[-1].backward(back)
    return [h.detach().std().item() / x.std().item() for h in seen], [h.grad.std().item() for h in seen]


def factor(sizes, reference):
    return max(max(size / reference, reference / max(size, 1e-30)) for size in sizes)


DEEP = {
    "50 ReLU layers": (lambda: models.stack(50, 64, nn.ReLU), (64, 64)),
    "50 tanh layers": (lambda: models.stack(50, 256, nn.Tanh), (64, 256)),
    "50 convolutions": (lambda: models.conv_stack(50, 16, channels=16), (4, 16, 10, 10)),
    "24 residual blocks": (lambda: models.residual(24, 64), (64, 64)),
    "24 residual blocks with norms": (lambda: models.residual(24, 64, norm=True), (64, 64)),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", DEEP)
def test_auto_keeps_signals_through_any_depth(name, seed):
    """Every activation within 2 of the input; every gradient within 2 of the one at the input, and of the one that came in at the end."""
    make, shape = DEEP[name]
    model, x = make(), torch.randn(shape, generator=generator(seed, "x"))
    sp.init.apply(model, "auto", seed=seed)
    activations, gradients = signals(model, x)
    assert len(activations) > 24
    assert factor(activations, 1) <= 2
    assert factor(gradients, gradients[0]) <= 2 and factor(gradients, gradients[-1]) <= 2


@pytest.mark.parametrize("name", ["50 ReLU layers", "50 tanh layers", "50 convolutions"])
def test_torchs_default_does_not(name):
    make, shape = DEEP[name]
    model = make()
    sp.init.apply(model, "torch_default")
    activations, gradients = signals(model, torch.randn(shape))
    assert factor(activations, 1) > 20 and factor(gradients, gradients[-1]) > 1e10


def test_where_the_width_changes_signals_are_kept_and_gradients_pay():
    """No matrix from n to m numbers keeps both: what it does to gradients is sqrt(m/n) of what it does to signals."""
    model, x = models.conv_stack(50, 16, channels=3), torch.randn(4, 3, 10, 10, generator=generator(0, "x"))
    sp.init.apply(model, "auto")
    activations, gradients = signals(model, x)
    assert factor(activations, 1) <= 2 and factor(gradients[1:], gradients[-1]) <= 2
    assert gradients[0] / gradients[1] == pytest.approx(math.sqrt(2 * 16 / 3), rel=0.1)  # 3.27, of which sqrt(2) is the gain of ReLU


def test_tanh_fluctuates_with_the_width_and_no_more_than_it_must():
    """In narrow layers chance moves the gradients; the median over seeds stays."""
    worst = []
    for seed in range(9):
        model, x = models.stack(50, 32, nn.Tanh), torch.randn(64, 32, generator=generator(seed, "x"))
        sp.init.apply(model, "auto", seed=seed)
        gradients = signals(model, x)[1]
        worst.append(factor(gradients, gradients[-1]))
    assert sorted(worst)[4] <= 2 and max(worst) <= 4


def test_sigmoid_is_tanh_once_its_one_half_is_taken_off():
    model, x = models.stack(30, 128, nn.Sigmoid), torch.randn(64, 128, generator=generator(0, "x"))
    assert sp.init.apply(model, "torch_default") and factor(signals(model, x)[1], 1) > 1e20
    report = sp.init.apply(model, "auto")
    activations, gradients = signals(model, x)
    assert factor(activations[7:-2:2], 1.5) <= 1.2  # before each sigmoid: 0.75 of its reach, which is 2
    assert factor(gradients[1:-2:2], gradients[-4]) <= 2
    assert report.rows[2].initializer.endswith("centered=True)") and "without the one half" in report.rows[2].reason
    assert all(row.reason.startswith("edge of chaos for 30 layers") for row in report.rows[1:-1:2])
    for layer in model[2:-2:2]:
        assert layer.weight.sum(1).abs().max() < 1e-4
    assert model[0].weight.sum(1).abs().max() > 1


@pytest.mark.parametrize("name", ["50 ReLU layers", "50 tanh layers", "24 residual blocks"])
def test_what_auto_starts_learns(name):
    make, shape = DEEP[name]
    model = make()
    sp.init.apply(model, "auto")
    x = torch.randn(shape)
    y = x.roll(1, dims=1) * 0.5
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


# --- mup ----------------------------------------------------------------------------------------------


def widths(width):
    return nn.Sequential(nn.Linear(10, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 3))


def test_mup_rates_reach_the_optimizer_and_survive_save_and_load():
    model = widths(512)
    rates = sp.init.apply(model, "mup").lr_multipliers
    assert rates == {"0.weight": 1, "0.bias": 1, "2.weight": 0.25, "2.bias": 1, "4.weight": 0.25, "4.bias": 1}
    optimizer = Optimizer(model, scaled(model, Clip(inner=Adam(lr=1e-2)), rates))

    def lrs(opt):
        return {name: group["lr"] for group in opt.param_groups for name in group["param_names"]}

    assert lrs(optimizer) == {name: 1e-2 * rate for name, rate in rates.items()}
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()
    twin = copy.deepcopy(model)
    fresh = Optimizer(twin, scaled(twin, Clip(inner=Adam(lr=5.0)), rates))
    fresh.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert lrs(fresh) == lrs(optimizer)
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        a.grad, b.grad = torch.full_like(a, 0.3), torch.full_like(b, 0.3)
    optimizer.step()
    fresh.step()
    assert same(state(model), state(twin))


def test_mup_changes_a_wide_network_as_much_as_a_narrow_one():
    """One step of Adam at the same lr: without the rates, the output of a network 16 times as wide moves far more."""

    def moved(width, plan):
        changes = []
        for seed in range(4):
            model, x = widths(width), torch.randn(16, 10, generator=generator(seed, "x"))
            rates = sp.init.apply(model, plan, seed=seed).lr_multipliers
            before = model(x).detach()
            model(x).square().mean().backward()
            Optimizer(model, scaled(model, Adam(lr=1e-3), rates)).step()
            changes.append((model(x) - before).detach().abs().mean().item())
        return sum(changes)

    assert moved(2048, "mup") / moved(128, "mup") < 2.5 < 4 < moved(2048, "he") / moved(128, "he")


def test_rates_for_unknown_parameters_are_refused():
    model = widths(8)
    with pytest.raises(SettingError, match=r"^scaled: the model has no parameter '2\.wieght'; did you mean 2\.weight\?$"):
        scaled(model, Adam(), {"2.wieght": 0.5})
    with pytest.raises(SettingError, match=r"is outside \[0, inf\)"):
        scaled(model, Adam(), {"2.weight": -0.5})


# --- bad input ----------------------------------------------------------------------------------------


class Failing(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.norm = nn.Linear(3, 3), nn.BatchNorm1d(3)

    def forward(self, x):
        self.norm(self.linear(x))
        torch.rand(3)
        raise RuntimeError("out of cheese\nplease restart")


BAD = {
    "plan": (models.lenet, dict(plan="fixupp"), "unknown plan 'fixupp'; did you mean fixup?"),
    "plan that is an initializer": (
        models.lenet,
        dict(plan="he_normal"),
        'unknown plan \'he_normal\'; as a plan: {"*.bias": "zeros", "*": "he_normal"}',
    ),
    "no plan at all": (models.lenet, dict(plan=3), "a plan is a name, or patterns with an initializer each, not 3"),
    "initializer": (models.lenet, dict(plan={"*": "he_norm"}), "plan entry '*': unknown initializer 'he_norm'; did you mean he_normal?"),
    "setting": (
        models.lenet,
        dict(plan={"*": {"name": "normal", "sdt": 1}}),
        "plan entry '*': normal has no setting 'sdt'; did you mean std?",
    ),
    "constant": (models.lenet, dict(plan={"*": "constant"}), "plan entry '*': constant needs value=..."),
    "range": (
        models.lenet,
        dict(plan={"*.bias": "zeros", "*": {"name": "normal", "std": -1}}),
        "0.weight, normal: normal.std = -1 is outside [0, inf)",
    ),
    "mode": (
        models.lenet,
        dict(plan={"*.bias": "zeros", "*": {"name": "he_normal", "mode": "fan_inn"}}),
        "0.weight, he_normal: mode = 'fan_inn' is unknown; did you mean fan_in?",
    ),
    "fans": (
        models.lenet,
        dict(plan={"*.weight": "he_normal", "*.bias": "he_normal"}),
        "0.bias, he_normal: a parameter of shape (6,) has no fans: they need at least two dimensions",
    ),
    "gain": (
        models.lenet,
        dict(plan={"*.bias": "zeros", "*": {"name": "he_normal", "gain": "rellu"}}),
        "0.weight, he_normal: no gain is known for 'rellu'; did you mean relu?",
    ),
    "kernel": (
        models.lenet,
        dict(plan={"*.bias": "zeros", "*": "dirac"}),
        "7.weight, dirac: dirac is for the kernel of a convolution, not for shape (120, 256)",
    ),
    "unclaimed": (
        models.lenet,
        dict(plan={"Conv2d": "zeros"}),
        'plan leaves 6 parameters unclaimed: 7.weight, 7.bias, 9.weight, 9.bias, 11.weight, 11.bias; add a last entry with pattern "*"',
    ),
    "custom": (
        models.Custom,
        {},
        'no rule is known for temperature of Custom; write it out: {"temperature": "zeros", "*": "auto"}',
    ),
    "lazy": (
        lambda: nn.Sequential(nn.Linear(2, 3), nn.LazyLinear(4)),
        {},
        "1.weight of LazyLinear has no shape yet: run the model once on an input, then initialize it",
    ),
    "meta": (
        lambda: nn.Linear(2, 3, device="meta"),
        {},
        "weight is on the meta device and holds no values: call model.to_empty(device=...) first",
    ),
    "sample": (
        models.lenet,
        dict(sample=torch.zeros(2, 5)),
        "the model's forward failed on a sample of shape (2, 5): RuntimeError: Expected 3D (unbatched) or 4D (batched) input to conv2d, "
        "but got input of size: [2, 5]; the model is unchanged",
    ),
    "forward": (
        Failing,
        dict(sample=torch.zeros(2, 3)),
        "the model's forward failed on a sample of shape (2, 3): RuntimeError: out of cheese; the model is unchanged",
    ),
    "no residuals": (
        models.lenet,
        dict(plan="fixup"),
        "fixup found no residual branch in this model (traced by torch.fx); use plan auto or he",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_error_and_changes_nothing(case):
    make, settings, message = BAD[case]
    model = make()
    filled = case not in ("lazy", "meta")
    before, chance = state(model) if filled else {}, torch.get_rng_state()
    with pytest.raises(SteepestError) as error:
        sp.init.apply(model, **settings)
    assert str(error.value) == message
    assert not filled or same(state(model), before)
    assert torch.equal(torch.get_rng_state(), chance)
    assert all(m.training and not m._forward_hooks and not m._forward_pre_hooks for m in model.modules() if case != "lazy")


def test_gains_and_fans_refuse_what_they_do_not_know():
    with pytest.raises(SettingError, match=r"^no gain is known for 'rellu'; did you mean relu\?$"):
        gain("rellu")
    with pytest.raises(SettingError, match=r"^relu has no parameter 'slope'$"):
        gain("relu", slope=0.1)
    with pytest.raises(SettingError, match=r"^leaky_relu has no parameter 'slop'; did you mean slope\?$"):
        gain("leaky_relu", slop=0.1)
    with pytest.raises(ParameterError, match=r"^a parameter of shape \(0, 3\) has no fans: it has a dimension of 0$"):
        fans((0, 3))


def test_initializers_say_what_is_wrong():
    with pytest.raises(SettingError, match=r"^uniform\.low = 2 is above uniform\.high = 1$"):
        draw("uniform", (2, 2), low=2.0, high=1.0)
    with pytest.raises(SettingError, match=r"^distribution = 'flat' is unknown"):
        draw("variance_scaling", (2, 2), distribution="flat")
    with pytest.raises(ParameterError, match=r"identity is for matrices, not for shape \(2, 2, 2\)"):
        draw("identity", (2, 2, 2))
    with pytest.raises(ParameterError, match="a mirrored side must be even"):
        draw("looks_linear", (3, 4))
    with pytest.raises(SettingError, match=r"sparse\.connections = 0 must be"):
        draw("sparse", (2, 2), connections=0)
    with pytest.raises(SettingError, match=r"normal\.std = nan is not a number"):
        draw("normal", (2, 2), std=math.nan)


def test_few_layers_of_a_function_that_saturates():
    """Orthogonal at the edge of chaos, without biases; sigmoid: half of that where the input comes in, centered behind."""
    chosen = {}
    for curve in (nn.Tanh, nn.Sigmoid):
        report = sp.init.apply(nn.Sequential(nn.Linear(6, 8), curve(), nn.Linear(8, 8), curve(), nn.Linear(8, 4)))
        assert {row.initializer for row in report.rows[1::2]} == {"zeros"}
        chosen[curve] = [row.initializer for row in report.rows[::2]]
    assert chosen[nn.Tanh] == ["orthogonal(gain=1.591)", "orthogonal(gain=1.378)", "lecun_normal"]
    assert chosen[nn.Sigmoid] == ["orthogonal(gain=3.183)", "orthogonal(gain=5.513, centered=True)", "orthogonal(gain=2, centered=True)"]
    assert report.rows[4].reason == "the head; without the one half that sigmoid gives"
    normed = sp.init.apply(nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 4))).rows[0]
    assert normed.reason == "a norm follows and sets the scale"
    output = sp.init.apply(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1), nn.Sigmoid())).rows[2]
    assert (output.initializer, output.reason) == ("lecun_normal", "the head"), "a sigmoid that says how likely bends no signal"


def test_a_stack_is_deep_only_when_it_is():
    """He's weights for few layers; mirrored ones from twelve on, plain orthogonal where a width is odd."""
    chosen = {}
    for depth, width in ((6, 8), (20, 8), (20, 9)):
        report = sp.init.apply(models.stack(depth, width, nn.ReLU))
        chosen[depth, width] = report.rows[2].initializer.partition("(")[0]
    assert chosen == {(6, 8): "he_normal", (20, 8): "looks_linear", (20, 9): "orthogonal"}
