"""How many CPU threads a run takes where nobody says: one for a small step, torch's number for others."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from steepest.core.rng import untouched

# Operations a step. Below, a second thread gains a few milliseconds at most; and beside other work it loses a hundred:
# of an MLP with 5 million, one thread made 0.13 ms and two 124 ms, where alone they would have been at most 1.7 times faster.
SMALL = 1e9


def chosen(operations: float, usual: int) -> int:
    return 1 if operations < SMALL else usual


def said(operations: float) -> str:
    amount, unit = (operations / 1e9, "billion") if operations >= 1e9 else (operations / 1e6, "million")
    return f"{amount:,.0f} {unit}" if amount >= 10 else f"{amount:.2g} {unit}"


@contextmanager
def without_onednn() -> Iterator[None]:
    """It has LSTMs in one piece, which nobody counts. (torch's own switch warns of GPUs that nobody asked about.)"""
    enabled = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(False)
    try:
        yield
    finally:
        torch._C._set_mkldnn_enabled(enabled)


@torch.no_grad()
def operations(model: nn.Module, inputs: Any, size: int) -> float:
    """Additions and multiplications of a step of `size` samples, in matrix products and convolutions: three times the forward pass's.

    Two of them per weight and sample are the least, and all that is known of a model that does not take these inputs.
    """
    least = 2 * sum(p.numel() for p in model.parameters()) * size
    training = model.training
    model.eval()
    try:
        with untouched(), without_onednn(), FlopCounterMode(display=False) as counter:
            model(*inputs)
        counted = counter.get_total_flops() * size / max(len(inputs[0]), 1)
    except Exception:  # said where it is asked to learn
        counted = 0
    finally:
        model.train(training)
    return 3.0 * max(counted, least)
