"""Inputs of ±1 as packed random bits: one 32-bit word holds 32 inputs of one weight."""

import functools

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, UInt32

from ...numerics.sums import by_blocks, ordered_sum
from ._base import AbstractInputBatch


def _where_set(word: Array, mask: Array, value: Array) -> Array:
    """The value where the masked bit is set, else 0: one masked addition in vector code."""
    return jnp.where((word & mask) != 0, value, jnp.zeros_like(value))


def _masks(batch: int) -> Array:
    """The bit of each of up to 32 inputs, shape `(batch, 1)`."""
    return (jnp.uint32(1) << lax.iota(jnp.uint32, batch))[:, None]


class PackedBatch(AbstractInputBatch):
    r"""B inputs of ±1: bit b % 32 of `words[b // 32, i, m]` is set where ξ_bi = -1.

    Sums go over the set bits alone, $\sum_i\xi_iv_i = \sum_iv_i - 2\sum_{\xi_i=-1}v_i$. Memory is
    B/32 words for each weight; no array of size B N M is made.
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
        total, flips = ordered_sum(coefficients), -2 * coefficients

        def block(_, *words):
            sums = jnp.broadcast_to(total[None], words[0].shape)
            for b in range(self.batch):
                sums = sums + _where_set(words[b // 32], jnp.uint32(1 << b % 32), flips[b][None])
            return sums

        return by_blocks(block, self.words.shape[1], *self.words)

    def unpack(self):
        parts = [(words[None] & _masks(size)[:, :, None]) != 0 for words, size in self._parts()]
        return jnp.where(jnp.concatenate(parts), -1.0, 1.0)


def _project_fused(size: int, words: Array, *vectors: Array) -> tuple[Array, ...]:
    """One reduction over the weights, which XLA fuses with the bits; for accelerators."""
    masks = _masks(size)[:, :, None]
    return tuple(
        jnp.sum(v, axis=0)[None] - 2 * jnp.sum(_where_set(words[None], masks, v[None]), axis=1)
        for v in vectors
    )


def _project_blocks(size: int, words: Array, *vectors: Array) -> tuple[Array, ...]:
    """Row after row of weights, unrolled in blocks; vector code on the CPU."""
    masks = _masks(size)

    def term(word, *rows):
        return tuple((row, _where_set(word[None], masks, row[None])) for row in rows)

    sums = ordered_sum(words, *vectors, term=term)
    return tuple(total[None] - 2 * negative for total, negative in sums)
