"""Rows of a table as numbers, also where a column holds words."""

from collections.abc import Sequence

import torch
from torch import Tensor

from steepest.core.errors import SettingError
from steepest.data.delimited import numbers, rows


class Columns:
    """Rows of text, values between commas, become (N, columns): numbers as they are, and for each word of a column of words a 1 or a 0.

    Which words a column has, none where it holds numbers, is told or learned from the training rows. A word that is not known has no 1.
    """

    def __init__(self, words: Sequence[Sequence[str]] = ()) -> None:
        self.words = [list(of) for of in words]

    def __repr__(self) -> str:
        return "Columns()"  # with whatever words: a run keeps those that it learned

    @property
    def known(self) -> bool:
        return bool(self.words)

    def fit(self, texts: Sequence[str]) -> "Columns":
        first = rows(texts[0], "the first row") if texts else []
        table = zip(*rows("\n".join(texts), "the rows", len(first[0])), strict=True) if first else ()
        return Columns([[] if all(map(_is_number, column)) else sorted(set(column)) for column in table])

    def knowing(self, words: Sequence[Sequence[str]]) -> "Columns":
        return Columns(words)

    def __call__(self, texts: Sequence[str]) -> Tensor:
        if not self.known:
            raise SettingError("these Columns know no words yet; fit(rows) gives some that do")
        found = self.encoded(rows("\n".join(texts), "the rows", len(self.words)), "the rows")
        if len(found) != len(texts):
            raise SettingError(f"{len(texts)} texts hold {len(found)} rows; give a row each")
        return found

    def encoded(self, table: Sequence[Sequence[str]], name: str) -> Tensor:
        parts = [
            one_hot(column, words) if words else torch.from_numpy(numbers([[x] for x in column], name)).float()
            for column, words in zip(zip(*table, strict=True), self.words, strict=True)
        ]
        return torch.cat(parts, 1)


def one_hot(column: Sequence[str], words: Sequence[str]) -> Tensor:  # (N, len(words))
    place = {word: k for k, word in enumerate(words)}
    found = torch.zeros(len(column), len(words))
    for row, word in enumerate(column):
        if word in place:
            found[row, place[word]] = 1
    return found


def _is_number(said: str) -> bool:
    try:
        float(said)
    except ValueError:
        return False
    return True
