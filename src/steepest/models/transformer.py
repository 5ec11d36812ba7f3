"""Transformers (Vaswani et al., Attention Is All You Need, 2017): a classifier of texts, and a small GPT (Radford et al., 2018)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from steepest.core.errors import SettingError
from steepest.models import tokens
from steepest.models.checks import counts, one_of, shares


class Attention(nn.Module):
    """Each place asks all places, or those up to its own, and takes a mean of what they answer.

    Dropout is the business of the branch: within attention it would cost more than all else, since a fused kernel cannot have it.
    """

    def __init__(self, width: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        # A bias of the keys would add the same to what all places are worth, and so change nothing.
        self.ask, self.key, self.value = (nn.Linear(width, width, bias=name != "key") for name in ("ask", "key", "value"))
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:  # (N, T, width), (N, 1, 1, T)
        q, k, v = (layer(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for layer in (self.ask, self.key, self.value))
        found = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=self.causal)
        return self.out(found.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention, then a small network at each place; each is added to what came in. The norm is before each, or after the sum."""

    def __init__(self, width: int, heads: int, dropout: float, norm: str, causal: bool) -> None:
        super().__init__()
        self.before = norm == "pre"
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads, causal)
        self.network = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if self.before:
            x = x + self.dropout(self.attention(self.norm1(x), mask))
            return x + self.dropout(self.network(self.norm2(x)))
        x = self.norm1(x + self.dropout(self.attention(x, mask)))
        return self.norm2(x + self.dropout(self.network(x)))


class Body(nn.Module):
    """Tokens and their places, through blocks."""

    def __init__(self, vocabulary: int, length: int, width: int, depth: int, heads: int, dropout: float, norm: str, causal: bool) -> None:
        super().__init__()
        self.length = length
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList(Block(width, heads, dropout, norm, causal) for _ in range(depth))
        self.norm = nn.LayerNorm(width) if norm == "pre" else nn.Identity()
        self.dropout = nn.Dropout(dropout)

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:  # (N, T) -> (N, T, width)
        if ids.shape[1] > self.length:
            raise SettingError(f"a text of {ids.shape[1]} tokens, and the model has {self.length} places; give [model] a greater length")
        x = self.dropout(self.tokens(ids) + self.places(torch.arange(ids.shape[1], device=ids.device)))
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x)


class TextTransformer(nn.Module):
    """The class of a text, from the mean over its tokens."""

    def __init__(self, body: Body, width: int, outputs: int) -> None:
        super().__init__()
        self.body, self.head = body, nn.Linear(width, outputs)

    def forward(self, ids: Tensor) -> Tensor:  # (N, T) -> (N, outputs)
        mask = tokens.real(ids)
        return self.head(tokens.mean(self.body(ids, mask[:, None, None, :]), mask))


class GPT(nn.Module):
    """What comes next after each token. One matrix reads tokens and writes them."""

    def __init__(self, body: Body, width: int, vocabulary: int, tied: bool) -> None:
        super().__init__()
        self.body, self.head = body, nn.Linear(width, vocabulary, bias=False)
        if tied:
            self.head.weight = body.tokens.weight

    def forward(self, ids: Tensor) -> Tensor:  # (N, T) -> (N, vocabulary, T)
        return self.head(self.body(ids)).transpose(1, 2)


def transformer(
    vocabulary: int = 10_000,
    outputs: int = 2,
    length: int = 256,
    width: int = 64,
    depth: int = 2,
    heads: int = 4,
    dropout: float = 0.1,
    norm: str = "pre",
) -> TextTransformer:
    """A classifier of texts (N, T) of at most `length` tokens. Padding, which is 0 and at the end, changes nothing."""
    counts("transformer", outputs=outputs)
    return TextTransformer(_body("transformer", vocabulary, length, width, depth, heads, dropout, norm, False), width, outputs)


def gpt(
    vocabulary: int = 98,
    length: int = 128,
    width: int = 128,
    depth: int = 4,
    heads: int = 4,
    dropout: float = 0.0,
    norm: str = "pre",
    tied: bool = True,
) -> GPT:
    """A language model; as it is, over the characters of `data.characters`."""
    return GPT(_body("gpt", vocabulary, length, width, depth, heads, dropout, norm, True), width, vocabulary, tied)


def _body(model: str, vocabulary: int, length: int, width: int, depth: int, heads: int, dropout: float, norm: str, causal: bool) -> Body:
    counts(model, vocabulary=vocabulary, length=length, width=width, depth=depth, heads=heads)
    shares(model, dropout=dropout)
    one_of(model, ("pre", "post"), norm=norm)
    if width % heads:
        raise SettingError(f"{model}: width = {width} is no multiple of heads = {heads}")
    return Body(vocabulary, length, width, depth, heads, dropout, norm, causal)
