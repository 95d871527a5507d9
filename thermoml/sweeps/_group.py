"""Creation of a run's empty Zarr group with its labels."""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..numerics.labels import Labelled
from ._variables import Variable


def write_group(
    place: Path,
    *,
    variables: Mapping[str, Variable],
    coordinates: Mapping[str, Labelled],
    attributes: Mapping[str, Any],
) -> None:
    """Make the group in memory and write it file by file.

    Zarr writes from background threads that can outlive an error. Writing the files ourselves
    guarantees that nothing is in flight when this call returns, so a failed store can be deleted.

    Raises:
        OSError: it cannot be written.
    """
    import zarr
    from zarr.storage import MemoryStore

    files: dict[str, Any] = {}
    store = MemoryStore(files)
    group = zarr.open_group(store, mode="w-", zarr_format=2)
    checksum = coordinates_checksum({name: entry.values for name, entry in coordinates.items()})
    group.attrs.update({**attributes, "coordinates_checksum": checksum, "complete": False})
    for name, (dims, values, units, long_name) in coordinates.items():
        # A fill value would be read as "missing": a time of 0 must stay 0.
        array = group.create_array(name, data=np.asarray(values), fill_value=None)
        array.attrs.update(_labels(dims, units, long_name))
    for name, variable in variables.items():
        array = group.create_array(
            name,
            shape=variable.shape,
            chunks=variable.chunks,
            dtype=variable.dtype,
            fill_value=_nothing(variable.dtype),
        )
        array.attrs.update(_labels(variable.dims, variable.units, variable.long_name))
    zarr.consolidate_metadata(store, zarr_format=2)
    for key in sorted(files, key=lambda key: key != ".zattrs"):  # first what tells that it is ours
        path, content = place / key, files[key]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.to_bytes())


def _nothing(dtype: str) -> Any:
    """The value of what is not there: NaN, or the least integer."""
    return np.iinfo(dtype).min if np.dtype(dtype).kind in "iu" else np.dtype(dtype).type("nan")


def coordinates_checksum(coordinates: Mapping[str, Any]) -> int:
    """A checksum of coordinates by name, to detect damage."""
    lists = {name: np.asarray(values).tolist() for name, values in coordinates.items()}
    return zlib.crc32(json.dumps(lists, sort_keys=True).encode())


def _labels(dims: tuple[str, ...], units: str, long_name: str) -> dict[str, Any]:
    return {"_ARRAY_DIMENSIONS": list(dims), "units": units, "long_name": long_name}


def finite_json(value: Any) -> Any:
    """`value` with NaN and infinities as null."""
    if isinstance(value, Mapping):
        return {key: finite_json(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite_json(entry) for entry in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value
