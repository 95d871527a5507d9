"""Sums that keep their low-order part, so that long float32 ledgers stay closed."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


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
