"""The store of a run: a labelled Zarr group with one chunk per work unit, and a journal."""

import contextlib
import json
import os
import shutil
import warnings
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..numerics.labels import Labelled
from ._group import coordinates_checksum, finite_json, write_group
from ._journal import Journal
from ._lock import LockedError, locked
from ._outcome import BLOCK
from ._plan import Plan, Unit
from ._provenance import STORE_VERSION, differences, provenance
from ._variables import (
    BLOCK_MEAN,
    BLOCK_SQUARE,
    BLOCK_VALUE,
    Variable,
    agreed,
    combine,
    region,
)

if TYPE_CHECKING:
    import xarray
    import zarr

_OURS = (
    *("results.zarr", "results.part", "results.torn", "journal.jsonl", "lock"),
    *("figures", "summary.json", "summary.json.part"),
)


class StoreError(RuntimeError):
    """A results directory that cannot be used; the message gives the reason and a remedy."""


class StoreWarning(UserWarning):
    """A results directory that had to be repaired."""


@contextlib.contextmanager
def _writable(folder: Path, remedy: str = "choose another folder") -> Iterator[None]:
    """A context that turns an OSError into a StoreError of one line."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise StoreError(f"cannot write to {folder}: {reason}; {remedy}") from None


class Store:
    """A results directory: `results.zarr`, `journal.jsonl`, `summary.json`, `figures/`.

    The Zarr group is made under another name and moved into place whole. A unit's chunks are
    written before its journal line, which carries their checksum: units in the journal are in the
    store, and all others are run again. The attribute `complete` turns true once all units are in.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder = Path(folder)
        self.journal = Journal(self.folder / "journal.jsonl")
        self.done: set[int] = set()
        self._group: zarr.Group | None = None
        self._opened: dict[str, tuple[zarr.Array, tuple[str, ...]]] = {}
        self._names: list[str] = []  # the arrays that hold results

    @property
    def results(self) -> Path:
        """The path of the Zarr group."""
        return self.folder / "results.zarr"

    @property
    def begun(self) -> bool:
        """Whether there is a Zarr group."""
        return self.results.is_dir()

    @classmethod
    @contextlib.contextmanager
    def claim(
        cls, folder: str | os.PathLike[str], *, resume: bool = False, overwrite: bool = False
    ) -> Iterator["Store"]:
        """A store locked against other processes; it leaves no trace if no group is created.

        Raises:
            StoreError: the folder is in use, a file, not writable, or not empty (without `resume`
                or `overwrite`).
        """
        store = cls(folder)
        store._check_place(resume, overwrite)
        places = (store.folder, *store.folder.parents)
        created = [place for place in places if not place.exists()]
        with contextlib.ExitStack() as stack:
            with _writable(store.folder):
                store.folder.mkdir(parents=True, exist_ok=True)
                try:
                    stack.enter_context(locked(store.folder / "lock"))
                except LockedError as error:
                    raise StoreError(
                        f"{folder} is being written by {error}; wait for it or choose another "
                        "folder"
                    ) from None
                stack.callback(store._leave, created)
                store._check_place(resume, overwrite)
                if overwrite:
                    store._clear()
                shutil.rmtree(store.folder / "results.part", ignore_errors=True)
            yield store

    def _check_place(self, resume: bool, overwrite: bool) -> None:
        folder = self.folder
        with _writable(folder):
            if folder.exists() and not folder.is_dir():
                raise StoreError(f"{folder} is a file; choose another folder")
            names = {path.name for path in folder.iterdir()} if folder.exists() else set()
        if names - {"lock"} and not (resume or overwrite):
            raise StoreError(
                f"{folder} is not empty; choose another folder, or --resume or --overwrite it"
            )
        if resume and not self.begun and names - set(_OURS):
            raise StoreError(
                f"{folder} holds other things and no results to resume; choose another folder"
            )

    def _clear(self) -> None:
        for name in set(_OURS) - {"lock"}:
            path = self.folder / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def _leave(self, created: list[Path]) -> None:
        self._close()
        if not self.begun:
            shutil.rmtree(self.folder / "results.part", ignore_errors=True)
            with contextlib.suppress(OSError):
                (self.folder / "lock").unlink()
                for place in created:
                    place.rmdir()

    def create(
        self,
        *,
        plan: Plan,
        variables: Mapping[str, Variable],
        coordinates: Mapping[str, Labelled],
        attributes: Mapping[str, Any],
    ) -> None:
        """An empty Zarr group with its labels.

        Raises:
            StoreError: it cannot be written.
        """
        partial = self.folder / "results.part"
        cut = {"points": list(plan.points), "trajectories": plan.trajectories}
        labels = {**provenance(), **attributes, "units": cut}
        with _writable(self.folder):
            self.journal.path.unlink(missing_ok=True)
            write_group(partial, variables=variables, coordinates=coordinates, attributes=labels)
            partial.rename(self.results)
        self._names = list(variables)

    def resume(
        self, grid_shape: tuple[int, ...], n_trajectories: int, wanted: Mapping[str, Any]
    ) -> Plan | None:
        """The plan of the existing store, its verified units in `done`; None to start anew.

        Args:
            grid_shape, n_trajectories: of the run.
            wanted: the attributes that the store must have, `replicates` among them.

        Raises:
            StoreError: it is of another config or version; the message has the difference.
        """
        if not self.begun:
            return None
        try:
            attributes: dict[str, Any] = dict(self._open().attrs)
            made_by = attributes["store_version"]
            cut = attributes["units"]
        except Exception as error:  # zarr raises many kinds for a torn store
            self._set_aside(error)
            return None
        if made_by > STORE_VERSION:
            raise StoreError(
                f"{self.folder} was written by a newer thermoml "
                f"({attributes['thermoml_version']}, store format {made_by}; this one knows "
                f"{STORE_VERSION}); upgrade thermoml"
            )
        changes = differences(attributes, wanted)
        if changes:
            raise StoreError(
                f"{self.folder} is not of this run: {'; '.join(changes)}; choose another folder, "
                "or --overwrite it"
            )
        points, block = tuple(cut["points"]), cut["trajectories"]
        plan = Plan(grid_shape, n_trajectories, points, block, wanted["replicates"])
        try:
            self._names = self._result_names(attributes["coordinates_checksum"])
        except Exception as error:  # an array without readable metadata, a torn coordinate
            self._set_aside(error)
            return None
        with _writable(self.folder, "what had finished is kept; make room and go on with --resume"):
            self._verify(plan)
            if attributes["complete"] and len(self.done) < len(plan):
                self._mark(complete=False)
        return plan

    def _set_aside(self, error: Exception) -> None:
        if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
            reason = error.strerror or error
            raise StoreError(f"{self.results} cannot be read: {reason}") from None
        remains = self.folder / "results.torn"
        with _writable(self.folder):
            shutil.rmtree(remains, ignore_errors=True)
            self.results.rename(remains)
            self.journal.path.unlink(missing_ok=True)
        self._close()
        warnings.warn(
            f"{self.results} was torn; the run begins anew, and what was there is in {remains}",
            StoreWarning,
            stacklevel=4,
        )

    def _open(self) -> "zarr.Group":
        import zarr

        if self._group is None:
            self._group = zarr.open_group(
                self.results, mode="r+", zarr_format=2, use_consolidated=False
            )
        return self._group

    def _close(self) -> None:
        self._group = None
        self._opened = {}

    def _array(self, name: str) -> "tuple[zarr.Array, tuple[str, ...]]":
        """An array and its dims, opened once. Chunks of nothing but NaN are written too."""
        import zarr

        if name not in self._opened:
            with zarr.config.set({"array.write_empty_chunks": True}):
                array = cast("zarr.Array", self._open()[name])
            self._opened[name] = array, tuple(cast("list[str]", array.attrs["_ARRAY_DIMENSIONS"]))
        return self._opened[name]

    def _result_names(self, checksum: int) -> list[str]:
        """The arrays that hold results, each opened from its own metadata.

        Raises:
            Exception: metadata is torn, or coordinates do not have this checksum.
        """
        import zarr

        listed = zarr.open_consolidated(self.results, zarr_format=2)
        names, coordinates = [], {}
        for name in sorted(listed.array_keys()):
            array, dims = self._array(name)
            if dims != (name,) and array.fill_value is not None:
                names.append(name)
            else:
                coordinates[name] = array[...]
        if coordinates_checksum(coordinates) != checksum:
            raise ValueError("coordinates are torn")
        return names

    def _verify(self, plan: Plan) -> None:
        """Put the units into `done` whose chunks agree with the journal."""
        for number, entry in self.journal.read().items():
            if not 0 <= number < len(plan):
                continue
            unit = plan.unit(number)
            values = {}
            with contextlib.suppress(Exception):  # a chunk that is missing or does not decode
                for name in self._written(plan):
                    array, dims = self._array(name)
                    values[name] = np.asarray(array[region(dims, unit, plan)])
                if _checksum(values) == entry["checksum"]:
                    self.done.add(number)
        for start in range(0, len(plan), plan.n_blocks):
            self._combine(plan.unit(start), plan)

    def _written(self, plan: Plan) -> list[str]:
        """The arrays that units write; those that are combined from others are left out."""
        if plan.n_blocks == 1:
            return self._names
        own = {BLOCK, plan.replicates}
        return [name for name in self._names if own & set(self._array(name)[1])]

    def write(
        self, unit: Unit, plan: Plan, values: Mapping[str, np.ndarray], label: str, seconds: float
    ) -> None:
        """All arrays of one unit, then its journal line; NaN where the unit has no values.

        Raises:
            StoreError: they cannot be written; what was written before is kept.
            ValueError: blocks of one point differ in a value that is exact.
        """
        with _writable(self.folder, "what had finished is kept; make room and go on with --resume"):
            absent = [name for name in self._written(plan) if name not in values]
            values = {**values, **{name: self._nothing(name, unit, plan) for name in absent}}
            for name, value in values.items():
                array, dims = self._array(name)
                array[region(dims, unit, plan)] = value
            self.done.add(unit.number)
            self._combine(unit, plan)
            self.journal.add(unit.number, label, seconds, _checksum(values))

    def _nothing(self, name: str, unit: Unit, plan: Plan) -> np.ndarray:
        """NaN in the shape of a unit's part of an array."""
        array, dims = self._array(name)
        place = region(dims, unit, plan)
        shape = (*(part.stop - part.start for part in place), *array.shape[len(place) :])
        return np.full(shape, np.nan, array.dtype)

    def _combine(self, unit: Unit, plan: Plan) -> None:
        """Combine the blocks of replicates of a unit's points, once all blocks are there."""
        if plan.n_blocks == 1 or not self.done.issuperset(plan.siblings(unit.number)):
            return

        def blocks(name: str) -> np.ndarray:
            return np.asarray(self._array(name)[0][unit.region])

        for name in self._names:
            if name + BLOCK_VALUE in self._names:
                self._array(name)[0][unit.region] = agreed(name, blocks(name + BLOCK_VALUE), plan)
            if name + BLOCK_MEAN in self._names:
                error, square = f"{name}_standard_error", name + BLOCK_SQUARE
                squares = blocks(square) if square in self._names else None
                estimate = combine(blocks(name + BLOCK_MEAN), squares, plan)
                self._array(name)[0][unit.region] = estimate.mean
                if squares is not None:
                    self._array(error)[0][unit.region] = estimate.standard_error

    def finish(self, summary: Mapping[str, Any] | None = None) -> None:
        """Mark the store complete and write the headline numbers, if any."""
        with _writable(self.folder, "make room and go on with --resume"):
            if summary is not None:
                text = json.dumps(
                    finite_json(summary), indent=2, ensure_ascii=False, allow_nan=False
                )
                partial = self.folder / "summary.json.part"
                partial.write_text(text + "\n", encoding="utf-8")
                partial.replace(self.folder / "summary.json")
            self._mark(complete=True)

    def _mark(self, complete: bool) -> None:
        import zarr

        self._open().attrs["complete"] = complete
        zarr.consolidate_metadata(self.results, zarr_format=2)

    def load(self) -> "xarray.Dataset":
        """The results so far; arrays are read from disk as they are used.

        Raises:
            StoreError: there is no store, or it cannot be read.
        """
        import xarray

        if not self.begun:
            raise StoreError(f"{self.folder} holds no results.zarr; run a config into it first")
        try:
            return xarray.open_zarr(self.results, chunks=None)
        except Exception as error:  # zarr raises many kinds for a torn store
            raise StoreError(f"{self.results} cannot be read: {error}") from None

    def open(self) -> "xarray.Dataset":
        """The results of a finished run.

        Raises:
            StoreError: there are none, or the run that wrote them did not finish.
        """
        dataset = self.load()
        if not dataset.attrs.get("complete"):
            raise StoreError(f"the run in {self.folder} did not finish; go on with --resume")
        return dataset


def _checksum(values: Mapping[str, np.ndarray]) -> int:
    total = 0
    for name in sorted(values):
        total = zlib.crc32(np.ascontiguousarray(values[name]).tobytes(), total)
    return total
