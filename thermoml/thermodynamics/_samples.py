"""Samples of trajectories: validation, and averages of exponentials with their quality."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, PyTree

from ..numerics.arrays import as_parameter, cast_floats, default_float, is_concrete, shared_float
from ..numerics.checks import check_bound
from ..numerics.types import Numbers

FEWEST = 20  # samples below which no average of exponentials is trusted
_REQUIRED = 15.0  # samples, times the square of ⟨w²⟩/⟨w⟩²


def check_samples(name: str, values: Numbers, least: int = 2) -> Float[Array, " trajectory"]:
    """One value for each trajectory; ValueError if too few, of another shape, or not finite."""
    values = as_parameter(values, name).astype(default_float())
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
    dtype = shared_float(name, samples)  # of half precision there is no linear algebra
    samples = cast_floats(samples, dtype if jnp.finfo(dtype).bits > 16 else jnp.float32)
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
    temperature = as_parameter(temperature, "temperature").astype(default_float())
    check_bound("temperature", temperature, ">", 0.0, "it leaves the range of this precision")
    if temperature.ndim:
        raise ValueError(f"temperature must be a scalar, got shape {temperature.shape}")
    return temperature


class ExponentialAverage(NamedTuple):
    """ln⟨e^x⟩, its standard error, and how far both can be trusted.

    Attributes:
        logarithm, standard_error: ln⟨e^x⟩ and its error.
        effective: n/R, with R = ⟨w²⟩/⟨w⟩² of the weights w = e^x.
        sufficient: whether the mean can be trusted, see `exponential_average`.
    """

    logarithm: Float[Array, ""]
    standard_error: Float[Array, ""]
    effective: Float[Array, ""]
    sufficient: Bool[Array, ""]


def exponential_average(exponents: Float[Array, " sample"]) -> ExponentialAverage:
    r"""ln⟨e^x⟩ of samples, $\delta\ln\langle e^x\rangle = \sqrt{(1+4q^2)(R-1)/n}$.

    R = ⟨w²⟩/⟨w⟩² of the weights w = e^x. A sample that lacks the rare large weights has a small R
    of its own, so that of the Pearson law of type III (a gamma law of scale θ, shifted; the normal
    is θ = 0) with the samples' variance and skewness counts if it is larger. Skewness, and
    kurtosis, which bounds it, are taken one standard error up. The mean is nearly normal, and R
    nearly right, if q, the larger of 15 R²/n and of θ over the smaller of 1/5 and n/500, is at most
    1; for normal x of variance s², n >= 15 exp(2s²). As q nears 1 luck decides which samples pass,
    and the error is widened. Fewer than 20 samples, or samples that are all equal, are never
    sufficient.
    """
    count = exponents.shape[0]
    # One sample that runs away would move the mean so far that the others lose all their digits.
    middle = lax.stop_gradient(jnp.median(exponents))
    logarithm, relative = log_mean_exp(exponents - middle)
    spread = relative_spread(relative)
    log_ratio, scale = _pearson(lax.stop_gradient(exponents - jnp.mean(exponents)))
    ratio = jnp.maximum(1 + lax.stop_gradient(spread) ** 2, jnp.exp(log_ratio))
    strain = jnp.maximum(_REQUIRED * ratio**2 / count, scale / min(0.2, count / 500))
    widening = jnp.sqrt((1 + 4 * jnp.minimum(strain, 1) ** 2) / (count - 1))
    varies = jnp.max(exponents) > jnp.min(exponents)
    return ExponentialAverage(
        middle + logarithm,
        spread * widening,
        count / ratio,
        (strain <= 1) & varies & (count >= FEWEST),
    )


def log_mean_exp(
    exponents: Float[Array, " sample"],
) -> tuple[Float[Array, ""], Float[Array, " sample"]]:
    """ln⟨e^x⟩ without cancellation near x = 0, and e^x/⟨e^x⟩ - 1."""
    top = lax.stop_gradient(jnp.max(exponents))
    away = jnp.expm1(exponents - top)
    mean = jnp.mean(away)
    near = top < 1
    logarithm = top + jnp.where(
        near, jnp.log1p(jnp.where(near, mean, 0)), jnp.log(jnp.mean(jnp.exp(exponents - top)))
    )
    return logarithm, (away - mean) / jnp.exp(logarithm - top)


def relative_spread(away: Float[Array, " sample"]) -> Float[Array, ""]:
    """The root of the mean square of deviations, however small these are."""
    largest = lax.stop_gradient(jnp.max(jnp.abs(away)))
    scale = jnp.where(largest > 0, largest, 1)
    return scale * jnp.sqrt(jnp.mean((away / scale) ** 2))


def _pearson(
    away: Float[Array, " sample"],
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    r"""ln ⟨e^{2x}⟩/⟨e^x⟩² of the Pearson law of type III with the samples' moments, and its θ.

    A gamma law of shape a and scale θ has $a\ln[(1-\theta)^2/(1-2\theta)]$, infinite from θ = ½.
    """
    count = away.shape[0]
    deviation = relative_spread(away)
    unit = away / jnp.where(deviation > 0, deviation, 1)
    skewness = jnp.mean(unit**3) + float(np.sqrt(6 / count))
    # A gamma law has the excess kurtosis 3/2 skewness²; works of two peaks have less.
    kurtosis = jnp.mean(unit**4) - 3 + float(np.sqrt(24 / count))
    skewness = jnp.minimum(skewness, jnp.sqrt(jnp.maximum(kurtosis, 0) / 1.5))
    scale = deviation * skewness / 2
    small = jnp.abs(scale) < 1e-3
    theta = jnp.clip(jnp.where(small, 1e-3, scale), None, 0.499)
    factor = (2 * jnp.log1p(-theta) - jnp.log1p(-2 * theta)) / theta**2
    ratio = deviation**2 * jnp.where(small, 1, factor)
    return jnp.where(scale < 0.499, ratio, jnp.inf), scale
