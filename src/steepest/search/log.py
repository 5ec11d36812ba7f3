"""The record of a study: one file that only grows, one writer, and the way back into it."""

import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

from steepest import records
from steepest.core.errors import SteepestError
from steepest.records.studies import NAME
from steepest.search.jobs import Job, Result
from steepest.train.folder import RunError, locked


class StudyError(SteepestError):
    """A study that cannot be begun, gone on with, or answered."""


class Log:
    """The lines of a study's folder, held by one process.

    Each line goes to the system at once, where a killed process loses nothing; a thread brings it to the disk right after.
    `jobs` and `results` are those of earlier processes; `count` of results and `elapsed`, the time at work, go on from theirs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._lock = locked(folder)
        except RunError as error:
            raise StudyError(str(error)) from None
        before = records.study(folder) if records.is_study(folder) else records.Study(folder)
        self.begin, self.answer = before.begin, before.answer
        self._ended = before.end["step"] if before.end else None
        self.jobs = {n: Job.of_facts(_job(line)) for n, line in before.jobs.items()}
        self.results = {n: Result.of_facts(_result(line)) for n, line in before.results.items()}
        self.seconds = {n: float(line.get("time", {}).get("seconds", 0.0)) for n, line in before.results.items()}
        self.count = len(self.results)
        self._before, self._began = before.seconds, monotonic()
        self._record = records.Record(folder / NAME)
        self._disk = Disk(folder / NAME)

    @property
    def elapsed(self) -> float:
        return self._before + monotonic() - self._began

    def write(self, kind: str, number: int, **fields: Any) -> None:
        self._record.write(kind, number, **fields)
        self._record.flush()
        self._disk.want()

    def job(self, job: Job) -> None:
        """It need not be on the disk before it is carried out: whoever goes on decides it again."""
        facts = job.facts()
        self._record.write("job", facts.pop("number"), why=facts.pop("kind"), **facts)
        self._record.flush()

    def result(self, number: int, result: Result, seconds: float) -> None:
        facts = {name: x for name, x in result.facts().items() if x not in (None, "", {})}
        self.count += 1
        time = {"seconds": round(seconds, 6), "elapsed": round(self.elapsed, 6)}
        self.write("result", number, **facts | {"epochs": result.epochs}, time=time)

    def event(self, name: str, message: str, **fields: Any) -> None:
        self.write("event", self.count, name=name, message=message, **fields)

    def end(self, reason: str) -> None:
        """Once, unless it was gone on with."""
        if self._ended == self.count:
            return
        at = datetime.now(UTC).isoformat(timespec="seconds")
        self.write("end", self.count, reason=reason, time={"elapsed": round(self.elapsed, 6), "at": at})

    def close(self) -> None:
        self._record.close()
        self._disk.close()
        self._lock.close()


class Disk:
    """One fsync after another, each for all that was written since the last: nobody waits for it, and none is left out."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY)
        self._wanted, self._closing = threading.Event(), False
        self._thread = threading.Thread(target=self._work, name="study-disk", daemon=True)
        self._thread.start()

    def want(self) -> None:
        self._wanted.set()

    def _work(self) -> None:
        while True:
            self._wanted.wait()
            closing = self._closing
            self._wanted.clear()
            os.fsync(self._file)
            if closing:
                return

    def close(self) -> None:
        if self._thread.is_alive():
            self._closing = True
            self._wanted.set()
            self._thread.join()
            os.close(self._file)


def _job(line: dict[str, Any]) -> dict[str, Any]:
    facts = {name: line[name] for name in ("trial", "point", "seed", "start", "stop", "origin")}
    return {**facts, "number": line["step"], "kind": line.get("why", "explore")}


def _result(line: dict[str, Any]) -> dict[str, Any]:
    metrics = {name: records.number(x) for name, x in line.get("metrics", {}).items()}
    facts = {name: line[name] for name in ("status", "epochs", "error") if name in line}
    return {**facts, "metrics": metrics, "score": records.number(line["score"]) if "score" in line else None}
