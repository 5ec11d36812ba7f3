"""The reference networks: their shapes and sizes, what each setting changes, what padding and the future must not change."""

from math import nan
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from steepest.core.errors import SettingError
from steepest.core.rng import generator
from steepest.core.task import keywords
from steepest.init import apply
from steepest.models import (
    MODELS,
    cnn,
    cnn5,
    dqn,
    gan,
    gpt,
    lenet5,
    mlp,
    recurrent,
    recurrent_language,
    resnet18,
    resnet20,
    textcnn,
    transformer,
    vae,
    vgg,
)
from steepest.models.mlp import ACTIVATIONS


def numbers(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.get_default_dtype())


def ids(n: int, length: int, high: int = 50) -> Tensor:
    return torch.randint(2, high, (n, length), generator=torch.Generator().manual_seed(0))


# Settings that make each network small, what goes into it, and the shape that comes out for one sample.
TEXT = {"vocabulary": 50, "width": 8}
SMALL: dict[str, tuple[dict[str, Any], Any, tuple[int, ...]]] = {
    "mlp": ({"width": 8}, (64,), (10,)),
    "lenet5": ({}, (1, 28, 28), (10,)),
    "cnn": ({"width": 4, "dense": 8}, (1, 28, 28), (10,)),
    "cnn5": ({"width": 4, "dense": 8}, (1, 28, 28), (10,)),
    "vgg": ({"width": 4, "dense": 8}, (3, 32, 32), (10,)),
    "resnet20": ({"width": 4, "depth": 8}, (3, 16, 16), (10,)),
    "resnet18": ({"width": 4}, (3, 32, 32), (10,)),
    "recurrent": (TEXT | {"embedding": 6, "length": 12}, "ids", (2,)),
    "textcnn": (TEXT | {"embedding": 6, "dropout": 0.0}, "ids", (2,)),
    "transformer": (TEXT | {"length": 12, "depth": 1, "heads": 2, "dropout": 0.0}, "ids", (2,)),
    "recurrent_language": (TEXT | {"embedding": 8}, "ids", (50, 9)),
    "gpt": (TEXT | {"length": 12, "depth": 1, "heads": 2}, "ids", (50, 9)),
    "speech_cnn": ({"width": 4}, (40, 31), (10,)),
    "crnn": ({"width": 4, "hidden": 4}, (40, 31), (10,)),
    "autoencoder": ({"width": 4, "code": 6}, (1, 28, 28), (1, 28, 28)),
    "vae": ({"width": 8, "code": 6}, (1, 28, 28), (1, 28, 28)),
    "gan": ({"width": 4, "code": 6}, None, ()),
    "dqn": ({"width": 8}, (4,), (2,)),
}
CALLED = [name for name in SMALL if name != "gan"]


def inputs(name: str, n: int = 4) -> Tensor:
    shape = SMALL[name][1]
    return ids(n, 9) if shape == "ids" else numbers(n, *shape)


def made(name: str, **settings: Any) -> nn.Module:
    """The small network of this name, always with the same weights."""
    torch.manual_seed(0)
    return MODELS[name](**SMALL[name][0] | settings)


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_each_network_has_a_row():
    assert SMALL.keys() == MODELS.keys()


# --- shapes and sizes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CALLED)
def test_shapes(name):
    model = made(name)
    assert model(inputs(name)).shape == (4, *SMALL[name][2])
    with torch.no_grad():
        model.eval()
        one, all_of_them = model(inputs(name)[:1]), model(inputs(name))
    assert torch.allclose(one, all_of_them[:1], atol=1e-5)


@pytest.mark.parametrize(
    ("model", "size"),
    [
        (lambda: lenet5(), 61_706),  # the table of the paper's network as everyone draws it
        (lambda: cnn(), 693_962),  # conv32, pool, dense128
        (lambda: cnn(channels=3, size=32, depth=2, dense=64), 167_562),  # conv32, pool, conv64, pool, dense64
        (lambda: resnet20(), 269_722),  # 0.27 million in table 6 of the paper
        (lambda: resnet20(depth=110), 1_727_962),  # 1.7 million
        (lambda: resnet18(), 11_173_962),  # 11.2 million
        (lambda: resnet18(stem="imagenet", outputs=1000), 11_689_512),  # torchvision's
        (lambda: textcnn(vocabulary=1000, embedding=300), 1000 * 300 + 100 * (300 * 12 + 3) + 602),
        (lambda: recurrent(), 10_000 * 128 + 4 * (64 * 192 + 128) + 130),
        (lambda: vae(), 784 * 400 + 400 + 400 * 40 + 40 + 20 * 400 + 400 + 400 * 784 + 784),
        (lambda: dqn(), 5 * 128 + 129 * 128 + 129 * 2),
    ],
)
def test_sizes(model, size):
    with torch.device("meta"):
        assert count(model()) == size


def test_lenet5():
    x = torch.zeros(3, 1, 28, 28)
    for settings in (
        {},
        {"activation": "tanh", "pool": "average"},
        {"norm": True, "dropout": 0.5},
        {"width": 0.5},
        {"outputs": 3},
        {"width": 0.01},
    ):
        assert lenet5(**settings).eval()(x).shape == (3, settings.get("outputs", 10))
    assert count(lenet5(norm=True)) == 61_706 + 2 * (6 + 16 + 120 + 84)
    classic = [type(m) for m in lenet5(activation="tanh", pool="average")]
    assert classic.count(nn.Tanh) == 4 and classic.count(nn.AvgPool2d) == 2 and nn.ReLU not in classic


def test_mlp():
    assert count(mlp()) == 64 * 128 + 128 + 128 * 128 + 128 + 128 * 10 + 10
    assert count(mlp(inputs=5, outputs=2, width=7, depth=0)) == 5 * 2 + 2
    assert count(mlp(inputs=5, outputs=2, width=7, depth=3, norm=True)) == 5 * 7 + 7 + 2 * (7 * 7 + 7) + 3 * 14 + 7 * 2 + 2
    assert mlp(inputs=12)(torch.zeros(3, 3, 4)).shape == (3, 10)
    assert sum(isinstance(m, nn.Dropout) for m in mlp(dropout=0.1, depth=3)) == 3
    for name, kind in ACTIVATIONS.items():
        assert sum(type(m) is kind for m in mlp(activation=name)) == 2


def test_layers_of_plain_networks():
    assert sum(isinstance(m, (nn.Conv2d, nn.Linear)) for m in cnn5()) == 5
    assert [m.out_channels for m in vgg() if isinstance(m, nn.Conv2d)] == [64, 64, 128, 128, 256, 256]


# --- every setting ------------------------------------------------------------------------------------

OTHER: dict[str, Any] = {
    "pool": {"last": "max", "max": "average"}, "activation": "tanh", "cell": {"lstm": "gru", "gru": "lstm"}, "stem": "imagenet",
    "norm": {"batch": "group", "pre": "post"}, "heads": 4, "channels": 2, "length": 5, "depth": {8: 14, 1: 2, 2: 1, 3: 2}, "outputs": 3,
}  # fmt: skip


def another(name: str, knob: str, value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, float):
        return value + 0.5
    found = OTHER.get(knob, value * 2)
    return found[value] if isinstance(found, dict) else found


KNOBS = [(name, knob) for name, factory in MODELS.items() for knob in keywords(factory)]


@pytest.mark.parametrize(("name", "knob"), KNOBS)
def test_every_setting_has_an_effect(name, knob):
    """On the shapes of the weights, or else on what comes out of the same weights in training."""
    base = keywords(MODELS[name]) | SMALL[name][0]
    before, after = made(name), made(name, **{knob: another(name, knob, base[knob])})

    def shapes(model: nn.Module) -> dict[str, Any]:
        return {key: tuple(x.shape) for key, x in model.state_dict().items()}

    if shapes(before) != shapes(after):
        return
    outputs = []
    for model in (before, after):
        torch.manual_seed(1)
        x = inputs(name) if name != "gan" else None
        outputs.append(model.critic(numbers(4, 1, 28, 28)) if x is None else model(x))  # type: ignore[operator]
    assert (outputs[0] - outputs[1]).abs().max() > 1e-3


# --- learning -----------------------------------------------------------------------------------------

VARIANTS = [
    *((name, {}) for name in CALLED),
    *((name, {"norm": True}) for name in ("mlp", "cnn", "recurrent", "textcnn", "recurrent_language", "autoencoder", "vae", "dqn")),
    *((name, {"norm": "none"}) for name in ("resnet20", "resnet18")),
    ("recurrent", {"bidirectional": True, "depth": 2, "pool": "mean"}),
    ("recurrent_language", {"tied": True}),
    ("transformer", {"norm": "post"}),
    ("gpt", {"tied": False}),
    ("dqn", {"dueling": True}),
]


@pytest.mark.parametrize(("name", "settings"), VARIANTS)
def test_gradients_reach_every_parameter(name, settings, float64):
    model = made(name, **settings)
    out = model(inputs(name))
    goal = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
    loss = (out * goal).sum() if name != "vae" else sum(x.sum() for x in model.bound(inputs(name)))
    loss.backward()
    # In front of BatchNorm a bias changes nothing; `mlp` has one all the same.
    idle = {"1.bias", "4.bias"} if (name, settings) == ("mlp", {"norm": True}) else set()
    for key, p in model.named_parameters():
        assert p.grad is not None and (p.grad.abs().sum() > 1e-9 or key in idle), key


def test_gradients_of_players():
    game = gan(width=4, code=6, dropout=0.1)
    made = game.draw(3).detach()
    assert made.shape == (3, 1, 28, 28) and 0 <= float(made.min()) < float(made.max()) <= 1
    assert game.critic(game.draw(3)).shape == (3, 1)
    game.critic(game.draw(3)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in game.parameters())


@pytest.mark.parametrize(("name", "settings"), VARIANTS)
def test_the_usual_start_is_found(name, settings):
    """The plan "auto" knows every layer, and gives activations of a sensible size."""
    model = made(name, **settings)
    report = apply(model, "auto", sample=inputs(name))
    assert not report.unclassified
    out = model.eval()(inputs(name))
    assert bool(out.isfinite().all()) and 1e-3 < float(out.detach().std()) < 30


def test_the_usual_start_of_players():
    for player in gan(width=4).children():
        assert not apply(player, "auto").unclassified


# --- text ---------------------------------------------------------------------------------------------

READERS = [
    *(("recurrent", {"cell": c, "pool": p, "bidirectional": b, "depth": d}) for c in ("rnn", "lstm", "gru")
      for p in ("last", "max", "mean") for b, d in ((False, 1), (True, 2))),
    *(("textcnn", {"norm": n, "depth": d}) for n, d in ((False, 1), (True, 4))),
    *(("transformer", {"norm": n, "depth": 2}) for n in ("pre", "post")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "settings"), READERS)
def test_padding_changes_nothing(name, settings, float64):
    model = made(name, **settings).eval()
    texts = ids(3, 9)
    texts[1, 6:] = 0
    texts[2] = 0  # an empty one
    alone = [model(texts[:1]), model(texts[1:2, :6]), model(texts[2:, :1])]
    more = torch.cat([texts, torch.zeros(3, 3, dtype=torch.int64)], 1)
    assert (model(more) - torch.cat(alone)).abs().max() < 1e-12
    # And what is no padding does.
    more[1, 6] = 7
    assert (model(more)[1] - alone[1]).abs().max() > 1e-6
    assert bool(model(more).isfinite().all())


@pytest.mark.parametrize("name", ["recurrent_language", "gpt"])
@pytest.mark.parametrize("settings", [{}, {"depth": 2}, {"tied": True}])
def test_the_future_is_not_known(name, settings, float64):
    model, text = made(name, **settings).eval(), ids(2, 9)
    before = model(text)
    for place in (3, 8):
        other = text.clone()
        other[:, place:] = (other[:, place:] + 11) % 48 + 2
        after = model(other)
        assert torch.equal(before[..., :place], after[..., :place]) or (before - after)[..., :place].abs().max() < 1e-13
        assert (before - after)[..., place].abs().min() > 0


def test_words_in_another_order_are_another_text(float64):
    """Without places, a transformer would read a bag of words."""
    for name in ("recurrent", "textcnn", "transformer"):
        model, text = made(name).eval(), ids(2, 9)
        assert (model(text) - model(text.flip(1))).abs().max() > 1e-6


# --- what some of them do besides ---------------------------------------------------------------------


def test_the_bound_of_a_vae(float64):
    """Against the formulas, written out: the KL divergence by torch's distributions, the pixels one by one."""
    model, x = vae(code=3, width=5, size=4), numbers(6, 1, 4, 4)
    distortion, rate = model.bound(x, generator(0, "codes"))
    mean, spread = model.encode(x)
    noise = torch.randn(6, 3, generator=generator(0, "codes"))
    p = model.decoder(mean + (spread / 2).exp() * noise).sigmoid()
    assert torch.allclose(distortion, -(x * p.log() + (1 - x) * (1 - p).log()).sum((1, 2, 3)), rtol=1e-12)
    posterior, prior = torch.distributions.Normal(mean, (spread / 2).exp()), torch.distributions.Normal(0.0, 1.0)
    assert torch.allclose(rate, torch.distributions.kl_divergence(posterior, prior).sum(1), rtol=1e-10)
    assert torch.equal(model.draw(2, generator(0)), model.draw(2, generator(0))) and model.draw(2, generator(0)).shape == (2, 1, 4, 4)


def test_the_copy_of_a_dqn():
    model, x = dqn(dueling=True, norm=True), numbers(5, 4)
    nn.init.ones_(model.online[0].bias)
    model.follow(0.1)  # the first time, all the way
    assert torch.equal(model.target(x), model(x))
    before = model.target(x)
    with torch.no_grad():
        for p in model.online.parameters():
            p += 1.0
    assert torch.equal(model.target(x), before)
    old = [b.clone() for b in model.target.buffers()]
    model.follow(0.25)
    for was, now, goal in zip(old, model.target.buffers(), model.online.parameters(), strict=True):
        assert torch.allclose(now, was + 0.25 * (goal - was))
    assert not list(model.target.parameters()) and {key.split(".")[0] for key in model.state_dict()} == {"online", "target", "followed"}
    values = model(x)  # of a dueling head, the mean over actions is the state's value
    inner = model.online[:-1](x)
    assert torch.allclose(values.mean(1, keepdim=True), model.online[-1].state(inner), atol=1e-4)


# --- what cannot be -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_networks_that_cannot_be(name):
    for knob, value in keywords(MODELS[name]).items():
        if isinstance(value, bool):
            continue
        wrong: list[Any] = [0, -1, nan]
        if isinstance(value, str):
            wrong = ["nonsense"]
        elif knob == "dropout":
            wrong = [1.0, -0.1, nan]
        elif knob == "width" and name == "lenet5":
            wrong = [0.0, nan, float("inf")]
        elif name == "mlp":
            wrong = [-1]
        elif name == "lenet5":
            wrong = [0]
        for bad in wrong:
            with pytest.raises(SettingError, match=rf"^{name}: .*{knob}"):
                MODELS[name](**{knob: bad})


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: cnn(depth=5), r"cnn: depth = 5 leaves nothing of images of 28 x 28; the most it can be is 3"),
        (lambda: vgg(depth=6), r"vgg: depth = 6 leaves nothing of images of 32 x 32; the most it can be is 5"),
        (lambda: resnet20(depth=21), r"resnet20: depth = 21 is not 6n \+ 2: 8, 14, 20"),
        (lambda: resnet20(depth=2), r"resnet20: depth = 2 is not 6n \+ 2"),
        (lambda: resnet20(norm="bacth"), r"resnet20: unknown norm 'bacth'; did you mean batch\?"),
        (lambda: recurrent(cell="lsmt"), r"recurrent: unknown cell 'lsmt'; did you mean lstm\?"),
        (lambda: recurrent_language(tied=True), r"recurrent_language: embedding = 64 and width = 256; tied, they must be equal"),
        (lambda: transformer(width=30), r"transformer: width = 30 is no multiple of heads = 4"),
        (lambda: gpt(length=8)(ids(1, 9)), r"a text of 9 tokens, and the model has 8 places; give \[model\] a greater length"),
        (lambda: gan(size=30), r"gan: images of 30 x 30 cannot be halved 2 times; size must be a multiple of 4"),
        (lambda: MODELS["autoencoder"](size=30), r"autoencoder: images of 30 x 30 cannot be halved 2 times; size must be a multiple of 4"),
        (lambda: dqn(width=2.0), r"dqn: width = 2.0 is no whole number from 1 on"),
        (lambda: textcnn(dropout=1.0), r"textcnn: dropout = 1.0 is outside \[0, 1\)"),
    ],
)
def test_messages(model, message):
    with pytest.raises(SettingError, match=message):
        model()
