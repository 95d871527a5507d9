"""Students whose weights are zero: tabula rasa, and the equilibrium at T = 0."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml

LEVELS = {
    "time": tml.MeanField(0.01),
    "steps": tml.MeanField(0.01, finite_step=True),
    "reduced": tml.Reduced(0.01),
    "microscopic": tml.Microscopic(0.01),
}
ZERO = {"weights": np.zeros(20), "teacher": np.ones(20)}


def run(rule, level, *, temperature=0.0, stiffness=0.0, **start):
    problem = tml.LearningProblem(
        rule,
        learning_rate=1.0,
        n_inputs=20,
        batch=4,
        stiffness=stiffness,
        temperature=temperature,
    )
    options = {"adjoint": tml.langevin.ForwardMode(), "key": jax.random.key(0)} | start
    return tml.learn(problem, level, t1=0.02, save_every=1, n_trajectories=3, **options)


@pytest.mark.parametrize("level", LEVELS.values(), ids=LEVELS)
@pytest.mark.filterwarnings("ignore::thermoml.perceptron.ScaleSeparationWarning")
def test_hebbian_learns_from_nothing(level):
    """k = T = 0: R = ν̃√(2/π) t as N → ∞; the student knows nothing at first."""
    curve = run(tml.Hebbian(), level, **ZERO)
    assert (curve.error[:, 0] == 0.5).all()
    assert (curve.information[:, 0] == 0).all()
    assert (curve.error[:, 1:] < 0.5).all()
    assert not jnp.isnan(curve.information).any()
    if isinstance(level, tml.MeanField):
        np.testing.assert_allclose(curve.overlap[0], (2 / np.pi) ** 0.5 * curve.times, rtol=1e-5)


@pytest.mark.parametrize("level", LEVELS.values(), ids=LEVELS)
def test_a_perceptron_at_zero_temperature_stays_at_one_half(level):
    """F(0) = 0: the equilibrium N(0, T/k) is zero, and nothing moves it."""
    curve = run(tml.PerceptronRule(), level, stiffness=1.0)
    assert (curve.error == 0.5).all()
    assert (curve.norm == 0).all()


def test_entropy_of_a_start_from_nothing_is_infinite():
    """At T > 0 the first step gives the weights an entropy that they did not have: η = 0."""
    curve = run(tml.Hebbian(), tml.MeanField(0.01), temperature=0.5, stiffness=1.0, **ZERO)
    assert (curve.system_entropy[:, 0] == 0).all()
    assert (curve.system_entropy[:, 1:] == jnp.inf).all()
    assert (curve.efficiency == 0).all()
    mean, _ = curve.mean_efficiency
    assert (mean == 0).all()
