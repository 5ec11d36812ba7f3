"""The command as tests call it: in this process, and as a process of its own."""

import sys

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
