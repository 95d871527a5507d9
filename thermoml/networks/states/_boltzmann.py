"""Boltzmann distributions of parameters, and the interface of the routes to them."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ...numerics.compile import jitted
from ...numerics.results import AbstractResult
from ...numerics.statistics import Estimate
from ...thermodynamics import NormalState
from ..learning import AbstractLearning, bath_temperature


class Weighted(eqx.Module):
    """Samples of a distribution with weights that sum to 1."""

    states: PyTree[Float[Array, "sample ..."]]
    weights: Float[Array, " sample"]

    def mean(self, values: Float[Array, " sample"]) -> Estimate:
        """A mean under the weights and its standard error to first order."""
        mean = jnp.sum(self.weights * values)
        return Estimate(mean, jnp.sqrt(jnp.sum((self.weights * (values - mean)) ** 2)))

    def heat_capacity(
        self, energies: Float[Array, " sample"], temperature: Float[Array, ""]
    ) -> Estimate:
        """Var(E)/τ², corrected for the bias of few samples, and its error to first order."""
        few = 1 - jnp.sum(self.weights**2)
        away = (energies - self.mean(energies).mean) / temperature
        return self.mean(away**2 / few)

    def mean_of(self, function: Callable[[Any], Array]) -> Estimate:
        """The mean of a function of one state."""
        return self.mean(jax.lax.map(function, self.states, batch_size=512))


class Boltzmann(AbstractResult):
    """The distribution $e^{-E/τ}/Z$: numbers with their standard errors, and states.

    Attributes:
        energy, entropy, free_energy, heat_capacity: U, S in nats, F = U - τS, dU/dτ.
        virial: ⟨θ·∂E⟩/d, which is τ.
        normal: the distribution of all parameters as one vector, where it is normal.
        weighted: samples, where there are any.
    """

    energy: Estimate
    entropy: Estimate
    free_energy: Estimate
    heat_capacity: Estimate
    virial: Estimate
    normal: NormalState | None
    weighted: Weighted | None

    def _summary(self):
        return "Boltzmann distribution", {
            "energy": self.energy,
            "entropy": self.entropy,
            "free energy": self.free_energy,
            "heat capacity": self.heat_capacity,
            "virial temperature": self.virial,
        }


class AbstractRoute(eqx.Module):
    """A way to the trained state of a system."""

    @abc.abstractmethod
    def find(self, system: AbstractLearning) -> Boltzmann:
        """Energy, entropy, free energy and states at the temperature of the bath.

        Raises:
            ValueError, TypeError: the route does not lead to the state of this system; the message
                names one that does.
        """


def about_minimum(
    lowest: Float[Array, ""],
    log_det: Float[Array, ""],
    size: int,
    temperature: Float[Array, ""],
    normal: NormalState | None = None,
) -> Boltzmann:
    """The harmonic state about a minimum: U = E_min + dτ/2 and S = ½[d ln 2πeτ - ln det H]."""
    energy = lowest + size * temperature / 2
    entropy = (size * (1 + jnp.log(2 * jnp.pi * temperature)) - log_det) / 2
    return Boltzmann(
        Estimate.exact(energy),
        Estimate.exact(entropy),
        Estimate.exact(energy - temperature * entropy),
        Estimate.exact(jnp.full_like(temperature, size / 2)),
        Estimate.exact(temperature),
        normal,
        None,
    )


def from_entropy(
    system: AbstractLearning, states: PyTree[Float[Array, "trajectory ..."]], entropy: Estimate
) -> Boltzmann:
    """From relaxed states and their entropy, with F = U - τS."""
    energies, virials = _energies_and_virials(system, states)
    energy = Estimate.of(energies)
    temperature = bath_temperature(system).astype(energies.dtype)
    error = jnp.sqrt(energy.standard_error**2 + (temperature * entropy.standard_error) ** 2)
    free_energy = Estimate(
        (energy.mean - temperature * entropy.mean).astype(energies.dtype),
        error.astype(energies.dtype),
    )
    return _of_states(
        states, energies, virials, temperature, entropy=entropy, free_energy=free_energy
    )


def from_free_energy(
    system: AbstractLearning, states: PyTree[Float[Array, "trajectory ..."]], free_energy: Estimate
) -> Boltzmann:
    """From relaxed states and their free energy, with S = (U - F)/τ."""
    energies, virials = _energies_and_virials(system, states)
    energy = Estimate.of(energies)
    temperature = bath_temperature(system).astype(energies.dtype)
    free_energy = Estimate(*(x.astype(energies.dtype) for x in free_energy))
    error = jnp.sqrt(energy.standard_error**2 + free_energy.standard_error**2)
    entropy = Estimate((energy.mean - free_energy.mean) / temperature, error / temperature)
    return _of_states(
        states, energies, virials, temperature, entropy=entropy, free_energy=free_energy
    )


def _of_states(
    states: PyTree[Array],
    energies: Float[Array, " trajectory"],
    virials: Float[Array, " trajectory"],
    temperature: Float[Array, ""],
    *,
    entropy: Estimate,
    free_energy: Estimate,
) -> Boltzmann:
    count = energies.shape[0]
    weighted = Weighted(states, jnp.full((count,), 1 / count, energies.dtype))
    capacity = weighted.heat_capacity(energies, temperature)
    return Boltzmann(
        Estimate.of(energies), entropy, free_energy, capacity, Estimate.of(virials), None, weighted
    )


@jitted
def _energies_and_virials(
    system: AbstractLearning, states: PyTree[Array]
) -> tuple[Float[Array, " trajectory"], Float[Array, " trajectory"]]:
    measure = lambda state: (system.total_energy(state), virial(system, state))  # noqa: E731
    return jax.lax.map(measure, states, batch_size=256)


def virial(system: AbstractLearning, state: PyTree[Array]) -> Float[Array, ""]:
    """θ·∂E/d, whose mean is the temperature of the bath in any trained state."""
    slope = jax.grad(system.total_energy)(state)
    products = jax.tree.map(lambda x, g: jnp.sum(x * g), state, slope)
    return jnp.asarray(sum(jax.tree.leaves(products)) / system.n_parameters)
