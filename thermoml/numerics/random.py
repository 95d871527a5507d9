"""Random streams, one per trajectory, laid out with the trajectory axis last."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Key, PyTree, UInt32

from .bits import GENERATORS, AbstractBits, RowNumbers, Words, threefry_2x32
from .choices import is_choice
from .types import AnyArray

_SECOND_HALF = 1 << 30  # where float64 finds its other blocks


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


def _log_float64(x: Array) -> Array:
    """ln x of normal numbers x > 0 to a rounding or two, elementwise, where XLA would call libm.

    With x = 2^k m and m in [√½, √2), ln m = 2 artanh(s), s = (m - 1)/(m + 1), by its series.
    """
    one, root_half = np.uint64(0x3FF0000000000000), np.uint64(0x3FE6A09E667F3BCD)
    bits = lax.bitcast_convert_type(x, jnp.uint64) + (one - root_half)
    power = (bits >> np.uint64(52)).astype(jnp.int32) - 1023
    fraction = (bits & np.uint64(0x000FFFFFFFFFFFFF)) + root_half
    m = lax.bitcast_convert_type(fraction, jnp.float64)
    s = (m - 1) / (m + 1)
    square = s * s
    series = jnp.zeros_like(s)
    for odd in range(19, 1, -4):  # two terms at once: what a term waits for is half as long
        series = series * (square * square) + (1 / odd + square / (odd + 2))
    return power.astype(jnp.float64) * np.log(2.0) + 2 * s * (1 + square * series)


def _turned_float64(u: Array) -> tuple[Array, Array]:
    """cos and sin of 2πu for u in [0, 1], with the minimax polynomials of Cephes' sin and cos."""
    quarter = jnp.floor(4 * u + 0.5)
    angle = 2 * np.pi * (u - quarter / 4)  # in [-π/4, π/4]
    square = angle * angle
    sine = jnp.full_like(u, 1.58962301576546568060e-10)
    for factor in (
        -2.50507477628578072866e-8,
        2.75573136213857245213e-6,
        -1.98412698295895385996e-4,
        8.33333333332211858878e-3,
        -1.66666666666666307295e-1,
    ):
        sine = sine * square + factor
    sine = angle + angle * square * sine
    cosine = jnp.full_like(u, -1.13585365213876817300e-11)
    for factor in (
        2.08757008419747316778e-9,
        -2.75573141792967388112e-7,
        2.48015872888517045348e-5,
        -1.38888888888730564116e-3,
        4.16666666666665929218e-2,
    ):
        cosine = cosine * square + factor
    cosine = 1 - square / 2 + square * square * cosine
    turns = quarter.astype(jnp.int32)
    odd = (turns & 1) != 0
    cosine, sine = jnp.where(odd, sine, cosine), jnp.where(odd, cosine, sine)
    left, below = ((turns + 1) & 2) != 0, (turns & 2) != 0
    return jnp.where(left, -cosine, cosine), jnp.where(below, -sine, sine)


def check_generator(generator: str) -> None:
    """ValueError unless `generator` is the name of one."""
    if not is_choice(generator, GENERATORS):
        names = " or ".join(f'"{name}"' for name in GENERATORS)
        raise ValueError(f"generator must be {names}, got {generator!r}")


class Streams(eqx.Module):
    """One random stream per trajectory: draw (step, row) of a stream is a pure function of its key.

    `key`: two uint32 arrays of shape `(trajectory,)`. `generator`: "hash" or "threefry".
    """

    key: tuple[Words, Words]
    generator: str = eqx.field(static=True)

    def at(self, step: int | Array) -> "Draws":
        """The random numbers of a step."""
        return Draws(GENERATORS[self.generator].at(self.key, step))


class Draws(eqx.Module):
    """The random numbers of one step of all streams, as `(row, trajectory)`.

    Each row is a pure function of its number. Bits and normals of one step are not independent of
    each other. Cost O(rows · trajectories).
    """

    source: AbstractBits

    def bits(self, numbers: RowNumbers) -> UInt32[Array, "row trajectory"]:
        """Independent random bits, 32 in each word."""
        return self.source.words(numbers)

    def normals(self, numbers: RowNumbers, dtype) -> Float[Array, "row trajectory"]:
        """Independent standard normals: 24-bit radii in float32 (|z| < 5.9), 53-bit in float64."""
        if dtype == jnp.float64:
            return self.normal_pairs(numbers, dtype)[0]
        return _normal_float32(*self.source.blocks(numbers)).astype(dtype)

    def normal_pairs(
        self, numbers: RowNumbers, dtype
    ) -> tuple[Float[Array, "row trajectory"], Float[Array, "row trajectory"]]:
        """As `normals`, two at a time for the price of one."""
        blocks = self.source.blocks(numbers)
        if dtype == jnp.float64:
            others = self.source.blocks(numbers + jnp.uint32(_SECOND_HALF))
            radius = jnp.sqrt(-2 * _log_float64(_uniform_float64(*blocks)))
            cosine, sine = _turned_float64(_uniform_float64(*others))
            return radius * cosine, radius * sine
        pair = _normal_pair_float32(*blocks)
        return pair[0].astype(dtype), pair[1].astype(dtype)

    def chi_square_ratios(
        self, first: int, degrees: Float[Array, " k"], scale: Any
    ) -> Float[Array, "k trajectory"]:
        r"""χ²_n / `scale` for each number of degrees of freedom n >= 1, exact.

        With d = n/2 - 1/3, t = z/(3√d) and z normal, $2d(1 + t)^3$ is taken with probability
        $\exp(3d[\ln(1+t) - t + t^2/2 - t^3/3])$, which is nearly 1 (Marsaglia and Tsang 2000);
        n < 2 by the power of a uniform that leads there from n + 2. The bracket is made without
        cancellation, so that float32 serves any n. Blocks from `first` on are used.
        Carries no derivative.
        """
        dtype = degrees.dtype
        degrees = lax.stop_gradient(degrees)[:, None]
        count = degrees.shape[0]
        rows = row_numbers(count)
        few = degrees < 2
        d = jnp.where(few, degrees + 2, degrees) / 2 - 1 / 3

        def uniforms(words):
            return ((words >> jnp.uint32(8)).astype(dtype) + 0.5) * 2.0**-24

        def attempt(state):
            number, taken, cube = state
            begin = jnp.uint32(first) + jnp.uint32(2 * count) * (number + 1)
            normals, _ = _normal_pair_float32(*self.source.blocks(begin + rows))
            t = normals.astype(dtype) / (3 * jnp.sqrt(d))
            good = jnp.log(uniforms(self.source.blocks(begin + jnp.uint32(count) + rows)[0]))
            good = (t > -1) & (good < 3 * d * _log1p_remainder(t)) & ~taken
            return number + 1, taken | good, jnp.where(good, (1 + t) ** 3, cube)

        boost = uniforms(self.source.blocks(jnp.uint32(first) + rows)[0])
        none = (jnp.uint32(0), jnp.zeros(boost.shape, bool), jnp.ones(boost.shape, dtype))
        _, _, cube = lax.while_loop(lambda state: ~jnp.all(state[1]), attempt, none)
        boost = jnp.where(few, boost ** (2 / jnp.where(few, degrees, 2)), 1)
        return 2 * d / lax.stop_gradient(scale) * cube * boost


def row_numbers(count: int) -> RowNumbers:
    """0 ... count - 1."""
    return lax.iota(jnp.uint32, count)


def trajectory_streams(
    key: Key[Array, ""], indices: Array, purpose: int, generator: str = "hash"
) -> Streams:
    """The streams of trajectories `indices`: each depends on key, its index and purpose alone."""
    root = jax.random.bits(key, (2,), jnp.uint32)
    indices = jnp.asarray(indices, jnp.uint32)
    purposes = jnp.full_like(indices, purpose)
    roots = (jnp.broadcast_to(root[0], indices.shape), jnp.broadcast_to(root[1], indices.shape))
    return Streams(threefry_2x32(roots, (indices, purposes)), generator)


def trajectory_key(key: Key[Array, ""], index: int | AnyArray, purpose: int) -> Key[Array, ""]:
    """The `jax.random` key of one trajectory for one purpose."""
    return jax.random.fold_in(jax.random.fold_in(key, index), purpose)


def normals_like(key: Key[Array, ""], tree: PyTree[Array]) -> PyTree[Array]:
    """Independent standard normals in the structure, shapes and dtypes of `tree`."""
    leaves, structure = jax.tree.flatten(tree)
    keys = jax.random.split(key, len(leaves)) if len(leaves) > 1 else key[None]
    normals = [jax.random.normal(k, x.shape, x.dtype) for k, x in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(structure, normals)
