"""Synthetic data: exact means, covariances and laws, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from thermoml.networks import synthetic_data


def tolerance(dtype):
    return {"rtol": 0, "atol": 50 * float(jnp.finfo(dtype).eps)}


def test_without_noise_the_teacher_answers_exactly(dtype):
    spectrum, teacher, key = [4.0, 0.25, 1.0], [1.0, -2.0, 0.5], jax.random.key(0)
    data = synthetic_data(20, spectrum=spectrum, noise=0.0, key=key, teacher=teacher)
    exact = np.asarray(data.features, float) @ np.array(teacher)
    np.testing.assert_allclose(data.targets, exact, **tolerance(dtype))
    assert data.features.dtype == data.targets.dtype == dtype
    unit = synthetic_data(20, spectrum=np.ones(3), noise=0.0, key=key, teacher=teacher)
    expected = np.asarray(unit.features, float) * np.sqrt(spectrum)
    np.testing.assert_allclose(data.features, expected, **tolerance(dtype))
    drawn = synthetic_data(20, spectrum=spectrum, noise=0.0, key=key)
    found, residual, *_ = np.linalg.lstsq(drawn.features, drawn.targets)
    assert residual < 1e-8
    assert not np.allclose(found, teacher)
    outputs = np.stack([teacher, teacher], 1)
    several = synthetic_data(20, spectrum=spectrum, noise=0.0, key=key, teacher=outputs)
    np.testing.assert_allclose(several.targets[:, 1], data.targets, **tolerance(dtype))

    labels = synthetic_data(
        20, spectrum=spectrum, noise=0.0, key=key, teacher=teacher, kind="classification"
    )
    np.testing.assert_array_equal(labels.targets, exact > 0)
    assert labels.n_classes == 2
    teachers = np.random.default_rng(0).normal(size=(3, 4))
    labels = synthetic_data(
        50, spectrum=spectrum, noise=0.0, key=key, teacher=teachers, kind="classification",
        n_classes=4,
    )  # fmt: skip
    answers = np.asarray(labels.features, float) @ teachers
    np.testing.assert_array_equal(labels.targets, answers.argmax(1))
    assert labels.targets.dtype == jnp.int32
    assert labels.n_classes == labels.take([int(np.argmin(labels.targets))]).n_classes == 4


def test_synthetic_moments():
    """Covariance diag(Λ), noise of variance η² beside the teacher: 5 standard errors, 1e-5."""
    count, spectrum, teacher = 40_000, np.array([4.0, 0.25]), np.array([1.0, 2.0])
    data = synthetic_data(
        count, spectrum=spectrum, noise=0.7, key=jax.random.key(3), teacher=teacher
    )
    features = np.asarray(data.features, float)
    noise = np.asarray(data.targets, float) - features @ teacher
    columns = np.column_stack([features / np.sqrt(spectrum), noise / 0.7])
    squares = columns.T @ columns / count
    error = 1 / np.sqrt(count)
    np.testing.assert_allclose(columns.mean(0), 0, atol=5 * error)
    np.testing.assert_allclose(squares, np.eye(3), atol=5 * np.sqrt(2) * error)
    assert np.abs(np.corrcoef(columns.T) - np.eye(3)).max() < 5 * error


def test_features_teacher_and_noise_are_independent():
    """Drawn apart with the same keys: standard normal and uncorrelated, 5 standard errors."""
    count = 40_000

    def draws(key):
        draw = lambda noise, **kw: synthetic_data(1, spectrum=[1.0], noise=noise, key=key, **kw)
        taught, noise = draw(0.0), draw(1.0, teacher=[0.0])
        feature = taught.features[0, 0]
        return jnp.stack([feature, taught.targets[0] / feature, noise.targets[0]])

    found = np.asarray(jax.vmap(draws)(jax.random.split(jax.random.key(4), count)), float)
    limit = 5 * np.sqrt(2 / count)
    np.testing.assert_allclose(found.mean(0), 0, atol=limit)
    np.testing.assert_allclose(found.T @ found / count, np.eye(3), atol=limit)


def test_synthetic_data_can_be_traced_and_vmapped(dtype):
    def make(key, spectrum, noise, kind="regression", n_classes=2):
        return synthetic_data(
            6, spectrum=spectrum, noise=noise, key=key, kind=kind, n_classes=n_classes
        )

    spectrum, keys = jnp.array([2.0, 0.5]), jax.random.split(jax.random.key(0), 3)
    for kind, n_classes in (("regression", 2), ("classification", 2), ("classification", 3)):
        plain = make(keys[1], spectrum, 0.3, kind, n_classes)
        jitted = jax.jit(make, static_argnums=(3, 4))(keys[1], spectrum, 0.3, kind, n_classes)
        close = lambda a, b: np.testing.assert_allclose(a, b, **tolerance(dtype))
        jax.tree.map(close, plain, jitted)
        batch = jax.jit(jax.vmap(lambda key, k=kind, c=n_classes: make(key, spectrum, 0.3, k, c)))
        many = batch(keys)
        assert many.features.shape == (3, 6, 2)
        jax.tree.map(close, jax.tree.map(lambda leaf: leaf[1], many), plain)
        assert many.n_classes == (0 if kind == "regression" else n_classes)
        assert not np.array_equal(many.features[0], many.features[1])


def test_synthetic_data_are_differentiable(x64):
    teacher, key = jnp.array([1.0, -2.0]), jax.random.key(5)

    def loss(spectrum, noise, teacher):
        data = synthetic_data(30, spectrum=spectrum, noise=noise, key=key, teacher=teacher)
        return jnp.mean(data.targets**2) + jnp.mean(jnp.sin(data.features))

    check_grads(loss, (jnp.array([2.0, 0.5]), jnp.array(0.3), teacher), order=1, rtol=1e-6)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"n_examples": 0}, ValueError, "n_examples must be at least 1"),
        ({"spectrum": 1.0}, ValueError, r"spectrum must have shape \(d,\).*got \(\)"),
        ({"spectrum": []}, ValueError, r"spectrum must have shape \(d,\)"),
        ({"spectrum": [1.0, -1.0]}, ValueError, "spectrum must be finite and >= 0"),
        ({"noise": -0.1}, ValueError, "noise must be finite and >= 0, got -0.1"),
        ({"noise": [0.1, 0.2]}, ValueError, r"noise must be a scalar, got shape \(2,\)"),
        ({"kind": "both"}, ValueError, "kind must be \"regression\" or .*got 'both'"),
        ({"n_classes": 3}, ValueError, 'n_classes needs kind="classification", got 3'),
        ({"n_classes": 1, "kind": "classification"}, ValueError, "n_classes must be at least 2"),
        ({"teacher": [1.0]}, ValueError, r"teacher must have shape \(2,\), got \(1,\)"),
        (
            {"teacher": np.ones((2, 2)), "kind": "classification"},
            ValueError,
            r"teacher must have shape \(2,\), got \(2, 2\)",
        ),
        (
            {"teacher": np.ones(2), "kind": "classification", "n_classes": 3},
            ValueError,
            r"teacher must have shape \(2, 3\), got \(2,\)",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(change, error, words):
    asked = {"n_examples": 4, "spectrum": [1.0, 2.0], "noise": 0.1, "key": jax.random.key(0)}
    asked |= change
    with pytest.raises(error, match=words):
        synthetic_data(asked.pop("n_examples"), **asked)
