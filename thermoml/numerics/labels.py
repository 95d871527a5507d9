"""Labelled arrays: results as an xarray Dataset, with units and long names."""

import fnmatch
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

if TYPE_CHECKING:
    import xarray


class Labelled(NamedTuple):
    """One variable: its dimensions, values, unit (k_B = 1) and name in words."""

    dims: tuple[str, ...]
    values: Any
    units: str
    long_name: str


def to_dataset(labelled: Mapping[str, Labelled]) -> "xarray.Dataset":
    """An xarray Dataset of NumPy copies; a variable named like its one dimension is a coordinate.

    A `trajectory` coordinate is added if there is such a dimension.
    """
    import xarray

    def entry(variable: Labelled):
        attrs = {"units": variable.units, "long_name": variable.long_name}
        return variable.dims, np.asarray(variable.values), attrs

    dataset = xarray.Dataset({name: entry(variable) for name, variable in labelled.items()})
    if "trajectory" in dataset.sizes:
        index = np.arange(dataset.sizes["trajectory"])
        dataset["trajectory"] = ("trajectory", index, {"units": "", "long_name": "trajectory"})
    return dataset


def name_fits(name: str, patterns: Iterable[str]) -> bool:
    """Whether a leaf's name matches one of the patterns, in which * matches anything."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def leaf_names(tree: Any) -> list[str]:
    """A short name for each leaf of `tree` from its path: `layers_0_weight`; one leaf has ''."""
    names = []
    for path, _ in jax.tree_util.tree_flatten_with_path(tree)[0]:
        name = jax.tree_util.keystr(path, simple=True, separator="_")
        names.append("".join(c if c.isalnum() or c == "_" else "_" for c in name))
    return names
