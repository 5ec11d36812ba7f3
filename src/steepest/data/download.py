"""Downloads: from the first mirror that has the file whole, into the given folder or the cache."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from steepest.data.parts import DataError
from steepest.data.places import File, cache, given

# Seconds without a byte until the next mirror is asked, and bytes at a time.
PATIENCE, CHUNK = 30, 1 << 18


def fetch(source: str, files: Sequence[File]) -> list[Path]:
    """The files, downloaded one after the other."""
    folder = _folder(source)
    if os.environ.get("STEEPEST_OFFLINE", "0") not in ("", "0"):
        raise DataError(f"{source} is not complete, and STEEPEST_OFFLINE is set: {_by_hand(source, files)}")
    return [_fetched(source, file, folder) for file in files]


def _folder(source: str) -> Path:
    """Beside the other data sets where that can be written to, else in the cache."""
    root = given()
    # The mode is asked too: an administrator may write to what was meant to stay as it is.
    writable = root is not None and root.is_dir() and os.access(root, os.W_OK) and bool(root.stat().st_mode & 0o222)
    return (root if root is not None and writable else cache()) / source


def _by_hand(source: str, files: Sequence[File]) -> str:
    names = ", ".join(file.name for file in files)
    root = given()
    where = f"into {root / source}" if root else f"into a folder {source}/, and set STEEPEST_DATA to the folder around it"
    return f"put {names} {where}"


def _fetched(source: str, file: File, folder: Path) -> Path:
    path, failures = folder / file.name, []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for url in file.urls:
            with tempfile.TemporaryDirectory(dir=folder) as draft:
                arrived = Path(draft) / "arrived"
                problem = _attempt(url, arrived, file)
                if problem is None:
                    arrived.replace(path)
                    return path
                failures.append(f"{url}: {problem}")
    except OSError as problem:
        raise DataError(f"{file.name} of {source} cannot be kept in {folder}: {problem.strerror or problem}") from None
    tried = "; ".join(failures) or "no address of it is known"
    raise DataError(f"{file.name} of {source} cannot be downloaded ({tried}); {_by_hand(source, [file])}")


def _attempt(url: str, path: Path, file: File) -> str | None:
    """What is wrong with this mirror, or None."""
    import pooch  # these two take a while, and only here
    import requests

    with _Bar(file.name) as bar:
        try:
            pooch.HTTPDownloader(progressbar=bar, chunk_size=CHUNK, timeout=PATIENCE)(url, str(path), None)
        except requests.HTTPError as problem:
            return f"the server says {getattr(problem.response, 'status_code', problem)}"
        except requests.Timeout:
            return f"no answer within {PATIENCE} s"
        except (requests.RequestException, OSError) as problem:
            return f"{type(problem).__name__}: {_root(problem)}"
    if file.checksum is None:
        return None
    kind, wanted = file.checksum.split(":")
    found = pooch.file_hash(str(path), alg=kind)
    return None if found == wanted else f"{kind} is {found} and should be {wanted}"


def _root(problem: BaseException) -> str:
    """What lies at the bottom of a chain of errors, in one line."""
    while problem.__context__ is not None:
        problem = problem.__context__
    return " ".join(str(problem).split()) or type(problem).__name__


class _Bar:
    """The progress of one download on stderr, in the form in which pooch tells it."""

    def __init__(self, name: str) -> None:
        columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        stderr = Console(stderr=True)
        self.shown = Progress(*columns, console=stderr, disable=not stderr.is_terminal, transient=True)
        self.task = self.shown.add_task(name, total=None)
        self.total = 0

    def __enter__(self) -> Any:
        self.shown.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.shown.stop()

    def update(self, n: int) -> None:
        self.shown.update(self.task, advance=n, total=self.total or None)

    def reset(self) -> None:
        self.shown.update(self.task, completed=0)

    def close(self) -> None:
        pass
