"""The cores of this machine that a process may use."""

import os
import sys
from collections.abc import Collection

_THREADS = 8  # more than a program has calls of LAPACK at once


def usable_cores() -> list[int]:
    """The numbers of the cores, all of them where the system assigns none to a process."""
    if sys.platform == "linux":
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def widen_thread_pool() -> None:
    """Threads enough for programs whose LAPACK calls wait in XLA's pool; before JAX's first use.

    On CPUs a call on a batch of matrices hands them to the pool and waits, and may do so in a
    thread of that pool. With one thread for each of two cores, two such calls can wait for each
    other forever.
    """
    if len(usable_cores()) < _THREADS:
        os.environ.setdefault("PJRT_NPROC", str(_THREADS))


def stay_on(cores: Collection[int]) -> None:
    """Keep this process to some cores, where the system can."""
    if sys.platform == "linux":
        os.sched_setaffinity(0, cores)
