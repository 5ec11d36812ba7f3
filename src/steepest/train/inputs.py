"""Inputs for a trained model from files: arrays, rows of tables, texts, images and sounds, each as training saw its own."""

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from steepest.data import sounds
from steepest.data.columns import Columns
from steepest.data.parts import DataError, column, numbers
from steepest.data.preprocess import Preprocess
from steepest.data.steps import Spectrogram


def inputs_of(said: str | Path, preprocess: Preprocess) -> Any:
    """What a file holds; or else, said outright, a text for a model of texts, a row of numbers for another."""
    path = Path(said)
    if not path.is_file():
        if path.suffix in READERS or path.exists() or isinstance(said, Path):
            raise DataError(f"{path} does not exist")
        return column(_outright(str(said), preprocess), repr(said))
    if path.suffix.lower() not in READERS:
        raise DataError(f"{path}: inputs are read from {', '.join(READERS)}")
    try:
        found = READERS[path.suffix.lower()](path, preprocess)
    except DataError:
        raise
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    if not len(found):
        raise DataError(f"{path} is empty")
    return column(found, str(path))


def _outright(said: str, preprocess: Preprocess) -> Any:
    if preprocess.vocabulary is not None:
        return [said]
    try:
        return np.array([[float(x) for x in said.split(",")]], np.float32)
    except ValueError:
        raise DataError(f"{said!r} is no file, and no row of numbers with commas between them") from None


def _array(path: Path, preprocess: Preprocess) -> np.ndarray:
    found = np.load(path, allow_pickle=False)
    return np.atleast_1d(found)


def _table(path: Path, preprocess: Preprocess) -> np.ndarray | list[str]:
    if isinstance(preprocess.vocabulary, Columns):
        return [line for line in _texts(path, preprocess) if line.strip()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, of an empty file
        return np.loadtxt(path, delimiter=",", ndmin=2, dtype=np.float32, encoding="utf-8-sig")


def _texts(path: Path, preprocess: Preprocess) -> list[str]:
    """A text per line; those between others may be empty. (Not `splitlines`, for which a form feed ends a line too.)"""
    lines = path.read_text(encoding="utf-8-sig").split("\n")
    return lines[:-1] if not lines[-1] else lines


def _image(path: Path, preprocess: Preprocess) -> Tensor:  # (1, channels, rows, columns)
    """In the colors and the size of the training images; that it was resized is said."""
    from PIL import Image, UnidentifiedImageError  # which takes a while, and only here

    shape = preprocess.shape
    if shape is None or len(shape) != 3 or shape[0] not in (1, 3):
        raise DataError(f"{path} is an image, and the model was trained on {_looks(preprocess)}")
    channels, rows, columns = shape
    try:
        with Image.open(path) as file:
            image = file.convert("L" if channels == 1 else "RGB")
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} is no image that can be read: {error}") from None
    if image.size != (columns, rows):
        _say(f"{path}: resized from {image.width} x {image.height} to {columns} x {rows} pixels")
        image = image.resize((columns, rows), Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.asarray(image).copy()).reshape(rows, columns, channels).permute(2, 0, 1).unsqueeze(0).contiguous()
    return pixels if preprocess.kind == "uint8" else pixels.to(torch.get_default_dtype()) / 255


def _sound(path: Path, preprocess: Preprocess) -> Tensor:  # (1, samples)
    """Channels averaged, at the rate of the training sounds, cut or filled up to their length."""
    shape = preprocess.shape
    if shape is None or len(shape) != 1:
        raise DataError(f"{path} is a sound, and the model was trained on {_looks(preprocess)}")
    x, rate = sounds.read_wav(path.read_bytes(), str(path))
    wanted = next((step.rate for step in preprocess.steps if isinstance(step, Spectrogram)), rate)
    if wanted != rate:
        _say(f"{path}: resampled from {rate:,} to {wanted:,} Hz")
    return numbers(torch.from_numpy(sounds.fitted(sounds.resampled(x, rate, wanted), shape[0]))).unsqueeze(0)


def _looks(preprocess: Preprocess) -> str:
    if preprocess.vocabulary is not None:
        return "rows of a table" if isinstance(preprocess.vocabulary, Columns) else "texts"
    if preprocess.shape is None:
        return "inputs that its run does not describe; train it anew"
    return f"inputs of shape ({', '.join(['N', *map(str, preprocess.shape)])})"


def _say(line: str) -> None:
    """On stderr: what stands on stdout may be read by a program."""
    print(f"steepest: {line}", file=sys.stderr)


READERS: dict[str, Callable[[Path, Preprocess], Any]] = {
    ".npy": _array, ".csv": _table, ".txt": _texts, ".png": _image, ".jpg": _image, ".jpeg": _image, ".bmp": _image, ".webp": _image,
    ".wav": _sound,
}  # fmt: skip
