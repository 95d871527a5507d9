"""Means of functions of a normal number, across kinks and over many scales."""

import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .quadrature import gauss_legendre

_REACHES = (16.0, 12.0)  # standard deviations, so that φ may grow like e^{z} at T = 10
_LEVELS = 34  # halvings towards a kink, down to 1e-9 standard deviations
_FINE = 4  # of which the outermost are cut in _CUTS parts, for functions that oscillate
_CUTS = 12
_NODES = (20, 14)  # for each panel; the second is for comparison


@functools.cache
def _graded(n_nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on [0, 1], in panels that halve towards 0."""
    edges = [0.0, *(2.0 ** -np.arange(_LEVELS, _FINE - 1, -1))]
    for level in range(_FINE, 0, -1):
        edges += list(2.0**-level * (1 + np.arange(1, _CUTS + 1) / _CUTS))
    inside, weights = gauss_legendre(n_nodes)
    low, width = np.asarray(edges[:-1])[:, None], np.diff(edges)[:, None]
    return (low + width * inside).ravel(), (width * weights).ravel()


@functools.cache
def _rule(n_kinks: int, n_nodes: int) -> tuple[np.ndarray, ...]:
    """For each node: the stretch it lies in, from which of its ends (0, 1) how far, its weight.

    The stretches run between the kinks, and from the outermost of them to the reach on either
    side; panels halve towards every kink.
    """
    u, w = _graded(n_nodes)
    whole = np.int32(1)
    parts = [(0 * whole, whole, u, w), (n_kinks * whole, 0 * whole, u, w)]
    for stretch in range(1, n_kinks):
        parts += [(stretch * whole, end * whole, u / 2, w / 2) for end in (0, 1)]
    return tuple(np.concatenate([np.broadcast_to(p[i], u.shape) for p in parts]) for i in range(4))


def normal_mean(
    function: Callable[[Array], Array],
    variance: Float[Array, ""],
    kinks: Any = (0.0,),
    *,
    check: bool = False,
) -> Float[Array, "..."]:
    r"""$E\,f(\sqrt T g)$ for $g \sim N(0, 1)$.

    Gauss-Legendre panels that halve towards each kink, so that functions with structure of any
    size about a kink (a `tanh` at T = 10⁸) are found to rounding; a jump at a kink is legal, and
    derivatives in T and in the function's parameters are those of the mean.

    Args:
        function: of an array of numbers; returns an array whose last axis is theirs.
        variance: T > 0, scalar.
        kinks: where the function or a derivative jumps, a number or several.
        check: with fewer nodes and shorter tails, to compare with; see `refuse_unconverged`.

    Returns:
        The mean over the last axis.

    Cost: O(3000) evaluations for one kink.
    """
    dtype = variance.dtype
    std = jnp.sqrt(variance)
    points = jnp.sort(jnp.asarray(kinks if np.size(kinks) else 0.0, dtype).reshape(-1))
    reach = _REACHES[check]
    inner = jnp.clip(points / std, -reach, reach)
    end = jnp.full((1,), reach, dtype)
    edges = jnp.concatenate([-end, inner, end])
    which, from_high, away, weights = _rule(points.size, _NODES[check])
    width = jnp.diff(edges)[which]
    g = edges[which + from_high] + width * jnp.asarray((1 - 2 * from_high) * away, dtype)
    density = jnp.exp(-(g**2) / 2) / jnp.sqrt(2 * jnp.pi).astype(dtype)
    values = function(std * g)
    shares = density * width * jnp.asarray(weights, dtype)
    return jnp.sum(values * jnp.broadcast_to(shares, values.shape), axis=-1)


def refuse_unconverged(values: Array, again: Array, what: str) -> None:
    """ValueError where means are not finite, or those with fewer nodes differ; none are traced."""
    means, others = np.asarray(values), np.asarray(again)
    if not np.isfinite(means).all():
        raise ValueError(f"{what} must be finite, its mean is not")
    close = 1e-8 if means.dtype == np.float64 else 1e-4
    if np.any(np.abs(means - others) > close * np.max(np.abs(means), axis=-1, keepdims=True)):
        raise ValueError(
            f"the mean of {what} has not converged: name all points where it or a derivative "
            "jumps in kinks, or take a smaller temperature if it oscillates or grows fast"
        )
