"""Arrays of a sweep's store: means, standard errors, exact values and single replicates."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from ..numerics.statistics import Estimate
from ._outcome import BLOCK, Outcome, Quantity, each_name
from ._plan import Plan, Unit

# Arrays that blocks of replicates write: for the mean, its error, and exact values.
BLOCK_MEAN, BLOCK_SQUARE, BLOCK_VALUE = "_block_mean", "_block_square", "_block_value"
_MEANINGS = {
    BLOCK_MEAN: "mean over the block",
    BLOCK_SQUARE: "squared deviations in the block",
    BLOCK_VALUE: "value in the block",
}
_REAL = ("_standard_error", BLOCK_SQUARE)  # arrays of real numbers, also of complex results
_ROUNDING = 1e-5  # relative to the largest element: above rounding, below any sampling error


@dataclasses.dataclass(frozen=True)
class Variable:
    """An array of the store, one chunk per unit."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: str
    units: str
    long_name: str


@dataclasses.dataclass(frozen=True)
class Kept:
    """The parts of the replicates that the store holds in addition to their mean.

    Attributes:
        single: the replicates themselves, as `heat_trajectories`.
        standard_errors: the standard error of the mean, as `heat_standard_error`.
    """

    single: bool
    standard_errors: bool

    def suffixes(self) -> list[str]:
        """The arrays that blocks of replicates write, combined once all are there."""
        return [BLOCK_MEAN, BLOCK_SQUARE] if self.standard_errors else [BLOCK_MEAN]


def store_variables(
    outcome: Outcome, plan: Plan, dims: tuple[str, ...], kept: Kept
) -> dict[str, Variable]:
    """All arrays of the store by name, for a grid along `dims`.

    Single replicates and exact integers have the dtype of the results; all else is in double
    precision, complex where the results are.
    """
    variables = {}

    def add(name: str, inner: Quantity, along: Mapping[str, tuple[int, int]], words: str) -> None:
        dtype = "complex128" if inner.kind == "c" and not name.endswith(_REAL) else "float64"
        if plan.replicates in along or (inner.exact and inner.kind in "iu"):
            dtype = inner.dtype
        variables[name] = Variable(
            (*dims, *along, *inner.dims),
            (*plan.grid_shape, *(size for size, _ in along.values()), *inner.shape),
            (*plan.points, *(chunk for _, chunk in along.values()), *inner.shape),
            dtype,
            inner.units,
            words,
        )

    for name, inner in outcome.variables.items():
        words = inner.long_name
        add(name, inner, {}, words)
        if kept.standard_errors and not inner.exact:
            add(f"{name}_standard_error", inner, {}, f"standard error of {words}")
        if plan.n_blocks > 1:
            for suffix in [BLOCK_VALUE] if inner.exact else kept.suffixes():
                block = {BLOCK: (plan.n_blocks, 1)}
                add(name + suffix, inner, block, f"{_MEANINGS[suffix]} of {words}")
        if kept.single and not inner.exact:
            each = {plan.replicates: (plan.n_trajectories, plan.trajectories)}
            several = each_name("", plan.replicates)[1:].replace("_", " ")
            add(each_name(name, plan.replicates), inner, each, f"{words}, single {several}")
    return variables


def unit_values(
    results: Mapping[str, np.ndarray],
    quantities: Mapping[str, Quantity],
    unit: Unit,
    plan: Plan,
    kept: Kept,
) -> dict[str, np.ndarray]:
    """The arrays that a unit writes, from its results `[point, replicate, ...]` or `[point, ...]`.

    Args:
        results: by name; exact ones without the axis of replicates.
        quantities: their dims and shapes, by name.
    """
    written = {}
    axis = len(unit.shape)
    for name, values in results.items():
        values = values.reshape(*unit.shape, *values.shape[1:])
        if quantities[name].exact:
            written |= _exact_values(name, values, plan, axis)
            continue
        if plan.n_blocks == 1:
            estimate = _estimate(wide(values), axis)
            written[name] = estimate.mean
            if kept.standard_errors:
                written[f"{name}_standard_error"] = estimate.standard_error
        else:
            numbers = wide(values)
            mean = written[name + BLOCK_MEAN] = numbers.mean(axis, keepdims=True)
            if kept.standard_errors:
                with np.errstate(invalid="ignore"):  # infinite values have no error
                    square = (np.abs(numbers - mean) ** 2).sum(axis, keepdims=True)
                written[name + BLOCK_SQUARE] = square
        if kept.single:
            written[each_name(name, plan.replicates)] = values
    return written


def _exact_values(name: str, values: np.ndarray, plan: Plan, axis: int) -> dict[str, np.ndarray]:
    kept = values if values.dtype.kind in "iu" else wide(values)
    if plan.n_blocks == 1:
        return {name: kept}
    return {name + BLOCK_VALUE: np.expand_dims(kept, axis)}


def wide(values: np.ndarray) -> np.ndarray:
    """The values in double precision."""
    return values.astype(complex if values.dtype.kind == "c" else float)


def _estimate(values: np.ndarray, axis: int) -> Estimate:
    r"""The mean and its standard error; of complex numbers that of $|x - \bar x|$."""
    if values.dtype.kind != "c":
        return Estimate.of(values, axis)
    parts = [Estimate.of(part, axis) for part in (np.real(values), np.imag(values))]
    errors = np.hypot(*(part.standard_error for part in parts))
    return Estimate(parts[0].mean + 1j * parts[1].mean, errors)


def region(dims: tuple[str, ...], unit: Unit, plan: Plan) -> tuple[slice, ...]:
    """The place of a unit's part in an array with these dims."""
    if BLOCK in dims:
        return (*unit.region, slice(unit.block, unit.block + 1))
    if plan.replicates in dims:
        last = unit.first_trajectory + unit.n_trajectories
        return (*unit.region, slice(unit.first_trajectory, last))
    return unit.region


def combine(means: np.ndarray, squares: np.ndarray | None, plan: Plan) -> Estimate:
    """Mean of all replicates, and its standard error, from what their blocks wrote.

    Args:
        means, squares: `[..., block, ...]` with the blocks behind the grid's axes; without the
            squared deviations the standard error is NaN.

    Source: Chan, Golub and LeVeque 1983, The American Statistician 37, 242.
    """
    axis = len(plan.grid_shape)
    counts = np.full(plan.n_blocks, plan.trajectories)
    counts[-1] = plan.n_trajectories - counts[:-1].sum()
    weights = counts.reshape((-1,) + (1,) * (means.ndim - axis - 1))
    total = counts.sum()
    mean = (weights * means).sum(axis) / total
    if squares is None:
        return Estimate(mean, np.full(mean.shape, np.nan))
    with np.errstate(invalid="ignore"):
        between = (weights * np.abs(means - np.expand_dims(mean, axis)) ** 2).sum(axis)
    variance = (squares.sum(axis) + between) / (total - 1)
    return Estimate(mean, np.sqrt(variance / total))


def agreed(name: str, values: np.ndarray, plan: Plan) -> np.ndarray:
    """The exact value of the first block, once all blocks of a point agree.

    Args:
        name: the variable's, for the error.
        values: `[..., block, ...]` with the blocks behind the grid's axes.

    Raises:
        ValueError: blocks differ by more than rounding.
    """
    axis = len(plan.grid_shape)
    first = values.take([0], axis)
    inner = tuple(range(axis, values.ndim))
    scale = np.max(np.abs(first), axis=inner, keepdims=True, initial=0, where=np.isfinite(first))
    with np.errstate(invalid="ignore"):
        close = np.abs(values - first) <= _ROUNDING * scale
    same = close | (values == first) | (np.isnan(values) & np.isnan(first))
    if not same.all():
        raise ValueError(
            f"the function's {name} must be the same whatever replicates it is called for, for its "
            f"dims lack {plan.replicates!r}, but blocks of one point differ; give it one row for "
            f"each {plan.replicates.replace('_', ' ')}"
        )
    return first.squeeze(axis)
