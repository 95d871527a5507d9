"""The perceptron, its errors, and the information in a label."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml


def test_prediction_is_plus_one_at_zero():
    perceptron = tml.Perceptron(jnp.asarray([1.0, -1.0]))
    inputs = jnp.asarray([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0]])
    np.testing.assert_array_equal(perceptron(inputs), [1.0, 1.0, -1.0])
    np.testing.assert_allclose(perceptron.activation(inputs), [0, 2**0.5, -(2**0.5)], rtol=1e-6)
    with pytest.raises(ValueError, match="2 components"):
        perceptron(jnp.ones(3))


@pytest.mark.parametrize("angle", [0.0, np.pi / 4, np.pi / 2, np.pi])
def test_error_is_angle_over_pi(dtype, angle):
    student = jnp.asarray([3 * np.cos(angle), 3 * np.sin(angle)], dtype)
    error = tml.perceptron.generalization_error(
        student, tml.Perceptron(jnp.asarray([0.1, 0.0], dtype))
    )
    assert error.dtype == dtype
    np.testing.assert_allclose(error, angle / np.pi, atol=3 * np.finfo(dtype).eps)


@pytest.mark.parametrize("angle", [1e-6, 1e-4])
def test_tiny_errors_survive_in_float32(angle):
    student = jnp.asarray([1.0, angle, 0.0], jnp.float32)
    teacher = jnp.asarray([1.0, 0.0, 0.0], jnp.float32)
    np.testing.assert_allclose(
        tml.perceptron.generalization_error(student, teacher), angle / np.pi, rtol=1e-5
    )
    almost_wrong = tml.perceptron.generalization_error(-student, teacher)
    np.testing.assert_allclose(almost_wrong, 1 - angle / np.pi, rtol=1e-6)


def test_error_is_scale_invariant_and_broadcasts(x64):
    students, teachers = np.random.default_rng(0).normal(size=(2, 4, 6))
    table = tml.perceptron.generalization_error(students[:, None] * 7.0, 0.01 * teachers[None])
    cosine = (students @ teachers.T) / np.outer(
        np.linalg.norm(students, axis=1), np.linalg.norm(teachers, axis=1)
    )
    np.testing.assert_allclose(table, np.arccos(cosine) / np.pi, rtol=1e-12)


def test_error_of_zero_weights():
    """They predict +1 always: wrong for half of the inputs; such a teacher has no direction."""
    error = tml.perceptron.generalization_error
    assert error(jnp.zeros(3), jnp.ones(3)) == 0.5
    assert np.isnan(error(jnp.ones(3), jnp.zeros(3)))
    assert np.isnan(error(jnp.asarray([jnp.nan, 0, 0]), jnp.ones(3)))
    assert (jax.grad(error)(jnp.zeros(3), jnp.ones(3)) == 0).all()


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_gradient_of_the_error(scale):
    """At a right angle -1/(π|w|) along the teacher; at the tips of the cone 0."""
    slope = jax.grad(tml.perceptron.generalization_error)
    teacher = jnp.asarray([1.0, 0, 0])
    across = slope(jnp.asarray([0, scale, 0], jnp.float32), teacher)
    np.testing.assert_allclose(across * scale, [-1 / np.pi, 0, 0], rtol=1e-6, atol=1e-7)
    for sign in (1, -1):
        student = sign * scale * jnp.asarray([1.0, 2.0, 3.0])
        assert (slope(student, student / scale * sign) == 0).all()


def test_test_error_counts(x64, all_inputs):
    students, teacher = np.random.default_rng(0).normal(size=(4, 5)), np.ones(5)
    inputs = all_inputs(5)
    wrong = ((students @ inputs.T < 0) != (teacher @ inputs.T < 0)).mean(axis=1)
    np.testing.assert_allclose(tml.perceptron.test_error(students, teacher, inputs), wrong)
    np.testing.assert_allclose(tml.perceptron.test_error(students[0], teacher, inputs), wrong[0])
    assert (
        tml.perceptron.test_error(students[:, None], students[None], inputs).diagonal() == 0
    ).all()
    with pytest.raises(ValueError, match="inputs must have shape"):
        tml.perceptron.test_error(students, teacher, np.ones(5))


def test_label_information(x64):
    error = np.array([0.0, 0.25, 0.5, 1.0])
    expected = np.log(2) + 0.25 * np.log(0.25) + 0.75 * np.log(0.75)
    information = tml.perceptron.label_information(jnp.asarray(error))
    np.testing.assert_allclose(information, [np.log(2), expected, 0, np.log(2)], atol=1e-15)
    np.testing.assert_allclose(
        tml.perceptron.label_information(0.1), tml.perceptron.label_information(0.9)
    )


def test_slope_of_the_label_information():
    """ln ε - ln(1 - ε)."""
    slopes = jax.vmap(jax.grad(tml.perceptron.label_information))(jnp.asarray([0, 0.1, 0.5, 1]))
    np.testing.assert_allclose(slopes, [-np.inf, np.log(1 / 9), 0, np.inf], rtol=1e-6)


def test_label_information_in_float32():
    """1e-6 relative at every ε, also at 1/2 where it vanishes."""
    errors = np.concatenate([[0.0], np.geomspace(1e-9, 0.5, 999), 0.5 + np.geomspace(1e-6, 0.5)])
    errors = errors.astype(np.float32)
    single = tml.perceptron.label_information(jnp.asarray(errors))
    with jax.enable_x64(True):
        double = tml.perceptron.label_information(errors.astype(float))
    np.testing.assert_allclose(single, double, rtol=1e-6)


@pytest.mark.parametrize("error", [-0.1, 1.1, np.nan])
def test_label_information_refuses_what_is_no_probability(error):
    with pytest.raises(ValueError, match="error must be finite and"):
        tml.perceptron.label_information(error)


@pytest.mark.parametrize("n", [1, 101])
def test_teachers(n):
    sphere, binary = (
        f(jax.random.key(0), n)
        for f in (tml.perceptron.sphere_teacher, tml.perceptron.binary_teacher)
    )
    np.testing.assert_allclose([sphere @ sphere, binary @ binary], n, rtol=1e-5)
    assert (jnp.abs(binary) == 1).all()
