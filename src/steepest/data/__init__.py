"""Data: parts that give batches by index, splits, preprocessing, and data sets by name."""

from steepest.data.columns import Columns
from steepest.data.longtext import characters, language, windows
from steepest.data.parts import Arrays, DataError, Loader, Samples
from steepest.data.preprocess import Preprocess
from steepest.data.sources import (
    SOURCES,
    Source,
    adult,
    ag_news,
    california_housing,
    cifar10,
    cifar100,
    copy,
    digits,
    fashion_mnist,
    fsdd,
    imdb,
    kmnist,
    mnist,
    parity,
    python_docs,
    sst2,
    teacher_student,
    tinyshakespeare,
    two_moons,
)
from steepest.data.split import Data, gather
from steepest.data.steps import Level, Scale, Spectrogram, Standardize
from steepest.data.vocabulary import Vocabulary, bucketed, pad

__all__ = [
    "SOURCES", "Arrays", "Columns", "Data", "DataError", "Level", "Loader", "Preprocess", "Samples", "Scale", "Source", "Spectrogram",
    "Standardize", "Vocabulary", "adult", "ag_news", "bucketed", "california_housing", "characters", "cifar10", "cifar100", "copy",
    "digits", "fashion_mnist", "fsdd", "gather", "imdb", "kmnist", "language", "mnist", "pad", "parity", "python_docs", "sst2",
    "teacher_student", "tinyshakespeare", "two_moons", "windows",
]  # fmt: skip
