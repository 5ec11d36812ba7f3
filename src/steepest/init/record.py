"""What happens in a model's forward, as a list of events: by torch.fx where it traces, else by watching one pass."""

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from steepest.core.errors import ParameterError
from steepest.core.rng import untouched

# What tells something about a tensor, or makes another of its shape, and passes no signal on.
SILENT = {"size", "dim", "numel", "stride", "is_contiguous", "type", "get_device", "item", "__len__", "nelement", "data_ptr"}

VIEWS = {"T", "mT", "H", "mH", "data", "real"}


def silent(name: str) -> bool:
    return name in SILENT or name.endswith("_like") or name.startswith("new_")


@dataclass(frozen=True)
class Event:
    """A module that was called (`name` is its path), an operation, or "input". `inputs` are the places of earlier events."""

    op: str
    inputs: tuple[int, ...]
    name: str | None = None
    numbers: tuple[Any, ...] = ()


@dataclass
class Record:
    """Events in the order of execution. Attention is written out as packed projection, attention, output projection."""

    events: list[Event] = field(default_factory=list)
    outputs: set[int] = field(default_factory=set)

    def add(self, op: str, inputs: tuple[int, ...], name: str | None = None, numbers: tuple[Any, ...] = ()) -> int:
        self.events.append(Event(op, inputs, name, numbers))
        return len(self.events) - 1

    def call(self, module: nn.Module, name: str, inputs: tuple[int, ...]) -> int:
        place = self.add(type(module).__name__, inputs, name)
        if isinstance(module, nn.MultiheadAttention):
            place = self.add("attention", (place,))
            place = self.add("Linear", (place,), f"{name}.out_proj" if name else "out_proj")
        return place


def is_leaf(module: nn.Module) -> bool:
    """Taken as a whole: what torch brings and has no parts, attention, recurrent layers, and anything called a norm."""
    if isinstance(module, (nn.MultiheadAttention, nn.RNNBase)) or ("Norm" in type(module).__name__ and not list(module.children())):
        return True
    parts = [name for name, _ in module.named_children() if name != "parametrizations"]
    ours = any(cls.__module__.startswith("torch.nn.") for cls in type(module).__mro__[:2])
    return ours and not parts and not isinstance(module, (nn.Sequential, nn.ModuleList, nn.ModuleDict)) and type(module) is not nn.Module


def record(model: nn.Module, sample: Any = None) -> tuple[Record | None, str]:
    """The record, and how it came about; or None and why there is none."""
    watched = watch(model, sample) if sample is not None else None  # also where fx traces: a wrong sample is an error
    traced = trace(model)
    if isinstance(traced, Record):
        return traced, "traced by torch.fx"
    if watched is not None:
        return watched, "watched on one forward pass"
    return None, f"torch.fx cannot trace this model ({traced[:80]}); pass sample=..., an input to run it on"


# --- by torch.fx ------------------------------------------------------------------------------------


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return is_leaf(m)


def trace(model: nn.Module) -> Record | str:
    """The record, or why fx cannot make one."""
    if is_leaf(model):
        alone = Record()
        alone.outputs.add(alone.call(model, "", (alone.add("input", ()),)))
        return alone
    try:
        with as_found(model), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph = _Tracer().trace(model)
    except Exception as error:  # fx runs the user's forward on stand-ins, in which anything may fail
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    found, places = Record(), {}
    for node in graph.nodes:
        inputs = tuple(places[x] for x in node.all_input_nodes if x in places)
        numbers = tuple(x for x in (*node.args[1:], *node.kwargs.values()) if isinstance(x, (int, float)))
        if node.op == "placeholder":
            places[node] = found.add("input", ())
        elif node.op == "call_module":
            places[node] = found.call(model.get_submodule(node.target), node.target, inputs)
        elif node.op == "output":
            found.outputs.update(inputs)
        elif node.op in ("call_function", "call_method") and inputs:
            target = node.target if isinstance(node.target, str) else node.target.__name__
            views = node.target is getattr and node.args[1] in VIEWS
            if views or not (node.target is getattr or silent(target)):
                places[node] = found.add("transpose" if views else target, inputs, None, numbers)
    return found


# --- by one forward pass ----------------------------------------------------------------------------


class _Watcher(TorchFunctionMode):
    """Writes down every operation that happens outside of leaf modules."""

    def __init__(self) -> None:
        super().__init__()
        self.found = Record()
        self.inside = 0
        self.place: dict[int, int] = {}
        self.alive: list[Any] = []  # an id means something only while its tensor lives

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.inside:
            return func(*args, **kwargs)
        inputs = self.places((args, kwargs))
        self.inside += 1  # a function may be made of others
        try:
            result = func(*args, **kwargs)
        finally:
            self.inside -= 1
        name = getattr(func, "__name__", "")
        if inputs and not silent(name) and any(isinstance(x, Tensor) for x in tree_leaves(result)):
            numbers = tuple(x for x in (*args[1:], *kwargs.values()) if isinstance(x, (int, float)))
            self.came(result, self.found.add("transpose" if name == "__get__" else name, inputs, None, numbers))
        return result

    def places(self, values: Any) -> tuple[int, ...]:
        found = (self.place.get(id(x)) for x in tree_leaves(values) if isinstance(x, Tensor))
        return tuple(dict.fromkeys(x for x in found if x is not None))

    def came(self, result: Any, place: int) -> None:
        tensors = [x for x in tree_leaves(result) if isinstance(x, Tensor)]
        self.alive.append(tensors)
        for x in tensors:
            self.place[id(x)] = place if len(tensors) == 1 else self.found.add("getitem", (place,))


def watch(model: nn.Module, sample: Any) -> Record:
    watcher = _Watcher()
    args, kwargs = (sample, {}) if isinstance(sample, (tuple, list)) else ((), sample) if isinstance(sample, dict) else ((sample,), {})
    watcher.alive.append(sample)
    for x in tree_leaves(sample):
        if isinstance(x, Tensor):
            watcher.place[id(x)] = watcher.found.add("input", ())

    def before(module: nn.Module, args: Any, kwargs: Any) -> None:
        watcher.inside += 1

    def after(name: str) -> Any:
        def hook(module: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
            watcher.inside -= 1
            if not watcher.inside:
                watcher.came(result, watcher.found.call(module, name, watcher.places((args, kwargs))))

        return hook

    with ExitStack() as stack:
        stack.enter_context(as_found(model))
        for name, module in model.named_modules():
            if is_leaf(module):
                for handle in (
                    module.register_forward_pre_hook(before, with_kwargs=True, prepend=True),
                    module.register_forward_hook(after(name), with_kwargs=True),
                ):
                    stack.callback(handle.remove)
        model.eval()
        try:
            with torch.no_grad(), watcher:
                result = model(*args, **kwargs)
        except Exception as error:
            raise ParameterError(
                f"the model's forward failed on {described(sample)}: {_first_line(error)}; the model is unchanged"
            ) from error
    watcher.found.outputs.update(watcher.places(result))
    return watcher.found


@contextmanager
def as_found(model: nn.Module) -> Iterator[None]:
    """Within, the model may be run; afterwards its modes, its buffers and the random states are what they were."""
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(owner, name, b, b.detach().clone()) for owner in model.modules() for name, b in owner._buffers.items() if b is not None]
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # it would run a whole encoder layer as one opaque call
    try:
        with untouched():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for module, training in modes:
            module.training = training
        with torch.no_grad():
            for owner, name, buffer, before in buffers:
                owner._buffers[name] = buffer.copy_(before)


def described(sample: Any) -> str:
    shapes = [str(tuple(x.shape)) for x in tree_leaves(sample) if isinstance(x, Tensor)]
    return f"a sample of shape {', '.join(shapes)}" if shapes else f"the sample {sample!r:.60}"


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
