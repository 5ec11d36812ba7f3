"""How signals travel through a network as it stands: the size of activations and of gradients against depth."""

from collections.abc import Callable
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Any

import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from steepest.core.errors import ParameterError, SettingError
from steepest.core.rng import generator
from steepest.init.batch import arguments, first_inputs, floats
from steepest.init.layers import Layer, Structure
from steepest.init.record import as_found
from steepest.init.structure import structure
from steepest.init.travel import Stop, Watch, std
from steepest.init.trend import Trend, described, trend

# A table shows this many layers from each end.
SHOWN = 30


@dataclass(frozen=True)
class Row:
    """One layer's output; for the last layer of a residual branch, the stream after the branch was added.

    `trunk`: not inside a branch, not the head; the trend is read from these. `dead`: share of units whose nonlinearity lets no
    gradient through for any sample. `saturated`: share of values where a bounded one has less than 5 % of its steepest slope.
    """

    layer: str
    kind: str
    nonlinearity: str
    depth: int
    activation_std: float
    gradient_std: float
    dead: float
    saturated: float
    trunk: bool

    @property
    def activation_variance(self) -> float:
        return self.activation_std**2

    @property
    def gradient_variance(self) -> float:
        return self.gradient_std**2


@dataclass(frozen=True)
class Probe:
    """What `probe` saw. Print it for a table, `chart` it for a picture. The input's own sizes are those of x and of the gradient in it."""

    rows: tuple[Row, ...]
    activation: Trend
    gradient: Trend
    input_std: float
    input_gradient_std: float
    unseen: tuple[str, ...]  # layers that the forward pass did not call

    def __str__(self) -> str:
        console = Console(width=120, no_color=True)
        with console.capture() as captured:
            console.print(self.__rich__())
        return "\n".join(line.rstrip() for line in captured.get().splitlines())

    def __rich__(self) -> Table:
        footer = [f"activations: {described(self.activation)}", f"gradients: {described(self.gradient)}"]
        if self.unseen:
            footer.append(f"not called: {', '.join(self.unseen)}")
        table = Table(box=SIMPLE_HEAD, caption="\n".join(footer), caption_justify="left", pad_edge=False)
        for name in ("depth", "layer", "kind", "nonlinearity", "activation std", "gradient std", "dead", "saturated"):
            table.add_column(name, justify="left" if name in ("layer", "kind", "nonlinearity") else "right", no_wrap=True)
        table.add_row("", "input", "", "", size(self.input_std), size(self.input_gradient_std), style="dim")
        rows = [*self.rows] if len(self.rows) <= 2 * SHOWN else [*self.rows[:SHOWN], None, *self.rows[-SHOWN:]]
        for row in rows:
            if row is None:
                table.add_row("", f"... {len(self.rows) - 2 * SHOWN} more")
                continue
            sizes = (size(row.activation_std), size(row.gradient_std), share(row.dead), share(row.saturated))
            table.add_row(str(row.depth), row.layer, row.kind, row.nonlinearity, *sizes, style="" if row.trunk else "dim")
        return table

    def chart(self, path: str | Path) -> None:
        """A PNG: both sizes against depth, and the fitted trends."""
        from steepest.init.chart import draw  # altair: only a picture waits for it

        if Path(path).suffix != ".png":
            raise SettingError(f"a chart is a .png, not {str(path)!r}")
        draw(self, Path(path))


def probe(model: nn.Module, x: Any, loss: Callable[[Any], Tensor] | None = None, *, seed: int = 0) -> Probe:
    """Send `x` (an input, a tuple of them, inputs by name, or a DataLoader) through the model and a gradient back.

    The gradient is that of `loss(output)`; without one, random numbers of deviation 1 come back from the output. The model runs
    in the mode it is in. Model, gradients, buffers and random states are left as they were found.
    """
    with as_found(model):
        torch.manual_seed(seed)  # dropout
        sample = first_inputs(x)
        watch, stations = Watch(), places(structure(model, sample))
        hooks = [module.register_forward_hook(watch.hook(of.name, of.kind, of.ends_residual)) for module, of in stations]
        try:
            began, back = send(model, sample, loss, watch, seed)
        finally:
            for hook in hooks:
                hook.remove()
    layers = {of.name: of for _, of in stations}
    rows = tuple(row(depth, stop, layers[stop.layer]) for depth, stop in enumerate(watch.stops, 1))
    trunk = [r for r in rows if r.trunk] if sum(r.trunk for r in rows) > 1 else rows
    depths = [r.depth for r in trunk]
    activation, gradient = trend(depths, [r.activation_std for r in trunk], 1), trend(depths, [r.gradient_std for r in trunk], -1)
    unseen = layers.keys() - {stop.layer for stop in watch.stops}
    return Probe(rows, activation, gradient, began, back, tuple(name for name in layers if name in unseen))


def places(found: Structure) -> list[tuple[nn.Module, Layer]]:
    """Where to look: layers of weights, and norms that end a branch. Attention gives what its output projection gives."""
    attention = {layer.name: layer.module for layer in found.layers if isinstance(layer.module, nn.MultiheadAttention)}
    inner = {f"{name}.out_proj".lstrip("."): module for name, module in attention.items()}
    wanted = [layer for layer in found.layers if (layer.weighs or layer.ends_residual) and layer.name not in attention]
    return [(inner.get(layer.name, layer.module), layer) for layer in wanted]


def row(depth: int, stop: Stop, of: Layer) -> Row:
    trunk = not of.head and (of.ends_residual or not of.in_residual)
    name = f"{of.name} ({stop.call})" if stop.call > 1 else of.name
    return Row(name, of.kind, stop.curve or of.nonlinearity or "", depth, stop.activation, stop.gradient, stop.dead, stop.saturated, trunk)


def send(model: nn.Module, sample: Any, loss: Callable[[Any], Tensor] | None, watch: Watch, seed: int) -> tuple[float, float]:
    """Forward and backward; the sizes of the input and of the gradient that reaches it."""
    args, kwargs = tree_map(own, arguments(sample))
    inputs = floats((args, kwargs))
    entry = inputs[0] if inputs else None
    watch.begin(inputs)
    with torch.enable_grad():
        try:
            with watch:
                output = model(*args, **kwargs)
        except Exception as error:
            raise ParameterError(f"the model fails on this sample: {error}") from error
        if loss is not None:
            goal = loss(output)
        else:
            noise = generator(seed, "probe")
            goal = sum(((x * torch.randn(x.shape, generator=noise).to(x)).sum() for x in floats(output)), torch.zeros(()))
        if not goal.requires_grad:
            raise ParameterError("no gradient comes back from this output: nothing in it depends on a parameter or a real-valued input")
        wanted = [*inputs, *watch.anchors, *(p for p in model.parameters() if p.requires_grad)]
        grads = torch.autograd.grad(goal, wanted, allow_unused=True)  # leaves every .grad alone
    began = std(entry) if entry is not None else nan
    back: Tensor | None = grads[0] if inputs else None
    return began, nan if back is None else std(back)


def own(x: Any) -> Any:
    """A copy that the model may write over and that takes a gradient."""
    if not isinstance(x, Tensor):
        return x
    return x.detach().clone().requires_grad_(x.is_floating_point())


def size(x: float) -> str:
    return "" if x != x else f"{x:.3g}"


def share(x: float) -> str:
    return "" if x != x else f"{x:.0%}"
