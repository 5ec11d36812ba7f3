"""Generated modules on disk, named by the hash of their source, so that Numba's own cache works across processes."""

import hashlib
import importlib.util
import os
import sys
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType

from steepest.core.cache import cache_folder


def folder() -> Path:
    """The cache folder, or, where it cannot be written, a temporary one."""
    base = cache_folder()
    try:
        base.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=base):
            return base
    except OSError:
        return _temporary()


@cache
def _temporary() -> Path:
    return Path(tempfile.mkdtemp(prefix="steepest-"))


@cache
def module(source: str) -> ModuleType:
    """The source as an imported module. A file that is not exactly this source is written anew."""
    name = f"steepest_{hashlib.sha256(source.encode()).hexdigest()[:20]}"
    path = folder() / f"{name}.py"
    if not path.exists() or path.read_bytes() != source.encode():
        handle, draft = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "wb") as file:
            file.write(source.encode())
        Path(draft).replace(path)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded
    spec.loader.exec_module(loaded)
    return loaded
