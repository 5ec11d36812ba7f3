"""Plans for residual networks: He, and less where a branch ends."""

from collections.abc import Callable
from math import sqrt

from steepest.core.errors import PlanError
from steepest.init.choices import Choice, follows, gain_of, is_matrix, layer_of, settled
from steepest.init.layers import Layer, Structure
from steepest.init.sites import Site


def skip_zero(site: Site, structure: Structure) -> Choice | None:
    """He, and the last layer of every residual branch zero (Goyal et al., 2017; Zhang et al., 2019)."""
    return _ending(site, structure, lambda count: 0.0, "skip_zero")


def depth_scaled(site: Site, structure: Structure) -> Choice | None:
    """He, and the last layer of every branch divided by sqrt(branches): for a transformer sqrt(2 layers), as GPT-2."""
    return _ending(site, structure, lambda count: 1 / sqrt(count), "depth_scaled")


def fixup(site: Site, structure: Structure) -> Choice | None:
    """Zhang et al., 2019: branches end in zero, their other layers times L^(-1/(2m-2)), the head zero.

    Without the scalar multipliers and biases that Fixup adds to the network itself.
    """
    layer = layer_of(site, structure)
    if layer.head and is_matrix(site):
        return Choice("zeros", {}, "Fixup: the head starts at zero")
    if not is_matrix(site) or layer.ends_residual or not layer.in_residual:
        return _ending(site, structure, lambda count: 0.0, "fixup")
    if "bias" in site.leaf:
        return settled(site)
    per_branch = max(2, round(sum(x.in_residual and x.weighs for x in structure.layers) / len(structure.ends)))
    factor = len(structure.ends) ** (-1 / (2 * per_branch - 2))
    return Choice(
        "he_normal", {"gain": gain_of(layer) * factor}, f"Fixup: {len(structure.ends)} branches of {per_branch} layers, times {factor:.3g}"
    )


def _ending(site: Site, structure: Structure, factor: Callable[[int], float], plan: str) -> Choice | None:
    if not structure.ends:
        raise PlanError(f"{plan} found no residual branch in this model ({structure.how}); use plan auto or he")
    layer = layer_of(site, structure)
    if layer.ends_residual and "bias" not in site.leaf and (is_matrix(site) or "Norm" in site.kind):
        return scaled_end(site, layer, factor(len(structure.ends)), f"ends 1 of {len(structure.ends)} residual branches")
    return settled(site) or (Choice("he_normal", {"gain": gain_of(layer)}, follows(layer)) if is_matrix(site) else None)


def scaled_end(site: Site, layer: Layer, factor: float, reason: str) -> Choice:
    if not factor:
        return Choice("zeros", {}, f"{reason}: zero, the block starts as its skip")
    if not is_matrix(site):
        return Choice("constant", {"value": factor}, f"{reason}: times {factor:.3g}")
    return Choice("he_normal", {"gain": factor}, f"{reason}: times {factor:.3g}")
