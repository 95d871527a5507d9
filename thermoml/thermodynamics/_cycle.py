"""Engines: systems driven through a cycle of control and bath temperature."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from ..ensembles import AbstractAdjoint, RecursiveCheckpoint
from ..langevin import (
    AbstractControl,
    AbstractIntegrator,
    Langevin,
    Solution,
    State,
    Time,
    Underdamped,
    position_of,
    simulate,
)
from ..numerics.arrays import as_parameter, cast_floats
from ..numerics.checks import (
    check_bound,
    check_count,
    check_number,
    count_steps,
    parameters,
)
from ..numerics.types import Numbers
from ._cycle_result import CycleResult, Diagram, cycle_result
from ._cycle_rounds import (
    entropy_over_rounds,
    mean_over_rounds,
    save_places,
    settled_rounds,
    steady_round,
)
from ._entropy import normal_entropy
from ._entropy_production import Density
from ._linearity import check_linear, harmonic
from ._moment_result import Moments
from ._normal import NormalState
from ._stroke import Stroke


class Cycle(eqx.Module):
    r"""An engine: a periodic sequence of strokes, each with its control λ and bath.

    $$\eta = \frac{-W}{Q_\text{in}} \le 1 - \frac{T_\text{cold}}{T_\text{hot}}$$

    with W the work done on the system in one round and Q_in the heat from all baths that give
    heat. In the steady state all rounds have the same law.

    Args:
        potential: `potential(x, control) -> scalar`, as in `Langevin`.
        strokes: at least two `Stroke`s, in order.
        temperatures: of each bath by name, such as `{"hot": 2.0, "cold": 1.0}`; > 0.
        drive, mobility: as in `Langevin`.
        mass, friction: as in `Underdamped`, for an engine with momentum, which has no mobility;
            where one of them is given, the other is 1.

    Raises:
        TypeError, ValueError: fewer than two strokes or objects of another type, a bath without a
            temperature or with one that is not positive, or controls of different structure.

    Source: Sekimoto 2010, ch. 8; the harmonic Stirling engine: Schmiedl and Seifert 2008, EPL 81,
    20003; Blickle and Bechinger 2012, Nature Phys. 8, 143.
    """

    potential: Callable[[Any, Any], Float[Array, ""]]
    strokes: tuple[Stroke, ...]
    temperatures: dict[str, Float[Array, ""]]
    drive: Callable[[Any, Any], PyTree[Array]] | None
    mobility: PyTree[Any]
    mass: PyTree[Any] = None
    friction: PyTree[Any] = None

    def __init__(
        self,
        potential: Callable[[Any, Any], Float[Array, ""]],
        strokes: Sequence[Stroke],
        *,
        temperatures: Mapping[str, Any],
        drive: Callable[[Any, Any], PyTree[Array]] | None = None,
        mobility: PyTree[Any] = None,
        mass: PyTree[Any] = None,
        friction: PyTree[Any] = None,
    ):
        if not callable(potential):
            raise TypeError(f"potential must be callable, got {potential!r:.80}")
        if drive is not None and not callable(drive):
            raise TypeError(f"drive must be callable or None, got {drive!r:.80}")
        self.potential = potential
        self.strokes = tuple(strokes) if isinstance(strokes, list | tuple) else ()
        if len(self.strokes) < 2 or not all(isinstance(s, Stroke) for s in self.strokes):
            raise ValueError(f"strokes must be at least two Stroke(...), got {strokes!r:.200}")
        if not isinstance(temperatures, Mapping):
            raise TypeError(
                "temperatures must be a mapping from the names of baths to numbers, got "
                f"{temperatures!r:.80}"
            )
        for name, value in temperatures.items():
            check_number(f"temperatures[{name!r}]", value)
            check_bound(f"temperatures[{name!r}]", value, ">", 0.0)
        missing = {stroke.bath for stroke in self.strokes} - set(temperatures)
        if missing:
            raise ValueError(
                f"temperatures must name every stroke's bath, missing {sorted(missing)}; got "
                f"{sorted(temperatures)}"
            )
        self.temperatures = {
            name: as_parameter(value, f"temperatures[{name!r}]")
            for name, value in temperatures.items()
        }
        self.drive = drive
        if mobility is not None and (mass is not None or friction is not None):
            raise ValueError(
                f"an engine with momentum has friction in place of mobility, got {mobility!r:.80}"
            )
        self.mobility = parameters("mobility")(1.0 if mobility is None else mobility)
        if mass is not None or friction is not None:
            self.mass = parameters("mass")(1.0 if mass is None else mass)
            self.friction = parameters("friction")(1.0 if friction is None else friction)
        shapes = [jax.eval_shape(stroke.control, stroke.duration) for stroke in self.strokes]
        layouts = [jax.tree.map(lambda leaf: leaf.shape, shape) for shape in shapes]
        if any(layout != layouts[0] for layout in layouts):
            raise ValueError(
                "controls of all strokes must have one structure and one shape, got "
                + ", ".join(str(layout) for layout in layouts)
            )

    @property
    def ends(self) -> Float[Array, " stroke"]:
        """The end of each stroke in the first round."""
        return jnp.cumsum(jnp.stack([stroke.duration for stroke in self.strokes]))

    @property
    def period(self) -> Float[Array, ""]:
        """The duration of a round."""
        return self.ends[-1]

    @property
    def system(self) -> Langevin | Underdamped:
        """The engine for `simulate`: control and temperature repeat with the period."""
        system = Langevin(
            self.potential,
            drive=self.drive,
            control=CycleProtocol(self, "control"),
            temperature=CycleProtocol(self, "temperature"),
            mobility=self.mobility,
        )
        if self.mass is None:
            return system
        return Underdamped(system, mass=self.mass, friction=self.friction)

    def moment_equations(
        self,
        *,
        state: Numbers = 0.0,
        points: int = 25,
        adjoint: AbstractAdjoint = RecursiveCheckpoint(),  # noqa: B008 (an immutable module)
    ) -> CycleResult:
        r"""The steady state of a harmonic engine, exact: see `moment_equations`.

        Mean and covariance after a round are affine functions of those before; the steady state
        is the fixed point. Differentiable in temperatures, durations and controls.

        Args:
            state: an example of a position, of shape `(d,)` or (); its values do not matter.
            points: number of points of each stroke in the diagrams.
            adjoint: as in `simulate`; `ForwardMode()` for `jax.jvp`.

        Returns:
            A `CycleResult` with standard errors 0.

        Raises:
            ValueError: a force that is not linear in x.

        Cost: d(d + 3)/2 + 2 rounds.
        """
        points = check_count("points", points)
        like = as_parameter(state)
        system, period = cast_floats(self.system, like.dtype), self.period.astype(like.dtype)
        times = self._points(points).astype(like.dtype).at[-1].set(period)
        checked = check_linear(harmonic(system), NormalState(like, 1.0), times)
        moments = checked(steady_round(system, like, times, adjoint))
        conjugate, entropy = jax.vmap(self._means, (None, 0))(like, moments)
        diagram = self._diagram(moments.times, moments.control, conjugate, entropy)
        heat = jnp.diff(moments.heat[::points])
        return self._result(moments.work[None, -1], heat[None], diagram)

    def simulate(
        self,
        state: Any,
        *,
        dt: float,
        key: Key[Array, ""],
        n_trajectories: int,
        rounds: int = 10,
        settle: int = 5,
        integrator: AbstractIntegrator | None = None,
        density: Density = "normal",
        throw: bool = True,
    ) -> CycleResult:
        """The steady state of any engine, from simulated trajectories.

        Args:
            state: the initial state, as in `simulate`.
            dt: time step; it must divide every stroke.
            key, n_trajectories, integrator, throw: as in `simulate`; at least two trajectories.
            rounds: number of rounds that are averaged.
            settle: number of rounds that are run first.
            density: estimator of the entropy in the diagrams, see `system_entropy`.

        Returns:
            A `CycleResult`, with standard errors over the trajectories.

        Raises:
            ValueError: dt does not divide a stroke.
            SimulationDiverged: as in `simulate`.

        Cost: as `simulate`, for `rounds + settle` periods.
        """
        n_trajectories = check_count(
            "n_trajectories", n_trajectories, 2, "standard errors need several"
        )
        solution, saves = self.trajectories(
            state,
            dt=dt,
            key=key,
            rounds=rounds,
            settle=settle,
            integrator=integrator,
            n_trajectories=n_trajectories,
            throw=throw,
        )
        work, heat = settled_rounds(solution, saves, rounds)
        places = save_places(solution, saves, rounds)
        times = solution.times[places[0]] - solution.times[places[0, 0]]
        diagram = self._diagram(
            times,
            jax.vmap(self.system.control_at)(times),
            mean_over_rounds(solution.observables["conjugate"], places),
            entropy_over_rounds(solution.observables["x"], places, density),
        )
        return self._result(work, heat, diagram)

    def trajectories(
        self, state: Any, *, dt: float, rounds: int, settle: int = 0, **how: Any
    ) -> tuple[Solution, list[int]]:
        """All rounds of an engine as `simulate` returns them, with a save at the end of strokes.

        Args:
            state, dt: as in `simulate`; dt must divide every stroke.
            rounds, settle: numbers of rounds; both are run, one after the other.
            how: further arguments of `simulate`.

        Returns:
            The solution, with the states as observable `x` and ∂U/∂λ as `conjugate`, and the number
            of saves in each stroke.

        Raises:
            ValueError: dt does not divide a stroke, or a duration is traced.
        """
        rounds, settle = check_count("rounds", rounds), check_count("settle", settle, 0)
        steps = [count_steps(0.0, s.duration, dt, s.duration.dtype) for s in self.strokes]
        save_every = math.gcd(*steps)
        while sum(steps) // save_every < 16 and save_every % 2 == 0:
            save_every //= 2  # diagrams need some points
        solution = simulate(
            self.system,
            state,
            t1=sum(steps) * dt * (rounds + settle),
            dt=dt,
            save_every=save_every,
            observables={"x": State(), "conjugate": ConjugateForce(self.potential)},
            **how,
        )
        return solution, [n // save_every for n in steps]

    def _points(self, points: int) -> Float[Array, " save"]:
        """Times of the points of all strokes of a round, both ends included."""
        fractions = jnp.arange(1, points + 1, dtype=self.period.dtype) / points
        starts = jnp.concatenate([jnp.zeros_like(self.ends[:1]), self.ends[:-1]])
        parts = [
            start + stroke.duration * fractions
            for start, stroke in zip(starts, self.strokes, strict=True)
        ]
        return jnp.concatenate([starts[:1], *parts])

    def _means(
        self, like: Float[Array, "..."], now: Moments
    ) -> tuple[PyTree[Array], Float[Array, ""]]:
        """⟨∂U/∂λ⟩ and entropy of the normal distribution at one time."""
        state, size = NormalState(now.mean, now.covariance), like.size
        position = NormalState(like, 0.0).like(state.vector[:size], state.matrix[:size, :size])

        def energy(control):
            return position.expectation(lambda x: self.potential(x, control))

        return jax.grad(energy)(now.control), normal_entropy(state.matrix)

    def _diagram(
        self,
        times: Float[Array, " point"],
        control: PyTree[Array],
        conjugate: PyTree[Array],
        entropy: Float[Array, " point"],
    ) -> Diagram:
        temperature = jax.vmap(CycleProtocol(self, "temperature"))(times)
        return Diagram(times, control, conjugate, temperature, entropy)

    def _result(
        self,
        work: Float[Array, " trajectory"],
        heat_by_stroke: Float[Array, "trajectory stroke"],
        diagram: Diagram,
    ) -> CycleResult:
        return cycle_result(
            work,
            heat_by_stroke,
            baths=[stroke.bath for stroke in self.strokes],
            temperatures=self.temperatures,
            period=self.period,
            diagram=diagram,
        )


class CycleProtocol(AbstractControl):
    """Control or temperature of a cycle at any time; the end of a stroke belongs to it.

    Args:
        cycle: a `Cycle`.
        what: "control" or "temperature".
    """

    cycle: Cycle
    what: Literal["control", "temperature"] = eqx.field(static=True)

    @property
    def breaks(self) -> Float[Array, " break"]:
        """Of the first round: ends of strokes, and the breaks of their controls."""
        cycle = self.cycle
        starts = jnp.concatenate([jnp.zeros_like(cycle.ends[:1]), cycle.ends[:-1]])
        inside = [
            start + jnp.clip(jnp.ravel(stroke.control.breaks), 0, stroke.duration)
            for start, stroke in zip(starts, cycle.strokes, strict=True)
            if isinstance(stroke.control, AbstractControl)
        ]
        return jnp.concatenate([cycle.ends, *inside])

    def __call__(self, t: Time) -> PyTree[Array]:
        cycle, t = self.cycle, as_parameter(t)
        ends = cycle.ends.astype(t.dtype)
        # t = n dt is rounded: a few units of rounding must not open the next stroke.
        slack = 16 * jnp.finfo(t.dtype).eps * jnp.maximum(jnp.abs(t), ends[-1])
        phase = jnp.mod(t, ends[-1])
        phase = jnp.where(phase <= slack, ends[-1], phase)
        stroke = jnp.minimum(jnp.sum(phase > ends + slack), len(cycle.strokes) - 1)
        if self.what == "temperature":
            return jnp.stack([cycle.temperatures[s.bath] for s in cycle.strokes])[stroke]
        choices = [
            s.control(jnp.clip(phase - (end - s.duration), 0, s.duration))
            for s, end in zip(cycle.strokes, ends, strict=True)
        ]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves)[stroke], *choices)


class ConjugateForce(eqx.Module):
    """The observable ∂U/∂λ, the force conjugate to the control.

    Args:
        potential: `potential(x, control) -> scalar`.
    """

    potential: Callable[[Any, Any], Float[Array, ""]]

    def __call__(self, x: PyTree[Array], control: PyTree[Array], t: Float[Array, ""]) -> Any:
        return jax.grad(self.potential, argnums=1)(position_of(x), control)
