r"""Averages over Gaussian inputs of what a rule does: E[F²], E[sF], E[|λ*|F] and E[Φ].

With inputs standard normal, or ±1 and N → ∞, λ* is standard normal and λ normal of variance Q and
covariance R with it. ρ = R/√Q = cos θ₀, and ε = θ₀/π of the inputs are labelled wrongly. The mean
force on the weights lies in the plane of student and teacher, E[σξF] = (a w + b T)/√N.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln, ndtr
from jax.scipy.stats import norm as normal
from jaxtyping import Array, Float

from ...numerics.arrays import cast_floats
from ...numerics.quadrature import tanh_sinh
from ..problem import AbstractRule, AdaTron, AlphaTron, Hebbian, LinearAlphaTron, PerceptronRule

# Standard deviations beyond which nothing is left of a normal distribution in float64.
_FARTHEST = 13.0
_SQRT2 = 2**0.5


class Moments(NamedTuple):
    """What a rule does on average; arrays of one shape.

    Attributes:
        force_square: E[F²]; inf where it diverges.
        input_square: E[(|ξ|² - N) F²] with Gaussian inputs, which has no N in it.
        stability: E[sF], what the learning force adds to Q.
        alignment: E[|λ*|F], what it adds to R.
        potential: E[Φ].
        along_student: a of the mean force, E[F'] with the jumps of F counted.
        along_teacher: b of the mean force.
    """

    force_square: Float[Array, "..."]
    input_square: Float[Array, "..."]
    stability: Float[Array, "..."]
    alignment: Float[Array, "..."]
    potential: Float[Array, "..."]
    along_student: Float[Array, "..."]
    along_teacher: Float[Array, "..."]

    @property
    def mean_force_square(self) -> Float[Array, "..."]:
        """|E[σξF]|²."""
        return self.along_student * self.stability + self.along_teacher * self.alignment


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
    r"""The Gaussian averages of a rule at overlap R and norm Q > R²; see `plane_moments`."""
    overlap, norm = jnp.asarray(overlap), jnp.asarray(norm)
    return plane_moments(rule, overlap, jnp.sqrt(norm - overlap**2))


def plane_moments(rule: AbstractRule, overlap: Any, transverse: Any) -> Moments:
    r"""The Gaussian averages of a rule at overlap R and transverse component P = √(Q - R²).

    Powers of |s| by their closed forms,

    $$E[|s|^p\theta(-s)] = \frac{(2Q)^{p/2}\,\Gamma(\tfrac p2+1)}{\pi} I_p(\theta_0), \qquad
      I_p(\varphi) = \int_0^\varphi\sin^pu\,du,$$

    with θ₀ → π - θ₀ where s > 0; any other F(s) by quadrature over the density of s, split at
    s = 0, where F may jump or be singular. By Stein's identity $aQ+bR = E[sF]$,
    $aR + b = E[|\lambda^*|F]$ and
    $b = \tfrac1{\sqrt{2\pi}}E_{\lambda\sim N(0,P^2)}[F(\lambda)+F(-\lambda)]$.

    Args:
        rule: F(s).
        overlap, transverse: scalars.

    Returns:
        `Moments` of scalars. Differentiable in R, P and the rule's parameters; 1e-9 in float64 for
        |ρ| up to 0.999999.

    Cost: O(1); about 600 evaluations of F where there is no closed form.

    Source: derived from the bivariate normal distribution; Goldt and Seifert 2017,
    arXiv:1706.09713, for the Hebbian, Perceptron and AdaTron rules.
    """
    overlap, transverse = jnp.asarray(overlap), jnp.asarray(transverse)
    norm = overlap**2 + transverse**2
    rule = cast_floats(rule, norm.dtype)
    law = power_law(rule)
    if law is None:
        found = _by_quadrature(rule, overlap, transverse, norm)
    else:
        found = _in_closed_form(law, overlap, transverse, norm)
    square, input_square, stability, potential, pull = found
    return Moments(
        square,
        input_square,
        stability,
        (overlap * stability + transverse**2 * pull) / norm,
        potential,
        (stability - overlap * pull) / norm,
        pull,
    )


def _in_closed_form(law: Any, overlap: Array, transverse: Array, norm: Array) -> list[Array]:
    angle = jnp.arctan2(transverse, overlap)
    totals = [jnp.zeros_like(norm)] * 5
    for (coefficient, exponent), sign, phi in zip(
        law, (-1, 1), (angle, jnp.pi - angle), strict=True
    ):
        if isinstance(coefficient, float) and coefficient == 0:
            continue
        p = exponent
        square = coefficient**2 * _power_mean(2 * p, phi, norm)
        stability = sign * coefficient * _power_mean(p + 1, phi, norm)
        # E|λ|^p of the normal distribution of variance P², over √(2π)
        gamma = jnp.exp(gammaln(jnp.asarray((p + 1) / 2, norm.dtype)))
        pull = gamma * (2 * transverse**2) ** (p / 2) / _SQRT2 / jnp.pi
        terms = (square, 2 * p * square, stability, stability / (p + 1), coefficient * pull)
        totals = [total + term for total, term in zip(totals, terms, strict=True)]
    return totals


def _power_mean(p: Any, phi: Array, norm: Array) -> Array:
    """E[|s|^p] over the side of 0 whose share of the inputs is φ/π; inf for p <= -1."""
    finite = True
    if not isinstance(p, float):
        finite = p > -1
        p = jnp.where(finite, p, 0)
    scale = jnp.exp(gammaln(jnp.asarray(p / 2 + 1, norm.dtype))) * (2 * norm) ** (p / 2) / jnp.pi
    return jnp.where(finite, scale * sine_integral(p, phi), jnp.inf)


def sine_integral(p: Any, phi: Float[Array, ""]) -> Float[Array, ""]:
    r"""$I_p(\varphi) = \int_0^\varphi \sin^p u\,du$ for p > -1 and 0 <= φ <= π.

    With u = φ t^{1/(p+1)} the singularity at 0 is gone, and derivatives in p and φ exist, which
    `jax.scipy.special.betainc` lacks in p. Elementary for p = 0 and 1 as Python floats.
    """
    if isinstance(p, float) and p in (0.0, 1.0):
        return phi if p == 0 else 2 * jnp.sin(phi / 2) ** 2
    p = jnp.asarray(p, phi.dtype)
    acute = phi <= jnp.pi / 2
    # No minimum: at φ = π/2, where learning starts, it would halve the derivative.
    folded = jnp.where(acute, phi, jnp.pi - phi)
    nodes, weights = tanh_sinh()
    u = folded * jnp.exp(jnp.asarray(np.log(nodes), phi.dtype) / (p + 1))
    # sin(u)/u; jnp.sinc has no derivative where u² underflows.
    small = u < 1e-3
    safe = jnp.where(small, 1, u)
    ratio = jnp.where(small, 1 - u**2 / 6 + u**4 / 120, jnp.sin(safe) / safe)
    powers = jnp.exp(p * jnp.log(ratio))
    part = folded ** (p + 1) / (p + 1) * jnp.sum(jnp.asarray(weights, phi.dtype) * powers)
    whole = jnp.sqrt(jnp.pi) * jnp.exp(gammaln((p + 1) / 2) - gammaln(p / 2 + 1))
    return jnp.where(acute, part, whole - part)


def _by_quadrature(
    rule: AbstractRule, overlap: Array, transverse: Array, norm: Array
) -> list[Array]:
    nodes, weights = (jnp.asarray(x, norm.dtype) for x in tanh_sinh(121))
    root, slope = jnp.sqrt(norm), overlap / transverse
    # The density has a scale of its own, 1/slope, where student and teacher nearly agree.
    near = jnp.minimum(_FARTHEST / 2, 8 / (jnp.abs(slope) + 1e-3))
    x = jnp.concatenate([near * nodes, near + (_FARTHEST - near) * nodes])
    split = jnp.concatenate([near * weights, (_FARTHEST - near) * weights])
    totals = [jnp.zeros_like(norm)] * 5
    for sign in (-1, 1):
        s, y = sign * root * x, sign * x
        force = jax.vmap(rule)(s)
        density = 2 * normal.pdf(x) * ndtr(slope * y)  # of s/√Q
        # ... times E[|ξ|² | s] - N
        excess = (x**2 - 1) * density - 2 * normal.pdf(x) * slope * y * normal.pdf(slope * y)
        terms = (
            density * force**2,
            excess * force**2,
            density * s * force,
            density * jax.vmap(rule.potential)(s),
        )
        sums = [jnp.sum(split * term) for term in terms]
        far = _FARTHEST * nodes
        pull = jax.vmap(rule)(sign * transverse * far) * normal.pdf(far)
        sums.append(jnp.sqrt(2 / jnp.pi) * _FARTHEST * jnp.sum(weights * pull))
        totals = [total + term for total, term in zip(totals, sums, strict=True)]
    return totals
