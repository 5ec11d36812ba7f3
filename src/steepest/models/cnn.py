"""Plain convolutional networks: stages of convolutions, each halved by pooling, and fully connected layers behind them."""

from torch import nn

from steepest.core.errors import SettingError
from steepest.models.checks import counts, one_of, shares
from steepest.models.mlp import ACTIVATIONS


def cnn(
    channels: int = 1,
    size: int = 28,
    outputs: int = 10,
    width: int = 32,
    depth: int = 1,
    dense: int = 128,
    pad: bool = False,
    activation: str = "relu",
    dropout: float = 0.0,
    norm: bool = False,
) -> nn.Sequential:
    """`depth` times a 3 x 3 convolution and pooling, each twice as wide as the one before, then one layer of `dense`.

    The network of a hundred tutorials: as it is 693,962 parameters; with depth 2 and dense 64, on images of 3 x 32 x 32, 167,562.
    """
    return _stages("cnn", channels, size, outputs, width, depth, 1, dense, pad, activation, dropout, norm)


def cnn5(
    channels: int = 1,
    size: int = 28,
    outputs: int = 10,
    width: int = 32,
    dense: int = 128,
    activation: str = "relu",
    dropout: float = 0.0,
    norm: bool = False,
) -> nn.Sequential:
    """Five layers: three padded convolutions with pooling, and two fully connected ones."""
    return _stages("cnn5", channels, size, outputs, width, 3, 1, dense, True, activation, dropout, norm)


def vgg(
    channels: int = 3,
    size: int = 32,
    outputs: int = 10,
    width: int = 64,
    depth: int = 3,
    repeat: int = 2,
    dense: int = 256,
    activation: str = "relu",
    dropout: float = 0.0,
    norm: bool = True,
) -> nn.Sequential:
    """After VGG (Simonyan & Zisserman, 2015): `depth` stages of `repeat` padded 3 x 3 convolutions; with BatchNorm, as is usual now."""
    return _stages("vgg", channels, size, outputs, width, depth, repeat, dense, True, activation, dropout, norm)


def _stages(
    model: str, channels: int, size: int, outputs: int, width: int, depth: int, repeat: int, dense: int, pad: bool, activation: str,
    dropout: float, norm: bool,
) -> nn.Sequential:  # fmt: skip
    counts(model, channels=channels, size=size, outputs=outputs, width=width, depth=depth, repeat=repeat, dense=dense)
    shares(model, dropout=dropout)
    one_of(model, ACTIVATIONS, activation=activation)
    act, layers, inputs, side = ACTIVATIONS[activation], list[nn.Module](), channels, size
    for stage in range(depth):
        for _ in range(repeat):
            layers.append(nn.Conv2d(inputs, width << stage, 3, padding=int(pad), bias=not norm))
            layers += [nn.BatchNorm2d(width << stage)] if norm else []
            layers.append(act())
            inputs = width << stage
        side = (side if pad else side - 2 * repeat) // 2
        if side < 1:
            raise SettingError(f"{model}: depth = {depth} leaves nothing of images of {size} x {size}; the most it can be is {stage}")
        layers.append(nn.MaxPool2d(2))
    layers += [nn.Flatten(), nn.Linear(inputs * side * side, dense, bias=not norm), *([nn.BatchNorm1d(dense)] if norm else []), act()]
    return nn.Sequential(*layers, *([nn.Dropout(dropout)] if dropout else []), nn.Linear(dense, outputs))
