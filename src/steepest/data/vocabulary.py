"""Text as numbers: which words (or characters) there are is learned from the training part alone."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, Self

import torch
from torch import Tensor

from steepest.core.errors import SettingError
from steepest.core.knob import Settings, option

PADDING, UNKNOWN = 0, 1
WORD = re.compile(r"\w+|[^\w\s]")


class Vocabulary(Settings):
    """The most frequent tokens of the training texts, numbered from 2; 0 pads, 1 is any other. Texts become (N, length)."""

    tokens: str = option("words", "what a text is cut into", choices=("words", "characters"))
    size: int = option(20_000, "how many tokens are kept, padding and unknown among them")
    length: int = option(256, "tokens per text: longer ones are cut, shorter ones padded at the end")

    def check(self) -> None:
        if self.size < 3 or self.length < 1:
            raise SettingError(f"Vocabulary of size {self.size} and length {self.length}: at least 3 and 1")

    # The number of each token, once they are known. No setting: vocabularies are equal that are told the same.
    numbers: ClassVar[dict[str, int] | None] = None

    @property
    def words(self) -> list[str]:
        return list(self.numbers or ())

    def fit(self, texts: Sequence[str]) -> Self:
        """The same, knowing the tokens of these texts."""
        counts = Counter(token for text in texts for token in self.cut(text))
        # The most frequent first, and of equals the first in the alphabet: the order of texts decides nothing.
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return self.knowing([token for token, _ in ranked[: self.size - 2]])

    def knowing(self, words: Sequence[str]) -> Self:
        """The same, knowing these tokens in this order."""
        made = self.replace()
        object.__setattr__(made, "numbers", {word: k + 2 for k, word in enumerate(words)})
        return made

    def cut(self, text: str) -> list[str]:
        return list(text) if self.tokens == "characters" else WORD.findall(text.lower())

    def __call__(self, texts: Sequence[str]) -> Tensor:
        if self.numbers is None:
            raise SettingError("this Vocabulary knows no words yet; fit(texts) gives one that does")
        if isinstance(texts, str):
            raise SettingError("a Vocabulary turns lists of texts into numbers; give [text]")
        ids = torch.full((len(texts), self.length), PADDING, dtype=torch.int64)
        for row, text in enumerate(texts):
            known = [self.numbers.get(token, UNKNOWN) for token in self.cut(text)[: self.length]]
            ids[row, : len(known)] = torch.tensor(known, dtype=torch.int64)
        return ids
