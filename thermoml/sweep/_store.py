"""The store of a run: a labelled Zarr group, one chunk per work unit, and a journal beside it."""

import json
import shutil
import subprocess
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..numerics._labels import Labelled

if TYPE_CHECKING:
    import xarray

_OURS = ("results.zarr", "figures", "summary.json", "journal.jsonl")


class StoreError(RuntimeError):
    """A results directory that cannot be used; the message says why and what to do."""


def _git_revision() -> str:
    """The revision of the checkout that the package runs from, "" outside of one."""
    folder = Path(__file__).parents[2]
    if not (folder / ".git").exists():
        return ""
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()


def provenance() -> dict[str, str]:
    """Versions of what computes, and the git revision; nothing that depends on the clock."""
    packages = ("thermoml", "jax", "jaxlib", "equinox", "numpy")
    return {f"{name}_version": version(name) for name in packages} | {
        "git_revision": _git_revision()
    }


class Store:
    """A results directory: `results.zarr`, `journal.jsonl`, `summary.json`, `figures/`.

    Every variable has the unit axis first and one chunk per unit. A unit's arrays are written
    before its journal line, so that a journal never promises what the store does not hold. The
    attribute `complete` turns true only when all units are there.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    @property
    def results(self) -> Path:
        """Where the Zarr group is."""
        return self.folder / "results.zarr"

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        variables: Mapping[str, Labelled],
        coordinates: Mapping[str, Labelled],
        attributes: Mapping[str, Any],
        overwrite: bool = False,
    ) -> "Store":
        """A new store. `variables` hold a shape where values would be; coordinates hold values.

        Raises:
            StoreError: the folder is not empty (without `overwrite`), a file, or not writable.
        """
        import zarr

        store = cls(Path(folder))
        store._claim(overwrite)
        try:
            group = zarr.open_group(store.results, mode="w-", zarr_format=2)
            group.attrs.update({**attributes, **provenance(), "complete": False})
            for name, (dims, values, units, long_name) in coordinates.items():
                # A fill value would be read as "missing": a time of 0 must stay 0.
                array = group.create_array(name, data=np.asarray(values), fill_value=None)
                array.attrs.update(_labels(dims, units, long_name))
            for name, (dims, shape, units, long_name) in variables.items():
                array = group.create_array(
                    name,
                    shape=shape,
                    chunks=(1, *shape[1:]),
                    dtype="float64",
                    fill_value=float("nan"),
                )
                array.attrs.update(_labels(dims, units, long_name))
            zarr.consolidate_metadata(store.results, zarr_format=2)
        except OSError as error:
            raise StoreError(f"cannot write to {folder}: {error.strerror or error}") from None
        return store

    def _claim(self, overwrite: bool) -> None:
        folder = self.folder
        try:
            if folder.exists() and not folder.is_dir():
                raise StoreError(f"{folder} is a file; choose another --out")
            if folder.exists() and any(folder.iterdir()):
                if not overwrite:
                    raise StoreError(
                        f"{folder} is not empty; choose another --out, or --overwrite it"
                    )
                for name in _OURS:
                    path = folder / name
                    if path.is_dir():
                        shutil.rmtree(path)
                    else:
                        path.unlink(missing_ok=True)
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"cannot write to {folder}: {error.strerror or error}; choose another --out"
            ) from None

    def write(self, unit: int, values: Mapping[str, Any], label: str, seconds: float) -> None:
        """All variables of one unit, then its journal line."""
        import zarr

        group = zarr.open_group(self.results, mode="r+", zarr_format=2)
        for name, value in values.items():
            group[name][unit] = np.asarray(value, "float64")  # pyright: ignore
        line = {"unit": unit, "label": label, "seconds": round(seconds, 3), "ended": time.time()}
        with (self.folder / "journal.jsonl").open("a", encoding="utf-8") as journal:
            journal.write(json.dumps(line) + "\n")

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Mark the store complete and write the headline numbers."""
        import zarr

        group = zarr.open_group(self.results, mode="r+", zarr_format=2)
        group.attrs["complete"] = True
        zarr.consolidate_metadata(self.results, zarr_format=2)
        text = json.dumps(_jsonable(summary), indent=2, ensure_ascii=False, allow_nan=False)
        partial = self.folder / "summary.json.part"
        partial.write_text(text + "\n", encoding="utf-8")
        partial.replace(self.folder / "summary.json")

    def load(self) -> "xarray.Dataset":
        """What is in the store so far.

        Raises:
            StoreError: there is no store, or it cannot be read.
        """
        import xarray

        if not self.results.is_dir():
            raise StoreError(f"{self.folder} holds no results.zarr; run a config into it first")
        try:
            with xarray.open_zarr(self.results) as dataset:
                return dataset.load()
        except Exception as error:  # zarr raises many kinds for a torn store
            raise StoreError(f"{self.results} cannot be read: {error}") from None

    def open(self) -> "xarray.Dataset":
        """The results of a finished run.

        Raises:
            StoreError: there are none, or the run that wrote them did not finish.
        """
        dataset = self.load()
        if not dataset.attrs.get("complete"):
            raise StoreError(f"the run in {self.folder} did not finish; run it again")
        return dataset


def _labels(dims: tuple[str, ...], units: str, long_name: str) -> dict[str, Any]:
    return {"_ARRAY_DIMENSIONS": list(dims), "units": units, "long_name": long_name}


def _jsonable(value: Any) -> Any:
    """`value` with NaN and infinities as null."""
    if isinstance(value, Mapping):
        return {key: _jsonable(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(entry) for entry in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value
