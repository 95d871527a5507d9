"""Trained states: Boltzmann at the temperature of the bath."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ...numerics.arrays import is_concrete
from ...numerics.statistics import Estimate
from ..learning import (
    AbstractLearning,
    LinearLearning,
    MeanSquaredError,
    bath_temperature,
    check_normalisable,
    first_key,
)
from ._boltzmann import AbstractRoute, Boltzmann, Harmonic, curvature, spread_energy
from ._importance import Importance
from ._states import AbstractState


class Trained(AbstractState):
    r"""The trained state of a system, $p_1 \propto e^{-E/\tau}$, τ the temperature of its bath.

    Args:
        system: a `LinearLearning` or `NetworkLearning` in one bath.
        route: how it is found: `Harmonic()` and `Importance()` for linear models, which are the
            defaults with and without mean squared error; `Switching(...)`, `Laplace(...)` and
            `Gaussian(...)` for networks.

    Attributes:
        energy, entropy, free_energy: U, S in nats, F = U - τS; with `…_error`, standard errors.
        heat_capacity: C = dU/dτ = Var(E)/τ², with its error.
        virial_temperature: ⟨θ·∂E⟩/d, which is τ where the route has arrived; with its error.

    Raises:
        ValueError: e^{-E/τ} cannot be normalised (the message says what to add), or the route
            does not lead to the distribution.

    Source: Zhang 2024, arXiv:2404.13218, for the state; our reading for its definition.
    """

    system: AbstractLearning
    route: AbstractRoute
    found: Boltzmann

    def __init__(self, system: AbstractLearning, route: AbstractRoute | None = None):
        if not isinstance(system, AbstractLearning):
            raise TypeError(
                f"system must be a LinearLearning or NetworkLearning, got {type(system).__name__}"
            )
        bath_temperature(system)
        if isinstance(system, LinearLearning):
            check_normalisable(system)
            if route is None:
                squared = isinstance(system.form, MeanSquaredError)
                route = Harmonic() if squared else Importance()
        if not isinstance(route, AbstractRoute):
            raise TypeError(
                "route must be given for a network: Switching(...), Laplace(...) or Gaussian(...)"
                f", got {route!r}"
            )
        self.system, self.route, self.found = system, route, route.find(system)

    @property
    def temperature(self) -> Float[Array, ""]:
        """τ."""
        return bath_temperature(self.system).astype(self.energy.dtype)

    @property
    def energy(self) -> Float[Array, ""]:
        return self.found.energy[0]

    @property
    def energy_error(self) -> Float[Array, ""]:
        return self.found.energy[1]

    @property
    def entropy(self) -> Float[Array, ""]:
        return self.found.entropy[0]

    @property
    def entropy_error(self) -> Float[Array, ""]:
        return self.found.entropy[1]

    @property
    def free_energy(self) -> Float[Array, ""]:
        return self.found.free_energy[0]

    @property
    def free_energy_error(self) -> Float[Array, ""]:
        return self.found.free_energy[1]

    @property
    def heat_capacity(self) -> Float[Array, ""]:
        return self.found.heat_capacity[0]

    @property
    def heat_capacity_error(self) -> Float[Array, ""]:
        return self.found.heat_capacity[1]

    @property
    def virial_temperature(self) -> Float[Array, ""]:
        return self.found.virial[0]

    @property
    def virial_temperature_error(self) -> Float[Array, ""]:
        return self.found.virial[1]

    def __str__(self) -> str:
        if not is_concrete(self.energy):
            return "Trained (traced)"
        if jnp.ndim(self.energy):
            return f"Trained (a batch of shape {self.energy.shape})"
        words = [f"Trained at τ = {float(self.temperature):g} by {type(self.route).__name__}"]
        for name, symbol in (("energy", "U"), ("entropy", "S"), ("free_energy", "F")):
            value, error = float(getattr(self, name)), float(getattr(self, f"{name}_error"))
            words.append(f"{symbol} = {value:.6g}" + (f" ± {error:.2g}" if error else ""))
        return ", ".join(words)

    def sample(self, key: Key[Array, ""]) -> Any:
        """One state drawn from p₁, a start for `simulate`.

        Raises:
            ValueError: the route gives no states.
        """
        if self.found.weighted is not None:
            states, weights = self.found.weighted.states, self.found.weighted.weights
            chosen = jax.random.choice(key, weights.shape[0], p=weights)
            return jax.tree.map(lambda leaf: leaf[chosen], states)
        if self.found.normal is None:
            raise ValueError(
                f"{type(self.route).__name__} gives no states to draw from; use Switching"
            )
        return self._shaped(self.found.normal.sample(key))

    def energy_in(self, system):
        shapes = [[leaf.shape for leaf in jax.tree.leaves(s.like)] for s in (self.system, system)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"the new system must have the parameters of the old one, {shapes[0]}, got "
                f"{shapes[1]}; features and classes must be the same"
            )
        return self._mean(system.total_energy, system)

    def entropy_in(self, system):
        return self.found.entropy

    def work_towards(self, system, energy):
        return jnp.zeros_like(energy) if system is self.system else energy - self.energy

    def _mean(self, function: Any, system: AbstractLearning) -> Estimate:
        """The mean of an energy under p₁."""
        if self.found.weighted is not None:
            return self.found.weighted.mean_of(function)
        normal = self.found.normal
        if (
            normal is not None
            and isinstance(system, LinearLearning)
            and isinstance(system.form, MeanSquaredError)
        ):
            mean = function(self._shaped(normal.mean))
            if isinstance(self.route, Harmonic) and isinstance(self.system, LinearLearning):
                energy = mean + spread_energy(self.system, system)
            else:
                energy = mean + jnp.sum(curvature(system) * normal.matrix) / 2
            return energy, jnp.zeros_like(energy)
        keys = jax.random.split(first_key(None), 10_000)
        return Estimate.of(jax.lax.map(lambda k: function(self.sample(k)), keys, batch_size=512))

    def _shaped(self, vector: Float[Array, " d"]) -> Any:
        """A vector of all parameters as a state."""
        leaves, structure = jax.tree.flatten(self.system.like)
        ends = [sum(leaf.size for leaf in leaves[: i + 1]) for i in range(len(leaves))]
        parts = [
            vector[end - leaf.size : end].reshape(leaf.shape)
            for end, leaf in zip(ends, leaves, strict=True)
        ]
        return jax.tree.unflatten(structure, parts)
