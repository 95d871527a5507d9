"""Exclusive access of one process to a results directory."""

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path


class LockedError(RuntimeError):
    """A lock held by another process, which the message names."""


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`. The system releases it at the end of the process, of any kind.

    Raises:
        LockedError: another process holds it.
        OSError: the file cannot be written.
    """
    with contextlib.ExitStack() as stack:
        while True:
            file = stack.enter_context(path.open("a+", encoding="utf-8"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise LockedError(file.read().strip() or "another process") from None
            if _is_at(file.fileno(), path):
                break  # else a process that left has just deleted the file that we hold
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
