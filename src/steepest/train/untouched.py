"""Whatever is tried inside, everything is afterwards exactly as it was found."""

import random
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.utils.data import DataLoader, Dataset, Sampler

from steepest.core.errors import ParameterError
from steepest.core.rng import untouched as random_untouched

# Objects whose attributes are looked into, wherever they are met; others are looked into only when they are given.
KNOWN = (nn.Module, torch.optim.Optimizer, DataLoader, Sampler, Dataset)
LISTS = (list, deque)


class Kept:
    """What was found, and how to put it back: the same objects with the same contents, so that whoever holds one of them holds it still.

    Tensors are kept bit by bit, on the CPU, each memory once however many tensors look into it.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._seen: dict[int, Any] = {}  # the objects too: an id means something only while its object lives
        self._undo: list[Callable[[], Any]] = []

    def keep(self, x: Any, tensors: bool = True, given: bool = False) -> None:
        """Everything in x. Without `tensors` their contents are taken to stay as they are: a data set is not worth a copy."""
        if id(x) in self._seen:
            return
        if isinstance(x, dict):
            self._note(x, restore_dict, list(x.items()))
            inside = list(x.values())
        elif isinstance(x, LISTS):
            self._note(x, restore_list, list(x))
            inside = list(x)
        elif isinstance(x, set):
            self._note(x, restore_set, x.copy())
            inside = []
        elif isinstance(x, tuple):
            self._seen[id(x)] = x
            inside = list(x)
        elif isinstance(x, Tensor):
            if tensors:
                self._tensor(x)
            inside = [x.grad] if tensors and x.is_leaf and x.grad is not None else []
        elif isinstance(x, np.ndarray):
            if tensors:
                self._note(x, np.copyto, x.copy())
            inside = []
        elif isinstance(x, torch.Generator):
            self._note(x, torch.Generator.set_state, x.get_state())
            inside = []
        elif isinstance(x, random.Random):
            self._note(x, random.Random.setstate, x.getstate())
            inside = []
        elif isinstance(x, (np.random.Generator, np.random.RandomState)):
            bits: Any = x.bit_generator if isinstance(x, np.random.Generator) else x._bit_generator
            self._note(bits, restore_bits, deepcopy(bits.state))
            inside = []
        elif (isinstance(x, KNOWN) or given) and hasattr(x, "__dict__"):
            self._seen[id(x)] = x
            inside = [vars(x)]
        else:
            inside = []
        for part in inside:
            self.keep(part, tensors)

    def restore(self) -> None:
        with torch.no_grad():
            for undo in self._undo:
                undo()

    def _note(self, x: Any, back: Callable[[Any, Any], Any], value: Any) -> None:
        self._seen[id(x)] = x
        self._undo.append(lambda: back(x, value))

    def _tensor(self, x: Tensor) -> None:
        if isinstance(x, (UninitializedParameter, UninitializedBuffer)):
            raise ParameterError("the model has lazy layers that were never run, and cannot be put back; run it on one batch before")
        if x.layout != torch.strided:
            self.bytes += x.numel() * x.element_size()
            self._note(x, Tensor.copy_, x.detach().clone())
            return
        data, grad, wanted = x.detach(), x.grad if x.is_leaf else None, x.requires_grad

        def back(x: Tensor, data: Tensor) -> None:
            if not same_place(x, data):
                x.data = data
            if x.is_leaf:
                x.requires_grad_(wanted)
                x.grad = grad

        self._note(x, back, data)
        storage = data.untyped_storage()
        if storage._cdata not in self._seen:
            self._seen[storage._cdata] = storage
            self.bytes += storage.nbytes()
            kept = storage.clone() if storage.device.type == "cpu" else storage.cpu()
            self._undo.append(lambda: storage.copy_(kept))


def same_place(x: Tensor, y: Tensor) -> bool:
    return x.data_ptr() == y.data_ptr() and x.shape == y.shape and x.stride() == y.stride() and x.dtype == y.dtype


def restore_dict(x: dict, items: list[tuple[Any, Any]]) -> None:
    """Only if something is different: an optimizer's state that nobody replaced keeps the engine that serves it."""
    if len(x) != len(items) or any(k is not a or v is not b for (k, v), (a, b) in zip(x.items(), items, strict=True)):
        x.clear()
        x.update(items)


def restore_list(x: Any, values: list[Any]) -> None:
    x.clear()
    x.extend(values)


def restore_set(x: set, values: set) -> None:
    x.clear()
    x.update(values)


def restore_bits(bits: Any, state: Any) -> None:
    bits.state = state


@contextmanager
def untouched(*things: Any, data: Any = None) -> Iterator[Kept]:
    """Within: models, optimizers and anything else given may be used and written to. After, also after an error: all is as before.

    That is weights, buffers, gradients, modes, the optimizer's state and groups, attributes of any kind, Python's, NumPy's and
    torch's random states. Of `data` (a loader, its samplers, its data set) attributes and generators are put back, and what it says
    by `state_dict`; not the contents of its tensors, which nobody is expected to write over.
    """
    kept = Kept()
    for thing in things:
        kept.keep(thing, given=True)
    kept.keep(data, tensors=False, given=True)
    told = deepcopy(data.state_dict()) if hasattr(data, "load_state_dict") else None
    numpy = np.random.get_state()
    with random_untouched():
        try:
            yield kept
        finally:
            kept.restore()
            if told is not None:
                data.load_state_dict(told)
            np.random.set_state(numpy)
