"""Results of a sweep's function at a point: validated arrays with labels, and their shapes."""

import dataclasses
import functools
from collections.abc import Collection, Mapping
from typing import Any, Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from ..numerics.arrays import default_float, is_concrete
from ..numerics.labels import Labelled
from ._grid import check_name

# Suffixes of the arrays that the store derives from a variable, besides the replicates' own.
_DERIVED = ("_standard_error", "_block_mean", "_block_square", "_block_value")
BLOCK = "block"  # the store's dimension of blocks of replicates


@runtime_checkable
class SelfLabelled(Protocol):
    """Results that carry their own labels, such as a `Solution` or a `LearningCurve`."""

    @property
    def diverged_step(self) -> Int[Array, " trajectory"]:
        """The step at which a trajectory turned non-finite, -1 for none."""
        ...

    def labelled(self) -> dict[str, Labelled]:
        """The arrays by name, with their dimensions, units and words."""
        ...


@runtime_checkable
class Sheddable(Protocol):
    """Results with parts that no label needs, such as the weights of a `LearningCurve`."""

    def light(self) -> Any:
        """The same results in less memory."""
        ...


def each_name(name: str, replicates: str) -> str:
    """The array of single replicates of a variable: `heat_trajectories`, `heat_refreshes`."""
    return f"{name}_{_plural(replicates)}"


def _plural(replicates: str) -> str:
    if replicates.endswith("y"):
        return f"{replicates[:-1]}ies"
    return replicates + ("es" if replicates.endswith(("s", "x", "z", "sh", "ch")) else "s")


def describe(result: Any, n_replicates: int, replicates: str) -> dict[str, Labelled]:
    """The arrays of a result with their labels, and `diverged` of its replicates.

    Args:
        result: the value that the function returned.
        n_replicates: the number of rows that it must have.
        replicates: the name of their dimension.

    Returns:
        Variables with dims `(replicates, ...)`; exact ones without that dimension; coordinates,
        whose only dim is their own name.

    Raises:
        TypeError, ValueError: there are no results, or one has another number of rows.
    """
    if isinstance(result, SelfLabelled):
        labelled = dict(result.labelled())
    elif isinstance(result, Mapping) and result:
        for name in result:
            check_name("a result", name)
        labelled = {name: _labelled(name, value, replicates) for name, value in result.items()}
    else:
        raise (ValueError if isinstance(result, Mapping) else TypeError)(
            "the function of a sweep must return a LearningCurve, a Solution or a mapping from "
            f"names to arrays with one row per {_words(replicates)}, got {type(result).__name__}"
            + (" with nothing in it" if isinstance(result, Mapping) else "")
        )
    for name, (dims, values, _, _) in labelled.items():
        _check_rows(name, dims, np.shape(values), n_replicates, replicates)
    if "diverged" not in labelled:
        lost = _diverged(result, labelled, replicates)
        if lost is not None:
            words = f"fraction of the {_words(_plural(replicates))} that turned non-finite"
            labelled["diverged"] = Labelled((replicates,), lost, "", words)
    return labelled


def _words(name: str) -> str:
    return name.replace("_", " ")


def _labelled(name: str, value: Any, replicates: str) -> Labelled:
    if isinstance(value, Labelled):
        return value
    extra = tuple(f"{name}_dim_{i}" for i in range(np.ndim(value) - 1))
    return Labelled((replicates, *extra), value, "", _words(name))


def _check_rows(
    name: str, dims: tuple[str, ...], shape: tuple[int, ...], n_replicates: int, replicates: str
) -> None:
    """ValueError unless dims and shape agree, and the replicates, if any, come first."""
    if replicates not in dims:
        if len(dims) != len(shape):
            raise ValueError(
                f"the function's {name} must have a dim for each axis, got {dims} and shape {shape}"
            )
    elif len(shape) != len(dims) or dims[0] != replicates or shape[0] != n_replicates:
        raise ValueError(
            f"the function's {name} must have one row for each of the {n_replicates} "
            f"{_words(_plural(replicates))}, got shape {shape}; if it is the same for all of them, "
            f"return it as Labelled with dims that lack {replicates!r}"
        )


def _diverged(
    result: Any, labelled: Mapping[str, Labelled], replicates: str
) -> Bool[Array, " replicate"] | None:
    """Whether a replicate turned non-finite; None where all results are exact."""
    if isinstance(result, SelfLabelled):
        return result.diverged_step >= 0
    rows = [jnp.asarray(x.values) for x in labelled.values() if x.dims[:1] == (replicates,)]
    finite = [jnp.isfinite(x).reshape(len(x), -1).all(axis=1) for x in rows]
    return ~functools.reduce(jnp.logical_and, finite) if finite else None


def _kept_dtype(values: Any) -> np.dtype:
    """The dtype in which results are kept: integers and complex numbers as they are, else floats.

    Raises:
        TypeError: they are no numbers.
    """
    numpy = isinstance(values, np.ndarray | np.generic)
    dtype = values.dtype if numpy else jnp.result_type(values)
    if jnp.issubdtype(dtype, jnp.integer) or jnp.issubdtype(dtype, jnp.complexfloating):
        return np.dtype(dtype)
    if jnp.issubdtype(dtype, jnp.floating) or jnp.issubdtype(dtype, jnp.bool_):
        return np.dtype(default_float())
    raise TypeError(f"results of a sweep must be numbers, got {dtype}; return arrays of numbers")


@dataclasses.dataclass(frozen=True)
class Quantity:
    """A variable that the function returns: dims and shape without the replicates.

    Attributes:
        exact: whether it is the same for all replicates, and so has no such dimension.
        dtype: its NumPy name.
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    units: str
    long_name: str
    exact: bool
    dtype: str

    @property
    def kind(self) -> str:
        """NumPy's letter for the kind of number: f, c, i, u or b."""
        return np.dtype(self.dtype).kind

    def joined(self, other: "Quantity | None") -> "Quantity":
        """The same with a dtype that holds also the other's, or NaN where there is none."""
        dtype = np.result_type(self.dtype, "float32" if other is None else other.dtype)
        return dataclasses.replace(self, dtype=str(dtype)) if self.kind in "ciuf" else self

    @classmethod
    def of(cls, labelled: Labelled, replicates: str) -> "Quantity":
        """The quantity that a result holds."""
        exact = replicates not in labelled.dims
        start = 0 if exact else 1
        shape = np.shape(labelled.values)[start:]
        dtype = str(_kept_dtype(labelled.values))
        words = labelled.units, labelled.long_name
        return cls(labelled.dims[start:], shape, *words, exact, dtype)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Variables of a described result, and the coordinates of their dims."""

    variables: dict[str, Quantity]
    coordinates: dict[str, Labelled]

    @classmethod
    def of(
        cls, described: Mapping[str, Labelled], taken: Collection[str], replicates: str
    ) -> "Outcome":
        """The outcome, checked against itself and against the names of grid parameters, `taken`.

        Raises:
            ValueError: a name is taken or reserved, or a dim has several lengths.
        """
        variables, coordinates, sizes = {}, {}, {}
        for name, entry in described.items():
            coordinate = entry.dims == (name,)
            inner = [dim for dim in entry.dims if dim != replicates]
            derived = [f"{name}{suffix}" for suffix in _DERIVED] + [each_name(name, replicates)]
            if len(inner) < len(set(entry.dims)) - (replicates in entry.dims) or (
                name in entry.dims and not coordinate
            ):
                raise ValueError(f"{name} must not be a dim of itself, got dims {entry.dims}")
            for dim in inner:
                check_name("a dim", dim)
            for used in (name, *inner, *derived):
                if used in taken:
                    raise ValueError(f"a result must not be called {used}: a grid parameter is")
            reserved = {replicates, BLOCK} & {name, *inner, *taken}
            clash = set(derived) & set(described) or reserved
            if clash:
                raise ValueError(f"{clash.pop()} is a name that the store itself uses; rename it")
            for dim, size in zip(entry.dims, np.shape(entry.values), strict=True):
                if sizes.setdefault(dim, size) != size:
                    raise ValueError(f"{dim} must have one length, got {sizes[dim]} and {size}")
            if not coordinate:
                variables[name] = Quantity.of(entry, replicates)
            elif is_concrete(entry.values):
                coordinates[name] = entry._replace(values=np.asarray(entry.values))
        both = sizes.keys() & variables.keys()
        if both:
            raise ValueError(f"{both.pop()} is a result and a dim of another; rename one of them")
        return cls(variables, coordinates)

    def difference(self, other: "Outcome") -> str:
        """The first contradiction to the outcome at another point; "" for none.

        A variable or coordinate of only one of them is no contradiction, unless both use the dim.
        """
        for name in sorted(self.variables.keys() & other.variables.keys()):
            one, two = self.variables[name], other.variables[name]
            if one.exact != two.exact:
                kinds = ["exact" if x.exact else "of single replicates" for x in (one, two)]
                return f"{name} {kinds[0]} and {kinds[1]}"
            if one.shape != two.shape:
                return f"{name} of shape {one.shape} and {two.shape}"
            if one.dims != two.dims:
                return f"{name} along {one.dims} and {two.dims}"
        dims, others = ({d for x in o.variables.values() for d in x.dims} for o in (self, other))
        for name in sorted(dims & others | self.coordinates.keys() & other.coordinates.keys()):
            parts = [outcome.coordinates.get(name) for outcome in (self, other)]
            values: list[Any] = [None if part is None else part.values for part in parts]
            if not np.array_equal(values[0], values[1]):
                return f"different values of {name}: {values[0]} and {values[1]}"
        return ""

    def union(self, other: "Outcome") -> "Outcome":
        """The variables and coordinates of both."""
        mine, theirs = self.variables, other.variables
        variables = {name: mine[name].joined(theirs.get(name)) for name in mine}
        variables |= {name: theirs[name].joined(mine.get(name)) for name in theirs}
        return Outcome(variables, self.coordinates | other.coordinates)
