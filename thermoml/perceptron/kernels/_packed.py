"""±1 inputs as packed random bits: one 32-bit word holds 32 inputs of one weight."""

import functools

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, UInt32

from ...numerics._sums import ordered_sum
from ._base import AbstractInputBatch


def _signed(word: Array, mask: Array, value: Array) -> Array:
    """-value where the masked bit is set: a select, so that it has a derivative in `value`."""
    return jnp.where((word & mask) != 0, -value, value)


def _masks(batch: int) -> Array:
    """The bit of each of up to 32 inputs, shape `(batch, 1)`."""
    return (jnp.uint32(1) << lax.iota(jnp.uint32, batch))[:, None]


class PackedBatch(AbstractInputBatch):
    """B inputs of ±1: bit b % 32 of `words[b // 32, i, m]` is set where ξ_bi = -1.

    Memory is B/32 words for each weight; nothing of size B N M is made.
    """

    words: UInt32[Array, "W N M"]
    batch: int = eqx.field(static=True)

    def _parts(self) -> list[tuple[Array, int]]:
        sizes = [min(32, self.batch - 32 * i) for i in range(self.words.shape[0])]
        return list(zip(self.words, sizes, strict=True))

    def project(self, *vectors):
        parts = []
        for words, size in self._parts():
            parts.append(
                lax.platform_dependent(
                    words,
                    *vectors,
                    cpu=functools.partial(_project_blocks, size),
                    default=functools.partial(_project_fused, size),
                )
            )
        return tuple(jnp.concatenate(fields) for fields in zip(*parts, strict=True))

    def combine(self, coefficients):
        total, b = jnp.zeros(self.words.shape[1:], coefficients.dtype), 0
        for words, size in self._parts():
            for bit in range(size):
                total = total + _signed(words, jnp.uint32(1 << bit), coefficients[b][None])
                b += 1
        return total

    def unpack(self):
        ones = jnp.ones((1, 1, 1), float)
        parts = [
            _signed(words[None], _masks(size)[:, :, None], ones) for words, size in self._parts()
        ]
        return jnp.concatenate(parts)


def _project_fused(size: int, words: Array, *vectors: Array) -> tuple[Array, ...]:
    """One reduction over the weights, which XLA fuses with the signs. For accelerators."""
    masks = _masks(size)[:, :, None]
    return tuple(jnp.sum(_signed(words[None], masks, v[None]), axis=1) for v in vectors)


def _project_blocks(size: int, words: Array, *vectors: Array) -> tuple[Array, ...]:
    """Row after row of weights, unrolled in blocks: vector code on the CPU."""
    masks = _masks(size)
    return ordered_sum(
        words,
        *vectors,
        term=lambda word, *rows: tuple(_signed(word[None], masks, row[None]) for row in rows),
    )
