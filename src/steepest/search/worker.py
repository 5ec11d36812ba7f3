"""A worker: a process of its own that carries out one job after another, and speaks JSON with whoever started it.

    python -m steepest.search.worker HANDLE

It never outlives the one that started it, and takes with it what it started itself: all of them are one process group.
"""

import ctypes
import faulthandler
import gc
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from time import monotonic, perf_counter
from typing import Any

from steepest.core.errors import SteepestError
from steepest.search.jobs import Job, Result

# Seconds between two signs of life.
SIGN = 0.5
Order = dict[str, Any]


class Left(BaseException):
    """The job is to be left where it is. No user's `except Exception` stops it."""


class Line:
    """The way to the one who started us. A thread listens, and notices when there is nobody any more, whatever else is going on."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        # The number of the order to leave.
        self.leaving: int | None = None
        self.orders: SimpleQueue[Order] = SimpleQueue()
        self.told = 0.0
        threading.Thread(target=self._listen, name="orders", daemon=True).start()

    def _listen(self) -> None:
        try:
            while True:
                order = json.loads(self.connection.recv_bytes())
                if order.get("do") == "leave":
                    self.leaving = order["number"]
                else:
                    self.orders.put(order)
        except (EOFError, OSError):
            pass
        finally:
            os.killpg(0, signal.SIGKILL)

    def say(self, said: str, **facts: Any) -> None:
        with suppress(OSError):  # the listener notices
            self.connection.send_bytes(json.dumps({"said": said, **facts}).encode())

    def alive(self, number: int, epochs: float) -> None:
        """A sign of life, now and then; and the moment to leave."""
        if self.leaving == number:
            raise Left
        if (now := monotonic()) - self.told > SIGN:
            self.told = now
            self.say("going", number=number, epochs=epochs)


def main(handle: int) -> None:
    faulthandler.enable()
    connection = Connection(handle)
    os.set_inheritable(handle, False)
    _die_first()
    line = Line(connection)
    setup = line.orders.get()
    try:
        work = WORK[setup["kind"]](setup, line)
    except SteepestError as error:
        line.say("broken", error=str(error))
        return
    line.say("ready")
    while True:
        order = line.orders.get()
        began = perf_counter()
        try:
            found = work(order)
        except Left:
            line.say("left", number=order["number"])
        else:
            line.say("done", number=order["number"], seconds=perf_counter() - began, **found)


def training(setup: Order, line: Line) -> Callable[[Order], dict[str, Any]]:
    """Jobs of a task."""
    if sys.platform == "linux":
        # PR_SET_PDEATHSIG: not even a step that never gives control back to Python outlives the one who started it.
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    from steepest.search.training import Training

    made, orders = Training(setup), count(1)

    def work(order: Order) -> dict[str, Any]:
        found = made.carry_out(order, lambda epochs: line.alive(order["number"], epochs))
        gc.collect()
        if next(orders) == 1:
            # What is there by now, torch for the most part, stays: looking through it takes longer than a short trial.
            gc.freeze()
        return found

    return work


def scripts(setup: Order, line: Line) -> Callable[[Order], dict[str, Any]]:
    """Jobs of somebody's own program."""
    from steepest.search.script import carry_out

    def work(order: Order) -> dict[str, Any]:
        job = Job.of_facts(order["job"])
        found: Result = carry_out(setup["command"], job, Path(order["folder"]), setup["objective"], setup["more"], setup["regex"])
        return {"result": found.facts()}

    return work


WORK: dict[str, Callable[[Order, Line], Callable[[Order], dict[str, Any]]]] = {"task": training, "script": scripts}


def _die_first() -> None:
    """Where memory runs out, the system ends a worker rather than the study."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    main(int(sys.argv[1]))
