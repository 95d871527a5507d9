"""Gradients of what was learned: every way against finite differences with common noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml

KEY = jax.random.key(1)
STEPS = {"t1": 1.0, "n_trajectories": 4096}


def build(alpha):
    return tml.LearningProblem(tml.AlphaTron(alpha), learning_rate=1.0, n_inputs=100, batch=30)


def overlap(curve):
    return curve.overlap[:, -1]


def reduced(method):
    objective = tml.LearningObjective(
        build, tml.Reduced(0.02), measure=overlap, method=method, **STEPS
    )
    return objective.value_and_gradient(jnp.asarray(0.5), KEY)


@pytest.fixture(scope="module")
def difference():
    return reduced("auto")


def apart(found, other):
    """The difference of two gradients in standard errors; their noise is nearly the same."""
    error = np.hypot(found.gradient_error, other.gradient_error)
    return float((found.gradient - other.gradient) / error)


@pytest.mark.slow
def test_jumping_rules_go_by_finite_differences(difference):
    assert difference.gradient_error < 0.03 * difference.gradient
    assert difference.value_error > 0


@pytest.mark.slow
def test_jump_corrected_tangents_agree_and_plain_ones_do_not(difference):
    assert abs(apart(reduced("jump_corrected"), difference)) < 4
    # 4 to 5 % too low: more than 4 standard errors
    assert apart(reduced("pathwise"), difference) < -4


@pytest.mark.slow
def test_mean_steps_agree(difference):
    level = tml.MeanField(0.02, finite_step=True)
    objective = tml.LearningObjective(build, level, t1=1.0, measure=overlap)
    found = objective.value_and_gradient(jnp.asarray(0.5))
    assert not objective.stochastic
    error = 4 * float(difference.gradient_error)
    assert abs(float(found.gradient - difference.gradient)) < error + 0.02 * float(found.gradient)


@pytest.mark.slow
def test_likelihood_ratio():
    """In alpha and the learning rate, at small N, where its variance is small."""

    def small(p):
        rule = tml.AlphaTron(p[0])
        return tml.LearningProblem(rule, learning_rate=p[1], n_inputs=np.int64(5), batch=4)

    def found(method):
        level = tml.Microscopic(0.05)
        objective = tml.LearningObjective(
            small, level, t1=0.5, measure=overlap, n_trajectories=20_000, method=method
        )
        return objective.value_and_gradient(jnp.asarray([0.5, 1.0]), KEY)

    ratio, difference = found("likelihood_ratio"), found("finite_difference")
    error = np.hypot(ratio.gradient_error, difference.gradient_error)
    assert (np.abs(ratio.gradient - difference.gradient) < 4 * error).all()
    assert error[1] < 0.3 * abs(difference.gradient[1])


@pytest.mark.slow
def test_smooth_rules_go_along_the_path():
    def smooth(p):
        return tml.LearningProblem(tml.AdaTron(), learning_rate=p["rate"], n_inputs=50, batch=5)

    def found(method):
        level = tml.Reduced(0.05)
        objective = tml.LearningObjective(
            smooth, level, t1=0.5, n_trajectories=64, method=method, step=0.01
        )
        assert objective.method_for({"rate": 1.0}) in ("pathwise", "finite_difference")
        return objective.value_and_gradient({"rate": 1.0}, KEY)

    path, difference = found("auto"), found("finite_difference")
    np.testing.assert_allclose(path.gradient["rate"], difference.gradient["rate"], rtol=5e-3)


@pytest.mark.slow
def test_samples_are_what_the_means_are_made_of():
    """And those of some trajectories are those of a run that begins with them."""

    def made(p):
        return tml.LearningProblem(tml.AdaTron(), learning_rate=p[0], stiffness=p[1], n_inputs=50)

    objective = tml.LearningObjective(made, tml.Reduced(0.05), t1=0.2, n_trajectories=8)
    place = jnp.asarray([1.0, 1.2])
    values, slopes = objective.samples(place, KEY, jnp.asarray(0))
    assert values.shape == (8,)
    assert slopes.shape == (8, 2)
    found = objective.value_and_gradient(place, KEY)
    np.testing.assert_allclose(values.mean(), found.value, rtol=1e-5)
    np.testing.assert_allclose(slopes.mean(axis=0), found.gradient, rtol=1e-4)
    error = slopes.std(axis=0, ddof=1) / 8**0.5
    np.testing.assert_allclose(error, found.gradient_error, rtol=1e-3)
    later, their_slopes = objective.samples(place, KEY, jnp.asarray(5))
    np.testing.assert_allclose(later[:3], values[5:], rtol=1e-5)
    np.testing.assert_allclose(their_slopes[:3], slopes[5:], rtol=1e-3, atol=1e-5)


@pytest.mark.usefixtures("unchecked")
def test_bad_arguments():
    with pytest.raises(ValueError, match="method must be one of auto, pathwise"):
        tml.LearningObjective(build, tml.Reduced(0.01), t1=1.0, method="best")
    with pytest.raises(ValueError, match="likelihood_ratio needs level=Microscopic"):
        tml.LearningObjective(build, tml.Reduced(0.01), t1=1.0, method="likelihood_ratio")
    with pytest.raises(ValueError, match="jump_corrected needs level=Reduced"):
        tml.LearningObjective(build, tml.MeanField(), t1=1.0, method="jump_corrected")
    objective = tml.LearningObjective(build, tml.Reduced(0.01), t1=1.0)
    with pytest.raises(TypeError, match="key is needed"):
        objective.value_and_gradient(0.5)
    scalar = tml.LearningObjective(build, tml.MeanField(), t1=1.0, measure=lambda c: c.error.mean())
    with pytest.raises(ValueError, match=r"measure must return shape \(1,\)"):
        scalar(0.5)
