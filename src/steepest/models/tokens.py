"""What networks of text share: tokens (N, T), of which 0 pads at the end, and means that leave it out."""

from torch import Tensor

# As `data.Vocabulary` has it.
PADDING = 0


def real(ids: Tensor) -> Tensor:  # (N, T) -> (N, T) bool
    """Which tokens are none of padding. The first always counts, so that an empty text is a text."""
    found = ids != PADDING
    found[:, 0] = True
    return found


def mean(x: Tensor, mask: Tensor) -> Tensor:  # (N, T, C), (N, T) -> (N, C)
    weight = mask.unsqueeze(2).to(x.dtype)
    return (x * weight).sum(1) / weight.sum(1)


def greatest(x: Tensor, mask: Tensor) -> Tensor:  # (N, T, C), (N, T) -> (N, C)
    return x.masked_fill(~mask.unsqueeze(2), -float("inf")).amax(1)
