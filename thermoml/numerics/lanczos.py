"""Lanczos's method: logarithms of determinants of symmetric matrices given by their products."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Key


class Probed(NamedTuple):
    """One random vector's share of a determinant.

    Attributes:
        probe: z, independent signs.
        log_determinant: zᵀ ln(A) z, whose mean over probes is ln det A.
        solution: A⁻¹z; its product with dA z has the mean d ln det A.
    """

    probe: Float[Array, " d"]
    log_determinant: Float[Array, ""]
    solution: Float[Array, " d"]


def probe_log_determinant(
    times: Callable[[Float[Array, " d"]], Float[Array, " d"]], probe: Float[Array, " d"], order: int
) -> Probed:
    r"""$z^\mathsf T\ln(A)z \approx |z|^2\,e_1^\mathsf T\ln(T)e_1$, T of Lanczos's recurrence.

    Every vector is made orthogonal to all earlier ones, twice. Where the space of the products
    closes after fewer than `order` vectors, as with repeated eigenvalues, the quadrature ends there
    and is exact. -inf where an eigenvalue of T is not positive.

    Cost: `order` products, O(order² d) for the orthogonalisation, memory O(order · d).

    Source: Golub and Meurant 2010, Matrices, Moments and Quadrature, chapters 3 and 4; Ubaru, Chen
    and Saad 2017, SIAM J. Matrix Anal. 38, 1075.
    """
    size, dtype = probe.size, probe.dtype
    length = jnp.sqrt(jnp.sum(probe**2))
    rounding = 8 * jnp.finfo(dtype).eps * size**0.5

    def extend(carry, index):
        basis, vector, scale, closed = carry
        basis = basis.at[index].set(vector)
        product = times(vector)
        diagonal = vector @ product
        rest = product
        for _ in range(2):
            rest = rest - basis.T @ (basis @ rest)
        norm = jnp.sqrt(jnp.sum(rest**2))
        scale = jnp.maximum(scale, jnp.sqrt(jnp.sum(product**2)))
        # A block of the identity, apart from the rest, is what follows a closed space.
        diagonal = jnp.where(closed, 1, diagonal)
        closed = closed | (norm <= rounding * scale)
        following = jnp.where(closed, 0, rest / jnp.where(closed, 1, norm))
        return (basis, following, scale, closed), (diagonal, jnp.where(closed, 0, norm))

    start = (
        jnp.zeros((order, size), dtype),
        probe / length,
        jnp.zeros((), dtype),
        jnp.zeros((), bool),
    )
    (basis, *_), (diagonal, beside) = lax.scan(extend, start, jnp.arange(order))
    tridiagonal = jnp.diag(diagonal) + jnp.diag(beside[:-1], 1) + jnp.diag(beside[:-1], -1)
    values, vectors = jnp.linalg.eigh(tridiagonal)
    safe = jnp.where(values > 0, values, 1)
    quadrature = length**2 * jnp.sum(vectors[0] ** 2 * jnp.log(safe))
    solution = length * basis.T @ (vectors @ (vectors[0] / safe))
    positive = jnp.all(values > 0)
    return Probed(probe, jnp.where(positive, quadrature, -jnp.inf), solution)


def probe_log_determinants(
    times: Callable[[Float[Array, " d"]], Float[Array, " d"]],
    like: Float[Array, " d"],
    *,
    key: Key[Array, ""],
    n_probes: int,
    order: int,
) -> Probed:
    """`Probed` for independent random signs, with a first axis of probes; one after the other."""
    probes = jax.random.rademacher(key, (n_probes, like.size), like.dtype)
    return lax.map(lambda probe: probe_log_determinant(times, probe, order), probes)
