"""Initialization: the right start for a whole model in one call."""

from steepest.init.apply import apply
from steepest.init.initializers import INITIALIZERS
from steepest.init.lsuv import lsuv
from steepest.init.plans import PLANS
from steepest.init.probe import Probe, probe
from steepest.init.structure import structure

__all__ = ["INITIALIZERS", "PLANS", "Probe", "apply", "lsuv", "probe", "structure"]
