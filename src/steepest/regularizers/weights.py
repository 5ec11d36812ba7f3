"""Which parameters a penalty or projection touches."""

from torch import Tensor, nn

from steepest.core.errors import ParameterError
from steepest.core.plan import Slot, matches, slots

ON = "weights (of layers, without biases, norms and embeddings), or a pattern over names of parameters and kinds of layers"


def weights(model: nn.Module, on: str = "weights", least: int = 1) -> list[Tensor]:
    """The parameters that a penalty touches, in the model's order; frozen ones are left out, shared ones come once.

    `on` is "weights" or a pattern of `core.plan`. `least`: how many dimensions each must have. A parametrized weight is
    touched through what lies behind it.
    """
    found = slots(model)
    chosen = [slot for slot in found if (is_weight(slot) if on == "weights" else matches(on, slot))]
    if not chosen:
        raise ParameterError(f"on = {on!r} matches no parameter; the model has {_some(found)}")
    active = [slot for slot in chosen if slot.parameter.requires_grad]
    if not active:
        raise ParameterError(f"on = {on!r} matches frozen parameters only: {_some(chosen)}")
    for slot in active:
        if slot.parameter.ndim < least:
            raise ParameterError(f"on = {on!r} matches {slot.name} of shape {tuple(slot.parameter.shape)}, which is no matrix")
    return [slot.parameter for slot in active]


def is_weight(slot: Slot) -> bool:
    # A bare parameter such as pos_embed has no layer of its own to tell its kind.
    named = "Norm" in slot.kind or "Embedding" in slot.kind or "embed" in slot.name.rpartition(".")[2]
    return slot.parameter.ndim >= 2 and not named


def _some(found: list[Slot], most: int = 8) -> str:
    names = [slot.name for slot in found]
    return (", ".join(names[:most]) or "none") + (f" and {len(names) - most} more" if len(names) > most else "")
