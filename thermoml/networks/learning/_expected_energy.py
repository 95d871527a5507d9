"""The mean energy under an initialisation."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from ...numerics.checks import check_key
from ...numerics.compile import jitted
from ...numerics.normal_uniform import Widths
from ...numerics.statistics import Estimate
from ._energy import AbstractEnergy
from ._initialisations import AbstractInitialisation, initialisation, sample_leaves, widths_of
from ._learning import AbstractLearning, LinearLearning


def expected_energy(
    system: AbstractLearning,
    start: AbstractInitialisation | str,
    *,
    n_samples: int = 10_000,
    key: Key[Array, ""] | None = None,
) -> Estimate:
    r"""The mean energy of a system under an initialisation, $U_0 = E_{p_0}[E]$.

    Exact for linear models whose parameters start normal or uniform, at any number of parameters
    and any width: mean squared error in closed form,
    $\tfrac1{2n}\sum_i[y_i^2 + \sum_jx_{ij}^2\mathrm{Var}\,\theta_j]$; mean absolute error from the
    folded normal distribution and cross-entropies by quadrature, each corrected for uniform
    parameters by their characteristic function. For networks, other distributions and other
    energies, the mean of samples.

    Args:
        system: a `LinearLearning` or `NetworkLearning`.
        start: an `AbstractInitialisation` or its name.
        n_samples, key: of the mean of samples; the key is required where it is one.

    Returns:
        U₀ and its standard error, 0 where it is exact. Differentiable in widths and data.

    Raises:
        ValueError: an initialisation that does not fit the parameters.
        TypeError: no key, where samples are drawn.

    Cost: O(nd) for mean squared error, O(500 nd) for mean absolute error and binary
    cross-entropy, O(4096 nd) for a softmax; an energy per sample otherwise.

    Example:
        >>> system = LinearLearning(MeanSquaredError(), (features, targets))
        >>> expected_energy(system, Normal(0.5)).mean
    """
    start = initialisation(start)
    if isinstance(system, LinearLearning):
        widths = widths_of(start, matrix_like(system))
        # The form itself is an argument, so that one registered later is not missed by jit's cache.
        form = linear_expectation.dispatch(type(system.form))
        energy = None if widths is None else _exact(form, system, widths)
        if energy is not None:
            return Estimate.exact(energy)

    def energy_of(key):
        return system.total_energy(initial_state(system, start, key))

    keys = jax.random.split(check_key(key, "parameters"), n_samples)
    return Estimate.of(jax.lax.map(energy_of, keys, batch_size=256))


@jitted
def _exact(
    form: Callable[..., Float[Array, ""] | None], system: LinearLearning, widths: Widths
) -> Float[Array, ""] | None:
    like = matrix_like(system)
    widths = Widths(*(jnp.asarray(w, like.dtype) for w in widths))
    data = form(system.form, system, widths)
    if data is None:
        return None
    variance = jnp.broadcast_to(widths.variance, like.shape)
    prior = system.prior_stiffness.astype(like.dtype) / 2 * jnp.sum(variance)
    return data + prior


@functools.singledispatch
def linear_expectation(
    energy: AbstractEnergy, system: LinearLearning, widths: Widths
) -> Float[Array, ""] | None:
    """E[(1/n) Σ ℓ] of a linear model whose parameters have these widths; None if not known.

    The widths broadcast to `matrix_like(system).shape`.
    """
    return None


def mean_over_examples(function: Callable[[Any], Array], examples: Any) -> Array:
    """The mean of a function of one example, in little memory, with its derivatives too."""
    return jnp.mean(jax.lax.map(jax.checkpoint(function), examples, batch_size=64))


def matrix_like(system: AbstractLearning) -> PyTree[Any]:
    """Shapes for initialisations: a vector of weights is a matrix with one row."""
    like = system.like
    if isinstance(system, LinearLearning) and system.n_outputs is None:
        return jax.ShapeDtypeStruct((1, *like.shape), like.dtype)
    return like


def initial_state(
    system: AbstractLearning, start: AbstractInitialisation, key: Key[Array, ""]
) -> PyTree[Array]:
    """A state of a system drawn from an initialisation."""
    drawn = sample_leaves(start, key, matrix_like(system))
    return jax.tree.map(lambda leaf, like: leaf.reshape(like.shape), drawn, system.like)
