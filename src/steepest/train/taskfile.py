"""Finding a task: a built-in one by name, or `task` in somebody's file."""

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from steepest.core.errors import SteepestError, nearest
from steepest.core.task import Task
from steepest.data.fixed import fixed
from steepest.tasks import TASKS


class TaskError(SteepestError):
    """A task that cannot be found or made."""


def find(said: str) -> tuple[Task, dict[str, Any]]:
    """`digits-mlp`, `my_task.py` or `my_task.py:other`: the task, and how to find it again."""
    if said in TASKS:
        return TASKS[said](), {"name": said, "builtin": said}
    path, name = _split(said)
    if path.suffix != ".py":
        raise TaskError(f"{said!r} is neither a Python file nor a built-in task{nearest(said, TASKS)}")
    if not path.is_file():
        raise TaskError(f"{path} does not exist")
    task = read(path, name)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return task, {"name": task.name or path.stem, "file": str(path.resolve()), "variable": name, "sha256": digest}


def again(facts: dict[str, Any]) -> tuple[Task, str | None]:
    """The task of a run, and a warning if its file has changed since."""
    if "builtin" in facts:
        return find(facts["builtin"])[0], None
    if "file" not in facts:
        raise TaskError("this run was started from Python, and only its caller knows its task: steepest.resume(folder, task)")
    task, now = find(f"{facts['file']}:{facts['variable']}")
    changed = now["sha256"] != facts["sha256"]
    return task, f"{facts['file']} has changed since the run began" if changed else None


def _split(said: str) -> tuple[Path, str]:
    head, colon, name = said.rpartition(":")
    return (Path(head), name) if colon and head.endswith(".py") else (Path(said), "task")


# Modules that task files have imported from their own folders, by name.
_neighbors: dict[str, Path] = {}


def read(path: Path, name: str) -> Task:
    """Run the file as a module, with its folder on the path, as when Python runs it. What it prints goes to stderr.

    Data that it makes by chance are the same in every process: a run that is resumed, and the workers of a study, see them again.
    """
    whole = path.resolve()
    spec = importlib.util.spec_from_file_location(f"steepest_task_{path.stem}", whole)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    with _beside(whole.parent), redirect_stdout(sys.stderr), fixed():
        sys.modules[spec.name] = module
        try:
            spec.loader.exec_module(module)
            found = getattr(module, name, None)
            if callable(found) and not isinstance(found, Task):
                found = found()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # sys.exit too
            del sys.modules[spec.name]
            raise TaskError(_told(path, whole, error)) from error
    if not isinstance(found, Task):
        tasks = [key for key, value in vars(module).items() if isinstance(value, Task)]
        what = f"{name!r} is {type(found).__name__}, not a Task" if found is not None else f"no task named {name!r}"
        hint = f"it has {', '.join(tasks)}: {path}:{tasks[0]}" if tasks else "write task = steepest.Task(model=..., data=...)"
        raise TaskError(f"{path}: {what}; {hint}")
    return found


@contextmanager
def _beside(folder: Path) -> Iterator[None]:
    """Within, modules in this folder can be imported; and what another task's folder has under the same name is not taken for them."""
    for name in [name for name, where in _neighbors.items() if where != folder]:
        sys.modules.pop(name, None)
        del _neighbors[name]
    path, known = list(sys.path), set(sys.modules)
    sys.path.insert(0, str(folder))
    # A file written within the last second looks to Python like the one it has read.
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = path
        for name in sys.modules.keys() - known:
            file = getattr(sys.modules[name], "__file__", None)
            if file and folder in Path(file).parents and not name.startswith("steepest_task_"):
                _neighbors[name] = folder


def _told(path: Path, whole: Path, error: BaseException) -> str:
    """The mistake in one line: where in the task's file, and what. Of a neighbor's syntax its own place."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(whole)]
    where, line, text = str(path), lines[-1] if lines else None, str(error)
    if isinstance(error, SyntaxError):
        text = error.msg
        if error.filename:
            line, where = error.lineno, where if Path(error.filename) == whole else error.filename
    kind = "" if isinstance(error, SteepestError) else f"{type(error).__name__}: "
    return f"{where}{f', line {line}' if line else ''}: {kind}{text}"
