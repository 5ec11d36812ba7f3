"""Data: parts that give batches by index, splits, preprocessing, and data sets by name."""

from steepest.data.parts import Arrays, DataError, Loader, Samples
from steepest.data.preprocess import Level, Preprocess, Scale, Standardize
from steepest.data.sources import SOURCES, digits, mnist
from steepest.data.split import Data, gather
from steepest.data.vocabulary import Vocabulary

__all__ = [
    "SOURCES", "Arrays", "Data", "DataError", "Level", "Loader", "Preprocess", "Samples", "Scale", "Standardize", "Vocabulary",
    "digits", "gather", "mnist",
]  # fmt: skip
