"""The workers of a study, seen from the one who started them."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from math import inf
from multiprocessing.connection import Connection, wait
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NamedTuple, Protocol

from steepest.search.jobs import Result
from steepest.search.log import StudyError

Order = dict[str, Any]
# Seconds: between two looks at processes that may be gone; to leave a job; to end after a last word.
LOOK, GRACE, END = 0.5, 15.0, 5.0
# So many processes in a row that end before they are ready say that none will be.
TRIES = 3


class Told(NamedTuple):
    """What a worker says: `said` is going, done or left; `facts` are the message."""

    number: int
    said: str
    facts: dict[str, Any]


class Pool(Protocol):
    """What carries out orders."""

    size: int

    @property
    def free(self) -> int: ...

    def give(self, order: Order) -> None: ...

    def wait(self, seconds: float) -> list[Told]: ...

    def leave(self) -> list[Told]: ...

    def close(self) -> None: ...


class Worker:
    """One process, and the order it is at."""

    def __init__(self, number: int, setup: Order, folder: Path, threads: int) -> None:
        self.number, self.order, self.ready = number, None, False
        self.path = folder / f"worker-{number}.log"
        ours, theirs = socket.socketpair()
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1"}
        with theirs, self.path.open("ab") as log:
            self.start = log.tell()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "steepest.search.worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True,
            )  # fmt: skip
        self.connection = Connection(ours.detach())
        self.sign = monotonic()
        self.send(setup)

    order: Order | None

    def send(self, message: Order) -> None:
        self.sign = monotonic()
        with suppress(OSError):  # it is gone, and will be found so
            self.connection.send_bytes(json.dumps(message).encode())

    def heard(self) -> list[dict[str, Any]]:
        """All messages that have come; the last is "gone" where there will be no more."""
        found: list[dict[str, Any]] = []
        try:
            while self.connection.poll():
                found.append(json.loads(self.connection.recv_bytes()))
                self.sign = monotonic()
        except (EOFError, OSError):
            found.append({"said": "gone"})
        return found

    def end(self, patience: float = 0.0) -> int:
        """End it, after so long, and all that it has started; how it ended."""
        self.connection.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(patience)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.wait()

    def last_words(self) -> str:
        """What it wrote last, in a line."""
        with self.path.open("rb") as log:
            log.seek(self.start)
            lines = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
        return lines[-1][-200:] if lines else ""


class Processes:
    """Spawned once and used again. `silence`: seconds without a sign of life after which one is taken to hang."""

    def __init__(self, size: int, setup: Order, folder: Path, *, threads: int = 1, silence: float = inf, grace: float = GRACE) -> None:
        self.size, self.setup, self.folder, self.threads, self.silence, self.grace = size, setup, folder, threads, silence, grace
        folder.mkdir(parents=True, exist_ok=True)
        self.workers: list[Worker] = []
        self._unready = 0
        try:
            for number in range(1, size + 1):
                self.workers.append(self._start(number))
        except BaseException:
            self.close()
            raise

    def _start(self, number: int) -> Worker:
        return Worker(number, self.setup, self.folder, self.threads)

    @property
    def free(self) -> int:
        return sum(worker.order is None for worker in self.workers)

    def give(self, order: Order) -> None:
        worker = next(worker for worker in self.workers if worker.order is None)
        worker.order = order
        worker.send(order)

    def wait(self, seconds: float) -> list[Told]:
        """What was said, as soon as something was, or nothing after so long."""
        until = monotonic() + seconds
        while True:
            wait([worker.connection for worker in self.workers], max(0.0, min(LOOK, until - monotonic())))
            if (told := self._told()) or monotonic() >= until:
                return told

    def _told(self) -> list[Told]:
        told: list[Told] = []
        for worker in list(self.workers):
            for facts in worker.heard():
                if facts["said"] == "broken":
                    raise StudyError(facts["error"])
                if facts["said"] == "ready":
                    worker.ready, self._unready = True, 0
                elif facts["said"] == "gone":
                    told += self._replace(worker, "")
                else:
                    told.append(Told(facts["number"], facts["said"], facts))
                    worker.order = worker.order if facts["said"] == "going" else None
                    if facts.get("result", {}).get("status") == "lost":
                        # Memory is short: of a new process nothing stays behind.
                        self._replace(worker, "")
                        break
            else:
                if worker.order and worker.ready and monotonic() - worker.sign > self.silence:
                    told += self._replace(worker, f"said nothing for {self.silence:g} s and was stopped")
        return told

    def _replace(self, worker: Worker, why: str) -> list[Told]:
        """Another in its place. What it was at is lost."""
        code = worker.end(0.0 if why else END)
        if not worker.ready:
            self._unready += 1
            if self._unready == TRIES:
                raise StudyError(f"workers end before they are ready: {worker.last_words() or f'code {code}'}; see {worker.path}")
        self.workers[self.workers.index(worker)] = self._start(worker.number)
        if worker.order is None:
            return []
        order, error = worker.order, f"worker {worker.number} {why or ended(code, worker.last_words())}"
        epochs = order["job"]["stop"] - order["job"]["start"] if "job" in order else 0
        return [Told(order["number"], "done", {"result": Result("lost", epochs=epochs, error=error).facts(), "seconds": 0.0})]

    def leave(self) -> list[Told]:
        """Jobs are left where they are; what became of those that were done by then. Who does not leave in time is ended."""
        told: list[Told] = []
        for worker in self.workers:
            if worker.order:
                worker.send({"do": "leave", "number": worker.order["number"]})
        until = monotonic() + self.grace
        while any(worker.order for worker in self.workers) and monotonic() < until:
            told += [x for x in self.wait(until - monotonic()) if x.said == "done" and x.facts.get("result", {}).get("status") != "lost"]
        for worker in self.workers:
            if worker.order:
                self._replace(worker, "did not leave")
        return told

    def close(self) -> None:
        for worker in self.workers:
            worker.end()
        self.workers = []


class Here:
    """One worker that is no process of its own: for tasks that only this process knows."""

    size = 1

    def __init__(self, work: Any) -> None:
        self.work, self.order = work, None

    order: Order | None

    @property
    def free(self) -> int:
        return int(self.order is None)

    def give(self, order: Order) -> None:
        self.order = order

    def wait(self, seconds: float) -> list[Told]:
        order, self.order = self.order, None
        if order is None:
            sleep(min(seconds, LOOK))
            return []
        began = monotonic()
        facts = self.work(order, lambda epochs: None)
        return [Told(order["number"], "done", {"seconds": monotonic() - began, **facts})]

    def leave(self) -> list[Told]:
        return []

    def close(self) -> None:
        pass


def ended(code: int, words: str) -> str:
    """How a process ended, and what it last said."""
    if code == -signal.SIGKILL:
        how = "was killed (SIGKILL: by hand, or by the system when memory ran out)"
    elif code < 0:
        how = f"was ended by {signal.Signals(-code).name}"
    else:
        how = f"ended with code {code}"
    return f"{how}: {words}" if words else how
