"""The kinds of models that initialization must handle, written small."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations


def lenet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(256, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def vgg() -> nn.Module:
    layers: list[nn.Module] = []
    width = 3
    for out in (8, 8, 16, 16):
        layers += [nn.Conv2d(width, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU(inplace=True)]
        width = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))


class Basic(nn.Module):
    """The block of ResNet-18 (`widen=1`) and, with `bottleneck`, of ResNet-50."""

    def __init__(self, width: int, out: int, stride: int = 1, bottleneck: bool = False) -> None:
        super().__init__()
        inner = out // 4 if bottleneck else out
        self.conv1 = nn.Conv2d(width, inner, 1 if bottleneck else 3, 1 if bottleneck else stride, 0 if bottleneck else 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride if bottleneck else 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, out, 1, bias=False) if bottleneck else None
        self.bn3 = nn.BatchNorm2d(out) if bottleneck else None
        self.skip = nn.Sequential(nn.Conv2d(width, out, 1, stride, bias=False), nn.BatchNorm2d(out)) if stride > 1 or width != out else None

    def forward(self, x: Tensor) -> Tensor:
        h = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.conv3 is not None and self.bn3 is not None:
            h = self.bn3(self.conv3(F.relu(h)))
        h += x if self.skip is None else self.skip(x)
        return F.relu(h)


class ResNet(nn.Module):
    def __init__(self, blocks: tuple[int, ...], bottleneck: bool) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        layers, width = [], 8
        for i, count in enumerate(blocks):
            for j in range(count):
                layers.append(Basic(width, 8 * 2**i, 2 if i and not j else 1, bottleneck))
                width = 8 * 2**i
        self.layers, self.head = nn.Sequential(*layers), nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layers(F.relu(self.bn(self.conv(x)))).mean((2, 3)))


class Recurrent(nn.Module):
    def __init__(self, cell: type[nn.LSTM | nn.GRU | nn.RNN] = nn.LSTM) -> None:
        super().__init__()
        self.embedding, self.rnn, self.head = nn.Embedding(20, 8), cell(8, 12, num_layers=2, batch_first=True), nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(self.embedding(x))[0][:, -1])


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 32, dropout=0.1, activation="gelu", batch_first=True, norm_first=True)
        self.embedding = nn.Embedding(20, 16)
        self.encoder = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.embedding(x)).mean(1))


class Block(nn.Module):
    def __init__(self, width: int = 16, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        b, t, c = x.shape
        q, k, v = (a.view(b, t, self.heads, c // self.heads).transpose(1, 2) for a in self.qkv(self.ln1(x)).split(c, dim=2))
        x = x + self.proj(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(b, t, c))
        return x + self.down(F.gelu(self.up(self.ln2(x))))


class GPT(nn.Module):
    def __init__(self, layers: int = 3, width: int = 16, tied: bool = True) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(20, width), nn.Embedding(10, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(layers))
        self.ln, self.head = nn.LayerNorm(width), nn.Linear(width, 20, bias=False)
        if tied:
            self.head.weight = self.tokens.weight

    def forward(self, x: Tensor) -> Tensor:
        h = self.tokens(x) + self.positions(torch.arange(x.shape[1], device=x.device))
        for block in self.blocks:
            h = block(h)
        return self.head(self.ln(h))


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        self.middle = nn.Conv2d(16, 16, 3, padding=1)
        self.up, self.join, self.out = nn.ConvTranspose2d(16, 8, 2, 2), nn.Conv2d(16, 8, 3, padding=1), nn.Conv2d(8, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = F.relu(self.down1(x))
        b = F.relu(self.middle(F.relu(self.down2(F.max_pool2d(a, 2)))))
        return self.out(F.relu(self.join(torch.cat([a, F.relu(self.up(b))], dim=1))))


class SwiGLU(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate, self.value, self.out = nn.Linear(8, 16), nn.Linear(8, 16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(F.silu(self.gate(x)) * self.value(x))


class Custom(nn.Module):
    """A parameter that no rule knows."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.temperature = nn.Linear(4, 4), nn.Parameter(torch.tensor(2.0))

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) / self.temperature


def frozen() -> nn.Module:
    model = lenet()
    for p in next(model.children()).parameters():
        p.requires_grad_(False)
    return model


def weight_norm() -> nn.Module:
    return nn.Sequential(parametrizations.weight_norm(nn.Linear(6, 8)), nn.ReLU(), parametrizations.weight_norm(nn.Linear(8, 3)))


def stack(depth: int, width: int, activation: type[nn.Module]) -> nn.Module:
    return nn.Sequential(*(layer for _ in range(depth) for layer in (nn.Linear(width, width), activation())))


def conv_stack(depth: int, width: int, channels: int) -> nn.Module:
    first = [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*first, *(layer for _ in range(depth - 1) for layer in (nn.Conv2d(width, width, 3, padding=1), nn.ReLU())))


class Residual(nn.Module):
    def __init__(self, width: int, norm: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width) if norm else nn.Identity()
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(F.relu(self.up(self.norm(x))))


def residual(blocks: int, width: int, norm: bool = False) -> nn.Module:
    return nn.Sequential(*(Residual(width, norm) for _ in range(blocks)))


IMAGE = torch.zeros(2, 3, 16, 16)
TOKENS = torch.zeros(2, 7, dtype=torch.long)
# name -> (model, sample)
MODELS = {
    "lenet": (lenet, torch.zeros(2, 1, 28, 28)),
    "vgg": (vgg, IMAGE),
    "resnet18": (lambda: ResNet((2, 2, 2, 2), bottleneck=False), IMAGE),
    "resnet50": (lambda: ResNet((3, 4, 6, 3), bottleneck=True), IMAGE),
    "lstm": (Recurrent, TOKENS),
    "gru": (lambda: Recurrent(nn.GRU), TOKENS),
    "rnn": (lambda: Recurrent(nn.RNN), TOKENS),
    "encoder": (Encoder, TOKENS),
    "gpt": (GPT, TOKENS),
    "unet": (UNet, torch.zeros(2, 1, 16, 16)),
    "swiglu": (SwiGLU, torch.zeros(2, 8)),
    "frozen": (frozen, torch.zeros(2, 1, 28, 28)),
    "weight_norm": (weight_norm, torch.zeros(2, 6)),
}
