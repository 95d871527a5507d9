"""Grids of parameters: products of axes, each of one parameter or of several that vary together."""

import math
import numbers
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, SupportsIndex

import equinox as eqx
import jax
import numpy as np

from ..numerics.labels import Labelled

_RANGES = {"linear": np.linspace, "log": np.geomspace}

_MOST_POINTS = 10**6


def check_name(what: str, name: Any) -> None:
    """An error unless `name` can be that of an array: it becomes the name of a folder.

    Raises:
        TypeError, ValueError: it is no string, empty, begins with a dot or holds a slash.
    """
    if not isinstance(name, str):
        raise TypeError(f"the name of {what} must be a string, got {name!r}; use a word")
    if not name or name.startswith((".", "__")) or not name.isprintable() or set(name) & set("/\\"):
        raise ValueError(
            f"the name of {what} must be a word without slashes that does not begin with a dot or "
            f"two underscores, got {name!r}"
        )


class Grid:
    """A product of axes, one for each parameter: `Grid(alpha=[0.0, 0.5], learning_rate=[1, 2])`.

    A parameter's values are a list or one-dimensional array; a range `{"linear": [start, stop,
    count]}` or `{"log": [start, stop, count]}`, ends included; or a mapping from labels to values,
    such as `{"Hebbian": Hebbian(), "half": AlphaTron(0.5)}`. Parameters that should change together
    along one axis come from `Grid.zip(n_inputs=[100, 400], dt=[0.01, 0.0025])`; grids are
    multiplied by `*`.

    Attributes:
        axes: of each axis, its parameters' values by name.
        shape, dims: lengths and names of the axes; zipped ones are named for their first parameter.

    Raises:
        TypeError, ValueError: no values, values that repeat, unequal zips, an invalid range, a
            parameter set by two grids.
    """

    def __init__(self, **parameters: Any):
        labelled = {name: _values(name, values) for name, values in parameters.items()}
        self._axes = tuple({name: entry} for name, entry in labelled.items())
        self._check_size()

    def _check_size(self) -> None:
        if self.size > _MOST_POINTS:
            sizes = " x ".join(map(str, self.shape))
            raise ValueError(f"a grid must have at most {_MOST_POINTS} points, got {sizes}")

    @classmethod
    def zip(cls, **parameters: Any) -> "Grid":
        """One axis along which all the parameters change together."""
        labelled = {name: _values(name, values) for name, values in parameters.items()}
        lengths = {name: len(entry) for name, entry in labelled.items()}
        if len(set(lengths.values())) > 1:
            counts = ", ".join(f"{name} has {count}" for name, count in lengths.items())
            raise ValueError(f"zipped parameters must have equally many values, but {counts}")
        grid = cls()
        grid._axes = (labelled,) if labelled else ()
        return grid

    def __mul__(self, other: "Grid") -> "Grid":
        if not isinstance(other, Grid):
            return NotImplemented
        twice = set(self.names) & set(other.names)
        if twice:
            raise ValueError(f"{' and '.join(sorted(twice))} must be set by one grid, not by two")
        grid = Grid()
        grid._axes = self._axes + other._axes
        grid._check_size()
        return grid

    def labels(self, name: str) -> list[str]:
        """The labels of one parameter's values."""
        return next(list(axis[name]) for axis in self._axes if name in axis)

    def replace(self, name: str, values: Mapping[str, Any]) -> "Grid":
        """The same grid with other values of one parameter, and labels for them."""
        if name not in self.names:
            raise ValueError(f"{name} is not a parameter of the grid ({', '.join(self.names)})")
        grid = Grid()
        grid._axes = tuple(
            {key: dict(values) if key == name else entry for key, entry in axis.items()}
            for axis in self._axes
        )
        return grid

    @property
    def axes(self) -> tuple[dict[str, list[Any]], ...]:
        return tuple(
            {name: list(entry.values()) for name, entry in axis.items()} for axis in self._axes
        )

    @property
    def names(self) -> list[str]:
        """All parameters."""
        return [name for axis in self._axes for name in axis]

    @property
    def dims(self) -> tuple[str, ...]:
        return tuple(next(iter(axis)) for axis in self._axes)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(next(iter(axis.values()))) for axis in self._axes)

    @property
    def size(self) -> int:
        """The number of points."""
        return math.prod(self.shape)

    def point(self, index: Sequence[int]) -> dict[str, Any]:
        """The parameters at one point, given its index along each axis."""
        return {
            name: list(entry.values())[i]
            for axis, i in zip(self._axes, index, strict=True)
            for name, entry in axis.items()
        }

    def label(self, index: Iterable[SupportsIndex]) -> str:
        """The point in words: `alpha = 0.5, n_inputs = 100`."""
        return ", ".join(
            f"{name} = {list(entry)[i]}"
            for axis, i in zip(self._axes, index, strict=True)
            for name, entry in axis.items()
        )

    def coordinates(self) -> dict[str, Labelled]:
        """Each parameter along its axis: numbers themselves, anything else by its label."""
        coordinates = {}
        for dim, axis in zip(self.dims, self._axes, strict=True):
            for name, entry in axis.items():
                values = list(entry.values())
                plain = all(_is_number(value) for value in values)
                labels = np.array(values if plain else list(entry))
                coordinates[name] = Labelled((dim,), labels, "", name.replace("_", " "))
        return coordinates


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _values(name: str, source: Any) -> dict[str, Any]:
    """The values of one parameter by their labels."""
    check_name("a parameter", name)
    if isinstance(source, Mapping):
        entry = dict(_range(name, source)) if set(source) & set(_RANGES) else dict(source)
    elif not _is_list(source):
        raise TypeError(
            f"{name} must be a list of values or a range such as {{linear: [0, 1, 5]}}, got "
            f"{source!r:.60}; a constant does not belong in a grid"
        )
    else:
        arrays = (np.generic, np.ndarray, jax.Array)
        if any(isinstance(v, arrays) and np.ndim(v) for v in source):
            raise TypeError(f"{name} must have numbers as values, got {list(source)!r:.60}")
        plain = [v.item() if isinstance(v, arrays) else v for v in source]
        entry = {_label(value): value for value in plain}
        if len(entry) < len(plain):
            raise ValueError(f"{name} must have different values, got {list(map(_label, plain))}")
    if not entry:
        raise ValueError(f"{name} must have at least one value, got {source!r}")
    for value in entry.values():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{name} must have finite values, got {value}")
    return entry


def _is_list(values: Any) -> bool:
    if isinstance(values, np.ndarray | jax.Array):
        return values.ndim == 1
    return isinstance(values, Collection) and not isinstance(values, str)


def _range(name: str, source: Mapping[str, Any]) -> dict[str, float]:
    """The labelled values of a linear or log range."""
    (kind, numbers_), *more = source.items()
    if more or not isinstance(numbers_, Sequence) or not all(map(_is_number, numbers_)):
        raise ValueError(f"{name}: a range is one {{linear: [start, stop, count]}}, got {source!r}")
    if len(numbers_) != 3 or not (numbers_[2] >= 2 and float(numbers_[2]).is_integer()):
        raise ValueError(
            f"{name}: a range is {{{kind}: [start, stop, count]}} with a count of 2 or more, got "
            f"{list(numbers_)}"
        )
    start, stop, count = numbers_
    if count > _MOST_POINTS:
        raise ValueError(f"{name}: a range has at most {_MOST_POINTS} values, got {count:g}")
    if not (math.isfinite(start) and math.isfinite(stop)) or start == stop:
        raise ValueError(f"{name}: a range needs two different finite ends, got {list(numbers_)}")
    if kind == "log" and not (start > 0 and stop > 0):
        raise ValueError(f"{name}: a log range needs ends > 0, got {list(numbers_)}; use linear")
    # Twelve digits: 0.3 and not 0.30000000000000004, in coordinates and in selections by value.
    tiny = 1e-12 * max(abs(start), abs(stop)) if kind == "linear" else 0.0
    exact = _RANGES[kind](start, stop, int(count))
    values = [float(f"{x:.12g}") if abs(x) > tiny else 0.0 for x in exact]
    if len(set(values)) < len(values):
        raise ValueError(f"{name}: a range must differ within 12 digits, got {list(numbers_)}")
    return {_label(value): value for value in values}


def _label(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, eqx.Module):
        leaves = [x for x in jax.tree.leaves(value) if eqx.is_array_like(x) and np.ndim(x) == 0]
        return f"{type(value).__name__}({', '.join(f'{float(leaf):g}' for leaf in leaves)})"
    return str(value)
