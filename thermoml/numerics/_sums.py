"""Sums that keep their low-order part, so that long float32 ledgers stay closed."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class CompensatedSum(eqx.Module):
    r"""A running sum with the rounding error of every addition kept aside.

    $s \leftarrow \mathrm{fl}(s + x)$, $c \leftarrow c + [(s + x) - \mathrm{fl}(s + x)]$: the error
    of `value` after n additions is about one rounding instead of n (Knuth, TAOCP 2, 4.2.2,
    theorem B; Neumaier 1974). Six additions per `add`. The correction carries no derivative: that
    of the plain sum is already right.
    """

    total: Float[Array, "..."]
    correction: Float[Array, "..."]

    @classmethod
    def zeros(cls, shape, dtype) -> "CompensatedSum":
        return cls(jnp.zeros(shape, dtype), jnp.zeros(shape, dtype))

    def add(self, term: Float[Array, "..."]) -> "CompensatedSum":
        total = self.total + term
        kept = total - self.total
        error = (self.total - (total - kept)) + (term - kept)
        return CompensatedSum(total, self.correction + jax.lax.stop_gradient(error))

    @property
    def value(self) -> Float[Array, "..."]:
        return self.total + self.correction
