"""A Langevin system on the cells of a grid, with control and baths of one time."""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..langevin import Baths
from ..numerics.arrays import is_concrete
from ._grid import Axis, Rates, bernoulli, cell_size, on_grid


class GridSystem(eqx.Module):
    """Potential, drive and baths of one time as functions of a vector of coordinates.

    Attributes:
        axes: of the grid.
        potential: `x -> U` of a vector `(axis,)`.
        drive: `x -> f`, a vector `(axis,)`; None without a drive.
        baths: temperature and mobility of each axis, `(axis,)`.
    """

    axes: tuple[Axis, ...]
    potential: Callable[[Float[Array, " axis"]], Float[Array, ""]]
    drive: Callable[[Float[Array, " axis"]], Float[Array, " axis"]] | None
    baths: Baths

    @property
    def centres(self) -> list[Float[Array, "_"]]:
        """Coordinates of the centres along each axis."""
        return [axis.centres for axis in self.axes]

    @property
    def energy(self) -> Float[Array, "..."]:
        """U at the centres."""
        return on_grid(self.potential, self.centres)

    @property
    def is_known(self) -> bool:
        """False where potential, drive or baths are traced, be it in what they close over."""
        return is_concrete((self.rates(), self.baths))

    @property
    def cell(self) -> float:
        """Length or area of a cell."""
        return cell_size(self.axes)

    def heat_rate(self, rates: Rates, density: Float[Array, "..."]) -> Float[Array, " axis"]:
        """Mean heat into the bath of each axis per unit of time, at this system's rates."""
        flows = zip(rates.affinity, rates.currents(density), strict=True)
        sums = jnp.stack([jnp.sum(a * flow) * self.cell for a, flow in flows])
        return self.baths.temperature * sums

    def rates(self) -> Rates:
        r"""Rates of jumps, $\tfrac D{h^2}\,\mathrm B(\mp P)$ with $P = (-\Delta U + fh)/T$.

        Source: Scharfetter and Gummel 1969, IEEE Trans. Electron Devices 16, 64.
        """
        temperature, mobility = self.baths.temperature, self.baths.mobility
        energy = self.energy
        up, down, affinity = [], [], []
        for i, axis in enumerate(self.axes):
            open_face = np.ones(axis.cells, bool)
            open_face[-1] = axis.periodic
            shape = [1] * len(self.axes)
            shape[i] = axis.cells
            open_face = jnp.asarray(open_face.reshape(shape))
            x = jnp.where(open_face, self._push(i, energy) / temperature[i], 0)
            scale = mobility[i] * temperature[i] / axis.width**2
            up.append(jnp.where(open_face, scale * bernoulli(-x), 0))
            down.append(jnp.where(open_face, scale * bernoulli(x), 0))
            affinity.append(x)
        out = tuple(self._out(i, energy) for i in range(len(self.axes)))
        absorbs = any(any(axis.absorbing) for axis in self.axes)
        return Rates(tuple(up), tuple(down), tuple(affinity), out if absorbs else ())

    def _out(self, i: int, energy: Float[Array, "..."]) -> Float[Array, "..."]:
        """Rate at which each cell loses to the absorbing ends of axis i, half a cell away."""
        axis, (temperature, mobility) = self.axes[i], (self.baths.temperature, self.baths.mobility)
        rates = jnp.moveaxis(jnp.zeros_like(energy), i, 0)
        for absorbs, cell, end, way in zip(
            axis.absorbing, (0, -1), (axis.lower, axis.upper), (-1, 1), strict=True
        ):
            if not absorbs:
                continue
            places = self.across(i, end)
            rise = on_grid(self.potential, places) - jnp.take(energy, jnp.array([cell]), i)
            push = -rise
            if self.drive is not None:
                push += way * axis.width / 2 * on_grid(self.drive, places)[..., i]
            rate = 2 * mobility[i] * temperature[i] / axis.width**2
            loss = rate * bernoulli(-push / temperature[i])
            rates = rates.at[cell].add(jnp.moveaxis(loss, i, 0)[0])
        return jnp.moveaxis(rates, 0, i)

    def across(self, i: int, place: float) -> list[Float[Array, "_"]]:
        """Coordinates of the centres, but of one place on axis i."""
        return [
            jnp.asarray([place], centres.dtype) if j == i else centres
            for j, centres in enumerate(self.centres)
        ]

    def _push(self, i: int, energy: Float[Array, "..."]) -> Float[Array, "..."]:
        """-ΔU + f h over each face of axis i, that of its last cell included."""
        push = energy - jnp.roll(energy, -1, i)
        if self.drive is None:
            return push
        drive = self.drive
        places = [axis.faces if j == i else axis.centres for j, axis in enumerate(self.axes)]
        return push + self.axes[i].width * on_grid(lambda x: drive(x)[i], places)
