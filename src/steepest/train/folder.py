"""A run as a folder: what is written when, so that whatever is killed can go on, and anything can read it."""

import fcntl
import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import IO, Any, Self

from safetensors.torch import save_file

from steepest import records
from steepest.core.errors import SteepestError
from steepest.records import Record
from steepest.train import checkpoint, confusion
from steepest.train.kinds import duration
from steepest.train.loop import Loop, Moment
from steepest.train.pictures import picture
from steepest.train.recipe import Recipe
from steepest.train.snapshot import plain

SECONDS = {"seconds": 1.0, "minutes": 60.0, "hours": 3600.0}


class RunError(SteepestError):
    """A run's folder that cannot be written to, or gone on with."""


class Folder:
    """The folder of a run that is under way, held by one process."""

    def __init__(self, path: Path, recipe: Recipe) -> None:
        self.path, self.recipe = path, recipe
        self._lock = locked(path)
        self._record: Record | None = None
        amount, unit = duration(recipe.run.checkpoint_every)
        self.every = amount * SECONDS.get(unit, 0.0)
        self.steps = amount if unit == "steps" else None
        self.epochs = amount if unit == "epochs" else None
        self.saved, self.when, self.epoch = -1, monotonic(), 0

    @property
    def record(self) -> Record:
        """Opened when first asked for: until then it may be cut."""
        self._record = self._record or Record(self.path / "record.jsonl")
        return self._record

    def cut(self, position: int) -> None:
        """Forget the lines past a moment that the run comes back to."""
        assert self._record is None
        records.cut(self.path / "record.jsonl", position)

    @staticmethod
    def refuse(path: Path) -> None:
        """A folder that holds something is not written to."""
        if path.exists() and (not path.is_dir() or any(x.name != "lock" for x in path.iterdir())):
            what = f"; go on with it: steepest resume {path}" if records.is_run(path) else ""
            raise RunError(f"{path} exists already{what}; or choose another folder")

    @classmethod
    def create(cls, path: Path, recipe: Recipe, task: dict[str, Any], threads: int) -> Self:
        """A new one: the recipe, the task and the environment are written before anything is computed."""
        cls.refuse(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            recipe.save(path / "recipe.toml")
            for name, facts in (("task.json", task), ("environment.json", records.environment() | {"threads": threads})):
                (path / name).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise RunError(f"{path} cannot be written: {error.strerror or error}") from None
        return cls(path, recipe)

    def keep(self, moment: Moment, loop: Loop) -> None:
        """A moment worth coming back to: on the disk if it is time."""
        epoch = loop.session.course.epoch(min(moment.k, loop.session.steps - 1))
        due = (
            monotonic() - self.when >= self.every
            if self.steps is None and self.epochs is None
            else moment.k - self.saved >= self.steps
            if self.steps is not None
            else epoch - self.epoch >= (self.epochs or 1)
        )
        if due and moment.k > self.saved:
            self.save(moment, loop)
            self.epoch = epoch

    def save(self, moment: Moment, loop: Loop) -> None:
        """The record first: a checkpoint must not speak of lines that are not there."""
        self.record.flush(sync=True)
        run = {"recipe": self.recipe.hash, "length": asdict(loop.session.length)}
        checkpoint.save(self.path / "checkpoints", moment.k, moment.tensors, plain(moment.facts) | run)
        checkpoint.prune(self.path / "checkpoints", keep=self.recipe.run.keep)
        self.saved, self.when = moment.k, monotonic()

    def finish(self, loop: Loop) -> None:
        """The weights to use, as a plain state_dict anyone can load, and what came of the run."""
        s = loop.session
        state = {name: x.detach().cpu().contiguous().clone() for name, x in s.model.state_dict().items()}
        draft = self.path / ".model.safetensors.tmp"
        save_file(state, draft, metadata={"recipe": self.recipe.hash})
        draft.replace(self.path / "model.safetensors")
        self.write_preprocess(s.preprocess)
        if s.task.pictures:
            (self.path / "pictures.png").write_bytes(picture(s.task, s.model))
        confusion.keep(self.path, loop)
        self.record.flush(sync=True)
        records.keep(self.path)

    def write_preprocess(self, preprocess: Any) -> None:
        draft = self.path / ".preprocess.safetensors.tmp"
        save_file({name: x.cpu().contiguous() for name, x in preprocess.tensors().items()}, draft)
        draft.replace(self.path / "preprocess.safetensors")
        (self.path / "preprocess.json").write_text(json.dumps(preprocess.facts(), indent=2) + "\n", encoding="utf-8")

    def close(self) -> None:
        if self._record:
            self._record.close()
        self._lock.close()


def locked(path: Path) -> IO[str]:
    """The run's lock, for as long as the process lives."""
    try:
        file = (path / "lock").open("a+")
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror or error}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        who = file.read().strip() or "unknown"
        file.close()
        raise RunError(f"{path} is being written by another process ({who}); wait for it, or stop it") from None
    file.truncate(0)
    file.write(f"process {os.getpid()}")
    file.flush()
    return file


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
