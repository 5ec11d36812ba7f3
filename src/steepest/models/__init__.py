"""Small reference networks."""

from collections.abc import Callable

from torch import nn

from steepest.models.lenet import lenet5
from steepest.models.mlp import mlp

MODELS: dict[str, Callable[..., nn.Module]] = {"mlp": mlp, "lenet5": lenet5}

__all__ = ["MODELS", "lenet5", "mlp"]
