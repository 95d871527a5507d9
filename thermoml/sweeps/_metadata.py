"""Metadata of a stored Zarr group: whose it is, whether it is whole, and its derivation anew."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..numerics.labels import Labelled
from ._group import coordinates_checksum, write_group
from ._plan import Plan
from ._provenance import STORE_VERSION
from ._variables import Variable

if TYPE_CHECKING:
    import xarray
    import zarr

_ATTRIBUTES, _ALL = ".zattrs", ".zmetadata"


def _json(path: Path) -> Any:
    """The content of a file; None where there is none or it is torn."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
        return None


def _metadata(results: Path) -> dict[str, Any]:
    """All metadata by file name, from Zarr's copy of them in one file; {} where that is torn."""
    match _json(results / _ALL):
        case {"metadata": dict(entries)}:
            return entries
    return {}


def _candidates(results: Path) -> Iterator[dict[str, Any]]:
    for attributes in (_json(results / _ATTRIBUTES), _metadata(results).get(_ATTRIBUTES)):
        if isinstance(attributes, dict):
            yield attributes


def is_store(results: Path) -> bool | None:
    """Whether thermoml wrote the group; None if its metadata are torn.

    Raises:
        OSError: they cannot be read.
    """
    if any("store_version" in attributes for attributes in _candidates(results)):
        return True
    readable = any(_json(results / name) for name in (_ATTRIBUTES, _ALL, "zarr.json"))
    return False if readable or any(results.glob("**/zarr.json")) else None


def stored_attributes(results: Path) -> dict[str, Any] | None:
    """The first valid copy of the attributes; None where all are torn."""
    return next(filter(_valid, _candidates(results)), None)


def _valid(attributes: Mapping[str, Any]) -> bool:
    def whole(numbers: Any) -> bool:
        return all(type(x) is int and x >= 1 for x in numbers)

    match attributes:
        case {"store_version": int(made_by)} if made_by > STORE_VERSION:
            return True
        case {
            "store_version": int(),
            "units": {"points": list(points), "trajectories": block},
            "config": str(config),
            "coordinates_checksum": int(),
            "complete": bool(),
        } if whole([*points, block]):
            try:
                return isinstance(json.loads(config), dict)
            except ValueError:
                return False
    return False


def result_names(results: Path) -> list[str]:
    """The arrays that hold results, not coordinates."""
    return sorted(
        key.removesuffix("/.zarray")
        for key, entry in _metadata(results).items()
        if key.endswith("/.zarray") and entry.get("fill_value") is not None
    )


def intact(results: Path, attributes: Mapping[str, Any]) -> bool:
    """Whether all metadata are there and agree, coordinates too."""
    import zarr

    entries = _metadata(results)
    if not result_names(results) or not {".zgroup", _ATTRIBUTES} <= entries.keys():
        return False
    same = {"complete": True}  # it is written before the copy
    for key, entry in entries.items():
        present = _json(results / key)
        if key == _ATTRIBUTES and isinstance(present, dict):
            present, entry = present | same, entry | same
            if entry != dict(attributes) | same:
                return False
        if present is None or present != entry:
            return False
    arrays = {key.removesuffix("/.zarray") for key in entries if key.endswith("/.zarray")}
    try:
        group = zarr.open_group(results, mode="r", zarr_format=2)
        names = arrays - set(result_names(results))
        values = {name: cast("zarr.Array", group[name])[...] for name in names}
    except Exception as error:  # zarr raises many kinds for a torn chunk
        if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
            raise
        return False
    return coordinates_checksum(values) == attributes["coordinates_checksum"]


def mend(
    partial: Path,
    results: Path,
    attributes: Mapping[str, Any],
    variables: Mapping[str, Variable],
    coordinates: Mapping[str, Labelled],
) -> None:
    """Write all metadata and coordinates anew where they differ; results stay.

    Raises:
        OSError: they cannot be written.
    """
    write_group(partial, variables=variables, coordinates=coordinates, attributes=attributes)
    for path in partial.rglob("*"):
        target = results / path.relative_to(partial)
        if path.is_file() and not (target.is_file() and target.read_bytes() == path.read_bytes()):
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, target)
    shutil.rmtree(partial)


def plan_of(dataset: "xarray.Dataset", attributes: Mapping[str, Any]) -> Plan:
    """The plan of a finished store."""
    points, block = attributes["units"]["points"], attributes["units"]["trajectories"]
    first = next(iter(dataset.data_vars.values()))
    count = json.loads(attributes["config"]).get("n_trajectories", block)
    replicates = attributes.get("replicates", "trajectory")
    return Plan(first.shape[: len(points)], count, tuple(points), block, replicates)
