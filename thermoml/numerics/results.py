"""The base class of results: what they print."""

import abc
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import numpy as np

from .arrays import is_concrete
from .statistics import Estimate


class AbstractResult(eqx.Module):
    """A result, which prints its numbers: a heading, then a line for each quantity.

    Subclasses define them by `_summary`. Traced, it prints its name alone.
    """

    @abc.abstractmethod
    def _summary(self) -> tuple[str, Mapping[str, Any]]:
        """The heading, and what is printed below it by name.

        Values may be texts, numbers, arrays and `Estimate`s of any shape. The heading of a table
        may have several lines.
        """

    def __str__(self) -> str:
        if not is_concrete(self):
            return f"{type(self).__name__} (traced)"
        heading, rows = self._summary()
        width = max(map(len, rows), default=0)
        lines = [f"  {name:<{width}}  {value_text(value)}".rstrip() for name, value in rows.items()]
        return "\n".join([heading, *lines])

    def __repr__(self) -> str:
        return str(self)


def value_text(value: Any) -> str:
    """A number, an array of them or an `Estimate` as text; words are themselves."""
    if isinstance(value, str | Estimate):
        return str(value)
    array = np.asarray(value)
    if array.ndim == 0 and array.dtype.kind == "b":
        return "yes" if array else "no"
    if array.ndim == 0:
        return f"{array[()]:.6g}" if array.dtype.kind in "iuf" else str(value)
    return np.array2string(array, precision=5, threshold=8)
