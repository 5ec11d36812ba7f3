"""How much memory this process holds, held at most, and could still have; where the system does not tell, None."""

import ctypes
from pathlib import Path

import torch

STATUS, RESET, MACHINE = Path("/proc/self/status"), Path("/proc/self/clear_refs"), Path("/proc/meminfo")
GROUP = Path("/sys/fs/cgroup")
# How an allocation fails where it is not torch.OutOfMemoryError.
FAILURES = ("can't allocate memory", "not enough memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


def resident() -> int | None:
    return _line(STATUS, "VmRSS")


def highest() -> int | None:
    """The most that was resident since `reset_highest`."""
    return _line(STATUS, "VmHWM")


def reset_highest() -> bool:
    """Free what can be freed, and count anew. Linux only."""
    release()
    try:
        RESET.write_text("5")
    except OSError:
        return False
    return True


def release() -> None:
    """Give back what is held for reuse: the accelerator's cache, and the C library's free memory."""
    if torch.accelerator.is_available():
        torch.accelerator.empty_cache()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # only glibc has it
        return


def available() -> int | None:
    """What could still be had: of the machine, or of the container if that is less."""
    machine = _line(MACHINE, "MemAvailable")
    try:
        limit, used = (int((GROUP / name).read_text()) for name in ("memory.max", "memory.current"))
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return machine
    return limit - used if machine is None else min(machine, limit - used)


def out_of_memory(error: BaseException) -> bool:
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(text in str(error) for text in FAILURES)


def _line(file: Path, name: str) -> int | None:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), None)


def said(count: int) -> str:
    return f"{count / 2**30:.2f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
