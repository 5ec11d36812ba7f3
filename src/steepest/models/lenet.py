"""LeNet-5 (LeCun et al., Gradient-Based Learning Applied to Document Recognition, 1998), with what was learned since as options."""

from math import inf

from torch import nn

from steepest.core.errors import SettingError


def lenet5(
    outputs: int = 10, width: float = 1.0, activation: str = "relu", pool: str = "max", norm: bool = False, dropout: float = 0.0
) -> nn.Sequential:
    """Digits of 28 x 28; the first convolution is padded by 2, to the 32 x 32 of the paper. The paper's own: tanh and average pooling."""
    if activation not in ("relu", "tanh") or pool not in ("max", "average"):
        raise SettingError(f"lenet5: activation = {activation!r}, pool = {pool!r}; they are relu or tanh, max or average")
    if not 0 < width < inf or not 0 <= dropout < 1 or outputs < 1:
        raise SettingError(f"lenet5: width = {width}, dropout = {dropout}, outputs = {outputs}; they are above 0, in [0, 1), and from 1 on")
    a, b, c, d = (max(1, round(n * width)) for n in (6, 16, 120, 84))
    act = nn.ReLU if activation == "relu" else nn.Tanh
    shrink = nn.MaxPool2d if pool == "max" else nn.AvgPool2d

    def normed(layer: nn.Module, channels: int, flat: bool = False) -> list[nn.Module]:
        between: list[nn.Module] = [nn.BatchNorm1d(channels) if flat else nn.BatchNorm2d(channels)] if norm else []
        return [layer, *between, act()]

    return nn.Sequential(
        *normed(nn.Conv2d(1, a, 5, padding=2), a), shrink(2),
        *normed(nn.Conv2d(a, b, 5), b), shrink(2),
        *normed(nn.Conv2d(b, c, 5), c), nn.Flatten(), *([nn.Dropout(dropout)] if dropout else []),
        *normed(nn.Linear(c, d), d, flat=True), nn.Linear(d, outputs),
    )  # fmt: skip
