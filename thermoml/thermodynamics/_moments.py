"""Mean and covariance of harmonic systems under a protocol, with their mean ledger."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

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
from ._linearity import check_linear, harmonic
from ._moment_rates import integrate
from ._moment_result import Moments
from ._normal import NormalState
from ._step_moments import integrate_steps, phase_start, step_map


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

    with $B = -\partial F/\partial x$ and λ, T, μ functions of time; with momentum those of its
    linear equation, and $\dot Q_i = \gamma_i(\langle p_i^2\rangle/m_i - T_i)$. The mean work is the
    change of the mean energy plus the heat. Integrated adaptively (Tsit5 of diffrax) to 1e-10 in
    float64, from break to break of the protocol, jumps at its ends included. It is the limit
    dt → 0 of `simulate`, and an objective for `tune` without noise.

    With a time step dt it is what `simulate` samples at that dt, exactly: the recursion of a normal
    distribution through the steps of any integrator that is linear in state and noise, its ledger,
    its shadow work, and the averages of e^{-W/T}.

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
            integrator without dt. Traced, a force that is not linear makes everything
            NaN. It is looked at in random directions at random places, at each break of the
            protocol and between them.

    Cost: a few hundred evaluations of the force and its Jacobian for each break and save; with dt,
    some d³ operations and d² evaluations of the force a step.
    """
    harmonic(system)  # else an error
    position, momentum = start, None
    if isinstance(start, PhaseState) and isinstance(system, Underdamped):
        position, momentum = start.position, start.momentum
    for part in (position, momentum):
        if not isinstance(part, NormalState) and part is not None:
            raise TypeError(f"start must be a NormalState, got {start!r:.80}")
    assert isinstance(position, NormalState)
    if dt is not None:
        return _by_steps(system, (position, momentum), t0, t1, dt, saves, integrator, adjoint)
    if integrator is not None:
        raise ValueError("integrator needs the time step: pass dt=")
    check_number("t0", t0)
    check_number("t1", t1)
    if is_concrete((t0, t1)) and not float(t1) > float(t0):  # pyright: ignore[reportArgumentType]
        raise ValueError(f"t1 must be later than t0 = {t0}, got {t1}")
    dtype = position.mean.dtype
    system = cast_floats(system, dtype)
    force = harmonic(system)
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
    checked = check_linear(force, position, times)
    if is_concrete((t0, t1)):
        jax.eval_shape(force.baths.at, t0, position.mean)
        _check_parameters(system, position.mean, jnp.linspace(t0, t1, 1001))
    begin = phase_start(system, position, momentum, t0)
    return checked(integrate(system, position.mean, begin, times, adjoint))


def _by_steps(
    system: Any,
    start: tuple[NormalState, NormalState | None],
    t0: Time,
    t1: Time,
    dt: Time,
    saves: Any,
    integrator: AbstractIntegrator | None,
    adjoint: AbstractAdjoint,
) -> Moments:
    """The moments of `simulate` at a time step."""
    (position, momentum), force = start, harmonic(system)
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
    begin = phase_start(system, position, momentum, times[0])
    now = integrate_steps(one_step, begin, chosen, adjoint)
    size, shape = begin.size, begin.mean.shape
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
    if is_concrete(times):
        acting(system).baths.check(position, lambda: times)
        if isinstance(system, Underdamped):
            system.check(position, lambda: times)
