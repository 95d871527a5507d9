import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from thermoml.numerics._sums import CompensatedSum


def accumulate(terms):
    start = CompensatedSum.zeros(terms.shape[1:], terms.dtype)
    return lax.scan(lambda s, x: (s.add(x), None), start, terms)[0].value


def test_a_million_float32_tenths_keep_their_sum_where_a_naive_sum_drifts():
    n = 1_000_000
    tenth = jnp.float32(0.1)

    @jax.jit
    def sums():
        def body(_, carry):
            naive, kept = carry
            return naive + tenth, kept.add(tenth)

        naive, kept = lax.fori_loop(
            0, n, body, (jnp.zeros(()), CompensatedSum.zeros((), jnp.float32))
        )
        return naive, kept.value

    exact = n * float(tenth)
    naive, kept = (abs(float(value) / exact - 1) for value in sums())
    assert kept < 1e-7
    assert naive > 1e-3


@pytest.mark.parametrize("scale", [1.0, 1e9])
def test_cancelling_terms_leave_the_small_ones(dtype, scale):
    small = jnp.full(64, 1e-3, dtype)
    terms = jnp.concatenate([jnp.asarray([scale], dtype), small, jnp.asarray([-scale], dtype)])
    expected = 64 * float(jnp.asarray(1e-3, dtype))
    np.testing.assert_allclose(jax.jit(accumulate)(terms), expected, rtol=1e-6)


def test_the_gradient_is_that_of_the_sum(x64):
    terms = jnp.linspace(-1, 2, 7)[:, None] * jnp.arange(1.0, 4.0)[None]
    weighted = lambda x: jnp.sum(accumulate(jnp.sin(x)) ** 2)
    plain = lambda x: jnp.sum(jnp.sum(jnp.sin(x), 0) ** 2)
    np.testing.assert_allclose(jax.grad(weighted)(terms), jax.grad(plain)(terms), rtol=1e-13)
    forward = jax.jacfwd(weighted)(terms)
    np.testing.assert_allclose(forward, jax.grad(plain)(terms), rtol=1e-13)
