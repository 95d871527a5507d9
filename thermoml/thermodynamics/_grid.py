"""Jumps between the cells of a grid: their rates, an implicit step, and their steady state."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..langevin import Time
from ..numerics.checks import check_count, number
from ..numerics.choices import is_choice
from ._grid_solvers import eliminate, line_step, passage_times, ring_step

End = Literal["reflecting", "natural", "absorbing"]
Boundary = End | Literal["periodic"] | tuple[End, End]

_ENDS = ("reflecting", "natural", "absorbing")

_DISTANT = 'an unbounded coordinate needs distant ends, with boundary="natural"'


class Axis(eqx.Module):
    """One coordinate of a grid, in cells of equal size.

    Args:
        lower, upper: ends, numbers; upper > lower.
        cells: number of cells, at least 3.
        boundary: "reflecting" (a wall), "natural" (so far out that the density vanishes there,
            which is checked) or "absorbing" (whoever arrives is gone), for both ends or as a pair
            (lower, upper); or "periodic" (the ends are one point).

    Raises:
        ValueError: ends in the wrong order or not finite, too few cells, or another boundary.
    """

    lower: float | int = eqx.field(static=True, converter=number("lower", _DISTANT))
    upper: float | int = eqx.field(static=True, converter=number("upper", _DISTANT))
    cells: int = eqx.field(static=True)
    boundary: Boundary = eqx.field(default="reflecting", static=True, kw_only=True)

    def __check_init__(self):
        if not self.lower < self.upper:
            raise ValueError(f"upper must be above lower = {self.lower}, got {self.upper}")
        if not np.isfinite(float(self.upper) - float(self.lower)):
            raise ValueError(
                f"upper must not be that far above lower = {self.lower:g}, got {self.upper:g}"
            )
        check_count("cells", self.cells, 3)
        if self.periodic:
            return
        if len(self.ends) != 2 or not all(is_choice(end, _ENDS) for end in self.ends):
            raise ValueError(
                'boundary must be "reflecting", "natural", "absorbing", a pair of these, or '
                f'"periodic", got {self.boundary!r:.80}'
            )

    @property
    def periodic(self) -> bool:
        return is_choice(self.boundary, ("periodic",))

    @property
    def ends(self) -> tuple[Any, ...]:
        """The boundary at the lower and at the upper end."""
        if isinstance(self.boundary, tuple):
            return self.boundary
        return (self.boundary, self.boundary)

    @property
    def absorbing(self) -> tuple[bool, bool]:
        """True for each end, lower and upper, at which whoever arrives is gone."""
        lower, upper = (end == "absorbing" for end in self.ends)
        return lower, upper

    @property
    def width(self) -> float:
        """Width of a cell."""
        return (self.upper - self.lower) / self.cells

    @property
    def centres(self) -> Float[Array, " cell"]:
        """The middle of each cell."""
        return self.lower + self.width * (jnp.arange(self.cells, dtype=float) + 0.5)

    @property
    def faces(self) -> Float[Array, " cell"]:
        """The upper end of each cell."""
        return self.lower + self.width * (jnp.arange(self.cells, dtype=float) + 1)


def cell_size(axes: Sequence[Axis]) -> float:
    """Length or area of a cell."""
    return float(np.prod([axis.width for axis in axes]))


def on_grid(
    function: Callable[[Float[Array, " axis"]], Any], coordinates: Sequence[Float[Array, "_"]]
) -> Any:
    """A function of one point, evaluated at all points of a grid with these coordinates.

    Args:
        function: of a vector with one number for each axis.
        coordinates: of each axis.
    """
    points = jnp.stack(jnp.meshgrid(*coordinates, indexing="ij"), axis=-1)
    for _ in coordinates:
        function = jax.vmap(function)
    return function(points)


class Crossed(NamedTuple):
    """Density in cells: net flux over the faces of each axis, and loss through absorbing ends."""

    over_faces: tuple[Float[Array, "..."], ...]
    lost: Float[Array, "..."]


class Rates(eqx.Module):
    """Rates of jumps between neighbours along each axis; face i lies between cells i and i + 1.

    Attributes:
        up, down: of jumps i → i + 1 and back, one array of the grid's shape for each axis; 0 at the
            wall of an axis that is not periodic.
        affinity: ln(up/down), 0 at such a wall.
        out: of jumps off the grid through the absorbing ends of each axis; empty where there are
            none.
    """

    up: tuple[Float[Array, "..."], ...]
    down: tuple[Float[Array, "..."], ...]
    affinity: tuple[Float[Array, "..."], ...]
    out: tuple[Float[Array, "..."], ...] = ()

    @property
    def absorbed(self) -> Float[Array, "..."]:
        """Rate at which each cell loses to the absorbing ends of all axes."""
        return sum(self.out, jnp.zeros_like(self.up[0]))

    def currents(self, density: Array) -> tuple[Array, ...]:
        """Density that crosses each face per unit of time, in cells per time."""
        return tuple(
            up * density - down * jnp.roll(density, -1, axis)
            for axis, (up, down) in enumerate(zip(self.up, self.down, strict=True))
        )

    def production(self, density: Array) -> Float[Array, ""]:
        r"""Total entropy production per unit of time and cell size, $\sum(a - b)\ln(a/b)$.

        Over all faces, with a and b the jumps up and down per unit of time.
        """
        total = jnp.zeros((), density.dtype)
        for axis, (up, down) in enumerate(zip(self.up, self.down, strict=True)):
            ahead, back = up * density, down * jnp.roll(density, -1, axis)
            crossed = (ahead > 0) & (back > 0)
            ratio = jnp.where(crossed, ahead, 1) / jnp.where(crossed, back, 1)
            total += jnp.sum(jnp.where(crossed, (ahead - back) * jnp.log(ratio), 0))
        return total

    def step(self, density: Array, duration: Time, periodic: tuple[bool, ...]) -> Array:
        """The density after a time: of second order, not negative, and of the same total.

        Two implicit half steps, axis after axis, are of first order and keep the density positive;
        then come the fluxes by which twice these differ from one whole step, limited so that no
        cell is emptied (flux-corrected transport). What is absorbed leaves the total.
        """
        _, whole = self._implicit(density, duration, periodic)
        middle, first = self._implicit(density, duration / 2, periodic)
        low, second = self._implicit(middle, duration / 2, periodic)
        extra = jax.tree.map(lambda a, b, c: a + b - c, first, second, whole)
        leaving = jnp.maximum(extra.lost, 0)
        for axis, flux in enumerate(extra.over_faces):
            leaving += jnp.maximum(flux, 0) + jnp.maximum(-jnp.roll(flux, 1, axis), 0)
        share = jnp.minimum(1, 0.99 * low / jnp.where(leaving > 0, leaving, 1))
        share = jnp.where(leaving > 0, share, 1)
        for axis, flux in enumerate(extra.over_faces):
            flux = flux * jnp.where(flux > 0, share, jnp.roll(share, -1, axis))
            low = low - flux + jnp.roll(flux, 1, axis)
        lost = extra.lost * jnp.where(extra.lost > 0, share, 1)
        low = jnp.maximum(low - lost, 0)
        left = jnp.sum(density) - jnp.sum(first.lost + second.lost + lost)
        return low * (left / jnp.sum(low))  # corrects for rounding

    def _implicit(
        self, density: Array, duration: Time, periodic: tuple[bool, ...]
    ) -> tuple[Array, Crossed]:
        """An implicit Euler step along one axis after the other, and what crossed each face."""
        crossed, lost = [], jnp.zeros_like(density)
        for axis, wraps in enumerate(periodic):
            up, down = (
                jnp.moveaxis(rates[axis], axis, -1) * duration for rates in (self.up, self.down)
            )
            out = self.out[axis] * duration if self.out else jnp.zeros_like(density)
            arguments = up, down, jnp.moveaxis(out, axis, -1), jnp.moveaxis(density, axis, -1)
            solve = ring_step if wraps else line_step
            for _ in range(density.ndim - 1):
                solve = jax.vmap(solve)
            lines, flux = solve(*arguments)
            crossed.append(jnp.moveaxis(flux, -1, axis))
            density = jnp.moveaxis(lines, -1, axis)
            lost += out * density
        return density, Crossed(tuple(crossed), lost)

    def _in_a_plane(self) -> tuple[list[Array], list[Array]]:
        """`up` and `down` of two axes; one axis becomes rows of one cell."""
        up, down = list(self.up), list(self.down)
        if len(up) == 1:
            up, down = ([rate[0][:, None], jnp.zeros_like(rate[0])[:, None]] for rate in (up, down))
        return up, down

    def steady_state(self, energy: Float[Array, "..."]) -> Float[Array, "..."]:
        r"""The steady state p, $Lp = 0$, by elimination of one row of cells after the other.

        Nothing is subtracted from a diagonal: it is the total rate that leaves the cell, as in
        Grassmann, Taksar and Heyman, so that small probabilities keep their digits. The row of the
        lowest energy is kept to the end, then eliminated cell by cell. In 1-D a row is one cell.

        Args:
            energy: of each cell; it fixes the order of elimination alone.

        Returns:
            Probabilities of the cells, of sum 1.

        Cost: O(n₀ n₁³) for n₁ <= n₀ cells.

        Source: Grassmann, Taksar and Heyman 1985, Oper. Res. 33, 1107.
        """
        shape = energy.shape
        up, down = self._in_a_plane()
        energy = jnp.reshape(energy, up[0].shape)
        turned = energy.shape[1] > energy.shape[0]
        if turned:
            energy, up, down = energy.T, [x.T for x in up[::-1]], [x.T for x in down[::-1]]
        row, column = jnp.unravel_index(jnp.argmin(energy), energy.shape)

        def moved(x, way):  # the lowest cell is the first of the last row
            return jnp.roll(jnp.roll(x, way * (1 + row), 0), way * column, 1)

        chances = moved(eliminate(*([moved(x, -1) for x in rate] for rate in (up, down))), 1)
        chances = chances.T if turned else chances
        return jnp.reshape(chances / jnp.sum(chances), shape)

    def transport(
        self, energy: Float[Array, " cell"], width: float
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Mean velocity and effective diffusion on a ring of cells of this width."""
        up, down = self.up[0], self.down[0]
        chances = self.steady_state(energy)
        # d + g_j - g_i over each face obeys the equations of a steady state too, of jumps between
        # faces: nothing is subtracted, so that all digits stay
        dual = Rates((down,), (jnp.roll(up, -1),), self.affinity)
        rise = (width * up.shape[0]) * dual.steady_state(-energy)
        ahead, back = chances * up, jnp.roll(chances, -1) * down
        quiet = jnp.argmin(ahead)  # the current is the same everywhere; there most of the jumps
        velocity = (ahead - back)[quiet] * width * up.shape[0]
        return velocity, jnp.sum((ahead + back) * rise**2) / 2

    def passage_times(self, axis: int) -> Float[Array, "..."]:
        r"""Mean times τ until absorption, $\sum_jw_{ij}(\tau_i - \tau_j) + a_i\tau_i = 1$.

        Rows of cells along `axis`, which has an absorbing end, are eliminated one after the other;
        as in `steady_state` nothing is subtracted from a diagonal, so that the times of rare
        events keep their digits.

        Cost: O(n m³) for n rows of m cells.
        """

        up, down = self._in_a_plane()
        absorbed = jnp.reshape(self.absorbed, up[0].shape)
        if axis == 1:
            up, down = ([x.T for x in ways[::-1]] for ways in (up, down))
            absorbed = absorbed.T
        times = passage_times(up, down, absorbed)
        return jnp.reshape(times.T if axis == 1 else times, self.up[0].shape)


def bernoulli(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """x/(e^x - 1), smooth through 0, 0 for large x."""
    small = jnp.abs(x) < 1e-4
    size = jnp.where(small, 1, jnp.abs(x))
    falling = size * jnp.exp(-size) / -jnp.expm1(-size)  # at |x|; its value at -|x| is |x| more
    return jnp.where(small, 1 - x / 2 + x**2 / 12, jnp.where(x > 0, falling, falling + size))
