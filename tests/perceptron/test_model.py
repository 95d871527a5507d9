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


def test_error_of_no_direction_is_nan():
    assert np.isnan(tml.perceptron.generalization_error(jnp.zeros(3), jnp.ones(3)))


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
