"""Starting from weights that were learned before."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from steepest.core.errors import StateError
from steepest.train.snapshot import check_names


@torch.no_grad()
def load_pretrained(model: nn.Module, said: str) -> None:
    """A run's folder, or a file of safetensors. A head of another shape keeps its own start; every other difference is an error."""
    path = Path(said) / "model.safetensors" if Path(said).is_dir() else Path(said)
    try:
        given = load_file(path)
    except (OSError, SafetensorError) as error:
        raise StateError(f"init.pretrained = {said!r} cannot be read: {error}") from None
    own = {name: x for name, x in model.state_dict().items() if isinstance(x, Tensor)}
    head = _head(model)
    for name in [name for name in own.keys() & given.keys() if name.startswith(head) and own[name].shape != given[name].shape]:
        del own[name], given[name]
    check_names(own, given, str(path))
    for name, x in own.items():
        x.copy_(given[name])


def _head(model: nn.Module) -> str:
    """The name of the last linear layer, with a point: what a model with other classes has anew."""
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    return f"{linear[-1]}." if linear else "\0"
