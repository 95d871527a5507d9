"""Spread of a trained state's entropy over data sets of the same law."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from ...numerics.compile import jitted
from ..learning import LinearLearning, is_harmonic_system, loss_curvatures, whitened
from ._trained import Trained


def entropy_spread(state: Trained) -> Float[Array, ""]:
    r"""Standard deviation of S over data of the same law, by the jackknife; NaN if not known.

    To harmonic order $S = \text{const} - \tfrac12\ln\det H$, with H the curvature at the mean of
    the state. It is known for linear models whose loss is curved there; not for networks, nor for
    energies made of kinks, nor where a route gives no states.
    """
    system = state.system
    unknown = jnp.full_like(state.entropy, jnp.nan)
    if not isinstance(system, LinearLearning):
        return unknown
    weighted, normal = state.distribution.weighted, state.distribution.normal
    if is_harmonic_system(system):  # the same curvature everywhere
        middle = jnp.zeros(system.like.shape, system.like.dtype)
    elif weighted is not None:
        middle = jnp.tensordot(weighted.weights, weighted.states, axes=1)
    elif normal is not None:
        middle = normal.mean.reshape(system.like.shape)
    else:
        return unknown
    return _jackknife(system, middle)


@jitted
def _jackknife(system: LinearLearning, middle: Array) -> Float[Array, ""]:
    r"""The spread of -½ ln det H from leaving out one example at a time.

    Without example i, det H is smaller by the factor det(1 - h_i), with h_i its leverage. With
    several outputs each example has as many rows $\sqrt{\partial^2\ell}\otimes x$.
    """
    features = system.features
    count = features.shape[0]
    roots, definite = _square_roots(loss_curvatures(system, middle))
    rows = (roots[:, :, :, None] * features[:, None, None, :]).reshape(
        count * roots.shape[1], middle.size
    )
    # X'X/n is over examples, whitened divides by rows
    rows = rows * jnp.sqrt(jnp.asarray(roots.shape[1], rows.dtype))
    basis, white = whitened(rows, system.prior_stiffness)
    projected = (rows @ basis).reshape(count, roots.shape[1], -1)
    solved = jnp.linalg.solve(white, projected.reshape(-1, middle.size).T).T
    leverage = jnp.einsum("nip,njp->nij", projected, solved.reshape(projected.shape))
    change = _log_shrinkage(leverage / (count * roots.shape[1])) / 2
    away = change - jnp.mean(change)
    spread = jnp.sqrt((count - 1) / count * jnp.sum(away**2))
    return jnp.where(definite, spread, jnp.nan)


def _square_roots(matrices: Float[Array, "n c c"]) -> tuple[Float[Array, "n c c"], Array]:
    """Roots of curvatures; and whether none is negative and not all are 0."""
    if matrices.shape[-1] == 1:
        return jnp.sqrt(jnp.maximum(matrices, 0)), jnp.all(matrices >= 0) & jnp.any(matrices > 0)
    values, vectors = jnp.linalg.eigh(lax.stop_gradient(matrices))
    rounding = 100 * jnp.finfo(values.dtype).eps * jnp.max(jnp.abs(values))
    roots = jnp.sqrt(jnp.maximum(values, 0))[:, :, None] * jnp.swapaxes(vectors, 1, 2)
    return roots, jnp.all(values >= -rounding) & jnp.any(values > rounding)


def _log_shrinkage(leverage: Float[Array, "n c c"]) -> Float[Array, " n"]:
    """ln det(1 - h) for each example, kept finite where it alone holds a parameter."""
    if leverage.shape[-1] == 1:
        return jnp.log1p(-jnp.minimum(leverage[:, 0, 0], 1 - 1e-6))
    values = jnp.linalg.eigvalsh(lax.stop_gradient(leverage))
    return jnp.sum(jnp.log1p(-jnp.minimum(values, 1 - 1e-6)), axis=1)
