"""What every study offers: labelled work units, a summary, a table and figures."""

import abc
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..numerics._labels import Labelled

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


class AbstractStudy(abc.ABC):
    """One kind of study, for one config."""

    def __init__(self, config: Any):
        self.config = config

    @property
    @abc.abstractmethod
    def unit_labels(self) -> list[str]:
        """A name for each work unit, in order."""

    @abc.abstractmethod
    def coordinates(self) -> dict[str, Labelled]:
        """The coordinates of the results."""

    @abc.abstractmethod
    def variables(self) -> dict[str, Labelled]:
        """The variables of the results, unit axis first, with shapes where values would be."""

    @abc.abstractmethod
    def run(self, unit: int, meter: Any) -> dict[str, np.ndarray]:
        """All variables of one unit. A `SimulationDiverged` carries them in `.good_part`."""

    @abc.abstractmethod
    def summary(self, results: "xarray.Dataset") -> dict[str, Any]:
        """The headline numbers with their standard errors."""

    @abc.abstractmethod
    def table(self, summary: Mapping[str, Any]) -> str:
        """The summary for a terminal."""

    @abc.abstractmethod
    def figures(self, results: "xarray.Dataset") -> "dict[str, Figure]":
        """The figures by file name."""


def mean_and_error(values: np.ndarray, axis: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Mean over an axis and its standard error, which is NaN for a single value."""
    values = np.asarray(values, float)
    count = values.shape[axis]
    mean = values.mean(axis)
    if count == 1:
        return mean, np.full_like(mean, np.nan)
    return mean, values.std(axis, ddof=1) / np.sqrt(count)
