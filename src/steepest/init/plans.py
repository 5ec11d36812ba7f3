"""Plans: which initializer each parameter gets, and why. A plan is a function of one parameter's site and the model's structure."""

from math import sqrt

from steepest.init.auto import auto
from steepest.init.choices import Choice, PlanFunction, follows, gain_of, is_matrix, layer_of, settled
from steepest.init.fans import fans_of
from steepest.init.layers import Structure
from steepest.init.residual import depth_scaled, fixup, skip_zero
from steepest.init.sites import Site

# The width at which lr of `mup` is what it says.
MUP_WIDTH = 128


def _everywhere(initializer: str, reason: str) -> PlanFunction:
    def plan(site: Site, structure: Structure) -> Choice | None:
        return settled(site) or (Choice(initializer, {}, reason) if is_matrix(site) else None)

    return plan


def orthogonal(site: Site, structure: Structure) -> Choice | None:
    if (choice := settled(site)) or not is_matrix(site):
        return choice
    layer = layer_of(site, structure)
    return Choice("orthogonal", {"gain": gain_of(layer)}, follows(layer))


def zer_o(site: Site, structure: Structure) -> Choice | None:
    """Identities and Hadamard matrices, nothing random but embeddings (Zhao et al., 2022). Branches end in zero: else a stream doubles."""
    if layer_of(site, structure).ends_residual and is_matrix(site) and "bias" not in site.leaf:
        return Choice("zeros", {}, "ends a residual branch: zero, the block starts as its skip")
    return settled(site) or (Choice("zer_o", {}, "ones where it narrows, a Hadamard matrix where it widens") if is_matrix(site) else None)


def torch_default(site: Site, structure: Structure) -> Choice | None:
    if hasattr(site.module, "reset_parameters") or hasattr(site.module, "_reset_parameters"):
        return Choice("reset_parameters", {}, "as torch starts it")
    return Choice("reset_parameters", {}, "as torch starts it") if site.kind == "NonDynamicallyQuantizableLinear" else None


def mup(site: Site, structure: Structure) -> Choice | None:
    """Maximal update parametrization for Adam (Yang et al., 2022, table 3): the best lr stays put when width grows.

    Matrices between wide layers learn at lr * 128 / fan_in; the head also starts smaller by it. Attention must divide by
    the width of a head, not by its root, which is the model's own business.
    """
    if (choice := settled(site)) or not is_matrix(site):
        return choice
    layer = layer_of(site, structure)
    fan_in = fans_of(site.module, site.kind, site.shape).fan_in if len(site.shape) > 1 else 1.0
    if layer.depth <= 1 and layer.known and not layer.head:
        return Choice("he_normal", {"gain": gain_of(layer)}, "reads the input: lr as it is")
    rate = MUP_WIDTH / fan_in
    if layer.head:
        return Choice("he_normal", {"gain": min(1.0, sqrt(rate))}, f"the head: variance {MUP_WIDTH}/fan_in^2, lr times {rate:.3g}", rate)
    return Choice("he_normal", {"gain": gain_of(layer)}, f"{follows(layer)}; between wide layers: lr times {rate:.3g}", rate)


PLANS: dict[str, PlanFunction] = {
    "auto": auto,
    "xavier": _everywhere("xavier_uniform", "one rule for every weight"),
    "he": _everywhere("he_normal", "one rule for every weight"),
    "orthogonal": orthogonal,
    "fixup": fixup,
    "skip_zero": skip_zero,
    "depth_scaled": depth_scaled,
    "mup": mup,
    "zer_o": zer_o,
    "torch_default": torch_default,
}
