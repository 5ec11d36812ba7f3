"""Tables written as text: rows of columns between commas or tabs."""

import csv
import io
from collections.abc import Sequence

import numpy as np

from steepest.data.parts import DataError


def rows(content: str, name: str, columns: int = 0, delimiter: str = ",") -> list[list[str]]:
    """The rows of a table as text, each of so many columns; of any number, if none is said. Between tabs, quotation marks are letters."""
    quoting = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    reader = csv.reader(
        io.StringIO(content, newline=""), delimiter=delimiter, quoting=quoting, skipinitialspace=delimiter == ",", strict=True
    )
    found = []
    try:
        for row in reader:
            if row and len(row) != (columns or len(row)):
                raise DataError(f"{name}, line {reader.line_num}: {len(row)} columns, and there should be {columns}")
            if row:
                found.append(row)
    except csv.Error as problem:
        raise DataError(f"{name}, line {reader.line_num}: {problem}") from None
    if not found:
        raise DataError(f"{name} has no rows")
    return found


def numbers(table: Sequence[Sequence[str]], name: str) -> np.ndarray:
    try:
        found = np.array(table, dtype=np.float64)
    except ValueError as problem:
        raise DataError(f"{name}: {problem}; the columns must be numbers") from None
    if not np.isfinite(found).all():
        raise DataError(f"{name}: row {int((~np.isfinite(found)).any(1).argmax())} has a NaN or Inf")
    return found
