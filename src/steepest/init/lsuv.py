"""LSUV: weights scaled on data, layer by layer, until every output has variance 1."""

from collections.abc import Callable
from math import inf, sqrt
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from steepest.core.errors import ParameterError, SettingError
from steepest.core.rng import seed_of
from steepest.init.apply import apply
from steepest.init.batch import arguments, first_inputs, floats
from steepest.init.choices import CONVOLUTIONS
from steepest.init.record import as_found
from steepest.init.report import Report
from steepest.init.sites import Site, sites


class Scaling(NamedTuple):
    """The variance of a layer's output before and after, and how often its weight was divided."""

    before: float
    after: float
    rounds: int


def lsuv(model: nn.Module, batch: Any, *, seed: int = 0, tolerance: float = 0.01, most: int = 10) -> Report:
    """Orthogonal weights, then each layer's divided by the deviation of its output on `batch` (Mishkin & Matas, 2016, Algorithm 1).

    At most `most` times per layer, until the variance is 1 within `tolerance` (the paper's is 0.1). `batch` is an input, a tuple
    of them, inputs by name, or a DataLoader, whose first batch is read without moving it. Only weights and biases change;
    random states, buffers and modes are left as they were found. An error leaves the model unchanged.
    """
    if not tolerance > 0:
        raise SettingError(f"lsuv.tolerance = {tolerance!r} must be above 0")
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise SettingError(f"lsuv.most = {most!r} must be a whole number of at least 1")
    with as_found(model), torch.no_grad():
        torch.manual_seed(seed_of(seed, "lsuv"))  # dropout
        sample = first_inputs(batch)
        before = [(p, p.clone()) for p in model.parameters() if not isinstance(p, nn.UninitializedParameter)]
        try:
            report = apply(model, "orthogonal", sample=sample, seed=seed)
            started = {row.parameter for row in report.rows if row.initializer.startswith("orthogonal")}
            places = [site for site in sites(model) if site.name in started and scalable(site)]
            found = scale(model, sample, places, tolerance, most)
        except BaseException:
            for p, value in before:
                p.copy_(value)
            raise
    left = {site.name for site in places} - found.keys()
    rows = [
        row._replace(reason=described(found[row.parameter], tolerance))
        if row.parameter in found
        else row._replace(reason=f"{row.reason}; not scaled: not called on this batch")
        if row.parameter in left
        else row
        for row in report.rows
    ]
    return Report(rows, report.unclassified, report.lr_multipliers)


def scalable(site: Site) -> bool:
    return isinstance(site.module, (nn.Linear, nn.Bilinear, *CONVOLUTIONS)) and site.leaf == "weight" and not site.tied


def scale(model: nn.Module, sample: Any, places: list[Site], tolerance: float, most: int) -> dict[str, Scaling]:
    """One forward pass in which each layer is scaled as it is called, and passes on what it gives then."""
    found: dict[str, Scaling] = {}
    args, kwargs = arguments(sample)
    hooks = [site.module.register_forward_hook(_scaler(site, found, tolerance, most), with_kwargs=True) for site in places]
    try:
        model(*args, **kwargs)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _scaler(site: Site, found: dict[str, Scaling], tolerance: float, most: int) -> Callable[..., Tensor | None]:
    busy = False

    def hook(module: nn.Module, args: Any, kwargs: Any, output: Any) -> Tensor | None:
        nonlocal busy
        if busy or site.name in found:  # a layer that is called twice is scaled at its first call
            return None
        busy, rounds = True, 0
        try:
            first = value = variance(output)
            while abs(value - 1) >= tolerance and rounds < most:
                if not 0 < value < inf:
                    raise ParameterError(f"{site.name}: its output has variance {value:g} on this batch, and no factor makes that 1")
                for p, x in site.spread(getattr(module, site.leaf) / sqrt(value)):
                    p.copy_(x)
                output = module(*args, **kwargs)
                value, rounds = variance(output), rounds + 1
        finally:
            busy = False
        found[site.name] = Scaling(first, value, rounds)
        return output

    return hook


def variance(output: Any) -> float:
    return floats(output)[0].to("cpu", torch.float64).var(correction=0).item()


def described(scaling: Scaling, tolerance: float) -> str:
    if abs(scaling.after - 1) >= tolerance:
        return f"LSUV: output variance {scaling.before:.3g}, still {scaling.after:.3g} after {scaling.rounds} rounds"
    return f"LSUV: output variance {scaling.before:.3g}, now {scaling.after:.3g}"
