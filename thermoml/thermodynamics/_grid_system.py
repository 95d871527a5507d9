"""A Langevin system on the cells of a grid, with control and baths of one time."""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..langevin import Baths
from ..numerics.arrays import is_concrete
from ._grid import Axis, Rates, bernoulli, on_grid


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
        return Rates(tuple(up), tuple(down), tuple(affinity))

    def _push(self, i: int, energy: Float[Array, "..."]) -> Float[Array, "..."]:
        """-ΔU + f h over each face of axis i, that of its last cell included."""
        push = energy - jnp.roll(energy, -1, i)
        if self.drive is None:
            return push
        drive = self.drive
        places = [axis.faces if j == i else axis.centres for j, axis in enumerate(self.axes)]
        return push + self.axes[i].width * on_grid(lambda x: drive(x)[i], places)
