"""Mean absolute error: its minimum is a programme with a dual, its expectations folded normals."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from ....numerics.host import on_host
from ....numerics.normal_uniform import Widths, expected_absolute, scaled
from .. import (
    AbstractEnergy,
    GroundState,
    LinearLearning,
    expectation_limit,
    linear_expectation,
    linear_minimum,
    matrix_like,
    mean_over_examples,
    residual,
)
from ._least_absolute import least_absolute


class MeanAbsoluteError(AbstractEnergy):
    r"""$\ell = |f - y|$, summed over outputs: a kink at every example, no curvature elsewhere."""

    classifies = False

    def loss(self, output, target):
        return jnp.sum(jnp.abs(residual(output, target)))


@linear_minimum.register(MeanAbsoluteError)
def _(energy, system: LinearLearning, start, max_steps) -> GroundState:
    r"""Primal and dual solution, from the host.

    $E = u\cdot y/n - |X^\top u/n|^2/2k$, |u| <= 1, has the same value, and its derivative at
    fixed u and θ is that of the minimum.
    """
    dtype = system.features.dtype
    targets = system.targets.astype(dtype)
    columns = targets if targets.ndim == 2 else targets[:, None]
    shapes = (
        jax.ShapeDtypeStruct((columns.shape[1], system.features.shape[1]), dtype),
        jax.ShapeDtypeStruct(columns.shape, dtype),
    )
    arguments = (system.features, columns, system.prior_stiffness.astype(dtype))
    primal, dual = on_host(least_absolute, shapes, *arguments)
    parameters = primal if system.n_outputs is not None else primal[0]
    away = columns - system.features @ primal.T
    count = columns.shape[0]
    prior = system.prior_stiffness.astype(dtype) / 2 * jnp.sum(primal**2)
    least = jnp.sum(dual * away) / count + prior
    reached = lax.stop_gradient(system.total_energy(parameters))
    force = dual.T @ system.features / count  # kθ at the minimum
    stiffness = jnp.maximum(system.prior_stiffness.astype(dtype), jnp.finfo(dtype).tiny)
    bound = jnp.sum(dual * columns) / count - jnp.where(
        system.prior_stiffness > 0, jnp.sum(force**2) / (2 * stiffness), 0
    )
    least = least + lax.stop_gradient(reached - least)
    return GroundState(parameters, least, lax.stop_gradient(jnp.abs(reached - bound)))


@linear_expectation.register(MeanAbsoluteError)
def _(energy, system: LinearLearning, widths: Widths) -> Float[Array, ""]:
    """A folded normal distribution, corrected for uniform parameters, for each example."""
    like = matrix_like(system)
    rows = like.shape[0]
    widths = widths.broadcast_to(like.shape)
    columns = system.targets.astype(like.dtype).reshape(-1, rows)

    def absolute(example):
        x, y = example
        parts = [
            expected_absolute(y[j], scaled(x, Widths(widths.normal[j], widths.uniform[j])))
            for j in range(rows)
        ]
        return sum(parts[1:], parts[0])

    return mean_over_examples(absolute, (system.features, columns))


@expectation_limit.register(MeanAbsoluteError)
def _(energy, variance, width, n_classes):
    return jnp.sqrt(2 * variance / jnp.pi)
