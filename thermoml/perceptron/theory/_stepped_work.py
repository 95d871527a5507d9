r"""The mean work of an Euler-Maruyama step, jumps of the rule included.

As N → ∞ at fixed γ = N dt/B the stability of an input moves during its step by
$s' - s = -k s\,dt + \tilde\nu\gamma F(s) + \tilde\nu dt(1-\tfrac1B)(a s + b\,m_\rho(s)) + h n$:
its own push, that of the other inputs of the batch, whose fluctuations join the bath's in
$h^2 = 2T dt + \tilde\nu^2\gamma dt(1-\tfrac1B)E F^2$, and n standard normal.
"""

import itertools

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtr
from jax.scipy.stats import norm as normal
from jaxtyping import Array, Float

from ...numerics.quadrature import gauss_legendre
from ..problem import LearningProblem
from ._moments import Moments

_NODES = 32
_REACH = 7.0  # standard deviations of a step
_FARTHEST = 9.0  # and of the stabilities


def drive_square(problem: LearningProblem, found: Moments) -> Float[Array, "..."]:
    r"""$E|f|^2/N = \tilde\nu^2[\tfrac NB E F^2 + (1-\tfrac1B)|E\,\xi\sigma F|^2]$, f the force."""
    per_batch = found.force_square * jnp.asarray(problem.n_inputs) / problem.batch
    shared = (1 - 1 / problem.batch) * found.mean_force_square
    return problem.learning_rate**2 * (per_batch + shared)


def stepped_work_rate(
    problem: LearningProblem, dt: Array, overlap: Array, transverse: Array, found: Moments
) -> Float[Array, ""]:
    r"""$\frac{\tilde\nu}{2dt}E[(F(s)+F(s'))(s'-s)]$, work per weight and time at (R, P).

    By Gauss-Legendre quadrature over s and s', split at 0: 1e-6 or better for rules that are
    bounded at 0. Cost: about 12 000 evaluations of F.
    """
    rate, batch = problem.learning_rate, problem.batch
    others = rate * dt * (1 - 1 / batch)
    own = rate * dt * jnp.asarray(problem.n_inputs, dt.dtype) / batch
    norm = overlap**2 + transverse**2
    root = jnp.sqrt(norm)
    slope, rho, sine = overlap / transverse, overlap / root, transverse / root
    width = 2 * problem.temperature * dt + others * own * found.force_square
    width = jnp.sqrt(width + 1e-14 * norm)
    nodes, weights = (jnp.asarray(x, dt.dtype) for x in gauss_legendre(_NODES))

    def pieces(ends):
        """Nodes and weights between the ends, crowded beside the first, where F may be singular."""
        inner, shares = nodes**2, 2 * nodes * weights
        lengths = [b - a for a, b in itertools.pairwise(ends)]
        parts = [(inner, shares)] + [(nodes, weights)] * (len(lengths) - 1)
        places = [a + d * u for a, d, (u, _) in zip(ends[:-1], lengths, parts, strict=True)]
        return jnp.concatenate(places), jnp.concatenate(
            [d * w for d, (_, w) in zip(lengths, parts, strict=True)]
        )

    def moved(s, drift):
        """E[F(s')(s' - s)] of one s."""
        middle, total = s + drift, jnp.zeros_like(s)
        for sign in (-1, 1):
            low, high = (jnp.maximum(sign * middle + x * width, 0) for x in (-_REACH, _REACH))
            place, share = pieces([low, high])
            end = sign * place
            chance = normal.pdf((end - middle) / width) / width
            total = total + jnp.sum(share * chance * jax.vmap(problem.rule)(end) * (end - s))
        return total

    edges = [8 * width / root, 8 / (jnp.abs(slope) + 1e-3)]
    edges = [jnp.minimum(edge, _FARTHEST / 2) for edge in edges]
    x, share = pieces([jnp.zeros_like(norm), jnp.minimum(*edges), jnp.maximum(*edges), _FARTHEST])
    total = jnp.zeros_like(norm)
    for sign in (-1, 1):
        y, s = sign * x, sign * root * x
        density = 2 * normal.pdf(x) * ndtr(slope * y)
        # times E[|λ*| | s]
        aligned = rho * y * density + 2 * sine * normal.pdf(x) * normal.pdf(slope * y)
        force = jax.vmap(problem.rule)(s)
        pull = found.along_student * s + found.along_teacher * aligned / jnp.maximum(
            density, jnp.finfo(dt.dtype).tiny
        )
        drift = -problem.stiffness * dt * s + own * force + others * jnp.where(density > 0, pull, 0)
        total = total + jnp.sum(share * density * (force * drift + jax.vmap(moved)(s, drift)))
    return rate / (2 * dt) * total
