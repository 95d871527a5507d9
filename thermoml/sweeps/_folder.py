"""Files of a results directory that are ours: only these are ever deleted, replaced or moved."""

import contextlib
import re
import shutil
import uuid
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

from ._errors import StoreError, StoreWarning
from ._journal import Journal
from ._metadata import is_store

RESULTS, PARTIAL, JOURNAL, LOCK = "results.zarr", "results.part", "journal.jsonl", "lock"
_SUMMARY, _FIGURES, _TORN = "summary.json", "figures", "results.torn"
_UNFINISHED = re.compile(r".+\.[0-9a-f]{32}\.partial")  # Zarr writes a chunk under such a name
_HOLDER = "process "  # how the content of a lock begins


def check_place(folder: Path, resume: bool, overwrite: bool) -> None:
    """StoreError unless a run may write into the folder: nothing in it that it could damage."""
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"{folder} is a file; choose another folder")
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if names - {LOCK} and not (resume or overwrite):
        raise StoreError(
            f"{folder} is not empty; choose another folder, or --resume or --overwrite it"
        )
    for path in _foreign(folder):
        raise StoreError(f"{path} was not written by thermoml; choose another folder")
    own = {RESULTS, PARTIAL, JOURNAL, LOCK, _SUMMARY, f"{_SUMMARY}.part", _FIGURES}
    others = {name for name in names - own if not name.startswith(_TORN)}
    if resume and RESULTS not in names and others:
        raise StoreError(
            f"{folder} holds other things and no results to resume; choose another folder"
        )


def _foreign(folder: Path) -> Iterator[Path]:
    """Things of others under names that we would write to."""
    journal = Journal(folder / JOURNAL)
    if journal.path.is_dir() or journal.foreign:
        yield journal.path
    for path in (folder / RESULTS, folder / PARTIAL):
        if not path.is_dir():
            if path.exists():
                yield path
            continue
        ours = is_store(path)
        torn_part = path.name == PARTIAL and {x.name for x in path.iterdir()} <= {".zattrs"}
        if not (ours or torn_part or (ours is None and not journal.empty)):
            yield path
    lock = folder / LOCK
    if lock.exists() and not lock.is_dir():
        content = lock.read_bytes()
        if content and not content.startswith(_HOLDER.encode()):
            yield lock


def clear(folder: Path) -> None:
    """Delete the results of an earlier run, and the other files as it wrote them."""
    journal = Journal(folder / JOURNAL)
    for name, checksum in journal.files().items():
        path = folder / name
        if path.is_file() and zlib.crc32(path.read_bytes()) == checksum:
            path.unlink()
    with contextlib.suppress(OSError):
        (folder / _FIGURES).rmdir()  # unless something else is in it
    journal.path.unlink(missing_ok=True)
    if (folder / RESULTS).exists():
        shutil.rmtree(folder / RESULTS)


def drop_unfinished(results: Path) -> None:
    """Delete what a kill in the middle of Zarr's writing of a chunk has left behind."""
    for path in results.rglob("*.partial"):
        if _UNFINISHED.fullmatch(path.name) and path.is_file():
            path.unlink()


def set_aside(path: Path, name: str = "") -> Path:
    """Move something that we must not lose to a name that is free; returns it."""
    base = path.with_name(name) if name else path
    numbers = range(0 if name else 1, 10**9)
    names = (base.with_name(f"{base.stem}_{i}{base.suffix}" if i else base.name) for i in numbers)
    place = next(candidate for candidate in names if not candidate.exists())
    path.rename(place)
    return place


def set_torn_aside(folder: Path) -> Path:
    """Move the results and their journal out of the way; returns the new place of the results."""
    journal = Journal(folder / JOURNAL)
    remains = set_aside(folder / RESULTS, _TORN)
    if journal.path.exists():
        (remains.with_name(f"{remains.name}.jsonl")).write_bytes(journal.path.read_bytes())
        journal.restart()
    return remains


def write_file(folder: Path, name: str, content: bytes) -> Path:
    """Write another file of a run, as a whole or not at all, and note it in the journal.

    A file in its place that is not as we wrote it is set aside.
    """
    journal, path = Journal(folder / JOURNAL), folder / name
    path.parent.mkdir(exist_ok=True)
    if path.exists():
        present = path.read_bytes()
        if present not in (content, b"") and zlib.crc32(present) != journal.files().get(name):
            place = set_aside(path)
            warnings.warn(
                f"{path} was not as thermoml had written it; it is in {place.name} now",
                StoreWarning,
                stacklevel=4,
            )
    partial = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    if journal.files().get(name) != zlib.crc32(content):
        journal.add_file(name, content)
    return path
