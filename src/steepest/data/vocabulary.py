"""Text as numbers: which words, characters or byte pairs there are is learned from the training part alone."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import ClassVar, Self

import torch
from torch import Tensor

from steepest.core.errors import SettingError
from steepest.core.knob import Settings, option
from steepest.data import pairs

PADDING, UNKNOWN = 0, 1
WORD = re.compile(r"\w+|[^\w\s]")

# Words that say little about what a text is about. Negations are not among them: they turn its meaning around.
STOPWORDS = frozenset(
    WORD.findall(
        """
    a about after again all also am an and any are as at be because been before being between both but by can could did do does
    doing down during each few for from further had has have having he her here hers herself him himself his how i if in into is
    it its itself just me more most my myself of off on once only or other our ours ourselves out over own same she should so some
    such than that the their theirs them themselves then there these they this those through to too under until up very was we
    were what when where which while who whom why will with would you your yours yourself yourselves
        """
    )
)


class Vocabulary(Settings):
    """The most frequent tokens of the training texts, numbered from 2; 0 pads, 1 is any other. Texts become (N, length)."""

    tokens: str = option("words", "what a text is cut into", choices=("words", "characters", "pairs"))
    size: int = option(20_000, "how many tokens are kept, padding and unknown among them")
    length: int = option(256, "tokens per text: longer ones are cut, shorter ones padded at the end")
    lower: bool = option(True, "words in lower case; characters and byte pairs are as they are written")
    stopwords: str = option("keep", "words such as the, of, is", choices=("keep", "drop"))

    def check(self) -> None:
        if self.size < 3 or self.length < 1:
            raise SettingError(f"Vocabulary of size {self.size} and length {self.length}: at least 3 and 1")
        if self.tokens == "pairs" and self.size < 2 + len(pairs.BYTES):
            raise SettingError(f"Vocabulary of size {self.size}: byte pairs need at least {2 + len(pairs.BYTES)}, one for each byte")
        if self.tokens != "words" and self.stopwords == "drop":
            raise SettingError(f'Vocabulary(tokens="{self.tokens}", stopwords="drop"): only words can be dropped')

    # The number of each token, once they are known. No setting: vocabularies are equal that are told the same.
    numbers: ClassVar[dict[str, int] | None] = None

    @property
    def known(self) -> bool:
        return self.numbers is not None

    @property
    def words(self) -> list[str]:
        return list(self.numbers or ())

    def fit(self, texts: Sequence[str]) -> Self:
        """The same, knowing the tokens of these texts."""
        if self.tokens == "pairs":
            return self.knowing(pairs.learn(texts, self.size - 2 - len(pairs.BYTES)))
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
        if self.tokens == "characters":
            return list(text)
        if self.tokens == "pairs":
            return [token for piece in pairs.pieces(text) for token in self._split[piece]]
        found = WORD.findall(text.lower() if self.lower else text)
        return [word for word in found if word.lower() not in STOPWORDS] if self.stopwords == "drop" else found

    def __call__(self, texts: Sequence[str]) -> Tensor:
        if isinstance(texts, str):
            raise SettingError("a Vocabulary turns lists of texts into numbers; give [text]")
        return pad([self.numbered(text) for text in texts], self.length)

    def numbered(self, text: str) -> Tensor:
        """One text as long as it is."""
        numbers = self._known()
        return torch.tensor([numbers.get(token, UNKNOWN) for token in self.cut(text)], dtype=torch.int64)

    def text(self, numbers: Tensor | Iterable[int]) -> str:
        """Back from numbers: words with blanks between them, `\\N{REPLACEMENT CHARACTER}` for what is unknown, nothing for padding."""
        words = {number: word for word, number in self._known().items()}
        found = [words.get(int(k), "\N{REPLACEMENT CHARACTER}") for k in numbers if int(k) != PADDING]
        if self.tokens != "pairs":
            return (" " if self.tokens == "words" else "").join(found)
        return b"".join(x.encode("latin-1", "replace") for x in found).decode("utf-8", "replace")

    def _known(self) -> dict[str, int]:
        if self.numbers is None:
            raise SettingError("this Vocabulary knows no words yet; fit(texts) gives one that does")
        return self.numbers

    @cached_property
    def _split(self) -> "_Split":
        return _Split(self._known())


class _Split(dict):
    """The tokens of each piece of text, found when it is first met."""

    def __init__(self, ranks: dict[str, int]) -> None:
        super().__init__()
        self.ranks = ranks

    def __missing__(self, piece: str) -> list[str]:
        found = pairs.split(piece, self.ranks)
        if len(self) < 1 << 18:
            self[piece] = found
        return found


def pad(rows: Sequence[Tensor], length: int | None = None) -> Tensor:
    """Rows of tokens as one tensor, filled up with 0: as long as the longest, or as said, and then longer ones are cut."""
    width = max((len(row) for row in rows), default=0) if length is None else length
    ids = torch.full((len(rows), width), PADDING, dtype=torch.int64)
    for k, row in enumerate(rows):
        ids[k, : len(row)] = row[:width]
    return ids


def bucketed(lengths: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """An order in which each run of `size` samples is of about one length, and the runs come by chance: less padding, and still random.

    Samples of equal length change places, too, so that no two epochs have the same batches.
    """
    if size < 1:
        raise SettingError(f"bucketed: size = {size}; a batch has at least 1")
    shuffled = torch.randperm(len(lengths), generator=generator)
    ordered = shuffled[torch.argsort(lengths[shuffled], stable=True)]
    whole = len(ordered) // size * size
    runs, rest = ordered[:whole].reshape(-1, size), ordered[whole:]
    # The run that is not full stays last, where batching leaves it or drops it.
    return torch.cat([runs[torch.randperm(len(runs), generator=generator)].flatten(), rest])
