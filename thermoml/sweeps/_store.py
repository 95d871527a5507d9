"""The store of a run: a labelled Zarr group with one chunk per work unit, and a journal."""

import contextlib
import json
import os
import shutil
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..numerics.labels import Labelled
from ._errors import StoreError, StoreWarning, writable
from ._folder import (
    JOURNAL,
    LOCK,
    PARTIAL,
    RESULTS,
    check_place,
    clear,
    drop_unfinished,
    set_torn_aside,
    write_file,
)
from ._group import finite_json, write_group
from ._journal import Journal
from ._lock import LockedError, locked
from ._metadata import intact, is_store, mend, plan_of, result_names, stored_attributes
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

_KEPT = "what had finished is kept; make room and go on with --resume"


class Store:
    """A results directory: `results.zarr`, `journal.jsonl`, `summary.json`, `figures/`.

    The Zarr group is made under another name and moved into place whole. A unit's chunks are
    written before its journal line, which carries their checksum: units in the journal are in the
    store, and all others are run again. The attribute `complete` turns true once all units are in.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder = Path(folder)
        self.journal = Journal(self.folder / JOURNAL)
        self.done: set[int] = set()
        self._group: zarr.Group | None = None
        self._opened: dict[str, tuple[zarr.Array, tuple[str, ...]]] = {}
        self._names: list[str] = []  # the arrays that hold results

    @property
    def results(self) -> Path:
        """The path of the Zarr group."""
        return self.folder / RESULTS

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
            StoreError: the folder is in use, a file, not writable, not empty (without `resume` or
                `overwrite`), or holds things of others under the names of a store.
        """
        store = cls(folder)
        with writable(store.folder):
            check_place(store.folder, resume, overwrite)
        places = (store.folder, *store.folder.parents)
        created = [place for place in places if not place.exists()]
        with contextlib.ExitStack() as stack:
            with writable(store.folder):
                store.folder.mkdir(parents=True, exist_ok=True)
                try:
                    stack.enter_context(locked(store.folder / LOCK))
                except LockedError as error:
                    raise StoreError(
                        f"{folder} is being written by {error}; wait for it or choose another "
                        "folder"
                    ) from None
                stack.callback(store._leave, created)
                check_place(store.folder, resume, overwrite)
                shutil.rmtree(store.folder / PARTIAL, ignore_errors=True)
            yield store

    def _leave(self, created: list[Path]) -> None:
        self._close()
        if not self.begun:
            shutil.rmtree(self.folder / PARTIAL, ignore_errors=True)
            with contextlib.suppress(OSError):
                (self.folder / LOCK).unlink()
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
        """An empty Zarr group with its labels, in the place of an earlier one.

        Raises:
            StoreError: it cannot be written.
        """
        partial = self.folder / PARTIAL
        cut = {"points": list(plan.points), "trajectories": plan.trajectories}
        labels = {**provenance(), **attributes, "units": cut}
        with writable(self.folder):
            write_group(partial, variables=variables, coordinates=coordinates, attributes=labels)
            if self.begun:
                clear(self.folder)
            self.journal.restart()
            partial.rename(self.results)
        self._names = list(variables)

    def resume(
        self,
        grid_shape: tuple[int, ...],
        n_trajectories: int,
        wanted: Mapping[str, Any],
        labels: Callable[[Plan], tuple[Mapping[str, Variable], Mapping[str, Labelled]]],
    ) -> Plan | None:
        """The plan of the existing store, its verified units in `done`; None to start anew.

        Args:
            grid_shape, n_trajectories: of the run.
            wanted: the attributes that the store must have, `replicates` among them.
            labels: derives the variables and coordinates of a plan, to mend metadata.

        Raises:
            StoreError: it is of another config, program, environment or version; the message has
                the difference.
        """
        if not self.begun:
            return None
        with writable(self.results, "make it readable, or choose another folder"):
            attributes = stored_attributes(self.results)
        if attributes is None:
            self._set_aside()
            return None
        self._check_same(attributes, wanted)
        cut, rows = attributes["units"], wanted["replicates"]
        plan = Plan(grid_shape, n_trajectories, tuple(cut["points"]), cut["trajectories"], rows)
        with writable(self.folder, _KEPT):
            drop_unfinished(self.results)
            if not intact(self.results, attributes):
                mend(self.folder / PARTIAL, self.results, attributes, *labels(plan))
            self._names = result_names(self.results)
            self._verify(plan)
            for start in range(0, len(plan), plan.n_blocks):
                self._combine(plan.unit(start), plan)
            if attributes["complete"] and len(self.done) < len(plan):
                self._mark(complete=False)
        return plan

    def _check_same(self, attributes: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        made_by = attributes["store_version"]
        if made_by > STORE_VERSION:
            raise StoreError(
                f"{self.folder} was written by a newer thermoml "
                f"({attributes.get('thermoml_version')}, store format {made_by}; this one knows "
                f"{STORE_VERSION}); upgrade thermoml"
            )
        changes = differences(attributes, wanted)
        if changes:
            raise StoreError(
                f"{self.folder} is not of this run: {'; '.join(changes)}; choose another folder, "
                "or --overwrite it"
            )

    def _set_aside(self) -> None:
        with writable(self.folder):
            remains = set_torn_aside(self.folder)
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
        self._check_there()
        with writable(self.folder, _KEPT):
            absent = [name for name in self._written(plan) if name not in values]
            values = {**values, **{name: self._nothing(name, unit, plan) for name in absent}}
            values = {name: x.astype(self._array(name)[0].dtype) for name, x in values.items()}
            for name, value in values.items():
                array, dims = self._array(name)
                array[region(dims, unit, plan)] = value
            self.done.add(unit.number)
            self._combine(unit, plan)
            self.journal.add(unit.number, label, seconds, _checksum(values))

    def _check_there(self) -> None:
        """StoreError if the store has vanished since it was opened."""
        if not (self.results / ".zgroup").is_file():
            raise StoreError(
                f"{self.results} has vanished while it was written; nothing more is written, run "
                "it again and leave the folder in its place"
            )

    def _nothing(self, name: str, unit: Unit, plan: Plan) -> np.ndarray:
        """NaN in the shape of a unit's part of an array."""
        array, dims = self._array(name)
        place = region(dims, unit, plan)
        shape = (*(part.stop - part.start for part in place), *array.shape[len(place) :])
        return np.full(shape, np.nan, array.dtype)

    def _combine(self, unit: Unit, plan: Plan) -> None:
        """Combine the blocks of replicates of a unit's points, once all blocks are there."""
        if self.done.issuperset(plan.siblings(unit.number)):
            for name, values in self._combinations(unit, plan):
                self._array(name)[0][unit.region] = values

    def _combined(self, plan: Plan) -> bool:
        """Whether what is combined from blocks is as it should be."""
        with contextlib.suppress(Exception):  # a chunk that does not decode
            return all(
                np.array_equal(np.asarray(self._array(name)[0][unit.region]), x, equal_nan=True)
                for unit in map(plan.unit, range(0, len(plan), plan.n_blocks))
                for name, x in self._combinations(unit, plan)
            )
        return False

    def _combinations(self, unit: Unit, plan: Plan) -> Iterator[tuple[str, np.ndarray]]:
        """The arrays of a unit's points that follow from their blocks."""
        if plan.n_blocks == 1:
            return

        def blocks(name: str) -> np.ndarray:
            return np.asarray(self._array(name)[0][unit.region])

        for name in self._names:
            if name + BLOCK_VALUE in self._names:
                yield name, agreed(name, blocks(name + BLOCK_VALUE), plan)
            if name + BLOCK_MEAN in self._names:
                error, square = f"{name}_standard_error", name + BLOCK_SQUARE
                squares = blocks(square) if square in self._names else None
                estimate = combine(blocks(name + BLOCK_MEAN), squares, plan)
                yield name, estimate.mean
                if squares is not None:
                    yield error, estimate.standard_error

    def finish(self) -> None:
        """Mark the store complete."""
        self._check_there()
        with writable(self.folder, "make room and go on with --resume"):
            self._mark(complete=True)

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write the headline numbers."""
        content = finite_json(summary)
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        self.write_file("summary.json", text.encode())

    def write_file(self, name: str, content: bytes) -> Path:
        """Write another file of the run; one of others in its place is set aside.

        Raises:
            StoreError: it cannot be written.
        """
        with writable(self.folder, "make room and go on with --resume"):
            return write_file(self.folder, name, content)

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
        whole = (self.results / ".zmetadata").is_file()
        try:  # nothing is masked, for that would turn integers into floats
            options = {"chunks": None, "consolidated": whole, "mask_and_scale": False}
            dataset = xarray.open_zarr(self.results, **options)
            for variable in dataset.variables.values():
                variable.attrs.pop("_FillValue", None)
            return dataset
        except Exception as error:  # zarr raises many kinds for a torn store
            raise StoreError(f"{self.results} cannot be read: {error}") from None

    def open(self) -> "xarray.Dataset":
        """The results of a finished run, compared with the checksums in the journal.

        Raises:
            StoreError: there are none, the run that wrote them did not finish, or they are damaged.
        """
        dataset = self.load()
        attributes = stored_attributes(self.results)
        if attributes is None:
            torn = is_store(self.results) is not False
            words = "is torn; --resume mends it" if torn else "was not written by thermoml"
            raise StoreError(f"{self.results} {words}")
        if not attributes.get("complete"):
            raise StoreError(f"the run in {self.folder} did not finish; go on with --resume")
        plan = plan_of(dataset, attributes)
        self._names = [name for name in result_names(self.results) if name in dataset]
        self._verify(plan)
        damaged = len(plan) - len(self.done)
        if damaged or not self._combined(plan):
            units = f"{damaged} of {len(plan)} units" if damaged else "means over units"
            raise StoreError(
                f"{self.results} is damaged: {units} do not agree with the journal; --resume "
                "computes them again"
            )
        return dataset


def _checksum(values: Mapping[str, np.ndarray]) -> int:
    total = 0
    for name in sorted(values):
        total = zlib.crc32(np.ascontiguousarray(values[name]).tobytes(), total)
    return total
