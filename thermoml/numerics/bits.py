"""Counter-based generators of random bits: a word is a pure function of key, step and number.

Both are written as elementwise operations, which fuse with what uses the bits. (`jax.random` draws
through threefry too, but on the CPU it runs the rounds of that cipher as a loop over memory.)
"""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, UInt32

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA

Words = UInt32[Array, " trajectory"]
RowNumbers = UInt32[Array, " row"]


def threefry_2x32(key: tuple, counter: tuple) -> tuple[Array, Array]:
    """The threefry-2x32 block cipher in 20 rounds (Salmon et al. 2011), elementwise on uint32.

    Arguments broadcast by NumPy's rules among equal ranks. Returns the two words of each block.
    """
    keys = (key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(_PARITY))
    first, second = counter[0] + keys[0], counter[1] + keys[1]
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            first = first + second
            second = (second << jnp.uint32(rotation)) | (second >> jnp.uint32(32 - rotation))
            second = second ^ first
        first = first + keys[(group + 1) % 3]
        second = second + keys[(group + 2) % 3] + jnp.uint32(group + 1)
    return first, second


def triple32(word: Array) -> Array:
    """A bijection of uint32 in three multiplications, each bit of the result near to a coin flip.

    Source: Wellons 2018, "Prospecting for hash functions": an avalanche bias of 0.0208.
    """
    word = (word ^ (word >> jnp.uint32(17))) * jnp.uint32(0xED5AD4BB)
    word = (word ^ (word >> jnp.uint32(11))) * jnp.uint32(0xAC4C1B51)
    word = (word ^ (word >> jnp.uint32(15))) * jnp.uint32(0x31848BAB)
    return word ^ (word >> jnp.uint32(14))


class AbstractBits(eqx.Module):
    """The random words of one step of many streams, by their numbers, as `(row, trajectory)`."""

    @classmethod
    @abc.abstractmethod
    def at(cls, key: tuple[Words, Words], step: int | Array) -> "AbstractBits":
        """Those of a step of the streams with these keys."""

    @abc.abstractmethod
    def words(self, numbers: RowNumbers) -> UInt32[Array, "row trajectory"]:
        """One word for each number."""

    @abc.abstractmethod
    def blocks(self, numbers: RowNumbers) -> tuple[Array, Array]:
        """Two words for each number below 2^31; not independent of `words` of the same step."""


class ThreefryBits(AbstractBits):
    """A block of the cipher for each word: joining the halves of blocks would cost more, since XLA
    does not vectorise a fused concatenation. About 80 operations.
    """

    key: tuple[Words, Words]
    step: UInt32[Array, ""]

    @classmethod
    def at(cls, key, step):
        return cls(key, jnp.asarray(step, jnp.uint32))

    def words(self, numbers):
        return self.blocks(numbers)[0]

    def blocks(self, numbers):
        key = (self.key[0][None], self.key[1][None])
        return threefry_2x32(key, (jnp.broadcast_to(self.step, (1, 1)), numbers[:, None]))


class HashBits(AbstractBits):
    r"""Word i is triple32(start + i · stride), with 63 bits of start and odd stride from threefry.

    About 13 operations a word. The words of one step all differ from each other. Statistical
    tests: `benchmarks/random_bits.py`.
    """

    start: Words
    stride: Words

    @classmethod
    def at(cls, key, step):
        steps = jnp.full_like(key[0], jnp.asarray(step, jnp.uint32))
        start, stride = threefry_2x32(key, (steps, jnp.zeros_like(steps)))
        return cls(start, stride | jnp.uint32(1))

    def words(self, numbers):
        return triple32(self.start[None] + numbers[:, None] * self.stride[None])

    def blocks(self, numbers):
        place = self.start[None] + numbers[:, None] * (jnp.uint32(2) * self.stride)[None]
        return triple32(place), triple32(place + self.stride[None])


GENERATORS: dict[str, type[AbstractBits]] = {"hash": HashBits, "threefry": ThreefryBits}
