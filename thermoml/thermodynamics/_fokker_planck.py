"""The Fokker-Planck equation on a grid: the reference for simulations in 1-D and 2-D."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.scipy.ndimage import map_coordinates
from jax.scipy.special import entr
from jaxtyping import Array, Float, PyTree

from ..langevin import Baths, Langevin, Time, as_vector
from ..numerics.arrays import cast_floats, default_float, is_concrete
from ..numerics.checks import check_bound, check_count, count_saves, count_steps, parameter
from ..numerics.compile import jitted
from ..numerics.types import AnyArray
from ._fokker_planck_checks import (
    Extremes,
    check_density,
    check_extremes,
    check_shapes,
    check_system,
)
from ._fokker_planck_evolution import evolution
from ._fokker_planck_solution import FokkerPlanckSolution, Spectrum, Transport
from ._grid import Axis, Rates, cell_size, on_grid
from ._grid_spectrum import slowest
from ._grid_system import GridSystem
from ._normal import NormalState


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
        axes: one `Axis` or two; an absorbing end is half a cell from the last centre.
        state: an example of a state: any pytree of one or two numbers in total; by default a scalar
            for one axis, and shape `(2,)` for two.

    Raises:
        TypeError: a system that is not a `Langevin`.
        ValueError: a state of another size; T or μ not positive; a periodic axis whose potential or
            drive differs at its ends; a natural axis with a density that is not small at its ends,
            because the potential cannot be normalised or the ends are too near. Its methods refuse
            cells too coarse for the drift, and name a sufficient number.

    Source: Scharfetter and Gummel 1969, IEEE Trans. Electron Devices 16, 64; Chang and Cooper 1970,
    J. Comput. Phys. 6, 1; entropy production: Seifert 2012, section 2.5.
    """

    system: Langevin
    axes: tuple[Axis, ...]
    state: PyTree[Float[Array, "..."]]

    def __init__(
        self, system: Langevin, axes: Axis | Sequence[Axis], *, state: PyTree[Any] | None = None
    ):
        if not isinstance(system, Langevin):
            raise TypeError(f"system must be a Langevin, got {system!r}")
        several = isinstance(axes, list | tuple)
        self.axes = tuple(axes) if several else (axes,)  # pyright: ignore[reportAttributeAccessIssue]
        if len(self.axes) not in (1, 2) or not all(isinstance(a, Axis) for a in self.axes):
            raise ValueError(f"axes must be one Axis or two, got {axes!r:.80}")
        if state is None:
            state = jnp.zeros(() if len(self.axes) == 1 else (2,))
        self.state = cast_floats(jax.tree.map(parameter("state"), state), default_float())
        if ravel_pytree(self.state)[0].size != len(self.axes):
            raise ValueError(
                f"state must hold {len(self.axes)} numbers, one for each axis, got {state!r}"
            )
        self.system = cast_floats(system, default_float())
        check_shapes(self.system, self.state)
        self._check(0.0)

    @property
    def shape(self) -> tuple[int, ...]:
        """Cells along each axis."""
        return tuple(axis.cells for axis in self.axes)

    @property
    def cell(self) -> float:
        """Length or area of a cell."""
        return cell_size(self.axes)

    @property
    def _absorbs(self) -> tuple[int, ...]:
        """The axes with an absorbing end."""
        return tuple(i for i, axis in enumerate(self.axes) if any(axis.absorbing))

    @property
    def _periodic(self) -> tuple[bool, ...]:
        return tuple(axis.periodic for axis in self.axes)

    def _at(self, t: Time) -> GridSystem:
        """The system with control and baths of time t, as functions of a vector."""
        t = jnp.asarray(t, default_float())
        control, unravel = self.system.control_at(t), ravel_pytree(self.state)[1]

        def potential(vector):
            return self.system.energy(unravel(vector), control, None)

        def drive(vector):
            return ravel_pytree(self.system.drive_force(unravel(vector), control, None))[0]

        return GridSystem(
            self.axes, potential, None if self.system.drive is None else drive, self.baths(t)
        )

    def _check(self, t: Time) -> None:
        """ValueError for unsuitable baths, potential or ends at time t, unless traced."""
        if is_concrete((self, t)):
            with jax.ensure_compile_time_eval():  # inside jit too
                system = self._at(t)
                if system.is_known:
                    check_system(system)

    def _values(self, function: Callable[[Any], Any]) -> Float[Array, "..."]:
        """A function of the state at the centres."""
        unravel = ravel_pytree(self.state)[1]
        return on_grid(lambda x: function(unravel(x)), [axis.centres for axis in self.axes])

    def potential(self, t: Time = 0.0) -> Float[Array, "..."]:
        """U at the centres at time t."""
        return self._at(t).energy

    def baths(self, t: Time = 0.0) -> Baths:
        """T and μ of each axis at time t, `(axis,)`."""
        baths = self.system.baths.at(jnp.asarray(t, default_float()), self.state)

        return Baths(
            as_vector(baths.temperature, self.state), as_vector(baths.mobility, self.state)
        )

    def rates(self, t: Time = 0.0) -> Rates:
        """Rates of jumps between neighbouring cells at time t."""
        return self._at(t).rates()

    def discretise(self, log_density: NormalState | Callable[[Any], Any]) -> Float[Array, "..."]:
        """A density on the grid, from a `NormalState` or `x -> ln p(x)` up to a constant.

        Raises:
            ValueError: it is nowhere positive on the grid, or infinite.
        """
        if isinstance(log_density, NormalState):
            log_density = log_density.log_density
        values = self._values(log_density)
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
        # A periodic axis continues with its first cell.
        logarithms = jnp.pad(
            jnp.log(density), [(0, int(wraps)) for wraps in self._periodic], mode="wrap"
        )

        def interpolate(x):
            vector = ravel_pytree(x)[0].astype(logarithms.dtype)
            places = []
            for i, axis in enumerate(self.axes):
                place = (vector[i] - axis.lower) / axis.width - 0.5
                places.append(place % axis.cells if axis.periodic else place)
            return map_coordinates(logarithms, places, order=1, mode="nearest")

        return interpolate

    def steady_state(self, t: Time = 0.0) -> Float[Array, "..."]:
        """The density in the steady state with control and baths held as at time t.

        Directly, without steps in time, in O(n₀ n₁³) for n₁ <= n₀ cells. Differentiable.

        Raises:
            ValueError: an absorbing end, through which all is lost; as for the class, at this time.
        """
        if self._absorbs:
            raise ValueError(
                "with an absorbing end there is no steady state; see mean_first_passage_time and "
                "spectrum"
            )
        self._check(t)
        density = _steady_state(self, jnp.asarray(t, default_float()))
        if is_concrete((self, t, density)):
            check_density(self._at(t), density)
        return density

    def current(self, density: Float[Array, "..."], t: Time = 0.0) -> tuple[Array, ...]:
        """j over the upper face of each cell (at `Axis.faces`), for each axis."""
        currents = self.rates(t).currents(density)
        return tuple(axis.width * flow for axis, flow in zip(self.axes, currents, strict=True))

    def heat_rate(self, density: Float[Array, "..."], t: Time = 0.0) -> Float[Array, " axis"]:
        """Mean heat into the bath of each axis per unit of time."""
        system = self._at(t)
        return system.heat_rate(system.rates(), density)

    def entropy_production_rate(
        self, density: Float[Array, "..."], t: Time = 0.0
    ) -> Float[Array, ""]:
        r"""Total entropy production in nats per unit of time, $\sum(a - b)\ln(a/b)$.

        Over all faces, with a and b the jumps up and down per unit of time. Never negative, and the
        integral of j²/(Dp) to second order.
        """
        return self.rates(t).production(density) * self.cell

    def mean(
        self, function: Callable[[Any], Float[Array, ""]], density: Float[Array, "..."]
    ) -> Float[Array, ""]:
        """⟨f(x)⟩ of a scalar function of the state."""
        return jnp.sum(self._values(function) * density) * self.cell

    def entropy(self, density: Float[Array, "..."]) -> Float[Array, ""]:
        """S = -∫ p ln p dx, in nats."""
        return jnp.sum(entr(density)) * self.cell

    def evolve(
        self,
        density: Float[AnyArray, "..."],
        *,
        t1: float,
        dt: float,
        t0: float = 0.0,
        save_every: int | None = None,
    ) -> FokkerPlanckSolution:
        """The density in time, with its ledger.

        Implicit steps of second order, with control and baths of the middle of each step: positive
        at any dt, probability conserved to rounding but for what an absorbing end takes.

        Args:
            density: at t0, of the grid's shape; it is normalised.
            t1, t0, dt, save_every: as in `simulate`.

        Returns:
            A `FokkerPlanckSolution`; differentiable.

        Raises:
            ValueError: a density of another shape, negative or zero; times that do not fit; and as
                for the class: the density at natural ends and the size of cells are checked in
                every step.

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
        times = [t0 + (t1 - t0) * i / 4 for i in range(5)]
        for t in times:
            self._check(t)
        first, step = jnp.asarray([t0, dt], density.dtype)
        solution, extremes = _evolve(
            self, density, first, step, n_saves=n_saves, steps_per_save=n_steps // n_saves
        )
        if is_concrete((self, extremes)) and self._at(t0).is_known:
            check_extremes(extremes, self._at)
        return solution

    def transport(self, t: Time = 0.0) -> Transport:
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
        self.steady_state(t)  # refuses an unsuitable grid
        return _transport(self, jnp.asarray(t, default_float()))

    def mean_first_passage_time(self, t: Time = 0.0) -> Float[Array, "..."]:
        r"""Mean time until absorption from each cell, with control and baths held as at time t.

        $$L^\dagger\tau = -1, \qquad \tau = 0 \text{ at the absorbing ends}$$

        Of second order in the size of cells. Nothing is subtracted, so that the times of rare
        events keep their digits. Differentiable.

        Raises:
            ValueError: no axis has an absorbing end; as for the class, at this time.

        Cost: O(n m³) for n rows of m cells along an axis with an absorbing end.

        Source: Gardiner, Handbook of Stochastic Methods, section 5.2.7.

        Example:
            >>> axis = tml.Axis(-2.0, 0.0, 200, boundary=("reflecting", "absorbing"))
            >>> equation = tml.FokkerPlanck(tml.Langevin(lambda x, _: (x**2 - 1) ** 2), axis)
            >>> escape = equation.mean_first_passage_time()
        """
        if not self._absorbs:
            raise ValueError(
                "a mean first-passage time needs an absorbing end: "
                'Axis(..., boundary=("reflecting", "absorbing"))'
            )
        self._check(t)
        return _passage_times(self, jnp.asarray(t, default_float()))

    def spectrum(self, count: int = 6, t: Time = 0.0) -> Spectrum:
        r"""The slowest modes of relaxation, with control and baths held as at time t.

        $$Lp_i = -(\gamma_i \mp \mathrm i\omega_i)p_i, \qquad
          \gamma_i = \sum_f j_f(p_i)\,(l_{i,f+} - l_{i,f-}) \Big/ \sum l_ip_i$$

        from right and left modes p and l, as sums over faces. The first rate is 0, of the steady
        state, unless an end absorbs; between two wells the second is the sum of both escape rates.
        Differentiable once, where an eigenvalue is simple.

        Args:
            count: number of eigenvalues, at least 1 and below the number of cells less 1.
            t: time.

        Returns:
            A `Spectrum`, the smallest rates first.

        Raises:
            ValueError, TypeError: a count that does not fit; as for the class, at this time.

        Cost: a sparse factorisation, on the CPU (SciPy's ARPACK, in float64).

        Source: Risken, The Fokker-Planck Equation, chapter 5; Lehoucq, Sorensen and Yang 1998,
        ARPACK Users' Guide.
        """
        count = check_count("count", count)
        if count > math.prod(self.shape) - 2:
            raise ValueError(
                f"count must be below the {math.prod(self.shape)} cells less 1, got {count}"
            )
        self._check(t)
        return _spectrum(self, jnp.asarray(t, default_float()), count)


@jitted
def _steady_state(equation: FokkerPlanck, t: Float[Array, ""]) -> Float[Array, "..."]:
    system = equation._at(t)
    return system.rates().steady_state(system.energy) / equation.cell


@jitted
def _transport(equation: FokkerPlanck, t: Float[Array, ""]) -> Transport:
    system = equation._at(t)
    return Transport(*system.rates().transport(system.energy, equation.axes[0].width))


@jitted
def _passage_times(equation: FokkerPlanck, t: Float[Array, ""]) -> Float[Array, "..."]:
    return equation.rates(t).passage_times(equation._absorbs[0])


@jitted
def _spectrum(equation: FokkerPlanck, t: Float[Array, ""], count: int) -> Spectrum:
    return Spectrum(*slowest(equation.rates(t), count))


@jitted
def _evolve(
    equation: FokkerPlanck,
    density: Float[Array, "..."],
    t0: Float[Array, ""],
    dt: Float[Array, ""],
    *,
    n_saves: int,
    steps_per_save: int,
) -> tuple[FokkerPlanckSolution, Extremes]:
    return evolution(equation._at, density, (t0, dt), (n_saves, steps_per_save))
