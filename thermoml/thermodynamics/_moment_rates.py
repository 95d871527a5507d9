"""Moments of a harmonic system as a differential equation in time: the limit dt -> 0."""

from typing import NamedTuple

import diffrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ..ensembles import AbstractAdjoint
from ..langevin import Langevin, PhaseState, Underdamped, acting, as_vector
from ..numerics.compile import jitted
from ._linearity import force_at, harmonic, stops_of
from ._moment_result import Moments
from ._normal import NormalState

_MAX_STEPS = 4096  # between two breaks


class _Running(NamedTuple):
    """Moments at one time as vector and matrix, and integrals since the start; or their rates."""

    mean: Float[Array, "*save d"]
    covariance: Float[Array, "*save d d"]
    heat: Float[Array, "*save d"]
    entropy_flow: Float[Array, "*save"]
    cold: Float[Array, "*save"]  # time during which a bath had no temperature


def _rates(
    system: Langevin | Underdamped, like: Float[Array, "..."], t: Array, now: _Running
) -> _Running:
    """Derivatives in time."""
    size = like.size
    baths = acting(system).baths.at(t, like)
    temperature, mobility = (as_vector(x, like) for x in (baths.temperature, baths.mobility))

    def force_on(position):
        return force_at(harmonic(system), like.shape, t, position)

    force, stiffness = force_on(now.mean[:size]), -jax.jacfwd(force_on)(now.mean[:size])
    if isinstance(system, Underdamped):
        inertia = system.inertia_at(t, like)
        mass, friction = (as_vector(x, like) for x in (inertia.mass, inertia.friction))
        momentum = now.mean[size:]
        drift = jnp.concatenate([momentum / mass, force - friction * momentum])
        still = jnp.zeros_like(stiffness)
        slope = jnp.block([[still, jnp.diag(1 / mass)], [-stiffness, -jnp.diag(friction)]])
        noise = jnp.concatenate([jnp.zeros_like(mass), 2 * friction * mass * temperature])
        squares = momentum**2 + jnp.diagonal(now.covariance)[size:]
        heat = friction * (squares / mass - temperature)
    else:
        drift, slope = mobility * force, -mobility[:, None] * stiffness
        noise = 2 * mobility * temperature
        squares = force**2 + jnp.sum(stiffness @ now.covariance * stiffness, axis=1)
        heat = mobility * (squares - temperature * jnp.diagonal(stiffness))
    moving = slope @ now.covariance
    cold = temperature <= 0
    flow = jnp.where(cold, 0, heat / jnp.where(cold, 1, temperature))
    return _Running(
        drift,
        moving + moving.T + jnp.diag(noise),
        heat,
        jnp.sum(flow),
        jnp.sum(cold.astype(now.mean.dtype)),
    )


@jitted
def integrate(
    system: Langevin | Underdamped,
    like: Float[Array, "..."],
    start: NormalState,
    times: Float[Array, " save"],
    adjoint: AbstractAdjoint,
) -> Moments:
    """The moments of a system that is known to be linear.

    Args:
        system: with momentum or without.
        like: a position, for its shape.
        start: of the state at the first time; with momentum `(2d,)`, position first.
        times: of the saves.
        adjoint: of the integration.
    """
    dtype = times.dtype
    stops = stops_of(system, times)
    # At this distance from its two stops a control is certainly past a jump there.
    margin = 64 * jnp.finfo(dtype).eps * jnp.maximum(jnp.abs(times[0]), jnp.abs(times[-1]))
    rtol, atol = (1e-10, 1e-12) if dtype == jnp.float64 else (1e-6, 1e-7)

    def field(fraction, now, between):
        begin, end = between
        t = begin + (end - begin) * fraction
        t = jnp.clip(t, jnp.minimum(begin + margin, end), jnp.maximum(end - margin, begin))
        return jax.tree.map(lambda rate: (end - begin) * rate, _rates(system, like, t, now))

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
    first = _Running(start.vector, start.matrix, jnp.zeros(like.size, dtype), zero, zero)
    _, rest = jax.lax.scan(segment, first, (stops[:-1], stops[1:]))
    every = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), first, rest)
    return _at_saves(system, like, start, times, _select(every, stops, times))


def _select(
    every: _Running, stops: Float[Array, " stop"], times: Float[Array, " save"]
) -> _Running:
    """Moments at the saves: of the stops at one time the last, but the first at the start."""
    indices: Int[Array, " save"] = jnp.searchsorted(stops, times, side="right") - 1
    indices = indices.at[0].set(0)
    return jax.tree.map(lambda x: x[indices], every)


def _at_saves(
    system: Langevin | Underdamped,
    like: Float[Array, "..."],
    start: NormalState,
    times: Float[Array, " save"],
    now: _Running,
) -> Moments:
    """The result, with energy and work of each save."""
    states = jax.vmap(start.like)(now.mean, now.covariance)

    def energy_of(state, control):
        if isinstance(system, Underdamped):
            parts = state[: like.size], state[like.size :]
            state = PhaseState(*(jnp.reshape(part, like.shape) for part in parts))
        return system.energy(state, control, None)

    def energy_at(t, state):
        control = system.control_at(t)
        return state.expectation(lambda x: energy_of(x, control))

    energy = jax.vmap(energy_at)(times, states)
    heat = jnp.sum(now.heat, axis=1)
    control = harmonic(system).control
    return Moments(
        times=times,
        mean=states.mean,
        covariance=states.covariance,
        energy=energy,
        work=energy - energy[0] + heat,
        heat=heat,
        heat_by_element=now.heat,
        entropy_flow=jnp.where(now.cold > 0, jnp.nan, now.entropy_flow),
        control=None if control is None else jax.vmap(system.control_at)(times),
    )
