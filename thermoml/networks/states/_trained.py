"""Trained states: Boltzmann at the temperature of the bath."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from ...numerics.checks import check_key
from ...numerics.results import AbstractResult
from ...numerics.statistics import Estimate
from ..learning import (
    AbstractLearning,
    LinearLearning,
    bath_temperature,
    check_normalisable,
    harmonic_stiffness,
    is_harmonic_system,
)
from ._boltzmann import AbstractRoute, Boltzmann
from ._harmonic import Harmonic, spread_energy
from ._importance import Importance


class Trained(AbstractResult):
    r"""The trained state of a system, $p_1 \propto e^{-E/\tau}$, τ the temperature of its bath.

    Args:
        system: a `LinearLearning` or `NetworkLearning` in one bath.
        route: the algorithm. `Harmonic()` is the default for linear models with mean squared
            error, `Importance(key=key)` for those with other energies; networks need
            `Switching(...)`, `Laplace(...)` or `Gaussian(...)`.
        key: of the samples of the default route; required where it draws any.

    Attributes:
        energy, entropy, free_energy: U, S in nats, F = U - τS; with `…_error`, standard errors.
        heat_capacity: C = dU/dτ = Var(E)/τ², with its error.
        virial_temperature: ⟨θ·∂E⟩/d, which is τ in the trained state; with its error.

    Raises:
        ValueError: e^{-E/τ} cannot be normalised (the message says what to add), or the route
            does not lead to the distribution.
        TypeError: no route for a network; no key where samples are drawn.

    Source: Zhang 2024, arXiv:2404.13218, for the state; our reading for its definition.
    """

    system: AbstractLearning
    route: AbstractRoute
    distribution: Boltzmann

    def __init__(
        self,
        system: AbstractLearning,
        route: AbstractRoute | None = None,
        *,
        key: Key[Array, ""] | None = None,
    ):
        if not isinstance(system, AbstractLearning):
            raise TypeError(
                f"system must be a LinearLearning or NetworkLearning, got {type(system).__name__}"
            )
        bath_temperature(system)
        if isinstance(system, LinearLearning):
            check_normalisable(system)
            if route is None:
                route = Harmonic() if is_harmonic_system(system) else Importance(key=key)
        if not isinstance(route, AbstractRoute):
            raise TypeError(
                "route must be given for a network: Switching(...), Laplace(...) or Gaussian(...)"
                f", got {route!r}"
            )
        self.system, self.route, self.distribution = system, route, route.find(system)

    @property
    def temperature(self) -> Float[Array, "..."]:
        """τ."""
        return bath_temperature(self.system).astype(self.energy.dtype)

    @property
    def energy(self) -> Float[Array, "..."]:
        return self.distribution.energy.mean

    @property
    def energy_error(self) -> Float[Array, "..."]:
        return self.distribution.energy.standard_error

    @property
    def entropy(self) -> Float[Array, "..."]:
        return self.distribution.entropy.mean

    @property
    def entropy_error(self) -> Float[Array, "..."]:
        return self.distribution.entropy.standard_error

    @property
    def free_energy(self) -> Float[Array, "..."]:
        return self.distribution.free_energy.mean

    @property
    def free_energy_error(self) -> Float[Array, "..."]:
        return self.distribution.free_energy.standard_error

    @property
    def heat_capacity(self) -> Float[Array, "..."]:
        return self.distribution.heat_capacity.mean

    @property
    def heat_capacity_error(self) -> Float[Array, "..."]:
        return self.distribution.heat_capacity.standard_error

    @property
    def virial_temperature(self) -> Float[Array, "..."]:
        return self.distribution.virial.mean

    @property
    def virial_temperature_error(self) -> Float[Array, "..."]:
        return self.distribution.virial.standard_error

    def _summary(self):
        heading = f"Trained by {type(self.route).__name__}"
        return heading, {
            "temperature τ": self.temperature,
            "energy U": self.distribution.energy,
            "entropy S": self.distribution.entropy,
            "free energy F": self.distribution.free_energy,
            "heat capacity": self.distribution.heat_capacity,
            "virial temperature": self.distribution.virial,
        }

    def sample(self, key: Key[Array, ""]) -> PyTree[Array]:
        """One state drawn from p₁, a start for `simulate`.

        Raises:
            ValueError: the route gives no states.
        """
        if self.distribution.weighted is not None:
            states, weights = self.distribution.weighted.states, self.distribution.weighted.weights
            chosen = jax.random.choice(key, weights.shape[0], p=weights)
            return jax.tree.map(lambda leaf: leaf[chosen], states)
        if self.distribution.normal is None:
            raise ValueError(
                f"{type(self.route).__name__} gives no states to draw from; use Switching"
            )
        return self._shaped(self.distribution.normal.sample(key))

    def mean_energy(
        self, system: AbstractLearning, *, key: Key[Array, ""] | None = None
    ) -> Estimate:
        """U = E_{p₁}[E] in the potential of another system, with its standard error.

        Args:
            system: a system with the same parameters, such as one with new data.
            key: of 10 000 samples; required where p₁ is normal and the potential is not harmonic.

        Raises:
            ValueError: a system with other parameters; a route without states.
            TypeError: no key, where samples are drawn.
        """
        shapes = [[leaf.shape for leaf in jax.tree.leaves(s.like)] for s in (self.system, system)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"the new system must have the parameters of the old one, {shapes[0]}, got "
                f"{shapes[1]}; features and classes must be the same"
            )
        if self.distribution.weighted is not None:
            return self.distribution.weighted.mean_of(system.total_energy)
        if self.distribution.normal is not None and is_harmonic_system(system):
            return self._mean_in_harmonic(system)
        drawn = "samples of the state (of TypeII(trained, key=...) before a transition)"
        return self._mean_of_samples(system.total_energy, check_key(key, drawn))

    def _mean_in_harmonic(self, system: LinearLearning) -> Estimate:
        """The energy at the mean, and that of the spread about it."""
        normal = self.distribution.normal
        assert normal is not None
        middle = system.total_energy(self._shaped(normal.mean))
        if isinstance(self.route, Harmonic) and isinstance(self.system, LinearLearning):
            return Estimate.exact(middle + spread_energy(self.system, system))
        spread = jnp.sum(harmonic_stiffness(system) * normal.matrix) / 2
        return Estimate.exact(middle + spread)

    def _mean_of_samples(self, function: Callable[[Any], Array], key: Key[Array, ""]) -> Estimate:
        keys = jax.random.split(key, 10_000)
        return Estimate.of(jax.lax.map(lambda k: function(self.sample(k)), keys, batch_size=512))

    def _shaped(self, vector: Float[Array, " d"]) -> PyTree[Array]:
        """A vector of all parameters as a state."""
        leaves, structure = jax.tree.flatten(self.system.like)
        ends = [sum(leaf.size for leaf in leaves[: i + 1]) for i in range(len(leaves))]
        parts = [
            vector[end - leaf.size : end].reshape(leaf.shape)
            for end, leaf in zip(ends, leaves, strict=True)
        ]
        return jax.tree.unflatten(structure, parts)
