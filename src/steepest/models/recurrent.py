"""Recurrent networks for text: plain (Elman, 1990), LSTM (Hochreiter & Schmidhuber, 1997), GRU (Cho et al., 2014)."""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from steepest.core.errors import SettingError
from steepest.models import tokens
from steepest.models.checks import counts, one_of, shares

CELLS: dict[str, type[nn.RNNBase]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
POOLS = ("last", "max", "mean")


class Recurrent(nn.Module):
    """Reads a text, and says its class from the last state, or from the greatest or the mean of all."""

    def __init__(
        self, embedding: nn.Embedding, layers: nn.RNNBase, length: int, pool: str, dropout: float, norm: bool, outputs: int
    ) -> None:
        super().__init__()
        wide = layers.hidden_size * (2 if layers.bidirectional else 1)
        self.embedding, self.layers, self.length, self.pool = embedding, layers, length, pool
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(wide) if norm else nn.Identity()
        self.head = nn.Linear(wide, outputs)

    def forward(self, ids: Tensor) -> Tensor:  # (N, T) -> (N, outputs)
        ids = ids[:, : self.length]
        mask = tokens.real(ids)
        lengths = mask.sum(1)
        x = self.dropout(self.embedding(ids))
        if self.layers.bidirectional:  # backwards, padding would be read first
            packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
            states = pad_packed_sequence(self.layers(packed)[0], batch_first=True, total_length=ids.shape[1])[0]
        else:
            states = self.layers(x)[0]
        return self.head(self.dropout(self.norm(self._pooled(states, mask, lengths))))

    def _pooled(self, states: Tensor, mask: Tensor, lengths: Tensor) -> Tensor:
        if self.pool == "max":
            return tokens.greatest(states, mask)
        if self.pool == "mean":
            return tokens.mean(states, mask)
        last = states.gather(1, (lengths - 1).view(-1, 1, 1).expand(-1, 1, states.shape[2])).squeeze(1)
        if not self.layers.bidirectional:
            return last
        half = self.layers.hidden_size
        return torch.cat([last[:, :half], states[:, 0, half:]], 1)


class RecurrentLanguage(nn.Module):
    """What comes next after each token."""

    def __init__(self, embedding: nn.Embedding, layers: nn.RNNBase, dropout: float, norm: bool, tied: bool) -> None:
        super().__init__()
        self.embedding, self.layers = embedding, layers
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(layers.hidden_size) if norm else nn.Identity()
        self.head = nn.Linear(layers.hidden_size, embedding.num_embeddings)
        if tied:
            self.head.weight = embedding.weight

    def forward(self, ids: Tensor) -> Tensor:  # (N, T) -> (N, vocabulary, T)
        states = self.layers(self.dropout(self.embedding(ids)))[0]
        return self.head(self.dropout(self.norm(states))).transpose(1, 2)


def recurrent(
    cell: str = "lstm",
    vocabulary: int = 10_000,
    outputs: int = 2,
    length: int = 1000,
    embedding: int = 128,
    width: int = 64,
    depth: int = 1,
    bidirectional: bool = False,
    pool: str = "last",
    dropout: float = 0.0,
    norm: bool = False,
) -> Recurrent:
    """A classifier of texts (N, T) of token numbers; it reads the first `length`. 0 is the padding at the end, which changes nothing."""
    counts("recurrent", outputs=outputs, length=length)
    one_of("recurrent", POOLS, pool=pool)
    layers = _layers("recurrent", cell, vocabulary, embedding, width, depth, bidirectional, dropout)
    return Recurrent(*layers, length, pool, dropout, norm, outputs)


def recurrent_language(
    cell: str = "lstm",
    vocabulary: int = 98,
    embedding: int = 64,
    width: int = 256,
    depth: int = 1,
    dropout: float = 0.0,
    norm: bool = False,
    tied: bool = False,
) -> RecurrentLanguage:
    """A language model over tokens; as it is, over the characters of `data.characters`. `tied`: one matrix reads and writes tokens."""
    if tied and embedding != width:
        raise SettingError(f"recurrent_language: embedding = {embedding} and width = {width}; tied, they must be equal")
    return RecurrentLanguage(*_layers("recurrent_language", cell, vocabulary, embedding, width, depth, False, dropout), dropout, norm, tied)


def _layers(
    model: str, cell: str, vocabulary: int, embedding: int, width: int, depth: int, bidirectional: bool, dropout: float
) -> tuple[nn.Embedding, nn.RNNBase]:
    counts(model, vocabulary=vocabulary, embedding=embedding, width=width, depth=depth)
    shares(model, dropout=dropout)
    one_of(model, CELLS, cell=cell)
    between = dropout if depth > 1 else 0.0
    layers = CELLS[cell](embedding, width, depth, batch_first=True, dropout=between, bidirectional=bidirectional)  # type: ignore[call-arg]
    return nn.Embedding(vocabulary, embedding), layers
