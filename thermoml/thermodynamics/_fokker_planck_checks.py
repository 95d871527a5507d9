"""What can be seen to be wrong with a Fokker-Planck equation, or with its grid."""

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..numerics.arrays import default_float, is_concrete
from ..numerics.checks import check_bound
from ._grid import Axis

if TYPE_CHECKING:
    from ._fokker_planck import FokkerPlanck

_COARSE = 2.0  # |drift| · cell / diffusion beyond which a grid is refused
_SEEN = 1e-6  # density, beside the largest, below which a cell does not matter
_BETWEEN = 8  # places looked up in a cell that is too large


def check_equation(equation: "FokkerPlanck", t: Any) -> None:
    """ValueError for baths, potential or ends that will not do at time t, unless traced."""
    if is_concrete((equation, t)):
        with jax.ensure_compile_time_eval():  # inside jit too
            _check_equation(equation, t)


def _check_equation(equation: "FokkerPlanck", t: Any) -> None:
    temperature, mobility = equation.baths(t)
    for name, values in (("temperature", temperature), ("mobility", mobility)):
        check_bound(name, values, ">", 0.0, "Fokker-Planck needs noise on every axis")
    energy = np.asarray(equation.potential(t))
    if not np.isfinite(energy).all():
        raise ValueError("the potential must be finite on the grid; take its ends further in")
    weight = np.exp(-(energy - energy.min()) / np.asarray(temperature).max())
    for i, axis in enumerate(equation.axes):
        if axis.periodic:
            _check_periodic(equation, i, t)
        elif axis.boundary == "natural":
            _check_ends(i, axis, weight)


def check_density(equation: "FokkerPlanck", times: Iterable[Any], density: Array) -> None:
    """ValueError where a density gets to a natural end, or its cells are too coarse at a time."""
    if not is_concrete((equation, times, density)):
        return
    relative = np.asarray(density, float) / float(jnp.max(density))
    for i, axis in enumerate(equation.axes):
        rows = np.moveaxis(relative, i, 0)
        for end, row in ((axis.lower, rows[0]), (axis.upper, rows[-1])):
            if axis.boundary == "natural" and row.max() > _SEEN:
                raise _too_short(i, end, row)
    for i, axis in enumerate(equation.axes):
        found = [_coarse(equation, i, t, relative) for t in times]
        needed, push, place = max(found)
        if push > _COARSE:
            raise ValueError(
                f"axis {i} is too coarse for the drift: at {place:.4g} the force times the cell is "
                f"{push:.3g} T, more than {_COARSE:g}; use at least {needed} cells instead of "
                f"{axis.cells}"
            )


def _coarse(
    equation: "FokkerPlanck", i: int, t: Any, density: np.ndarray
) -> tuple[int, float, float]:
    """Cells that axis i needs at a time, |drift| · cell / diffusion at its worst, and where."""
    axis = equation.axes[i]
    pushes = _pushes(equation, i, t, density > _SEEN)
    worst = np.unravel_index(np.argmax(pushes), pushes.shape)
    shown = float(pushes[worst]), float(axis.faces[worst[i]])
    if pushes[worst] <= _COARSE:
        return 0, *shown
    # The steepest place may lie between these cells: ln p + U/T is smooth, and flat in equilibrium.
    finer = dataclasses.replace(axis, cells=_BETWEEN * axis.cells)
    axes = [finer if j == i else other for j, other in enumerate(equation.axes)]
    between = dataclasses.replace(equation, axes=axes)
    temperature = float(equation.baths(t)[0][i])
    smooth = np.log(np.maximum(density, 1e-300)) + np.asarray(equation.potential(t)) / temperature
    period = axis.upper - axis.lower if axis.periodic else None
    smooth = np.apply_along_axis(
        lambda line: np.interp(finer.centres, axis.centres, line, period=period), i, smooth
    )
    seen = smooth - np.asarray(between.potential(t)) / temperature > np.log(_SEEN)
    steepest = max(_BETWEEN * _pushes(between, i, t, seen).max(), pushes[worst])
    return int(np.ceil(1.01 * axis.cells * steepest / _COARSE)) + 1, *shown


def _pushes(equation: "FokkerPlanck", i: int, t: Any, seen: np.ndarray) -> np.ndarray:
    """|drift| · cell / diffusion between cells that are both seen."""
    affinity = np.abs(np.asarray(equation.rates(t).affinity[i]))
    return np.where(seen & np.roll(seen, -1, i), affinity, 0)


def _check_periodic(equation: "FokkerPlanck", i: int, t: Any) -> None:
    control = equation.system.control_at(jnp.asarray(t, default_float()))
    system, ends = equation.system, []
    for end in (equation.axes[i].lower, equation.axes[i].upper):
        coordinates = [
            jnp.asarray([end], default_float()) if j == i else axis.centres
            for j, axis in enumerate(equation.axes)
        ]
        shown = [equation.on_grid(lambda x: system.energy(x, control, None), coordinates)]
        if system.drive is not None:
            force = equation.on_grid(lambda x: system.drive_force(x, control, None), coordinates)
            shown += jax.tree.leaves(force)
        ends.append([np.asarray(value) for value in shown])
    span = np.ptp(np.asarray(equation.potential(t))) + float(np.max(equation.baths(t)[0]))
    slack = 1e-6 if default_float() == jnp.float64 else 1e-4
    for n, (lower, upper) in enumerate(zip(*ends, strict=True)):
        scale = span if n == 0 else 1 + np.abs(lower).max()
        apart = np.abs(upper - lower).max()
        if apart > slack * scale:
            raise ValueError(
                f"the {'drive' if n else 'potential'} must be the same at both ends of periodic "
                f"axis {i}, it differs by {apart:.3g}; move the ends, or put a tilt into the drive"
            )


def _check_ends(i: int, axis: Axis, weight: np.ndarray) -> None:
    rows = np.moveaxis(weight, i, 0)
    for end, row, inner in (
        (axis.lower, rows[0], rows[len(rows) // 8]),
        (axis.upper, rows[-1], rows[-1 - len(rows) // 8]),
    ):
        if row.max() <= _SEEN:
            continue
        if row.max() >= inner.max():
            raise ValueError(
                f"the potential does not rise towards {end:g}, the end of natural axis {i}, so "
                'its density cannot be normalised there; use boundary="reflecting" for a wall'
            )
        raise _too_short(i, end, row)


def _too_short(i: int, end: float, row: np.ndarray) -> ValueError:
    return ValueError(
        f"natural axis {i} is too short: at its end {end:g} the density is still "
        f"{row.max():.2g} of the largest; move it out"
    )
