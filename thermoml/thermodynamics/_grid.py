"""Jumps between the cells of a grid: their rates, an implicit step, and their steady state."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from ..langevin import Time
from ..numerics.checks import check_count, number
from ..numerics.choices import is_choice

Boundary = Literal["reflecting", "periodic", "natural"]


_DISTANT = 'an unbounded coordinate needs distant ends, with boundary="natural"'


class Axis(eqx.Module):
    """One coordinate of a grid, in cells of equal size.

    Args:
        lower, upper: ends, numbers; upper > lower.
        cells: number of cells, at least 3.
        boundary: "reflecting" (walls at both ends), "periodic" (the ends are one point), or
            "natural": the ends are so far out that the density vanishes there, which is checked.

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
        names = ("reflecting", "periodic", "natural")
        if not is_choice(self.boundary, names):
            raise ValueError(
                f'boundary must be "reflecting", "periodic" or "natural", got {self.boundary!r:.80}'
            )

    @property
    def periodic(self) -> bool:
        return self.boundary == "periodic"

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


class Rates(eqx.Module):
    """Rates of jumps between neighbours along each axis; face i lies between cells i and i + 1.

    Attributes:
        up, down: of jumps i → i + 1 and back, one array of the grid's shape for each axis; 0 at the
            wall of an axis that is not periodic.
        affinity: ln(up/down), 0 at such a wall.
    """

    up: tuple[Float[Array, "..."], ...]
    down: tuple[Float[Array, "..."], ...]
    affinity: tuple[Float[Array, "..."], ...]

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
        cell is emptied (flux-corrected transport).
        """
        _, whole = self._implicit(density, duration, periodic)
        middle, first = self._implicit(density, duration / 2, periodic)
        low, second = self._implicit(middle, duration / 2, periodic)
        extra = [a + b - c for a, b, c in zip(first, second, whole, strict=True)]
        leaving = jnp.zeros_like(low)
        for axis, flux in enumerate(extra):
            leaving += jnp.maximum(flux, 0) + jnp.maximum(-jnp.roll(flux, 1, axis), 0)
        share = jnp.minimum(1, 0.99 * low / jnp.where(leaving > 0, leaving, 1))
        share = jnp.where(leaving > 0, share, 1)
        for axis, flux in enumerate(extra):
            flux = flux * jnp.where(flux > 0, share, jnp.roll(share, -1, axis))
            low = low - flux + jnp.roll(flux, 1, axis)
        low = jnp.maximum(low, 0)
        return low * (jnp.sum(density) / jnp.sum(low))  # corrects for rounding

    def _implicit(
        self, density: Array, duration: Time, periodic: tuple[bool, ...]
    ) -> tuple[Array, list[Array]]:
        """An implicit Euler step along one axis after the other, and the flux over each face."""
        crossed = []
        for axis, wraps in enumerate(periodic):
            up, down = (
                jnp.moveaxis(rates[axis], axis, -1) * duration for rates in (self.up, self.down)
            )
            lines = jnp.moveaxis(density, axis, -1)
            solve = _ring if wraps else _line
            for _ in range(density.ndim - 1):
                solve = jax.vmap(solve)
            lines, flux = solve(up, down, lines)
            crossed.append(jnp.moveaxis(flux, -1, axis))
            density = jnp.moveaxis(lines, -1, axis)
        return density, crossed

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
        up, down = list(self.up), list(self.down)
        if len(shape) == 1:
            energy, up[0], down[0] = (x[:, None] for x in (energy, up[0], down[0]))
            up.append(jnp.zeros_like(up[0]))
            down.append(jnp.zeros_like(up[0]))
        turned = energy.shape[1] > energy.shape[0]
        if turned:
            energy, up, down = energy.T, [x.T for x in up[::-1]], [x.T for x in down[::-1]]
        row, column = jnp.unravel_index(jnp.argmin(energy), energy.shape)

        def moved(x, way):  # the lowest cell is the first of the last row
            return jnp.roll(jnp.roll(x, way * (1 + row), 0), way * column, 1)

        chances = moved(_eliminate(*([moved(x, -1) for x in rate] for rate in (up, down))), 1)
        chances = chances.T if turned else chances
        return jnp.reshape(chances / jnp.sum(chances), shape)


def _line(up: Array, down: Array, before: Array) -> tuple[Array, Array]:
    """An implicit step on a line of cells between walls, and the flux over each face."""
    after = _solve(up[:-1], down[:-1], jnp.ones_like(up), before)
    return after, _crossed(up, down, before, after)


def _ring(up: Array, down: Array, before: Array) -> tuple[Array, Array]:
    """An implicit step on a ring of cells, of which the last is treated apart."""
    to_last = jnp.zeros_like(up[:-1]).at[0].add(down[-1]).at[-1].add(up[-2])
    from_last = jnp.zeros_like(up[:-1]).at[0].add(up[-1]).at[-1].add(down[-2])
    own, shared = (_solve(up[:-2], down[:-2], 1 + to_last, x) for x in (before[:-1], from_last))
    last = (before[-1] + to_last @ own) / (1 + jnp.sum(shared))
    after = jnp.append(own + shared * last, last)
    return after, _crossed(up, down, before, after)


def _solve(up: Array, down: Array, out: Array, right: Array) -> Array:
    """The solution x of (out - L)x = right, with `out` the rate that leaves the line at each cell.

    Nothing is subtracted, as in `Rates.steady_state`, so that it is positive at any rates.
    """

    def eliminate(carry, cell):
        kept, source = carry
        up, down, out, right = cell
        leaving = kept + up
        return (out + down * (kept / leaving), right + source * (up / leaving)), (leaving, source)

    rest = (up, down, out[1:], right[1:])
    (kept, source), ways = lax.scan(eliminate, (out[0], right[0]), rest)

    def restore(after, cell):
        (leaving, source), down = cell
        here = (source + down * after) / leaving
        return here, here

    last = source / kept
    _, others = lax.scan(restore, last, (ways, down), reverse=True)
    return jnp.append(others, last)


def _crossed(up: Array, down: Array, before: Array, after: Array) -> Array:
    """Net flux over each face: jumps up minus jumps down, or the loss of all cells up to it.

    The second where many jumps go both ways, and the first would lose its digits.
    """
    ahead, back = up * after, down * jnp.roll(after, -1)
    jumped, lost = ahead - back, jnp.cumsum(before - after)
    quiet = jnp.argmin(ahead + back)
    lost = lost + (jumped - lost)[quiet]
    return jnp.where(ahead + back < jnp.sum(before), jumped, lost)


def _eliminate(up: list[Array], down: list[Array]) -> Array:
    """The steady state up to a factor, row after row; the last row holds the lowest cell first."""
    count, size = up[0].shape
    cells = jnp.arange(size)

    def within(i):
        """Jumps inside row i, target by source, without the diagonal."""
        after = (cells + 1) % size
        rows = jnp.zeros((size, size), up[0].dtype)
        rows = rows.at[after, cells].add(up[1][i]).at[cells, after].add(down[1][i])
        return rows - jnp.diag(jnp.diagonal(rows))

    def closed(jumps, leaving):
        jumps = jumps - jnp.diag(jnp.diagonal(jumps))
        return jumps - jnp.diag(jnp.sum(jumps, axis=0) + leaving)

    def eliminate(carry, i):
        # Jumps within row i, to it from the last row, from it to the last, and within the last
        inside, from_last, to_last, last = carry
        penultimate = i == count - 2
        # The penultimate row's jumps up are among those to the last row.
        onward = jnp.where(penultimate, 0, up[0][i])
        operator = closed(inside, onward + jnp.sum(to_last, axis=0))
        back = jnp.diag(jnp.where(penultimate, 0, down[0][i]))
        solved = -jnp.linalg.solve(operator, jnp.concatenate([back, from_last], axis=1))
        via_next, via_last = jnp.maximum(solved[:, :size], 0), jnp.maximum(solved[:, size:], 0)
        beside_last = i + 1 == count - 2
        next_up = jnp.where(beside_last, up[0][count - 2], 0)
        next_down = jnp.where(beside_last, down[0][count - 2], 0)
        carry = (
            within(i + 1) + onward[:, None] * via_next,
            onward[:, None] * via_last + jnp.diag(next_down),
            to_last @ via_next + jnp.diag(next_up),
            last + to_last @ via_last,
        )
        return carry, (via_next, via_last)

    start = (within(0), jnp.diag(up[0][-1]), jnp.diag(down[0][-1]), within(count - 1))
    (_, _, _, last), (via_next, via_last) = lax.scan(eliminate, start, jnp.arange(count - 1))
    final = _null(last)

    def restore(after, ways):
        here = ways[0] @ after + ways[1] @ final
        return here, here

    _, rows = lax.scan(restore, final, (via_next, via_last), reverse=True)
    return jnp.concatenate([rows, final[None]])


def _null(jumps: Array) -> Array:
    """The steady state of dense jumps, target by source, cells eliminated from the last on."""
    cells = jnp.arange(jumps.shape[0])

    def eliminate(jumps, i):
        before = cells < i
        leaving = jnp.where(before, jumps[:, i], 0)
        arriving = jnp.where(before, jumps[i], 0) / jnp.sum(leaving)
        return jumps + leaving[:, None] * arriving[None], arriving

    order = cells[:0:-1]
    _, ways = lax.scan(eliminate, jumps, order)

    def restore(chances, way):
        i, arriving = way
        return chances.at[i].set(arriving @ chances), None

    first = jnp.zeros(cells.shape, jumps.dtype).at[0].set(1)
    return lax.scan(restore, first, (order, ways), reverse=True)[0]


def bernoulli(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """x/(e^x - 1), smooth through 0, 0 for large x."""
    small = jnp.abs(x) < 1e-4
    size = jnp.where(small, 1, jnp.abs(x))
    falling = size * jnp.exp(-size) / -jnp.expm1(-size)  # at |x|; its value at -|x| is |x| more
    return jnp.where(small, 1 - x / 2 + x**2 / 12, jnp.where(x > 0, falling, falling + size))
