"""Units of data: standardised, whitened, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thermoml.networks import Data

NAMES = ("age", "bmi", "pressure")


def tolerance(dtype):
    return {"rtol": 0, "atol": 50 * float(jnp.finfo(dtype).eps)}


def test_standardised_features_have_mean_0_and_variance_1(dtype, regression):
    data = regression(offset=(1e4, -3.0, 0.0), scale=(9.0, 0.2, 1e-25))
    scaled = data.standardised()
    features = np.asarray(scaled.features, float)
    np.testing.assert_allclose(features.mean(0), 0, **tolerance(dtype))
    np.testing.assert_allclose(features.var(0), 1, **tolerance(dtype))
    np.testing.assert_array_equal(scaled.targets, data.targets)
    raw = np.asarray(data.features, float)
    expected = (raw - raw.mean(0)) / raw.std(0)
    far = {"rtol": 0, "atol": 1e4 * float(jnp.finfo(dtype).eps)}  # the oracle's own mean, at 1e4
    np.testing.assert_allclose(features, expected, **far)
    assert (scaled.feature_names, scaled.name) == (NAMES, "patients")


def test_later_data_are_measured_in_the_units_of_the_first(dtype, regression):
    first, later = regression(), regression(seed=1, count=7)
    scaled = later.standardised(first, targets=True)
    for name in ("features", "targets"):
        units, raw = (np.asarray(getattr(data, name), float) for data in (first, later))
        expected = (raw - units.mean(0)) / units.std(0)
        limits = tolerance(dtype) | {"atol": 1000 * tolerance(dtype)["atol"]}  # 1e-3 ± 1e-5
        np.testing.assert_allclose(getattr(scaled, name), expected, **limits)
    alone = later.take([2]).standardised(like=first)  # nothing varies here, but it does in first
    np.testing.assert_allclose(alone.features[0], scaled.features[2], **tolerance(dtype))


def test_targets_are_scaled_where_asked(dtype, rows):
    features, targets = rows()
    scaled = Data(features, np.stack([targets, 3 * targets], 1)).standardised(targets=True)
    np.testing.assert_allclose(np.mean(scaled.targets, 0), 0, **tolerance(dtype))
    np.testing.assert_allclose(np.var(scaled.targets, 0), 1, **tolerance(dtype))
    np.testing.assert_allclose(scaled.targets[:, 0], scaled.targets[:, 1], rtol=1e-4)


def test_standardising_is_differentiable(x64, regression):
    """The result knows neither scale nor origin, so a gradient has no part along either."""
    data = regression()

    def some(features):
        return jnp.sum(jnp.sin(Data(features, data.targets).standardised().features))

    slope = jax.grad(some)(data.features)
    step = 1e-6 * np.array([9.0, 0.2, 1e-5])
    along = np.random.default_rng(2).normal(size=(40, 3)) * step
    change = some(data.features + along) - some(data.features - along)
    np.testing.assert_allclose(np.sum(slope * along) * 2, change, rtol=1e-6)
    size = np.abs(slope * data.features).sum(0)
    np.testing.assert_allclose(np.sum(slope * data.features, 0) / size, 0, atol=1e-10)


def test_constant_features_have_no_scale(x64, rows):
    features, targets = rows()
    names = (*NAMES, "site", "sum")
    extra = np.stack([np.full(40, 0.1), np.where(np.arange(40) % 2, 0.3, 0.1 + 0.2)], 1)
    data = Data(np.hstack([features, extra]), targets, feature_names=names)
    words = r'features must vary.*column 3 \("site"\), column 4 \("sum"\); .*drop_constant\(\)'
    with pytest.raises(ValueError, match=words):
        data.standardised()
    with pytest.raises(ValueError, match="features of like must vary"):
        data.standardised(like=data.take([0, 1]))
    with pytest.raises(ValueError, match=r"constant column 3, column 4;"):
        Data(data.features, targets).standardised()
    left = data.drop_constant()
    assert left.feature_names == NAMES
    np.testing.assert_array_equal(left.features, features)
    assert Data(data.features, targets).drop_constant().feature_names == ()
    traced = jax.jit(lambda d: d.standardised().features)(data)
    assert np.isnan(traced[:, 3]).all()
    np.testing.assert_allclose(traced[:, :3], left.standardised().features, atol=1e-9)


def test_standardised_refuses_other_columns_and_labels(regression, classes):
    data = regression()
    with pytest.raises(TypeError, match="like must be Data, got ndarray"):
        data.standardised(np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"like must have the columns.*3 \(age, bmi.*2 \(without"):
        data.standardised(Data(np.eye(2), [0.0, 1.0]))
    with pytest.raises(ValueError, match="like must have the columns"):
        data.standardised(Data(data.features, data.targets, feature_names=["b", "a", "c"]))
    with pytest.raises(ValueError, match="targets=True needs a regression"):
        classes().standardised(targets=True)
    two = Data(data.features, np.stack([data.targets] * 2, 1))
    with pytest.raises(ValueError, match=r"as many targets as this data, \(\), got \(2,\)"):
        data.standardised(two, targets=True)
    with pytest.raises(ValueError, match="targets must vary"):
        Data(data.features, np.ones(40)).standardised(targets=True)


def test_drop_constant_leaves_something_and_is_not_traced(regression):
    with pytest.raises(ValueError, match="features must not all be constant"):
        Data(np.ones((3, 2)), np.zeros(3)).drop_constant()
    with pytest.raises(TypeError, match="must not be traced"):
        jax.jit(lambda d: d.drop_constant())(regression())


def test_intercept_is_a_last_column_of_ones(dtype, regression, rows):
    data = regression().with_intercept()
    assert data.features.dtype == dtype
    np.testing.assert_array_equal(data.features[:, 3], np.ones(40))
    np.testing.assert_array_equal(data.features[:, :3], regression().features)
    assert data.feature_names == (*NAMES, "intercept")
    assert Data(*rows()).with_intercept().feature_names == ("x0", "x1", "x2", "intercept")
    with pytest.raises(ValueError, match=r'column 3 \("intercept"\); drop them'):
        data.with_intercept()


def test_whitened_features_have_covariance_1(dtype, regression):
    data = regression()
    white = data.whitened()
    features = np.asarray(white.features, float)
    np.testing.assert_allclose(features.mean(0), 0, **tolerance(dtype))
    np.testing.assert_allclose(features.T @ features / 40, np.eye(3), **tolerance(dtype))
    # Against the definition: the inverse root of the correlations.
    scaled = np.asarray(data.standardised().features, float)
    size, vectors = np.linalg.eigh(scaled.T @ scaled / 40)
    expected = scaled @ vectors / np.sqrt(size) @ vectors.T
    np.testing.assert_allclose(features, expected, **tolerance(dtype))
    np.testing.assert_array_equal(white.targets, data.targets)
    assert white.feature_names == NAMES
    traced = jax.jit(lambda d: d.whitened().features)(data)
    np.testing.assert_allclose(traced, features, **tolerance(dtype))


def test_whitening_refuses_what_has_no_inverse(dtype, rows):
    features, targets = rows()
    with pytest.raises(ValueError, match=r"more examples than columns.*got shape \(3, 3\)"):
        Data(features[:3], targets[:3]).whitened()
    with pytest.raises(ValueError, match="constant column 0"):
        Data(np.ones((9, 2)), np.zeros(9)).whitened()
    far = features[:, :2] * 10 + np.array([2000.0, 300.0])  # their sum is rounded to 1e-4
    for pair in (features[:, :2], far):
        dependent = np.hstack([pair, pair.sum(1, keepdims=True)])
        with pytest.raises(ValueError, match="depend on each other linearly"):
            Data(dependent, targets).whitened()
