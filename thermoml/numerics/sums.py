"""Sums that keep their low-order part, and sums whose order is fixed."""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .arrays import cut, joined
from .types import AnyArray

# Rows treated in one unrolled block: shorter blocks spend their time on memory.
_ROWS_PER_BLOCK = 25


def block_rows(count: int) -> int:
    """Rows of a block, two blocks at least: a loop of one turn would be unrolled."""
    return max(1, min(_ROWS_PER_BLOCK, count // 2))


def ordered_sum(*arrays: AnyArray, term: Callable[..., Any] = lambda row: row) -> Any:
    """Σ_i term(a_i, b_i, ...) over the first axis, row after row; a term may be a pytree.

    The same bits in every trajectory however many stand beside it and on how many devices, which
    XLA's own reductions do not give: they choose an order by the shape.
    """
    count = arrays[0].shape[0]
    size = block_rows(count)
    rest = count % size

    def add_rows(total, blocks):
        for i in range(blocks[0].shape[0]):
            total = jax.tree.map(jnp.add, total, term(*(block[i] for block in blocks)))
        return total

    shapes = jax.eval_shape(term, *(array[0] for array in arrays))
    total = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    total = add_rows(total, [a[:rest] for a in arrays])
    blocks = [a[rest:].reshape(-1, size, *a.shape[1:]) for a in arrays]
    return jax.lax.scan(lambda t, rows: (add_rows(t, rows), None), total, blocks)[0]


def by_blocks(function: Callable[..., Any], count: int, *arrays: AnyArray) -> Any:
    """function(numbers, a_rows, b_rows, ...) of all rows, as `(count, ...)`; a pytree.

    `function` gets the numbers of some rows, as uint32, and these rows of each array. On the CPU it
    is called block after block: a loop's results are kept, while what is merely elementwise XLA
    makes again inside every fusion that uses it. Elsewhere it is called once.
    """

    def once(*rows):  # a bound method of a module with tracers has no hash
        return function(*rows)

    return jax.lax.platform_dependent(
        jax.lax.iota(jnp.uint32, count),
        *arrays,
        cpu=functools.partial(_block_after_block, once),
        default=once,
    )


def _block_after_block(function: Callable[..., Any], *arrays: Array) -> Any:
    count = arrays[0].shape[0]
    parts = cut(arrays, block_rows(count))
    return joined(jax.lax.map(lambda rows: function(*rows), parts), count)


class CompensatedSum(eqx.Module):
    r"""A running sum in double-word arithmetic: `total` and what its rounding has left out.

    Each addition is made without error, $a + b = s + e$ with $s = \mathrm{fl}(a + b)$ (Knuth,
    TAOCP 2, 4.2.2, theorem B), and the small word is folded back, so that it stays small (Joldes,
    Muller and Popescu 2017, algorithm 4). Relative error about one rounding after any
    number of terms. Ten additions per `add`. The small word carries no derivative: that of the
    plain sum is already right.
    """

    total: Float[AnyArray, "..."]
    correction: Float[AnyArray, "..."]

    @classmethod
    def zeros(cls, shape, dtype) -> "CompensatedSum":
        zeros: Any = np.zeros(shape, dtype)
        return cls(zeros, zeros)

    def add(self, term: Float[Array, "..."]) -> "CompensatedSum":
        rounded = self.total + term
        kept = rounded - self.total
        error = (self.total - (rounded - kept)) + (term - kept)
        low = jax.lax.stop_gradient(self.correction + error)
        total = rounded + low
        return CompensatedSum(total, jax.lax.stop_gradient(low - (total - rounded)))

    @property
    def value(self) -> Float[Array, "..."]:
        return self.total + self.correction
