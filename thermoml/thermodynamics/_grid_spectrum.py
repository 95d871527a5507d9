"""The slowest modes of jumps between the cells of a grid."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from ..numerics.host import on_host
from ._grid import Rates

_SHIFT = 1e-8  # relative to the mean rate at which cells are left


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def slowest(rates: Rates, count: int) -> tuple[Float[Array, " mode"], Float[Array, " mode"]]:
    """Decay rates and angular frequencies of the modes that decay most slowly.

    The modes come from ARPACK; the eigenvalues are then formed from them by sums over faces, which
    keep the digits of rare jumps and have a derivative in the rates.
    """
    return _eigenvalues(rates, _modes(rates, count))


@slowest.defjvp
def _(count: int, primals: tuple[Rates], tangents: tuple[Rates]) -> Any:
    """To first order eigenvalues change as if the modes did not."""
    modes = _modes(primals[0], count)
    return _eigenvalues(primals[0], modes), _eigenvalues(tangents[0], modes)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _modes(rates: Rates, count: int) -> tuple[Array, Array]:
    """Right and left modes, complex, `(count, cells…)`."""
    shape, dtype = rates.up[0].shape, rates.up[0].dtype
    parts = jax.ShapeDtypeStruct((count, *shape), dtype)
    function = functools.partial(_sparse_modes, count, dtype)
    right, left = on_host(
        function, ((parts, parts), (parts, parts)), rates.up, rates.down, rates.absorbed
    )
    return lax.complex(*right), lax.complex(*left)


@_modes.defjvp
def _(count: int, primals: Any, tangents: Any) -> Any:
    raise NotImplementedError("the spectrum of a Fokker-Planck equation has no second derivatives")


def _eigenvalues(rates: Rates, modes: tuple[Array, Array]) -> tuple[Array, Array]:
    values = jax.vmap(lambda right, left: _quotient(rates, right, left))(*modes)
    return values.real, values.imag


def _quotient(rates: Rates, mode: Array, dual: Array) -> Array:
    """-⟨l|L|p⟩/⟨l|p⟩, summed over the faces."""
    absorbed, rates = jax.tree.map(
        lambda x: lax.complex(x, jnp.zeros_like(x)), (rates.absorbed, rates)
    )
    total = jnp.sum(dual * absorbed * mode)
    for axis, flow in enumerate(rates.currents(mode)):
        total += jnp.sum(flow * (dual - jnp.roll(dual, -1, axis)))
    return total / jnp.sum(dual * mode)


Jumps = tuple[np.ndarray, ...]


def _sparse_modes(count: int, dtype: Any, up: Jumps, down: Jumps, absorbed: np.ndarray) -> Any:
    """Right and left modes of the smallest eigenvalues of -L, real and imaginary parts.

    The left ones are made biorthogonal to the right ones, among some more than are asked for:
    so they belong together where eigenvalues are equal, too.
    """
    operator = _generator(up, down, absorbed)
    more = min(count + 4, operator.shape[0] - 2)
    right, left = _nearest(operator, more), _nearest(operator.T.tocsc(), more)
    left = left @ np.linalg.pinv(right.T @ left, rcond=1e-9)

    def parts(modes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = modes.T[:count].reshape(count, *absorbed.shape)
        return np.real(rows).astype(dtype), np.imag(rows).astype(dtype)

    return parts(right), parts(left)


def _generator(up: Jumps, down: Jumps, absorbed: np.ndarray) -> Any:
    """-L as a sparse matrix, target by source, in float64."""
    from scipy.sparse import csc_matrix, diags

    number = np.arange(absorbed.size).reshape(absorbed.shape)
    sources, targets, jumps = [], [], []
    for axis in range(absorbed.ndim):
        after = np.roll(number, -1, axis)
        for way, here, there in ((up, number, after), (down, after, number)):
            jumps.append(way[axis].astype(np.float64).ravel())
            sources.append(here.ravel())
            targets.append(there.ravel())
    jumped, source = np.concatenate(jumps), np.concatenate(sources)
    leaving = np.bincount(source, jumped, number.size) + absorbed.ravel()
    places = (np.concatenate(targets), source)
    return (diags(leaving) - csc_matrix((jumped, places), (number.size,) * 2)).tocsc()


def _nearest(operator: Any, count: int) -> np.ndarray:
    """Eigenvectors of the eigenvalues nearest 0, the slowest decay first, `(cell, count)`."""
    from scipy.sparse import identity
    from scipy.sparse.linalg import LinearOperator, eigs, splu

    size = operator.shape[0]
    # A shift makes the matrix of a closed grid invertible; smaller, it would cost digits.
    shift = _SHIFT * float(operator.diagonal().mean())
    solver = splu((operator + shift * identity(size)).tocsc())
    inverse: Any = LinearOperator((size, size), solver.solve)
    pairs: Any = eigs(
        inverse,
        count,
        v0=np.random.default_rng(0).uniform(0.5, 1.5, size),  # the same answer each time
        ncv=min(size, max(2 * count + 1, 40)),
    )
    eigenvalues, vectors = 1 / pairs[0], pairs[1]
    return vectors[:, np.lexsort((eigenvalues.imag, eigenvalues.real))]
