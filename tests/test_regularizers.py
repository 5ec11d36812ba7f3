"""Every regularizer: the numbers of its paper, what it leaves alone, and what it says to bad input."""

import copy
import json
import math
import os
import subprocess
import sys
from collections import Counter
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given
from hypothesis import strategies as st
from torch import nn

import steepest.init
import steepest.regularizers.adversarial as adversarial
import steepest.regularizers.dropout as dropout
import steepest.regularizers.mixing as mixing
import steepest.regularizers.noise as noise
from steepest.core.errors import SteepestError
from steepest.core.rng import generator
from steepest.regularizers import REGULARIZERS, Mixed, mixed_loss
from steepest.regularizers import base as kinds
from steepest.regularizers.projection import max_norm
from steepest.regularizers.surgery import head
from steepest.regularizers.targets import changed, confidence, label_smoothing
from steepest.regularizers.weights import weights
from steepest.rules import L1 as WrappedL1
from steepest.rules import L2 as WrappedL2
from steepest.rules import Adam

EXPERIMENTS = Path(__file__).parent.parent / "experiments"
KINDS = (
    kinds.Penalty, kinds.Projection, kinds.BatchChange, kinds.TargetChange, kinds.GradientChange, kinds.Surgery, kinds.Adversarial,
)  # fmt: skip


def make(name, **settings):
    return REGULARIZERS[name](**settings)


def close(a, b, tolerance=1e-12):
    return (a - b).abs().max().item() < tolerance


def state(model):
    return {name: x.clone() for name, x in model.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def images(n=6, dtype=torch.float32, size=8):
    x = torch.rand(n, 3, size, size + 2, generator=generator(1, "images"))
    return (x * 255).to(torch.uint8) if dtype == torch.uint8 else x.to(dtype)


def convolutional():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4)
    )


def dense(*extra):
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 5), nn.Tanh(), nn.Linear(5, 3), *extra)


class Residual(nn.Module):
    def __init__(self, depth=4, width=6):
        super().__init__()
        self.branches = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))

    def forward(self, x):
        for branch in self.branches:
            x = x + branch(x)
        return x


# --- all of them ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REGULARIZERS)
def test_every_one_has_a_card_and_a_kind(name):
    cls = REGULARIZERS[name]
    assert issubclass(cls, KINDS) or name == "early_stopping"
    assert cls.main in cls.own_knobs() | cls.own_options()
    for text in (cls.use, cls.hurts, cls.cost):
        assert text.endswith(".") and "\n" not in text
    assert cls.__doc__ and cls() == cls()


@pytest.fixture
def measuring(monkeypatch):
    """The experiment whose figures the cards tell."""
    monkeypatch.syspath_prepend(EXPERIMENTS)
    return import_module("cards")


def test_cards_tell_what_the_kept_results_say(measuring):
    found = json.loads(measuring.RESULTS.read_text())
    for name, cls in REGULARIZERS.items():
        assert cls.measured.endswith(measuring.sentence(name, found)), f"{name}: python experiments/cards.py --say"
        assert len(found["runs"][name]) >= 8


def test_a_verdict_on_a_card_is_that_of_its_interval(measuring):
    none, better, alike = (
        {str(seed): {"right": x, "steps": 1} for seed, x in enumerate(row)} for row in ((0.5, 0.6), (0.7, 0.81), (0.5, 0.7))
    )
    found = {"runs": {"none, digits": none, "mixup": better, "cutmix": alike}, "step": {"mixup": 1.234, "cutmix": 2.0}}
    said = measuring.sentence("mixup", found)
    assert said.startswith("At its defaults: +20.50 points of accuracy [+14.15, +26.85] on 200 digits")
    assert "(55.0 % without it, n = 2 seeds); 1.23 times the step." in said
    assert "n = 2 seeds), not distinguishable; 2.00 times" in measuring.sentence("cutmix", found)


@pytest.mark.slow
def test_cards_are_measured_and_measuring_goes_on_where_it_stopped(tmp_path):
    results = tmp_path / "cards.json"
    command = [sys.executable, "-W", "error", EXPERIMENTS / "cards.py", "--only", "l2", "--results", results, "--seeds"]
    runs = []
    for seeds in ("1", "2"):
        done = subprocess.run([*command, seeds], env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=True)
        runs.append(json.loads(results.read_text())["runs"])
        assert len(done.stdout.splitlines()) == 3, "without and with it by one seed, and its step's time"
    assert all(runs[1][name]["0"] == runs[0][name]["0"] for name in runs[0])
    assert runs[1]["l2"].keys() == {"0", "1"}
    digits = json.loads((EXPERIMENTS / "results" / "cards.json").read_text())["runs"]
    assert abs(digits["l2"]["0"]["right"] - runs[0]["l2"]["0"]["right"]) < 0.05


DRAWN = {
    "input_noise": {}, "cutout": {}, "mixup": {}, "cutmix": {}, "fgsm": {}, "pgd": dict(steps=2), "gradient_noise": {},
}  # fmt: skip


def drawn(regularizer, stream):
    """What a regularizer makes of one batch with one stream, as a list of tensors."""
    x, y = images(), torch.arange(6) % 4
    if isinstance(regularizer, kinds.GradientChange):
        grads = [torch.ones(5, 3), torch.zeros(4)]
        regularizer.change(grads, stream, 3)
        return grads
    if isinstance(regularizer, kinds.Adversarial):
        return [regularizer.change(initialized(), F.cross_entropy, x, y, stream)]
    x, y = regularizer.change(x, y, stream)
    return [x, y.a, y.b, torch.tensor(y.weight)] if isinstance(y, Mixed) else [x, y]


def initialized():
    model = convolutional()
    steepest.init.apply(model, "he", seed=3)
    return model


@pytest.mark.parametrize("name", DRAWN)
def test_randomness_comes_from_the_generator_given_and_from_no_other(name):
    regularizer = make(name, **DRAWN[name])
    runs = [drawn(regularizer, generator(5, "a")) for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))
    other = drawn(regularizer, generator(6, "b"))
    assert name == "fgsm" or any(not torch.equal(a, b) for a, b in zip(runs[0], other, strict=True))


@pytest.mark.parametrize("name", ["input_noise", "cutout", "mixup", "cutmix", "gradient_noise"])
def test_the_global_stream_is_not_touched(name):
    regularizer, before = make(name), torch.get_rng_state()
    if name == "gradient_noise":
        regularizer.change([torch.ones(3)], generator(0), 0)
    else:
        regularizer.change(images(), torch.arange(6), generator(0))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", ["input_noise", "cutout", "mixup", "cutmix"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.uint8, torch.bfloat16], ids=str)
def test_a_batch_keeps_its_type_and_the_one_given_its_values(name, dtype):
    x, y = images(dtype=dtype), torch.arange(6)
    before = x.clone()
    changed, _ = make(name).change(x, y, generator(2))
    assert changed.dtype == dtype and changed.shape == x.shape
    assert torch.equal(x, before) and torch.equal(y, torch.arange(6))
    assert not torch.equal(changed, x)
    if dtype == torch.uint8:  # bytes are [0, 1]: the same change within half a step, and noise cut off at the ends
        same_in_floats = make(name).change(x.float() / 255, y, generator(2))[0].clamp(0, 1)
        assert (changed.float() / 255 - same_in_floats).abs().max() <= 0.51 / 255


# --- penalties --------------------------------------------------------------------------------------------


def matrices():
    draw = partial(torch.randn, dtype=torch.float64, generator=generator(0, "matrices"))
    return [draw(4, 7).requires_grad_(), draw(9, 5).requires_grad_(), draw(6, 2, 3, 3).requires_grad_()]


def literal_l1(ws, c):
    return c * sum(abs(v) for w in ws for v in w.flatten().tolist())


def literal_l2(ws, c):
    return c / 2 * sum(v * v for w in ws for v in w.flatten().tolist())


def literal_elastic(ws, c, ratio):
    return sum(c * (ratio * abs(v) + (1 - ratio) / 2 * v * v) for w in ws for v in w.flatten().tolist())


def literal_orthogonality(ws, c):
    total = 0.0
    for w in ws:
        m = w.detach().reshape(w.shape[0], -1)
        m = m if m.shape[0] <= m.shape[1] else m.T
        for i in range(len(m)):
            for j in range(len(m)):
                total += (float(m[i] @ m[j]) - (i == j)) ** 2
    return c * total


def literal_spectral(ws, c):
    return c / 2 * sum(torch.linalg.svdvals(w.detach().reshape(w.shape[0], -1))[0].item() ** 2 for w in ws)


PENALTIES = {
    "l1": (dict(coefficient=0.3), literal_l1),
    "l2": (dict(coefficient=0.3), literal_l2),
    "elastic_net": (dict(coefficient=0.3, ratio=0.2), literal_elastic),
    "orthogonality": (dict(coefficient=0.3), literal_orthogonality),
    "spectral": (dict(coefficient=0.3), literal_spectral),
}


@pytest.mark.parametrize("name", PENALTIES)
def test_a_penalty_is_its_formula_and_has_its_gradient(name):
    settings, literal = PENALTIES[name]
    ws, penalty = matrices(), make(name, **settings)
    expected = literal(ws, *settings.values())
    assert expected > 0.1
    assert abs(penalty.of(ws).item() / expected - 1) < 1e-12
    assert torch.autograd.gradcheck(lambda *given: penalty.of(given), ws)


@pytest.mark.parametrize("name", PENALTIES)
def test_every_knob_of_a_penalty_may_be_bound_at_each_step(name):
    settings, literal = PENALTIES[name]
    penalty, ws = make(name), matrices()
    for knob in settings:
        bound = penalty.bind({knob: 0.7})
        assert abs(bound.of(ws).item() / literal(ws, *({k: getattr(penalty, k) for k in settings} | {knob: 0.7}).values()) - 1) < 1e-12


@pytest.mark.parametrize(("name", "wrapper"), [("l1", WrappedL1), ("l2", WrappedL2)])
def test_the_gradient_of_a_penalty_is_what_the_wrapper_adds(name, wrapper):
    w = matrices()[0]
    (g,) = torch.autograd.grad(make(name, coefficient=0.3).of([w]), w)
    assert close(g, wrapper(inner=Adam(), coefficient=0.3).gradient(w.detach(), torch.zeros_like(w)))


class Everything(nn.Module):
    def __init__(self):
        super().__init__()
        self.pos_embed = nn.Parameter(torch.zeros(1, 4, 6))
        self.embedding = nn.Embedding(10, 6)
        self.conv, self.norm = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6)
        self.frozen = nn.Linear(6, 6).requires_grad_(False)
        self.head = nn.Linear(6, 10)
        self.tied = nn.Linear(6, 6)
        self.tied_too = nn.Linear(6, 6)
        self.tied_too.weight = self.tied.weight


def test_by_default_weights_of_layers_are_touched_and_nothing_else():
    model = Everything()
    names = {id(p): name for name, p in model.named_parameters()}
    assert [names[id(w)] for w in weights(model)] == ["conv.weight", "head.weight", "tied.weight"]
    assert [names[id(w)] for w in weights(model, "head.*|Embedding")] == ["embedding.weight", "head.weight", "head.bias"]
    make("l2", coefficient=2.0).loss(model).backward()
    assert {name for name, p in model.named_parameters() if p.grad is not None} == {"conv.weight", "head.weight", "tied.weight"}
    assert torch.allclose(model.head.weight.grad, 2 * model.head.weight)


def test_penalties_in_half_precision_are_finite_and_those_of_nan_are_nan():
    big = [torch.full((300, 300), 8.0, dtype=torch.float16)]
    broken = [torch.full((3, 3), math.nan)]
    for name in PENALTIES:
        assert math.isfinite(make(name).of(big).item())
        assert math.isnan(make(name).of(broken).item())


@pytest.mark.parametrize("name", ["orthogonality", "spectral"])
def test_products_of_weights_are_not_rounded_by_autocast(name):
    ws = [w.float() for w in matrices()]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = make(name).of(ws)
    assert torch.equal(inside, make(name).of(ws))


def test_max_norm_is_its_formula_and_leaves_short_units_alone():
    for w in matrices():
        w = w.detach()
        limit = w.flatten(1).norm(dim=1).median().item()
        rows = [row * min(1, limit / math.sqrt(sum(v * v for v in row.flatten().tolist()))) for row in w]
        assert close(max_norm(w, limit), torch.stack(rows))
    model = dense()
    model[2].weight.data[0] *= 100
    before = state(model)
    make("max_norm", limit=3.0).project(model)
    after = state(model)
    assert abs(after["2.weight"][0].norm() - 3) < 1e-5
    before["2.weight"][0] = after["2.weight"][0]
    assert same(before, after)
    assert torch.equal(max_norm(torch.zeros(2, 2), 1.0), torch.zeros(2, 2))


# --- targets ----------------------------------------------------------------------------------------------


def classified(n=7, k=5):
    stream = generator(0, "logits")
    logits = torch.randn(n, k, dtype=torch.float64, generator=stream).requires_grad_()
    index = torch.randint(k, (n,), generator=stream)
    soft = torch.randn(n, k, dtype=torch.float64, generator=stream).softmax(1)
    weight = torch.rand(k, dtype=torch.float64, generator=stream) + 0.5
    return logits, index, soft, weight


def literal_smoothing(logits, target, s, w):
    n, k = logits.shape
    log_p = logits.detach().log_softmax(1)
    total, share = 0.0, 0.0
    for i in range(n):
        for c in range(k):
            y = float(target[i, c]) if target.is_floating_point() else float(target[i] == c)
            total -= float(w[c]) * ((1 - s) * y + s / k) * float(log_p[i, c])
        share += 1.0 if target.is_floating_point() else float(w[target[i]])
    return total / share


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.6])
def test_label_smoothing_is_its_formula_and_torchs(soft, weighted, smoothing):
    logits, index, probabilities, weight = classified()
    target, w = probabilities if soft else index, weight if weighted else torch.ones(5, dtype=torch.float64)
    expected = literal_smoothing(logits, target, smoothing, w)
    regularizer = make("label_smoothing", smoothing=smoothing)
    base = partial(F.cross_entropy, weight=weight if weighted else None)
    assert abs(label_smoothing(logits, target, smoothing, base.keywords["weight"]).item() - expected) < 1e-12
    assert abs(regularizer.loss(logits, target, base).item() - expected) < 1e-12
    assert abs(regularizer.loss(logits, target, nn.CrossEntropyLoss(weight=base.keywords["weight"])).item() - expected) < 1e-12
    if not smoothing:
        assert torch.equal(regularizer.loss(logits, target, base), base(logits, target))
        assert regularizer.loss(logits, target, lambda a, b: a.sum()) == logits.sum()


def test_smoothing_moves_the_loss_and_leaves_out_what_the_loss_ignores():
    logits, index, _, _ = classified()
    assert abs(make("label_smoothing", smoothing=0.2).loss(logits, index, F.cross_entropy) - F.cross_entropy(logits, index)) > 1e-3
    padded = index.clone()
    padded[:3] = -100
    for name in ("label_smoothing", "confidence_penalty"):
        whole, rest = (make(name).loss(*pair, F.cross_entropy) for pair in ((logits, padded), (logits[3:], index[3:])))
        assert abs(whole - rest) < 1e-12


def test_smoothing_keeps_the_settings_of_a_loss_module():
    logits, index, _, weight = classified()
    settings = dict(weight=weight, ignore_index=2, reduction="sum")
    smoothed = make("label_smoothing", smoothing=0.2).loss(logits, index, nn.CrossEntropyLoss(**settings))
    assert (index == 2).any() and (index != 2).any()
    assert close(smoothed, F.cross_entropy(logits, index, label_smoothing=0.2, **settings))


def test_confidence_is_its_formula_and_has_its_gradient():
    logits, index, soft, _ = classified()
    p = logits.detach().softmax(1)
    expected = sum(float(p[i, c]) * math.log(float(p[i, c])) for i in range(7) for c in range(5)) / 7
    assert abs(confidence(logits).mean().item() - expected) < 1e-12
    for target in (index, soft):
        loss = make("confidence_penalty", coefficient=0.3).loss(logits, target, F.cross_entropy)
        assert abs((loss - F.cross_entropy(logits, target)).item() - 0.3 * expected) < 1e-12
    assert torch.autograd.gradcheck(lambda x: make("confidence_penalty", coefficient=0.3).loss(x, index, F.cross_entropy), logits)
    assert abs(confidence(torch.zeros(1, 4)).item() + math.log(4)) < 1e-6
    plain = make("confidence_penalty", coefficient=0.0).loss(logits, index, F.cross_entropy)
    assert torch.equal(plain, F.cross_entropy(logits, index))


def test_changes_of_the_loss_nest_in_any_order_and_take_mixed_targets_and_places():
    logits, index, _, weight = classified()
    smooth, penalty = make("label_smoothing", smoothing=0.2), make("confidence_penalty", coefficient=0.3)
    base = partial(F.cross_entropy, weight=weight)
    one, other = changed(base, smooth, penalty), changed(base, penalty, smooth)
    expected = literal_smoothing(logits, index, 0.2, weight) + 0.3 * confidence(logits).mean().item()
    assert abs(one(logits, index).item() - expected) < 1e-12
    assert abs(other(logits, index).item() - expected) < 1e-12
    mixed = Mixed(index, index.flip(0), 0.3)
    assert abs(mixed_loss(one, logits, mixed).item() - (0.3 * one(logits, index) + 0.7 * one(logits, index.flip(0))).item()) < 1e-12
    places, labels = torch.randn(2, 5, 4, 3), torch.randint(5, (2, 4, 3))
    rows = places.movedim(1, -1).reshape(-1, 5)
    assert abs(one(places.double(), labels) - one(rows.double(), labels.flatten())) < 1e-12


# --- mixing -----------------------------------------------------------------------------------------------


def test_mixup_is_its_formula_and_mixed_losses_are_losses_of_mixed_targets(float64):
    x, y = images(dtype=torch.float64), torch.tensor([0, 1, 2, 3, 0, 1])
    z, target = make("mixup", alpha=1.0).change(x, y, generator(4))
    partners = (z - target.weight * x) / (1 - target.weight)
    order = torch.cdist(partners.flatten(1), x.flatten(1)).argmin(dim=1)
    for i in range(6):
        assert close(z[i], target.weight * x[i] + (1 - target.weight) * x[order[i]])
    assert sorted(order.tolist()) == list(range(6)) and order.tolist() != list(range(6))
    assert torch.equal(target.a, y) and torch.equal(target.b, y[order])
    logits = torch.randn(6, 4)
    soft = target.weight * F.one_hot(y, 4) + (1 - target.weight) * F.one_hot(y[order], 4)
    assert abs(mixed_loss(F.cross_entropy, logits, target) - F.cross_entropy(logits, soft)) < 1e-12
    assert mixed_loss(F.cross_entropy, logits, y) == F.cross_entropy(logits, y)


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_a_batch_of_one_is_mixed_with_itself_and_alpha_0_mixes_nothing(name):
    x, y = images(1), torch.tensor([2])
    z, target = make(name, alpha=1.0).change(x, y, generator(0))
    assert torch.allclose(z, x)
    logits = torch.randn(1, 4)
    assert torch.allclose(mixed_loss(F.cross_entropy, logits, target), F.cross_entropy(logits, y))
    z, target = make(name, alpha=0.0).change(x, y, generator(0))
    assert z is x and target is y


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_weights_are_beta_distributed(alpha):
    stream = generator(0, "beta")
    drawn = torch.tensor([mixing.beta(alpha, stream) for _ in range(3000)], dtype=torch.float64)
    assert drawn.min() >= 0 and drawn.max() <= 1
    assert abs(drawn.mean() - 0.5) < 0.03
    assert abs(drawn.var() * 4 * (2 * alpha + 1) - 1) < 0.1


def test_cutmix_weighs_by_the_share_of_pixels_that_are_left():
    x, y = images(7, size=9), torch.arange(7)
    seen = []
    for seed in range(30):
        z, target = make("cutmix").change(x, y, generator(seed, "cut"))
        partner = target.b  # y is the row's number
        own, other = (z == x).all(dim=1), (z == x[partner]).all(dim=1)
        assert (own | other).all()
        for i in range(7):
            if partner[i] != i:
                assert abs(own[i].float().mean().item() - target.weight) < 1e-6
                rows, columns = other[i].any(dim=1), other[i].any(dim=0)
                assert torch.equal(other[i], rows[:, None] & columns[None, :]), "a box"
        seen.append(target.weight)
    assert min(seen) < 0.4 and max(seen) > 0.8


def literal_box(height, width, lam, cy, cx):
    """rand_bbox of the authors' code."""
    cut_rat = math.sqrt(1.0 - lam)
    cut_w, cut_h = int(width * cut_rat), int(height * cut_rat)
    clip = lambda v, low, high: max(low, min(v, high))  # noqa: E731
    return (
        clip(cy - cut_h // 2, 0, height), clip(cy + cut_h // 2, 0, height), clip(cx - cut_w // 2, 0, width), clip(cx + cut_w // 2, 0, width)
    )  # fmt: skip


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.data())
def test_the_box_of_cutmix_is_the_authors(height, width, weight, data):
    row, column = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    assert mixing.cut_box(height, width, weight, row, column) == literal_box(height, width, weight, row, column)


def test_cutmix_mixes_the_share_of_batches_it_is_told():
    x, y, stream = images(2), torch.arange(2), generator(0)
    mixed = sum(isinstance(make("cutmix", probability=0.3).change(x, y, stream)[1], Mixed) for _ in range(400))
    assert 90 < mixed < 150
    assert make("cutmix", probability=0.0).change(x, y, stream)[1] is y


# --- noise ------------------------------------------------------------------------------------------------


def test_cutout_hides_one_square_around_a_pixel_of_each_image():
    x = torch.rand(200, 3, 10, 10) + 1
    z, y = make("cutout", share=0.4, fill=0.5).change(x, None, generator(0))
    hidden = (z != x).any(dim=1)
    assert y is None and (z[hidden[:, None].expand_as(z)] == 0.5).all()
    rows, columns = hidden.any(dim=2), hidden.any(dim=1)
    assert torch.equal(hidden, rows[:, :, None] & columns[:, None, :])
    sides = Counter(rows.sum(dim=1).tolist())
    assert set(sides) == {2, 3, 4} and sides[4] > 100  # cut off at the edges
    assert 0.3 < rows.float().mean() < 0.4
    z = noise.cutout(x[:1], torch.tensor([5]), torch.tensor([0]), 0.4, 0.0)
    assert (z[0, 0] == 0).nonzero().tolist() == [[i, j] for i in (3, 4, 5, 6) for j in (0, 1)]


def test_input_noise_has_its_deviation():
    x = torch.full((50, 200), 3.0)
    z, _ = make("input_noise", std=0.3).change(x, None, generator(0))
    assert abs((z - x).std() - 0.3) < 0.01 and abs((z - x).mean()) < 0.01


@pytest.mark.parametrize(("eta", "gamma", "k"), [(0.01, 0.55, 0), (0.3, 0.55, 9), (1.0, 0.8, 1000)])
def test_gradient_noise_has_the_variance_of_the_paper(eta, gamma, k):
    assert noise.variance(eta, gamma, k) == eta / (1 + k) ** gamma
    plain = [torch.ones(100, 200), torch.full((300,), -2.0)]
    grads = [g.clone() for g in plain]
    make("gradient_noise", eta=eta, gamma=gamma).change(grads, generator(0), k)
    added = torch.cat([(g - p).flatten() for g, p in zip(grads, plain, strict=True)])
    assert abs(added.var() / (eta / (1 + k) ** gamma) - 1) < 0.05
    drawn = torch.randn(100, 200, generator=generator(0))
    assert torch.allclose(grads[0], 1 + (eta / (1 + k) ** gamma) ** 0.5 * drawn)


# --- dropout ----------------------------------------------------------------------------------------------


def test_dropout_stands_where_it_is_told():
    model = make("dropout", rate=0.3).build(dense())
    assert [name for name, m in model.named_modules() if isinstance(m, nn.Dropout)] == ["4.dropout"]
    assert list(model[4]._modules) == ["dropout", "layer"]
    model = make("dropout", rate=0.3, place="activations").build(dense(nn.ReLU()))
    assert [name for name, m in model.named_modules() if isinstance(m, nn.Dropout)] == ["1.dropout", "3.dropout"]
    assert list(model[1]._modules) == ["layer", "dropout"]
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5), nn.Linear(3, 3))
    assert make("dropout", rate=0.3).build(model) is model and model[1].p == 0.3
    assert len(make("dropout", rate=0.3, place="head").build(model)[2]) == 2
    make("dropout", rate=0.1).set(model)
    assert (model[1].p, model[2].dropout.p) == (0.3, 0.1), "what was put in changes, what was there stays"
    one = make("dropout").build(nn.Linear(3, 2))
    assert list(one._modules) == ["dropout", "layer"]


def test_dropout_follows_its_schedule_and_does_nothing_in_evaluation():
    plain = dense()
    model = make("dropout", rate=0.5).build(copy.deepcopy(plain))
    x = torch.randn(500, 6)
    model.eval(), plain.eval()
    assert torch.equal(model(x), plain(x))
    model.train()
    counts = {}
    for rate in (0.0, 0.25, 0.9):
        make("dropout").bind({"rate": rate}).set(model)
        counts[rate] = (model[4].dropout(torch.ones(2000)) == 0).float().mean().item()
    assert counts[0.0] == 0 and abs(counts[0.25] - 0.25) < 0.05 and abs(counts[0.9] - 0.9) < 0.05


def test_layers_put_in_share_the_mode_of_what_they_join():
    for name in ("dropout", "batch_norm"):
        model = make(name).build(dense().eval())
        assert not any(m.training for m in model.modules())


def test_drop_path_leaves_out_whole_samples_and_keeps_the_mean():
    x = torch.ones(4000, 3, 2)
    z = dropout.drop_path(x, 0.3)
    kept = z[:, 0, 0] != 0
    assert torch.equal(z, kept[:, None, None] * x / 0.7)
    assert abs(kept.float().mean() - 0.7) < 0.03


def test_drop_path_grows_linearly_with_depth_and_follows_its_schedule():
    model = make("drop_path", rate=0.4, match="branches.*").build(Residual())
    found = [m for m in model.modules() if isinstance(m, dropout.PathDropout)]
    assert [m.rate for m in found] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    make("drop_path").bind({"rate": 0.8}).set(model)
    assert [m.rate for m in found] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    even = make("drop_path", rate=0.4, match="Linear", rule="constant").build(Residual())
    assert [m.rate for m in even.modules() if isinstance(m, dropout.PathDropout)] == [0.4] * 4
    plain = Residual()
    built = make("drop_path", rate=0.4, match="branches.*").build(copy.deepcopy(plain))
    x = torch.randn(64, 6)
    assert not torch.equal(built(x), plain(x))
    assert torch.equal(built.eval()(x), plain(x))


def test_drop_path_keeps_what_attention_gives_besides():
    attention = nn.MultiheadAttention(6, 2, batch_first=True)
    model = make("drop_path", rate=0.9, match="*", rule="constant")
    built = model.replace(match="MultiheadAttention").build(nn.Sequential(attention))
    x = torch.randn(100, 3, 6)
    z, seen = built[0].drop_path(attention(x, x, x))
    assert 60 < (z == 0).all(dim=(1, 2)).sum() < 100 and seen.shape == (100, 3, 3)


# --- norms ------------------------------------------------------------------------------------------------


NORMS = {
    "batch_norm": (nn.BatchNorm2d, nn.BatchNorm1d, {}),
    "layer_norm": (nn.GroupNorm, nn.LayerNorm, {}),
    "group_norm": (nn.GroupNorm, nn.GroupNorm, dict(groups=4)),
}


@pytest.mark.parametrize("name", NORMS)
def test_norms_come_after_every_layer_but_the_head(name):
    after_conv, after_linear, settings = NORMS[name]
    model = make(name, **settings).build(convolutional().double())
    assert [n for n, m in model.named_modules() if "Norm" in type(m).__name__] == ["0.norm", "2.norm"]
    assert all(type(model[i].norm) is after_conv and model[i].norm.weight.dtype == torch.float64 for i in (0, 2))
    model(images(dtype=torch.float64)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    stack = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))
    made = make(name, **settings).build(stack)
    assert isinstance(made[0].norm, after_linear) and [type(m) for m in made][4] is nn.Linear
    out = made[:1](torch.randn(16, 5, 6))
    assert out.shape == (16, 5, 8)
    dims = {"batch_norm": (0, 1), "layer_norm": (2,), "group_norm": None}[name]
    if dims:
        assert out.mean(dim=dims).abs().max() < 1e-5 and (out.var(dim=dims, correction=0) - 1).abs().max() < 1e-2
    else:
        groups = out.unflatten(2, (4, 2)).mean(dim=3)
        assert groups.abs().max() < 1e-5


def test_batch_norm_put_in_is_batch_norm_written_by_hand():
    plain = convolutional()
    hand = nn.Sequential(*copy.deepcopy(plain))
    hand.insert(1, nn.BatchNorm2d(8, momentum=0.3)), hand.insert(4, nn.BatchNorm2d(16, momentum=0.3))
    model = make("batch_norm", momentum=0.3).build(plain)
    x = images()
    for training in (True, True, False):
        assert torch.equal(model.train(training)(x), hand.train(training)(x))
    make("batch_norm").bind({"momentum": 0.5}).set(model)
    assert [m.momentum for m in model.modules() if isinstance(m, nn.BatchNorm2d)] == [0.5, 0.5]


@pytest.mark.parametrize("name", NORMS)
def test_eps_of_a_norm_is_built_in_and_follows_its_schedule(name):
    settings = NORMS[name][2]
    model = make(name, eps=0.3, **settings).build(nn.Sequential(nn.Conv2d(3, 8, 1), nn.Linear(8, 8), nn.Linear(8, 2)))
    assert [model[0].norm.eps, model[1].norm.eps] == [0.3, 0.3]
    make(name, **settings).bind({"eps": 0.2}).set(model)
    assert [model[0].norm.eps, model[1].norm.eps] == [0.2, 0.2]


def test_norms_stand_behind_the_layers_that_match_and_init_sees_them():
    model = make("batch_norm", match="Conv*").build(nn.Sequential(nn.Conv1d(2, 4, 3), nn.Flatten(), nn.Linear(8, 8), nn.Linear(8, 2)))
    assert [n for n, m in model.named_modules() if isinstance(m, nn.BatchNorm1d)] == ["0.norm"]
    report = steepest.init.apply(model, "auto")
    assert report.rows[0].parameter == "0.layer.weight" and report.rows[0].reason == "a norm follows and sets the scale"
    report = steepest.init.apply(make("drop_path", match="branches.*").build(Residual()), "auto")
    assert not report.unclassified and "residual branches" in report.rows[0].reason


def test_layers_that_torch_reads_and_does_not_call_are_left_alone():
    model = nn.Sequential(nn.Linear(6, 8), nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), nn.Linear(8, 3))
    built = make("dropout", place="head").build(model)
    assert list(built[2]._modules) == ["dropout", "layer"]
    assert head(nn.Sequential(nn.Linear(6, 8), nn.TransformerEncoderLayer(8, 2, 16))) == "0"
    assert head(nn.Sequential(nn.Linear(6, 8), nn.MultiheadAttention(8, 2))) == "0"
    assert head(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1))) == "1"
    attention = nn.Sequential(nn.Linear(6, 8), nn.MultiheadAttention(8, 2), nn.Linear(8, 3))
    built = make("batch_norm").build(attention)
    assert [n for n, m in built.named_modules() if "Norm" in type(m).__name__] == ["0.norm"]


def test_several_surgeries_follow_each_other_in_any_order():
    for order in (("batch_norm", "dropout"), ("dropout", "batch_norm")):
        model = convolutional()
        for name in order:
            settings = dict(place="activations") if name == "dropout" else {}
            model = make(name, **settings).build(model)
        assert [list(m._modules) for m in model[:4]] == [["layer", "norm"], ["layer", "dropout"]] * 2
        assert type(model[6]) is nn.Linear
        for name in order:
            make(name).set(model)


def test_a_shared_layer_is_replaced_wherever_it_stands():
    shared = nn.ReLU()
    model = nn.Sequential(nn.Linear(3, 3), shared, nn.Linear(3, 3), shared, nn.Linear(3, 2))
    built = make("dropout", place="activations").build(model)
    assert built[1] is built[3] and list(built[1]._modules) == ["layer", "dropout"]


# --- early stopping ---------------------------------------------------------------------------------------


def literal_stopping(values, patience, minimum, mode):
    """For each value: is it a new best; and the number of values seen when to stop (None: never)."""
    best, waited, bests = None, 0, []
    for i, value in enumerate(values):
        sign = 1 if mode == "min" else -1
        new = math.isfinite(value) and (best is None or sign * value < sign * best - minimum)
        bests.append(new)
        best, waited = (value, 0) if new else (best, waited + 1)
        if waited >= patience:
            return bests, i + 1
    return bests, None


@given(
    st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, math.nan, math.inf, -math.inf]), max_size=20),
    st.integers(1, 4), st.sampled_from([0.0, 0.25, 0.4]), st.sampled_from(["min", "max"]),
)  # fmt: skip
@example([1.0, 0.75, 0.5], 2, 0.25, "min")
@example([0.0, 0.25, 0.5], 2, 0.25, "max")
@example([math.nan, math.inf, 1.0, 0.5], 3, 0.0, "min")
def test_early_stopping_is_what_it_says(values, patience, minimum, mode):
    rule = make("early_stopping", patience=patience, minimum=minimum, mode=mode)
    state, bests, stopped = rule.start(), [], None
    assert not rule.improved(state) and not rule.stop(state)
    for i, value in enumerate(values):
        state = rule.observe(tuple(state), torch.tensor(value, dtype=torch.float64))
        assert all(isinstance(x, (int, float)) for x in state)
        bests.append(rule.improved(state))
        if rule.stop(state):
            stopped = i + 1
            break
    assert (bests, stopped) == literal_stopping(values, patience, minimum, mode)


# --- adversarial ------------------------------------------------------------------------------------------


def attacked():
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3)).double()
    x = torch.rand(10, 12, dtype=torch.float64, generator=generator(0, "x"))
    return model, x, torch.arange(10) % 3


def literal_gradient(model, x, y):
    x = x.clone().requires_grad_()
    F.cross_entropy(copy.deepcopy(model)(x), y).backward()
    return x.grad


def test_fgsm_is_its_formula_and_makes_the_loss_worse():
    model, x, y = attacked()
    z = make("fgsm", epsilon=0.1, low=0.05, high=1.0).change(model, F.cross_entropy, x.clamp(0.05), y, generator(0))
    g = literal_gradient(model, x.clamp(0.05), y)
    assert torch.equal(z, torch.clamp(x.clamp(0.05) + 0.1 * torch.sign(g), 0.05, 1.0))
    assert not z.requires_grad and z.min() >= 0.05 and z.max() <= 1
    assert F.cross_entropy(model(z), y) > F.cross_entropy(model(x), y)


@pytest.mark.parametrize("random_start", [False, True])
def test_pgd_is_its_formula_and_stays_within_both_bounds(random_start):
    model, x, y = attacked()
    attack = make("pgd", epsilon=0.1, step=0.04, steps=5, random_start=random_start)
    z = attack.change(model, F.cross_entropy, x, y, generator(3))
    expected = x.clone()
    if random_start:
        expected = torch.clamp(x + (torch.rand(x.shape, dtype=x.dtype, generator=generator(3)) * 0.2 - 0.1), 0, 1)
    for _ in range(5):
        expected = expected + 0.04 * torch.sign(literal_gradient(model, expected, y))
        expected = torch.maximum(torch.minimum(expected, x + 0.1), x - 0.1).clamp(0, 1)
    assert close(z, expected)
    assert (z - x).abs().max() <= 0.1 + 1e-15 and z.min() >= 0 and z.max() <= 1
    weak = make("fgsm", epsilon=0.02).change(model, F.cross_entropy, x, y, generator(3))
    assert F.cross_entropy(model(z), y) > F.cross_entropy(model(weak), y)


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("name", ["fgsm", "pgd"])
def test_an_attack_leaves_model_gradients_and_inputs_as_found(name, fails):
    model, x, y = attacked()
    F.cross_entropy(model(x), y).backward()
    before, grads, given = state(model), [p.grad.clone() for p in model.parameters()], x.clone()

    def loss(output, target):
        if fails:
            raise ZeroDivisionError
        return F.cross_entropy(output, target)

    with torch.no_grad():  # wherever it is called
        if fails:
            with pytest.raises(ZeroDivisionError):
                make(name).change(model, loss, x, y, generator(0))
        else:
            assert not torch.equal(make(name).change(model, loss, x, y, generator(0)), x)
    assert same(state(model), before) and model.training and torch.equal(x, given) and not x.requires_grad
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), grads, strict=True))


def test_an_attack_takes_mixed_targets():
    model, x, y = attacked()
    mixed = Mixed(y, y.flip(0), 0.3)
    assert make("fgsm").change(model, partial(mixed_loss, F.cross_entropy), x, mixed, generator(0)).shape == x.shape
    assert adversarial.slope_of(model, partial(mixed_loss, F.cross_entropy), mixed)(x).abs().sum() > 0


# --- bad input --------------------------------------------------------------------------------------------


def scripted(output, target):
    return (output - target).square().mean()


def explaining(output, target, **settings):
    raise kinds.BatchError("what the loss itself has to say")


class Deaf(nn.Module):
    def forward(self, x):
        return torch.zeros(len(x))


def with_parts(*parts):
    return lambda: nn.Sequential(*parts)


X, Y = images(), torch.arange(6)
LOGITS = torch.zeros(6, 4)
STREAM = generator(0)
BAD = {
    "rate of 1": (lambda: make("dropout", rate=1.0), "Dropout.rate = 1 is outside [0, 1)"),
    "negative rate": (lambda: make("drop_path", rate=-0.1), "DropPath.rate = -0.1 is outside [0, 1)"),
    "smoothing of 1": (lambda: make("label_smoothing", smoothing=1), "LabelSmoothing.smoothing = 1 is outside [0, 1)"),
    "unknown name": (lambda: make("mixup", alhpa=1), "Mixup has no setting 'alhpa'; did you mean alpha?"),
    "unknown place": (
        lambda: make("dropout", place="heads"),
        "Dropout.place = 'heads' is not one of 'auto', 'head', 'activations', 'existing'",
    ),
    "patience": (lambda: make("early_stopping", patience=0), "EarlyStopping.patience = 0 is less than 1"),
    "groups": (lambda: make("group_norm", groups=0), "GroupNorm.groups = 0 is less than 1"),
    "steps": (lambda: make("pgd", steps=0), "PGD.steps = 0 is less than 1"),
    "bounds": (lambda: make("pgd", low=1.0, high=0.0), "PGD.low = 1 is not below PGD.high = 0"),
    "no such weights": (
        lambda: make("l2", on="Conv*").loss(nn.Linear(2, 2)),
        "on = 'Conv*' matches no parameter; the model has weight, bias",
    ),
    "no weights at all": (
        lambda: make("l2").loss(nn.BatchNorm1d(2)),
        "on = 'weights' matches no parameter; the model has weight, bias",
    ),
    "frozen weights": (
        lambda: make("l1").loss(nn.Linear(2, 2).requires_grad_(False)),
        "on = 'weights' matches frozen parameters only: weight",
    ),
    "orthogonal bias": (
        lambda: make("orthogonality", on="*").loss(nn.Linear(2, 3)),
        "on = '*' matches bias of shape (3,), which is no matrix",
    ),
    "max norm of a bias": (
        lambda: make("max_norm", on="bias").project(nn.Linear(2, 3)),
        "on = 'bias' matches bias of shape (3,), which is no matrix",
    ),
    "target too large": (
        lambda: make("label_smoothing").loss(LOGITS, Y, F.cross_entropy),
        "target 4 is outside [0, 4): the model gives 4 classes",
    ),
    "target negative": (
        lambda: make("confidence_penalty").loss(LOGITS, Y - 2, F.cross_entropy),
        "target -2 is outside [0, 4): the model gives 4 classes",
    ),
    "target out of range without smoothing": (
        lambda: make("label_smoothing", smoothing=0.0).loss(LOGITS, Y, F.cross_entropy),
        "target 4 is outside [0, 4): the model gives 4 classes",
    ),
    "soft targets": (
        lambda: make("label_smoothing").loss(LOGITS, torch.zeros(6, 5), F.cross_entropy),
        "targets of shape (6, 5) do not fit logits of shape (6, 4): probabilities need the same shape (indices of classes are integers)",
    ),
    "indices as floats": (
        lambda: make("label_smoothing").loss(LOGITS, torch.zeros(6), F.cross_entropy),
        "targets of shape (6,) do not fit logits of shape (6, 4): probabilities need the same shape (indices of classes are integers)",
    ),
    "indices as a column": (
        lambda: make("label_smoothing").loss(LOGITS, torch.zeros(6, 1, dtype=torch.int64), F.cross_entropy),
        "targets of shape (6, 1) do not fit logits of shape (6, 4): indices need shape (6,)",
    ),
    "through two changes": (
        lambda: changed(F.cross_entropy, make("confidence_penalty"), make("label_smoothing"))(LOGITS, Y),
        "target 4 is outside [0, 4): the model gives 4 classes",
    ),
    "no cross-entropy": (
        lambda: make("label_smoothing").loss(LOGITS, LOGITS, scripted),
        "label_smoothing needs a cross-entropy; the loss scripted does not take label_smoothing=",
    ),
    "no cross-entropy behind a partial": (
        lambda: make("label_smoothing").loss(LOGITS, LOGITS, partial(F.mse_loss, reduction="mean")),
        "label_smoothing needs a cross-entropy; the loss mse_loss does not take label_smoothing=",
    ),
    "no cross-entropy inside of the base": (
        lambda: make("label_smoothing").loss(LOGITS, LOGITS, lambda output, target, **settings: scripted(output, target, **settings)),
        "label_smoothing needs a cross-entropy; the loss scripted does not take label_smoothing=",
    ),
    "explained by the loss": (lambda: make("label_smoothing").loss(LOGITS, Y, explaining), "what the loss itself has to say"),
    "smoothed twice": (
        lambda: make("label_smoothing").loss(LOGITS, Y, nn.CrossEntropyLoss(label_smoothing=0.1)),
        "the loss smooths labels already (label_smoothing=0.1); say it in one place",
    ),
    "mixed twice": (
        lambda: make("mixup").change(X, Mixed(Y, Y, 0.5), STREAM),
        "the targets are mixed already; use one of mixup and cutmix",
    ),
    "targets in a dict": (
        lambda: make("mixup").change(X, {"boxes": Y}, STREAM),
        "targets that are dict cannot be mixed; give one tensor, a row per sample",
    ),
    "too few targets": (
        lambda: make("cutmix").change(X, Y[:5], STREAM),
        "targets of shape (5,) cannot be mixed with inputs of shape (6, 3, 8, 10): a row per sample is needed",
    ),
    "empty batch": (lambda: make("mixup").change(X[:0], Y[:0], STREAM), "a batch of no samples cannot be mixed"),
    "mixed tokens": (
        lambda: make("mixup").change(torch.ones(6, 5, dtype=torch.int64), Y, STREAM),
        "inputs of int64 are names, not quantities: they cannot be mixed or disturbed",
    ),
    "noise on tokens": (
        lambda: make("input_noise").change(torch.ones(6, 5, dtype=torch.int64), Y, STREAM),
        "inputs of int64 are names, not quantities: they cannot be mixed or disturbed",
    ),
    "cutmix of a table": (
        lambda: make("cutmix").change(torch.ones(6, 5), Y, STREAM),
        "cutmix is for images (N, C, H, W), not for inputs of shape (6, 5)",
    ),
    "cutout of sound": (
        lambda: make("cutout").change(torch.ones(6, 1, 50), Y, STREAM),
        "cutout is for images (N, C, H, W), not for inputs of shape (6, 1, 50)",
    ),
    "sparse gradient": (
        lambda: make("gradient_noise").change([torch.eye(3).to_sparse()], STREAM, 0),
        "gradient noise reaches every element; a sparse gradient cannot take it: use Embedding(sparse=False)",
    ),
    "attack on bytes": (
        lambda: make("fgsm").change(nn.Flatten(), scripted, images(dtype=torch.uint8), Y, STREAM),
        "FGSM needs inputs with a gradient, not uint8; make images floats in [0, 1] before the model",
    ),
    "attack beyond bounds": (
        lambda: make("pgd").change(nn.Flatten(), scripted, torch.tensor([[-2.0, 1.5]]), Y, STREAM),
        "the inputs reach from -2 to 1.5, outside of PGD's [low, high] = [0, 1]; set these to what inputs may be",
    ),
    "attack without effect": (
        lambda: make("fgsm").change(Deaf(), lambda output, y: output.sum(), X, Y, STREAM),
        "the loss does not depend on the inputs, so no inputs are worse; the model must not detach them",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_error(case):
    call, message = BAD[case]
    with pytest.raises(SteepestError) as error:
        call()
    assert str(error.value) == message


SURGERY = {
    "no head": ("dropout", {}, with_parts(nn.Flatten()), "Sequential has no Linear or convolutional layer to be its head"),
    "no activations": (
        "dropout",
        dict(place="activations"),
        with_parts(nn.Linear(2, 2), nn.Linear(2, 2), nn.ReLU()),
        "Sequential has no activation module before its head (functions are not seen); use place = 'head'",
    ),
    "no dropout": (
        "dropout",
        dict(place="existing"),
        dense,
        "Sequential has no dropout layer whose rate could be set; use place = 'head'",
    ),
    "no match": (
        "drop_path",
        {},
        Residual,
        "DropPath.match is needed: a pattern for the residual branches, such as '*.mlp|*.attention'",
    ),
    "unmatched": (
        "drop_path",
        dict(match="*.mlp"),
        Residual,
        "DropPath.match = '*.mlp' matches no module; the model has branches, branches.0, branches.1, branches.2, branches.3",
    ),
    "nested": (
        "drop_path",
        dict(match="0*"),
        with_parts(nn.Sequential(nn.Linear(2, 2), nn.ReLU())),
        "DropPath.match = '0*' matches 0 and 0.0 inside of it; name one",
    ),
    "norms twice": (
        "layer_norm",
        {},
        with_parts(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2)),
        "Sequential has norms already (1); LayerNorm is for models without",
    ),
    "nothing to norm": (
        "batch_norm",
        {},
        lambda: nn.Linear(2, 2),
        "BatchNorm.match = 'Conv*|Linear' matches no linear or convolutional layer besides the head (the model itself)",
    ),
    "groups that do not divide": (
        "group_norm",
        dict(groups=16),
        with_parts(nn.Conv2d(3, 32, 3), nn.Conv2d(32, 24, 3), nn.Flatten(), nn.Linear(24, 2)),
        "GroupNorm.groups = 16 does not divide the 24 channels of 1",
    ),
    "one feature": (
        "layer_norm",
        {},
        with_parts(nn.Linear(2, 8), nn.Linear(8, 1), nn.Linear(1, 2)),
        "LayerNorm after 1 would be over one feature alone, which makes it constant; leave it out with match",
    ),
}


@pytest.mark.parametrize("case", SURGERY)
def test_surgery_that_cannot_be_leaves_the_model_unchanged(case):
    name, settings, build, message = SURGERY[case]
    model = build()
    before, chance = repr(model), torch.get_rng_state()
    with pytest.raises(SteepestError) as error:
        make(name, **settings).build(model)
    assert str(error.value) == message
    assert repr(model) == before and torch.equal(torch.get_rng_state(), chance)
