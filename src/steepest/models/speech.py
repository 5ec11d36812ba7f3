"""Networks for spectrograms (N, features, frames): convolutions alone, or convolutions and a recurrent layer behind them."""

from torch import Tensor, nn

from steepest.models.checks import counts, one_of, shares
from steepest.models.recurrent import CELLS


def speech_cnn(outputs: int = 10, width: int = 32, depth: int = 3, dropout: float = 0.0, norm: bool = True) -> nn.Sequential:
    """The spectrogram as an image: `depth` times a 3 x 3 convolution and pooling, each twice as wide; then the mean over all places."""
    counts("speech_cnn", outputs=outputs, width=width, depth=depth)
    shares("speech_cnn", dropout=dropout)
    layers: list[nn.Module] = [nn.Unflatten(1, (1, -1))]
    for stage in range(depth):
        wide = width << stage
        layers += [
            nn.Conv2d(wide // 2 if stage else 1, wide, 3, padding=1, bias=not norm),
            *([nn.BatchNorm2d(wide)] if norm else []),
            nn.ReLU(),
        ]
        layers.append(nn.MaxPool2d(2, ceil_mode=True))
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), *([nn.Dropout(dropout)] if dropout else [])]
    return nn.Sequential(*layers, nn.Linear(width << (depth - 1), outputs))


class CRNN(nn.Module):
    """Convolutions over frames, and what a recurrent layer makes of them in both directions (after Choi et al., 2017)."""

    def __init__(self, convolutions: nn.Sequential, layers: nn.RNNBase, dropout: float, outputs: int) -> None:
        super().__init__()
        self.convolutions, self.layers = convolutions, layers
        self.dropout, self.head = nn.Dropout(dropout), nn.Linear(2 * layers.hidden_size, outputs)

    def forward(self, x: Tensor) -> Tensor:  # (N, features, frames) -> (N, outputs)
        states = self.layers(self.dropout(self.convolutions(x)).transpose(1, 2))[0]
        return self.head(self.dropout(states.mean(1)))


def crnn(
    features: int = 40,
    outputs: int = 10,
    width: int = 64,
    depth: int = 2,
    hidden: int = 64,
    cell: str = "gru",
    dropout: float = 0.0,
    norm: bool = True,
) -> CRNN:
    """`depth` convolutions over 5 frames, each with pooling, then one layer of `cell` with a state of `hidden` in each direction."""
    counts("crnn", features=features, outputs=outputs, width=width, depth=depth, hidden=hidden)
    shares("crnn", dropout=dropout)
    one_of("crnn", CELLS, cell=cell)
    layers: list[nn.Module] = []
    for k in range(depth):
        layers += [
            nn.Conv1d(width if k else features, width, 5, padding=2, bias=not norm),
            *([nn.BatchNorm1d(width)] if norm else []),
            nn.ReLU(),
        ]
        layers.append(nn.MaxPool1d(2, ceil_mode=True))
    recurrent = CELLS[cell](width, hidden, batch_first=True, bidirectional=True)  # type: ignore[call-arg]
    return CRNN(nn.Sequential(*layers), recurrent, dropout, outputs)
