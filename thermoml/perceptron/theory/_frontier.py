"""The frontier of rules: least dissipation at a generalization error, and the optimal rule."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import log_ndtr
from jax.scipy.stats import norm as normal
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from ...numerics.arrays import as_parameter
from ...numerics.checks import check_bound
from ..problem import AbstractRule

# An even grid over a normal density, to rounding for what is analytic within ±2i.
_PLACES = np.linspace(-9.0, 9.0, 97)
_FRACTIONS = 50  # terms of a continued fraction, for 1e-15 at 4


def _hazard(x: Array) -> Array:
    """φ(x)/Φ(x) of the standard normal, by Laplace's continued fraction far below 0."""
    far = x < -4
    t = jnp.where(far, -x, 4)
    tail = t
    for k in range(_FRACTIONS, 0, -1):
        tail = t + k / tail
    near = jnp.where(far, 0, x)
    return jnp.where(far, tail, jnp.exp(normal.logpdf(near) - log_ndtr(near)))


class _Frontier(NamedTuple):
    """Numbers at the least dissipation for an error, k = T = 1; none of them cancels.

    Attributes:
        rho, sine: cosine and sine of πε.
        dissipation: D.
        drive: D/ρ, finite at ε = 1/2.
    """

    rho: Array
    sine: Array
    dissipation: Array
    drive: Array


def _least(error: Float[Array, "..."]) -> _Frontier:
    r"""With $g - \rho^2 = \sqrt{2/\pi}\sin^3(\pi\varepsilon)E_t[h(\rho t)]$, t normal, h = φ/Φ.

    From the density 2φ(y)Φ(κy) of y = s/√Q: the part of m_ρ² - ρ²y² that is odd in y drops out.
    """
    nearer = jnp.where(error < 0.5, error, 1 - error)
    rho, sine = jnp.sin(jnp.pi * (0.5 - error)), jnp.sin(jnp.pi * nearer)
    places = jnp.asarray(_PLACES, error.dtype)
    weights = normal.pdf(places) * (places[1] - places[0])
    hazards = jnp.vectorize(lambda r: jnp.sum(weights * _hazard(r * places)))(rho)
    spread = jnp.sqrt(2 / jnp.pi).astype(error.dtype) * sine * hazards  # (g - ρ²)/sin²
    slope = rho / sine
    scaled = slope / sine / spread / (jnp.sqrt(1 + slope**2 / spread) + 1)
    return _Frontier(rho, sine, 2 * rho * scaled, 2 * scaled)


def _checked(error: ArrayLike) -> Float[Array, "..."]:
    error = as_parameter(error, "error")
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
        D_min, in units of energy per time, of the shape of `error`. Differentiable. Relative error
        for ε from 1e-6 to 1/2, of the value and its gradient: 1e-13 in float64, 2e-6 in float32.

    Raises:
        ValueError: an argument out of range.

    Source: thermoml. At fixed R and Q the conditions of a steady state are linear in F and the
    dissipation is quadratic, so that the cheapest F lies in the span of m_ρ and s.
    """
    error = _checked(error)
    check_bound("stiffness", stiffness, ">", 0.0)
    check_bound("temperature", temperature, ">", 0.0)
    scale = jnp.asarray(stiffness, error.dtype) * jnp.asarray(temperature, error.dtype)
    return scale * _least(error).dissipation


class OptimalRule(AbstractRule):
    r"""The rule of least dissipation with error ε in its steady state, for ν̃ = k = T = 1.

    $F(s) = a\,m_\rho(s) - \tfrac D2 s$ with $D = D_{min}(\varepsilon)$, $Q = 1 + D/2$,
    $R = \rho\sqrt Q$, $a = (D + D^2/4)/R$; see `dissipation_bound`. At ε = 1/2, F = 0.

    Args:
        error: ε in (0, 1).

    Attributes:
        correlation: ρ = cos πε.
        dissipation: D.

    Raises:
        ValueError: ε out of range.

    Accuracy: F and Φ to 1e-5 in float32, relative to their largest value within |s| < 5√Q.

    Source: thermoml, as `dissipation_bound`.
    """

    kinks = ()
    error: Float[Array, ""]
    correlation: Float[Array, ""]
    dissipation: Float[Array, ""]

    def __init__(self, error: ArrayLike):
        self.error = _checked(error)
        self.correlation, _, self.dissipation, _ = _least(self.error)

    def _terms(self, s: Array) -> tuple[Array, ...]:
        """sin πε, √Q, a, x = s cot(πε)/√Q, and the slope of F where s is large.

        $F = a\\sin(\\pi\\varepsilon)h(x) + \\frac{D/2}{1+D/2}s$, with m_ρ written out.
        """
        rho, sine, cost, drive = _least(jnp.asarray(self.error, s.dtype))
        root = jnp.sqrt(1 + cost / 2)
        return sine, root, drive * (1 + cost / 4) / root, rho / sine * s / root, cost / (2 + cost)

    def __call__(self, s):
        sine, _, gain, x, slope = self._terms(s)
        return gain * sine * _hazard(x) + slope * s

    def potential(self, s):
        sine, _, gain, x, slope = self._terms(s)
        near = jnp.abs(x) < 0.5
        twice = lax.erf(jnp.where(near, x, 0) / 2**0.5)  # 2Φ(x) - 1
        grown = jnp.where(near, jnp.log1p(twice), log_ndtr(x) + jnp.log(2.0).astype(x.dtype))
        per_place = jnp.where(x == 0, _hazard(jnp.zeros_like(x)), grown / jnp.where(x == 0, 1, x))
        return gain * sine * s * per_place + slope * s**2 / 2

    @property
    def smooth(self):
        return True
