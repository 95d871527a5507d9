"""The density of a Fokker-Planck equation in time, with its ledger."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import entr
from jaxtyping import Array, Float

from ._fokker_planck_checks import Extremes
from ._fokker_planck_solution import FokkerPlanckSolution
from ._grid_system import GridSystem


def evolution(
    at: Callable[[Any], GridSystem],
    density: Float[Array, "..."],
    clock: tuple[Float[Array, ""], Float[Array, ""]],
    counts: tuple[int, int],
) -> tuple[FokkerPlanckSolution, Extremes]:
    """The solution from a density on, and the extremes on its way.

    Args:
        at: the system on the grid at a time.
        density: at the start; it is normalised.
        clock: start and time step.
        counts: saves after the start, and steps from one to the next.
    """
    (t0, dt), (n_saves, steps_per_save) = clock, counts
    axes = at(t0).axes
    cell, periodic = at(t0).cell, tuple(axis.periodic for axis in axes)
    absorbs = any(any(axis.absorbing) for axis in axes)
    density = density / (jnp.sum(density) * cell)

    def step(carry, n):
        (density, heat, flow, produced, lost), extremes = carry
        t = t0 + (n.astype(dt.dtype) + 0.5) * dt
        system = at(t)
        rates, baths = system.rates(), system.baths
        new = rates.step(density, dt, periodic)
        middle = (density + new) / 2
        heats = system.heat_rate(rates, middle)
        made = (rates.production(density) + rates.production(new)) * cell
        flow = flow + dt * jnp.sum(heats / baths.temperature)
        if absorbs:
            lost = lost + dt * jnp.sum(rates.absorbed * middle * system.energy) * cell
        later = Extremes.at(*jax.lax.stop_gradient((new, rates, baths, t)))
        ledger = (new, heat + dt * heats, flow, produced + dt * made / 2, lost)
        return (ledger, extremes.joined(later)), None

    def block(carry, j):
        steps = j * steps_per_save + jnp.arange(steps_per_save)
        carry, _ = jax.lax.scan(jax.checkpoint(step), carry, steps)
        return carry, carry[0]

    zero = jnp.zeros((), density.dtype)
    first = (density, jnp.zeros(len(axes), density.dtype), zero, zero, zero)
    start = Extremes.at(*jax.lax.stop_gradient((density, at(t0).rates(), at(t0).baths, t0)))
    (_, extremes), rest = jax.lax.scan(block, (first, start), jnp.arange(n_saves))
    densities, heats, flow, produced, lost = jax.tree.map(
        lambda a, b: jnp.concatenate([a[None], b]), first, rest
    )
    times = t0 + dt * (jnp.arange(n_saves + 1) * steps_per_save).astype(dt.dtype)
    energy = jax.vmap(lambda t, p: jnp.sum(at(t).energy * p) * cell)(times, densities)
    heat = jnp.sum(heats, axis=1)
    return FokkerPlanckSolution(
        times=times,
        density=densities,
        energy=energy,
        entropy=jax.vmap(lambda p: jnp.sum(entr(p)) * cell)(densities),
        work=energy - energy[0] + heat + lost,
        heat=heat,
        heat_by_axis=heats,
        entropy_flow=flow,
        entropy_production=produced,
        survival=jnp.sum(densities, axis=range(1, densities.ndim)) * cell,
    ), extremes
