"""What one step frees, the next one needs: the C library is told to keep it."""

import ctypes
import os

# Parameters of glibc's mallopt, and the environment's way to say the same.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
SAID = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep() -> bool:
    """Whether it could be told.

    glibc gives memory back to the system as soon as some megabytes are free at the end of its heap. A step on a CPU frees that much, and
    the next one gets it again page by page: for LeNet-5 a quarter of the time. From here on up to 1 GB stays, for as long as the process
    lives; blocks of more than 32 MB, the most that glibc allows, come and go as before. What the environment says is left alone.
    """
    if any(name in os.environ for name in SAID):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (AttributeError, OSError):  # another C library
        return False
    return bool(mallopt(MMAP_THRESHOLD, 32 << 20) and mallopt(TRIM_THRESHOLD, 1 << 30))
