"""The shop window: complete, and with nothing behind it until asked."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import steepest


def test_import_brings_in_nothing_heavy() -> None:
    code = "import sys, steepest; dir(steepest); print(*{'torch', 'numpy', 'numba', 'rich'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("name", steepest.__all__)
def test_every_name_is_there(name: str) -> None:
    # In a process of its own, where no other test has imported the room already.
    code = f"import steepest; assert steepest.{name} is not None; assert {name!r} in dir(steepest); from steepest import {name}"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'steepest' has no attribute 'optims'"):
        steepest.optims  # noqa: B018


def test_version_is_the_installed_one() -> None:
    assert steepest.__version__ == version("steepest")


def test_the_stub_is_what_the_table_says():
    from steepest.optim import stub

    written = Path(stub.__file__).with_name("__init__.pyi").read_text()
    assert written == stub.stub(), "run python -m steepest.optim.stub"
