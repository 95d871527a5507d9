"""The mean energy under an initialisation."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from ...numerics.statistics import Estimate
from ._energies import CrossEntropy, MeanAbsoluteError, MeanSquaredError
from ._expectations import expected_absolute, expected_log_cosh, expected_log_sum_exp, scaled
from ._initialisations import (
    AbstractInitialisation,
    Widths,
    initialisation,
    sample_leaves,
    widths_of,
)
from ._learning import AbstractLearning, LinearLearning

_KNOWN = (MeanSquaredError, MeanAbsoluteError, CrossEntropy)


def expected_energy(
    start: Any,
    system: AbstractLearning,
    *,
    n_samples: int = 10_000,
    key: Key[Array, ""] | None = None,
) -> Estimate:
    r"""The mean energy of a system under an initialisation, $U_0 = E_{p_0}[E]$.

    Exact for linear models whose parameters start normal or uniform, at any number of parameters
    and any width: mean squared error in closed form,
    $\tfrac1{2n}\sum_i[y_i^2 + \sum_jx_{ij}^2\mathrm{Var}\,\theta_j]$; mean absolute error from the
    folded normal distribution, cross-entropies by quadrature, each with what uniform parameters
    change of it from their characteristic function. For networks, other distributions and other
    energy forms, the mean of samples.

    Args:
        start: an `AbstractInitialisation` or its name.
        system: a `LinearLearning` or `NetworkLearning`.
        n_samples, key: where a mean of samples is needed; without a key `jax.random.key(0)`.

    Returns:
        U₀ and its standard error, 0 where it is exact. Differentiable in widths and data.

    Raises:
        ValueError: an initialisation that does not fit the parameters.

    Cost: O(nd) for mean squared error, O(500 nd) for mean absolute error and binary
    cross-entropy, O(4096 nd) for a softmax; an energy per sample otherwise.
    """
    start = initialisation(start)
    like = matrix_like(system)
    if isinstance(system, LinearLearning) and isinstance(system.form, _KNOWN):
        widths = widths_of(start, like)
        if widths is not None:
            energy = _linear_expectation(system, widths, like)
            return energy, jnp.zeros_like(energy)

    def energy_of(key):
        return system.total_energy(initial_state(start, system, key))

    keys = jax.random.split(first_key(key), n_samples)
    return Estimate.of(jax.lax.map(energy_of, keys, batch_size=256))


@eqx.filter_jit
def _linear_expectation(system: LinearLearning, widths: Widths, like: Any) -> Float[Array, ""]:
    features, targets, dtype = system.features, system.targets, like.dtype
    widths = Widths(*(jnp.asarray(w, dtype) for w in widths))
    variance = jnp.broadcast_to(widths.variance, like.shape)
    prior = system.prior_stiffness.astype(dtype) / 2 * jnp.sum(variance)
    rows, size = like.shape
    full = Widths(*(jnp.broadcast_to(w, like.shape) for w in widths))
    if isinstance(system.form, MeanSquaredError):
        squares = jnp.mean(features**2, axis=0) @ jnp.sum(variance, axis=0)
        values = targets.astype(dtype)
        return (squares + jnp.sum(values**2) / values.shape[0]) / 2 + prior
    if isinstance(system.form, MeanAbsoluteError):
        columns = targets.astype(dtype).reshape(-1, rows)

        def absolute(example):
            x, y = example
            parts = [
                expected_absolute(y[j], scaled(x, Widths(full.normal[j], full.uniform[j])))
                for j in range(rows)
            ]
            return sum(parts[1:], parts[0])

        return _over_examples(absolute, (features, columns)) + prior
    if system.n_outputs is None:
        one = Widths(full.normal[0], full.uniform[0])
        found = _over_examples(lambda x: expected_log_cosh(scaled(x, one)), features)
        return found + prior
    # Classes drawn from one distribution have one distribution function
    alike = all(w.ndim < 2 or w.shape[0] == 1 for w in widths)
    shape = (1, size) if alike else like.shape
    several = Widths(*(jnp.broadcast_to(w, shape) for w in widths))
    found = _over_examples(lambda x: expected_log_sum_exp(scaled(x, several), rows), features)
    return found + prior


def _over_examples(function: Callable, examples: Any) -> Array:
    return jnp.mean(jax.lax.map(jax.checkpoint(function), examples, batch_size=64))


def matrix_like(system: AbstractLearning) -> PyTree[Any]:
    """Shapes for initialisations: a vector of weights is a matrix with one row."""
    like = system.like
    if isinstance(system, LinearLearning) and system.n_outputs is None:
        return jax.ShapeDtypeStruct((1, *like.shape), like.dtype)
    return like


def initial_state(
    start: AbstractInitialisation, system: AbstractLearning, key: Key[Array, ""]
) -> PyTree[Array]:
    """A state of a system drawn from an initialisation."""
    drawn = sample_leaves(start, key, matrix_like(system))
    return jax.tree.map(lambda leaf, like: leaf.reshape(like.shape), drawn, system.like)


def first_key(key: Key[Array, ""] | None) -> Key[Array, ""]:
    """The key that is given, or the same one for all who give none."""
    return jax.random.key(0) if key is None else key
