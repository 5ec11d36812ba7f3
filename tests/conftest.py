"""What every test stands on. Warnings are errors: `filterwarnings` in pyproject.toml."""

import os
import random
from collections.abc import Iterator

import hypothesis
import numpy as np
import pytest
import torch

# Tests measure memory: a run within them leaves the C library's ways as they are (`train/heap.py` heeds what the environment says).
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", "131072")

# No test asks the network for data; those of downloads ask a server of their own.
os.environ.setdefault("STEEPEST_OFFLINE", "1")

# The same examples on every run, and no deadline: a first call may compile a kernel.
hypothesis.settings.register_profile("steepest", derandomize=True, deadline=None)
hypothesis.settings.load_profile("steepest")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes minutes or hours runs when it is asked for: -m full."""
    if "full" in config.option.markexpr:
        return
    config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("full")])
    items[:] = [item for item in items if not item.get_closest_marker("full")]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Test processes run side by side; two threads on two busy cores can be ten times slower."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seed() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture
def float64() -> Iterator[None]:
    """New tensors in double precision. (torch keeps some scalar state in the default dtype.)"""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)
