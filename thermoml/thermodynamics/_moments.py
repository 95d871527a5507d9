"""Mean and covariance of harmonic systems under a protocol, with their mean ledger."""

from typing import Any, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, PyTree

from ..ensembles import AbstractAdjoint, Clock, RecursiveCheckpoint, Saves
from ..langevin import (
    AbstractIntegrator,
    Langevin,
    PhaseState,
    Stepper,
    Time,
    Underdamped,
    acting,
    default_integrator,
)
from ..numerics.arrays import cast_floats, is_concrete
from ..numerics.checks import check_count, check_number, count_steps, parameter
from ..numerics.compile import jitted
from ..numerics.results import AbstractResult
from ._linearity import check_linear, force_at, stops_of
from ._normal import NormalState
from ._step_moments import integrate_steps, phase_start, step_map

_MAX_STEPS = 4096  # between two breaks


class Moments(AbstractResult):
    """The distribution of a harmonic system in time, and its mean ledger since the start.

    Attributes:
        times: `(save,)`.
        mean, covariance: `(save, …)`, of the start's shapes; `state(save)` returns both.
        energy, work, heat: means, `(save,)`; work and heat are cumulative, work - heat is the
            change of energy.
        heat_by_element: mean heat into the bath of each coordinate, `(save, d)`.
        entropy_flow: Σ ∫ δQ_i/T_i, `(save,)`, in nats; NaN once a bath has been at T = 0.
        control: λ at the times, a pytree with the axis `save` first.
        shadow_work: mean cumulative work of the discretisation; NaN for an integrator that has
            none, None in the limit dt → 0.
        free_energy_from_work, free_energy_from_total_work: -T ln⟨e^{-W/T}⟩ since the start, of the
            work and of work and shadow work, which `jarzynski` estimates; NaN where there are
            several temperatures, None in the limit dt → 0.

    With momentum a state is `(2d,)`, position first, the energy contains p²/2m, and heat is that of
    friction and noise, so that work + shadow_work - heat is the change of energy.
    """

    times: Float[Array, " save"]
    mean: Float[Array, "save ..."]
    covariance: Float[Array, "save ..."]
    energy: Float[Array, " save"]
    work: Float[Array, " save"]
    heat: Float[Array, " save"]
    heat_by_element: Float[Array, "save d"]
    entropy_flow: Float[Array, " save"]
    control: PyTree[Array]
    shadow_work: Float[Array, " save"] | None = None
    free_energy_from_work: Float[Array, " save"] | None = None
    free_energy_from_total_work: Float[Array, " save"] | None = None

    def state(self, save: int = -1) -> NormalState:
        """The distribution at one save, by default the last."""
        return NormalState(self.mean[save], self.covariance[save])

    def _summary(self):
        names = ("work", "heat", "energy", "entropy_flow")
        heading = f"Moments at t = {float(self.times[-1]):g}, means"
        return heading, {name: getattr(self, name)[-1] for name in names}


def moment_equations(
    system: Langevin | Underdamped,
    start: NormalState | PhaseState,
    *,
    t1: Time,
    t0: Time = 0.0,
    saves: int | Float[ArrayLike, " save"] = 1,
    dt: Time | None = None,
    integrator: AbstractIntegrator | None = None,
    adjoint: AbstractAdjoint = RecursiveCheckpoint(),  # noqa: B008 (an immutable module)
) -> Moments:
    r"""Mean, covariance and mean ledger of a harmonic system under any protocol, without sampling.

    $$\dot m = \mu F(m, \lambda), \qquad
      \dot\Sigma = -\mu B\Sigma - \Sigma B^\top\mu + 2\mu T, \qquad
      \dot Q_i = \mu_i\big[F_i(m)^2 + (B\Sigma B^\top)_{ii} - T_iB_{ii}\big]$$

    with $B = -\partial F/\partial x$ and λ, T, μ functions of time; the mean work is the change of
    the mean energy plus the heat. Integrated adaptively (Tsit5 of diffrax) to 1e-10 in float64,
    from break to break of the protocol, jumps at its ends included. It is the limit dt → 0 of
    `simulate`, and an objective for `tune` without noise.

    With a time step dt it is what `simulate` samples at that dt, exactly: the recursion of a normal
    distribution through the steps of any integrator that is linear in state and noise, its ledger,
    its shadow work, and the averages of e^{-W/T}. Systems with momentum are treated in this way.

    Args:
        system: a `Langevin` with a potential quadratic and a drive linear in x, and any control;
            of a control or bath with jumps or kinks, an `AbstractControl` with its `breaks`. Or
            such a system with momentum, `Underdamped(langevin)`.
        start: the distribution at t0; states have the shape of its mean. With momentum, that of
            the position, with momenta from the baths; or a `PhaseState` of two distributions.
        t1, t0: end and start; may be traced.
        saves: the number of saves after the start, at equal distances of time; or the times
            themselves, `(save,)`, from t0 to t1 in ascending order, where dt is None.
        dt: the time step, of which (t1 - t0) must be a whole number; None for the limit dt → 0.
        integrator: of the steps, as for `simulate`.
        adjoint: as in `simulate`; `Direct()` for `jax.jvp` and `jax.hessian`.

    Returns:
        `Moments`; NaN if the integration needs more than 4096 steps between two breaks.

    Raises:
        TypeError: a system that is not a `Langevin`.
        ValueError: a force that is not linear in x, t1 <= t0, baths that do not fit, or an
            integrator or momentum without dt. Traced, a force that is not linear makes everything
            NaN. It is looked at in random directions at random places, at each break of the
            protocol and between them.

    Cost: a few hundred evaluations of the force and its Jacobian for each break and save; with dt,
    some d³ operations and d² evaluations of the force a step.
    """
    if dt is not None:
        return _by_steps(system, start, t0, t1, dt, saves, integrator, adjoint)
    if integrator is not None or isinstance(system, Underdamped):
        given = "integrator" if integrator is not None else "a system with momentum"
        raise ValueError(f"{given} needs the time step: pass dt=")
    if not isinstance(system, Langevin):
        raise TypeError(f"system must be a Langevin, got {system!r}")
    if not isinstance(start, NormalState):
        raise TypeError(f"start must be a NormalState, got {start!r:.80}")
    check_number("t0", t0)
    check_number("t1", t1)
    if is_concrete((t0, t1)) and not float(t1) > float(t0):  # pyright: ignore[reportArgumentType]
        raise ValueError(f"t1 must be later than t0 = {t0}, got {t1}")
    dtype = start.mean.dtype
    system = cast_floats(system, dtype)
    t0, t1 = jnp.asarray(t0, dtype), jnp.asarray(t1, dtype)
    if not is_concrete(saves) or np.ndim(saves):
        saves = parameter("saves", 1)(saves)
    if jnp.ndim(saves) == 0:
        times = jnp.linspace(t0, t1, check_count("saves", saves) + 1)
    else:
        times = jnp.asarray(saves, dtype)
        wrong = (times[0] != t0) | (times[-1] != t1) | jnp.any(jnp.diff(times) < 0)
        if is_concrete(wrong) and wrong:
            raise ValueError(f"saves must ascend from t0 to t1 = {t1}, got {times}")
    checked = check_linear(system, start, times)
    if is_concrete((t0, t1)):
        jax.eval_shape(system.baths.at, t0, start.mean)
        system.baths.check(start.mean, lambda: jnp.linspace(t0, t1, 1001))
    return checked(integrate(system, start, times, adjoint))


def _by_steps(
    system: Any,
    start: Any,
    t0: Time,
    t1: Time,
    dt: Time,
    saves: Any,
    integrator: AbstractIntegrator | None,
    adjoint: AbstractAdjoint,
) -> Moments:
    """The moments of `simulate` at a time step."""
    force = acting(system)
    if not isinstance(force, Langevin):
        raise TypeError(f"system must be a Langevin, or one with momentum, got {system!r:.80}")
    position, momentum = start, None
    if isinstance(start, PhaseState) and isinstance(system, Underdamped):
        position, momentum = start.position, start.momentum
    for part in (position, momentum):
        if not isinstance(part, NormalState) and part is not None:
            raise TypeError(f"start must be a NormalState, got {start!r:.80}")
    dtype = position.mean.dtype
    n_steps = count_steps(t0, t1, dt, dtype)
    n_saves = check_count("saves", saves)
    if n_steps % n_saves:
        raise ValueError(f"saves must divide the {n_steps} steps, got {saves}")
    integrator = default_integrator(system) if integrator is None else integrator
    system, force, integrator = cast_floats((system, force, integrator), dtype)
    clock = Clock.at(0, t0, dt, dtype)
    chosen = Saves(n_saves, n_steps // n_saves)
    times = jnp.asarray(clock.time(0, chosen.steps))
    checked = check_linear(force, position, times)
    _check_parameters(system, position.mean, times)
    state = position.mean
    if isinstance(system, Underdamped):
        state = PhaseState(state, state)
    stepper = Stepper(system, integrator, {}, jax.random.key(0), clock)
    one_step = step_map(stepper, state)
    begin = phase_start(system, position, momentum, clock)
    now = integrate_steps(one_step, begin, chosen, adjoint)
    size = begin[0].size
    shape = (size,) if isinstance(system, Underdamped) else position.mean.shape
    temperature = jnp.ravel(force.baths.at(times[0], position.mean).temperature)[0]
    averages = jnp.where(now.one_temperature[:, None], -temperature * now.laws.logarithm, jnp.nan)
    return checked(
        Moments(
            times=times,
            mean=jnp.reshape(now.laws.mean[:, 0, :size], (-1, *shape)),
            covariance=jnp.reshape(now.laws.covariance[:, 0, :size, :size], (-1, *shape, *shape)),
            energy=now.energy,
            work=now.totals.work,
            heat=now.totals.heat,
            heat_by_element=now.totals.heat_by_element,
            entropy_flow=now.totals.entropy_flow,
            control=None if force.control is None else jax.vmap(force.control_at)(times),
            shadow_work=now.totals.shadow_work,
            free_energy_from_work=averages[:, 1],
            free_energy_from_total_work=averages[:, 2],
        )
    )


def _check_parameters(
    system: Langevin | Underdamped, position: Array, times: Float[Array, " save"]
) -> None:
    """ValueError for known baths, masses or frictions that are out of range at these times."""
    if is_concrete((times, system)):
        acting(system).baths.check(position, lambda: times)
        if isinstance(system, Underdamped):
            system.check(position, lambda: times)


def _linear_force(
    system: Langevin, shape: tuple[int, ...], t: Array, x: Float[Array, " d"]
) -> tuple[Float[Array, " d"], Float[Array, "d d"]]:
    """F and B at a state given as a vector."""

    def force(vector):
        return force_at(system, shape, t, vector)

    return force(x), -jax.jacfwd(force)(x)


class _Running(NamedTuple):
    """Moments at one time as vector and matrix, and integrals since the start; or their rates."""

    mean: Float[Array, "*save d"]
    covariance: Float[Array, "*save d d"]
    heat: Float[Array, "*save d"]
    entropy_flow: Float[Array, "*save"]
    cold: Float[Array, "*save"]  # time during which a bath had no temperature


def _rates(system: Langevin, shape: tuple[int, ...], t: Array, now: _Running) -> _Running:
    """Derivatives in time."""
    baths = system.baths.at(t, jnp.zeros(shape, now.mean.dtype))
    temperature, mobility = (
        jnp.ravel(jnp.broadcast_to(x, shape)) for x in (baths.temperature, baths.mobility)
    )
    force, slope = _linear_force(system, shape, t, now.mean)
    relaxing = mobility[:, None] * slope @ now.covariance
    squares = force**2 + jnp.sum(slope @ now.covariance * slope, axis=1)
    heat = mobility * (squares - temperature * jnp.diagonal(slope))
    cold = temperature <= 0
    flow = jnp.where(cold, 0, heat / jnp.where(cold, 1, temperature))
    return _Running(
        mobility * force,
        2 * jnp.diag(mobility * temperature) - relaxing - relaxing.T,
        heat,
        jnp.sum(flow),
        jnp.sum(cold.astype(now.mean.dtype)),
    )


@jitted
def integrate(
    system: Langevin,
    start: NormalState,
    times: Float[Array, " save"],
    adjoint: AbstractAdjoint,
) -> Moments:
    """The moments of a system that is known to be linear."""
    shape, dtype = start.mean.shape, times.dtype
    stops = stops_of(system, times)
    # At this distance from its two stops a control is certainly past a jump there.
    margin = 64 * jnp.finfo(dtype).eps * jnp.maximum(jnp.abs(times[0]), jnp.abs(times[-1]))
    rtol, atol = (1e-10, 1e-12) if dtype == jnp.float64 else (1e-6, 1e-7)

    def field(fraction, now, between):
        begin, end = between
        t = begin + (end - begin) * fraction
        t = jnp.clip(t, jnp.minimum(begin + margin, end), jnp.maximum(end - margin, begin))
        return jax.tree.map(lambda rate: (end - begin) * rate, _rates(system, shape, t, now))

    def segment(now, between):
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(field),
            diffrax.Tsit5(),
            jnp.zeros((), dtype),
            jnp.ones((), dtype),
            None,
            now,
            between,
            stepsize_controller=diffrax.PIDController(rtol=rtol, atol=atol),
            adjoint=adjoint.of_diffrax,
            max_steps=_MAX_STEPS,
            throw=False,
        )
        good = solution.result == diffrax.RESULTS.successful
        assert solution.ys is not None
        now = jax.tree.map(lambda x: jnp.where(good, x[-1], jnp.nan), solution.ys)
        return now, now

    zero = jnp.zeros((), dtype)
    first = _Running(start.vector, start.matrix, jnp.zeros((start.size,), dtype), zero, zero)
    _, rest = jax.lax.scan(segment, first, (stops[:-1], stops[1:]))
    every = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), first, rest)
    return _at_saves(system, shape, times, _select(every, stops, times))


def _select(
    every: _Running, stops: Float[Array, " stop"], times: Float[Array, " save"]
) -> _Running:
    """Moments at the saves: of the stops at one time the last, but the first at the start."""
    indices: Int[Array, " save"] = jnp.searchsorted(stops, times, side="right") - 1
    indices = indices.at[0].set(0)
    return jax.tree.map(lambda x: x[indices], every)


def _at_saves(
    system: Langevin, shape: tuple[int, ...], times: Float[Array, " save"], now: _Running
) -> Moments:
    """The result, with energy and work of each save."""
    mean = jnp.reshape(now.mean, (-1, *shape))
    covariance = jnp.reshape(now.covariance, (-1, *shape, *shape))

    def energy_at(t, mean, covariance):
        control = system.control_at(t)
        state = NormalState(mean, covariance)
        return state.expectation(lambda x: system.energy(x, control, None))

    energy = jax.vmap(energy_at)(times, mean, covariance)
    heat = jnp.sum(now.heat, axis=1)
    return Moments(
        times=times,
        mean=mean,
        covariance=covariance,
        energy=energy,
        work=energy - energy[0] + heat,
        heat=heat,
        heat_by_element=now.heat,
        entropy_flow=jnp.where(now.cold > 0, jnp.nan, now.entropy_flow),
        control=None if system.control is None else jax.vmap(system.control_at)(times),
    )
