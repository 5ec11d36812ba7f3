"""`from steepest.optim import AdamW` in place of `from torch.optim import AdamW`."""

import torch

from steepest.optim.faces import face
from steepest.optim.lbfgs import LBFGS
from steepest.optim.muon import Muon
from steepest.optim.optimizer import Optimizer
from steepest.optim.table import ROWS

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {name: face(name, row) for name, row in ROWS.items()}
OPTIMIZERS |= {"Muon": Muon, "LBFGS": LBFGS}
globals().update(OPTIMIZERS)

__all__ = ["OPTIMIZERS", "Optimizer", *OPTIMIZERS]  # pyright: ignore[reportUnsupportedDunderAll]
