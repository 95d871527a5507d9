r"""Averages of a rule over Gaussian inputs: E[F²], E[sF], E[|λ*|F], E[Φ] and the mean force.

With inputs standard normal, or ±1 and N → ∞, λ* is standard normal and λ normal of variance Q and
covariance R with it. ρ = R/√Q = cos θ₀, and the fraction ε = θ₀/π of the inputs is labelled
wrongly. The mean force on the weights lies in the plane of student and teacher,
E[σξF] = (a w + b T)/√N.
"""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln, ndtr
from jax.scipy.stats import norm as normal
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from ...numerics.arrays import cast_floats
from ...numerics.quadrature import tanh_sinh
from ..problem import AbstractPowerRule, AbstractRule

# Standard deviations that hold a normal distribution to the last bit of float64.
_FARTHEST = 13.0
_SQRT2 = 2**0.5


class Moments(NamedTuple):
    """Gaussian averages of a rule; arrays of one shape.

    Attributes:
        force_square: E[F²]; inf where it diverges.
        input_square: E[(|ξ|² - N) F²] with Gaussian inputs, independent of N.
        stability: E[sF], which drives Q.
        alignment: E[|λ*|F], which drives R.
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


class _Averages(NamedTuple):
    """The averages that are computed; the others follow from them."""

    force_square: Float[Array, ""]
    input_square: Float[Array, ""]
    stability: Float[Array, ""]
    potential: Float[Array, ""]
    along_teacher: Float[Array, ""]


def moments(rule: AbstractRule, overlap: ArrayLike, norm: ArrayLike) -> Moments:
    r"""The Gaussian averages of a rule at overlap R and norm Q > R²; see `plane_moments`."""
    overlap, norm = jnp.asarray(overlap), jnp.asarray(norm)
    return plane_moments(rule, overlap, jnp.sqrt(norm - overlap**2))


def plane_moments(rule: AbstractRule, overlap: ArrayLike, transverse: ArrayLike) -> Moments:
    r"""The Gaussian averages of a rule at overlap R and transverse component P = √(Q - R²).

    An `AbstractPowerRule` is averaged in closed form,

    $$E[|s|^p\theta(-s)] = \frac{(2Q)^{p/2}\,\Gamma(\tfrac p2+1)}{\pi} I_p(\theta_0), \qquad
      I_p(\varphi) = \int_0^\varphi\sin^pu\,du,$$

    with θ₀ → π - θ₀ for s > 0; any other F(s) by quadrature over the density of s, split at s = 0,
    where F may jump or be singular. By Stein's identity $aQ+bR = E[sF]$, $aR + b = E[|\lambda^*|F]$
    and $b = \tfrac1{\sqrt{2\pi}}E_{\lambda\sim N(0,P^2)}[F(\lambda)+F(-\lambda)]$.

    Args:
        rule: F(s).
        overlap, transverse: scalars.

    Returns:
        `Moments` of scalars. Differentiable in R, P and the rule's parameters; 1e-9 in float64 for
        |ρ| up to 0.999999.

    Cost: O(1); about 600 evaluations of F without a closed form.

    Source: derived from the bivariate normal distribution; Goldt and Seifert 2017,
    arXiv:1706.09713, for the Hebbian, Perceptron and AdaTron rules.
    """
    overlap, transverse = jnp.asarray(overlap), jnp.asarray(transverse)
    norm = overlap**2 + transverse**2
    rule = cast_floats(rule, norm.dtype)
    if isinstance(rule, AbstractPowerRule):
        averages = _in_closed_form(rule, overlap, transverse)
    else:
        averages = _by_quadrature(rule, overlap, transverse)
    stability, pull = averages.stability, averages.along_teacher
    return Moments(
        force_square=averages.force_square,
        input_square=averages.input_square,
        stability=stability,
        alignment=(overlap * stability + transverse**2 * pull) / norm,
        potential=averages.potential,
        along_student=(stability - overlap * pull) / norm,
        along_teacher=pull,
    )


def _in_closed_form(rule: AbstractPowerRule, overlap: Array, transverse: Array) -> _Averages:
    norm = overlap**2 + transverse**2
    angle = jnp.arctan2(transverse, overlap)
    square = input_square = stability = potential = pull = jnp.zeros_like(norm)
    for terms, sign, phi in zip(rule.powers, (-1, 1), (angle, jnp.pi - angle), strict=True):
        for (c1, p1), (c2, p2) in itertools.product(terms, repeat=2):
            term = c1 * c2 * _power_mean(p1 + p2, phi, norm)
            square = square + term
            input_square = input_square + (p1 + p2) * term
        for c, p in terms:
            term = sign * c * _power_mean(p + 1, phi, norm)
            stability = stability + term
            potential = potential + term / (p + 1)
            # E|λ|^p of the normal distribution of variance P², over √(2π)
            gamma = jnp.exp(gammaln(jnp.asarray((p + 1) / 2, norm.dtype)))
            pull = pull + c * (gamma * (2 * transverse**2) ** (p / 2) / _SQRT2 / jnp.pi)
    return _Averages(square, input_square, stability, potential, pull)


def _power_mean(p: float | Array, phi: Array, norm: Array) -> Array:
    """E[|s|^p] over the side of 0 with the fraction φ/π of the inputs; inf for p <= -1."""
    finite = True
    if not isinstance(p, float):
        finite = p > -1
        p = jnp.where(finite, p, 0)
    scale = jnp.exp(gammaln(jnp.asarray(p / 2 + 1, norm.dtype))) * (2 * norm) ** (p / 2) / jnp.pi
    return jnp.where(finite, scale * _sine_integral(p, phi), jnp.inf)


def _sine_integral(p: float | Array, phi: Array) -> Array:
    r"""$I_p(\varphi) = \int_0^\varphi \sin^p u\,du$ for p > -1 and 0 <= φ <= π.

    The substitution u = φ t^{1/(p+1)} removes the singularity at 0, and derivatives in p and φ
    exist, unlike that of `jax.scipy.special.betainc` in p. Elementary for the Python floats 0.0
    and 1.0.
    """
    if isinstance(p, float) and p in (0.0, 1.0):
        return phi if p == 0 else 2 * jnp.sin(phi / 2) ** 2
    p = jnp.asarray(p, phi.dtype)
    acute = phi <= jnp.pi / 2
    # Not a minimum, which would halve the derivative at φ = π/2, where learning starts.
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


def _by_quadrature(rule: AbstractRule, overlap: Array, transverse: Array) -> _Averages:
    norm = overlap**2 + transverse**2
    nodes, weights = (jnp.asarray(x, norm.dtype) for x in tanh_sinh(121))
    root, slope = jnp.sqrt(norm), overlap / transverse
    # Where student and teacher nearly agree the density varies over 1/slope as well.
    near = jnp.minimum(_FARTHEST / 2, 8 / (jnp.abs(slope) + 1e-3))
    x = jnp.concatenate([near * nodes, near + (_FARTHEST - near) * nodes])
    dx = jnp.concatenate([near * weights, (_FARTHEST - near) * weights])
    far = _FARTHEST * nodes
    totals = [jnp.zeros_like(norm)] * 5
    for sign in (-1, 1):
        s, y = sign * root * x, sign * x
        force = jax.vmap(rule)(s)
        density = 2 * normal.pdf(x) * ndtr(slope * y)  # of s/√Q
        # ... times E[|ξ|² | s] - N
        excess = (x**2 - 1) * density - 2 * normal.pdf(x) * slope * y * normal.pdf(slope * y)
        integrands = (
            density * force**2,
            excess * force**2,
            density * s * force,
            density * jax.vmap(rule.potential)(s),
        )
        sums = [jnp.sum(dx * integrand) for integrand in integrands]
        pull = jax.vmap(rule)(sign * transverse * far) * normal.pdf(far)
        sums.append(jnp.sqrt(2 / jnp.pi) * _FARTHEST * jnp.sum(weights * pull))
        totals = [total + part for total, part in zip(totals, sums, strict=True)]
    return _Averages(*totals)
