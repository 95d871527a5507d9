"""What of a result goes to the store: means and standard errors, single trajectories if asked."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from ..numerics.labels import Labelled
from ..numerics.statistics import Estimate
from ._outcome import Outcome
from ._plan import Plan, Unit

# Where trajectories come in several blocks, what each block adds to the statistics.
PARTIAL = {"_block_mean": "mean over the block", "_block_square": "squared deviations in the block"}


@dataclasses.dataclass(frozen=True)
class Variable:
    """An array of the store, one chunk per unit."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: str
    units: str
    long_name: str


def store_variables(
    outcome: Outcome, plan: Plan, dims: tuple[str, ...], keep: bool, dtype: str
) -> dict[str, Variable]:
    """All arrays of the store by name; `keep` adds those of single trajectories."""
    found = {}

    def add(
        name: str, inner: Labelled, along: Mapping[str, tuple[int, int]], words: str, kind: str
    ):
        found[name] = Variable(
            (*dims, *along, *inner.dims),
            (*plan.grid_shape, *(size for size, _ in along.values()), *inner.values),
            (*plan.points, *(chunk for _, chunk in along.values()), *inner.values),
            kind,
            inner.units,
            words,
        )

    for name, inner in outcome.variables.items():
        words = inner.long_name
        add(name, inner, {}, words, "float64")
        add(f"{name}_standard_error", inner, {}, f"standard error of {words}", "float64")
        if plan.n_blocks > 1:
            for suffix, meaning in PARTIAL.items():
                block = {"block": (plan.n_blocks, 1)}
                add(name + suffix, inner, block, f"{meaning} of {words}", "float64")
        if keep:
            each = {"trajectory": (plan.n_trajectories, plan.trajectories)}
            add(f"{name}_trajectories", inner, each, f"{words}, single trajectories", dtype)
    return found


def unit_values(
    results: Mapping[str, np.ndarray], unit: Unit, plan: Plan, keep: bool
) -> dict[str, np.ndarray]:
    """What a unit writes, from its results `[point, trajectory, ...]`."""
    found = {}
    for name, values in results.items():
        values = values.reshape(*unit.shape, *values.shape[1:])
        axis = len(unit.shape)
        if plan.n_blocks == 1:
            found[name], found[f"{name}_standard_error"] = Estimate.of(values, axis)
        else:
            wide = values.astype(float)
            mean = wide.mean(axis, keepdims=True)
            with np.errstate(invalid="ignore"):  # infinite values have no error
                square = ((wide - mean) ** 2).sum(axis, keepdims=True)
            found[f"{name}_block_mean"], found[f"{name}_block_square"] = mean, square
        if keep:
            found[f"{name}_trajectories"] = values
    return found


def region(dims: tuple[str, ...], unit: Unit) -> tuple[slice, ...]:
    """Where a unit's part of an array with these dims lies."""
    if "block" in dims:
        return (*unit.region, slice(unit.block, unit.block + 1))
    if "trajectory" in dims:
        last = unit.first_trajectory + unit.n_trajectories
        return (*unit.region, slice(unit.first_trajectory, last))
    return unit.region


def combine(means: np.ndarray, squares: np.ndarray, plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard error of all trajectories from what their blocks wrote.

    Source: Chan, Golub and LeVeque 1983, The American Statistician 37, 242.
    """
    axis = len(plan.grid_shape)
    counts = np.full(plan.n_blocks, plan.trajectories)
    counts[-1] = plan.n_trajectories - counts[:-1].sum()
    weights = counts.reshape((-1,) + (1,) * (means.ndim - axis - 1))
    total = counts.sum()
    mean = (weights * means).sum(axis) / total
    with np.errstate(invalid="ignore"):
        between = (weights * (means - np.expand_dims(mean, axis)) ** 2).sum(axis)
    variance = (squares.sum(axis) + between) / (total - 1)
    return mean, np.sqrt(variance / total)
