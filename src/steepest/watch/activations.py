"""Dead and saturated units: where nonlinearities let no gradient, or little, through."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch._C._functorch import is_functorch_wrapped_tensor
from torch.utils.hooks import RemovableHandle

from steepest.init.travel import CURVES, DEAD, FLAT

# torch's modules of the nonlinearities that the probe knows. RReLU draws random numbers: looking twice would change the training.
KINDS = {name.replace("_", ""): steepest for name, steepest in CURVES.items() if name != "rrelu"}
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def shares(curve: Callable[[Tensor], Tensor], x: Tensor, unit: int, steepest: float | None) -> tuple[Tensor, Tensor | None]:
    """Of the curve's inputs x: the share of units without slope for any sample, and of values below 5 % of the steepest slope.

    `unit` is the dimension that counts units. `steepest` is None for curves that are not bounded on both sides: they do not saturate.
    """
    with torch.enable_grad():
        at = x.detach().clone().requires_grad_()
        (slope,) = torch.autograd.grad(curve(at.clone()).sum(), at)
    per_unit = slope.abs().movedim(unit, 0).flatten(1)
    dead = (per_unit.amax(1) < DEAD).float().mean()
    return dead, None if steepest is None else (per_unit < FLAT * steepest).float().mean()


class Activations:
    """Hooks on the activation modules of a model, from `begin` to `end`. Nonlinearities called as functions are not seen.

    Looked at are training passes: those that record a gradient through a module in training mode.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self._hooks: list[RemovableHandle] = []
        self._seen: dict[str, list[Tensor]] = {}
        self._after_convolution = False

    def begin(self) -> None:
        self.end()
        for name, module in self.model.named_modules():
            kind = type(module).__name__.lower()
            if kind in KINDS and type(module).__module__.startswith("torch.nn."):
                self._hooks.append(module.register_forward_pre_hook(self._look(name, KINDS[kind])))
            elif isinstance(module, (nn.Linear, *CONVOLUTIONS)):
                self._hooks.append(module.register_forward_pre_hook(self._pass))

    def end(self) -> dict[str, float]:
        """`dead/relu1`, `saturated/tanh2`, ...: where a module ran several times, the mean over its calls."""
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        seen, self._seen = self._seen, {}
        if not seen:
            return {}
        device = next(iter(seen.values()))[0].device
        means = torch.stack([torch.stack(calls).mean().to(device) for calls in seen.values()])
        return dict(zip(seen, means.tolist(), strict=True))

    def _pass(self, module: nn.Module, inputs: Any) -> None:
        self._after_convolution = isinstance(module, CONVOLUTIONS)

    def _look(self, name: str, steepest: float | None) -> Callable[[nn.Module, Any], None]:
        def look(module: nn.Module, inputs: Any) -> None:
            # A compiled program would hold on to this look; under vmap there is no value to look at.
            if torch.compiler.is_compiling() or not (torch.is_grad_enabled() and module.training) or not inputs:
                return
            x = inputs[0]
            if x.ndim < 2 or not x.numel() or is_functorch_wrapped_tensor(x):
                return
            unit = 1 if self._after_convolution else x.ndim - 1
            dead, saturated = shares(module.forward, x, unit, steepest)
            self._seen.setdefault(f"dead/{name}", []).append(dead)
            if saturated is not None:
                self._seen.setdefault(f"saturated/{name}", []).append(saturated)

        return look
