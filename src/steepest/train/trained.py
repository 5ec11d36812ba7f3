"""What a run leaves: the network with its best weights, behind its preprocessing."""

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from steepest import records
from steepest.core.task import Task
from steepest.data.parts import is_text
from steepest.data.preprocess import Preprocess, restored
from steepest.regularizers.base import Surgery
from steepest.train.folder import RunError
from steepest.train.loop import Loop
from steepest.train.recipe import Recipe
from steepest.train.snapshot import BEST, check_names
from steepest.train.taskfile import again


class Model(nn.Module):
    """A trained network behind its preprocessing: give it inputs as the data had them."""

    def __init__(self, network: nn.Module, preprocess: Preprocess) -> None:
        super().__init__()
        self.network, self.preprocess = network, preprocess
        self.eval()

    def forward(self, x: Any, *more: Any) -> Any:
        device = next((p.device for p in self.network.parameters()), torch.device("cpu"))
        if not is_text(x):
            x = torch.as_tensor(x).to(device)
        return self.network(self.preprocess.to(device)(x).to(device), *more)


def load(folder: str | Path, task: Task | None = None) -> Model:
    """The trained model of a run, with its preprocessing, in eval mode. The task of a run from the command line is found again."""
    path = Path(folder)
    task = task or task_of(records.run(path).task)
    if not (path / "model.safetensors").exists():
        raise RunError(f"{path} is not finished: it has no model.safetensors; steepest resume {path} goes on with it")
    recipe = Recipe.load(path / "recipe.toml")
    with torch.random.fork_rng():
        network = recipe.model(task.factories)
    for regularizer in recipe.regularizers().values():
        if isinstance(regularizer, Surgery):
            network = regularizer.build(network)
    state = load_file(path / "model.safetensors")
    check_names({k: x for k, x in network.state_dict().items() if isinstance(x, Tensor)}, state, "model.safetensors")
    network.load_state_dict(state)
    facts = json.loads((path / "preprocess.json").read_text(encoding="utf-8"))
    return Model(network, restored(task.preprocess, load_file(path / "preprocess.safetensors"), facts))


def use_best(loop: Loop) -> None:
    """The weights of the best evaluation; without validation data, or where the recipe says so, the last ones."""
    model = loop.session.model
    with torch.no_grad():
        if loop.best and loop.session.recipe.stop.weights == "best":
            best = {name.removeprefix(BEST): x for name, x in loop.best.items()}
            own = {name: x for name, x in model.state_dict().items() if isinstance(x, Tensor)}
            check_names(own, best)
            for name, x in own.items():
                x.copy_(best[name])
        else:
            for optimizer in loop.session.optimizers.values():
                if hasattr(optimizer, "view"):
                    parameters = [p for group in optimizer.param_groups for p in group["params"]]
                    for p, x in zip(parameters, [x.clone() for x in optimizer.view()], strict=True):
                        p.copy_(x)
    model.eval()


def task_of(facts: dict[str, Any]) -> Task:
    """The task of a run from the command line; with a warning if its file has changed since."""
    task, changed = again(facts)
    if changed:
        warnings.warn(changed, RuntimeWarning, stacklevel=3)
    return task
