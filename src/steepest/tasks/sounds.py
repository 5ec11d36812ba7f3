"""Built-in tasks on sound."""

from collections.abc import Callable

from steepest.core.task import Task
from steepest.data import Spectrogram, fsdd
from steepest.models import crnn, speech_cnn
from steepest.tasks.images import knobs

# 20 cepstral coefficients and how they change.
MFCC = Spectrogram(kind="mfcc", coefficients=20, deltas=1)


def spoken_digits() -> Task:
    """Spoken digits of six people: from WAV to cepstral coefficients to a class, cut into parts as their authors did."""
    models = {"cnn": speech_cnn, "crnn": knobs(crnn, features=40)}
    return Task(model=models, data=fsdd(), metrics=["accuracy"], preprocess=[MFCC, "standardize"], name="spoken-digits")


SOUNDS: dict[str, Callable[[], Task]] = {"spoken-digits": spoken_digits}
