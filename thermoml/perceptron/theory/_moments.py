r"""Averages of a rule over Gaussian inputs: E[F²], E[sF], E[|λ*|F], E[Φ] and the mean force.

With inputs standard normal, or ±1 and N → ∞, λ* is standard normal and λ normal of variance Q and
covariance R with it. ρ = R/√Q = cos θ₀, and the fraction ε = θ₀/π of the inputs is labelled
wrongly. The mean force on the weights lies in the plane of student and teacher,
E[σξF] = (a w + b T)/√N.
"""

import functools
import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln, ndtr
from jax.scipy.stats import norm as normal
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from ...numerics.arrays import cast_floats
from ...numerics.quadrature import gauss_legendre, running_integral, tanh_sinh
from ..problem import AbstractPowerRule, AbstractRule, rule_kinks

# Standard deviations that hold a normal distribution to the last bit of float64.
_FARTHEST = 13.0
_NODES, _FEWER = 20, 16  # of each panel; the latter to compare with
_GRADED = 4.0 ** -np.arange(1, 16)
_DENSE = 16
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

    with θ₀ → π - θ₀ for s > 0; any other F(s) by quadrature over the density of s, split at s = 0
    and at the kinks of the rule, where F may jump or be singular. By Stein's identity
    $aQ+bR = E[sF]$, $aR + b = E[|\lambda^*|F]$ and
    $b = \tfrac1{\sqrt{2\pi}}E_{\lambda\sim N(0,P^2)}[F(\lambda)+F(-\lambda)]$.

    Args:
        rule: F(s).
        overlap, transverse: scalars.

    Returns:
        `Moments` of scalars. Differentiable in R, P and the rule's parameters, kinks among them;
        1e-9 in float64 for |ρ| up to 0.999999. Where R = P = 0, s = 0 for all inputs, and F(0)
        pushes, as in a simulation.

    Cost: O(1); without a closed form about 5000 evaluations of F, and 2500 for each kink.

    Source: derived from the bivariate normal distribution; Goldt and Seifert 2017,
    arXiv:1706.09713, for the Hebbian, Perceptron and AdaTron rules.
    """
    overlap, transverse = jnp.asarray(overlap), jnp.asarray(transverse)
    blank = (overlap == 0) & (transverse == 0)
    transverse = jnp.where(blank, 1, transverse)
    norm = overlap**2 + transverse**2
    rule = cast_floats(rule, norm.dtype)
    if isinstance(rule, AbstractPowerRule):
        averages = _in_closed_form(rule, overlap, transverse)
    else:
        averages = _by_quadrature(rule, overlap, transverse)
    stability, pull = averages.stability, averages.along_teacher
    everywhere = Moments(
        force_square=averages.force_square,
        input_square=averages.input_square,
        stability=stability,
        alignment=(overlap * stability + transverse**2 * pull) / norm,
        potential=averages.potential,
        along_student=(stability - overlap * pull) / norm,
        along_teacher=pull,
    )
    return jax.tree.map(lambda at_0, x: jnp.where(blank, at_0, x), _at_zero(rule, norm), everywhere)


def _at_zero(rule: AbstractRule, like: Array) -> Moments:
    """The averages of weights that are zero."""
    force, nothing = rule(jnp.zeros_like(like)), jnp.zeros_like(like)
    pull = force * jnp.sqrt(2 / jnp.pi)
    return Moments(force**2, nothing, nothing, pull, nothing, nothing, pull)


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


@functools.cache
def _edges() -> np.ndarray:
    """Edges of panels between 0 and the farthest, narrow enough for waves, and finer towards 0."""
    return np.unique(np.concatenate([np.arange(0, _FARTHEST + 0.1, 0.25), 0.5 * _GRADED]))


class _Panels(NamedTuple):
    """Panels on one side of 0, away from it: nodes, weights, `(panel, node)`, and widths."""

    nodes: Array
    weights: Array
    widths: Array

    @classmethod
    def beside(cls, kinks: Array, n_nodes: int) -> "_Panels":
        """Panels that become narrower towards 0 and towards each kink > 0 on either side."""
        ladder = jnp.asarray(0.5 * np.concatenate([-_GRADED, [0], _GRADED]), kinks.dtype)
        beside = (kinks[:, None] + ladder[None]).ravel()
        here = jnp.repeat((kinks > 0) & (kinks < _FARTHEST), ladder.size) & (beside > 0)
        beside = jnp.where(here, jnp.minimum(beside, _FARTHEST), _FARTHEST)
        edges = jnp.sort(jnp.concatenate([jnp.asarray(_edges(), kinks.dtype), beside]))
        u, weights = gauss_legendre(n_nodes)
        places, shares = (np.tile(x, (edges.size - 1, 1)) for x in (u, weights))
        # F may be singular at 0: the first panel is dense there.
        places[0], shares[0] = u**_DENSE, _DENSE * u ** (_DENSE - 1) * weights
        places, shares = (jnp.asarray(x, kinks.dtype) for x in (places, shares))
        widths = jnp.diff(edges)[:, None]
        return cls(edges[:-1, None] + widths * places, widths * shares, widths)

    def sum(self, values: Array) -> Array:
        """The integral of a function with these values."""
        return jnp.sum(self.weights * values)

    def running(self, values: Array) -> Array:
        """Its integral from 0 to each node."""
        within = values @ jnp.asarray(running_integral(values.shape[1]), values.dtype).T
        total = jnp.cumsum(jnp.sum(self.weights * values, axis=1))
        before = jnp.concatenate([jnp.zeros_like(total[:1]), total[:-1]])
        return before[:, None] + self.widths * within


def _by_quadrature(
    rule: AbstractRule, overlap: Array, transverse: Array, n_nodes: int = _NODES
) -> _Averages:
    """By panels; with fewer nodes than usual, also less far out, to compare with."""
    norm = overlap**2 + transverse**2
    root, slope = jnp.sqrt(norm), overlap / transverse
    kinks = rule_kinks(rule, norm.dtype)
    farthest = _FARTHEST if n_nodes == _NODES else _FARTHEST - 2

    def one_side(sign: Array) -> _Averages:
        panels = _Panels.beside(sign * kinks / root, n_nodes)
        x = panels.nodes
        y, s = sign * x, sign * root * x
        force = jax.vmap(jax.vmap(rule))(s)
        density = 2 * normal.pdf(x) * ndtr(slope * y)  # of s/√Q
        density = jnp.where(x < farthest, density, 0)
        # ... times E[|ξ|² | s] - N
        excess = (x**2 - 1) * density - 2 * normal.pdf(x) * slope * y * normal.pdf(slope * y)
        near = _Panels.beside(sign * kinks / transverse, n_nodes)
        pull = jax.vmap(jax.vmap(rule))(sign * transverse * near.nodes)
        pull = jnp.where(near.nodes < farthest, pull * normal.pdf(near.nodes), 0)
        return _Averages(
            force_square=panels.sum(density * force**2),
            input_square=panels.sum(excess * force**2),
            stability=panels.sum(density * s * force),
            potential=panels.sum(density * sign * root * panels.running(force)),
            along_teacher=jnp.sqrt(2 / jnp.pi) * near.sum(pull),
        )

    sides = jax.vmap(one_side)(jnp.asarray([-1, 1], norm.dtype))
    return jax.tree.map(jnp.sum, sides)


def moments_converged(rule: AbstractRule, overlap: Array, transverse: Array) -> Bool[Array, ""]:
    """True if the averages do not depend on the nodes of their quadrature: 1e-8 (1e-4 in float32).

    Relative to their sizes, √Q E[F²]^½ of E[sF] for instance. Closed forms have converged.
    """
    if isinstance(rule, AbstractPowerRule):
        return jnp.asarray(True)
    blank = (overlap == 0) & (transverse == 0)
    transverse = jnp.where(blank, 1, transverse)
    fine, coarse = (_by_quadrature(rule, overlap, transverse, n) for n in (_NODES, _FEWER))
    force = jnp.sqrt(fine.force_square)
    large = jnp.sqrt(overlap**2 + transverse**2) * force
    sizes = _Averages(force**2, force**2, large, large, force)
    close = 1e-8 if overlap.dtype == jnp.float64 else 1e-4
    gaps = jax.tree.map(lambda a, b, size: jnp.abs(a - b) <= close * size, fine, coarse, sizes)
    return blank | jnp.all(jnp.stack(gaps))


def refuse_unconverged(converged: Any, rule: AbstractRule) -> None:
    """ValueError unless the averages of a rule have converged everywhere."""
    if not np.asarray(converged).all():
        raise ValueError(
            f"the averages of the rule ({rule.label}) have not converged: name in kinks= all "
            "places where F or a derivative jumps or bends sharply, or use a rule that oscillates "
            "and grows less fast"
        )
