"""Run a kernel over its blocks, on as many threads as torch may use.

Kernels release the GIL, so plain Python threads do: each takes the next stretch of blocks until none is
left, which stays quick when another process is busy on one of the cores. No OpenMP pool, so nothing to
break when the process forks.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import count
from typing import Any

import torch

# Below this many elements one thread is done before a second one has woken up.
PARALLEL = 1 << 19
# The most elements a thread takes at once. Each turn needs the GIL for some microseconds, while another thread may hold it.
STRETCH = 1 << 20
# At least so many turns for each thread, so that one on a busy core is helped.
TURNS = 4


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="steepest")


os.register_at_fork(after_in_child=_pool.cache_clear)


def sweep(kernel: Callable, arguments: tuple[Any, ...], blocks: int, elements: int, last: bool) -> bool:
    """Run `kernel` over all blocks; True if it ran in parallel (then `finish` is still to be called)."""
    threads = torch.get_num_threads()
    if threads == 1 or elements < PARALLEL:
        kernel(*arguments, 0, blocks, last)
        return False
    turns, stretch = count(), max(1, blocks * min(STRETCH, elements // (TURNS * threads)) // elements)

    def work() -> None:
        for turn in turns:
            lo = turn * stretch
            if lo >= blocks:
                return
            kernel(*arguments, lo, min(lo + stretch, blocks), False)

    helpers = [_pool(threads - 1).submit(work) for _ in range(threads - 1)]
    work()
    for helper in helpers:
        helper.result()
    return last
