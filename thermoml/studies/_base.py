"""What every study offers: a function over a grid, a summary, a table and figures."""

import abc
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Array

from ..langevin import SimulationDiverged
from ..numerics.labels import Labelled
from ..sweeps import Grid

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


class AbstractStudy(abc.ABC):
    """One kind of study, for one config. Instances travel to other processes."""

    static: tuple[str, ...] = ()  # floats of the grid that fix shapes

    def __init__(self, config: Any):
        self.config = config

    @property
    @abc.abstractmethod
    def grid(self) -> Grid:
        """The parameters that change."""

    @abc.abstractmethod
    def point(self, ensemble: Mapping[str, Any], **parameters: Any) -> Any:
        """The results at one point of the grid, as `sweep` takes them."""

    def points(self, results: "xarray.Dataset") -> Iterator[tuple[str, dict[str, Any], Any]]:
        """Label, parameters and results of each point."""
        for index in np.ndindex(self.grid.shape):
            entry = results.isel(dict(zip(self.grid.dims, index, strict=True)))
            yield self.grid.label(index), self.grid.point(index), entry

    @abc.abstractmethod
    def check(self, results: "xarray.Dataset") -> None:
        """Warn of results that need care.

        Raises:
            SimulationDiverged: trajectories turned non-finite; what is good of them is kept.
        """

    def refuse_lost(self, results: "xarray.Dataset", what: str) -> None:
        """SimulationDiverged where not all trajectories are finite; `what` and what to do."""
        lost = [label for label, _, entry in self.points(results) if float(entry.diverged) > 0]
        if lost:
            more = f", and at {len(lost) - 1} more points" if len(lost) > 1 else ""
            raise SimulationDiverged(f"at {lost[0]}{more}: {what}", results)

    @abc.abstractmethod
    def summary(self, results: "xarray.Dataset") -> dict[str, Any]:
        """The headline numbers with their standard errors."""

    @abc.abstractmethod
    def table(self, summary: Mapping[str, Any]) -> str:
        """The summary for a terminal."""

    @abc.abstractmethod
    def figures(self, results: "xarray.Dataset") -> "dict[str, Figure]":
        """The figures by file name."""


def per_trajectory(values: Array, units: str, words: str) -> Labelled:
    """One number for each trajectory."""
    return Labelled(("trajectory",), values, units, words)


def pair(entry: Any, name: str) -> dict[str, float]:
    """A mean with its standard error, for a summary."""
    return {
        "mean": float(entry[name]),
        "standard_error": float(entry[f"{name}_standard_error"]),
    }


def deviation(entry: Any, name: str) -> float:
    """How many standard errors a measurement is from its prediction."""
    error = float(entry[f"{name}_standard_error"])
    return (float(entry[name]) - float(entry[f"predicted_{name}"])) / error if error else 0.0
