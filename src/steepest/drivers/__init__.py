"""How often, and where, the gradient is asked. A driver works on anything like a torch optimizer."""

from steepest.core.knob import Settings
from steepest.drivers.accumulate import Accumulate
from steepest.drivers.line_search import Backtracking
from steepest.drivers.plain import Plain
from steepest.drivers.sam import SAM

DRIVERS: dict[str, type[Settings]] = {
    "plain": Plain,
    "accumulate": Accumulate,
    "sam": SAM,
    "backtracking": Backtracking,
}
