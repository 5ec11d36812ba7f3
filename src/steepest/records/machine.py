"""Where a run took place: the versions and the machine that its numbers depend on."""

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("steepest", "torch", "numpy", "numba", "safetensors", "scipy", "scikit-learn", "optuna")


def environment() -> dict[str, Any]:
    return dict(
        python=platform.python_version(),
        platform=platform.platform(),
        machine=platform.machine(),
        cpus=os.cpu_count(),
        packages=dict(_packages()),
        git=_git(),
    )


@cache
def _packages() -> tuple[tuple[str, str], ...]:
    """As they are when first asked: what is installed later is not what this process has imported."""
    return tuple((name, found) for name in PACKAGES if (found := _version(name)))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git() -> dict[str, Any] | None:
    """The commit of the working directory, and whether files it tracks have changed since; None outside of a repository."""
    told = _ask("status", "--porcelain=v2", "--branch", "--untracked-files=no")
    lines = [line for line in (told or "").splitlines() if line]
    commit = next((line.split()[2] for line in lines if line.startswith("# branch.oid ")), "(initial)")
    return None if commit == "(initial)" else dict(commit=commit, changed=any(not line.startswith("#") for line in lines))


def _ask(*words: str) -> str | None:
    # A repository may name a program as its fsmonitor, which `git status` would start.
    command = ["git", "-c", "core.fsmonitor=false", *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=5, check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
