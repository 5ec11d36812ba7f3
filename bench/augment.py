"""Augmentation of whole batches beside the same transforms in a Dataset, sample by sample, behind a DataLoader.

python bench/augment.py [--n 15] [--batches 20] [--threads 1] [--only "flip;crop, flip"] [--picture docs/augment.png]
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import per_sample as one
import torch
import typer
from race import no_garbage_collection
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from steepest.core.rng import generator
from steepest.regularizers.augment import Chain
from steepest.regularizers.augment.audio import AudioNoise, Gain, SpecAugment, TimeShift
from steepest.regularizers.augment.geometry import Rotate, Scale, Shear, Translate
from steepest.regularizers.augment.images import Crop, Erase, Flip
from steepest.regularizers.augment.light import Brightness, Contrast
from steepest.regularizers.augment.policies import RandAugment
from steepest.regularizers.augment.text import TokenDropout, TokenSwap
from steepest.regularizers.base import BatchChange
from steepest.regularizers.pixels import as_numbers

BATCH = 128

# What each is called: ours, theirs.
Contests = dict[str, tuple[BatchChange, Callable[[Tensor], Tensor]]]
MOVED = (Rotate(), Scale(), Translate(), Shear())
NOTHING = (Chain(), one.none)
IMAGES: Contests = {
    "nothing": NOTHING,
    "flip": (Flip(), one.flip),
    "crop": (Crop(), one.crop),
    "crop, flip": (Chain(parts=(Crop(), Flip())), one.several(one.crop, one.flip)),
    "erase": (Erase(), one.erase),
    "brightness": (Brightness(), one.brightness),
    "contrast": (Contrast(), one.contrast),
    "rotate": (Rotate(), one.rotate),
    "rotate, scale, translate, shear": (Chain(parts=MOVED), one.affine),
    "crop, flip, brightness, contrast": (
        Chain(parts=(Crop(), Flip(), Brightness(), Contrast())),
        one.several(one.crop, one.flip, one.brightness, one.contrast),
    ),
    "crop, flip, rotate, erase": (
        Chain(parts=(Crop(), Flip(), Rotate(), Erase())),
        one.several(one.crop, one.flip, one.rotate, one.erase),
    ),
    "crop, flip, RandAugment": (Chain(parts=(Crop(), Flip(), RandAugment())), one.several(one.crop, one.flip, one.randaugment)),
}
WAVES: Contests = {
    "nothing": NOTHING,
    "time_shift": (TimeShift(), one.time_shift),
    "gain": (Gain(), one.gain),
    "audio_noise": (AudioNoise(), one.audio_noise),
}
SPECTROGRAMS: Contests = {"nothing": NOTHING, "specaugment": (SpecAugment(), one.specaugment)}
TOKENS: Contests = {
    "nothing": NOTHING,
    "token_dropout": (TokenDropout(), one.token_dropout),
    "token_swap": (TokenSwap(), one.token_swap),
}


def samples(n: int) -> Iterator[tuple[str, Tensor, Contests]]:
    """What they are, n of them, and who meets on them."""
    for shape in ((3, 32, 32), (1, 28, 28)):
        x = torch.randint(256, (n, *shape), dtype=torch.uint8)
        size = "x".join(map(str, shape))
        yield f"images of {size} in float32", x / 255, IMAGES
        yield f"images of {size} in uint8", x, IMAGES
        yield f"images of {size} in uint8, to be float32", x, {name: scaled(*pair) for name, pair in IMAGES.items()}
    yield "waves of 4,096", torch.randn(n, 4096), WAVES
    yield "spectrograms of 32x64", torch.randn(n, 32, 64), SPECTROGRAMS
    yield "texts of 200 tokens", torch.randint(2, 5000, (n, 200)), TOKENS


def scaled(change: BatchChange, transform: Callable[[Tensor], Tensor]) -> tuple[BatchChange, Callable[[Tensor], Tensor]]:
    """Both with floats in [0, 1] at their end, which is what a network is given."""
    return Chain(parts=(change, Scaled())), one.several(transform, one.floats)


class Scaled(BatchChange):
    def change(self, x, y, generator):
        return as_numbers(x), y


class Samples(Dataset):
    def __init__(self, x: Tensor, y: Tensor, transform: Callable[[Tensor], Tensor]) -> None:
        self.x, self.y, self.transform = x, y, transform

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        return self.transform(self.x[i]), self.y[i]


def whole(x: Tensor, y: Tensor, change: BatchChange) -> Iterator[tuple[Tensor, Tensor]]:
    """Our side: batches by a permutation, as training takes them from memory, then the change."""
    draws = generator(0, "bench")
    for rows in torch.randperm(len(x), generator=draws).split(BATCH):
        yield change.change(x.index_select(0, rows), y.index_select(0, rows), draws)


def epoch(batches: Callable[[], Iterator], clock: Callable[[], float]) -> float:
    """Seconds per batch of one pass over the data."""
    start = clock()
    n = sum(1 for _ in batches())
    return (clock() - start) / n


def contest(x: Tensor, y: Tensor, change: BatchChange, transform: Callable[[Tensor], Tensor], n: int) -> tuple[list[float], list[float]]:
    """Microseconds per batch in each of n rounds, after one that is not counted: whole batches, a loader without workers.

    Of the processor, not of the clock on the wall: both sides are one thread that never waits, and others may use the machine.
    """
    alone = DataLoader(Samples(x, y, transform), BATCH, shuffle=True)
    sides = [lambda: whole(x, y, change), lambda: iter(alone)]
    rounds = [[1e6 * epoch(side, process_time) for side in sides] for _ in range(n + 1)][1:]
    return tuple(list(column) for column in zip(*rounds, strict=True))  # type: ignore[return-value]


def with_workers(x: Tensor, y: Tensor, transform: Callable[[Tensor], Tensor], n: int) -> list[float]:
    """The same of a loader with two workers. By the clock on the wall, and not in turn with the others, which its workers would disturb."""
    loader = DataLoader(Samples(x, y, transform), BATCH, shuffle=True, num_workers=2, persistent_workers=True)
    return [1e6 * epoch(lambda: iter(loader), perf_counter) for _ in range(n + 1)][1:]


def free_large_block() -> None:
    torch.empty(30 << 20, dtype=torch.uint8)


HEADINGS = "transform", "whole batches", "DataLoader", "2 workers", "ratio", "lowest to highest", "of the fastest", "ratio, 2 workers"


def figures(x: Tensor, y: Tensor, change: BatchChange, transform: Callable[[Tensor], Tensor], n: int) -> list[str]:
    ours, theirs = contest(x, y, change, transform, n)
    workers = with_workers(x, y, transform, min(n, 3))
    ratios = sorted(b / a for a, b in zip(ours, theirs, strict=True))
    return [
        *(f"{median(side):.0f}" for side in (ours, theirs, workers)),
        f"{median(ratios):.1f}",
        f"{ratios[0]:.1f}-{ratios[-1]:.1f}",
        f"{min(theirs) / min(ours):.1f}",
        f"{median(workers) / median(ours):.1f}",
    ]


def main(n: int = 15, batches: int = 20, threads: int = 1, only: str = "", picture: Path | None = None) -> None:
    """Time both sides n times, in turn, after one round that is not counted; then the loader with workers."""
    if picture:
        from augment_picture import draw

        draw(picture)
        return
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    # Both sides hand batches back to malloc, which by default hands them on to the system and faults them in again, or
    # not, as chance has it. Freed once, a large block ends this, as the activations of a network do in training.
    free_large_block()
    for about, x, contests in samples(BATCH * batches):
        y = torch.randint(10, (len(x),))
        title = f"{BATCH} {about}, {threads} thread; microseconds per batch, medians of {n}; target: at least 10"
        table = Table(title=title)
        for heading in HEADINGS:
            table.add_column(heading, justify="left" if heading == "transform" else "right")
        with no_garbage_collection():
            for name, (change, transform) in contests.items():
                if not only or name in only.split(";"):
                    table.add_row(name, *figures(x, y, change, transform, n))
        if table.row_count:
            Console(width=150).print(table)


if __name__ == "__main__":
    typer.run(main)
