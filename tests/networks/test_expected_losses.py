"""Expected losses of normal and uniform parameters: closed forms and quadrature."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special, stats

from thermoml.networks import Widths
from thermoml.numerics.normal_uniform import (
    expected_absolute,
    expected_log_cosh,
    expected_log_sum_exp,
    normal_log_cosh,
)

HOW = {"epsabs": 1e-14, "epsrel": 1e-12, "limit": 300}
absolute = jax.jit(jax.vmap(lambda m, n, u: expected_absolute(m, Widths(n, u))))
log_cosh = jax.jit(jax.vmap(lambda n, u: expected_log_cosh(Widths(n, u))))
log_sum_exp = jax.jit(jax.vmap(lambda n, u: expected_log_sum_exp(Widths(n, u), n.shape[0])))


def integral(f, *cuts):
    """∫f from the first cut to the last, piece by piece."""
    return sum(integrate.quad(f, a, b, **HOW)[0] for a, b in itertools.pairwise(cuts))


def density(a, b):
    """Of the sum of two numbers uniform on [-a, a] and [-b, b]: a trapezoid, and its corners."""
    inner, outer = abs(a - b), a + b
    corners = np.array([-outer, -inner, inner, outer])
    heights = np.array([0, 1, 1, 0]) / (inner + outer)
    return lambda z: np.interp(z, corners, heights), corners


def softplus_of_uniform(z, a):
    """E ln(1 + e^{z+u}), u uniform on [-a, a], by the dilogarithm: ∫ ln(1 + e^x) = -Li₂(-eˣ)."""
    return (special.spence(1 + np.exp(z - a)) - special.spence(1 + np.exp(z + a))) / (2 * a)


def folded(m, std):
    return stats.foldnorm(abs(m) / std, scale=std).mean()


# The mean absolute


def test_one_uniform_parameter_has_a_parabola(x64):
    """(a² + m²)/2a inside and |m| outside: a kink in the slope at a, where 512 waves are few."""
    for a in (1e-3, 1.0, 50.0):
        m = a * np.array([0, 0.1, -0.5, 0.9, 0.99, 1, -1.01, 1.1, 2, 5, 5.3, -20])
        exact = np.where(abs(m) < a, (a**2 + m**2) / (2 * a), abs(m))
        found = absolute(m, np.zeros((12, 2)), np.tile([a, 0.0], (12, 1)))
        np.testing.assert_allclose(found, exact, rtol=0, atol=1e-6 * a)


@pytest.mark.parametrize("bounds", [(1.0, 1.0), (1.0, 0.3), (0.01, 1.0)])
def test_two_uniform_parameters_are_integrals_over_a_trapezoid(x64, bounds):
    m = np.array([0, 0.3, -0.7, 1.0, 1.3, 2.0, 3.0])
    p, corners = density(*bounds)
    exact = [
        integral(
            lambda z, m=m: abs(z - m) * p(z), *np.sort([*corners, np.clip(m, *corners[[0, 3]])])
        )
        for m in m
    ]
    found = absolute(m, np.zeros((7, 2)), np.tile(bounds, (7, 1)))
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-7)


def test_normal_parameters_are_a_folded_normal_and_mix_with_uniform_ones(dtype):
    m, std = np.array([0, 0.5, -1, 3, 40]), np.array([0.3, 1.2, 0.01, 2.0, 3.0])
    normal, nothing = np.stack([0.6 * std, 0.8 * std], 1), np.zeros((5, 2))
    cast = lambda *arrays: [jnp.asarray(x, dtype) for x in arrays]
    exact = [folded(*x) for x in zip(m, std, strict=True)]
    tolerance = {"rtol": 1e-13, "atol": 1e-14} if dtype == jnp.float64 else {"rtol": 2e-6}
    found = absolute(*cast(m, normal, nothing))
    np.testing.assert_allclose(found, exact, **tolerance)
    assert found.dtype == dtype
    both = absolute(*cast(m, np.stack([std, 0 * std], 1), np.tile([0.0, 0.7], (5, 1))))
    exact = [
        integral(lambda u, m=m, s=s: folded(m - u, s) / 1.4, -0.7, np.clip(m, -0.7, 0.7), 0.7)
        for m, s in zip(m, std, strict=True)
    ]
    atol = 1e-9 if dtype == jnp.float64 else 3e-6
    np.testing.assert_allclose(both, exact, rtol=2e-7 if dtype == jnp.float32 else 0, atol=atol)


# The binary cross-entropy


def test_the_softplus_of_a_uniform_parameter_is_a_dilogarithm(x64):
    a = np.array([1e-2, 0.1, 1, 5, 30, 100, 300])
    found = log_cosh(np.zeros((7, 2)), np.stack([a, 0 * a], 1))
    np.testing.assert_allclose(found, softplus_of_uniform(0, a), rtol=1e-8)
    np.testing.assert_allclose(found[:5], softplus_of_uniform(0, a[:5]), rtol=1e-11)


def test_sums_of_uniform_and_normal_parameters_are_integrals(x64):
    p, corners = density(2.0, 5.0)
    trapezoid = integral(lambda z: np.logaddexp(0, z) * p(z), *corners)
    normal = stats.norm(0, 1.3).pdf
    mixed = integral(lambda z: softplus_of_uniform(z, 4.0) * normal(z), -12, 0, 12)
    found = log_cosh(np.array([[0, 0], [1.3, 0]]), np.array([[2.0, 5.0], [0, 4.0]]))
    np.testing.assert_allclose(found, [trapezoid, mixed], rtol=1e-12)


def test_the_softplus_of_a_normal_logit_at_any_variance(dtype):
    """With the switch between two quadratures at a deviation of 3."""
    variance = np.array([1e-6, 1e-3, 0.3, 2, 8.99, 9.01, 30, 1e3, 1e4])
    std = jnp.asarray(variance**0.5, dtype)
    each = jax.jit(jax.vmap(normal_log_cosh))(std)

    def exact(std):
        density = lambda z: 2 * stats.norm.pdf(z / std) / std
        if std < 1:
            return integral(lambda z: np.log(2 * np.cosh(z / 2)) * density(z), 0, 3 * std, 12 * std)
        small = lambda z: np.log1p(np.exp(-z)) * density(z)
        return std / (2 * np.pi) ** 0.5 + integral(small, 0, 0.1, 1, 10, 60)

    expected = [exact(s) for s in variance**0.5]
    relative = 1e-12 if dtype == jnp.float64 else 1e-6
    np.testing.assert_allclose(each, expected, rtol=relative)
    rows = jnp.stack([0.6 * std, 0.8 * std], 1)
    np.testing.assert_allclose(log_cosh(rows, 0 * rows), expected, rtol=2 * relative)
    assert each.dtype == dtype


# The softmax


def test_two_classes_are_one_logit_of_their_difference(dtype):
    """E ln(e^y + e^z) = E ln 2cosh((y - z)/2) of centred y and z: with widths of each class."""
    normal = [[1, 1], [0.01, 0.01], [1, 3], [30, 30], [0, 0], [0, 0], [0, 0], [1, 0], [0, 0]]
    uniform = [[0, 0], [0, 0], [0, 0], [0, 0], [1, 1], [5, 2], [100, 100], [0, 3], [1e3, 1e3]]
    normal, uniform = (jnp.asarray(x, dtype) for x in (normal, uniform))
    several = log_sum_exp(normal[..., None], uniform[..., None])
    tolerance = {"rtol": 1e-10, "atol": 0} if dtype == jnp.float64 else {"rtol": 1e-5, "atol": 0}
    one = log_cosh(normal, uniform)
    np.testing.assert_allclose(several[:8], one[:8], **tolerance)
    np.testing.assert_allclose(several[8], one[8], rtol=3e-6)  # few points on a grid so wide
    assert several.dtype == dtype


def largest(*distributions):
    """E of the largest of numbers with these distribution functions, less γ."""
    below = lambda x: np.prod([f(x) for f in distributions])
    over = integral(lambda x: 1 - below(x), 0, 3, 10, 30, 80)
    return over - integral(below, -60, -10, 0) - np.euler_gamma


def shifted_uniform(a):
    """P(u + g < x) for Gumbel's g: the mean of exp(-e^{u-x}), an exponential integral."""
    return lambda x: (
        (special.exp1(np.exp(-x - a)) - special.exp1(np.exp(min(a - x, 500)))) / (2 * a)
    )


def shifted_normal(std):
    u = np.linspace(-9, 9, 901)
    weights = stats.norm.pdf(u) * 0.02
    return lambda x: np.exp(-np.exp(np.minimum(std * u - x, 50))) @ weights


def test_many_classes_are_a_maximum_by_quadrature(x64):
    """Normal and uniform classes of equal and of unequal widths."""
    normal = np.array([[1.0, 1, 1], [0.5, 2, 3], [0, 0, 0], [0, 0, 0], [0, 2.0, 0]])
    uniform = np.array([[0, 0, 0], [0, 0, 0], [5.0, 5, 5], [0.5, 2, 9], [3.0, 0, 1]])
    exact = [
        largest(*(shifted_normal(n) if n else shifted_uniform(a) for n, a in zip(*x, strict=True)))
        for x in zip(normal, uniform, strict=True)
    ]
    found = log_sum_exp(normal[..., None], uniform[..., None])
    np.testing.assert_allclose(found, exact, rtol=1e-9)


def test_classes_that_are_alike_share_their_distribution(x64):
    """One row of widths for all: 7 classes; two parameters against a nested quadrature."""
    alike = jax.jit(lambda n, u: expected_log_sum_exp(Widths(n, u), 7))
    found = alike(jnp.array([[0.6, 0.8]]), jnp.zeros((1, 2)))
    np.testing.assert_allclose(found, largest(*[shifted_normal(1.0)] * 7), rtol=1e-9)
    each = log_sum_exp(np.tile([0.6, 0.8], (1, 7, 1)), np.zeros((1, 7, 2)))[0]
    np.testing.assert_allclose(found, each, rtol=1e-12)


def test_small_features_keep_their_derivatives(dtype):
    """In float32 the quotient (sin x)/x has none left: E = ln 2 + x²a²/24."""
    narrow = jax.jit(jax.vmap(jax.grad(lambda a: expected_log_cosh(Widths(0 * a[None], a[None])))))
    a = jnp.asarray([1e-6, 1e-4, 1e-2], dtype)
    np.testing.assert_allclose(narrow(a), a / 12, rtol=1e-4, atol=2e-7 if a.dtype == "f4" else 1e-9)
