"""Estimates against NumPy and exact arithmetic, for numbers drawn by hypothesis."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, strategies as st
from hypothesis.extra.numpy import arrays

from thermoml.numerics.statistics import Estimate, text_with_error
from thermoml.numerics.sums import CompensatedSum

MODERATE = st.floats(-1e6, 1e6)
SAMPLES = arrays(float, (6, 2), elements=MODERATE)
FLOATS = arrays(np.float32, 40, elements=st.floats(-1e6, 1e6, width=32))


@given(MODERATE, st.floats(1e-6, 1e6))
def test_the_text_rounds_both_numbers_to_two_figures_of_the_error(mean, error):
    assume(error > 1e-8 * abs(mean))
    shown_mean, shown_error = map(float, text_with_error(mean, error).split(" ± "))
    assert abs(shown_error - error) <= 0.0501 * error
    assert abs(shown_mean - mean) <= 0.0501 * error + 1e-9 * abs(mean)


@pytest.mark.parametrize(
    ("pair", "text"),
    [
        ((0.284337, 0.000664), "0.28434 ± 0.00066"),
        ((2.0, 0.0), "2 ± 0"),
        ((2.0, math.nan), "2"),
        ((math.inf, 1.0), "not finite"),
        ((None, None), "not finite"),
    ],
)
def test_texts_of_exact_unknown_and_infinite_values(pair, text):
    assert text_with_error(*pair) == text


@given(SAMPLES)
def test_mean_and_error_are_those_of_numpy(samples):
    estimate = Estimate.of(samples)
    np.testing.assert_array_equal(estimate.mean, samples.mean(axis=0))
    expected = np.sqrt(np.var(samples, axis=0, ddof=1) / 6)
    # Squares of numbers below 1e-150 are subnormal
    np.testing.assert_allclose(estimate.standard_error, expected, rtol=1e-12, atol=1e-150)
    across = Estimate.of(samples.T, axis=1)
    np.testing.assert_allclose(across.mean, estimate.mean, rtol=1e-12, atol=1e-9)


@given(SAMPLES, st.floats(0.1, 10), MODERATE)
def test_an_estimate_follows_a_change_of_scale_and_origin(samples, scale, origin):
    before, after = Estimate.of(samples), Estimate.of(scale * samples + origin)
    np.testing.assert_allclose(after.mean, scale * before.mean + origin, rtol=1e-9, atol=1e-6)
    error = scale * before.standard_error
    np.testing.assert_allclose(after.standard_error, error, rtol=1e-6, atol=1e-6)


@given(arrays(float, 6, elements=st.floats(0.5, 2)), st.floats(-3, 3))
def test_a_constant_ratio_has_no_error(below, ratio):
    with jax.enable_x64(True):
        estimate = Estimate.ratio(jnp.asarray(ratio * below), jnp.asarray(below))
        mean, error = map(float, estimate)
    assert mean == pytest.approx(ratio, rel=1e-12, abs=1e-15)
    assert error < 1e-14


def test_a_single_sample_has_no_known_error():
    assert np.isnan(Estimate.of(np.ones((1, 3))).standard_error).all()


@jax.jit
def added(terms):
    start = CompensatedSum.zeros((), terms.dtype)
    return jax.lax.scan(lambda total, x: (total.add(x), None), start, terms)[0].value


@given(FLOATS)
def test_a_compensated_sum_rounds_once(terms):
    exact = math.fsum(terms.tolist())
    bound = np.finfo(np.float32).eps * abs(exact) + 1e-12 * np.abs(terms.astype(float)).sum()
    # XLA may take subnormal numbers for 0
    bound += len(terms) * float(np.finfo(np.float32).tiny)
    assert abs(float(added(terms)) - exact) <= bound
