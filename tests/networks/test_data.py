"""Data: what they hold, and their rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml
from thermoml.networks import Data

NAMES = ("age", "bmi", "pressure")

# What a Data holds


def test_floats_are_jax_s_default_and_integers_are_labels(dtype):
    data = Data(np.array([[1, 2], [3, 4]]), np.array([0.5, 1.5], np.float64))
    assert data.features.dtype == data.targets.dtype == dtype
    assert (data.n_examples, data.n_features, data.n_classes) == (2, 2, 0)
    for labels in ([0, 2], np.array([0, 2], np.uint8), jnp.array([0, 2])):
        data = Data([[1.0], [2.0]], labels)
        assert data.targets.dtype == jnp.int32
        assert data.targets.tolist() == [0, 2]
        assert data.n_classes == 3
    assert Data([[1.0], [2.0]], [True, False]).targets.tolist() == [1, 0]
    assert Data([[1.0], [2.0]], [0, 0], class_names=["x", "y"]).n_classes == 2


def test_str_tells_name_kind_and_shapes(regression, classes):
    lines = str(regression()).splitlines()
    assert lines[0] == 'Data "patients": regression'
    assert "(40, 3) float32: age, bmi, pressure" in lines[1]
    assert "(40,) float32" in lines[2]
    assert "classification into 3 classes" in str(classes())
    assert "(40,) int32: a, b, c" in str(classes())
    many = Data(np.eye(20), np.zeros(20), feature_names=[f"f{i}" for i in range(20)])
    assert "f7 and 12 more" in str(many)
    shown = []
    jax.jit(lambda data: shown.append(str(data)))(Data(np.eye(2), [0, 1]))
    assert shown[0].startswith("Data: classification\n")


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("args", "kwargs", "error", "words"),
    [
        ((np.zeros(3), np.zeros(3)), {}, ValueError, r"features must have shape \(n, d\).*\(3,\)"),
        ((np.zeros((0, 2)), np.zeros(0)), {}, ValueError, "at least one row"),
        ((np.zeros((2, 0)), np.zeros(2)), {}, ValueError, "at least one row and one column"),
        ((np.zeros((3, 2)), np.zeros(2)), {}, ValueError, r"targets must .* n = 3 rows.*\(2,\)"),
        ((np.zeros((3, 2)), np.zeros((3, 1, 1))), {}, ValueError, "targets must have shape"),
        ((np.zeros((3, 2)), np.zeros((3, 0))), {}, ValueError, "targets must have shape"),
        (([[1.0], [2.0, 3.0]], [0.0, 1.0]), {}, TypeError, "features must be an array of numbers"),
        (([["a"], ["b"]], [0.0, 1.0]), {}, TypeError, "features must be numbers, got <U1"),
        (([[1j], [2j]], [0.0, 1.0]), {}, TypeError, "features must be numbers, got complex128"),
        (([[1.0], [2.0]], ["no", "yes"]), {}, TypeError, "targets must be numbers.*read_csv"),
        (([[1.0], [2.0]], [1, -1]), {}, ValueError, "targets must be labels .* -1 in row 1"),
        (([[1.0], [2.0]], [0, 2**40]), {}, ValueError, "targets must be labels.*1099511627776"),
        (([[1.0], [2.0]], [[0], [1]]), {}, ValueError, "labels, got .2, 1.; make them floats"),
        (
            ([[1.0], [2.0]], [0, 2]),
            {"class_names": ["a", "b"]},
            ValueError,
            "from 0 to c - 1 of the 2 class_names .* got 2 in row 1",
        ),
        (
            ([[1.0], [2.0]], [0.0, 1.0]),
            {"class_names": ["a", "b"]},
            TypeError,
            "targets must be integers where class_names are given, got float64",
        ),
        (
            (np.eye(2), [0.0, 1.0]),
            {"feature_names": ["a"]},
            ValueError,
            "feature_names must name each of the 2 columns of features, got 1",
        ),
        ((np.eye(2), [0, 1]), {"feature_names": "ab"}, TypeError, "feature_names must be a list"),
        ((np.eye(2), [0, 1]), {"class_names": [0, 1]}, TypeError, "class_names must be a list"),
        ((np.eye(2), [0, 1]), {"name": 7}, TypeError, "name must be a string, got 7"),
    ],
)
def test_what_is_no_data_is_refused(args, kwargs, error, words):
    with pytest.raises(error, match=words):
        Data(*args, **kwargs)


def test_values_that_are_not_finite_are_named_by_row_and_column(rows):
    features, targets = rows()
    features[7, 1], features[9, 0], features[9, 2] = np.nan, np.inf, np.nan
    with pytest.raises(ValueError, match=r'nan in row 7, column 1 \("bmi"\), and 2 more'):
        Data(features, targets, feature_names=NAMES)
    with pytest.raises(ValueError, match=r"nan in row 7, column 1, and 2 more"):
        Data(features, targets)
    targets[3] = -np.inf
    with pytest.raises(ValueError, match=r"targets must be finite.*got -inf in row 3 \("):
        Data(rows()[0], targets)
    with pytest.raises(ValueError, match="features must be finite in float32, got inf in row 1"):
        Data([[1.0], [1e39]], [0.0, 1.0])
    with pytest.raises(ValueError, match="nan in row 0"):  # known while another is traced
        jax.jit(lambda y: Data(np.full((2, 1), np.nan), y))(jnp.zeros(2))


def test_it_passes_through_transformations_unchecked(regression, classes):
    data = regression()
    leaves, structure = jax.tree.flatten(data)
    assert len(leaves) == 2
    assert jax.tree.unflatten(structure, [object(), None]).name == "patients"
    doubled = jax.jit(lambda d: jax.tree.map(lambda x: 2 * x, d))(data)
    assert doubled.feature_names == NAMES
    np.testing.assert_array_equal(doubled.targets, 2 * data.targets)
    made = jax.jit(Data)(jnp.full((2, 1), jnp.nan), jnp.zeros(2))
    assert np.isnan(made.features).all()
    batch = jax.vmap(lambda shift: Data(data.features + shift, data.targets))(jnp.arange(4.0))
    assert batch.features.shape == (4, 40, 3)
    assert batch.n_examples == 40
    means = jax.vmap(lambda d: jnp.mean(d.standardised().features ** 2))(batch)
    np.testing.assert_allclose(means, 1.0, rtol=1e-4)
    with pytest.raises(TypeError, match="give Data class_names"):
        jax.jit(lambda d: d.n_classes)(Data(np.eye(2), [0, 1]))
    assert jax.jit(lambda d: jnp.asarray(d.n_classes))(classes()) == 3


def test_it_can_be_saved_and_loaded(tmp_path, classes):
    tml.save(tmp_path / "data", classes())
    back = tml.load(tmp_path / "data")
    assert jax.tree.structure(back) == jax.tree.structure(classes())
    jax.tree.map(np.testing.assert_array_equal, back, classes())


# Rows


def test_take_by_index_and_by_mask(classes):
    data = classes()
    for chosen in ([3, 0, -1, 3], np.array([3, 0, 39, 3], np.uint8), jnp.array([3, 0, -1, 3])):
        some = data.take(chosen)
        np.testing.assert_array_equal(some.features, data.features[np.array([3, 0, 39, 3])])
        assert some.targets.tolist() == [0, 0, 0, 0]
        assert (some.feature_names, some.class_names) == (NAMES, ("a", "b", "c"))
    ones = data.take(data.targets == 1)
    assert ones.n_examples == 13
    assert set(ones.targets.tolist()) == {1}
    assert ones.n_classes == 3
    traced = jax.jit(lambda d, i: d.take(i))(data, jnp.array([5, -1]))
    np.testing.assert_array_equal(traced.features, data.take([5, 39]).features)


@pytest.mark.parametrize(
    ("chosen", "error", "words"),
    [
        ([0, 40], ValueError, "rows must lie below n = 40, got 40"),
        ([-41], ValueError, "rows must lie below n = 40, got -41"),
        ([], ValueError, "at least one row"),
        (np.zeros(40, bool), ValueError, "at least one row"),
        ([True, False], ValueError, "each of the 40 examples.*got shape .2,"),
        (3, ValueError, r"list of at least one row, got shape \(\)"),
        ([0.0, 1.0], TypeError, "rows must be integers or a boolean mask, got float64"),
        (["a"], TypeError, "rows must be numbers"),
    ],
)
def test_rows_that_are_not_there_are_refused(chosen, error, words, regression):
    with pytest.raises(error, match=words):
        regression().take(chosen)


def test_a_traced_mask_is_refused(regression):
    with pytest.raises(TypeError, match="rows must be indices where they are traced"):
        jax.jit(lambda d, m: d.take(m))(regression(), jnp.ones(40, bool))


def test_split_is_a_random_partition():
    data = Data(np.arange(40.0)[:, None], np.arange(40.0), name="numbers")
    first, second = data.split(0.3, key=jax.random.key(1))
    assert (first.n_examples, second.n_examples) == (12, 28)
    assert first.name == "numbers"
    both = np.concatenate([first.targets, second.targets])
    np.testing.assert_array_equal(np.sort(both), np.arange(40))
    assert not np.array_equal(both, np.arange(40))
    np.testing.assert_array_equal(first.features[:, 0], first.targets)
    other, _ = data.split(0.3, key=jax.random.key(2))
    assert set(first.targets.tolist()) != set(other.targets.tolist())
    batch, _ = jax.vmap(lambda key: data.split(0.3, key=key))(jax.random.split(jax.random.key(3)))
    assert batch.features.shape == (2, 12, 1)


@pytest.mark.parametrize(
    ("fraction", "words"),
    [
        (0.0, "fraction must be finite and > 0"),
        (1.0, "fraction must be finite and < 1"),
        (0.01, "leave examples on both sides, got 0.01 of 40, which is 0"),
        (0.99, "leave examples on both sides, got 0.99 of 40, which is 40"),
    ],
)
def test_a_split_with_an_empty_side_is_refused(fraction, words, regression):
    with pytest.raises(ValueError, match=words):
        regression().split(fraction, key=jax.random.key(0))


@pytest.mark.usefixtures("unchecked")
def test_a_traced_fraction_is_refused(regression):
    with pytest.raises(TypeError, match="fraction fixes array shapes"):
        jax.jit(lambda f: regression().split(f, key=jax.random.key(0)))(0.5)
