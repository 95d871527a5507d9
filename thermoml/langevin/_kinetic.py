"""Kinetic temperature of an ensemble with momentum, in total and by leaf."""

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ..numerics.labels import leaf_names
from ..numerics.results import AbstractResult
from ..numerics.statistics import Estimate
from ._momentum import PhaseState, Underdamped


class KineticTemperature(AbstractResult):
    """Kinetic temperature of an ensemble of states, in units of energy.

    Attributes:
        total: of all elements.
        by_leaf: a pytree like the position, of `Estimate`s.
    """

    total: Estimate
    by_leaf: PyTree[Estimate]

    def _summary(self):
        leaves = jax.tree.leaves(self.by_leaf, is_leaf=lambda x: isinstance(x, Estimate))
        structure = jax.tree.structure(self.by_leaf, is_leaf=lambda x: isinstance(x, Estimate))
        names = leaf_names(jax.tree.unflatten(structure, [0.0] * len(leaves)))
        rows = {name or "state": leaf for name, leaf in zip(names, leaves, strict=True)}
        return "Kinetic temperature", {"total": self.total} | (rows if len(rows) > 1 else {})


def kinetic_temperature(system: Underdamped, states: PhaseState) -> KineticTemperature:
    r"""The mean of $p_i^2/m_i$ over elements and trajectories, the bath's T in equilibrium.

    Args:
        system: the system with momentum.
        states: of an ensemble, with a first axis of independent trajectories, such as the
            `final_state` of a run.

    Returns:
        A `KineticTemperature`, with standard errors over the trajectories.

    Raises:
        TypeError: a system or states without momentum.

    Example:
        >>> run = tml.simulate(system, 0.0, t1=10.0, dt=0.1, n_trajectories=1000, key=key)
        >>> tml.langevin.kinetic_temperature(system, run.final_state).total

    Cost: O(elements · trajectories).
    """
    if not isinstance(system, Underdamped) or not isinstance(states, PhaseState):
        raise TypeError(
            "kinetic_temperature needs an Underdamped system and its PhaseState, got "
            f"{type(system).__name__} and {type(states).__name__}"
        )
    position = jax.tree.map(lambda x: x[0], states.position)
    mass = system.inertia_at(0.0, position).mass

    def doubled(p, m):
        m = jnp.broadcast_to(m, p.shape[1:])
        return jnp.sum(jnp.reshape(p**2 / m[None], (p.shape[0], -1)), axis=1)

    energies = jax.tree.map(doubled, states.momentum, mass)
    sizes = jax.tree.map(jnp.size, position)
    total = jax.tree.reduce(jnp.add, energies) / sum(jax.tree.leaves(sizes))
    by_leaf = jax.tree.map(lambda e, size: Estimate.of(e / size), energies, sizes)
    return KineticTemperature(Estimate.of(total), by_leaf)
