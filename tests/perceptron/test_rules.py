"""Rules: force, potential, the conservative mean force (theory 2, fact 1)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

import thermoml as tml
from thermoml.perceptron.theory import force_jump

S = np.array([-4.0, -1.3, -1e-3, 0.0, 1e-3, 0.4, 2.5])


def test_force_below_at_and_above_zero(rule, law):
    if law.force is None:
        pytest.skip("a network has no closed form")
    np.testing.assert_allclose(jax.vmap(rule)(jnp.asarray(S)), law.force(S), rtol=1e-13)


def test_potential_closed_form(rule, law):
    if law.potential is None:
        pytest.skip("a network has no closed form")
    potential = jax.vmap(rule.potential)(jnp.asarray(S))
    np.testing.assert_allclose(potential, law.potential(S), rtol=1e-10, atol=1e-15)


def test_potential_is_integral_of_force(rule):
    force = jax.jit(lambda s: rule(s))
    for s in (-1.3, 0.7):
        integral, error = quad(lambda x: float(force(x)), 0, s, epsabs=1e-11, epsrel=1e-11)
        assert abs(rule.potential(jnp.asarray(s)) - integral) <= 1e-10 + 10 * error


def test_force_is_derivative_of_potential(rule):
    s = jnp.asarray(S[S != 0])
    slope = jax.vmap(jax.grad(rule.potential))(s)
    np.testing.assert_allclose(slope, jax.vmap(rule)(s), rtol=1e-11, atol=1e-13)


def test_quadrature_potential_equals_closed_form(rule, law):
    if law.potential is None:
        pytest.skip("a network has no closed form")
    potential = tml.perceptron.CustomRule(rule).potential(jnp.asarray(S))
    np.testing.assert_allclose(potential, law.potential(S), rtol=1e-10, atol=1e-12)


def test_powers_are_those_of_the_force(rule):
    if not isinstance(rule, tml.perceptron.AbstractPowerRule):
        pytest.skip("not made of powers")
    s = jnp.asarray(S[S != 0])
    wrong, right = (sum(c * jnp.abs(s) ** p for c, p in x) + 0 * s for x in rule.powers)
    np.testing.assert_allclose(jnp.where(s < 0, wrong, right), jax.vmap(rule)(s), rtol=1e-13)


def test_rules_have_names_parameters_and_labels():
    labels = {}
    for name, rule in tml.perceptron.RULES.items():
        assert getattr(tml.perceptron, rule.__name__) is rule
        labels[name] = rule(*[0.3 for _ in rule.parameter_names()]).label
    assert labels == {
        "hebbian": "Hebbian",
        "perceptron": "Perceptron",
        "adatron": "AdaTron",
        "alpha_tron": "α-tron, α = 0.3",
        "linear_alpha_tron": "linear α-tron, α = 0.3",
    }
    assert tml.AlphaTron.parameter_names() == ("alpha",)
    assert tml.perceptron.CustomRule(jnp.tanh).label == "CustomRule"
    assert tml.OptimalRule(0.2).label == "OptimalRule, error = 0.2"
    inside = []
    jax.jit(lambda a: inside.append(tml.AlphaTron(a).label))(0.3)
    assert inside == ["α-tron, α = traced"]


def test_smooth_says_whether_the_force_jumps(rule, law):
    assert rule.smooth is law.smooth
    if rule.smooth:
        assert abs(force_jump(rule, jnp.float64)) < 1e-12


@pytest.mark.parametrize("name", ["hebbian", "perceptron", "alpha"])
def test_rules_keep_dtype(dtype, name):
    rule = {"hebbian": tml.Hebbian, "perceptron": tml.PerceptronRule}.get(
        name, lambda: tml.AlphaTron(0.5)
    )()
    s = jnp.asarray(S, dtype)
    assert rule(s).dtype == rule.potential(s).dtype == dtype


def test_alpha_zero_is_hebbian(x64):
    s = jnp.asarray(S)
    rule = tml.AlphaTron(0.0)
    np.testing.assert_array_equal(rule(s), tml.Hebbian()(s))
    np.testing.assert_allclose(rule.potential(s), s, rtol=1e-15)


def test_alpha_trons_by_vmap(x64):
    alphas = jnp.asarray([0.0, 0.3, 0.9])
    rules = jax.vmap(tml.AlphaTron)(alphas)
    forces = jax.vmap(lambda rule: rule(jnp.asarray(2.0)))(rules)
    np.testing.assert_allclose(forces, 2.0**alphas)


@pytest.mark.parametrize("s", [-1.0, 0.0, 1e-300, 2.0])
def test_gradient_in_alpha(x64, s):
    force, potential = (
        jax.grad(lambda a, f=f: f(tml.AlphaTron(a), jnp.asarray(s)))(0.4)
        for f in (lambda r, s: r(s), lambda r, s: r.potential(s))
    )
    log = np.log(s) if s > 0 else 0.0
    area = s**1.4 / 1.4 * (log - 1 / 1.4) if s > 0 else 0.0
    np.testing.assert_allclose([force, potential], [s**0.4 * log if s > 0 else 0, area])


@pytest.mark.parametrize("alpha", [-1.0, -3.0, np.nan, np.inf])
def test_no_finite_mean_force_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha must be > -1"):
        tml.AlphaTron(alpha)


@pytest.mark.parametrize(
    ("alpha", "reason"),
    [
        (-0.7, "dissipation is infinite"),
        (-0.5, "dissipation is infinite"),
        (-0.3, "variance of the heat is infinite"),
        (-0.25, "variance of the heat is infinite"),
        (1.0, "no steady state"),
        (3.0, "no steady state"),
    ],
)
def test_domain_of_alpha_is_warned_about(alpha, reason):
    with pytest.warns(tml.perceptron.RuleWarning, match=reason):
        tml.AlphaTron(alpha)


def test_linear_alpha_tron_warns_when_it_runs_away():
    with pytest.raises(ValueError, match="alpha must be finite"):
        tml.perceptron.LinearAlphaTron(np.nan)
    with pytest.warns(tml.perceptron.RuleWarning, match="run away with .* α = 1. unless"):
        tml.LearningProblem(tml.perceptron.LinearAlphaTron(1.0), learning_rate=1.0, n_inputs=4)


@pytest.fixture
def fact_one(rule, all_inputs):
    """The mean force over all 2^7 inputs and √N E Φ, as functions of the weights."""
    n = 7
    teacher = np.random.default_rng(3).normal(size=n)
    inputs = jnp.asarray(all_inputs(n))
    problem = tml.LearningProblem(rule, learning_rate=n**-0.5, n_inputs=n)
    signs = jnp.sign(inputs @ jnp.asarray(teacher))

    def force(w):
        return tml.perceptron.PerceptronLearning(problem, teacher).drive_force(w, None, inputs)

    def potential(w):
        return n**0.5 * jnp.mean(rule.potential(signs * (inputs @ w) / n**0.5))

    return force, potential, jnp.asarray(np.random.default_rng(4).normal(size=n))


def test_mean_force_is_conservative(fact_one):
    force, potential, w = fact_one
    np.testing.assert_allclose(force(w), jax.grad(potential)(w), rtol=0, atol=1e-12)


def test_mean_force_has_symmetric_jacobian(fact_one, law):
    if not law.smooth:
        pytest.skip("the force jumps")
    jacobian = jax.jacfwd(fact_one[0])(fact_one[2])
    np.testing.assert_allclose(jacobian, jacobian.T, rtol=0, atol=1e-12)
