"""The command as tests call it: in this process, and as a process of its own."""

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from steepest.cli.main import main

STEEPEST = [sys.executable, "-W", "error", "-c", "from steepest.cli.main import main; main()"]


def said(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    main(list(argv))
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """The one line of a command that is not carried out."""
    with pytest.raises(SystemExit) as end:
        main(list(argv))
    assert end.value.code == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and err.startswith("steepest: ")
    return err


def on_a_terminal(*argv: str) -> str:
    """What a terminal of 100 columns is told."""
    parent, child = pty.openpty()
    process = subprocess.Popen([*STEEPEST, *argv], stdout=child, stderr=child, env=os.environ | {"TERM": "xterm", "COLUMNS": "100"})
    os.close(child)
    seen = b""
    while True:
        try:
            chunk = os.read(parent, 1 << 16)
        except OSError:
            break
        if not chunk:
            break
        seen += chunk
    os.close(parent)
    assert process.wait() == 0, seen.decode()
    return seen.decode()


def stopped(study: Path, *argv: str) -> tuple[int, str, str]:
    """Ctrl-C after the first result of a study: the exit code, and what was said."""
    # Tests started in the background hand down that Ctrl-C is not heeded.
    heed = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731
    process = subprocess.Popen([*STEEPEST, *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed)
    path, until = study / "study.jsonl", time.monotonic() + 120
    while not path.exists() or '"kind":"result"' not in path.read_text():
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    return process.returncode, out, err
