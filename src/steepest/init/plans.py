"""Plans: which initializer each parameter gets, and why. A plan is a function of one parameter's site and the model's structure."""

from collections.abc import Callable
from math import sqrt
from typing import Any, NamedTuple

from torch import nn

from steepest.core.errors import PlanError
from steepest.init.fans import fans_of
from steepest.init.gains import critical, gain
from steepest.init.sites import Site
from steepest.init.structure import Layer, Structure

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
MATRICES = (nn.Linear, nn.Bilinear, *CONVOLUTIONS, nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)
SATURATING = ("tanh", "hardtanh", "softsign")
# From here on a stack without norms or residuals counts as deep: He's weights alone lose the signal to chance.
DEEP = 12
# The width at which lr of `mup` is what it says.
MUP_WIDTH = 128


class Choice(NamedTuple):
    """An initializer, its settings, and why. `rate` multiplies lr; `forget` sets the forget gates of an LSTM's bias to 1."""

    initializer: str
    settings: dict[str, Any]
    reason: str
    rate: float = 1.0
    forget: bool = False


PlanFunction = Callable[[Site, Structure], Choice | None]


def settled(site: Site) -> Choice | None:
    """What every plan agrees on: biases, norms, PReLU and embeddings."""
    module, leaf = site.module, site.leaf
    if "Norm" in site.kind and len(site.shape) <= 3:
        if leaf in ("weight", "scale", "gamma", "g"):
            return Choice("ones", {}, "a norm starts as it is")
        return Choice("zeros", {}, "a norm starts as it is") if leaf in ("bias", "beta", "b") else None
    if isinstance(module, nn.PReLU):
        return Choice("constant", {"value": 0.25}, "the slope of PReLU (He et al., 2015)")
    if isinstance(module, (*MATRICES, nn.Embedding, nn.EmbeddingBag)) and ("bias" in leaf and leaf not in ("bias_k", "bias_v")):
        forgets = isinstance(module, (nn.LSTM, nn.LSTMCell)) and leaf.startswith("bias_ih")
        if forgets:
            return Choice("zeros", {}, "forget gates 1, others zero (Jozefowicz et al., 2015)", forget=True)
        return Choice("zeros", {}, "biases start at zero")
    if isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
        if site.tied:
            return Choice(
                "normal", {"std": site.shape[1] ** -0.5}, f"tied to {', '.join(site.tied)}: 1/sqrt(width) gives logits variance 1"
            )
        if site.near_tied:
            return Choice("normal", {"std": site.shape[1] ** -0.5}, "as the tied embedding beside it")
        return Choice("normal", {}, "one row is looked up: variance 1")
    return None


def is_matrix(site: Site) -> bool:
    """A weight that mixes, of a layer that is known."""
    return isinstance(site.module, MATRICES)


# --- one rule for every weight ----------------------------------------------------------------------


def _everywhere(initializer: str, reason: str) -> PlanFunction:
    def plan(site: Site, structure: Structure) -> Choice | None:
        return settled(site) or (Choice(initializer, {}, reason) if is_matrix(site) else None)

    return plan


def orthogonal(site: Site, structure: Structure) -> Choice | None:
    if (choice := settled(site)) or not is_matrix(site):
        return choice
    layer = _layer(site, structure)
    return Choice("orthogonal", {"gain": _gain(layer)}, _follows(layer))


def zer_o(site: Site, structure: Structure) -> Choice | None:
    """Identities and Hadamard matrices, nothing random but embeddings (Zhao et al., 2022). Branches end in zero: else a stream doubles."""
    if _layer(site, structure).ends_residual and is_matrix(site) and "bias" not in site.leaf:
        return Choice("zeros", {}, "ends a residual branch: zero, the block starts as its skip")
    return settled(site) or (Choice("zer_o", {}, "ones where it narrows, a Hadamard matrix where it widens") if is_matrix(site) else None)


def torch_default(site: Site, structure: Structure) -> Choice | None:
    if hasattr(site.module, "reset_parameters") or hasattr(site.module, "_reset_parameters"):
        return Choice("reset_parameters", {}, "as torch starts it")
    return Choice("reset_parameters", {}, "as torch starts it") if site.kind == "NonDynamicallyQuantizableLinear" else None


# --- residual networks ------------------------------------------------------------------------------


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
    layer = _layer(site, structure)
    if layer.head and is_matrix(site):
        return Choice("zeros", {}, "Fixup: the head starts at zero")
    if not is_matrix(site) or layer.ends_residual or not layer.in_residual:
        return _ending(site, structure, lambda count: 0.0, "fixup")
    if "bias" in site.leaf:
        return settled(site)
    per_branch = max(2, round(sum(x.in_residual and x.weighs for x in structure.layers) / len(structure.ends)))
    factor = len(structure.ends) ** (-1 / (2 * per_branch - 2))
    return Choice(
        "he_normal", {"gain": _gain(layer) * factor}, f"Fixup: {len(structure.ends)} branches of {per_branch} layers, times {factor:.3g}"
    )


def _ending(site: Site, structure: Structure, factor: Callable[[int], float], plan: str) -> Choice | None:
    if not structure.ends:
        raise PlanError(f"{plan} found no residual branch in this model ({structure.how}); use plan auto or he")
    layer = _layer(site, structure)
    if layer.ends_residual and "bias" not in site.leaf and (is_matrix(site) or "Norm" in site.kind):
        return _scaled(site, layer, factor(len(structure.ends)), f"ends 1 of {len(structure.ends)} residual branches")
    return settled(site) or (Choice("he_normal", {"gain": _gain(layer)}, _follows(layer)) if is_matrix(site) else None)


def _scaled(site: Site, layer: Layer, factor: float, reason: str) -> Choice:
    if not factor:
        return Choice("zeros", {}, f"{reason}: zero, the block starts as its skip")
    if not is_matrix(site):
        return Choice("constant", {"value": factor}, f"{reason}: times {factor:.3g}")
    return Choice("he_normal", {"gain": factor}, f"{reason}: times {factor:.3g}")


# --- width ------------------------------------------------------------------------------------------


def mup(site: Site, structure: Structure) -> Choice | None:
    """Maximal update parametrization for Adam (Yang et al., 2022, table 3): the best lr stays put when width grows.

    Matrices between wide layers learn at lr * 128 / fan_in; the head also starts smaller by it. Attention must divide by
    the width of a head, not by its root, which is the model's own business.
    """
    if (choice := settled(site)) or not is_matrix(site):
        return choice
    layer = _layer(site, structure)
    fan_in = fans_of(site.module, site.kind, site.shape).fan_in if len(site.shape) > 1 else 1.0
    if layer.depth <= 1 and layer.known and not layer.head:
        return Choice("he_normal", {"gain": _gain(layer)}, "reads the input: lr as it is")
    rate = MUP_WIDTH / fan_in
    if layer.head:
        return Choice("he_normal", {"gain": min(1.0, sqrt(rate))}, f"the head: variance {MUP_WIDTH}/fan_in^2, lr times {rate:.3g}", rate)
    return Choice("he_normal", {"gain": _gain(layer)}, f"{_follows(layer)}; between wide layers: lr times {rate:.3g}", rate)


# --- auto -------------------------------------------------------------------------------------------


def auto(site: Site, structure: Structure) -> Choice | None:
    """By what follows each layer, whether a norm sets the scale anyway, how deep the stack is, and where branches end."""
    layer = _layer(site, structure)
    if layer.ends_residual and "bias" not in site.leaf and (is_matrix(site) or "Norm" in site.kind):
        ends = len(structure.ends)
        return _scaled(site, layer, 0.0 if "Norm" in site.kind else 1 / sqrt(ends), f"ends 1 of {ends} residual branches")
    stack = _stack(layer, structure)
    deep = len(stack) >= DEEP
    saturates = layer.nonlinearity in SATURATING and not layer.normalized
    if saturates and deep and site.leaf == "bias":
        return Choice(
            "normal", {"std": critical(layer.nonlinearity or "")[1]}, f"edge of chaos for {len(stack)} layers of {layer.nonlinearity}"
        )
    if (choice := settled(site)) or not is_matrix(site):
        return choice
    if isinstance(site.module, (nn.RNNBase, nn.RNNCellBase)):
        if site.leaf.startswith("weight_hh"):
            return Choice("orthogonal", {}, "recurrent: keeps what is remembered, gate by gate")
        return Choice("xavier_normal", {}, "gate by gate")
    if not layer.known:
        return Choice("lecun_normal", {}, "what follows is unknown")
    if isinstance(site.module, nn.MultiheadAttention):
        return Choice("lecun_normal", {}, "query, key and value, each a matrix of its own")
    convolves = isinstance(site.module, CONVOLUTIONS)
    if deep and getattr(site.module, "groups", 1) == 1 and not isinstance(site.module, CONVOLUTIONS[3:]):
        return _isometric(site, layer, stack, structure, "delta_orthogonal" if convolves else "orthogonal")
    if layer.normalized:
        return Choice("he_normal", {"mode": "fan_out"} if convolves else {}, "a norm follows and sets the scale")
    if saturates:
        factor = critical(layer.nonlinearity or "")[0]
        if convolves:
            return Choice("he_normal", {"gain": factor}, f"{_follows(layer)}: neither fades nor explodes")
        return Choice("orthogonal", {"gain": factor * _widening(site)}, f"{_follows(layer)}: neither fades nor explodes")
    if layer.nonlinearity == "sigmoid" and not layer.head:
        return Choice("xavier_normal", {"gain": 4.0}, "sigmoid follows: its slope is 1/4 (Glorot & Bengio, 2010)")
    if layer.nonlinearity in (None, "selu"):
        return Choice("lecun_normal", {}, "the head" if layer.head else _follows(layer))
    return Choice("he_normal", {"gain": _gain(layer)}, _follows(layer))


def _isometric(site: Site, layer: Layer, stack: list[Layer], structure: Structure, initializer: str) -> Choice:
    """For a deep stack without norms: no part of the signal is left to chance."""
    why = f"{_follows(layer)}, in a stack of {len(stack)} layers"
    if all(x.nonlinearity in ("relu", None) for x in stack):
        inputs, outputs = layer is not stack[0], layer.nonlinearity == "relu" and layer is not stack[-1]
        if all(_width(x) % 2 == 0 for x in stack[:-1]):
            settings = {} if inputs and outputs else {"inputs": inputs, "outputs": outputs}
            return Choice("looks_linear", settings, f"{why}: signals pass unchanged")
    if layer.nonlinearity in SATURATING:
        return Choice(initializer, {"gain": critical(layer.nonlinearity)[0] * _widening(site)}, f"{why}: edge of chaos")
    return Choice(initializer, {"gain": _gain(layer) * _widening(site)}, why)


def _widening(site: Site) -> float:
    """An orthogonal matrix with more rows than columns has rows shorter than 1; each output is to get its full share."""
    return sqrt(max(1.0, site.shape[0] / site.shape[1]))


def _stack(layer: Layer, structure: Structure) -> list[Layer]:
    """The layers before and behind this one that feed each other alone, without norms and skips between, in order."""
    if not _plain(layer):
        return [layer]
    by_name = {x.name: x for x in structure.layers if _plain(x)}
    following = {x.fed_by: x for x in by_name.values() if x.fed_by}
    stack = [layer]
    while (first := stack[0].fed_by) in by_name and by_name[first] not in stack:
        stack.insert(0, by_name[first])
    while (last := stack[-1].name) in following and following[last] not in stack:
        stack.append(following[last])
    return stack


def _plain(layer: Layer) -> bool:
    return (
        layer.known
        and layer.weighs
        and not layer.normalized
        and not layer.in_residual
        and isinstance(layer.module, (nn.Linear, *CONVOLUTIONS))
    )


def _width(layer: Layer) -> int:
    return getattr(layer.module, "out_features", None) or getattr(layer.module, "out_channels", 1)


def _layer(site: Site, structure: Structure) -> Layer:
    return structure.by_name.get(site.owner) or Layer(site.owner, site.module, site.kind)


def _gain(layer: Layer) -> float:
    return gain(layer.nonlinearity or "linear", **layer.parameters)


def _follows(layer: Layer) -> str:
    if not layer.known:
        return "what follows is unknown"
    return f"{layer.nonlinearity} follows" if layer.nonlinearity else "no nonlinearity follows"


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
