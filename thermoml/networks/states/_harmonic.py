"""Trained states of harmonic linear models, exactly."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from ...numerics.compile import jitted
from ...thermodynamics import NormalState
from ..learning import (
    LinearLearning,
    bath_temperature,
    ground_state,
    is_harmonic_system,
    whitened,
)
from ._boltzmann import AbstractRoute, Boltzmann, about_minimum


class Harmonic(AbstractRoute):
    r"""Linear models with mean squared error, exactly.

    $$p_1 = N(\hat\theta, \tau H^{-1}), \quad U = E_\min + \tfrac{d\tau}2, \quad
      S = \tfrac d2\ln2\pi e\tau - \tfrac12\ln\det H$$

    Raises:
        ValueError: another model or energy.

    Cost: O(nd² + d³).
    """

    def find(self, system):
        if not is_harmonic_system(system):
            raise ValueError(
                f"Harmonic needs a linear model with MeanSquaredError, got "
                f"{type(system.form).__name__} of a {type(system).__name__}; use Importance, or "
                "Switching for networks"
            )
        lowest = ground_state(system)
        return _normal_state(system, lowest.parameters.reshape(-1), lowest.energy)


@jitted
def _normal_state(
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
    return about_minimum(lowest, outputs * log_det, mean.size, temperature, normal)


@jitted
def spread_energy(old: LinearLearning, new: LinearLearning) -> Float[Array, ""]:
    """½ tr H'Σ: the energy of the old trained state's spread in the new potential."""
    basis, white = whitened(old.features, old.prior_stiffness)
    covariance = jnp.linalg.inv(white)  # in the basis P, where it is 1 to rounding
    projected = new.features @ basis
    stiffness = projected.T @ projected / projected.shape[0]
    stiffness = stiffness + new.prior_stiffness.astype(basis.dtype) * (basis.T @ basis)
    outputs = 1 if old.n_outputs is None else old.n_outputs
    temperature = bath_temperature(old).astype(basis.dtype)
    return outputs * temperature / 2 * jnp.sum(stiffness * covariance)
