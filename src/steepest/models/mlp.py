"""A network of fully connected layers."""

from torch import nn

from steepest.core.errors import SettingError, nearest

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "leaky_relu": nn.LeakyReLU, "selu": nn.SELU,
}  # fmt: skip


def mlp(
    inputs: int = 64,
    outputs: int = 10,
    width: int = 128,
    depth: int = 2,
    dropout: float = 0.0,
    activation: str = "relu",
    norm: bool = False,
) -> nn.Sequential:
    """`depth` hidden layers of `width`; inputs of any shape are flattened."""
    if activation not in ACTIVATIONS:
        raise SettingError(f"mlp: unknown activation {activation!r}{nearest(activation, ACTIVATIONS)}")
    if min(inputs, outputs, width) < 1 or depth < 0 or not 0 <= dropout < 1:
        raise SettingError(
            f"mlp: inputs = {inputs}, outputs = {outputs}, width = {width}, depth = {depth}, dropout = {dropout}; "
            "the first three are from 1 on, depth from 0, dropout in [0, 1)"
        )
    layers: list[nn.Module] = [nn.Flatten()]
    for k in range(depth):
        layers.append(nn.Linear(width if k else inputs, width))
        if norm:
            layers.append(nn.BatchNorm1d(width))
        layers.append(ACTIVATIONS[activation]())
        if dropout:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers, nn.Linear(width if depth else inputs, outputs))
