"""What to run a model on: a sample, or the first batch of a data loader that must not notice."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader, IterableDataset

from steepest.core.errors import ParameterError


def first_inputs(batch: Any) -> Any:
    """The inputs of a data loader's first batch, its position left as it is; anything else is inputs already.

    The loader's own iterator is never made: it would reset persistent workers and take numbers from the generator.
    """
    if not isinstance(batch, DataLoader):
        return batch
    if isinstance(batch.dataset, IterableDataset):
        raise ParameterError("a DataLoader over an IterableDataset cannot be read without moving it; give one batch of inputs")
    numpy = np.random.get_state()  # augmentations may draw from it
    sampler: Any = batch.batch_sampler if batch.batch_sampler is not None else batch.sampler
    owners = (batch, batch.sampler, sampler, getattr(sampler, "sampler", None))
    generators = [g for g in (getattr(owner, "generator", None) for owner in owners) if isinstance(g, torch.Generator)]
    states = [g.get_state() for g in generators]
    try:
        rows = next(iter(sampler), None)
        if rows is None:
            raise ParameterError("the DataLoader has no batch")
        dataset: Any = batch.dataset
        found = batch.collate_fn([dataset[i] for i in rows] if isinstance(rows, (list, tuple)) else dataset[rows])
    finally:
        np.random.set_state(numpy)
        for g, state in zip(generators, states, strict=True):
            g.set_state(state)
    return found[0] if isinstance(found, (tuple, list)) else found


def arguments(sample: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What a sample is for a model's forward: one input, a tuple of inputs, or inputs by name."""
    if isinstance(sample, dict):
        return (), sample
    return (tuple(sample) if isinstance(sample, (tuple, list)) else (sample,)), {}


def floats(value: Any) -> list[Tensor]:
    """The floating-point tensors in what a module takes or gives."""
    return [x for x in tree_leaves(value) if isinstance(x, Tensor) and x.is_floating_point()]
