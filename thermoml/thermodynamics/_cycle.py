"""Engines: systems taken round a cycle of control and bath temperature."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ..langevin import AbstractIntegrator, Constant, EulerMaruyama, Langevin, Solution, simulate
from ..numerics.arrays import as_parameter, as_parameters, cast_floats, known_now
from ..numerics.checks import check_bound, check_count, count_steps
from ._cycle_result import CycleResult, from_moments, from_trajectories
from ._moments import Moments, check_linear, moment_equations
from ._normal import NormalState


class Stroke(eqx.Module):
    """A part of a cycle, in contact with one bath.

    Args:
        control: a control λ of the time since the stroke began, such as `Ramp(4.0, 1.0, t1=2.0)`;
            a number or another pytree of arrays is held. Where it does not begin as the stroke
            before has ended, the control jumps, and that is work alone.
        duration: > 0.
        bath: the name of one of the cycle's baths.

    Raises:
        ValueError: a duration that is not positive.
    """

    control: Callable[[Any], Any]
    duration: Float[Array, ""]
    bath: str = eqx.field(static=True)

    def __init__(self, control: Any, *, duration: Any, bath: str):
        check_bound("duration", duration, ">", 0.0)
        self.control = control if callable(control) else Constant(control)
        with known_now(duration):
            self.duration = as_parameter(duration)
        self.bath = bath


class Cycle(eqx.Module):
    r"""An engine: strokes of control λ and bath, over and over.

    $$\eta = \frac{-W}{Q_\text{in}} \le 1 - \frac{T_\text{cold}}{T_\text{hot}}$$

    with W the work done on the system in one round and Q_in the heat from all baths that give
    heat. Once it has settled, every round is like the one before.

    Args:
        potential: `potential(x, control) -> scalar`, as in `Langevin`.
        strokes: at least two `Stroke`s, in order.
        temperatures: of each bath by name, such as `{"hot": 2.0, "cold": 1.0}`; > 0.
        drive, mobility: as in `Langevin`.

    Raises:
        TypeError, ValueError: strokes that are not, a bath without a temperature, or one that is
            not positive, controls of different structure.

    Source: Sekimoto 2010, ch. 8; the harmonic Stirling engine: Schmiedl and Seifert 2008, EPL 81,
    20003; Blickle and Bechinger 2012, Nature Phys. 8, 143.
    """

    potential: Callable[[Any, Any], Float[Array, ""]]
    strokes: tuple[Stroke, ...]
    temperatures: dict[str, Float[Array, ""]]
    drive: Callable[[Any, Any], Any] | None
    mobility: Any

    def __init__(
        self,
        potential: Callable[[Any, Any], Float[Array, ""]],
        strokes: Sequence[Stroke],
        *,
        temperatures: Mapping[str, Any],
        drive: Callable[[Any, Any], Any] | None = None,
        mobility: Any = 1.0,
    ):
        self.potential = potential
        self.strokes = tuple(strokes)
        if len(self.strokes) < 2 or not all(isinstance(s, Stroke) for s in self.strokes):
            raise ValueError(f"strokes must be at least two Stroke(...), got {strokes!r}")
        for name, value in temperatures.items():
            check_bound(f"temperatures[{name!r}]", value, ">", 0.0)
        missing = {stroke.bath for stroke in self.strokes} - set(temperatures)
        if missing:
            raise ValueError(
                f"temperatures must name every stroke's bath, missing {sorted(missing)}; got "
                f"{sorted(temperatures)}"
            )
        self.temperatures = {name: as_parameter(value) for name, value in temperatures.items()}
        self.drive = drive
        self.mobility = as_parameters(mobility)
        shapes = [jax.eval_shape(stroke.control, stroke.duration) for stroke in self.strokes]
        layouts = [jax.tree.map(lambda leaf: leaf.shape, shape) for shape in shapes]
        if any(layout != layouts[0] for layout in layouts):
            raise ValueError(
                "controls of all strokes must have one structure and one shape, got "
                + ", ".join(str(layout) for layout in layouts)
            )

    @property
    def ends(self) -> Float[Array, " stroke"]:
        """When each stroke ends, in the first round."""
        return jnp.cumsum(jnp.stack([stroke.duration for stroke in self.strokes]))

    @property
    def period(self) -> Float[Array, ""]:
        return self.ends[-1]

    @property
    def system(self) -> Langevin:
        """The engine for `simulate`: control and temperature repeat with the period."""
        return Langevin(
            self.potential,
            drive=self.drive,
            control=_Repeated(self, "control"),
            temperature=_Repeated(self, "temperature"),
            mobility=self.mobility,
        )

    def moment_equations(
        self, *, state: Float[Array, "..."] | float = 0.0, points: int = 25
    ) -> CycleResult:
        r"""The settled round of a harmonic engine, exact: see `moment_equations`.

        Mean and covariance after a round are linear in those before; the settled state is the
        solution of that. Differentiable in temperatures, durations and controls.

        Args:
            state: an example, for its shape `(d,)` or (); its values do not matter.
            points: how many points of each stroke are kept for diagrams.

        Returns:
            A `CycleResult` with standard errors 0.

        Raises:
            ValueError: a force that is not linear in x.

        Cost: d(d + 3)/2 + 2 rounds.
        """
        points = check_count("points", points)
        mean = as_parameter(state)
        system, period = cast_floats(self.system, mean.dtype), self.period.astype(mean.dtype)
        times = self._points(points).astype(mean.dtype).at[-1].set(period)
        check_linear(system, mean, times)
        found = _settled_round(system, mean, times)
        return from_moments(self, found, points)

    def simulate(
        self,
        state: Any,
        *,
        dt: float,
        key: Key[Array, ""],
        n_trajectories: int,
        rounds: int = 10,
        settle: int = 5,
        integrator: AbstractIntegrator = EulerMaruyama(),  # noqa: B008 (an immutable module)
        density: Literal["normal", "neighbours"] = "normal",
        throw: bool = True,
    ) -> CycleResult:
        """The settled round of any engine, from simulated trajectories.

        Args:
            state: where trajectories begin, as in `simulate`.
            dt: time step; it must divide every stroke.
            key, n_trajectories, integrator, throw: as in `simulate`; at least two trajectories.
            rounds: how many are averaged.
            settle: how many are run before.
            density: how the entropy of the diagrams is estimated, see `system_entropy`.

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
        return from_trajectories(self, solution, saves, rounds, density)

    def trajectories(
        self, state: Any, *, dt: float, rounds: int, settle: int = 0, **how: Any
    ) -> tuple[Solution, list[int]]:
        """All rounds of an engine as `simulate` returns them, saved so that strokes end at saves.

        Args:
            state, dt: as in `simulate`; dt must divide every stroke.
            rounds, settle: how many rounds in all, the sum of both.
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
            observables={"x": _state_of, "conjugate": _Conjugate(self.potential)},
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


@eqx.filter_jit
def _settled_round(system: Langevin, mean: Array, times: Array) -> Moments:
    """The round that ends in the normal distribution in which it began."""
    size, shape = mean.size, mean.shape
    upper = np.triu_indices(size)
    unit = jnp.eye(size + len(upper[0]), dtype=mean.dtype)
    starts = jnp.concatenate([jnp.zeros_like(unit[:1]), unit, jnp.zeros_like(unit[:1])])
    count = starts.shape[0]

    def after_round(carry, i):
        # What the round makes of 0 and of each unit vector tells what it leaves as it is.
        ends, _ = carry
        known = i == count - 1
        change = jnp.where(known, (ends[1:-1] - ends[:1]).T, 0)
        settled = jnp.linalg.solve(unit - change, ends[0])
        entries = jnp.where(known, settled, starts[i])
        half = jnp.zeros((size, size), mean.dtype).at[upper].set(entries[size:])
        covariance = half + half.T - jnp.diag(jnp.diagonal(half))
        start = NormalState(jnp.reshape(entries[:size], shape), jnp.reshape(covariance, shape * 2))
        found = moment_equations(system, start, t1=times[-1], saves=times)
        end = found.state()
        return (ends.at[i].set(jnp.concatenate([end.vector, end.matrix[upper]])), found), None

    layout = eqx.filter_eval_shape(
        lambda: moment_equations(
            system, NormalState(mean, jnp.zeros(shape * 2, mean.dtype)), t1=times[-1], saves=times
        )
    )
    nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), layout)
    (_, found), _ = jax.lax.scan(after_round, (starts, nothing), jnp.arange(count))
    return found


class _Repeated(eqx.Module):
    """Control or temperature of a cycle at any time; a stroke's end still belongs to it."""

    cycle: Cycle
    what: Literal["control", "temperature"] = eqx.field(static=True)

    @property
    def breaks(self) -> Float[Array, " break"]:
        """In the first round: ends of strokes, and where the controls break."""
        cycle = self.cycle
        starts = jnp.concatenate([jnp.zeros_like(cycle.ends[:1]), cycle.ends[:-1]])
        inside = [
            start + jnp.clip(jnp.ravel(found), 0, stroke.duration)
            for start, stroke in zip(starts, cycle.strokes, strict=True)
            if (found := getattr(stroke.control, "breaks", None)) is not None
        ]
        return jnp.concatenate([cycle.ends, *inside])

    def __call__(self, t: Float[Array, ""]) -> Any:
        cycle = self.cycle
        ends = cycle.ends.astype(t.dtype)
        # t = n dt carries rounding: a few units of it must not open the next stroke.
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


class _Conjugate(eqx.Module):
    """∂U/∂λ: what the work is done against."""

    potential: Callable[[Any, Any], Float[Array, ""]]

    def __call__(self, x, control, t):
        return jax.grad(self.potential, argnums=1)(x, control)


def _state_of(x, control, t):
    return x
