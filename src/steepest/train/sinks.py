"""Where else a record goes while a run trains: TensorBoard, Weights & Biases, MLflow; all of them into files.

with SINKS["tensorboard"](folder) as take:
    take({"kind": "step", "step": 0, "loss": 0.7})
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from steepest.core.errors import SettingError, nearest
from steepest.records import number

Take = Callable[[Mapping[str, Any]], None]


class MissingExtra(SettingError):
    """A package that only an extra brings."""


def scalars(line: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a line by the names they get elsewhere: train/loss, train/lr, valid/accuracy, health/..."""
    if line["kind"] == "step":
        found = {f"train/{name}": value for name, value in line.items() if name not in ("kind", "step", "time")}
    elif line["kind"] == "evaluation":
        found = {f"{line.get('split', 'valid')}/{name}": value for name, value in line["metrics"].items()}
    elif line["kind"] == "health":
        found = {f"health/{name}": value for name, value in line["numbers"].items()}
    else:
        found = {}
    return {name: number(x) for name, x in found.items() if isinstance(x, (int, float)) or x in ("nan", "inf", "-inf")}


def settings(line: Mapping[str, Any]) -> dict[str, Any]:
    """What the first line of a record says about the run."""
    return {name: x for name, x in line.items() if name not in ("kind", "step", "time")}


@contextmanager
def tensorboard(folder: str | Path) -> Iterator[Take]:
    """Event files in FOLDER/tensorboard, for `tensorboard --logdir`."""
    _package("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(Path(folder) / "tensorboard")) as writer:

        def take(line: Mapping[str, Any]) -> None:
            for name, value in scalars(line).items():
                writer.add_scalar(name, value, line["step"])
            if line["kind"] == "event":
                writer.add_text(line["name"], line["message"], line["step"])

        yield take


@contextmanager
def wandb(folder: str | Path) -> Iterator[Take]:
    """An offline run in FOLDER/wandb; `wandb sync` sends it where its owner wants it."""
    package = _package("wandb")
    quiet = package.Settings(console="off", silent=True, disable_git=True, disable_code=True)
    with package.init(project="steepest", name=Path(folder).resolve().name, dir=str(folder), mode="offline", settings=quiet) as run:
        # Steps of its own must rise from line to line, and ours count the steps done in some lines, and number them in others.
        run.define_metric("*", step_metric="step")

        def take(line: Mapping[str, Any]) -> None:
            if line["kind"] == "begin":
                run.config.update(settings(line))
            elif found := scalars(line):
                run.log(found | {"step": line["step"]})

        yield take


@contextmanager
def mlflow(folder: str | Path) -> Iterator[Take]:
    """A run in FOLDER/mlflow.db, for `mlflow ui --backend-store-uri sqlite:///...`; MLflow no longer takes plain folders."""
    package = _package("mlflow")
    client = package.MlflowClient(tracking_uri=f"sqlite:///{Path(folder).resolve() / 'mlflow.db'}")
    found = client.get_experiment_by_name("steepest")
    experiment = found.experiment_id if found else client.create_experiment("steepest")
    run = client.create_run(experiment, run_name=Path(folder).resolve().name).info.run_id

    def take(line: Mapping[str, Any]) -> None:
        if line["kind"] == "begin":
            for name, value in settings(line).items():
                client.log_param(run, name, value)
        for name, value in scalars(line).items():
            client.log_metric(run, name, value, step=line["step"])

    try:
        yield take
    except BaseException:
        client.set_terminated(run, "FAILED")
        raise
    client.set_terminated(run)


SINKS: dict[str, Callable[[str | Path], AbstractContextManager[Take]]] = {"tensorboard": tensorboard, "wandb": wandb, "mlflow": mlflow}


def sink(name: str) -> Callable[[str | Path], AbstractContextManager[Take]]:
    if name not in SINKS:
        raise SettingError(f"unknown sink {name!r}{nearest(name, SINKS)}")
    return SINKS[name]


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise MissingExtra(f"{name} is not installed: pip install 'steepest[{name}]'") from None
