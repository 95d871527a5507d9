"""The frontier of rules: least dissipation at a generalization error, and the optimal rule."""

import jax.numpy as jnp
from jax.scipy.special import log_ndtr
from jax.scipy.stats import norm as normal
from jax.typing import ArrayLike, DTypeLike
from jaxtyping import Array, Float

from ...numerics.arrays import as_parameter
from ...numerics.checks import check_bound
from ...numerics.quadrature import tanh_sinh
from ..problem import AbstractRule

_FARTHEST = 13.0  # standard deviations


def _alignment(y: Array, rho: Array) -> Array:
    """m_ρ, the mean of |λ*| at stability s = y√Q."""
    sine = jnp.sqrt(1 - rho**2)
    x = rho / sine * y
    return rho * y + sine * jnp.exp(normal.logpdf(x) - log_ndtr(x))


def _alignment_square(rho: Array) -> Array:
    """g(ρ) = E[m_ρ²]."""
    nodes, weights = (jnp.asarray(x, rho.dtype) for x in tanh_sinh(121))
    slope = rho / jnp.sqrt(1 - rho**2)
    total = jnp.zeros_like(rho)
    # Where student and teacher nearly agree the density varies over 1/slope as well.
    near = jnp.minimum(_FARTHEST / 2, 8 / (jnp.abs(slope) + 1e-3))
    for start, length in ((0.0, near), (near, _FARTHEST - near)):
        for sign in (-1, 1):
            y = sign * (start + length * nodes)
            density = 2 * jnp.exp(normal.logpdf(y) + log_ndtr(slope * y))
            total = total + length * jnp.sum(weights * density * _alignment(y, rho) ** 2)
    return total


def _least(error: Array) -> tuple[Array, Array]:
    """ρ and D_min at k = T = 1."""
    rho = jnp.cos(jnp.pi * error)
    vectorised = jnp.vectorize(_alignment_square)
    return rho, 2 * ((1 - rho**2 / vectorised(rho)) ** -0.5 - 1)


def _checked(error: ArrayLike) -> Float[Array, "..."]:
    error = as_parameter(error)
    remedy = "an error of exactly 0 or 1 takes infinite dissipation"
    check_bound("error", error, ">", 0.0, remedy)
    check_bound("error", error, "<", 1.0, remedy)
    return error


def dissipation_bound(
    error: ArrayLike, *, stiffness: ArrayLike = 1.0, temperature: ArrayLike = 1.0
) -> Float[Array, "..."]:
    r"""$D_{min}(\varepsilon) = 2kT\big[(1 - \rho^2/g(\rho))^{-1/2} - 1\big]$, ρ = cos πε.

    No rule F(s) holds a steady state (N → ∞, separated time scales) with generalization error ε at
    less dissipation $D = \tilde\nu^2E[F^2]$. $g(\rho) = E[m_\rho^2]$ with
    $m_\rho(s) = E[|\lambda^*|\,|\,s]$, so that $\rho^2 < g < 1$. D_min/D is a rule's efficiency.

    Args:
        error: ε in (0, 1), any shape.
        stiffness, temperature: k and T > 0.

    Returns:
        D_min, in units of energy per time, of the shape of `error`. Differentiable.

    Raises:
        ValueError: an argument out of range.

    Source: thermoml. At fixed R and Q the conditions of a steady state are linear in F and the
    dissipation is quadratic, so that the cheapest F lies in the span of m_ρ and s.
    """
    error = _checked(error)
    check_bound("stiffness", stiffness, ">", 0.0)
    check_bound("temperature", temperature, ">", 0.0)
    scale = jnp.asarray(stiffness, error.dtype) * jnp.asarray(temperature, error.dtype)
    return scale * _least(error)[1]


class OptimalRule(AbstractRule):
    r"""The rule of least dissipation with error ε in its steady state, for ν̃ = k = T = 1.

    $F(s) = a\,m_\rho(s) - \tfrac D2 s$ with $D = D_{min}(\varepsilon)$, $Q = 1 + D/2$,
    $R = \rho\sqrt Q$, $a = (D + D^2/4)/R$; see `dissipation_bound`.

    Args:
        error: ε in (0, 1) except 1/2, where nothing is learned.

    Attributes:
        correlation: ρ = cos πε.
        dissipation: D.

    Raises:
        ValueError: ε out of range.

    Source: thermoml, as `dissipation_bound`.
    """

    error: Float[Array, ""]
    correlation: Float[Array, ""]
    dissipation: Float[Array, ""]

    def __init__(self, error: ArrayLike):
        self.error = _checked(error)
        self.correlation, self.dissipation = _least(self.error)

    def _scales(self, dtype: DTypeLike) -> tuple[Array, Array, Array, Array]:
        rho, cost = (jnp.asarray(x, dtype) for x in (self.correlation, self.dissipation))
        root = jnp.sqrt(1 + cost / 2)
        return rho, cost, root, (cost + cost**2 / 4) / (rho * root)

    def __call__(self, s):
        rho, cost, root, gain = self._scales(s.dtype)
        return gain * _alignment(s / root, rho) - cost / 2 * s

    def potential(self, s):
        rho, cost, root, gain = self._scales(s.dtype)
        sine = jnp.sqrt(1 - rho**2)
        grown = log_ndtr(rho / sine * s / root) + jnp.log(2.0).astype(s.dtype)
        aligned = rho * s**2 / (2 * root) + sine**2 * root / rho * grown
        return gain * aligned - cost / 4 * s**2

    @property
    def smooth(self):
        return True
