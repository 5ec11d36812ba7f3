"""Randomness by name: a stream for each purpose, and no global seed.

`generator(seed, "init", "conv1.weight")` is the same wherever and whenever it is asked for, and has nothing in common
with the stream of any other name, so that one more random thing never changes the others.
"""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def seed_of(seed: int, *names: str | int) -> int:
    """A seed for one purpose: 63 bits of the hash of the run's seed and the names."""
    text = "\0".join([str(int(seed)), *map(repr, names)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(seed: int, *names: str | int, device: str | torch.device = "cpu") -> torch.Generator:
    """The stream of random numbers for one purpose."""
    return torch.Generator(device).manual_seed(seed_of(seed, *names))


@contextmanager
def untouched() -> Iterator[None]:
    """Within, anything may draw random numbers; afterwards the global states (Python's, torch's) are as they were."""
    python = random.getstate()
    with torch.random.fork_rng():
        try:
            yield
        finally:
            random.setstate(python)
