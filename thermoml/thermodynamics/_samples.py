"""Samples of trajectories: validation, exponential averages, and the quality of their weights."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.scipy.special import logsumexp
from jaxtyping import Array, Bool, Float, PyTree

from ..numerics.arrays import cast_floats, default_float, is_concrete, shared_float
from ..numerics.checks import check_bound
from ..numerics.types import Numbers

_ENOUGH = 50.0  # effective samples below which an exponential average is not trusted


def check_samples(name: str, values: Numbers, least: int = 2) -> Float[Array, " trajectory"]:
    """One value for each trajectory; ValueError if too few, of another shape, or not finite."""
    values = jnp.asarray(values, default_float())
    if values.ndim != 1 or values.shape[0] < least:
        raise ValueError(
            f"{name} must have shape (trajectory,) with at least {least} trajectories, got shape "
            f"{values.shape}"
        )
    if is_concrete(values) and not np.isfinite(np.asarray(values)).all():
        raise ValueError(f"{name} must be finite; leave out trajectories that diverged")
    return values


def check_batch(name: str, samples: PyTree[Any]) -> Float[Array, "sample d"]:
    """Samples of a pytree as rows of numbers; ValueError if not finite or of unequal count."""
    samples = cast_floats(samples, shared_float(name, samples))
    sizes = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(samples)}
    if len(sizes) != 1 or sizes == {()}:
        raise ValueError(
            f"every leaf of {name} must have the same first axis, one entry for each sample, got "
            f"shapes {[jnp.shape(leaf) for leaf in jax.tree.leaves(samples)]}"
        )
    rows = jax.vmap(lambda state: ravel_pytree(state)[0])(samples)
    if is_concrete(rows) and not np.isfinite(np.asarray(rows)).all():
        raise ValueError(f"{name} must be finite; leave out trajectories that diverged")
    return rows


def check_temperature(temperature: Numbers) -> Float[Array, ""]:
    """The temperature as a scalar array; ValueError unless it is positive."""
    check_bound("temperature", temperature, ">", 0.0)
    temperature = jnp.asarray(temperature, default_float())
    if temperature.ndim:
        raise ValueError(f"temperature must be a scalar, got shape {temperature.shape}")
    return temperature


class WeightQuality(NamedTuple):
    """Relative variance of a mean weight, effective samples (Kish), and whether they suffice."""

    variance: Float[Array, ""]
    effective: Float[Array, ""]
    sufficient: Bool[Array, ""]


def weight_quality(log_weights: Float[Array, " sample"]) -> WeightQuality:
    """The quality of samples with weights, from the logarithms of these."""
    count = log_weights.shape[0]
    weights = jnp.exp(log_weights - jax.lax.stop_gradient(jnp.max(log_weights)))
    mean, square = jnp.mean(weights), jnp.mean(weights**2)
    effective = count * mean**2 / square
    variance = (square / mean**2 - 1) / (count - 1)
    return WeightQuality(variance, effective, effective >= min(_ENOUGH, count / 2))


def log_mean_exp(exponents: Float[Array, " sample"]) -> Float[Array, ""]:
    """ln⟨e^x⟩."""
    count = jnp.asarray(exponents.shape[0], exponents.dtype)
    return logsumexp(exponents) - jnp.log(count)
