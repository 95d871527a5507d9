r"""The mean work of an Euler-Maruyama step, including the jumps of a rule.

As N → ∞ at fixed γ = N dt/B the stability of an input moves during its step by
$s' - s = -k s\,dt + \tilde\nu\gamma F(s) + \tilde\nu dt(1-\tfrac1B)(a s + b\,m_\rho(s)) + h n$:
its own push, and that of the other inputs of the batch, whose fluctuations add to the bath's:
$h^2 = 2T dt + \tilde\nu^2\gamma dt(1-\tfrac1B)E F^2$, and n standard normal.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jax.scipy.stats import norm as normal
from jaxtyping import Array, Float

from ...numerics.quadrature import gauss_legendre
from ..problem import LearningProblem, rule_kinks
from ._moments import Moments

_NODES = 32
_REACH, _FARTHEST = 7.0, 9.0  # standard deviations, of a step and of the stabilities


def drive_square(problem: LearningProblem, averages: Moments) -> Float[Array, "..."]:
    r"""$E|f|^2/N = \tilde\nu^2[\tfrac NB E F^2 + (1-\tfrac1B)|E\,\xi\sigma F|^2]$, f the force."""
    per_batch = averages.force_square * jnp.asarray(problem.n_inputs) / problem.batch
    shared = (1 - 1 / problem.batch) * averages.mean_force_square
    return problem.learning_rate**2 * (per_batch + shared)


def _panels(ends: Float[Array, " end"], n_nodes: int) -> tuple[Array, Array]:
    """Nodes and weights between the ends, dense near the first, where F may be singular."""
    nodes, weights = gauss_legendre(n_nodes)
    places, shares = (np.tile(x, (ends.size - 1, 1)) for x in (nodes, weights))
    places[0], shares[0] = nodes**2, 2 * nodes * weights
    places, shares = (jnp.asarray(x, ends.dtype) for x in (places, shares))
    widths = jnp.diff(ends)[:, None]
    return (ends[:-1, None] + widths * places).ravel(), (widths * shares).ravel()


def _split(low: Array, high: Array, kinks: Float[Array, " kink"]) -> Float[Array, " end"]:
    """The ends of an interval with the kinks within it, in order; the others lie at its end."""
    inside = jnp.where(kinks > low, jnp.minimum(kinks, high), high)
    return jnp.concatenate([low[None], jnp.sort(inside), high[None]])


def stepped_work_rate(
    problem: LearningProblem,
    dt: Float[Array, ""],
    overlap: Array,
    transverse: Array,
    averages: Moments,
    n_nodes: int = _NODES,
) -> Float[Array, ""]:
    r"""$\frac{\tilde\nu}{2dt}E[(F(s)+F(s'))(s'-s)]$, work per weight and time at (R, P).

    By Gauss-Legendre quadrature over s and s', split at 0 and at the kinks of the rule: 1e-6 or
    better for rules that are bounded there. `n_nodes` of each panel: fewer, to compare with.

    Cost: about 12 000 evaluations of F; with kinks, n of them, (1 + n)² times as many.
    """
    rate, batch = problem.learning_rate, problem.batch
    others = rate * dt * (1 - 1 / batch)
    own = rate * dt * jnp.asarray(problem.n_inputs, dt.dtype) / batch
    norm = overlap**2 + transverse**2
    blank = norm == 0  # then s = 0 for all inputs, and no direction is known
    root = jnp.sqrt(norm)
    kinks = rule_kinks(problem.rule, dt.dtype)
    safe = jnp.where(blank, 1, root)
    slope = overlap / jnp.where(blank, 1, transverse)
    rho, sine = overlap / safe, jnp.where(blank, 1, transverse / safe)
    width = 2 * problem.temperature * dt + others * own * averages.force_square
    width = jnp.sqrt(width + 1e-14 * (norm + own**2 * averages.force_square))
    width = jnp.maximum(width, 1e-15)

    def moved(s, drift):
        """E[F(s')(s' - s)] at one s."""
        middle, total = s + drift, jnp.zeros_like(s)
        for sign in (-1, 1):
            low, high = (jnp.maximum(sign * middle + x * width, 0) for x in (-_REACH, _REACH))
            place, share = _panels(_split(low, high, sign * kinks), n_nodes)
            end = sign * place
            density = normal.pdf((end - middle) / width) / width
            total = total + jnp.sum(share * density * jax.vmap(problem.rule)(end) * (end - s))
        return total

    edges = jnp.stack([8 * width / safe, 8 / (jnp.abs(slope) + 1e-3)])
    edges = jnp.minimum(edges, _FARTHEST / 2)
    steps = jnp.asarray([-8.0, 0, 8], dt.dtype) * width
    total = jnp.zeros_like(norm)
    for sign in (-1, 1):
        beside = (sign * kinks[:, None] + steps[None]).ravel() / safe
        beside = jnp.where(jnp.repeat(sign * kinks > 0, 3), beside, _FARTHEST)
        ends = jnp.zeros_like(norm), jnp.full_like(norm, _FARTHEST)
        x, share = _panels(_split(*ends, jnp.concatenate([edges, beside])), n_nodes)
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
