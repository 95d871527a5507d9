"""Programs with options for the compiler, alone and inside of others."""

import jax
import jax.numpy as jnp
import numpy as np

from thermoml.numerics.compile import compiled, compiler_options


def test_options_are_given_where_jax_allows_them():
    """Alone; not under jit, grad, vmap, or a jit that knows all values. One trace for each way."""
    traces = []

    @compiled
    def double(x, name):
        traces.append(name)
        return 2 * x

    assert "xla_cpu_prefer_vector_width" in compiler_options()
    assert double(jnp.asarray(2.0), "a") == 4
    assert double(jnp.asarray(3.0), "a") == 6
    assert traces == ["a"]
    assert jax.jit(lambda x: double(x, "b"))(jnp.asarray(2.0)) == 4
    assert jax.jit(lambda: double(np.float32(2), "b"))() == 4
    assert jax.grad(lambda x: double(x, "c"))(2.0) == 2
    np.testing.assert_array_equal(jax.vmap(lambda x: double(x, "d"))(jnp.arange(3.0)), [0, 2, 4])
