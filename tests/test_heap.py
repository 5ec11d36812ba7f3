"""What a step frees is there for the next one."""

import os
import platform
import subprocess
import sys

import pytest

from steepest.train import heap

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")

# Eight blocks of 4 MB, written and freed, as by the tensors of a step: how many pages does the third time fetch anew?
FAULTS = """
import resource, runpy, sys
told = runpy.run_path(sys.argv[1])["keep"]() if sys.argv[2] == "keep" else None
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [bytes([1]) * (4 << 20) for _ in range(8)]
    del blocks
print(told, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def asked(what: str, **environment: str) -> tuple[str, int]:
    clean = {name: value for name, value in os.environ.items() if name not in heap.SAID}
    command = [sys.executable, "-c", FAULTS, heap.__file__, what]
    told, faults = subprocess.run(command, env=clean | environment, capture_output=True, text=True, check=True).stdout.split()
    return told, int(faults)


def test_what_was_freed_is_not_fetched_again():
    assert asked("keep") == ("True", pytest.approx(0, abs=100))
    assert asked("nothing")[1] > 1000


@pytest.mark.parametrize("name", heap.SAID)
def test_what_the_environment_says_is_left_alone(name):
    value = "glibc.malloc.trim_threshold=131072" if name == "GLIBC_TUNABLES" else "131072"
    told, faults = asked("keep", **{name: value})
    assert told == "False" and faults > 1000
