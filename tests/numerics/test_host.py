"""Functions of NumPy inside a compiled program: every digit arrives, in trees and under vmap."""

import jax
import jax.numpy as jnp
import numpy as np

from thermoml.numerics.host import on_host


def test_every_digit_arrives(x64):
    """In the thread of a callback, arrays of 64 bits are rounded to 32."""
    seen = []

    def function(tree, count):
        seen.append((tree["x"].copy(), count))
        return tree["x"] * 3.0

    @jax.jit
    def program(x, count):
        return on_host(function, jax.ShapeDtypeStruct(x.shape, x.dtype), {"x": x}, count)

    x = jnp.array([1 + 2.0**-50, np.pi])
    np.testing.assert_array_equal(program(x, jnp.asarray(2**40 + 1)), np.asarray(x) * 3.0)
    assert seen[0][0].dtype == np.float64
    assert int(seen[0][1]) == 2**40 + 1
    rows = jnp.stack([x, 2 * x])
    several = jax.vmap(lambda x: program(x, jnp.asarray(1)))(rows)
    np.testing.assert_array_equal(several, np.asarray(rows) * 3.0)


def test_numbers(x64):
    like = jax.ShapeDtypeStruct((), jnp.float64)
    third = jax.jit(lambda x: on_host(lambda x: x / 3, like, x))(jnp.asarray(1.0))
    assert third == 1 / 3


def test_single_precision_and_derivatives():
    def program(x):
        return on_host(np.sin, jax.ShapeDtypeStruct((), jnp.float32), x)

    assert program(jnp.float32(1.0)).dtype == jnp.float32
    assert jax.grad(lambda x: program(x) * x)(jnp.float32(1.0)) == program(jnp.float32(1.0))
