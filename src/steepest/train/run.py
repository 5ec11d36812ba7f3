"""Training from the first step, or on from the last checkpoint; and what a run leaves: the model, ready for use."""

import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from steepest import records
from steepest.core.task import Task
from steepest.data.split import Data, fold, gather
from steepest.schedules.span import Length
from steepest.train import checkpoint
from steepest.train.folder import Folder, RunError, now
from steepest.train.loop import Loop, Moment, Step
from steepest.train.recipe import Recipe
from steepest.train.session import Session
from steepest.train.sinks import sink
from steepest.train.trained import task_of, use_best
from steepest.watch import Health


class Nowhere:
    """The record of a run without a folder."""

    position = 0

    def write(self, kind: str, step: int, **fields: Any) -> None:
        pass

    def step(self, step: int, loss: float, lr: float, seconds: float) -> None:
        pass

    def flush(self, *, sync: bool = False) -> None:
        pass


class Told:
    """A record whose lines are also told to others."""

    def __init__(self, record: Any, takes: Sequence[Callable[[dict[str, Any]], None]]) -> None:
        self.record, self.takes = record, takes

    @property
    def position(self) -> int:
        return self.record.position

    def write(self, kind: str, step: int, **fields: Any) -> None:
        self.record.write(kind, step, **fields)
        for take in self.takes:
            take({"kind": kind, "step": step, **fields})

    def step(self, step: int, loss: float, lr: float, seconds: float) -> None:
        self.write("step", step, loss=loss, lr=lr, time={"seconds": seconds})


def train(
    task: Task,
    recipe: Recipe | None = None,
    *,
    folder: str | Path | None = None,
    data: Data | None = None,
    health: int = 100,
    sinks: Sequence[str] = (),
    facts: dict[str, Any] | None = None,
) -> Iterator[Step]:
    """Train, one step at a time: `for step in train(task, recipe): ...`.

    With a `folder` the run is recorded there, and `resume(folder)` goes on with it after whatever happened. When the loop
    ends, `step.model` holds the best weights by the validation part. `health` is how many steps lie between two looks at
    gradients and units; 0 is never. `sinks` are other places for the record: tensorboard, wandb, mlflow. `facts` say how the
    task is found again.
    """
    recipe, facts = recipe or Recipe(), facts or described(task)
    recipe.check(task.factories)
    path = Path(folder) if folder is not None else None
    if path:
        Folder.refuse(path)
    with settings(recipe):
        session = Session(task, recipe, data=data)
        place = Folder.create(path, recipe, facts, torch.get_num_threads()) if path else None
        loop = Loop(session, place.record if place else Nowhere(), lambda moment: place.keep(moment, loop) if place else None)
        begin = {
            "version": records.VERSION, "task": facts["name"], "rule": rule_name(recipe), "seed": recipe.run.seed, "steps": session.steps,
            "metric": loop.metric, "better": "higher" if loop.more else "lower", "samples": session.data.counts(), "time": {"at": now()},
        }  # fmt: skip
        yield from _going(loop, place, health, sinks, ("begin", begin))


def resume(
    folder: str | Path,
    task: Task | None = None,
    changes: Mapping[str, Any] | Sequence[str] | None = None,
    *,
    data: Data | None = None,
    health: int = 100,
    sinks: Sequence[str] = (),
) -> Iterator[Step]:
    """Go on with a run from its last good checkpoint, exactly. `changes` may extend it: `{"stop.epochs": 40}`."""
    path = Path(folder)
    run = records.run(path)
    task = task or task_of(run.task)
    old = Recipe.load(path / "recipe.toml")
    recipe = old.replace(changes) if isinstance(changes, Mapping) else old.set_text(changes or ())
    _allowed(old, recipe)
    with settings(recipe):
        place, data = Folder(path, recipe), data or fold_of(task, run.task)
        try:
            found = checkpoint.latest(path / "checkpoints") if (path / "checkpoints").is_dir() else None
            for why in found.skipped if found else ():
                warnings.warn(why, RuntimeWarning, stacklevel=2)
            session = Session(task, recipe, data=data, length=_held(recipe, found), threads=_threads(run.environment))
            if found:
                place.cut(found.facts["position"])
            elif next(iter(run.lines("begin")), None):
                place.cut(records.position_before(run.record, 0))
            else:
                raise RunError(f"{path} has not begun; remove it, and train anew")
            loop = Loop(session, place.record, lambda moment: place.keep(moment, loop))
            if found:
                loop.go_to(Moment(found.step, found.tensors, found.facts))
                loop.seconds, place.saved = found.facts["seconds"], found.step
            first = None
            if recipe != old:
                recipe.save(path / "recipe.toml")
                keys = sorted(recipe.changes().keys() | old.changes())
                changed = ", ".join(f"{key} = {recipe[key]}" for key in keys if recipe[key] != old[key])
                first = ("event", {"name": "changed", "message": f"resumed with {changed}"})
            yield from _going(loop, place, health, sinks, first)
        finally:
            place.close()


def _threads(environment: Mapping[str, Any]) -> int | None:
    """How many threads the run began with."""
    found = environment.get("threads")
    return found if type(found) is int and found > 0 else None


def _held(recipe: Recipe, found: Any) -> Length | None:
    """The length that schedules go by, where a run is extended and they are to hold their last value."""
    if not found or recipe.stop.extended != "hold":
        return None
    length = found.facts["length"]
    return Length(**length | {"starts": tuple(length["starts"])})


def _allowed(old: Recipe, new: Recipe) -> None:
    """What may change when a run goes on: its length, and how it is carried out."""
    free = ("stop.", "run.checkpoint_every", "run.evaluate_every", "run.keep", "run.on_nan", "run.device")
    for path in old.changes().keys() | new.changes().keys():
        if old[path] != new[path] and not path.startswith(free):
            raise RunError(f"a run cannot go on with another {path}; what may change is stop.*, and how the run is carried out")


def _going(loop: Loop, place: Folder | None, health: int, sinks: Sequence[str], first: tuple[str, dict[str, Any]] | None) -> Iterator[Step]:
    watch = Health(loop.session.model, every=health, start=loop.k) if health else None
    with ExitStack() as stack:
        if place:
            stack.callback(place.close)
        if watch:
            stack.callback(watch.stop)
        if sinks:
            takes = [stack.enter_context(sink(name)(place.path if place else Path())) for name in sinks]
            loop.record = Told(loop.record, takes)
        if first:
            loop.record.write(first[0], loop.k, **first[1])
        try:
            yield from loop.run(watch)
        except (KeyboardInterrupt, GeneratorExit):
            # A generator that nobody closed ends with the interpreter, when torch is half gone: the last checkpoint has to do.
            if place and loop.moment and not sys.is_finalizing():
                place.save(loop.moment, loop)
            raise
        use_best(loop)
        loop.record.write("end", loop.k, reason=loop.reason, time={"seconds": loop.seconds, "at": now()})
        if place:
            if loop.moment:
                place.save(loop.moment, loop)
            place.finish(loop)


def rule_name(recipe: Recipe) -> str:
    """ "clip(average(adamw))": short enough for a list."""
    name = recipe["optimizer.rule"]
    for wrapper in reversed(recipe.tables().get("optimizer", {}).get("wrap", {})):
        name = f"{wrapper}({name})"
    return name


def described(task: Task) -> dict[str, Any]:
    names = list(task.factories)
    factory = next(iter(task.factories.values()))
    return {"name": task.name or getattr(factory, "__module__", "task"), "models": names, "loss": str(task.loss)}


def fold_of(task: Task, facts: Mapping[str, Any]) -> Data | None:
    """The data of a run that was one of several folds."""
    found = facts.get("fold")
    return fold(gather(task.data, valid=0), found["of"], found["number"]) if found else None


@contextmanager
def settings(recipe: Recipe) -> Iterator[None]:
    """torch's threads and determinism as the recipe says; afterwards as they were."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    try:
        if recipe.run.threads != "auto":
            torch.set_num_threads(int(recipe.run.threads))
        if recipe.run.deterministic:
            torch.use_deterministic_algorithms(True)
        yield
    finally:
        if not sys.is_finalizing():
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(strict)
