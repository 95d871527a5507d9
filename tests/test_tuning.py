"""Tuning: known minima, constraints, noise, and what cannot be done."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import thermoml as tml


@pytest.fixture(autouse=True)
def _float64(x64):
    """All of this in float64."""


def rosenbrock(p):
    return (1 - p["a"]) ** 2 + 100 * (p["b"] - p["a"] ** 2) ** 2


def test_a_known_minimum():
    found = tml.tune(rosenbrock, {"a": -1.2, "b": 1.0})
    assert found.converged
    np.testing.assert_allclose([found.parameters["a"], found.parameters["b"]], 1, rtol=1e-7)
    assert found.value < 1e-15
    assert found.values[0] > 20
    assert "converged" in str(found)


@pytest.mark.parametrize("together", [False, True])
def test_a_constraint(together):
    """The point of the line a + b = 2 nearest to (3, 0) is (2.5, -0.5)."""

    def far(p):
        return jnp.sum((p - jnp.asarray([3.0, 0.0])) ** 2)

    def off(p):
        return p.sum() - 2

    objective = (lambda p: (far(p), off(p))) if together else far
    found = tml.tune(objective, jnp.zeros(2), constraint=True if together else off)
    np.testing.assert_allclose(found.parameters, [2.5, -0.5], rtol=1e-6)
    assert abs(found.constraint[0]) < 1e-8


def test_stays_where_the_objective_is_finite():
    found = tml.tune(lambda p: p - jnp.log(p), 0.01)
    np.testing.assert_allclose(found.parameters, 1, rtol=1e-6)


def test_another_optimiser():
    found = tml.tune(lambda p: (p - 2) ** 2, 0.0, optimiser=optax.sgd(0.3), max_steps=100)
    np.testing.assert_allclose(found.parameters, 2, rtol=1e-6)


@pytest.mark.exhaustive
def test_alpha_at_fixed_rate_from_a_bad_start():
    """A scan beside the optimum is highest there, to 1e-5 in α."""

    def error(alpha):
        return tml.steady_state(tml.LearningProblem(tml.AlphaTron(alpha), learning_rate=0.5)).error

    # At fixed rate the error has its maximum near α = 0.1 (see the scan), so maximise it.
    found = tml.tune(lambda alpha: -error(alpha), -0.2)
    assert found.converged
    at = float(found.parameters)
    scan = jax.jit(jax.vmap(error))(at + jnp.asarray([-1e-3, 0.0, 1e-3]))
    assert scan[1] > scan[0]
    assert scan[1] > scan[2]
    curvature = (scan[0] - 2 * scan[1] + scan[2]) / 1e-6
    slope = (scan[2] - scan[0]) / 2e-3
    assert abs(slope / curvature) < 1e-5


class Noisy(tml.perceptron.AbstractObjective):
    """|p - 3|² with noise in its gradient."""

    @property
    def stochastic(self):
        return True

    def value_and_gradient(self, parameters, key=None):
        noise = jax.random.normal(key)
        one = jnp.ones(())
        value = (parameters - 3) ** 2
        return tml.perceptron.Gradient(value, 0.1 * one, 2 * (parameters - 3) + noise, one)


def test_noise():
    found = tml.tune(Noisy(), 1.0, key=jax.random.key(0), max_steps=400)
    assert abs(found.parameters - 3) < 0.2
    with pytest.raises(TypeError, match="key is needed"):
        tml.tune(Noisy(), 1.0)
    with pytest.raises(ValueError, match="constraint must be left out"):
        tml.tune(Noisy(), 1.0, key=jax.random.key(0), constraint=lambda p: p)
    mean = tml.LearningObjective(lambda rate: rate, tml.MeanField(), t1=1.0)
    with pytest.raises(TypeError, match="^constraint must be a function"):
        tml.tune(mean, 1.0, constraint=True)


def test_what_cannot_be_done():
    with pytest.raises(ValueError, match="must be finite where tuning begins"):
        tml.tune(jnp.log, -1.0)
    with pytest.raises(ValueError, match="the constraint cannot be met"):
        tml.tune(lambda p: p**2, 1.0, constraint=lambda p: p**2 + 1, max_steps=60)
    with pytest.raises(TypeError, match="at least one float to tune"):
        tml.tune(lambda p: 0.0, {"name": "alpha"})
    with pytest.raises(ValueError, match="objective must return a scalar"):
        tml.tune(lambda p: p, jnp.ones(2))
    with pytest.raises(ValueError, match="tolerance must be"):
        tml.tune(lambda p: p**2, 1.0, tolerance=0.0)


@pytest.mark.parametrize(
    "falling", [lambda x: -x, lambda x: -(x**2), lambda x: 1e12 - x, lambda x: -jnp.log(x)]
)
def test_what_falls_for_ever_does_not_converge(dtype, falling):
    assert not tml.tune(falling, jnp.ones((), dtype), max_steps=60).converged


def test_convergence_does_not_depend_on_units(x64):
    """A minimum at 3 and -1, in any unit of the parameters and of the objective."""
    place = jnp.array([3.0, -1.0])

    @jax.jit
    def tuned(scale, offset, unit):
        def objective(x):
            away = x / unit - place
            return scale * (offset + jnp.sum(jnp.cosh(away)) + away[0] * away[1] / 2)

        return tml.tune(objective, jnp.zeros(2))

    for scale, offset, unit in itertools.product([1e-12, 1.0, 1e12], [0.0, -1e6], [1e-6, 1.0, 1e6]):
        minimum = tuned(scale, offset, unit)
        assert minimum.converged
        np.testing.assert_allclose(minimum.parameters, unit * place, atol=1e-6 * unit)


def test_a_start_at_the_minimum_converges_at_once(dtype):
    tuned = tml.tune(lambda x: 1e6 + (x - 3) ** 2, jnp.asarray(3.0, dtype))
    assert tuned.converged
    assert tuned.parameters == 3.0
    again = tml.tune(lambda x: jnp.cosh(x - 3), tml.tune(lambda x: jnp.cosh(x - 3), 1.0).parameters)
    assert again.converged
