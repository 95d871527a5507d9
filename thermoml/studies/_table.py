"""Numbers of a study: labelled variables, entries of a summary, columns of them, table cells."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..numerics.labels import Labelled
from ..numerics.statistics import Estimate, text_with_error

if TYPE_CHECKING:
    import xarray

_Summary = Mapping[str, Any]


def per_trajectory(values: Any, units: str, words: str, replicates: str = "trajectory") -> Labelled:
    """One number for each trajectory, or for each of other replicates."""
    return Labelled((replicates,), values, units, words)


def once(value: Any, units: str, words: str) -> Labelled:
    """A number without noise, the same for all trajectories of a point."""
    return Labelled((), value, units, words)


def measured(entry: "xarray.Dataset", name: str) -> dict[str, Any]:
    """A mean with its standard error at one point, `{"mean": ..., "standard_error": ...}`."""
    return Estimate(entry[name], entry[f"{name}_standard_error"]).as_dict()


def deviation(entry: "xarray.Dataset", name: str) -> float:
    """How many standard errors a measurement is away from `predicted_<name>`; 0 without errors."""
    error = float(entry[f"{name}_standard_error"])
    return (float(entry[name]) - float(entry[f"predicted_{name}"])) / error if error else 0.0


def compared(entry: "xarray.Dataset", name: str) -> dict[str, Any]:
    """A mean with its standard error, `predicted`, and their `deviation` in standard errors."""
    return measured(entry, name) | {
        "predicted": float(entry[f"predicted_{name}"]),
        "deviation": deviation(entry, name),
    }


def numbers(values: Iterable[float | None]) -> np.ndarray:
    """The values as an array, NaN for None."""
    return np.asarray([np.nan if value is None else value for value in values], float)


def column(entries: Sequence[_Summary]) -> Estimate:
    """Means and standard errors of entries of a summary, NaN for None."""
    names = ("mean", "standard_error")
    return Estimate(*(numbers([entry[name] for entry in entries]) for name in names))


def stored(results: "xarray.Dataset", name: str) -> Estimate:
    """Means and standard errors of a variable of the store, over all points."""
    return Estimate(results[name].values, results[f"{name}_standard_error"].values)


def error_text(estimate: _Summary) -> str:
    """An entry of a summary as `0.284 ± 0.066`, whatever else it holds."""
    return text_with_error(estimate["mean"], estimate["standard_error"])


def sample_text(n_trajectories: int) -> str:
    """The sentence below a table that says which sample its numbers are means of."""
    if n_trajectories == 1:
        return "one trajectory, which has no standard error"
    return f"mean of {n_trajectories} trajectories ± standard error"
