"""The same training written in several ways: ours, by hand, as scripts usually have it, and with other frameworks."""

import multiprocessing
import os
import tempfile
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from race import resident
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset

import steepest as sp
from steepest.models import lenet5, mlp
from steepest.optim import AdamW

SAMPLES, VALID = 20_000, 100
LR, DECAY = 1e-3, 0.01
OURS, SCRIPT, TENSORS = "steepest", "Dataset + DataLoader", "TensorDataset + DataLoader"
HAND, HAND_OURS, LIGHTNING, KERAS = "by hand, torch fused", "by hand, our AdamW", "Lightning", "Keras on torch"


@dataclass(frozen=True)
class Problem:
    """What is learned: inputs and targets as they are stored, `prepared` inputs as the network takes them."""

    network: Callable[[], nn.Module]
    x: Tensor
    y: Tensor
    loss: str = "cross_entropy"
    prepared: Callable[[Tensor], Tensor] = lambda x: x
    preprocess: tuple[str, ...] = ()

    def begin(self) -> nn.Module:
        """The network with the same weights on all sides: max-pooling, for one, takes longer where more units live."""
        torch.manual_seed(0)
        return self.network()

    def compute(self, output: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(output, target) if self.loss == "cross_entropy" else F.mse_loss(output, target)


class Transformer(nn.Module):
    """Texts of 64 tokens into classes: 2 layers of width 64."""

    def __init__(self, words: int = 1000, width: int = 64, length: int = 64, outputs: int = 4) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(words, width), nn.Embedding(length, width)
        layer = nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layers(self.words(x) + self.places.weight).mean(1))


def normalized(x: Tensor) -> Tensor:
    return (x.float() / 255 - 0.5) / 0.289  # the mean and the deviation of random bytes


def images(network: Callable[[], nn.Module]) -> Problem:
    dice = torch.Generator().manual_seed(0)
    x = torch.randint(256, (SAMPLES, 1, 28, 28), dtype=torch.uint8, generator=dice)
    y = torch.randint(10, (SAMPLES,), generator=dice)
    return Problem(network, x, y, prepared=normalized, preprocess=("scale", "standardize"))


def texts() -> Problem:
    dice = torch.Generator().manual_seed(0)
    return Problem(Transformer, torch.randint(1000, (SAMPLES, 64), generator=dice), torch.randint(4, (SAMPLES,), generator=dice))


def null() -> Problem:
    """A network of two weights, and epochs so long that none ends: what remains is what a loop costs."""
    dice = torch.Generator().manual_seed(0)
    x = torch.randn(200_000, 1, generator=dice)
    return Problem(partial(nn.Linear, 1, 1), x, 2 * x + torch.randn(x.shape, generator=dice), loss="mse")


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "lenet": partial(images, lenet5),
    "mlp": partial(images, partial(mlp, inputs=784)),
    "transformer": texts,
}


# --- loops that give a step at a time -----------------------------------------------------------------


def ours(problem: Problem, size: int) -> Iterator[Any]:
    """Everything as by default: a folder, records, rollback, health, the validation part known; no epoch's end costs much."""
    few = slice(VALID)
    data = ((problem.x, problem.y), (problem.x[few], problem.y[few]))
    task = sp.Task(model=lambda: problem.network(), data=data, loss=problem.loss, preprocess=problem.preprocess)
    settings = {"optimizer.rule": "adamw", "optimizer.lr": LR, "optimizer.weight_decay": DECAY, "batch.size": size, "stop.epochs": 100_000}
    recipe = sp.Recipe().replace(settings | {"run.threads": torch.get_num_threads(), "run.device": "cpu"})
    with tempfile.TemporaryDirectory() as folder:
        save_file(problem.begin().state_dict(), start := f"{folder}/start.safetensors")
        yield from sp.train(task, recipe.replace({"init.pretrained": start}), folder=f"{folder}/run")


class Samples(Dataset):
    """As datasets are usually written: one sample at a time, transformed when it is asked for."""

    def __init__(self, problem: Problem) -> None:
        self.x, self.y, self.transform = problem.x, problem.y, problem.prepared

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return self.transform(self.x[i]), int(self.y[i])


def loader(problem: Problem, size: int) -> DataLoader:
    """Tensors that are transformed once, before training."""
    return DataLoader(TensorDataset(problem.prepared(problem.x), problem.y), size, shuffle=True)


def script(problem: Problem, size: int, *, samples: bool) -> Iterator[float]:
    """The usual script, which adds up the loss to print it."""
    batches = DataLoader(Samples(problem), size, shuffle=True) if samples else loader(problem, size)
    model = problem.begin()
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=DECAY)
    model.train()
    total = 0.0
    while True:
        for x, y in batches:
            optimizer.zero_grad()
            loss = problem.compute(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item()
            yield total


def hand(problem: Problem, size: int, make: Callable[..., Any], clear: bool = False) -> Iterator[None]:
    """The least that trains, over the same selections as ours. `clear`: even zero_grad is written out."""
    model = problem.begin()
    parameters = list(model.parameters())
    optimizer = make(parameters, lr=LR, weight_decay=DECAY)
    while True:
        for index in torch.randperm(len(problem.x)).split(size):
            x, y = problem.x.index_select(0, index), problem.y.index_select(0, index)
            if clear:
                for p in parameters:
                    p.grad = None
            else:
                optimizer.zero_grad()
            loss = problem.compute(model(problem.prepared(x)), y)
            loss.backward()
            optimizer.step()
            yield


# --- loops that frameworks own ------------------------------------------------------------------------


def lightning(problem: Problem, size: int, after: Callable[[], None]) -> None:
    """Without its logger, checkpoints and progress bar."""
    import logging

    from lightning import Callback, LightningModule, Trainer

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = problem.begin()

        def training_step(self, batch: Any) -> Tensor:
            x, y = batch
            return problem.compute(self.network(x), y)

        def configure_optimizers(self) -> Any:
            return torch.optim.AdamW(self.parameters(), lr=LR, weight_decay=DECAY)

    class After(Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            after()

    silent = dict(logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)
    Trainer(max_epochs=-1, accelerator="cpu", devices=1, callbacks=[After()], **silent).fit(Module(), loader(problem, size))


def keras(problem: Problem, size: int, after: Callable[[], None]) -> None:
    """The same network, wrapped; arrays that are transformed once, as `fit` takes them."""
    os.environ["KERAS_BACKEND"] = "torch"
    from keras import Input, Sequential, callbacks, config, layers, losses, optimizers

    class After(callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            after()

    config.disable_interactive_logging()
    x = problem.prepared(problem.x).numpy()
    model = Sequential([Input(x.shape[1:], dtype=str(x.dtype)), layers.TorchModuleWrapper(problem.begin())])
    model.compile(optimizers.AdamW(LR, weight_decay=DECAY), losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, problem.y.numpy(), batch_size=size, epochs=100_000, verbose=0, callbacks=[After()])


# --- sides --------------------------------------------------------------------------------------------


class Ended(BaseException):
    """What makes a framework leave its loop."""


class Steps:
    """A loop that gives a step at a time."""

    def __init__(self, steps: Iterator[Any]) -> None:
        self.steps = steps

    def go(self, n: int) -> None:
        deque(islice(self.steps, n), maxlen=0)

    def close(self) -> None:
        self.steps.close()  # type: ignore[attr-defined]


class Owned:
    """A framework's loop in a thread of its own, which goes on for as many steps as it is told, and waits."""

    def __init__(self, fit: Callable[[Callable[[], None]], None]) -> None:
        self.fit, self.threads = fit, torch.get_num_threads()
        self.left, self.told, self.waits = 0, threading.Semaphore(0), threading.Semaphore(0)
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        torch.set_num_threads(self.threads)
        try:
            self.told.acquire()
            self.fit(self._after)
        except Ended:
            pass
        except BaseException as error:
            self.error = error
        finally:
            self.waits.release()

    def _after(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.waits.release()
            self.told.acquire()
            if self.left < 0:
                raise Ended

    def go(self, n: int) -> None:
        self.left = n
        self.told.release()
        self.waits.acquire()
        if self.error:
            raise self.error

    def close(self) -> None:
        self.left = -1
        self.told.release()
        self.thread.join()


Side = Steps | Owned


def installed() -> dict[str, bool]:
    return {LIGHTNING: find_spec("lightning") is not None, KERAS: find_spec("keras") is not None}


def sides() -> dict[str, Callable[[Problem, int], Side]]:
    """How each begins. Frameworks that are not installed are left out."""
    fused = partial(torch.optim.AdamW, fused=True)
    made: dict[str, Callable[[Problem, int], Side]] = {
        OURS: lambda problem, size: Steps(ours(problem, size)),
        SCRIPT: lambda problem, size: Steps(script(problem, size, samples=True)),
        TENSORS: lambda problem, size: Steps(script(problem, size, samples=False)),
        HAND: lambda problem, size: Steps(hand(problem, size, fused)),
        HAND_OURS: lambda problem, size: Steps(hand(problem, size, AdamW)),
        LIGHTNING: lambda problem, size: Owned(partial(lightning, problem, size)),
        KERAS: lambda problem, size: Owned(partial(keras, problem, size)),
    }
    return {name: make for name, make in made.items() if installed().get(name, True)}


def begun(make: Callable[[Problem, int], Side], problem: Problem, size: int, warm: int) -> Side:
    """A side that has made its first steps: kernels are built, caches filled."""
    warnings.filterwarnings("ignore", module=r"(pytorch_)?lightning|keras")
    side = make(problem, size)
    side.go(warm)
    return side


class Apart:
    """A side in a process of its own, with a heap of its own, as people run it. It rests when it is not told to go."""

    def __init__(self, side: str, problem: str, size: int, warm: int = 50) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, there = context.Pipe()
        self.process = context.Process(target=serve, args=(there, side, problem, size, warm, torch.get_num_threads()), daemon=True)
        self.process.start()
        there.close()
        self.pipe.recv()

    def go(self, n: int) -> None:
        self.pipe.send(n)
        self.pipe.recv()

    def close(self) -> float:
        """Bytes of the process at its highest."""
        self.pipe.send(0)
        peak = self.pipe.recv()
        self.process.join()
        return peak


def serve(pipe: Any, side: str, problem: str, size: int, warm: int, threads: int) -> None:
    torch.set_num_threads(threads)
    running = begun(sides()[side], PROBLEMS[problem](), size, warm)
    pipe.send(None)
    while n := pipe.recv():
        running.go(n)
        pipe.send(None)
    running.close()
    pipe.send(resident("VmHWM") if Path("/proc/self/status").exists() else 0.0)
