"""The least dissipation for an error, and the rule that reaches it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

import thermoml as tml

ERRORS = [0.1, 0.25, 0.4]


@pytest.fixture(autouse=True)
def _float64(x64):
    """All of this in float64."""


def mean_square_alignment(rho):
    """g(ρ) by quadrature of SciPy."""

    def term(y):
        x = rho / np.sqrt(1 - rho**2) * y
        hazard = np.exp(norm.logpdf(x) - norm.logcdf(x))
        given = rho * y + np.sqrt(1 - rho**2) * hazard
        return 2 * norm.pdf(y) * norm.cdf(x) * given**2

    return quad(term, -12, 0, epsabs=1e-13)[0] + quad(term, 0, 12, epsabs=1e-13)[0]


@pytest.mark.parametrize("error", [0.02, *ERRORS, 0.45])
def test_bound_against_another_quadrature(error):
    rho = np.cos(np.pi * error)
    expected = 2 * ((1 - rho**2 / mean_square_alignment(rho)) ** -0.5 - 1)
    np.testing.assert_allclose(tml.dissipation_bound(error), expected, rtol=1e-8)


# By quadrature of another's program in extended precision.
TINY = {1e-5: 13379620.0, 1e-4: 423098.790, 1e-3: 13377.596}


@pytest.mark.parametrize("error", TINY)
def test_bound_at_tiny_errors(error):
    np.testing.assert_allclose(tml.dissipation_bound(error), TINY[error], rtol=1e-7)


@pytest.mark.exhaustive
def test_bound_and_its_gradient_in_float32():
    """2e-6 from ε = 1e-6 to 1/2 and beyond, where D_min vanishes like (ε - 1/2)²."""
    errors = np.concatenate([np.geomspace(1e-6, 0.4, 40), 0.5 - np.geomspace(1e-3, 0.1, 20)])
    errors = np.concatenate([errors, 1 - errors]).astype(np.float32)
    both = jax.vmap(jax.value_and_grad(tml.dissipation_bound))
    double = both(jnp.asarray(errors, float))
    with jax.enable_x64(False):
        single = both(jnp.asarray(errors))
        assert single[0].dtype == jnp.float32
    for value, expected in zip(single, double, strict=True):
        np.testing.assert_allclose(value, expected, rtol=2e-6)
    np.testing.assert_array_equal(tml.dissipation_bound(0.5), 0)
    np.testing.assert_array_equal(jax.grad(tml.dissipation_bound)(0.5), 0)


@pytest.mark.exhaustive
@pytest.mark.parametrize("error", [1e-6, 1e-3, 0.2, 0.499, 0.7])
def test_optimal_rule_in_float32(error):
    """F and Φ to 1e-5 of their largest, within five standard deviations."""
    exact = tml.OptimalRule(np.float32(error).astype(float))
    places = jnp.linspace(-5, 5, 41) * (1 + exact.dissipation / 2) ** 0.5
    expected = [jax.vmap(f)(places) for f in (exact, exact.potential)]
    with jax.enable_x64(False):
        rule = tml.OptimalRule(np.float32(error))
        s = jnp.asarray(places, jnp.float32)
        single = [jax.vmap(f)(s) for f in (rule, rule.potential)]
    for value, other in zip(single, expected, strict=True):
        np.testing.assert_allclose(value, other, rtol=0, atol=1e-5 * float(jnp.abs(other).max()))


@pytest.mark.exhaustive
def test_optimal_states_in_float32():
    """Right at 0.001; refused where decay and force cancel to rounding."""
    with jax.enable_x64(False):
        problem = tml.LearningProblem(tml.OptimalRule(0.001), learning_rate=1.0)
        np.testing.assert_allclose(tml.steady_state(problem).error, 0.001, rtol=1e-3)
        problem = tml.LearningProblem(tml.OptimalRule(1e-4), learning_rate=1.0)
        with pytest.raises(ValueError, match="cannot be computed in float32.*use float64"):
            tml.steady_state(problem)


def test_bound_scales_with_stiffness_and_temperature_and_is_symmetric():
    errors = jnp.asarray([0.2, 0.8])
    found = tml.dissipation_bound(errors, stiffness=2.0, temperature=3.0)
    np.testing.assert_allclose(found, 6 * tml.dissipation_bound(0.2), rtol=1e-12)
    np.testing.assert_allclose(tml.dissipation_bound(0.5), 0, atol=1e-12)


def test_bound_is_differentiable():
    slope = jax.grad(tml.dissipation_bound)(jnp.asarray(0.25))
    ahead, behind = tml.dissipation_bound(0.25 + 1e-5), tml.dissipation_bound(0.25 - 1e-5)
    np.testing.assert_allclose(slope, (ahead - behind) / 2e-5, rtol=1e-8)


def optimal_state(error):
    problem = tml.LearningProblem(tml.OptimalRule(error), learning_rate=1.0)
    return tml.steady_state(problem)


@pytest.mark.slow
def test_optimal_rule_reaches_the_bound():
    errors = jnp.asarray(ERRORS)
    state = jax.jit(jax.vmap(optimal_state))(errors)
    bound = tml.dissipation_bound(errors)
    np.testing.assert_allclose(state.error, errors, rtol=1e-9)
    np.testing.assert_allclose(state.dissipation, bound, rtol=1e-9)
    np.testing.assert_allclose(state.norm, 1 + bound / 2, rtol=1e-9)


def test_potential_of_the_optimal_rule_is_its_integral():
    rule = tml.OptimalRule(0.2)
    for s in (-2.0, 0.7, 3.0):
        expected = quad(lambda x: float(rule(jnp.asarray(x))), 0, s, epsabs=1e-12)[0]
        np.testing.assert_allclose(rule.potential(jnp.asarray(s)), expected, rtol=1e-9)


@pytest.mark.exhaustive
def test_no_rule_beats_the_bound():
    """Hebbian is the α-tron with α = 0, and the Perceptron the linear one."""
    rates = jnp.asarray([0.1, 0.5, 1.0, 2.0])
    for make, alphas in (
        (tml.AlphaTron, [0.0, 0.5]),
        (tml.perceptron.LinearAlphaTron, [0.0, 0.3]),
        (lambda _: tml.AdaTron(), [0.0]),
    ):

        def state(alpha, rate, make=make):
            return tml.steady_state(tml.LearningProblem(make(alpha), learning_rate=rate))

        alphas, each = (x.ravel() for x in jnp.meshgrid(jnp.asarray(alphas), rates))
        found = jax.jit(jax.vmap(state))(alphas, each)
        assert (tml.dissipation_bound(found.error) <= found.dissipation * (1 + 1e-12)).all()


def test_weak_hebbian_learning_touches_the_frontier():
    state = tml.steady_state(tml.LearningProblem(tml.Hebbian(), learning_rate=0.01))
    ratio = tml.dissipation_bound(state.error) / state.dissipation
    assert 0.999 < ratio < 1


@pytest.mark.parametrize("error", [0.0, 1.0, -0.1, float("nan")])
def test_errors_out_of_range(error):
    with pytest.raises(ValueError, match="error must be finite and [<>]"):
        tml.dissipation_bound(error)
    with pytest.raises(ValueError, match="error must be"):
        tml.OptimalRule(error)


@pytest.mark.slow
def test_at_dissipation():
    problem = tml.LearningProblem(tml.AlphaTron(0.3), learning_rate=1.0)
    same = tml.perceptron.at_dissipation(problem, 1.5)
    np.testing.assert_allclose(tml.steady_state(same).dissipation, 1.5, rtol=1e-11)
    # Runs away from a rate of 1/0.3, and dissipates any amount before.
    growing = tml.LearningProblem(tml.perceptron.LinearAlphaTron(0.3), learning_rate=1.0)
    same = jax.vmap(lambda d: tml.perceptron.at_dissipation(growing, d))(
        jnp.asarray([0.3, 1.0, 30.0])
    )
    assert (jnp.diff(same.learning_rate) > 0).all()
    found = tml.steady_state(dataclasses.replace(growing, learning_rate=same.learning_rate[2]))
    np.testing.assert_allclose(found.dissipation, 30.0, rtol=1e-10)
    idle = tml.LearningProblem(lambda s: 0 * s, learning_rate=1.0)
    with pytest.raises(ValueError, match="the rule cannot dissipate 2 in a steady state"):
        tml.perceptron.at_dissipation(idle, 2.0)
    with pytest.raises(ValueError, match="dissipation must be finite and > 0"):
        tml.perceptron.at_dissipation(problem, -1.0)
