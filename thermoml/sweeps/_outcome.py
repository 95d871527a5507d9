"""What the function of a sweep returns at a point, checked, and apart from the numbers."""

import dataclasses
import functools
from collections.abc import Collection, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..numerics.arrays import is_concrete
from ..numerics.labels import Labelled

# What the store makes of a variable, and the dims that it counts trajectories with.
SUFFIXES = ("_standard_error", "_block_mean", "_block_square", "_trajectories")
_RESERVED = ("trajectory", "block")


def describe(result: Any, n_trajectories: int) -> dict[str, Labelled]:
    """The arrays of a result with their labels, and `diverged`.

    Raises:
        TypeError, ValueError: no results, or one without a row for each trajectory.
    """
    if hasattr(result, "labelled"):
        found = dict(result.labelled())
    elif isinstance(result, Mapping) and result:
        found = {name: _labelled(name, value) for name, value in result.items()}
    else:
        raise (ValueError if isinstance(result, Mapping) else TypeError)(
            "the function of a sweep must return a LearningCurve, a Solution or a mapping from "
            f"names to arrays with one row per trajectory, got {type(result).__name__}"
            + (" with nothing in it" if isinstance(result, Mapping) else "")
        )
    for name, (dims, values, _, _) in found.items():
        shape = np.shape(values)
        if dims == (name,) and name != "trajectory":
            continue
        if len(shape) != len(dims) or shape[:1] != (n_trajectories,) or dims[0] != "trajectory":
            raise ValueError(
                f"the function's {name} must have one row for each of the {n_trajectories} "
                f"trajectories, got shape {shape}"
            )
    if "diverged" not in found:
        words = "fraction of the trajectories that turned non-finite"
        found["diverged"] = Labelled(("trajectory",), _diverged(result, found), "", words)
    return found


def _labelled(name: str, value: Any) -> Labelled:
    if isinstance(value, Labelled):
        return value
    extra = tuple(f"{name}_dim_{i}" for i in range(np.ndim(value) - 1))
    return Labelled(("trajectory", *extra), value, "", name.replace("_", " "))


def _diverged(result: Any, found: Mapping[str, Labelled]) -> Any:
    steps = getattr(result, "diverged_step", None)
    if steps is not None:
        return steps >= 0
    rows = [jnp.asarray(v.values) for v in found.values() if v.dims[0] == "trajectory"]
    good = [jnp.isfinite(x).reshape(len(x), -1).all(axis=1) for x in rows]
    return ~functools.reduce(jnp.logical_and, good)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a described result consists of.

    Attributes:
        variables: of each its dims and shape after the trajectory axis, units and words.
        coordinates: of these dims.
    """

    variables: dict[str, Labelled]
    coordinates: dict[str, Labelled]

    @classmethod
    def of(cls, described: Mapping[str, Labelled], taken: Collection[str]) -> "Outcome":
        """Checked against each other and against the names that the grid has taken.

        Raises:
            ValueError: a name that is taken or reserved, or dims of several lengths.
        """
        variables, coordinates, sizes = {}, {}, {}
        for name, (dims, values, units, words) in described.items():
            own = [f"{name}{suffix}" for suffix in SUFFIXES]
            for used in (name, *dims[1:], *own):
                if used in taken:
                    raise ValueError(f"a result must not be called {used}: a grid parameter is")
            clash = set(own) & set(described) or set(_RESERVED) & {name, *dims[1:], *taken}
            if clash:
                raise ValueError(f"{clash.pop()} is a name that the store itself uses; rename it")
            for dim, size in zip(dims, np.shape(values), strict=True):
                if sizes.setdefault(dim, size) != size:
                    raise ValueError(f"{dim} must have one length, got {sizes[dim]} and {size}")
            if dims == (name,):
                if is_concrete(values):
                    coordinates[name] = Labelled(dims, np.asarray(values), units, words)
            else:
                variables[name] = Labelled(dims[1:], np.shape(values)[1:], units, words)
        return cls(variables, coordinates)

    def difference(self, other: "Outcome") -> str:
        """The first difference to the outcome at another point; "" for none."""
        for name in self.variables | other.variables:
            parts = [x.variables.get(name) for x in (self, other)]
            shapes = [None if part is None else part.values for part in parts]
            dims = [None if part is None else part.dims for part in parts]
            if shapes[0] != shapes[1]:
                return f"{name} of shape {shapes[0]} and {shapes[1]}"
            if dims[0] != dims[1]:
                return f"{name} along {dims[0]} and {dims[1]}"
        for name in self.coordinates | other.coordinates:
            parts = [x.coordinates.get(name) for x in (self, other)]
            values: list[Any] = [None if part is None else part.values for part in parts]
            if not np.array_equal(values[0], values[1]):
                return f"different values of {name}: {values[0]} and {values[1]}"
        return ""
