"""The Fokker-Planck equation on a grid: the reference for simulations in 1-D and 2-D."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.scipy.ndimage import map_coordinates
from jax.scipy.special import entr
from jaxtyping import Array, Float

from ..langevin import Langevin, spread
from ..numerics.arrays import cast_floats, default_float, is_concrete
from ..numerics.checks import check_bound, count_saves, count_steps
from ._fokker_planck_checks import check_density, check_equation
from ._grid import Axis, Rates, at_rest, bernoulli
from ._normal import NormalState


class FokkerPlanckSolution(eqx.Module):
    """A density in time and its ledger; all axes begin with `save`.

    Attributes:
        times: `(save,)`.
        density: `(save, cells…)`, integrates to 1.
        energy, entropy: U and S, `(save,)`.
        work, heat, heat_by_axis, entropy_flow, entropy_production: since the start, `(save,)`, and
            `(save, axis)` heat into the bath of each axis; nats.
    """

    times: Float[Array, " save"]
    density: Float[Array, "save ..."]
    energy: Float[Array, " save"]
    entropy: Float[Array, " save"]
    work: Float[Array, " save"]
    heat: Float[Array, " save"]
    heat_by_axis: Float[Array, "save axis"]
    entropy_flow: Float[Array, " save"]
    entropy_production: Float[Array, " save"]

    def __str__(self) -> str:
        if not is_concrete(self.work):
            return "FokkerPlanckSolution (traced)"
        names = ("work", "heat", "energy", "entropy", "entropy_production")
        numbers = ", ".join(f"{name} {float(getattr(self, name)[-1]):.6g}" for name in names)
        return f"FokkerPlanckSolution to t = {float(self.times[-1]):g}: {numbers}"


class Transport(eqx.Module):
    """Drift and spreading along a ring over many rounds: velocity and effective diffusion."""

    velocity: Float[Array, ""]
    diffusion: Float[Array, ""]

    def __str__(self) -> str:
        if not is_concrete(self.velocity):
            return "Transport (traced)"
        return (
            f"velocity {float(self.velocity):.6g}, effective diffusion {float(self.diffusion):.6g}"
        )


class FokkerPlanck(eqx.Module):
    r"""The Fokker-Planck equation of a `Langevin` system with one or two coordinates.

    $$\partial_tp = -\nabla\cdot j, \qquad j = \mu Fp - D\nabla p, \qquad
      \dot S_\text{tot} = \int\frac{j\cdot D^{-1}j}p\,dx$$

    on cells of equal size, with Scharfetter and Gummel's fluxes: rates of jumps
    $\tfrac D{h^2}\,\mathrm B(\mp P)$, $P = (-\Delta U + fh)/T$, B(z) = z/(e^z - 1), between
    neighbours. They are positive at any size of cell, keep the Boltzmann distribution at the
    centres exactly, and are of second order.

    Args:
        system: a `Langevin`, of any control, drive, and a temperature and mobility for each axis;
            T, μ > 0.
        axes: one `Axis` or two.
        state: an example of a state: any pytree of one or two numbers in all; by default a scalar
            for one axis, and shape `(2,)` for two.

    Raises:
        TypeError: a system that is not a `Langevin`.
        ValueError: a state of another size; T or μ not positive; a periodic axis whose potential or
            drive differs at its ends; a natural one where the density is not small there, since the
            potential cannot be normalised or the ends are too near. Its methods refuse cells too
            coarse for the drift, and say how many would do.

    Source: Scharfetter and Gummel 1969, IEEE Trans. Electron Devices 16, 64; Chang and Cooper 1970,
    J. Comput. Phys. 6, 1; entropy production: Seifert 2012, section 2.5.
    """

    system: Langevin
    axes: tuple[Axis, ...]
    state: Any

    def __init__(self, system: Langevin, axes: Axis | Sequence[Axis], *, state: Any = None):
        if not isinstance(system, Langevin):
            raise TypeError(f"system must be a Langevin, got {system!r}")
        self.axes = (axes,) if isinstance(axes, Axis) else tuple(axes)
        if len(self.axes) not in (1, 2) or not all(isinstance(a, Axis) for a in self.axes):
            raise ValueError(f"axes must be one Axis or two, got {axes!r}")
        if state is None:
            state = jnp.zeros(() if len(self.axes) == 1 else (2,))
        self.state = cast_floats(state, default_float())
        if ravel_pytree(self.state)[0].size != len(self.axes):
            raise ValueError(
                f"state must hold {len(self.axes)} numbers, one for each axis, got {state!r}"
            )
        self.system = cast_floats(system, default_float())
        check_equation(self, 0.0)

    @property
    def shape(self) -> tuple[int, ...]:
        """Cells along each axis."""
        return tuple(axis.cells for axis in self.axes)

    @property
    def cell(self) -> float:
        """Length or area of a cell."""
        return float(np.prod([axis.width for axis in self.axes]))

    @property
    def _periodic(self) -> tuple[bool, ...]:
        return tuple(axis.periodic for axis in self.axes)

    def on_grid(self, function: Callable[[Any], Any], coordinates: Sequence[Array]) -> Array:
        """A function of the state at every point of a grid of coordinates."""
        unravel = ravel_pytree(self.state)[1]
        points = jnp.stack(jnp.meshgrid(*coordinates, indexing="ij"), axis=-1)
        for _ in self.axes:
            function = jax.vmap(function)
        over_points: Any = lambda x: unravel(x)  # noqa: E731
        for _ in self.axes:
            over_points = jax.vmap(over_points)
        return function(over_points(points))

    def potential(self, t: Any = 0.0) -> Float[Array, "..."]:
        """U at the centres at time t."""
        control = self.system.control_at(jnp.asarray(t, default_float()))
        centres = [axis.centres for axis in self.axes]
        return self.on_grid(lambda x: self.system.energy(x, control, None), centres)

    def baths(self, t: Any) -> tuple[Array, Array]:
        """T and μ of each axis."""
        t = jnp.asarray(t, default_float())

        def flat(name):
            found = spread(name, getattr(self.system, name), self.state, t)
            full = jax.tree.map(
                lambda value, x: jnp.broadcast_to(value, x.shape), found, self.state
            )
            return ravel_pytree(full)[0]

        return flat("temperature"), flat("mobility")

    def _peclet(self, t: Any, energy: Array) -> tuple[Array, ...]:
        """(-ΔU + f h)/T over each face, also over the last of an axis."""
        t = jnp.asarray(t, default_float())
        temperature, _ = self.baths(t)
        control = self.system.control_at(t)
        found = []
        for i, axis in enumerate(self.axes):
            change = energy - jnp.roll(energy, -1, i)
            if self.system.drive is not None:
                coordinates = [a.faces if j == i else a.centres for j, a in enumerate(self.axes)]

                def along(x, i=i):
                    force = self.system.drive_force(x, control, None)
                    return ravel_pytree(force)[0][i]

                change = change + axis.width * self.on_grid(along, coordinates)
            found.append(change / temperature[i])
        return tuple(found)

    def rates(self, t: Any = 0.0) -> Rates:
        """Rates of jumps between neighbouring cells at time t."""
        temperature, mobility = self.baths(t)
        up, down, affinity = [], [], []
        for i, (axis, x) in enumerate(
            zip(self.axes, self._peclet(t, self.potential(t)), strict=True)
        ):
            open_face = np.ones(axis.cells, bool)
            open_face[-1] = axis.periodic
            shape = [1] * len(self.axes)
            shape[i] = axis.cells
            open_face = jnp.asarray(open_face.reshape(shape))
            scale = mobility[i] * temperature[i] / axis.width**2
            x = jnp.where(open_face, x, 0)
            up.append(jnp.where(open_face, scale * bernoulli(-x), 0))
            down.append(jnp.where(open_face, scale * bernoulli(x), 0))
            affinity.append(x)
        return Rates(tuple(up), tuple(down), tuple(affinity))

    def discretise(self, log_density: NormalState | Callable[[Any], Any]) -> Float[Array, "..."]:
        """A density on the grid, from a `NormalState` or `x -> ln p(x)` up to a constant.

        Raises:
            ValueError: it is nowhere positive on the grid, or infinite.
        """
        if isinstance(log_density, NormalState):
            log_density = log_density.log_density
        values = self.on_grid(log_density, [axis.centres for axis in self.axes])
        if is_concrete(values) and not np.isfinite(np.max(np.asarray(values))):
            raise ValueError(
                "log_density must be finite somewhere on the grid and nowhere infinite"
            )
        values = jnp.exp(values - jnp.max(values))
        return values / (jnp.sum(values) * self.cell)

    def log_density(self, density: Float[Array, "..."]) -> Callable[[Any], Float[Array, ""]]:
        """The function `x -> ln p(x)` that interpolates a density linearly in ln p.

        For `system_entropy` of trajectories; O(1) a call.
        """
        # A periodic axis goes on with its first cell.
        logarithms = jnp.pad(
            jnp.log(density), [(0, int(wraps)) for wraps in self._periodic], mode="wrap"
        )

        def at(x):
            vector = ravel_pytree(x)[0].astype(logarithms.dtype)
            places = []
            for i, axis in enumerate(self.axes):
                place = (vector[i] - axis.lower) / axis.width - 0.5
                places.append(place % axis.cells if axis.periodic else place)
            return map_coordinates(logarithms, places, order=1, mode="nearest")

        return at

    def stationary(self, t: Any = 0.0) -> Float[Array, "..."]:
        """The stationary density with control and baths as at time t.

        Directly, without steps in time, in O(n₀ n₁³) for n₁ <= n₀ cells. Differentiable.

        Raises:
            ValueError: as for the class, at this time.
        """
        check_equation(self, t)
        density = _stationary(self, jnp.asarray(t, default_float()))
        check_density(self, [t], density)
        return density

    def current(self, density: Float[Array, "..."], t: Any = 0.0) -> tuple[Array, ...]:
        """j over the upper face of each cell, for each axis: `Axis.faces` are the places."""
        currents = self.rates(t).currents(density)
        return tuple(axis.width * flow for axis, flow in zip(self.axes, currents, strict=True))

    def heat_rate(self, density: Float[Array, "..."], t: Any = 0.0) -> Float[Array, " axis"]:
        """Mean heat into the bath of each axis per unit of time."""
        return self._heat_rate(self.rates(t), density, t)

    def _heat_rate(self, rates: Rates, density: Array, t: Any) -> Array:
        flows = zip(rates.affinity, rates.currents(density), strict=True)
        return self.baths(t)[0] * jnp.stack([jnp.sum(a * flow) * self.cell for a, flow in flows])

    def entropy_production_rate(
        self, density: Float[Array, "..."], t: Any = 0.0
    ) -> Float[Array, ""]:
        r"""Total entropy production in nats, $\sum(a - b)\ln(a/b)$ over all faces.

        a and b are the jumps there and back per unit of time. Never negative, and the integral of
        j²/(Dp) to second order.
        """
        return self._production(self.rates(t), density)

    def _production(self, rates: Rates, density: Array) -> Array:
        total = jnp.zeros((), density.dtype)
        for axis, (up, down) in enumerate(zip(rates.up, rates.down, strict=True)):
            there, back = up * density, down * jnp.roll(density, -1, axis)
            both = (there > 0) & (back > 0)
            ratio = jnp.where(both, there, 1) / jnp.where(both, back, 1)
            total += jnp.sum(jnp.where(both, (there - back) * jnp.log(ratio), 0))
        return total * self.cell

    def mean(self, function: Callable[[Any], Any], density: Float[Array, "..."]) -> Array:
        """⟨f(x)⟩ of a scalar function of the state."""
        values = self.on_grid(function, [axis.centres for axis in self.axes])
        return jnp.sum(values * density) * self.cell

    def entropy(self, density: Float[Array, "..."]) -> Float[Array, ""]:
        """S = -∫ p ln p dx, in nats."""
        return jnp.sum(entr(density)) * self.cell

    def evolve(
        self,
        density: Float[Array, "..."],
        *,
        t1: Any,
        dt: float,
        t0: float = 0.0,
        save_every: int | None = None,
    ) -> FokkerPlanckSolution:
        """The density in time, with its ledger.

        Implicit steps of second order, with control and baths of the middle of each step: positive
        at any dt, probability kept to round-off.

        Args:
            density: at t0, of the grid's shape; it is normalised.
            t1, t0, dt, save_every: as in `simulate`.

        Returns:
            A `FokkerPlanckSolution`; differentiable.

        Raises:
            ValueError: a density of another shape, negative or zero; times that do not fit; and as
                for the class, between t0 and t1.

        Cost: O(cells) a step: three tridiagonal solves for each row of cells.
        """
        density = jnp.asarray(density, default_float())
        if density.shape != self.shape:
            raise ValueError(f"density must have shape {self.shape}, got {density.shape}")
        check_bound("density", density, ">=", 0.0)
        if is_concrete(density) and not np.sum(np.asarray(density)) > 0:
            raise ValueError("density must be positive somewhere, got 0 everywhere")
        n_steps = count_steps(t0, t1, dt, density.dtype)
        n_saves = count_saves(n_steps, save_every)
        looks = [t0 + (t1 - t0) * i / 4 for i in range(5)]
        for t in looks:
            check_equation(self, t)
        times = jnp.asarray([t0, dt], density.dtype)
        found = _evolve(self, density, times[0], times[1], n_saves, n_steps // n_saves)
        relative = found.density / jnp.max(
            found.density, (*range(1, density.ndim + 1),), None, True
        )
        check_density(self, looks, jnp.max(relative, axis=0))
        return found

    def transport(self, t: Any = 0.0) -> Transport:
        r"""Mean velocity and effective diffusion on a ring, over many rounds.

        $$v = \lim\frac{\langle x\rangle}t, \qquad
          D_\text{eff} = \lim\frac{\mathrm{Var}\,x}{2t} = \tfrac12\sum_{i\to j}p_iw_{ij}
          (d_{ij} + g_j - g_i)^2$$

        of the jumps between cells, with g from $\sum_jw_{ij}(d_{ij} + g_j - g_i) = v$.

        Raises:
            ValueError: not one periodic axis.

        Cost: O(n).

        Source: Derrida 1983, J. Stat. Phys. 31, 433, in the form of a martingale; for continuous x
        Reimann et al. 2001, Phys. Rev. Lett. 87, 010602.
        """
        if self._periodic != (True,):
            raise ValueError("transport needs one periodic axis")
        self.stationary(t)  # refuses a grid that will not do
        return _transport(self, jnp.asarray(t, default_float()))


@eqx.filter_jit
def _stationary(equation: FokkerPlanck, t: Array) -> Array:
    return at_rest(equation.rates(t), equation.potential(t)) / equation.cell


@eqx.filter_jit
def _transport(equation: FokkerPlanck, t: Array) -> Transport:
    rates, width = equation.rates(t), equation.axes[0].width
    up, down = rates.up[0], rates.down[0]
    chances = at_rest(rates, equation.potential(t))
    back = jnp.roll(down, 1)  # leaves cell i downwards
    local = width * (up - back)
    velocity = jnp.sum(chances * local)
    # g is known but for a constant: 0 in the first cell, whose equation the others imply
    inner = lx.TridiagonalLinearOperator(-(up + back)[1:], back[2:], up[1:-1])
    g = lx.linear_solve(inner, (velocity - local)[1:], lx.Tridiagonal(), throw=False).value
    g = jnp.concatenate([jnp.zeros_like(g[:1]), g])
    rise = width + jnp.roll(g, -1) - g
    squares = chances * up * rise**2 + jnp.roll(chances, -1) * down * rise**2
    return Transport(velocity, jnp.sum(squares) / 2)


@eqx.filter_jit
def _evolve(
    equation: FokkerPlanck, density: Array, t0: Array, dt: Array, n_saves: int, steps_per_save: int
) -> FokkerPlanckSolution:
    density = density / (jnp.sum(density) * equation.cell)

    def step(carry, n):
        density, heat, flow, produced = carry
        t = t0 + (n.astype(dt.dtype) + 0.5) * dt
        rates = equation.rates(t)
        new = rates.step(density, dt, equation._periodic)
        middle = (density + new) / 2
        heats = equation._heat_rate(rates, middle, t)
        made = equation._production(rates, density) + equation._production(rates, new)
        temperature = equation.baths(t)[0]
        return (
            new,
            heat + dt * heats,
            flow + dt * jnp.sum(heats / temperature),
            produced + dt * made / 2,
        ), None

    def block(carry, j):
        steps = j * steps_per_save + jnp.arange(steps_per_save)
        carry, _ = jax.lax.scan(jax.checkpoint(step), carry, steps)
        return carry, carry

    nothing = jnp.zeros((), density.dtype)
    first = (density, jnp.zeros(len(equation.axes), density.dtype), nothing, nothing)
    _, rest = jax.lax.scan(block, first, jnp.arange(n_saves))
    densities, heats, flow, produced = jax.tree.map(
        lambda a, b: jnp.concatenate([a[None], b]), first, rest
    )
    times = t0 + dt * (jnp.arange(n_saves + 1) * steps_per_save).astype(dt.dtype)

    def energy(t, p):
        return jnp.sum(equation.potential(t) * p) * equation.cell

    energies = jax.vmap(energy)(times, densities)
    heat = jnp.sum(heats, axis=1)
    return FokkerPlanckSolution(
        times=times,
        density=densities,
        energy=energies,
        entropy=jax.vmap(equation.entropy)(densities),
        work=energies - energies[0] + heat,
        heat=heat,
        heat_by_axis=heats,
        entropy_flow=flow,
        entropy_production=produced,
    )
