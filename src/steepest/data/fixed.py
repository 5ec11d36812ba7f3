"""Somebody's code that draws random numbers, in a state of the world that is always the same."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from steepest.core.rng import untouched


@contextmanager
def fixed() -> Iterator[None]:
    """Within, Python's, NumPy's and torch's global states begin as ever: what is made by chance is made again in every process.

    Afterwards they are as they were.
    """
    numpy = np.random.get_state()
    with untouched():
        random.seed(0)
        np.random.seed(0)
        torch.manual_seed(0)
        try:
            yield
        finally:
            np.random.set_state(numpy)
