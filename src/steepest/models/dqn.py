"""A network that says what each action is worth, and a copy of it that follows slowly (Mnih et al., 2015)."""

import copy

import torch
from torch import Tensor, nn

from steepest.models.checks import counts, shares


class Dueling(nn.Module):
    """What a state is worth, and how much more each action is than their mean (Wang et al., 2016, equation 9)."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.state, self.action = nn.Linear(width, 1), nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        more = self.action(x)
        return self.state(x) + more - more.mean(-1, keepdim=True)


class DQN(nn.Module):
    """The values of all actions. `target` is the copy: its weights are buffers, kept with the model, and no optimizer's business."""

    followed: Tensor

    def __init__(self, online: nn.Sequential) -> None:
        super().__init__()
        self.online = online
        self.target = as_buffers(copy.deepcopy(online))
        self.register_buffer("followed", torch.zeros((), dtype=torch.int64))

    def forward(self, states: Tensor) -> Tensor:  # (..., inputs) -> (..., actions)
        return self.online(states)

    @torch.no_grad()
    def follow(self, rate: float) -> None:
        """Bring the copy nearer to the network; the first time, all the way."""
        for mine, theirs in zip(self.target.buffers(), self.online.parameters(), strict=True):
            mine.lerp_(theirs, rate if self.followed else 1.0)
        self.followed += 1


def as_buffers(model: nn.Module) -> nn.Module:
    """The same module with each parameter a buffer, in the same order."""
    for module in model.modules():
        for name, p in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, p.detach())
    return model


def dqn(
    inputs: int = 4, outputs: int = 2, width: int = 128, depth: int = 2, dueling: bool = False, dropout: float = 0.0, norm: bool = False
) -> DQN:
    """`depth` hidden layers, and one value for each action."""
    counts("dqn", inputs=inputs, outputs=outputs, width=width, depth=depth)
    shares("dqn", dropout=dropout)
    layers: list[nn.Module] = []
    for k in range(depth):
        layers += [nn.Linear(width if k else inputs, width), *([nn.LayerNorm(width)] if norm else []), nn.ReLU()]
        layers += [nn.Dropout(dropout)] if dropout else []
    return DQN(nn.Sequential(*layers, Dueling(width, outputs) if dueling else nn.Linear(width, outputs)))
