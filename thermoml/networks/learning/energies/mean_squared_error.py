"""Mean squared error: linear models are harmonic, and all about them is exact."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ....numerics.compile import jitted
from ....numerics.normal_uniform import Widths
from .. import (
    AbstractEnergy,
    GroundState,
    LinearLearning,
    expectation_limit,
    is_harmonic,
    linear_expectation,
    linear_minimum,
    matrix_like,
    residual,
    whitened,
)


class MeanSquaredError(AbstractEnergy):
    r"""$\ell = \tfrac12|f - y|^2$, summed over outputs: harmonic for a linear model."""

    classifies = False

    def loss(self, output, target):
        return jnp.sum(residual(output, target) ** 2) / 2


@is_harmonic.register(MeanSquaredError)
def _(energy):
    return True


@linear_minimum.register(MeanSquaredError)
def _(energy, system, start, max_steps):
    return _least_squares(system)


@jitted
def _least_squares(system: LinearLearning) -> GroundState:
    """The normal equations, in a basis in which they are well conditioned."""
    basis, white = whitened(system.features, system.prior_stiffness)
    targets = system.targets.astype(basis.dtype)
    right = (system.features @ basis).T @ targets / targets.shape[0]
    solution = basis @ jnp.linalg.solve(white, right if right.ndim == 2 else right[:, None])
    parameters = solution[:, 0] if right.ndim == 1 else solution.T
    slope = jax.grad(system.total_energy)(parameters)
    return GroundState(parameters, system.total_energy(parameters), jnp.linalg.norm(slope))


@linear_expectation.register(MeanSquaredError)
def _(energy, system: LinearLearning, widths: Widths) -> Float[Array, ""]:
    r"""$\tfrac1{2n}\sum_i[|y_i|^2 + \sum_jx_{ij}^2\mathrm{Var}\,\theta_j]$."""
    variance = jnp.broadcast_to(widths.variance, matrix_like(system).shape)
    squares = jnp.mean(system.features**2, axis=0) @ jnp.sum(variance, axis=0)
    values = system.targets.astype(variance.dtype)
    return (squares + jnp.sum(values**2) / values.shape[0]) / 2


@expectation_limit.register(MeanSquaredError)
def _(energy, variance, width, n_classes):
    return variance / 2
