r"""The mean work of an Euler-Maruyama step, including the jumps of a rule.

As N → ∞ at fixed γ = N dt/B the stability of an input moves during its step by
$s' - s = -k s\,dt + \tilde\nu\gamma F(s) + \tilde\nu dt(1-\tfrac1B)(a s + b\,m_\rho(s)) + h n$:
its own push, and that of the other inputs of the batch, whose fluctuations add to the bath's:
$h^2 = 2T dt + \tilde\nu^2\gamma dt(1-\tfrac1B)E F^2$, and n standard normal.
"""

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtr
from jax.scipy.stats import norm as normal
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from ...numerics.quadrature import gauss_legendre
from ..problem import LearningProblem
from ._moments import Moments

_NODES = 32
_REACH, _FARTHEST = 7.0, 9.0  # standard deviations, of a step and of the stabilities


def drive_square(problem: LearningProblem, averages: Moments) -> Float[Array, "..."]:
    r"""$E|f|^2/N = \tilde\nu^2[\tfrac NB E F^2 + (1-\tfrac1B)|E\,\xi\sigma F|^2]$, f the force."""
    per_batch = averages.force_square * jnp.asarray(problem.n_inputs) / problem.batch
    shared = (1 - 1 / problem.batch) * averages.mean_force_square
    return problem.learning_rate**2 * (per_batch + shared)


def _panels(ends: Sequence[Array | float], dtype: DTypeLike) -> tuple[Array, Array]:
    """Nodes and weights between the ends, dense near the first, where F may be singular."""
    nodes, weights = (jnp.asarray(x, dtype) for x in gauss_legendre(_NODES))
    lengths = [b - a for a, b in itertools.pairwise(ends)]
    rules = [(nodes**2, 2 * nodes * weights)] + [(nodes, weights)] * (len(lengths) - 1)
    places = [a + d * u for a, d, (u, _) in zip(ends[:-1], lengths, rules, strict=True)]
    shares = [d * w for d, (_, w) in zip(lengths, rules, strict=True)]
    return jnp.concatenate(places), jnp.concatenate(shares)


def stepped_work_rate(
    problem: LearningProblem,
    dt: Float[Array, ""],
    overlap: Array,
    transverse: Array,
    averages: Moments,
) -> Float[Array, ""]:
    r"""$\frac{\tilde\nu}{2dt}E[(F(s)+F(s'))(s'-s)]$, work per weight and time at (R, P).

    By Gauss-Legendre quadrature over s and s', split at 0: 1e-6 or better for rules that are
    bounded at 0.

    Cost: about 12 000 evaluations of F.
    """
    rate, batch = problem.learning_rate, problem.batch
    others = rate * dt * (1 - 1 / batch)
    own = rate * dt * jnp.asarray(problem.n_inputs, dt.dtype) / batch
    norm = overlap**2 + transverse**2
    root = jnp.sqrt(norm)
    slope, rho, sine = overlap / transverse, overlap / root, transverse / root
    width = 2 * problem.temperature * dt + others * own * averages.force_square
    width = jnp.sqrt(width + 1e-14 * norm)

    def moved(s, drift):
        """E[F(s')(s' - s)] at one s."""
        middle, total = s + drift, jnp.zeros_like(s)
        for sign in (-1, 1):
            low, high = (jnp.maximum(sign * middle + x * width, 0) for x in (-_REACH, _REACH))
            place, share = _panels([low, high], dt.dtype)
            end = sign * place
            density = normal.pdf((end - middle) / width) / width
            total = total + jnp.sum(share * density * jax.vmap(problem.rule)(end) * (end - s))
        return total

    edges = [8 * width / root, 8 / (jnp.abs(slope) + 1e-3)]
    edges = [jnp.minimum(edge, _FARTHEST / 2) for edge in edges]
    edges = [jnp.zeros_like(norm), jnp.minimum(*edges), jnp.maximum(*edges), _FARTHEST]
    x, share = _panels(edges, dt.dtype)
    total = jnp.zeros_like(norm)
    for sign in (-1, 1):
        y, s = sign * x, sign * root * x
        density = 2 * normal.pdf(x) * ndtr(slope * y)
        # times E[|λ*| | s]
        aligned = rho * y * density + 2 * sine * normal.pdf(x) * normal.pdf(slope * y)
        force = jax.vmap(problem.rule)(s)
        pull = averages.along_student * s + averages.along_teacher * aligned / jnp.maximum(
            density, jnp.finfo(dt.dtype).tiny
        )
        drift = -problem.stiffness * dt * s + own * force + others * jnp.where(density > 0, pull, 0)
        total = total + jnp.sum(share * density * (force * drift + jax.vmap(moved)(s, drift)))
    return rate / (2 * dt) * total
