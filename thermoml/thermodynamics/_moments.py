"""Mean and covariance of harmonic systems under a protocol, with the mean ledger."""

from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..ensembles import DIFFRAX, AbstractAdjoint, RecursiveCheckpoint
from ..langevin import (
    Langevin,
    check_bath_shapes,
    check_baths,
    spread,
)
from ..numerics.arrays import cast_floats, is_concrete
from ..numerics.checks import check_count
from ._normal import NormalState

_MAX_STEPS = 4096  # between two breaks


class Moments(eqx.Module):
    """The distribution of a harmonic system in time, and its mean ledger since the start.

    Attributes:
        times: `(save,)`.
        mean, covariance: `(save, …)`, of the start's shapes; `state(save)` puts them together.
        energy, work, heat: means, `(save,)`; work and heat are cumulative, work - heat is the
            change of energy.
        heat_by_element: mean heat into the bath of each coordinate, `(save, d)`.
        entropy_flow: Σ ∫ δQ_i/T_i, `(save,)`, in nats; NaN after a time without temperature.
        control: λ at the times, a pytree with the axis `save` first.
    """

    times: Float[Array, " save"]
    mean: Float[Array, "save ..."]
    covariance: Float[Array, "save ..."]
    energy: Float[Array, " save"]
    work: Float[Array, " save"]
    heat: Float[Array, " save"]
    heat_by_element: Float[Array, "save d"]
    entropy_flow: Float[Array, " save"]
    control: Any

    def state(self, save: int = -1) -> NormalState:
        """The distribution at one of the saves, by default the last."""
        return NormalState(self.mean[save], self.covariance[save])

    def __str__(self) -> str:
        if not is_concrete(self.work):
            return "Moments (traced)"
        numbers = ", ".join(
            f"{name} {float(getattr(self, name)[-1]):.6g}"
            for name in ("work", "heat", "energy", "entropy_flow")
        )
        return f"Moments to t = {float(self.times[-1]):g}: mean {numbers}"


def moment_equations(
    system: Langevin,
    start: NormalState,
    *,
    t1: Any,
    t0: Any = 0.0,
    saves: int | Float[Array, " save"] = 1,
    adjoint: AbstractAdjoint = RecursiveCheckpoint(),  # noqa: B008 (an immutable module)
) -> Moments:
    r"""Mean, covariance and mean ledger of a harmonic system under any protocol, without sampling.

    $$\dot m = \mu F(m, \lambda), \qquad
      \dot\Sigma = -\mu B\Sigma - \Sigma B^\top\mu + 2\mu T, \qquad
      \dot Q_i = \mu_i\big[F_i(m)^2 + (B\Sigma B^\top)_{ii} - T_iB_{ii}\big]$$

    with $B = -\partial F/\partial x$ and λ, T, μ of time; the mean work is the change of the mean
    energy and the heat. Integrated adaptively (Tsit5 of diffrax) to 1e-10 in float64, from break to
    break of the protocol, jumps at its ends included. What `simulate` gives as dt → 0, and an
    objective for `tune` without noise.

    Args:
        system: a `Langevin` with a potential quadratic and a drive linear in x, of any control.
        start: the distribution at t0; states have the shape of its mean.
        t1, t0: end and start; may be traced.
        saves: at how many equal distances of time after the start results are given; or the times
            themselves, `(save,)`, from t0 to t1 in ascending order.
        adjoint: as in `simulate`.

    Returns:
        `Moments`; NaN where the integration did not come to its end.

    Raises:
        TypeError: a system that is not a `Langevin`.
        ValueError: a force that is not linear in x, t1 <= t0, or baths that do not fit.

    Cost: a few hundred evaluations of the force and its Jacobian for each break and save.
    """
    if not isinstance(system, Langevin):
        raise TypeError(f"system must be a Langevin, got {system!r}")
    if is_concrete((t0, t1)) and not float(t1) > float(t0):
        raise ValueError(f"t1 must be later than t0 = {t0}, got {t1}")
    dtype = start.mean.dtype
    system = cast_floats(system, dtype)
    t0, t1 = jnp.asarray(t0, dtype), jnp.asarray(t1, dtype)
    if jnp.ndim(saves) == 0:
        times = jnp.linspace(t0, t1, check_count("saves", saves) + 1)
    else:
        times = jnp.asarray(saves, dtype)
        ends = (times[0] != t0) | (times[-1] != t1) | jnp.any(jnp.diff(times) < 0)
        if is_concrete(ends) and ends:
            raise ValueError(f"saves must ascend from t0 to t1 = {t1}, got {times}")
    check_linear(system, start.mean, times)
    if is_concrete((t0, t1)):
        check_bath_shapes(system, start.mean, jnp.asarray(t0, start.mean.dtype))
        check_baths(system, start.mean, lambda: jnp.linspace(t0, t1, 1001))
    return _integrate(system, start, times, adjoint)


def linear_force(system: Langevin, shape: tuple[int, ...], t: Array, x: Array) -> tuple:
    """F and B at a state given as a vector."""

    def force(vector):
        state = jnp.reshape(vector, shape)
        control = system.control_at(t)
        total = -jax.grad(system.energy)(state, control, None)
        drive = system.drive_force(state, control, None)
        return jnp.ravel(total if drive is None else total + drive)

    return force(x), -jax.jacfwd(force)(x)


def check_linear(system: Langevin, state: Array, times: Array) -> None:
    """ValueError for a force that is seen not to be linear."""
    if not is_concrete((system, times)):
        return
    here = jnp.ones_like(jnp.ravel(state))
    for t in (times[0], (times[0] + times[-1]) / 2, times[-1]):
        near, far = (
            np.asarray(linear_force(system, state.shape, t, x)[1]) for x in (here / 3, -2 * here)
        )
        if np.abs(near - far).max() > 1e-4 * max(np.abs(near).max(), np.abs(far).max()):
            raise ValueError(
                "moment_equations needs a potential quadratic and a drive linear in x; simulate "
                "others, or use FokkerPlanck"
            )


def _breaks(system: Langevin, times: Array) -> Array:
    """Saves and all breaks of the protocol between them, in order."""
    parts = [
        system.control,
        *jax.tree.leaves((system.temperature, system.mobility), is_leaf=callable),
    ]
    breaks = [jnp.ravel(part.breaks) for part in parts if hasattr(part, "breaks")]
    inside = [jnp.clip(x.astype(times.dtype), times[0], times[-1]) for x in breaks]
    return jnp.sort(jnp.concatenate([times, *inside]))


@eqx.filter_jit
def _integrate(
    system: Langevin, start: NormalState, times: Array, adjoint: AbstractAdjoint
) -> Moments:
    shape, size, dtype = start.mean.shape, start.size, times.dtype
    stops = _breaks(system, times)
    # So far inside its two stops a control is surely past a jump there.
    margin = 64 * jnp.finfo(dtype).eps * jnp.maximum(jnp.abs(times[0]), jnp.abs(times[-1]))

    def baths(t):
        x = jnp.zeros(shape, dtype)
        found = (spread(name, getattr(system, name), x, t) for name in ("temperature", "mobility"))
        return tuple(jnp.ravel(jnp.broadcast_to(value, shape)) for value in found)

    def field(fraction, state, between):
        begin, end = between
        t = begin + (end - begin) * fraction
        t = jnp.clip(t, jnp.minimum(begin + margin, end), jnp.maximum(end - margin, begin))
        mean, covariance, *_ = state
        temperature, mobility = baths(t)
        force, slope = linear_force(system, shape, t, mean)
        relaxing = mobility[:, None] * slope @ covariance
        squares = force**2 + jnp.sum(slope @ covariance * slope, axis=1)
        heat = mobility * (squares - temperature * jnp.diagonal(slope))
        cold = temperature <= 0
        flow = jnp.where(cold, 0, heat / jnp.where(cold, 1, temperature))
        rates = (
            mobility * force,
            2 * jnp.diag(mobility * temperature) - relaxing - relaxing.T,
            heat,
            jnp.sum(flow),
            jnp.sum(cold.astype(dtype)),
        )
        return jax.tree.map(lambda rate: (end - begin) * rate, rates)

    rtol, atol = (1e-10, 1e-12) if dtype == jnp.float64 else (1e-6, 1e-7)

    def segment(state, between):
        found = diffrax.diffeqsolve(
            diffrax.ODETerm(field),
            diffrax.Tsit5(),
            jnp.zeros((), dtype),
            jnp.ones((), dtype),
            None,
            state,
            between,
            stepsize_controller=diffrax.PIDController(rtol=rtol, atol=atol),
            adjoint=DIFFRAX[type(adjoint)](),
            max_steps=_MAX_STEPS,
            throw=False,
        )
        good = found.result == diffrax.RESULTS.successful
        assert found.ys is not None
        state = jax.tree.map(lambda x: jnp.where(good, x[-1], jnp.nan), found.ys)
        return state, state

    nothing = jnp.zeros((), dtype)
    first = (start.vector, start.matrix, jnp.zeros((size,), dtype), nothing, nothing)
    _, rest = jax.lax.scan(segment, first, (stops[:-1], stops[1:]))
    every = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), first, rest)
    # The last of the stops at a save
    shown = jnp.searchsorted(stops, times, side="right") - 1
    shown = shown.at[0].set(0)
    mean, covariance, heat, flow, cold = jax.tree.map(lambda x: x[shown], every)

    def energy(t, mean, covariance):
        control = system.control_at(t)

        def potential(vector):
            return system.energy(jnp.reshape(vector, shape), control, None)

        return potential(mean) + jnp.sum(jax.hessian(potential)(mean) * covariance) / 2

    energies = jax.vmap(energy)(times, mean, covariance)
    total = jnp.sum(heat, axis=1)
    control = jax.vmap(system.control_at)(times) if system.control is not None else None
    return Moments(
        times=times,
        mean=jnp.reshape(mean, (-1, *shape)),
        covariance=jnp.reshape(covariance, (-1, *shape, *shape)),
        energy=energies,
        work=energies - energies[0] + total,
        heat=total,
        heat_by_element=heat,
        entropy_flow=jnp.where(cold > 0, jnp.nan, flow),
        control=control,
    )
