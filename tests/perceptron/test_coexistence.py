"""Several minima of the free energy: exact states, metastable states, spinodals, budgets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml

RULE = tml.perceptron.CustomRule(
    lambda s: 0.4 + 3 * jax.nn.sigmoid(6 * (s - 2)), continuous=True, kinks=2.0
)


@pytest.fixture(scope="module", autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def problem(rate, **more):
    return tml.LearningProblem(RULE, learning_rate=rate, temperature=0.15, **more)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "overlap"),
    [(200, 0.826864005), pytest.param(400, 0.664892, marks=pytest.mark.exhaustive)],
)
def test_the_exact_state_has_both_wells(n, overlap):
    """By a trapezoidal rule on 1000 x 260 points of (R, ln P); one well alone has R = 0.38."""
    state = tml.steady_state(problem(1.1572, n_inputs=n), exact=True)
    np.testing.assert_allclose(state.overlap, overlap, rtol=1e-6)


@pytest.mark.slow
def test_metastable_states():
    """Each is at rest; the first is the steady state, learning by time stays in the other."""
    states = tml.perceptron.metastable_states(problem(1.3))
    np.testing.assert_allclose([x.overlap for x in states], [2.7225, 0.43842], rtol=1e-4)
    assert states[0].free_energy < states[1].free_energy
    lowest = tml.steady_state(problem(1.3))
    np.testing.assert_allclose(states[0].overlap, lowest.overlap, rtol=1e-10)
    curve = tml.learn(problem(1.3), tml.MeanField(), t1=40.0)
    np.testing.assert_allclose(curve.overlap[0, -1], states[1].overlap, rtol=1e-6)
    assert len(tml.perceptron.metastable_states(problem(0.8))) == 1


@pytest.mark.slow
def test_spinodals():
    """On either side of each the number of minima differs."""
    rates = tml.perceptron.spinodals(problem(1.0), lowest=0.5, highest=3.0)
    np.testing.assert_allclose(rates, [1.08622942, 1.51075802], rtol=1e-7)
    counts = [len(tml.perceptron.metastable_states(problem(x * y))) for x in rates
              for y in (0.995, 1.005)]  # fmt: skip
    assert counts == [1, 2, 2, 1]


@pytest.mark.exhaustive
@pytest.mark.parametrize("wanted", [0.15, 6.0, 0.5, 2.0])
def test_a_dissipation_that_is_jumped_over(wanted):
    """At ν̃ = 1.158 the lower minimum changes, and D jumps from 0.21 to 5."""
    if wanted in (0.5, 2.0):
        with pytest.raises(ValueError, match="jumps over it from one state to another"):
            tml.perceptron.at_dissipation(problem(1.0), wanted)
        return
    same = tml.perceptron.at_dissipation(problem(1.0), wanted)
    np.testing.assert_allclose(tml.steady_state(same).dissipation, wanted, rtol=1e-6)


@pytest.mark.parametrize("n", [2, 3, 4, 7, 1000])
def test_exact_states_of_hebbian_in_closed_form(n):
    """R = ν̃√(2/π)/k, Q = T/k + R², P² = Q - R²."""
    hebbian = tml.LearningProblem(
        tml.Hebbian(), learning_rate=0.8, stiffness=1.2, temperature=0.7, n_inputs=n
    )
    state = tml.steady_state(hebbian, exact=True)
    overlap = (2 / np.pi) ** 0.5 * 0.8 / 1.2
    expected = overlap, 0.7 / 1.2 + overlap**2, 0.7 / 1.2
    np.testing.assert_allclose([state.overlap, state.norm, state.transverse], expected, rtol=1e-12)


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore::thermoml.perceptron.ScaleSeparationWarning")
@pytest.mark.parametrize("alpha", [0.5, -0.4])
def test_the_plane_of_a_steady_state_in_float32(quiet_alpha_tron, alpha):
    """P at ν̃ = 1000, where Q - R² cancels; a run starts there with the same error."""
    exact, single = [], []
    for double, numbers in ((True, exact), (False, single)):
        with jax.enable_x64(double):
            fast = tml.LearningProblem(quiet_alpha_tron(alpha), learning_rate=1e3, n_inputs=100)
            state = tml.steady_state(fast)
            numbers += [float(state.plane[1]), float(state.error)]
            if not double:
                curve = tml.learn(
                    fast, tml.Reduced(1e-4), t1=1e-4, key=jax.random.key(0), weights=state
                )
                np.testing.assert_allclose(curve.error[0, 0], state.error, rtol=1e-6)
    np.testing.assert_allclose(single, exact, rtol=1e-4)


STATES = {
    "perceptron": tml.PerceptronRule,
    "adatron": tml.AdaTron,
    "alpha": lambda: tml.AlphaTron(0.5),
    "margin": lambda: tml.perceptron.CustomRule(lambda s: jnp.where(s < 0.5, 1.0, 0.0)),
}


@pytest.mark.exhaustive
@pytest.mark.parametrize(("name", "exact"), [(x, False) for x in STATES] + [("alpha", True)])
def test_steady_states_in_float32(name, exact):
    """1e-4 for ν̃ from 1e-3 to 1e3; an exact state that rounding would change is refused."""

    def states():
        def at(rate):
            learning = tml.LearningProblem(
                STATES[name](), learning_rate=rate, n_inputs=10 if exact else None
            )
            state = tml.steady_state(learning, exact=exact)
            return state.overlap, state.norm, state.transverse, state.error, state.dissipation

        rates = jnp.asarray(np.geomspace(1e-3, 1e3, 13).astype(np.float32), float)
        return np.asarray(jax.jit(jax.vmap(at))(rates))

    double = states()
    with jax.enable_x64(False):
        single = states()
    assert np.isfinite(double).all()
    refused = np.isnan(single).any(axis=0)
    assert not refused[: 9 if exact else 13].any()
    kept = ~refused
    np.testing.assert_allclose(single[:, kept], double[:, kept], rtol=2e-3 if exact else 1e-4)
