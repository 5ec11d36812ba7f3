"""What a plan decides for one parameter, and what all plans agree on."""

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import nn

from steepest.init.gains import gain
from steepest.init.layers import Layer, Structure
from steepest.init.sites import Site

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
MATRICES = (nn.Linear, nn.Bilinear, *CONVOLUTIONS, nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)


class Choice(NamedTuple):
    """An initializer, its settings, and why. `rate` multiplies lr; `forget` sets the forget gates of an LSTM's bias to 1."""

    initializer: str
    settings: dict[str, Any]
    reason: str
    rate: float = 1.0
    forget: bool = False


# An embedding of so many rows is one of words: most are rare, and from a start of variance 1 their few steps lead nowhere. (On reviews
# three models learn at 0.03, and next to nothing at 1; of 98 characters most are seen in every step, and 1 is best.)
MANY, SMALL = 1000, 0.03

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
        if site.most_rows >= MANY:
            return Choice("normal", {"std": SMALL}, "most rows are seen in few steps, which shall count: small")
        return Choice("normal", {}, "one row is looked up: variance 1")
    return None


def is_matrix(site: Site) -> bool:
    """A weight that mixes, of a layer that is known."""
    return isinstance(site.module, MATRICES)


def layer_of(site: Site, structure: Structure) -> Layer:
    return structure.by_name.get(site.owner) or Layer(site.owner, site.module, site.kind)


def gain_of(layer: Layer) -> float:
    return gain(layer.nonlinearity or "linear", **layer.parameters)


def follows(layer: Layer) -> str:
    if not layer.known:
        return "what follows is unknown"
    return f"{layer.nonlinearity} follows" if layer.nonlinearity else "no nonlinearity follows"
