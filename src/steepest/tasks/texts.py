"""Built-in tasks on text."""

from collections.abc import Callable
from math import log

from torch import Tensor
from torch.nn import functional as F

from steepest.core.task import Task
from steepest.data import Vocabulary, ag_news, characters, imdb, python_docs, tinyshakespeare
from steepest.models import gpt, recurrent, recurrent_language, textcnn, transformer
from steepest.tasks.images import knobs

# Characters in a window.
WINDOW = 128


def lstm_imdb() -> Task:
    """Film reviews, good or bad, read by an LSTM: 10,000 words, of each review the first 400, or as many as the recipe says."""
    words = Vocabulary(size=10_000, length=400)
    return Task(model=recurrent, data=imdb(), metrics=["accuracy"], preprocess=[words], name="lstm-imdb")


def textcnn_imdb() -> Task:
    """Film reviews, good or bad, by convolutions over words: 20,000 words, of each review the first 400."""
    words = Vocabulary(size=20_000, length=400)
    model = knobs(textcnn, vocabulary=20_000)
    return Task(model=model, data=imdb(), metrics=["accuracy"], preprocess=[words], name="textcnn-imdb")


def transformer_imdb() -> Task:
    """Film reviews, good or bad, by a small transformer: 20,000 words, of each review the first 400."""
    words = Vocabulary(size=20_000, length=400)
    model = knobs(transformer, vocabulary=20_000, length=400)
    return Task(model=model, data=imdb(), metrics=["accuracy"], preprocess=[words], name="transformer-imdb")


def textcnn_agnews() -> Task:
    """News of four kinds, by convolutions over words: 20,000 words, of each text the first 64."""
    words = Vocabulary(size=20_000, length=64)
    model = knobs(textcnn, vocabulary=20_000, outputs=4)
    return Task(model=model, data=ag_news(), metrics=["accuracy"], preprocess=[words], name="textcnn-agnews")


def bits(output: Tensor, target: Tensor) -> Tensor:
    """What a character costs a reader who knows the model (per token, where tokens are longer)."""
    return F.cross_entropy(output, target) / log(2)


bits.higher_is_better = False  # type: ignore[attr-defined]


def char_lm() -> Task:
    """Shakespeare, letter by letter, by a recurrent network: bits per character."""
    return Task(model=recurrent_language, data=tinyshakespeare(WINDOW), metrics=[bits], preprocess=[characters(WINDOW)], name="char-lm")


def char_lm_docs() -> Task:
    """The reference that ships with Python, letter by letter: text that is always there."""
    return Task(model=recurrent_language, data=python_docs(WINDOW), metrics=[bits], preprocess=[characters(WINDOW)], name="char-lm-docs")


def gpt_char() -> Task:
    """Shakespeare, letter by letter, by a small GPT: bits per character."""
    return Task(model=gpt, data=tinyshakespeare(WINDOW), metrics=[bits], preprocess=[characters(WINDOW)], name="gpt-char")


TEXTS: dict[str, Callable[[], Task]] = {
    "textcnn-imdb": textcnn_imdb,
    "lstm-imdb": lstm_imdb,
    "transformer-imdb": transformer_imdb,
    "textcnn-agnews": textcnn_agnews,
    "char-lm": char_lm,
    "char-lm-docs": char_lm_docs,
    "gpt-char": gpt_char,
}
