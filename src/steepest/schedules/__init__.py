"""Schedules: a factor on a knob as a function of progress; composed, read from recipes, put into torch optimizers."""

from steepest.schedules.base import Schedule
from steepest.schedules.batches import Batches, batch_sizes, grow_batch, whole
from steepest.schedules.compose import Inverse, Product, Sequence, Warmup
from steepest.schedules.cycles import CosineRestarts, OneCycle, Triangular
from steepest.schedules.decays import Constant, Cosine, Exponential, InverseSqrt, InverseTime, Linear, Polynomial, StableDecay
from steepest.schedules.plateau import Plateau, plateau_of
from steepest.schedules.reading import SCHEDULES, of, read
from steepest.schedules.span import Length
from steepest.schedules.steps import Piecewise, Staircase, Step
from steepest.schedules.using import plot, torch_scheduler

__all__ = [
    "SCHEDULES", "Batches", "Constant", "Cosine", "CosineRestarts", "Exponential", "Inverse", "InverseSqrt", "InverseTime",
    "Length", "Linear", "OneCycle", "Piecewise", "Plateau", "Polynomial", "Product", "Schedule", "Sequence", "StableDecay",
    "Staircase", "Step", "Triangular", "Warmup", "batch_sizes", "grow_batch", "of", "plateau_of", "plot", "read",
    "torch_scheduler", "whole",
]  # fmt: skip
