import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from thermoml.numerics.sums import (
    _ROWS_PER_BLOCK,
    CompensatedSum,
    by_blocks,
    ordered_sum,
)


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


def product(rows, dtype=np.float32, columns=3):
    """Two arrays of rows, and the sum of their products over the rows in float64."""
    a, b = np.random.default_rng(rows).normal(size=(2, rows, columns)).astype(dtype)
    return a, b, np.sum(a.astype(float) * b, axis=0)


BLOCK = _ROWS_PER_BLOCK


@pytest.mark.parametrize("rows", [1, 2, 5, 30, 61, BLOCK - 1, BLOCK, BLOCK + 1, 4 * BLOCK + 7])
def test_an_ordered_sum_is_the_sum_of_all_rows(dtype, rows):
    a, b, expected = product(rows, dtype)
    total = jax.jit(lambda a, b: ordered_sum(a, b, term=jnp.multiply))(a, b)
    assert total.dtype == dtype
    tolerance = {"float32": 1e-6, "float64": 1e-15}[dtype.name] * rows
    np.testing.assert_allclose(total, expected, rtol=0, atol=tolerance)
    np.testing.assert_allclose(
        jax.jit(ordered_sum)(a), a.sum(axis=0, dtype=float), rtol=0, atol=tolerance
    )


def test_the_terms_of_an_ordered_sum_may_be_a_pytree():
    a, b, expected = product(2 * BLOCK + 3)
    both = jax.jit(lambda a, b: ordered_sum(a, b, term=lambda x, y: {"ab": x * y, "n": (1, y)}))
    total = both(a, b)
    np.testing.assert_allclose(total["ab"], expected, atol=1e-4)
    assert total["n"][0] == len(a)
    np.testing.assert_allclose(total["n"][1], b.sum(axis=0), atol=1e-4)


@pytest.mark.optimised
@pytest.mark.parametrize("rows", [7, 100])
def test_columns_of_an_ordered_sum_have_the_same_bits_however_many_there_are(rows):
    """jnp.sum and einsum do not promise it, and with 100 rows they break it on CPUs.

    XLA picks the order of a reduction by its shape: of the columns of `product(100)` 1 of 1,
    5 of 5 and 14 of 16 then differ from the same columns among 300.
    """
    a, b, _ = product(rows, columns=300)
    add = jax.jit(lambda a, b: ordered_sum(a, b, term=jnp.multiply))
    whole = add(a, b)
    for m in (1, 5, 16, 50, 128):
        np.testing.assert_array_equal(add(a[:, :m], b[:, :m]), whole[:m])


def test_an_ordered_sum_has_the_derivative_of_a_sum(x64):
    a, b, _ = product(2 * BLOCK + 3, float)
    ours = lambda a: jnp.sum(ordered_sum(a, b, term=lambda x, y: jnp.sin(x) * y) ** 2)
    plain = lambda a: jnp.sum(jnp.sum(jnp.sin(a) * b, axis=0) ** 2)
    expected = jax.jit(jax.grad(plain))(a)
    np.testing.assert_allclose(jax.jit(jax.grad(ours))(a), expected, rtol=1e-12)
    np.testing.assert_allclose(jax.jit(jax.jacfwd(ours))(a), expected, rtol=1e-12)


@pytest.mark.parametrize("rows", [1, 2, 5, 30, 61])
def test_a_function_by_blocks_is_that_of_all_rows(dtype, rows):
    """Rows of its arrays and their numbers, or, without arrays, the numbers alone."""
    a, b, _ = product(rows, dtype)
    numbers = np.arange(rows)[:, None]

    def function(numbers, a, b):
        return {"ab": a * b, "n": numbers[:, None]}

    found = jax.jit(lambda a, b: by_blocks(function, rows, a, b))(a, b)
    assert found["ab"].dtype == dtype
    np.testing.assert_array_equal(found["ab"], a * b)
    np.testing.assert_array_equal(found["n"], numbers)
    alone = by_blocks(lambda numbers: numbers[:, None], rows)
    np.testing.assert_array_equal(alone, numbers)


def test_a_function_by_blocks_keeps_further_axes():
    a = jnp.arange(31 * 2 * 3.0).reshape(31, 2, 3)
    found = jax.jit(lambda a: by_blocks(lambda _, x: jnp.sum(x, axis=1), 31, a))(a)
    np.testing.assert_array_equal(found, a.sum(axis=1))


@pytest.mark.parametrize("rows", [1, 61])
def test_a_function_by_blocks_has_its_derivative(x64, rows):
    """The filled-up rows of the last block add nothing."""
    a, b, _ = product(rows, float)
    ours = lambda a: jnp.sum(by_blocks(lambda _, x, y: jnp.sin(x) * y, rows, a, b) ** 2)
    plain = lambda a: jnp.sum((jnp.sin(a) * b) ** 2)
    found, expected = jax.jit(lambda a: (jax.grad(ours)(a), jax.grad(plain)(a)))(a)
    np.testing.assert_allclose(found, expected, rtol=1e-13)
