"""The cores of this machine that a process may use."""

import os
import sys
from collections.abc import Collection


def usable_cores() -> list[int]:
    """The numbers of the cores, all of them where the system assigns none to a process."""
    if sys.platform == "linux":
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def stay_on(cores: Collection[int]) -> None:
    """Keep this process to some cores, where the system can."""
    if sys.platform == "linux":
        os.sched_setaffinity(0, cores)
