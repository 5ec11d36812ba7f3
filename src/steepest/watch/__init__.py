"""Numbers about a step: sizes of gradients, weights and updates, dead and saturated units, the first bad value. No pictures."""

from steepest.watch.activations import Activations, shares
from steepest.watch.bad import Bad, first_bad, first_bad_gradient, first_bad_parameter
from steepest.watch.health import Health
from steepest.watch.sizes import gap, layers, sizes

__all__ = ["Activations", "Bad", "Health", "first_bad", "first_bad_gradient", "first_bad_parameter", "gap", "layers", "shares", "sizes"]
