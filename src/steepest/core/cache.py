"""Where what can be made again is kept."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """`$STEEPEST_CACHE`, else the user's cache folder. It may not exist yet, and it may be that nothing can be written there."""
    chosen = os.environ.get("STEEPEST_CACHE")
    return Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "steepest"
