"""Finding a task: a built-in one by name, or `task` in somebody's file."""

import hashlib
import importlib.util
import sys
import traceback
from pathlib import Path
from typing import Any

from steepest.core.errors import SteepestError
from steepest.core.task import Task
from steepest.tasks import TASKS


class TaskError(SteepestError):
    """A task that cannot be found or made."""


def find(said: str) -> tuple[Task, dict[str, Any]]:
    """`digits-mlp`, `my_task.py` or `my_task.py:other`: the task, and how to find it again."""
    if said in TASKS:
        return TASKS[said](), {"name": said, "builtin": said}
    path, name = _split(said)
    if path.suffix != ".py":
        from steepest.core.errors import nearest

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


def read(path: Path, name: str) -> Task:
    """Run the file as a module; its folder is on the path, as when Python runs it."""
    spec = importlib.util.spec_from_file_location(f"steepest_task_{path.stem}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except SteepestError as error:
        raise TaskError(f"{path}: {error}") from None
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = getattr(error, "lineno", None) if isinstance(error, SyntaxError) else lines[-1] if lines else None
        raise TaskError(f"{path}{f', line {line}' if line else ''}: {type(error).__name__}: {error}") from None
    finally:
        sys.path.remove(str(path.resolve().parent))
    found = getattr(module, name, None)
    if callable(found) and not isinstance(found, Task):
        found = found()
    if not isinstance(found, Task):
        tasks = [key for key, value in vars(module).items() if isinstance(value, Task)]
        hint = (
            f"; it has {', '.join(tasks)}: steepest train {path}:{tasks[0]}"
            if tasks
            else "; write task = steepest.Task(model=..., data=...)"
        )
        raise TaskError(f"{path} has no task named {name!r}{hint}")
    return found
