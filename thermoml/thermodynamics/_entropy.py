"""Gibbs entropies in closed form: normal, uniform and truncated laws, blocks and mixtures."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from ..numerics.arrays import as_parameter, is_concrete, shared_float
from ..numerics.checks import check_bound
from ..numerics.quadrature import gauss_legendre
from ..numerics.types import Numbers

LOG_2PI = float(np.log(2 * np.pi))


def normal_entropy(covariance: Numbers) -> Float[Array, ""]:
    r"""Entropy of a normal distribution, $S = \tfrac12\ln\det(2\pi e\,\Sigma)$, in nats.

    Args:
        covariance: Σ: a variance, scalar; or a matrix `(d, d)`, positive definite.

    Raises:
        ValueError: another shape, or a covariance that is not finite, symmetric and positive.

    Cost: O(d³).
    """
    covariance = as_parameter(covariance, "covariance")
    if covariance.ndim == 0:
        check_bound("covariance", covariance, ">", 0.0)
        return (1 + LOG_2PI + jnp.log(covariance)) / 2
    if covariance.ndim != 2 or covariance.shape[0] != covariance.shape[1]:
        raise ValueError(
            f"covariance must be a variance or a matrix (d, d), got shape {covariance.shape}"
        )
    sign, logarithm = jnp.linalg.slogdet(covariance)
    if is_concrete(covariance):
        matrix = np.asarray(covariance)
        slack = 100 * np.finfo(matrix.dtype).eps * np.abs(matrix).max(initial=0)
        if not np.isfinite(matrix).all() or not (np.abs(matrix - matrix.T) <= slack).all():
            raise ValueError(f"covariance must be finite and symmetric, got {covariance}")
        if not (np.linalg.eigvalsh(matrix) > 0).all():
            raise ValueError("covariance must be positive definite")
    return (covariance.shape[0] * (1 + LOG_2PI) + jnp.where(sign > 0, logarithm, jnp.nan)) / 2


def uniform_entropy(widths: Numbers) -> Float[Array, ""]:
    r"""Entropy of a uniform distribution on a box, $S = \sum_i\ln w_i$, in nats.

    Args:
        widths: w, the lengths of the box's sides, any shape; that of [-a, a] is 2a.

    Raises:
        ValueError: a width that is not positive.
    """
    check_bound("widths", widths, ">", 0.0)
    return jnp.sum(jnp.log(as_parameter(widths, "widths")))


def truncated_normal_entropy(
    std: Numbers, lower: Numbers, upper: Numbers, *, mean: Numbers = 0.0
) -> Float[Array, "..."]:
    r"""Entropy of a normal distribution truncated to [lower, upper], in nats.

    $$S = \ln(\sqrt{2\pi e}\,\sigma Z) + \frac{a\varphi(a) - b\varphi(b)}{2Z},
      \qquad Z = \Phi(b) - \Phi(a),$$

    a and b the ends relative to the mean, in units of σ (the standard deviation before the cut).

    Args:
        std, lower, upper, mean: of each parameter, of one shape or scalars. An end may be infinite.

    Returns:
        S, of the arguments' shape.

    Raises:
        ValueError: std <= 0 or upper <= lower.
    """
    check_bound("std", std, ">", 0.0)
    given = {"std": std, "lower": lower, "upper": upper, "mean": mean}
    parameters = [as_parameter(value, name) for name, value in given.items()]
    dtype = shared_float("std", parameters)
    std, lower, upper, mean = (x.astype(dtype) for x in parameters)
    check_bound("mean", mean, ">", -np.inf)
    if is_concrete((lower, upper)) and not np.all(np.asarray(upper) > np.asarray(lower)):
        raise ValueError(f"upper must lie above lower = {lower}, got {upper}")

    def scaled(end):  # infinite ends too, with finite gradients
        finite = jnp.isfinite(end)
        return jnp.where(finite, (jnp.where(finite, end, mean) - mean) / std, end)

    # By quadrature from the highest density down to e^-40 of it: far out in a tail, or between
    # narrow ends, the closed form is a difference of large numbers.
    a, b = scaled(lower), scaled(upper)
    top = lax.stop_gradient(jnp.clip(jnp.zeros((), dtype), a, b))
    reach = 80 / (jnp.abs(top) + jnp.sqrt(top**2 + 80))
    left, right = jnp.maximum(a - top, -reach), jnp.minimum(b - top, reach)
    along = (-1,) + (1,) * top.ndim
    nodes, weights = (jnp.asarray(x, dtype).reshape(along) for x in gauss_legendre(48))
    away = left[None] + (right - left)[None] * nodes
    fall = away * (top[None] + away / 2)
    density = jnp.exp(-fall) * weights
    mass = jnp.sum(density, axis=0)
    return jnp.log(std * (right - left) * mass) + jnp.sum(density * fall, axis=0) / mass


def _check_numbers(name: str, values: Array) -> None:
    """ValueError for NaN; that of a point is -∞."""
    if is_concrete(values) and np.isnan(np.asarray(values)).any():
        raise ValueError(f"{name} must be numbers, got {values}")


def block_entropy(entropies: Numbers, counts: Numbers) -> Float[Array, ""]:
    r"""Entropy of independent blocks of parameters, $S = \sum_i n_i s_i$, in nats.

    For example a network whose weights are normal and whose biases are uniform.

    Args:
        entropies: s of one parameter of each block, `(block,)`.
        counts: n, the number of parameters of each block, `(block,)`.

    Raises:
        ValueError: shapes that differ, or a negative count.
    """
    entropies, counts = as_parameter(entropies, "entropies"), as_parameter(counts, "counts")
    if entropies.ndim != 1 or entropies.shape != counts.shape:
        raise ValueError(
            "entropies and counts must both have shape (block,), got "
            f"{entropies.shape} and {counts.shape}"
        )
    _check_numbers("entropies", entropies)
    check_bound("counts", counts, ">=", 0.0)
    return jnp.sum(entropies * counts.astype(entropies.dtype))


def mixture_entropy(entropies: Numbers, weights: Numbers) -> Float[Array, ""]:
    r"""Entropy of a mixture of components without overlap, in nats.

    $$S = \sum_i w_i(s_i - \ln w_i)$$

    An upper bound for components that overlap. h equivalent minima add ln h.

    Args:
        entropies: s of each component, `(component,)`.
        weights: w >= 0, `(component,)`, normalised to 1.

    Raises:
        ValueError: shapes that differ, or weights that are negative or all 0.
    """
    entropies, weights = as_parameter(entropies, "entropies"), as_parameter(weights, "weights")
    if entropies.ndim != 1 or entropies.shape != weights.shape:
        raise ValueError(
            "entropies and weights must both have shape (component,), got "
            f"{entropies.shape} and {weights.shape}"
        )
    _check_numbers("entropies", entropies)
    check_bound("weights", weights, ">=", 0.0)
    if is_concrete(weights) and not np.sum(np.asarray(weights)) > 0:
        raise ValueError("weights must not all be 0")
    weights = (weights / jnp.sum(weights)).astype(entropies.dtype)
    return jnp.sum(weights * entropies + jax.scipy.special.entr(weights))
