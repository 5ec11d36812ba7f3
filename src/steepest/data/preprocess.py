"""Preprocessing: fitted on the training part alone, kept with the run, and the same wherever the model is used."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from steepest.core.errors import SettingError, nearest
from steepest.data.columns import Columns
from steepest.data.parts import Arrays, DataError, Loader, Part, is_text
from steepest.data.steps import PREPROCESS, Scale, Step
from steepest.data.vocabulary import Vocabulary

# What is learned from this many samples is what would be learned from all, to three digits; and so many numbers fit into memory.
ENOUGH, NUMBERS = 50_000, 1 << 26


class Preprocess:
    """The steps of a task with what they have learned. The first input alone is changed.

    `shape` is that of one input as the data had it, and `kind` its type; None for text.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        fitted: Sequence[dict[str, Tensor]],
        vocabulary: Vocabulary | Columns | None = None,
        shape: Sequence[int] | None = None,
        kind: str | None = None,
    ) -> None:
        self.steps, self.fitted, self.vocabulary = list(steps), list(fitted), vocabulary
        self.shape, self.kind = shape and list(shape), kind

    def __call__(self, x: Any, start: int = 0, stop: int | None = None) -> Any:
        """All steps, or those from `start` to `stop`; text becomes numbers before the first."""
        if self.vocabulary is not None and is_text(x):
            x = self.vocabulary(x)
        for step, fitted in list(zip(self.steps, self.fitted, strict=True))[start:stop]:
            x = step.apply(x, fitted)
        return x

    @property
    def scaled(self) -> int:
        """How many steps bring pixels into [0, 1], where augmentation wants them."""
        return int(bool(self.steps) and isinstance(self.steps[0], Scale))

    def to(self, device: torch.device) -> "Preprocess":
        fitted = [{k: v.to(device) for k, v in f.items()} for f in self.fitted]
        return Preprocess(self.steps, fitted, self.vocabulary, self.shape, self.kind)

    def tensors(self) -> dict[str, Tensor]:
        return {f"{i}.{name}": x for i, f in enumerate(self.fitted) for name, x in f.items()}

    def facts(self) -> dict[str, Any]:
        """What besides tensors it takes to do the same again."""
        words = self.vocabulary.words if self.vocabulary else None
        return {"steps": described(self.vocabulary, self.steps), "words": words, "shape": self.shape, "kind": self.kind}


def restored(given: Sequence[Any], tensors: dict[str, Tensor], facts: dict[str, Any]) -> Preprocess:
    """The steps of a task with what a run of it has learned."""
    vocabulary, steps = _sorted(given)
    if not steps and facts["steps"] == [repr(Scale())]:
        steps = [Scale()]  # of bytes, which the data were
    now = described(vocabulary, steps)
    if now != facts["steps"]:
        was, says = (", ".join(names) or "nothing" for names in (facts["steps"], now))
        raise SettingError(f"the run was preprocessed by {was}; the task now says {says}")
    fitted: list[dict[str, Tensor]] = [{} for _ in steps]
    for key, x in tensors.items():
        place, name = key.split(".", 1)
        fitted[int(place)][name] = x
    # Runs before these were kept do not say them.
    return Preprocess(steps, fitted, vocabulary and vocabulary.knowing(facts["words"]), facts.get("shape"), facts.get("kind"))


def described(vocabulary: Vocabulary | Columns | None, steps: Sequence[Any]) -> list[str]:
    """Each step with its settings; one of the caller's own, whose repr is an address, by its class."""
    whole = [vocabulary, *steps] if vocabulary else steps
    return [type(step).__qualname__ if type(step).__repr__ is object.__repr__ else repr(step) for step in whole]


def fit(given: Sequence[Any], train: Part) -> Preprocess:
    """Steps by name or as they are, fitted one after the other. Bytes without any step are scaled to [0, 1]."""
    vocabulary, steps = _sorted(given)
    one = _one(train)
    if is_text(one) and vocabulary is None:
        raise DataError("the data is text; give preprocess=[Vocabulary()] to turn it into numbers, or of rows of a table [Columns()]")
    # One that knows its words already may stand beside data that are numbered by it, for texts that come later.
    if vocabulary is not None and not vocabulary.known and not is_text(one):
        raise DataError(f"preprocess has a {type(vocabulary).__name__}, and the data is no text")
    looks = (list(one.shape[1:]), str(one.dtype).removeprefix("torch.")) if isinstance(one, Tensor) else (None, None)
    if not given:
        # Bytes need no look at the others: their range is known.
        known = [Scale()] if looks[1] == "uint8" else []
        return Preprocess(known, [step.fit(one) for step in known], None, *looks)
    x: Any = _inputs(train, one)
    if vocabulary is not None and is_text(one):
        vocabulary = vocabulary if vocabulary.known else vocabulary.fit(x)
        x = vocabulary(x) if steps else None
    if steps and not isinstance(x, Tensor):
        raise DataError(f"preprocess needs inputs that are one tensor, and these are {type(x).__name__}")
    fitted = []
    for step in steps:
        fitted.append(step.fit(x))
        x = step.apply(x, fitted[-1])
    return Preprocess(steps, fitted, vocabulary, *looks)


def _sorted(given: Sequence[Any]) -> tuple[Vocabulary | Columns | None, list[Step]]:
    """What turns text into numbers, if anything does, and the steps after it."""
    steps = [_step(x) for x in given]
    if any(isinstance(x, (Vocabulary, Columns)) for x in steps[1:]):
        raise SettingError("a vocabulary is the first step of preprocessing, and there is one; so are the columns of a table")
    return (steps[0], steps[1:]) if steps and isinstance(steps[0], (Vocabulary, Columns)) else (None, steps)


def _step(given: Any) -> Any:
    if isinstance(given, str):
        if given not in PREPROCESS:
            raise SettingError(f"preprocess: unknown step {given!r}{nearest(given, PREPROCESS)}")
        return PREPROCESS[given]()
    if isinstance(given, type):
        raise SettingError(f"preprocess: {given.__name__} is a class; give an object, {given.__name__}()")
    if not isinstance(given, (Vocabulary, Columns)) and not (hasattr(given, "fit") and hasattr(given, "apply")):
        raise SettingError(
            f"preprocess: {given!r} has no fit(x) and apply(x, fitted); give a name ({', '.join(PREPROCESS)}), or a step: Standardize()"
        )
    return given


def _one(train: Part) -> Any:
    """A first input, to see what it is; of a stream the first batch of them."""
    if isinstance(train, Loader):
        return next(iter(train))[0]
    if isinstance(train, Arrays) and is_text(train.columns[0]):
        return train.columns[0][:1]
    return train.take(torch.arange(1))[0]


def _inputs(train: Part, one: Any) -> Any:
    """Training inputs to learn from: all, or evenly chosen ones (of a stream the first) where there are many."""
    if isinstance(train, Arrays) and isinstance(train.columns[0], (list, tuple)):
        return train.columns[0]
    most = min(ENOUGH, max(1, NUMBERS // max(1, one[0].numel()))) if isinstance(one, Tensor) else ENOUGH
    if isinstance(train, Loader):
        return _first(train, most)
    n = len(train)
    if n > most:
        return train.take(torch.linspace(0, n - 1, most, dtype=torch.float64).long())[0]
    whole = train.columns[0] if isinstance(train, Arrays) else None
    return whole if isinstance(whole, Tensor) else train.take(torch.arange(n))[0]


def _first(train: Loader, most: int) -> Any:
    seen: list[Any] = []
    for batch in train:
        seen.append(batch[0])
        if sum(map(len, seen)) >= most:
            break
    return torch.cat(seen) if isinstance(seen[0], Tensor) else [x for batch in seen for x in batch]
