"""Sums that keep their low-order part, and sums whose order is fixed."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

# Rows added in one unrolled block: shorter blocks spend their time on memory.
_ROWS_PER_BLOCK = 25


def ordered_sum(*arrays: Array, term: Callable[..., Any] = lambda row: row) -> Any:
    """Σ_i term(a_i, b_i, ...) over the first axis, row after row; a term may be a pytree.

    The same bits in every trajectory however many stand beside it and on how many devices, which
    XLA's own reductions do not give: they choose an order by the shape.
    """
    count = arrays[0].shape[0]
    whole = count - count % _ROWS_PER_BLOCK

    def add_rows(total, blocks):
        for i in range(blocks[0].shape[0]):
            total = jax.tree.map(jnp.add, total, term(*(block[i] for block in blocks)))
        return total

    shapes = jax.eval_shape(term, *(array[0] for array in arrays))
    total = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    if whole:
        blocks = [a[:whole].reshape(-1, _ROWS_PER_BLOCK, *a.shape[1:]) for a in arrays]
        total, _ = jax.lax.scan(lambda t, rows: (add_rows(t, rows), None), total, blocks)
    return add_rows(total, [a[whole:] for a in arrays])


class CompensatedSum(eqx.Module):
    r"""A running sum in double-word arithmetic: `total` and what its rounding has left out.

    Each addition is made without error, $a + b = s + e$ with $s = \mathrm{fl}(a + b)$ (Knuth,
    TAOCP 2, 4.2.2, theorem B), and the small word is folded back, so that it stays small (Joldes,
    Muller and Popescu 2017, algorithm 4). Relative error about one rounding after any
    number of terms. Ten additions per `add`. The small word carries no derivative: that of the
    plain sum is already right.
    """

    total: Float[Array, "..."]
    correction: Float[Array, "..."]

    @classmethod
    def zeros(cls, shape, dtype) -> "CompensatedSum":
        return cls(jnp.zeros(shape, dtype), jnp.zeros(shape, dtype))

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
