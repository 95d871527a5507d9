"""Closed forms and scales of steady states, and problems that have none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from steady_states import POINTS, SIZES, problem

import thermoml as tml


@pytest.fixture(scope="module", autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def exact_state(rule, n, point):
    given = problem(rule, point, n_inputs=n, batch=2, inputs="gaussian")
    return tml.steady_state(given, exact=True)


RULES = {
    "hebbian": tml.Hebbian,
    "perceptron": tml.PerceptronRule,
    "linear": lambda: tml.perceptron.LinearAlphaTron(0.3),
    "alpha 1": lambda: tml.AlphaTron(1.0),
    "alpha 1.5": lambda: tml.AlphaTron(1.5),
    "cubic": lambda: tml.perceptron.CustomRule(lambda s: s**3),
    "nan": lambda: tml.perceptron.CustomRule(lambda s: s * jnp.nan),
}


def test_hebbian_in_closed_form():
    for rate, k, bath in POINTS:
        state = tml.steady_state(problem(tml.Hebbian(), (rate, k, bath), **SIZES))
        overlap = rate * (2 / np.pi) ** 0.5 / k
        dissipation = rate**2 * (1 - 2 / np.pi / 10)
        expected = {
            "overlap": overlap,
            "norm": overlap**2 + bath / k,
            "error": np.arctan((np.pi * k * bath / 2) ** 0.5 / rate) / np.pi,
            "dissipation": dissipation,
            "excess_rate": 10**2 / 2 * dissipation / bath,
            "housekeeping": 0,
            "free_energy": (bath - k * overlap**2 - bath * np.log(bath / k)) / 2,
        }
        for name, value in expected.items():
            np.testing.assert_allclose(getattr(state, name), value, rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("name", ["hebbian", "perceptron"])
def test_temperature_only_sets_the_scale(name):
    """w → w√(T/k): the error at (ν̃, k, T) is that at (ν̃/√(kT), 1, 1) where F has no scale."""
    states = [tml.steady_state(problem(RULES[name](), x, **SIZES)) for x in POINTS]
    errors = [float(state.error) for state in states]
    np.testing.assert_allclose(errors[:4], errors[4:], rtol=1e-12)


def test_float32_without_n():
    """Without N, the dissipation is ν̃²E F² = ν̃²ε for the Perceptron, and no rate is known."""
    expected = tml.steady_state(problem(tml.PerceptronRule(), POINTS[0], **SIZES))
    with jax.enable_x64(False):
        state = tml.steady_state(problem(tml.PerceptronRule(), POINTS[0]))
        assert state.excess_rate is None
        assert "excess_rate" not in str(state)
        np.testing.assert_allclose(state.dissipation, POINTS[0, 0] ** 2 * state.error, rtol=1e-6)
        for name in ("overlap", "norm", "error", "free_energy"):
            value = getattr(state, name)
            assert value.dtype == jnp.float32
            np.testing.assert_allclose(value, getattr(expected, name), rtol=2e-6, err_msg=name)


@pytest.mark.exhaustive
def test_other_numbers_compile_nothing_new():
    """Every trace passes the rule; N is a number like the others."""
    traces = []

    def rule(s):
        traces.append(s)
        return jnp.exp(-s)

    def both(point, n):
        tml.steady_state(problem(rule, point, n_inputs=n, batch=2))
        exact_state(rule, n, point)

    both((1.0, 1.0, 1.0), 10)
    assert traces
    traces.clear()
    for point in ((0.7, 1, 0.9), (np.float32(0.6), jnp.asarray(1.2), np.float64(0.8))):
        for n in (12, jnp.asarray(13)):
            both(point, n)
    assert not traces


SET = {"batch": 2, "inputs": tml.TrainingSet(np.ones((4, 3), np.float32))}


class Skewed(tml.perceptron.AbstractInputs):
    """Inputs of a user's own, whose averages the theory does not know."""

    def draw(self, draws, *, batch, n_inputs, dtype):
        raise NotImplementedError

    def footprint(self, batch, n_inputs):
        return batch * n_inputs


OWN = {"inputs": Skewed()}
REFUSALS = [
    ("alpha 1", (1, 1, 1), {}, False, "F.s. must grow more slowly than .* got α-tron, α = 1$"),
    ("alpha 1.5", (0.1, 1, 1), {}, False, "no steady state: the weights run away.* α = 1.5$"),
    ("linear", (2, 0.5, 1), {}, False, "F.s. must grow more slowly than stiffness/learning_rate"),
    ("cubic", (0.1, 1, 1), {}, False, "F.s. must grow more slowly than stiffness/learning_rate"),
    ("nan", (1, 1, 1), {}, False, "rule must be finite"),
    ("hebbian", (1, 0, 1), {}, False, "stiffness must be finite and > 0, got 0"),
    ("hebbian", (1, 1, 0), {}, False, "temperature must be finite and > 0, got 0"),
    ("hebbian", (1, 1, 1), SET, False, "inputs must be binary or gaussian .* as TrainingSet"),
    ("hebbian", (1, 1, 1), OWN, False, "inputs must be binary or gaussian .* as Skewed.*Micro"),
    ("hebbian", (1, 1, 1), {}, True, "n_inputs must be given .* for the exact"),
    ("hebbian", (1, 1, 1), {"n_inputs": 1}, True, "n_inputs must be at least 2, got 1"),
]


@pytest.mark.parametrize(("name", "point", "more", "exact", "reason"), REFUSALS)
@pytest.mark.filterwarnings("ignore::thermoml.perceptron.RuleWarning")
def test_no_steady_state_is_refused(name, point, more, exact, reason):
    with pytest.raises(ValueError, match=reason):
        tml.steady_state(problem(RULES[name](), point, **more), exact=exact)


@pytest.mark.usefixtures("unchecked")
def test_something_else_than_a_problem_is_refused():
    with pytest.raises(TypeError, match="problem must be a LearningProblem"):
        tml.steady_state(tml.Hebbian())
