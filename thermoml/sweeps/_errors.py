"""Errors and warnings of results directories."""

import contextlib
from collections.abc import Iterator
from pathlib import Path


class StoreError(RuntimeError):
    """A results directory that cannot be used; the message gives the reason and a remedy."""


class StoreWarning(UserWarning):
    """A results directory in which something had to be repaired or set aside."""


@contextlib.contextmanager
def writable(folder: Path, remedy: str = "choose another folder") -> Iterator[None]:
    """A context that turns an OSError into a StoreError of one line."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise StoreError(f"cannot write to {folder}: {reason}; {remedy}") from None
