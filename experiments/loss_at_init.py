"""Is the loss at the start that of a guess, ln(classes), and does a start that is learn better?

A network that knows nothing should say so: cross-entropy ln(10) = 2.303 on ten classes. More means confident mistakes, which the
first steps are spent on taking back. Torch's own start, `auto`, and `auto` with a head ten times smaller, on digits; then the two heads
trained, each with the best of three rates.

python experiments/loss_at_init.py [--seeds 20] [--runs 10] [--steps 150]
"""

from collections import Counter
from collections.abc import Callable
from itertools import product
from math import log
from pathlib import Path
from statistics import mean

import altair as alt
import torch
import typer
from common import HERE, Data, digits, interval, show
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from steepest import init
from steepest.core.rule import Rule
from steepest.optim import Optimizer
from steepest.rules import Adam, Momentum

LN = log(10)


def mlp(depth: int, width: int = 128, curve: type[nn.Module] = nn.ReLU) -> nn.Module:
    hidden = [layer for i in range(depth - 1) for layer in (nn.Linear(width if i else 64, width), curve())]
    return nn.Sequential(*hidden, nn.Linear(width, 10))


def cnn() -> nn.Module:
    kernels = [layer for a, b in ((1, 32), (32, 64), (64, 64)) for layer in (nn.Conv2d(a, b, 3, padding=1), nn.ReLU())]
    return nn.Sequential(nn.Unflatten(1, (1, 8, 8)), *kernels, nn.Flatten(), nn.Linear(64 * 64, 10))


class Skip(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


def residual(width: int = 128) -> nn.Module:
    return nn.Sequential(nn.Linear(64, width), *(Skip(width) for _ in range(12)), nn.Linear(width, 10))


class Transformer(nn.Module):
    """Each row of the image is a token."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.embed = nn.Linear(8, width)
        layer = nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 6, norm=nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.embed(x.unflatten(1, (8, 8)))).mean(1))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "3 layers": lambda: mlp(3),
    "30 layers": lambda: mlp(30),
    "30 layers, tanh": lambda: mlp(30, curve=nn.Tanh),
    "convolutional": cnn,
    "residual, 12 blocks": residual,
    "transformer, 6 blocks": Transformer,
}
SMALL = "auto, head / 10"
STARTS = {"torch's own": "#c8452d", "auto": "#2a6fbb", SMALL: "#8ab4de"}
TRAINED = ("3 layers", "30 layers", "30 layers, tanh", "residual, 12 blocks")
RULES: dict[str, tuple[Callable[[float], Rule], tuple[float, ...]]] = {
    "AdamW": (lambda lr: Adam(lr=lr, weight_decay=0.01), (3e-4, 1e-3, 3e-3)),
    "momentum": (lambda lr: Momentum(lr=lr, momentum=0.9), (3e-3, 1e-2, 3e-2)),
}


def started(name: str, start: str, seed: int, x: Tensor) -> nn.Module:
    torch.manual_seed(seed)
    model = NETWORKS[name]()
    if start in ("auto", SMALL):
        init.apply(model, "auto", sample=x[:8], seed=seed)
    if start == SMALL:
        with torch.no_grad():
            [m for m in model.modules() if isinstance(m, nn.Linear)][-1].weight.mul_(0.1)
    return model


def excess(name: str, start: str, seeds: int, x: Tensor, y: Tensor) -> list[float]:
    """Loss at the start less ln 10, seed by seed."""
    with torch.no_grad():
        return [cross_entropy(started(name, start, seed, x)(x), y).item() - LN for seed in range(seeds)]


def learned(name: str, start: str, rule: Rule, seed: int, steps: int, data: Data) -> float:
    """The loss on the test digits in the end; a run that breaks has that of a guess."""
    x, y, x_test, y_test = data
    model = started(name, start, seed, x)
    optimizer, chosen = Optimizer(model, rule), torch.Generator().manual_seed(seed)
    for _ in range(steps):
        rows = torch.randint(len(x), (64,), generator=chosen)
        optimizer.zero_grad()
        cross_entropy(model(x[rows]), y[rows]).backward()
        optimizer.step()
    with torch.no_grad():
        loss = cross_entropy(model.eval()(x_test), y_test).item()
    return min(loss, LN) if loss == loss else LN


def best(name: str, start: str, rule: str, runs: int, steps: int, data: Data) -> tuple[float, list[float]]:
    """The best rate by the mean over seeds, and what each seed reached with it."""
    make, rates = RULES[rule]
    by_rate = {lr: [learned(name, start, make(lr), seed, steps, data) for seed in range(runs)] for lr in rates}
    return min(by_rate.items(), key=lambda found: mean(found[1]))


def verdict(found: dict[tuple[str, str], list[float]], seeds: int) -> str:
    lines = []
    for name, start in product(NETWORKS, list(STARTS)[1:]):
        gap, low, high = interval([abs(a) - abs(b) for a, b in zip(found[name, start], found[name, "torch's own"], strict=True)])
        sign = "nearer to a guess than torch's" if high < 0 else "further from a guess than torch's" if low > 0 else "not distinguishable"
        lines.append(f"{name}: |loss − ln 10| of {start} less torch's {gap:+.3f} [{low:+.3f}, {high:+.3f}], n = {seeds} pairs: {sign}.")
    return "\n".join(lines)


def draw(found: dict[tuple[str, str], list[float]], path: Path) -> None:
    points = [dict(network=n, start=s, loss=LN + d) for (n, s), runs in found.items() for d in runs]
    colors = alt.Scale(domain=list(STARTS), range=list(STARTS.values()))
    dots = alt.Chart(alt.Data(values=points)).mark_circle(size=45, opacity=0.6).encode(
        y=alt.Y("network:N", title=None, sort=list(NETWORKS), axis=alt.Axis(labelLimit=300)),
        yOffset=alt.YOffset("start:N", sort=list(STARTS)),
        x=alt.X("loss:Q", title="cross-entropy at the start", scale=alt.Scale(zero=False, padding=15)),
        color=alt.Color("start:N", title=None, legend=alt.Legend(orient="bottom"), scale=colors),
    )  # fmt: skip
    line = alt.Chart(alt.Data(values=[dict(loss=LN)])).mark_rule(strokeDash=[4, 3], color="#555555").encode(x="loss:Q")
    title = alt.TitleParams("Loss before the first step; the dashed line is ln 10, a guess", anchor="start")
    alt.layer(line, dots).properties(width=460, height=250, title=title).save(str(path), ppi=150)


def heads(runs: int, steps: int, data: Data) -> None:
    """Which head learns better, by network and rule."""
    rows, signs = [], Counter[str]()
    for name, rule in product(TRAINED, RULES):
        (lr, whole), (lr_small, small) = (best(name, start, rule, runs, steps, data) for start in ("auto", SMALL))
        gap, low, high = interval([log(b / a) for a, b in zip(whole, small, strict=True)])
        sign = "better" if high < 0 else "worse" if low > 0 else "not distinguishable"
        signs[sign] += 1
        row = (f"{mean(whole):.3f} at {lr:g}", f"{mean(small):.3f} at {lr_small:g}", f"{gap:+.2f} [{low:+.2f}, {high:+.2f}]", sign)
        rows.append((name, rule, *row))
    show(
        f"Test loss after {steps} steps, best of three rates",
        ("network", "rule", "auto", SMALL, "ln ratio [95 %]", "smaller head"),
        rows,
        f"The smaller head learns better in {signs['better']}, worse in {signs['worse']} of {len(rows)}, n = {runs} pairs each.",
    )


def main(seeds: int = 20, runs: int = 10, steps: int = 150, png: Path = HERE / "loss_at_init.png") -> None:
    torch.set_num_threads(1)
    data = digits()
    x, y, _, _ = data
    found = {(name, start): excess(name, start, seeds, x, y) for name in NETWORKS for start in STARTS}
    spans = {key: interval(values) for key, values in found.items()}
    rows = [(*key, f"{LN + middle:.3f}", f"{middle:+.3f} [{low:+.3f}, {high:+.3f}]") for key, (middle, low, high) in spans.items()]
    show(f"Loss at the start, {seeds} seeds", ("network", "start", "loss", "loss − ln 10, mean [95 %]"), rows, verdict(found, seeds))
    draw(found, png)
    heads(runs, steps, data)


if __name__ == "__main__":
    typer.run(main)
