"""The plan `auto`: what suits each layer, and why."""

from math import sqrt

from torch import nn

from steepest.init.choices import CONVOLUTIONS, Choice, follows, gain_of, is_matrix, layer_of, settled
from steepest.init.gains import REACH, critical
from steepest.init.layers import Layer, Structure
from steepest.init.residual import scaled_end
from steepest.init.sites import Site

# These saturate around one half, which the next layer must not take for a signal.
HALF = ("sigmoid", "hardsigmoid")
# From here on a stack without norms or residuals counts as deep: He's weights alone lose the signal to chance.
DEEP = 12


def auto(site: Site, structure: Structure) -> Choice | None:
    """By what follows each layer, whether a norm sets the scale anyway, how deep the stack is, and where branches end."""
    layer = layer_of(site, structure)
    if layer.ends_residual and "bias" not in site.leaf and (is_matrix(site) or "Norm" in site.kind):
        ends = len(structure.ends)
        return scaled_end(site, layer, 0.0 if "Norm" in site.kind else 1 / sqrt(ends), f"ends 1 of {ends} residual branches")
    stack = _stack(layer, structure)
    deep = len(stack) >= DEEP
    saturates = layer.nonlinearity in REACH and not layer.normalized and not layer.head
    if saturates and deep and site.leaf == "bias":
        std = critical(layer.nonlinearity or "", len(stack))[1]
        return Choice("normal", {"std": std}, f"edge of chaos for {len(stack)} layers of {layer.nonlinearity}")
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
    if not convolves and (saturates or _half(layer, structure)):
        return _rotation(site, layer, stack, structure, "orthogonal")
    if saturates and layer.nonlinearity in HALF:
        return Choice("xavier_normal", {"gain": 4.0}, f"{layer.nonlinearity} follows: its slope is 1/4 (Glorot & Bengio, 2010)")
    if saturates:
        return Choice("he_normal", {"gain": critical(layer.nonlinearity or "", len(stack))[0]}, f"{follows(layer)}: edge of chaos")
    if layer.head or layer.nonlinearity in (None, "selu"):
        return Choice("lecun_normal", {}, "the head" if layer.head else follows(layer))
    return Choice("he_normal", {"gain": gain_of(layer)}, follows(layer))


def _isometric(site: Site, layer: Layer, stack: list[Layer], structure: Structure, initializer: str) -> Choice:
    """For a deep stack without norms: no part of the signal is left to chance."""
    if all(x.nonlinearity in ("relu", None) for x in stack):
        inputs, outputs = layer is not stack[0], layer.nonlinearity == "relu" and layer is not stack[-1]
        if all(_width(x) % 2 == 0 for x in stack[:-1]):
            settings = {} if inputs and outputs else {"inputs": inputs, "outputs": outputs}
            return Choice("looks_linear", settings, f"{follows(layer)}, in a stack of {len(stack)} layers: signals pass unchanged")
    return _rotation(site, layer, stack, structure, initializer)


def _rotation(site: Site, layer: Layer, stack: list[Layer], structure: Structure, initializer: str) -> Choice:
    """Orthogonal, with the gain of what follows. What lies around one half has half the deviation of other signals: twice the gain."""
    factor, why, half = gain_of(layer), follows(layer), _half(layer, structure)
    if layer.head:
        factor, why = 1.0, "the head"
    elif layer.nonlinearity in REACH:
        factor, why = critical(layer.nonlinearity, len(stack))[0], f"{why}: edge of chaos for {len(stack)} layers"
        factor = factor / 2 if layer.nonlinearity in HALF else factor  # between two of them it is all of it
    elif len(stack) >= DEEP:
        why = f"{why}, in a stack of {len(stack)} layers"
    factor *= sqrt(max(1.0, site.shape[0] / site.shape[1]))  # rows shorter than 1: each output is to get its full share
    if half:
        return Choice(initializer, {"gain": 2 * factor, "centered": True}, f"{why}; without the one half that {half} gives")
    return Choice(initializer, {"gain": factor}, why)


def _half(layer: Layer, structure: Structure) -> str | None:
    """The nonlinearity that feeds this layer, if its values lie around one half."""
    before = structure.by_name[layer.fed_by].nonlinearity if layer.fed_by else None
    return before if before in HALF else None


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
