"""Residual networks (He et al., Deep Residual Learning for Image Recognition, 2016)."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from steepest.core.errors import SettingError
from steepest.models.checks import counts, one_of, shares

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "group": lambda channels: nn.GroupNorm(next(n for n in (8, 4, 2, 1) if channels % n == 0), channels),
    "none": lambda channels: nn.Identity(),
}


class Block(nn.Module):
    """Two convolutions, and the input added to what they make of it."""

    def __init__(self, inputs: int, outputs: int, stride: int, norm: str, project: bool) -> None:
        super().__init__()
        made, bias = NORMS[norm], norm == "none"
        self.conv1, self.norm1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=bias), made(outputs)
        self.conv2, self.norm2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=bias), made(outputs)
        if stride == 1 and inputs == outputs:
            self.skip: nn.Module = nn.Identity()
        else:
            self.skip = (
                nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=bias), made(outputs)) if project else Widen(inputs, outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(self.conv1(x)).relu()
        return (self.norm2(self.conv2(y)) + self.skip(x)).relu()


class Widen(nn.Module):
    """Every other pixel, and channels of zeros: the shortcut without parameters (the paper's option A)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        more = outputs - inputs
        self.padding = (0, 0, 0, 0, more // 2, more - more // 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, ::2, ::2], self.padding)


def resnet20(
    channels: int = 3, outputs: int = 10, width: int = 16, depth: int = 20, dropout: float = 0.0, norm: str = "batch"
) -> nn.Sequential:
    """Section 4.2, for images of 32 x 32: 6n + 2 layers, three stages, shortcuts without parameters. 0.27 million of them."""
    counts("resnet20", channels=channels, outputs=outputs, width=width, depth=depth)
    if depth < 8 or (depth - 2) % 6:
        raise SettingError(f"resnet20: depth = {depth} is not 6n + 2: 8, 14, 20, 32, 44, 56, 110")
    return _resnet(
        "resnet20", _small_stem("resnet20", channels, width, norm), [width, 2 * width, 4 * width], depth // 6, outputs, dropout, norm, False
    )


def resnet18(
    channels: int = 3, outputs: int = 10, width: int = 64, stem: str = "small", dropout: float = 0.0, norm: str = "batch"
) -> nn.Sequential:
    """Table 1: four stages of two blocks, 11.2 million parameters. The stem is that of ImageNet, or a small one for images of 32 x 32."""
    counts("resnet18", channels=channels, outputs=outputs, width=width)
    one_of("resnet18", ("small", "imagenet"), stem=stem)
    first = _small_stem("resnet18", channels, width, norm) if stem == "small" else _imagenet_stem("resnet18", channels, width, norm)
    return _resnet("resnet18", first, [width << stage for stage in range(4)], 2, outputs, dropout, norm, True)


def _small_stem(model: str, channels: int, width: int, norm: str) -> nn.Sequential:
    one_of(model, NORMS, norm=norm)
    return nn.Sequential(nn.Conv2d(channels, width, 3, padding=1, bias=norm == "none"), NORMS[norm](width), nn.ReLU())


def _imagenet_stem(model: str, channels: int, width: int, norm: str) -> nn.Sequential:
    one_of(model, NORMS, norm=norm)
    wide = nn.Conv2d(channels, width, 7, 2, padding=3, bias=norm == "none")
    return nn.Sequential(wide, NORMS[norm](width), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1))


def _resnet(
    model: str, stem: nn.Module, widths: Sequence[int], repeat: int, outputs: int, dropout: float, norm: str, project: bool
) -> nn.Sequential:
    shares(model, dropout=dropout)
    layers, inputs = [stem], widths[0]
    for stage, width in enumerate(widths):
        for k in range(repeat):
            layers.append(Block(inputs, width, 2 if stage and not k else 1, norm, project))
            inputs = width
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), *([nn.Dropout(dropout)] if dropout else [])]
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))
