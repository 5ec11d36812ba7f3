"""Where a run took place: the versions and the machine that its numbers depend on."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("steepest", "torch", "numpy", "numba", "safetensors", "scipy", "scikit-learn", "optuna")


def environment() -> dict[str, Any]:
    return dict(
        python=platform.python_version(),
        platform=platform.platform(),
        machine=platform.machine(),
        cpus=os.cpu_count(),
        packages={name: found for name in PACKAGES if (found := _version(name))},
        git=_git(),
    )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git() -> dict[str, Any] | None:
    """The commit of the working directory, and whether files it tracks have changed since; None outside of a repository."""
    commit = _ask("rev-parse", "HEAD")
    if not commit:
        return None
    changes = _ask("status", "--porcelain", "--untracked-files=no")
    return dict(commit=commit, changed=None if changes is None else bool(changes))


def _ask(*words: str) -> str | None:
    # A repository may name a program as its fsmonitor, which `git status` would start.
    command = ["git", "-c", "core.fsmonitor=false", *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=5, check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
