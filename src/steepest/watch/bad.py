"""Which layer holds a NaN or an Inf first."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from steepest.core.errors import ParameterError
from steepest.init.batch import arguments, first_inputs, floats
from steepest.init.record import as_found


@dataclass(frozen=True)
class Bad:
    """The first place with a bad value: `name` of the module, parameter or buffer, and how many values of how many are bad.

    `part` is "input", "output", "parameter", "buffer" or "gradient". `inherited`: a module's inputs were bad already,
    although no module before it gave anything bad: it arose between modules. `suspects`: bad parameters and buffers of the module itself.
    """

    part: str
    name: str
    kind: str
    nan: int
    inf: int
    of: int
    inherited: bool = False
    suspects: tuple[str, ...] = ()

    def __str__(self) -> str:
        what = " and ".join(f"{count} {text}" for count, text in ((self.nan, "NaN"), (self.inf, "Inf")) if count)
        where = (
            f"the {self.part} of {self.name or 'the model'}"
            if self.part in ("input", "output", "gradient")
            else f"the {self.part} {self.name}"
        )
        end = f"; so does its {', '.join(self.suspects)}" if self.suspects else ""
        if self.part == "output" and not end:
            end = "; its input did already, from no module" if self.inherited else "; its inputs and weights are finite"
        return f"{where}{f' ({self.kind})' if self.kind else ''} holds {what} among {self.of} values{end}"


class Found(BaseException):
    """Ends a forward pass; no handler of the model's own may catch it."""

    def __init__(self, bad: Bad) -> None:
        self.bad = bad


def first_bad(model: nn.Module, x: Any) -> Bad | None:
    """Run the model on `x` (an input, a tuple of them, inputs by name, or a DataLoader): the first module whose output is bad, or None.

    The model runs in the mode it is in, and no further than to the bad place. It is left as it was found.
    """
    sample = first_inputs(x)
    args, kwargs = arguments(sample)
    if not sound(floats(sample)):
        return _bad("input", "", "", floats(sample))
    tainted: list[bool] = []  # of the modules that are running, innermost last

    def before(module: nn.Module, inputs: Any, named: Any) -> None:
        tainted.append(not sound(floats((inputs, named))))

    def after(module: nn.Module, inputs: Any, output: Any) -> None:
        inherited, found = tainted.pop(), floats(output)
        if not finite(found):
            _stop(model, module, found, inherited)

    hooks = []
    with as_found(model), torch.no_grad():
        try:
            for module in model.modules():
                hooks += [module.register_forward_pre_hook(before, with_kwargs=True), module.register_forward_hook(after)]
            model(*args, **kwargs)
        except Found as stop:
            return stop.bad
        except Exception as error:
            raise ParameterError(f"the model fails on this sample: {error}") from error
        finally:
            for hook in hooks:
                hook.remove()
    return None


def first_bad_parameter(model: nn.Module) -> Bad | None:
    """The first parameter, or else buffer, that holds NaN or Inf."""
    parameters = [("parameter", name, "", p) for name, p in model.named_parameters()]
    return _first(parameters) or _first(("buffer", name, "", b) for name, b in model.named_buffers())


def first_bad_gradient(model: nn.Module) -> Bad | None:
    """The first parameter, in the model's order, whose gradient holds NaN or Inf."""
    return _first(("gradient", name, "", p.grad) for name, p in model.named_parameters() if p.grad is not None)


def finite(tensors: Iterable[Tensor]) -> bool:
    return all(bool(torch.isfinite(values(x)).all()) for x in tensors)


def sound(inputs: Iterable[Tensor]) -> bool:
    """Nothing bad came in. -Inf may: attention masks are made of it."""
    return finite(torch.where(values(x) == -torch.inf, 0, values(x)) for x in inputs)


def values(x: Tensor) -> Tensor:
    return x.detach().coalesce().values() if x.is_sparse else x.detach()


def _first(places: Iterable[tuple[str, str, str, Tensor]]) -> Bad | None:
    for part, name, kind, x in places:
        if not finite([x]):
            return _bad(part, name, kind, [x])
    return None


def _bad(part: str, name: str, kind: str, tensors: list[Tensor], inherited: bool = False, suspects: tuple[str, ...] = ()) -> Bad:
    shown = [values(x) for x in tensors]
    nan, inf = (int(sum(test(x).sum() for x in shown)) for test in (torch.isnan, torch.isinf))
    return Bad(part, name, kind, nan, inf, sum(x.numel() for x in shown), inherited, suspects)


def _stop(model: nn.Module, module: nn.Module, output: list[Tensor], tainted: bool) -> NoReturn:
    name = next(name for name, m in model.named_modules() if m is module)
    own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    suspects = tuple(n for n, x in own if x.is_floating_point() and not finite([x]))
    raise Found(_bad("output", name, type(module).__name__, output, tainted, suspects))
