"""Linearity of a force: a check that luck cannot pass, and the times at which it is made."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..langevin import AbstractControl, AbstractSystem, Langevin, Underdamped, acting
from ..numerics.arrays import held, is_concrete
from ..numerics.compile import jitted
from ._normal import NormalState

# Random times between two stops and in all, and places at each time
_BETWEEN, _ANYWHERE, _PLACES = 4, 256, 17


def check_linear(
    system: Langevin, start: NormalState, times: Float[Array, " save"]
) -> Callable[[Any], Any]:
    """ValueError for a force that is not linear in x at some time; if traced, what gives NaN."""
    excess = _nonlinearity(*held((system, start, times)))
    if is_concrete(excess):
        if not float(excess) < 1:  # not a number counts
            raise ValueError(
                "moment_equations needs a potential quadratic and a drive linear in x; simulate "
                "others, or use FokkerPlanck"
            )
        return lambda moments: moments

    def void(x):
        return jnp.where(excess < 1, x, jnp.nan) if eqx.is_inexact_array(x) else x

    return lambda moments: jax.tree.map(void, moments)


@jitted
def _nonlinearity(
    system: Langevin, start: NormalState, times: Float[Array, " save"]
) -> Float[Array, ""]:
    """The largest departure of the force from its tangent, over what rounding could make of it.

    At random places in random directions, 0.01 to 100 widths of the start away, at every break of
    the protocol, beside it, and at random times between any two. A force that is not linear in a
    region, or for a time, too small to be met by these passes.
    """
    dtype, random = times.dtype, np.random.default_rng(0)
    stops = stops_of(system, times)
    inside = jnp.asarray(random.uniform(size=(1, _BETWEEN)), dtype)
    between = stops[:-1, None] + jnp.diff(stops)[:, None] * inside
    strata = (np.arange(_ANYWHERE) + random.uniform(size=_ANYWHERE)) / _ANYWHERE
    anywhere = times[0] + (times[-1] - times[0]) * jnp.asarray(strata, dtype)
    instants = jnp.concatenate([stops, jnp.ravel(between), anywhere])
    width = jnp.sqrt(jnp.max(jnp.diagonal(start.matrix)) + jnp.mean(start.vector**2))
    width = jnp.where(width > 0, width, 1)
    scales = np.geomspace(1e-2, 1e2, _PLACES)[:, None]
    away, along, across = (random.normal(size=(_PLACES, start.size)) for _ in range(3))
    along, across = scales * along, scales[::-1] * across
    places = start.vector[None] + width * jnp.asarray(np.tile(scales * away, (4, 1)), dtype)
    ways = width * jnp.asarray(np.concatenate([along, -along, across, -across]), dtype)
    tolerance = 1e-7 if dtype == jnp.float64 else 1e-4

    def departure(t, place, way):
        def force(x):
            return force_at(system, start.mean.shape, t, x)

        here, along = jax.jvp(force, (place,), (way,))
        there = force(place + way)
        size = jnp.max(jnp.abs(jnp.stack([here, there, along])))
        return jnp.max(jnp.abs(there - here - along)) / (tolerance * size + jnp.finfo(dtype).tiny)

    def worst(t):
        return jnp.max(jax.vmap(lambda place, way: departure(t, place, way))(places, ways))

    return jnp.max(jax.lax.map(worst, instants))


def harmonic(system: Any) -> Langevin:
    """The system whose forces act on the position; TypeError for one that is no `Langevin`."""
    force = acting(system) if isinstance(system, AbstractSystem) else system
    if not isinstance(force, Langevin):
        raise TypeError(f"system must be a Langevin, or one with momentum, got {system!r:.80}")
    return force


def force_at(
    system: Langevin, shape: tuple[int, ...], t: Array, x: Float[Array, " d"]
) -> Float[Array, " d"]:
    """F at a state given as a vector."""
    state = jnp.reshape(x, shape)
    control = system.control_at(t)
    total = -jax.grad(system.energy)(state, control, None)
    drive = system.drive_force(state, control, None)
    return jnp.ravel(total if drive is None else total + drive)


def stops_of(system: Langevin | Underdamped, times: Float[Array, " save"]) -> Float[Array, " stop"]:
    """Saves and all breaks of the protocol between them, in ascending order."""
    friction = system.friction if isinstance(system, Underdamped) else None
    baths = jax.tree.leaves((system.temperature, system.mobility, friction), is_leaf=callable)
    breaks = [
        jnp.ravel(part.breaks)
        for part in (harmonic(system).control, *baths)
        if isinstance(part, AbstractControl)
    ]
    inside = [jnp.clip(x.astype(times.dtype), times[0], times[-1]) for x in breaks]
    return jnp.sort(jnp.concatenate([times, *inside]))
