"""Boltzmann distributions of parameters, and the routes by which they are found."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ...numerics.statistics import Estimate
from ...thermodynamics import NormalState
from ..learning import (
    AbstractLearning,
    LinearLearning,
    MeanSquaredError,
    bath_temperature,
    ground_state,
    whitened,
)


class Weighted(eqx.Module):
    """Samples of a distribution with weights that sum to 1."""

    states: PyTree[Float[Array, "sample ..."]]
    weights: Float[Array, " sample"]

    def mean(self, values: Float[Array, " sample"]) -> Estimate:
        """A mean under the weights and its standard error to first order."""
        mean = jnp.sum(self.weights * values)
        return mean, jnp.sqrt(jnp.sum((self.weights * (values - mean)) ** 2))

    def heat_capacity(self, energies: Float[Array, " sample"], temperature: Array) -> Estimate:
        """Var(E)/τ² without the bias of few samples, and its standard error to first order."""
        few = 1 - jnp.sum(self.weights**2)
        away = (energies - self.mean(energies)[0]) / temperature
        return self.mean(away**2 / few)

    def mean_of(self, function: Any) -> Estimate:
        """The mean of a function of one state."""
        return self.mean(jax.lax.map(function, self.states, batch_size=512))


class Boltzmann(eqx.Module):
    """What a route finds of $e^{-E/τ}/Z$: numbers with their standard errors, and states."""

    energy: Estimate
    entropy: Estimate
    free_energy: Estimate
    heat_capacity: Estimate
    virial: Estimate  # ⟨θ·∂E⟩/d, which is τ
    normal: NormalState | None  # of all parameters as one vector
    weighted: Weighted | None


class AbstractRoute(eqx.Module):
    """A way to the trained state of a system."""

    @abc.abstractmethod
    def find(self, system: AbstractLearning) -> Boltzmann:
        """Energy, entropy, free energy and states at the temperature of the bath."""


class Harmonic(AbstractRoute):
    r"""Linear models with mean squared error, exactly.

    $$p_1 = N(\hat\theta, \tau H^{-1}), \quad U = E_\min + \tfrac{d\tau}2, \quad
      S = \tfrac d2\ln2\pi e\tau - \tfrac12\ln\det H$$
    """

    def find(self, system):
        if not isinstance(system, LinearLearning) or not isinstance(system.form, MeanSquaredError):
            raise ValueError(
                f"Harmonic needs a linear model with MeanSquaredError, got "
                f"{type(system.form).__name__} of a {type(system).__name__}; use Importance, or "
                "Switching for networks"
            )
        lowest = ground_state(system)
        return _about_minimum(system, lowest.parameters.reshape(-1), lowest.energy)


@eqx.filter_jit
def _about_minimum(
    system: LinearLearning, mean: Float[Array, " d"], lowest: Float[Array, ""]
) -> Boltzmann:
    """The normal distribution in a harmonic potential."""
    temperature = bath_temperature(system).astype(mean.dtype)
    basis, white = whitened(system.features, system.prior_stiffness)
    outputs = mean.size // basis.shape[0]
    block = temperature * (basis @ jnp.linalg.solve(white, basis.T))
    covariance = jnp.kron(jnp.eye(outputs, dtype=mean.dtype), (block + block.T) / 2)
    log_det = jnp.linalg.slogdet(white)[1] - 2 * jnp.sum(jnp.log(jnp.abs(jnp.diagonal(basis))))
    normal = NormalState(mean, covariance)
    return harmonic(lowest, outputs * log_det, mean.size, temperature, normal)


@eqx.filter_jit
def spread_energy(old: LinearLearning, new: LinearLearning) -> Float[Array, ""]:
    """½ tr H'Σ, which the spread of the old trained state adds in the new potential."""
    basis, white = whitened(old.features, old.prior_stiffness)
    covariance = jnp.linalg.inv(white)  # in the basis P, where it is 1 to rounding
    shown = new.features @ basis
    stiffness = shown.T @ shown / shown.shape[0] + new.prior_stiffness.astype(basis.dtype) * (
        basis.T @ basis
    )
    outputs = 1 if old.n_outputs is None else old.n_outputs
    temperature = bath_temperature(old).astype(basis.dtype)
    return outputs * temperature / 2 * jnp.sum(stiffness * covariance)


def of_states(
    system: AbstractLearning,
    states: PyTree[Float[Array, "trajectory ..."]],
    *,
    entropy: Estimate | None = None,
    free_energy: Estimate | None = None,
) -> Boltzmann:
    """From states at rest and either entropy or free energy, the other by F = U - τS."""
    energies, virials = _along(system, states)
    dtype = energies.dtype
    energy, temperature = Estimate.of(energies), bath_temperature(system).astype(dtype)
    if free_energy is None:
        assert entropy is not None
        error = jnp.sqrt(energy[1] ** 2 + (temperature * entropy[1]) ** 2)
        free_energy = energy[0] - temperature * entropy[0], error
    free_energy = free_energy[0].astype(dtype), free_energy[1].astype(dtype)
    if entropy is None:
        error = jnp.sqrt(energy[1] ** 2 + free_energy[1] ** 2) / temperature
        entropy = (energy[0] - free_energy[0]) / temperature, error
    weighted = Weighted(states, jnp.full(energies.shape, 1 / energies.shape[0], dtype))
    capacity = weighted.heat_capacity(energies, temperature)
    return Boltzmann(energy, entropy, free_energy, capacity, Estimate.of(virials), None, weighted)


@eqx.filter_jit
def _along(
    system: AbstractLearning, states: PyTree[Array]
) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """Energy and virial of each state."""
    both = lambda state: (system.total_energy(state), virial(system, state))  # noqa: E731
    return jax.lax.map(both, states, batch_size=256)


def harmonic(
    lowest: Array, log_det: Array, size: int, temperature: Array, normal: NormalState | None = None
) -> Boltzmann:
    """U = E_min + dτ/2 and S = ½[d ln 2πeτ - ln det H]."""
    exact = jnp.zeros_like(temperature)
    energy = lowest + size * temperature / 2
    entropy = (size * (1 + jnp.log(2 * jnp.pi * temperature)) - log_det) / 2
    return Boltzmann(
        (energy, exact),
        (entropy, exact),
        (energy - temperature * entropy, exact),
        (jnp.full_like(temperature, size / 2), exact),
        (temperature, exact),
        normal,
        None,
    )


def curvature(system: LinearLearning) -> Float[Array, "d d"]:
    """H of a mean squared error, over all outputs."""
    moments = system.second_moments
    block = moments + system.prior_stiffness * jnp.eye(moments.shape[0], dtype=moments.dtype)
    outputs = 1 if system.n_outputs is None else system.n_outputs
    return jnp.kron(jnp.eye(outputs, dtype=moments.dtype), block)


def virial(system: AbstractLearning, state: PyTree[Array]) -> Float[Array, ""]:
    """θ·∂E/d, whose mean is the temperature of the bath in any trained state."""
    slope = jax.grad(system.total_energy)(state)
    products = jax.tree.map(lambda x, g: jnp.sum(x * g), state, slope)
    return jnp.asarray(sum(jax.tree.leaves(products)) / system.n_parameters)
