"""Inputs as floating arrays: any distribution, and rows of a training set."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from ...numerics.sums import by_blocks, ordered_sum
from ._base import AbstractInputBatch


class DenseBatch(AbstractInputBatch):
    """Inputs as one array. Memory O(B N M)."""

    values: Float[Array, "N B M"]

    def project(self, *vectors):
        return ordered_sum(
            self.values,
            *vectors,
            term=lambda inputs, *rows: tuple(inputs * row[None] for row in rows),
        )

    def combine(self, coefficients):
        def block(_, values):
            total = jnp.zeros(values.shape[::2], coefficients.dtype)
            for b in range(values.shape[1]):
                total = total + values[:, b] * coefficients[b][None]
            return total

        return by_blocks(block, self.values.shape[0], self.values)

    def unpack(self):
        return jnp.moveaxis(self.values, 0, 1)


class RowBatch(AbstractInputBatch):
    """Rows of one training set of P examples, chosen for each trajectory.

    Products with the whole set are matrix products shared by all trajectories; the rows are picked
    from (or scattered into) their P results. No array of size B N M is made. Cost O(P N M).
    """

    examples: Float[Array, "P N"]
    rows: Int[Array, "B M"]

    def project(self, *vectors):
        def pick(vector):
            fields = jnp.matmul(self.examples, vector, precision=lax.Precision.HIGHEST)
            fields = jnp.broadcast_to(fields, (fields.shape[0], self.rows.shape[1]))
            return jnp.take_along_axis(fields, self.rows, axis=0)

        return tuple(pick(vector) for vector in vectors)

    def combine(self, coefficients):
        n_trajectories = self.rows.shape[1]
        spread = jnp.zeros((self.examples.shape[0], n_trajectories), coefficients.dtype)
        spread = spread.at[self.rows, jnp.arange(n_trajectories)[None]].add(coefficients)
        return jnp.matmul(self.examples.T, spread, precision=lax.Precision.HIGHEST)

    def unpack(self):
        return jnp.moveaxis(self.examples[self.rows], -1, 1)
