"""Convolutions over words (Kim, Convolutional Neural Networks for Sentence Classification, 2014)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from steepest.models import tokens
from steepest.models.checks import counts, shares

SHORTEST = 3


class TextCNN(nn.Module):
    """Filters over a few words each; of every filter its strongest response anywhere in the text."""

    def __init__(self, vocabulary: int, outputs: int, embedding: int, width: int, depth: int, dropout: float, norm: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.filters = nn.ModuleList(nn.Conv1d(embedding, width, SHORTEST + k) for k in range(depth))
        self.norm = nn.LayerNorm(depth * width) if norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(depth * width, outputs)

    def forward(self, ids: Tensor) -> Tensor:  # (N, T) -> (N, outputs)
        mask = tokens.real(ids)
        x = (self.dropout(self.embedding(ids)) * mask.unsqueeze(2)).transpose(1, 2)
        found = []
        for k, layer in enumerate(self.filters):
            reach = SHORTEST + k - 1
            around = F.pad(x, (reach // 2, reach - reach // 2))
            found.append(tokens.greatest(layer(around).relu().transpose(1, 2), mask))
        return self.head(self.dropout(self.norm(torch.cat(found, 1))))


def textcnn(
    vocabulary: int = 10_000,
    outputs: int = 2,
    embedding: int = 128,
    width: int = 100,
    depth: int = 3,
    dropout: float = 0.5,
    norm: bool = False,
) -> TextCNN:
    """`width` filters of each of `depth` lengths, from 3 words on. Padding, which is 0 and at the end, changes nothing."""
    counts("textcnn", vocabulary=vocabulary, outputs=outputs, embedding=embedding, width=width, depth=depth)
    shares("textcnn", dropout=dropout)
    return TextCNN(vocabulary, outputs, embedding, width, depth, dropout, norm)
