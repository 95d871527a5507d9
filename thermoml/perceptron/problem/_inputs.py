"""Distributions of inputs: random ±1, random Gaussian, or a training set."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, UInt32

from ...numerics.arrays import as_parameter, is_concrete
from ...numerics.random import Draws, row_numbers
from ...numerics.sums import by_blocks
from ..kernels import AbstractInputBatch, DenseBatch, PackedBatch, RowBatch

# Gathering one row costs as much as this many rows of a matrix product.
_GATHER_COST = 32


class AbstractInputs(eqx.Module):
    """A distribution of inputs ξ ∈ R^N.

    To write one, subclass this with `draw`, which returns a batch such as
    `thermoml.perceptron.kernels.DenseBatch`, and `footprint`. It is for `Microscopic`: averages
    over inputs, and so all other levels, are known for `BinaryInputs` and `GaussianInputs` alone.
    """

    @abc.abstractmethod
    def draw(
        self, draws: Draws, *, batch: int, n_inputs: int, dtype: DTypeLike
    ) -> AbstractInputBatch:
        """A fresh batch for each trajectory.

        Args:
            draws: the random numbers of one step, `(row, trajectory)`.
            batch: B, inputs per trajectory.
            n_inputs: N.
            dtype: of the inputs, where they are floats.
        """

    @abc.abstractmethod
    def footprint(self, batch: int, n_inputs: int) -> int:
        """The count of numbers that a batch keeps in memory for each trajectory."""


class BinaryInputs(AbstractInputs):
    """ξ uniform on {-1, +1}^N, redrawn at every step."""

    def draw(self, draws, *, batch, n_inputs, dtype):
        n_words = -(-batch // 32)
        words = by_blocks(draws.bits, n_words * n_inputs)
        return PackedBatch(words.reshape(n_words, n_inputs, words.shape[1]), batch)

    def footprint(self, batch, n_inputs):
        return -(-batch // 32) * n_inputs


class GaussianInputs(AbstractInputs):
    """ξ standard normal in R^N, redrawn at every step."""

    def draw(self, draws, *, batch, n_inputs, dtype):
        values = by_blocks(lambda numbers: draws.normals(numbers, dtype), batch * n_inputs)
        return DenseBatch(values.reshape(n_inputs, batch, values.shape[1]))

    def footprint(self, batch, n_inputs):
        return batch * n_inputs


class TrainingSet(AbstractInputs):
    """A finite set of examples; each step draws a random batch of them, without repetition.

    Args:
        examples: shape `(P, N)`. The batch of the problem must not exceed P.

    Raises:
        ValueError: not a two-dimensional array of finite numbers.
    """

    examples: Float[Array, "P N"] = eqx.field(converter=lambda x: as_parameter(x, "examples"))

    def __check_init__(self):
        if not isinstance(self.examples, jax.Array):
            return
        if self.examples.ndim != 2 or 0 in self.examples.shape:
            raise ValueError(
                "examples of a training set must have shape (examples, N), got "
                f"{self.examples.shape}"
            )
        if is_concrete(self.examples) and not np.isfinite(np.asarray(self.examples)).all():
            raise ValueError("examples of a training set must be finite, got inf or nan")

    def draw(self, draws, *, batch, n_inputs, dtype):
        n_examples, words = self.examples.shape[0], draws.bits(row_numbers(batch))
        if batch == n_examples:
            rows = jnp.broadcast_to(jnp.arange(batch)[:, None], words.shape)
        else:
            rows = _subset(words, n_examples)
        picked = RowBatch(self.examples, rows)
        if self._shares_products(batch):
            return picked
        return DenseBatch(jnp.moveaxis(picked.unpack(), 0, 1))

    def _shares_products(self, batch: int) -> bool:
        return self.examples.shape[0] <= _GATHER_COST * batch

    def footprint(self, batch, n_inputs):
        shared = self._shares_products(batch)
        return max(n_inputs, self.examples.shape[0]) if shared else batch * n_inputs


def _subset(words: UInt32[Array, "B M"], n_examples: int) -> Int[Array, "B M"]:
    """B different rows out of P, each set equally likely.

    Cost: O(B²) per trajectory.

    Source: Floyd's algorithm; Bentley and Floyd 1987, Commun. ACM 30, 754.
    """
    batch, n_trajectories = words.shape

    def choose(b, rows):
        last = n_examples - batch + b
        row = (words[b] % (last + 1).astype(jnp.uint32)).astype(rows.dtype)
        taken = jnp.any(rows == row[None], axis=0)
        return rows.at[b].set(jnp.where(taken, last, row))

    return jax.lax.fori_loop(0, batch, choose, jnp.full((batch, n_trajectories), -1))


_BY_NAME = {"binary": BinaryInputs, "gaussian": GaussianInputs}


def as_inputs(inputs: AbstractInputs | str) -> AbstractInputs:
    """`inputs` as an `AbstractInputs`; "binary" and "gaussian" by name."""
    if isinstance(inputs, AbstractInputs):
        return inputs
    if isinstance(inputs, str) and inputs in _BY_NAME:
        return _BY_NAME[inputs]()
    raise ValueError(
        f'inputs must be "binary", "gaussian" or an input module such as TrainingSet(x), '
        f"got {inputs!r}"
    )


def check_known_law(inputs: AbstractInputs, name: str) -> None:
    """ValueError unless the averages over the inputs that `name` needs are known."""
    if not isinstance(inputs, BinaryInputs | GaussianInputs):
        raise ValueError(
            f"inputs must be binary or gaussian for {name}, whose averages over others, such as "
            f"{type(inputs).__name__}, are not known; use Microscopic(dt)"
        )
