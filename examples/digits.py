"""Optimizers side by side: one small network, scikit-learn's handwritten digits, the same seeds and batches for all.

python examples/digits.py [--steps 300] [--seeds 3] [--svg picture.svg]
"""

import re
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from time import perf_counter
from typing import Any, NamedTuple

import torch
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from steepest import optim

WIDTH, BATCH, GOAL, LOOK_EVERY = 64, 64, 0.95, 10


def torch_adamw(model: nn.Module, **settings: Any) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.named_parameters(), **settings)


class Contender(NamedTuple):
    """An optimizer at one rate, picked by hand: nothing here is tuned."""

    name: str
    make: Callable[..., torch.optim.Optimizer]
    settings: dict[str, Any]


CONTENDERS = [
    Contender("gradient descent", optim.SGD, dict(lr=0.2)),
    Contender("SGD, momentum 0.9", optim.SGD, dict(lr=0.05, momentum=0.9)),
    Contender("Adagrad", optim.Adagrad, dict(lr=0.03)),
    Contender("RMSprop", optim.RMSprop, dict(lr=0.003)),
    Contender("AdamW", optim.AdamW, dict(lr=0.005)),
    Contender("Lion", optim.Lion, dict(lr=0.003)),
    Contender("Adan", optim.Adan, dict(lr=0.01)),
    Contender("Muon", optim.Muon, dict(lr=0.02)),
    Contender("SOAP", optim.SOAP, dict(lr=0.005)),
    Contender("ScheduleFreeAdamW", optim.ScheduleFreeAdamW, dict(lr=0.01)),
]
RIVALS = [
    Contender("torch.optim.AdamW", torch_adamw, dict(lr=0.005)),
    Contender("... fused=True", torch_adamw, dict(lr=0.005, fused=True)),
]


@dataclass
class Score:
    """What the runs of one contender gave, one entry per seed; `seconds` one per step."""

    accuracy: list[float] = field(default_factory=list)
    reached: list[int | None] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def cells(self) -> tuple[str, str, str]:
        low, high = min(self.accuracy), max(self.accuracy)
        steps = [s for s in self.reached if s is not None]
        to_goal = f"{mean(steps):.0f}" if len(steps) == len(self.reached) else f"in {len(steps)} of {len(self.reached)}"
        return f"{mean(self.accuracy):.1%} [dim]({low * 100:.1f}-{high * 100:.1f})[/]", to_goal, f"{min(self.seconds) * 1e6:.0f} us"


def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x, y = load_digits(return_X_y=True)
    parts = train_test_split(x / 16, y, test_size=500, random_state=0, stratify=y)
    x, x_valid = (torch.tensor(part, dtype=torch.float32) for part in parts[:2])
    y, y_valid = (torch.tensor(part) for part in parts[2:])
    return x, y, x_valid, y_valid


def batches(n: int, seed: int) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield from torch.randperm(n, generator=generator)[: n - n % BATCH].split(BATCH)


def train(contender: Contender, seed: int, steps: int, data: tuple[Tensor, Tensor, Tensor, Tensor], score: Score) -> Iterator[int]:
    """One run; yields the steps done, a few at a time."""
    x, y, x_valid, y_valid = data
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(x.shape[1], WIDTH), nn.ReLU(), nn.Linear(WIDTH, 10))
    optimizer = contender.make(model, **contender.settings)
    reached, accuracy = None, 0.0
    for step, rows in zip(range(1, steps + 1), batches(len(x), seed), strict=False):
        optimizer.zero_grad()
        cross_entropy(model(x[rows]), y[rows]).backward()
        start = perf_counter()
        optimizer.step()
        score.seconds.append(perf_counter() - start)
        if step % LOOK_EVERY == 0 or step == steps:
            # Averaging optimizers are judged at their average; torch's have no other weights than the current ones.
            with torch.no_grad(), getattr(optimizer, "viewing", nullcontext)():
                accuracy = (model(x_valid).argmax(1) == y_valid).float().mean().item()
            reached = step if reached is None and accuracy >= GOAL else reached
            yield LOOK_EVERY
    score.accuracy.append(accuracy)
    score.reached.append(reached)


def table(scores: dict[str, Score], steps: int, seeds: int) -> Table:
    out = Table(title=f"Handwritten digits, {steps} steps of {BATCH}; mean over seeds: {seeds} (lowest to highest)", box=SIMPLE_HEAD)
    out.add_column("optimizer", no_wrap=True)
    for heading in ("lr", "accuracy", f"steps to {GOAL:.0%}", "fastest step"):
        out.add_column(heading, justify="right", no_wrap=True)
    for group in (CONTENDERS, RIVALS):
        for contender in group:
            if (score := scores.get(contender.name)) is not None:
                out.add_row(contender.name, f"{contender.settings['lr']:g}", *score.cells())
        out.add_section()
    return out


def closing(steps: int, seeds: int, rows: int) -> str:
    weights = 64 * WIDTH + WIDTH + WIDTH * 10 + 10
    return (
        f"Trained a network of {weights:,} weights on {rows:,} digits, {seeds} times {steps} steps with each optimizer, all from the same "
        "starts on the same batches, and judged it on 500 other digits. The rates were picked by hand, not tuned: this shows the "
        "optimizers at work and does not rank them."
    )


def main(steps: int = 300, seeds: int = 3, svg: Path | None = None) -> None:
    """Train the network with every optimizer, and show the table as it fills."""
    torch.set_num_threads(1)  # a network this small gains nothing from more
    data, scores = digits(), {}
    contenders = CONTENDERS + RIVALS
    progress = Progress(TextColumn("{task.description:20}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), transient=True)
    bar = progress.add_task("", total=len(contenders) * seeds * steps)
    console = Console(record=svg is not None, width=80 if svg else None)
    with Live(progress, console=console, transient=True) as live:
        for contender in contenders:
            progress.update(bar, description=contender.name)
            score = Score()
            for seed in range(seeds):
                for done in train(contender, seed, steps, data, score):
                    progress.advance(bar, done)
            scores[contender.name] = score
            live.update(Group(table(scores, steps, seeds), progress))
    console.print(table(scores, steps, seeds))
    console.print(closing(steps, seeds, len(data[0])), highlight=False)
    if svg:
        # Without rich's web fonts: the picture loads nothing from elsewhere.
        svg.write_text(re.sub(r"@font-face \{.*?\}\s*", "", console.export_svg(title="make demo"), flags=re.DOTALL))


if __name__ == "__main__":
    typer.run(main)
