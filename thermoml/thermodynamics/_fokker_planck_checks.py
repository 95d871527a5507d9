"""What can be seen to be wrong with a Fokker-Planck equation, or with its grid."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..numerics._arrays import default_float, is_concrete
from ..numerics._checks import check_bound
from ._grid import Axis

if TYPE_CHECKING:
    from ._fokker_planck import FokkerPlanck

_COARSE = 2.0  # |drift| · cell / diffusion beyond which a grid is refused
_SEEN = 1e-6  # density, beside the largest, below which a cell does not matter


def check_equation(equation: "FokkerPlanck", t: Any) -> None:
    """ValueError for baths, potential or ends that will not do at time t, unless traced."""
    if not is_concrete((equation, t)):
        return
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


def check_coarse(equation: "FokkerPlanck", times: Iterable[Any], density: Array) -> None:
    """ValueError where the drift across a cell outweighs diffusion, at any of the times."""
    if not is_concrete((equation, times, density)):
        return
    seen = np.asarray(density) > _SEEN * float(jnp.max(density))
    for t in times:
        for i, (axis, x) in enumerate(zip(equation.axes, equation.rates(t).affinity, strict=True)):
            pushes = np.where(seen & np.roll(seen, -1, i), np.abs(np.asarray(x)), 0)
            worst = np.unravel_index(np.argmax(pushes), pushes.shape)
            if pushes[worst] > _COARSE:
                needed = int(np.ceil(axis.cells * pushes[worst] / _COARSE)) + 1
                raise ValueError(
                    f"axis {i} is too coarse for the drift: at {float(axis.faces[worst[i]]):.4g} "
                    f"the force times the cell is {pushes[worst]:.3g} T, more than {_COARSE:g}; "
                    f"use at least {needed} cells instead of {axis.cells}"
                )


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
        if row.max() <= 1e-6:
            continue
        if row.max() >= inner.max():
            raise ValueError(
                f"the potential does not rise towards {end:g}, the end of natural axis {i}, so "
                'its density cannot be normalised there; use boundary="reflecting" for a wall'
            )
        raise ValueError(
            f"natural axis {i} is too short: at its end {end:g} the density is still "
            f"{row.max():.2g} of the largest; move it out"
        )
