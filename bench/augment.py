"""Augmentation of whole batches beside the same transforms in a Dataset, sample by sample, behind a DataLoader.

python bench/augment.py [--n 15] [--batches 20] [--threads 1] [--only flip,crop] [--picture docs/augment.png]
"""

import math
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import torch
import typer
from race import no_garbage_collection
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from steepest.core.rng import generator
from steepest.regularizers.augment import Chain
from steepest.regularizers.augment import policies as names
from steepest.regularizers.augment.geometry import Rotate, Scale, Shear, Translate
from steepest.regularizers.augment.images import Crop, Erase, Flip
from steepest.regularizers.augment.light import Brightness, Contrast
from steepest.regularizers.augment.policies import RandAugment
from steepest.regularizers.base import BatchChange

BATCH = 128

# --- one sample, as a user writes it: (C, H, W), Python's random numbers, which are faster than torch's for one number ------------


def none(x: Tensor) -> Tensor:
    return x


def flip(x: Tensor) -> Tensor:
    return x.flip(-1) if random.random() < 0.5 else x


def crop(x: Tensor) -> Tensor:
    height, width = x.shape[1:]
    top, left = random.randint(0, 8), random.randint(0, 8)
    return F.pad(x, (4, 4, 4, 4))[:, top : top + height, left : left + width]


def floats(x: Tensor) -> Tensor:
    return x.float() / 255 if x.dtype == torch.uint8 else x


def warp(x: Tensor, a: float, b: float, d: float, e: float, c: float = 0.0, f: float = 0.0) -> Tensor:
    grid = F.affine_grid(torch.tensor([[[a, b, c], [d, e, f]]]), [1, *x.shape], align_corners=False)
    return F.grid_sample(floats(x)[None], grid, align_corners=False)[0]


def rotate(x: Tensor, degrees: float = 10.0) -> Tensor:
    angle = math.radians(random.uniform(-degrees, degrees))
    return warp(x, math.cos(angle), -math.sin(angle), math.sin(angle), math.cos(angle))


def affine(x: Tensor) -> Tensor:
    """Rotation, scale, translation and shear, in one matrix: the careful user's way."""
    angle, k = math.radians(random.uniform(-10, 10)), math.tan(math.radians(random.uniform(-15, 15)))
    s, right, down = 1.2 ** random.uniform(-1, 1), random.uniform(-0.2, 0.2), random.uniform(-0.2, 0.2)
    cos, sin = math.cos(angle) / s, math.sin(angle) / s
    return warp(x, cos, -k * cos - sin, sin, cos - k * sin, right, down)


def brightness(x: Tensor) -> Tensor:
    return (floats(x) * random.uniform(0.8, 1.2)).clamp(0, 1)


def contrast(x: Tensor) -> Tensor:
    x = floats(x)
    mean = gray(x).mean()
    return ((x - mean) * random.uniform(0.8, 1.2) + mean).clamp(0, 1)


def gray(x: Tensor) -> Tensor:
    return 0.299 * x[0] + 0.587 * x[1] + 0.114 * x[2] if x.shape[0] == 3 else x[0]


def erase(x: Tensor) -> Tensor:
    if random.random() >= 0.5:
        return x
    height, width = x.shape[1:]
    area, ratio = random.uniform(0.02, 0.33) * height * width, 3.3 ** random.uniform(-1, 1)
    tall, wide = (min(max(round(math.sqrt(v)), 1), n) for v, n in ((area * ratio, height), (area / ratio, width)))
    top, left = random.randint(0, height - tall), random.randint(0, width - wide)
    x = x.clone()
    x[:, top : top + tall, left : left + wide] = 0
    return x


def blend(start: Tensor, x: Tensor, s: float) -> Tensor:
    return (start + (1 + 0.9 * s) * (x - start)).clamp(0, 1)


def blurred(x: Tensor) -> Tensor:
    kernel = torch.tensor([[1.0, 1, 1], [1, 5, 1], [1, 1, 1]]).expand(len(x), 1, 3, 3) / 13
    out = x.clone()
    out[:, 1:-1, 1:-1] = F.conv2d(x[None], kernel, groups=len(x))[0]
    return out


def posterized(x: Tensor, s: float) -> Tensor:
    step = 2 ** (8 - (8 - round(4 * abs(s))))
    return ((x * 255).round() / step).floor() * step / 255


def stretched(x: Tensor) -> Tensor:
    low, high = x.amin((1, 2), keepdim=True), x.amax((1, 2), keepdim=True)
    return torch.where(high > low, (x - low) / (high - low).clamp(min=1e-12), x)


def equalized(x: Tensor) -> Tensor:
    out = []
    for channel in (x * 255).round().long():
        share = channel.flatten().bincount(minlength=256).cumsum(0) / channel.numel()
        lowest = share[channel.min()]
        out.append((share[channel] - lowest) / (1 - lowest) if lowest < 1 else channel / 255)
    return torch.stack(out)


PER_SAMPLE: dict[str, Callable[[Tensor, float], Tensor]] = {
    "identity": lambda x, s: x,
    "rotate": lambda x, s: warp(x, math.cos(s * 0.5236), -math.sin(s * 0.5236), math.sin(s * 0.5236), math.cos(s * 0.5236)),
    "shear_x": lambda x, s: warp(x, 1, -0.3 * s, 0, 1),
    "shear_y": lambda x, s: warp(x, 1, 0, -0.3 * s, 1),
    "translate_x": lambda x, s: warp(x, 1, 0, 0, 1, -2 * s * names.SHARE, 0),
    "translate_y": lambda x, s: warp(x, 1, 0, 0, 1, 0, -2 * s * names.SHARE),
    "brightness": lambda x, s: (x * (1 + 0.9 * s)).clamp(0, 1),
    "contrast": lambda x, s: blend(gray(x).mean(), x, s),
    "saturation": lambda x, s: blend(gray(x), x, s) if len(x) == 3 else x,
    "sharpness": lambda x, s: blend(blurred(x), x, s),
    "solarize": lambda x, s: torch.where(x >= 1 - abs(s), 1 - x, x),
    "posterize": posterized,
    "stretch": lambda x, s: stretched(x),
    "equalize": lambda x, s: equalized(x),
}


def randaugment(x: Tensor) -> Tensor:
    x = floats(x)
    for _ in range(2):
        x = random.choice(list(PER_SAMPLE.values()))(x, random.choice((-0.3, 0.3)))
    return x


def several(*steps: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return partial(each, steps)


def each(steps: tuple[Callable[[Tensor], Tensor], ...], x: Tensor) -> Tensor:
    for step in steps:
        x = step(x)
    return x


# What each is called: ours, theirs.
MOVED = (Rotate(), Scale(), Translate(), Shear())
CONTESTS: dict[str, tuple[BatchChange, Callable[[Tensor], Tensor]]] = {
    "nothing": (Chain(), none),
    "flip": (Flip(), flip),
    "crop": (Crop(), crop),
    "crop, flip": (Chain(parts=(Crop(), Flip())), several(crop, flip)),
    "erase": (Erase(), erase),
    "brightness": (Brightness(), brightness),
    "contrast": (Contrast(), contrast),
    "rotate": (Rotate(), rotate),
    "rotate, scale, translate, shear": (Chain(parts=MOVED), affine),
    "crop, flip, brightness, contrast": (
        Chain(parts=(Crop(), Flip(), Brightness(), Contrast())),
        several(crop, flip, brightness, contrast),
    ),
    "crop, flip, rotate, erase": (Chain(parts=(Crop(), Flip(), Rotate(), Erase())), several(crop, flip, rotate, erase)),
    "crop, flip, RandAugment": (Chain(parts=(Crop(), Flip(), RandAugment())), several(crop, flip, randaugment)),
}


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
    for shape in ((3, 32, 32), (1, 28, 28)):
        for kind in ("float32", "uint8"):
            x = torch.randint(256, (BATCH * batches, *shape), dtype=torch.uint8)
            x, y = x if kind == "uint8" else x / 255, torch.randint(10, (len(x),))
            about = f"{BATCH} images of {'x'.join(map(str, shape))} in {kind}, {threads} thread; microseconds per batch, medians of {n}"
            table = Table(title=f"{about}; target: at least 10")
            for heading in (
                "transform",
                "whole batches",
                "DataLoader",
                "2 workers",
                "ratio",
                "lowest to highest",
                "of the fastest",
                "ratio, 2 workers",
            ):
                table.add_column(heading, justify="left" if heading == "transform" else "right")
            with no_garbage_collection():
                for name, (change, transform) in CONTESTS.items():
                    if not only or name in only.split(";"):
                        ours, theirs = contest(x, y, change, transform, n)
                        workers = with_workers(x, y, transform, min(n, 3))
                        ratios = sorted(b / a for a, b in zip(ours, theirs, strict=True))
                        twice = median(workers) / median(ours)
                        cells = [f"{median(side):.0f}" for side in (ours, theirs, workers)]
                        table.add_row(
                            name,
                            *cells,
                            f"{median(ratios):.1f}",
                            f"{ratios[0]:.1f}-{ratios[-1]:.1f}",
                            f"{min(theirs) / min(ours):.1f}",
                            f"{twice:.1f}",
                        )
            Console(width=150).print(table)


if __name__ == "__main__":
    typer.run(main)
