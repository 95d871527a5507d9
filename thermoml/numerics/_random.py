"""Counter-based random streams, one per trajectory, laid out with the trajectory axis last.

`jax.random` draws through threefry too, but on the CPU it runs the rounds of that cipher as a
loop over memory. Written out as elementwise operations they fuse with what uses the bits.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Key, UInt32

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA


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


def _polar_float32(first: Array, second: Array) -> tuple[Array, Array, Array]:
    """Radius of Box-Muller, and cosine and sine of an angle folded into the octants about 0.

    The two lowest bits of `first` are not used.
    """
    uniform = ((first >> jnp.uint32(8)).astype(jnp.float32) + 0.5) * np.float32(2.0**-24)
    radius = jnp.sqrt(-2 * jnp.log(uniform))
    # Angle uniform in [-pi/4, pi/4), with the minimax polynomials of Cephes' sinf and cosf.
    angle = lax.bitcast_convert_type(second, jnp.int32).astype(jnp.float32)
    angle = angle * np.float32(np.pi / 4 / 2**31)
    square = angle * angle
    sine = 8.3321608736e-3 - square * 1.9515295891e-4
    sine = angle + angle * square * (-1.6666654611e-1 + square * sine)
    cosine = -1.388731625e-3 + square * 2.443315712e-5
    cosine = 1 + square * (-0.5 + square * (4.166664568e-2 + square * cosine))
    return radius, cosine, sine


def _normal_float32(first: Array, second: Array) -> Array:
    """One standard normal per block; its octant comes from low bits of `first`."""
    radius, cosine, sine = _polar_float32(first, second)
    cosine = jnp.where((first & jnp.uint32(2)) != 0, -cosine, cosine)
    return radius * jnp.where((first & jnp.uint32(1)) != 0, cosine, sine)


def _normal_pair_float32(first: Array, second: Array) -> tuple[Array, Array]:
    """Two standard normals per block: the angle is turned by a random multiple of π/2."""
    radius, cosine, sine = _polar_float32(first, second)
    radius = jnp.where((first & jnp.uint32(2)) != 0, -radius, radius)
    turned = (first & jnp.uint32(1)) != 0
    return radius * jnp.where(turned, -sine, cosine), radius * jnp.where(turned, cosine, sine)


def _log1p_remainder(t: Array) -> Array:
    """ln(1 + t) - t + t²/2 - t³/3, without cancellation at small t."""
    small = jnp.abs(t) < 0.3
    near = jnp.where(small, t, 0)
    series = jnp.zeros_like(t)
    for power in range(20, 3, -1):
        series = series * near - (-1.0) ** power / power
    far = jnp.where(small, 0.5, jnp.maximum(t, -1 + 1e-7))
    direct = jnp.log1p(far) - far + far**2 / 2 - far**3 / 3
    return jnp.where(small, series * near**4, direct)


def _uniform_float64(first: Array, second: Array) -> Array:
    """One uniform in (0, 1) with 53 bits per block."""
    high = (first >> jnp.uint32(5)).astype(jnp.float64)
    low = (second >> jnp.uint32(6)).astype(jnp.float64)
    return (high * 2.0**26 + low + 0.5) * 2.0**-53


class Streams(eqx.Module):
    """One random stream per trajectory: draw (step, row) of a stream is a pure function of its key.

    Each row takes one block of the cipher and leaves what it does not need of it: joining the
    halves of blocks would cost more, since XLA does not vectorise a fused concatenation.

    `key`: two uint32 arrays of shape `(trajectory,)`. A stream gives each `step` its own 2^32
    blocks of 64 bits. Arrays come out as `(rows, trajectory)`.
    """

    key: tuple[UInt32[Array, " trajectory"], UInt32[Array, " trajectory"]]

    def _blocks(self, step: Array, first: Any, count: int) -> tuple[Array, Array]:
        rows = (jnp.asarray(first, jnp.uint32) + lax.iota(jnp.uint32, count))[:, None]
        steps = jnp.broadcast_to(jnp.asarray(step, jnp.uint32), (1, 1))
        return threefry_2x32((self.key[0][None], self.key[1][None]), (steps, rows))

    def bits(self, step: Array, rows: int) -> UInt32[Array, "rows trajectory"]:
        """Independent random bits, 32 in each word. Cost O(rows · trajectories)."""
        return self._blocks(step, 0, rows)[0]

    def normals(self, step: Array, rows: int, dtype) -> Float[Array, "rows trajectory"]:
        """Independent standard normals: 24-bit radii in float32 (|z| < 5.9), 53-bit in float64."""
        if dtype == jnp.float64:
            radius = jnp.sqrt(-2 * jnp.log(_uniform_float64(*self._blocks(step, 0, rows))))
            angle = 2 * np.pi * _uniform_float64(*self._blocks(step, rows, rows))
            return radius * jnp.cos(angle)
        return _normal_float32(*self._blocks(step, 0, rows)).astype(dtype)

    def normal_pairs(
        self, step: Array, first: Any, rows: int, dtype
    ) -> tuple[Float[Array, "rows trajectory"], Float[Array, "rows trajectory"]]:
        """As `normals`, two at a time for the price of one: pairs `first` ... `first + rows - 1`.

        Pair i takes block i in float32, blocks 2i and 2i + 1 in float64.
        """
        if dtype == jnp.float64:
            words = self._blocks(step, 2 * first, 2 * rows)
            radius, angle = (_uniform_float64(words[0][i::2], words[1][i::2]) for i in (0, 1))
            radius, angle = jnp.sqrt(-2 * jnp.log(radius)), 2 * np.pi * angle
            return radius * jnp.cos(angle), radius * jnp.sin(angle)
        pair = _normal_pair_float32(*self._blocks(step, first, rows))
        return pair[0].astype(dtype), pair[1].astype(dtype)

    def chi_square_ratios(
        self, step: Array, first: int, degrees: Float[Array, " k"], scale: Any
    ) -> Float[Array, "k trajectory"]:
        r"""χ²_n / `scale` for each number of degrees of freedom n >= 1, exact.

        With d = n/2 - 1/3, t = z/(3√d) and z normal, $2d(1 + t)^3$ is taken with probability
        $\exp(3d[\ln(1+t) - t + t^2/2 - t^3/3])$, which is nearly 1 (Marsaglia and Tsang 2000);
        n < 2 by the power of a uniform that leads there from n + 2. The bracket is made without
        cancellation, so that float32 serves any n. Blocks of the stream from `first` on are used.
        Carries no derivative.
        """
        dtype = degrees.dtype
        degrees = lax.stop_gradient(degrees)[:, None]
        n_trajectories = self.key[0].shape[0]
        count = degrees.shape[0]
        few = degrees < 2
        d = jnp.where(few, degrees + 2, degrees) / 2 - 1 / 3

        def uniforms(words):
            return ((words >> jnp.uint32(8)).astype(dtype) + 0.5) * 2.0**-24

        def attempt(state):
            number, taken, found = state
            begin = jnp.uint32(first) + jnp.uint32(2 * count) * (number + 1)
            normals, _ = _normal_pair_float32(*self._blocks(step, begin, count))
            t = normals.astype(dtype) / (3 * jnp.sqrt(d))
            good = jnp.log(uniforms(self._blocks(step, begin + jnp.uint32(count), count)[0]))
            good = (t > -1) & (good < 3 * d * _log1p_remainder(t)) & ~taken
            return number + 1, taken | good, jnp.where(good, (1 + t) ** 3, found)

        shape = (count, n_trajectories)
        none = (jnp.uint32(0), jnp.zeros(shape, bool), jnp.ones(shape, dtype))
        _, _, cube = lax.while_loop(lambda state: ~jnp.all(state[1]), attempt, none)
        boost = uniforms(self._blocks(step, first, count)[0])
        boost = jnp.where(few, boost ** (2 / jnp.where(few, degrees, 2)), 1)
        return 2 * d / lax.stop_gradient(scale) * cube * boost


def trajectory_streams(key: Key[Array, ""], indices: Array, purpose: int) -> Streams:
    """The streams of trajectories `indices`: each depends on key, its index and purpose alone."""
    root = jax.random.bits(key, (2,), jnp.uint32)
    indices = jnp.asarray(indices, jnp.uint32)
    purposes = jnp.full_like(indices, purpose)
    roots = (jnp.broadcast_to(root[0], indices.shape), jnp.broadcast_to(root[1], indices.shape))
    return Streams(threefry_2x32(roots, (indices, purposes)))


def trajectory_key(key: Key[Array, ""], index: Array, purpose: int) -> Key[Array, ""]:
    """The `jax.random` key of one trajectory for one purpose."""
    return jax.random.fold_in(jax.random.fold_in(key, index), purpose)
