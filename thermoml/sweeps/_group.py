"""The empty Zarr group of a run, with its labels, written in one go."""

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

    Zarr writes a folder with threads of its own, which may still be at it after a failure has been
    reported; what is written from here ends with the call, so that it can be removed.

    Raises:
        OSError: it cannot be written.
    """
    import zarr
    from zarr.storage import MemoryStore

    files: dict[str, Any] = {}
    store = MemoryStore(files)
    group = zarr.open_group(store, mode="w-", zarr_format=2)
    known = coordinates_checksum({name: entry.values for name, entry in coordinates.items()})
    group.attrs.update({**attributes, "coordinates_checksum": known, "complete": False})
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
            fill_value=float("nan"),
        )
        array.attrs.update(_labels(variable.dims, variable.units, variable.long_name))
    zarr.consolidate_metadata(store, zarr_format=2)
    for key, content in files.items():
        path = place / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.to_bytes())


def coordinates_checksum(coordinates: Mapping[str, Any]) -> int:
    """A number that tells whether coordinates, by name, are as they were written."""
    content = {name: np.asarray(values).tolist() for name, values in coordinates.items()}
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())


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
