r"""Averages over Gaussian inputs of what a rule does: E[F²], E[sF], E[|λ*|F] and E[Φ].

With inputs standard normal, or ±1 and N → ∞, λ* is standard normal and λ normal of variance Q and
covariance R with it. ρ = R/√Q = cos θ₀, and ε = θ₀/π of the inputs are labelled wrongly.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln, ndtr
from jax.scipy.stats import norm as normal
from jaxtyping import Array, Float

from ..numerics._arrays import cast_floats
from ..numerics._quadrature import tanh_sinh
from ._rules import (
    AbstractRule,
    AdaTron,
    AlphaTron,
    Hebbian,
    LinearAlphaTron,
    PerceptronRule,
)

# Standard deviations beyond which nothing is left of a normal distribution in float64.
_FARTHEST = 13.0


class Moments(NamedTuple):
    """What the mean field needs of a rule; arrays of one shape.

    Attributes:
        force_square: E[F²].
        stability: E[sF], what the learning force adds to Q.
        alignment: E[|λ*|F], what it adds to R.
        potential: E[Φ].
    """

    force_square: Float[Array, "..."]
    stability: Float[Array, "..."]
    alignment: Float[Array, "..."]
    potential: Float[Array, "..."]


class _Power(NamedTuple):
    """F(s) = coefficient · |s|^exponent on one side of 0."""

    coefficient: Any
    exponent: Any


def power_law(rule: AbstractRule) -> tuple[_Power, _Power] | None:
    """F where the student is wrong and where it is right, for rules that are powers of |s|."""
    none, constant = _Power(0.0, 0.0), _Power(1.0, 0.0)
    if isinstance(rule, Hebbian):
        return constant, constant
    if isinstance(rule, PerceptronRule):
        return constant, none
    if isinstance(rule, AdaTron):
        return _Power(1.0, 1.0), none
    if isinstance(rule, AlphaTron):
        return constant, _Power(1.0, rule.alpha)
    if isinstance(rule, LinearAlphaTron):
        return constant, _Power(rule.alpha, 1.0)
    return None


def moments(rule: AbstractRule, overlap: Any, norm: Any) -> Moments:
    r"""The Gaussian averages of a rule at overlap R and norm Q > R².

    Powers of |s| by their closed forms,

    $$E[|s|^p\theta(-s)] = \frac{(2Q)^{p/2}\,\Gamma(\tfrac p2+1)}{\pi} I_p(\theta_0), \qquad
      E[|\lambda^*||s|^p\theta(-s)] = \frac{2^{(p+1)/2}Q^{p/2}\,\Gamma(\tfrac{p+3}2)}{\pi}
      \Big[\frac{\sin^{p+2}\theta_0}{p+1} - \cos\theta_0\,I_{p+1}(\theta_0)\Big],$$

    with $I_p(\varphi) = \int_0^\varphi\sin^pu\,du$, and θ₀ → π - θ₀ where s > 0; any other F(s) by
    quadrature over the density of s, split at s = 0, where F may jump or be singular.

    Args:
        rule: F(s).
        overlap, norm: scalars.

    Returns:
        `Moments` of scalars. Differentiable in R, Q and the rule's parameters; 1e-9 in float64 for
        |ρ| up to 0.999999.

    Cost: O(1); about 500 evaluations of F where there is no closed form.

    Source: derived from the bivariate normal distribution; Goldt and Seifert 2017,
    arXiv:1706.09713, for the Hebbian, Perceptron and AdaTron rules.
    """
    overlap, norm = jnp.asarray(overlap), jnp.asarray(norm)
    rule = cast_floats(rule, norm.dtype)
    transverse = jnp.sqrt(norm - overlap**2)
    law = power_law(rule)
    if law is None:
        return _by_quadrature(rule, overlap, transverse, norm)
    wrong, right = law
    angle = jnp.arctan2(transverse, overlap)
    cosine, sine = overlap / jnp.sqrt(norm), transverse / jnp.sqrt(norm)
    sides = (
        (wrong, -1, angle, cosine),
        (right, 1, jnp.pi - angle, -cosine),
    )
    totals = [jnp.zeros_like(norm)] * 4
    for (coefficient, exponent), sign, phi, cosine_phi in sides:
        if isinstance(coefficient, float) and coefficient == 0:
            continue
        p = jnp.asarray(exponent, norm.dtype)
        terms = (
            coefficient**2 * _power_mean(2 * p, phi, norm),
            sign * coefficient * _power_mean(p + 1, phi, norm),
            coefficient * _aligned_mean(p, phi, cosine_phi, sine, norm),
            sign * coefficient * _power_mean(p + 1, phi, norm) / (p + 1),
        )
        totals = [total + term for total, term in zip(totals, terms, strict=True)]
    return Moments(*totals)


def _power_mean(p: Array, phi: Array, norm: Array) -> Array:
    """E[|s|^p] over the side of 0 whose share of the inputs is φ/π."""
    scale = jnp.exp(gammaln(p / 2 + 1)) * (2 * norm) ** (p / 2) / jnp.pi
    return scale * sine_integral(p, phi)


def _aligned_mean(p: Array, phi: Array, cosine: Array, sine: Array, norm: Array) -> Array:
    """E[|λ*||s|^p] over the same side."""
    scale = jnp.exp(gammaln((p + 3) / 2)) * jnp.sqrt(2) * (2 * norm) ** (p / 2) / jnp.pi
    return scale * (sine ** (p + 2) / (p + 1) - cosine * sine_integral(p + 1, phi))


def sine_integral(p: Float[Array, ""], phi: Float[Array, ""]) -> Float[Array, ""]:
    r"""$I_p(\varphi) = \int_0^\varphi \sin^p u\,du$ for p > -1 and 0 <= φ <= π.

    With u = φ t^{1/(p+1)} the singularity at 0 is gone, and derivatives in p and φ exist, which
    `jax.scipy.special.betainc` lacks in p.
    """
    half = jnp.pi / 2
    # No minimum: at φ = π/2, where learning starts, it would halve the derivative.
    low = _sine_integral_to(p, jnp.where(phi <= half, phi, half))
    rest = _sine_integral_to(p, jnp.where(phi <= half, half, jnp.pi - phi))
    whole = jnp.sqrt(jnp.pi) * jnp.exp(gammaln((p + 1) / 2) - gammaln(p / 2 + 1))
    return jnp.where(phi <= half, low, whole - rest)


def _sine_integral_to(p: Array, phi: Array) -> Array:
    nodes, weights = (jnp.asarray(x, phi.dtype) for x in tanh_sinh())
    u = phi * nodes ** (1 / (p + 1))
    # sin(u)/u; jnp.sinc has no derivative where u² underflows.
    small = u < 1e-3
    safe = jnp.where(small, 1, u)
    ratio = jnp.where(small, 1 - u**2 / 6 + u**4 / 120, jnp.sin(safe) / safe)
    return phi ** (p + 1) / (p + 1) * jnp.sum(weights * ratio**p)


def _by_quadrature(rule: AbstractRule, overlap: Array, transverse: Array, norm: Array) -> Moments:
    nodes, weights = (jnp.asarray(x, norm.dtype) for x in tanh_sinh(121))
    root = jnp.sqrt(norm)
    slope, rho, sine = overlap / transverse, overlap / root, transverse / root
    # The density has a scale of its own, 1/slope, where student and teacher nearly agree.
    near = jnp.minimum(_FARTHEST / 2, 8 / (jnp.abs(slope) + 1e-3))
    x = jnp.concatenate([near * nodes, near + (_FARTHEST - near) * nodes])
    weights = jnp.concatenate([near * weights, (_FARTHEST - near) * weights])
    totals = [jnp.zeros_like(norm)] * 4
    for sign in (-1, 1):
        s = sign * root * x
        force = jax.vmap(rule)(s)
        # The density of s/√Q, and that times E[|λ*| | s].
        density = 2 * normal.pdf(x) * ndtr(sign * slope * x)
        aligned = sign * rho * x * density + 2 * sine * normal.pdf(x) * normal.pdf(slope * x)
        terms = (
            density * force**2,
            density * s * force,
            aligned * force,
            density * jax.vmap(rule.potential)(s),
        )
        totals = [
            total + jnp.sum(weights * term) for total, term in zip(totals, terms, strict=True)
        ]
    return Moments(*totals)
