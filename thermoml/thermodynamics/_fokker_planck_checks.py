"""Validation of a Fokker-Planck equation and its grid."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from ..langevin import Baths, Langevin, Time
from ..numerics.arrays import default_float
from ..numerics.checks import check_bound
from ._grid import Axis, Rates, on_grid
from ._grid_system import GridSystem

_COARSE = 2.0  # |drift| · cell / diffusion above which a grid is refused
_NEGLIGIBLE = 1e-6  # density, relative to the largest, below which a cell does not matter
_REFINEMENT = 8  # finer cells in each cell that is too large


def check_shapes(system: Langevin, state: PyTree[Array]) -> None:
    """An error unless the potential is a scalar, and the drive like the state."""
    control = system.control_at(jnp.asarray(0.0, default_float()))
    energy = jax.eval_shape(lambda x: system.energy(x, control, None), state)
    if getattr(energy, "shape", None) != ():
        raise TypeError(
            f"the potential of the system must return a scalar, got {energy}; sum over the elements"
        )
    drive = jax.eval_shape(lambda x: system.drive_force(x, control, None), state)
    shapes = [jax.tree.map(jnp.shape, tree) for tree in (drive, state)]
    if drive is not None and shapes[0] != shapes[1]:
        raise ValueError(
            f"the drive of the system must return a force like the state {shapes[1]}, got "
            f"{shapes[0]}"
        )


def check_system(system: GridSystem) -> None:
    """ValueError for baths that are not positive, or an unsuitable potential or end of an axis."""
    for name, values in (
        ("temperature", system.baths.temperature),
        ("mobility", system.baths.mobility),
    ):
        check_bound(name, values, ">", 0.0, "Fokker-Planck needs noise on every axis")
    energy = np.asarray(system.energy)
    if not np.isfinite(energy).all():
        raise ValueError("the potential must be finite on the grid; take its ends further in")
    for i, axis in enumerate(system.axes):
        if axis.periodic:
            _check_periodic(system, i)
        elif "natural" in axis.ends:
            temperature = float(system.baths.temperature[i])  # of this axis: others do not push
            _check_natural(axis, i, np.exp(-(energy - energy.min()) / temperature))


class Extremes(NamedTuple):
    """Extremes over all steps of an evolution.

    Attributes:
        highest: the density of each cell relative to the largest of its time, `(cells…)`.
        steepest: |drift| · cell / diffusion where the density matters, of each axis.
        when: the time of it, of each axis.
        density: the relative density then, `(axis, cells…)`.
        coldest: the least temperature or mobility.
    """

    highest: Float[Array, "..."]
    steepest: Float[Array, " axis"]
    when: Float[Array, " axis"]
    density: Float[Array, "axis ..."]
    coldest: Float[Array, ""]

    @classmethod
    def at(cls, density: Float[Array, "..."], rates: Rates, baths: Baths, t: Time) -> "Extremes":
        """Of one density and the rates and baths of its time."""
        relative = density / jnp.max(density)
        matters = relative > _NEGLIGIBLE
        steepest = jnp.stack(
            [
                jnp.max(jnp.where(matters & jnp.roll(matters, -1, i), jnp.abs(affinity), 0))
                for i, affinity in enumerate(rates.affinity)
            ]
        )
        return cls(
            relative,
            steepest,
            jnp.full(steepest.shape, t, density.dtype),
            jnp.broadcast_to(relative, (*steepest.shape, *relative.shape)),
            jnp.minimum(jnp.min(baths.temperature), jnp.min(baths.mobility)),
        )

    def joined(self, later: "Extremes") -> "Extremes":
        """The extremes of both; a NaN stays."""
        steeper = later.steepest > self.steepest
        cells = (...,) + (None,) * self.highest.ndim
        return Extremes(
            jnp.maximum(self.highest, later.highest),
            jnp.maximum(self.steepest, later.steepest),
            jnp.where(steeper, later.when, self.when),
            jnp.where(steeper[cells], later.density, self.density),
            jnp.minimum(self.coldest, later.coldest),
        )


def check_extremes(extremes: Extremes, at: Callable[[Any], GridSystem]) -> None:
    """ValueError if the density reached a natural end, or cells were too coarse, at any step."""
    check_bound("temperature and mobility", extremes.coldest, ">", 0.0, "at all times")
    check_ends(at(extremes.when[0]).axes, extremes.highest)
    for i, (t, density) in enumerate(zip(extremes.when, extremes.density, strict=True)):
        check_cells(at(t), i, np.asarray(density, float))


def check_density(system: GridSystem, density: Float[Array, "..."]) -> None:
    """ValueError for a density that reaches a natural end, or for cells too coarse for it."""
    relative = np.asarray(density, float) / float(jnp.max(density))
    check_ends(system.axes, relative)
    for i in range(len(system.axes)):
        check_cells(system, i, relative)


def check_ends(axes: tuple[Axis, ...], relative: Any) -> None:
    """ValueError for a density, relative to the largest, that reaches a natural end."""
    for i, axis in enumerate(axes):
        rows = np.moveaxis(np.asarray(relative), i, 0)
        for kind, end, row in zip(
            axis.ends, (axis.lower, axis.upper), (rows[0], rows[-1]), strict=True
        ):
            if kind == "natural" and row.max() > _NEGLIGIBLE:
                raise _too_short(i, end, row)


def check_cells(system: GridSystem, i: int, relative: np.ndarray) -> None:
    """ValueError for cells of axis i too coarse for the drift where the density matters."""
    needed, push, place = _coarseness(system, i, relative)
    if push > _COARSE:
        raise ValueError(
            f"axis {i} is too coarse for the drift: at {place:.4g} the force times the cell is "
            f"{push:.3g} T, more than {_COARSE:g}; use at least {needed} cells instead of "
            f"{system.axes[i].cells}"
        )


def _coarseness(system: GridSystem, i: int, density: np.ndarray) -> tuple[int, float, float]:
    """Number of cells that axis i needs (0 if they suffice), the largest push, and its place."""
    axis = system.axes[i]
    pushes = _pushes(system, i, density > _NEGLIGIBLE)
    worst = np.unravel_index(np.argmax(pushes), pushes.shape)
    push, place = float(pushes[worst]), float(axis.faces[worst[i]])
    if push <= _COARSE:
        return 0, push, place
    # The steepest place may lie between these cells: ln p + U/T is smooth, and flat in equilibrium.
    finer = dataclasses.replace(axis, cells=_REFINEMENT * axis.cells)
    axes = tuple(finer if j == i else other for j, other in enumerate(system.axes))
    refined = dataclasses.replace(system, axes=axes)
    temperature = float(system.baths.temperature[i])
    smooth = np.log(np.maximum(density, 1e-300)) + np.asarray(system.energy) / temperature
    period = axis.upper - axis.lower if axis.periodic else None
    smooth = np.apply_along_axis(
        lambda line: np.interp(finer.centres, axis.centres, line, period=period), i, smooth
    )
    matters = smooth - np.asarray(refined.energy) / temperature > np.log(_NEGLIGIBLE)
    steepest = max(_REFINEMENT * _pushes(refined, i, matters).max(), push)
    return int(np.ceil(1.01 * axis.cells * steepest / _COARSE)) + 1, push, place


def _pushes(system: GridSystem, i: int, matters: np.ndarray) -> np.ndarray:
    """|drift| · cell / diffusion over the faces of axis i, 0 unless both cells matter."""
    affinity = np.abs(np.asarray(system.rates().affinity[i]))
    return np.where(matters & np.roll(matters, -1, i), affinity, 0)


def _check_periodic(system: GridSystem, i: int) -> None:
    """ValueError unless potential and drive are the same at both ends of axis i."""
    span = np.ptp(np.asarray(system.energy)) + float(np.max(system.baths.temperature))
    slack = 1e-6 if default_float() == jnp.float64 else 1e-4
    for name, function in (("potential", system.potential), ("drive", system.drive)):
        if function is None:
            continue
        lower, upper = (
            np.asarray(on_grid(function, system.across(i, end)))
            for end in (system.axes[i].lower, system.axes[i].upper)
        )
        difference = np.abs(upper - lower).max()
        scale = span if name == "potential" else 1 + np.abs(lower).max()
        if difference > slack * scale:
            raise ValueError(
                f"the {name} must be the same at both ends of periodic axis {i}, it differs by "
                f"{difference:.3g}; move the ends, or put a tilt into the drive"
            )


def _check_natural(axis: Axis, i: int, weight: np.ndarray) -> None:
    """ValueError unless the Boltzmann weight vanishes at the natural ends of axis i."""
    rows = np.moveaxis(weight, i, 0)
    for kind, end, row, inner in (
        (axis.ends[0], axis.lower, rows[0], rows[len(rows) // 8]),
        (axis.ends[1], axis.upper, rows[-1], rows[-1 - len(rows) // 8]),
    ):
        if kind != "natural" or row.max() <= _NEGLIGIBLE:
            continue
        if row.max() >= inner.max():
            raise ValueError(
                f"the potential does not rise towards {end:g}, the end of natural axis {i}, so "
                'its density cannot be normalised there; use boundary="reflecting" for a wall'
            )
        raise _too_short(i, end, row)


def _too_short(i: int, end: float, row: np.ndarray | np.floating) -> ValueError:
    return ValueError(
        f"natural axis {i} is too short: at its end {end:g} the density is still "
        f"{row.max():.2g} of the largest; move it out"
    )
