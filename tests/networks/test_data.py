"""Data: exact means, covariances and laws of synthetic ones, what is refused, and files."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

import thermoml as tml
from thermoml.networks import Data, example_data, read_csv, synthetic_data

NAMES = ("age", "bmi", "pressure")


def rows(count=40, seed=0, offset=(50.0, -3.0, 1e-3), scale=(9.0, 0.2, 1e-5)):
    """Features in units as different as real ones, mixed, and targets."""
    draw = np.random.default_rng(seed)
    mixing = np.array([[1.0, 0.0, 0.0], [0.6, 1.0, 0.0], [-0.3, 0.8, 0.5]])
    features = np.array(offset) + draw.normal(size=(count, 3)) @ mixing.T * np.array(scale)
    return features, draw.normal(size=count) * 4 + 100


def regression(**kwargs):
    return Data(*rows(**kwargs), feature_names=NAMES, name="patients")


def classes():
    return Data(rows()[0], np.arange(40) % 3, feature_names=NAMES, class_names=("a", "b", "c"))


def tolerance(dtype):
    return {"rtol": 0, "atol": 50 * float(jnp.finfo(dtype).eps)}


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


def test_str_tells_name_kind_and_shapes():
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


def test_values_that_are_not_finite_are_named_by_row_and_column():
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


def test_it_passes_through_transformations_unchecked():
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


def test_it_can_be_saved_and_loaded(tmp_path):
    tml.save(tmp_path / "data", classes())
    back = tml.load(tmp_path / "data")
    assert jax.tree.structure(back) == jax.tree.structure(classes())
    jax.tree.map(np.testing.assert_array_equal, back, classes())


# Rows


def test_take_by_index_and_by_mask():
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
def test_rows_that_are_not_there_are_refused(chosen, error, words):
    with pytest.raises(error, match=words):
        regression().take(chosen)


def test_a_traced_mask_is_refused():
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
def test_a_split_with_an_empty_side_is_refused(fraction, words):
    with pytest.raises(ValueError, match=words):
        regression().split(fraction, key=jax.random.key(0))


@pytest.mark.usefixtures("unchecked")
def test_a_traced_fraction_is_refused():
    with pytest.raises(TypeError, match="fraction fixes array shapes"):
        jax.jit(lambda f: regression().split(f, key=jax.random.key(0)))(0.5)


# Units


def test_standardised_features_have_mean_0_and_variance_1(dtype):
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


def test_later_data_are_measured_in_the_units_of_the_first(dtype):
    first, later = regression(), regression(seed=1, count=7)
    scaled = later.standardised(first, targets=True)
    for name in ("features", "targets"):
        units, raw = (np.asarray(getattr(data, name), float) for data in (first, later))
        expected = (raw - units.mean(0)) / units.std(0)
        limits = tolerance(dtype) | {"atol": 1000 * tolerance(dtype)["atol"]}  # 1e-3 ± 1e-5
        np.testing.assert_allclose(getattr(scaled, name), expected, **limits)
    alone = later.take([2]).standardised(like=first)  # nothing varies here, but it does in first
    np.testing.assert_allclose(alone.features[0], scaled.features[2], **tolerance(dtype))


def test_targets_are_scaled_where_asked(dtype):
    features, targets = rows()
    scaled = Data(features, np.stack([targets, 3 * targets], 1)).standardised(targets=True)
    np.testing.assert_allclose(np.mean(scaled.targets, 0), 0, **tolerance(dtype))
    np.testing.assert_allclose(np.var(scaled.targets, 0), 1, **tolerance(dtype))
    np.testing.assert_allclose(scaled.targets[:, 0], scaled.targets[:, 1], rtol=1e-4)


def test_standardising_is_differentiable(x64):
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


def test_constant_features_have_no_scale(x64):
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


def test_standardised_refuses_other_columns_and_labels():
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


def test_drop_constant_leaves_something_and_is_not_traced():
    with pytest.raises(ValueError, match="features must not all be constant"):
        Data(np.ones((3, 2)), np.zeros(3)).drop_constant()
    with pytest.raises(TypeError, match="must not be traced"):
        jax.jit(lambda d: d.drop_constant())(regression())


def test_intercept_is_a_last_column_of_ones(dtype):
    data = regression().with_intercept()
    assert data.features.dtype == dtype
    np.testing.assert_array_equal(data.features[:, 3], np.ones(40))
    np.testing.assert_array_equal(data.features[:, :3], regression().features)
    assert data.feature_names == (*NAMES, "intercept")
    assert Data(*rows()).with_intercept().feature_names == ("x0", "x1", "x2", "intercept")
    with pytest.raises(ValueError, match=r'column 3 \("intercept"\); drop them'):
        data.with_intercept()


def test_whitened_features_have_covariance_1(dtype):
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


def test_whitening_refuses_what_has_no_inverse(dtype):
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


# Files


def table(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_comes_back_as_it_was_written(tmp_path, dtype):
    features, targets = rows()
    written = Data(features, targets)
    lines = [f"{a!r},{y!r},{b!r},{c!r}" for (a, b, c), y in zip(
        features.tolist(), targets.tolist(), strict=True)]  # fmt: skip
    path = table(tmp_path / "patients.csv", "\n".join(["age,y,bmi,pressure", *lines]))
    data = read_csv(path, target="y")
    np.testing.assert_array_equal(data.features, written.features)
    np.testing.assert_array_equal(data.targets, written.targets)
    assert data.features.dtype == data.targets.dtype == dtype
    assert (data.feature_names, data.class_names, data.name) == (NAMES, (), "patients")
    some = read_csv(str(path), target="y", features=["pressure", "age"])
    assert some.feature_names == ("pressure", "age")
    np.testing.assert_array_equal(some.features, np.asarray(data.features)[:, [2, 0]])


def test_classes_are_sorted_and_numbered(tmp_path):
    path = table(tmp_path / "t.csv", "x,kind,grade,sick\n1,b,10,True\n2,a,9,False\n3,b,10,True\n")
    read = lambda target, **kw: read_csv(path, target=target, features=["x"], **kw)
    assert read("kind").class_names == ("a", "b")
    assert read("kind").targets.tolist() == [1, 0, 1]
    assert read("sick").class_names == ("False", "True")
    assert read("sick").targets.tolist() == [1, 0, 1]
    assert read("sick", kind="regression").targets.tolist() == [1.0, 0.0, 1.0]
    grades = read("grade", kind="classification")
    assert grades.class_names == ("9", "10")  # as numbers, not as text
    assert grades.targets.tolist() == [1, 0, 1]
    assert read("grade").n_classes == 0
    assert read("grade").targets.tolist() == [10.0, 9.0, 10.0]
    flags = read_csv(path, target="kind", features=["sick", "x"])
    assert flags.features.tolist() == [[1.0, 1.0], [0.0, 2.0], [1.0, 3.0]]
    floats = table(tmp_path / "f.csv", "x,y\n1,2.0\n2,1.0\n")
    assert read_csv(floats, target="y", kind="classification").class_names == ("1", "2")


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("text", "kwargs", "words"),
    [
        ("", {}, "with a header and rows, .*t.csv is empty"),
        ("x,y\n", {}, "t.csv has no rows"),
        ("x,y\n1,2,3\n4,5,6\n", {}, "name every column in its first line"),
        ("x,y\n1,2\n4,5,6\n", {}, "must be a CSV file in UTF-8.*line 3"),
        ('x,y\n1,"2\n', {}, "must be a CSV file in UTF-8"),
        ("x,z\n1,2\n", {}, 'target must name columns of .*got \'y\'; its columns are "x", "z"'),
        (
            "x,y\n1,2\n",
            {"features": ["w"]},
            "features must name columns of .*got 'w'; its columns are",
        ),
        ("x,y\n1,2\n", {"features": ["x", "y"]}, "besides the target"),
        ("x,y\n1,2\n", {"features": ["x", "x"]}, "each once"),
        ("y\n1\n", {}, r"at least one column besides the target, each once, got \[\]"),
        ("x,y\n1,2\n", {"kind": "ranking"}, "kind must be \"regression\" or .*got 'ranking'"),
        ("x,y\n1,b\n", {"kind": "regression"}, "target must hold numbers for a regression"),
        ("x,y\n1,2.5\n", {"kind": "classification"}, 'got fractions in column "y"'),
        (
            "x,name,w,y\n1,,5,1\n2,Bo,5,2\n",
            {},
            r"features must be numbers, got \"Bo\" in column \"name\", line 3 .*\['x', 'w'\]",
        ),
        ("x,w,y\n1,2,3\n\n4,,5\n,6,7\n", {}, 'no value in line 4 .*column "w", and 1 more'),
        ('x,w,y\n1,2,"a\nb"\n4,5,\n', {}, 'no value in line 4 .*column "y";'),
        ("x,w,y\n1,2,3\n4,-inf,5\n", {}, 'got -inf in line 3 .*column "w"'),
        ("x,w,y\n1,2,3\n4,5\n", {}, 'no value in line 3 .*column "y"'),
    ],
)
def test_what_a_file_lacks_is_named(tmp_path, text, kwargs, words):
    path = table(tmp_path / "t.csv", text)
    with pytest.raises(ValueError, match=words):
        read_csv(path, **({"target": "y"} | kwargs))


def test_files_that_are_not_there_or_not_text(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is none at .*none\.csv"):
        read_csv(tmp_path / "none.csv", target="y")
    (tmp_path / "binary.csv").write_bytes(b"x,y\n\xff\xfe,1\n")
    with pytest.raises(ValueError, match=r"must be a CSV file in UTF-8, .*binary\.csv is not"):
        read_csv(tmp_path / "binary.csv", target="y")
    with pytest.raises(TypeError, match="features must be a list of columns, got 'x'"):
        read_csv(table(tmp_path / "t.csv", "x,y\n1,2\n"), target="y", features="x")


def test_spaces_after_commas_and_a_byte_order_mark_are_no_part_of_names(tmp_path):
    path = table(tmp_path / "t.csv", "\ufeffx, y\n1, no\n2, yes\n3,yes\n")
    data = read_csv(path, target="y")
    assert (data.feature_names, data.class_names) == (("x",), ("no", "yes"))
    assert data.targets.tolist() == [0, 1, 1]


# Shipped and synthetic data


@pytest.mark.parametrize(
    ("name", "shape", "n_classes"),
    [("diabetes", (442, 10), 0), ("breast_cancer", (569, 30), 2), ("digits", (1797, 64), 10)],
)
def test_example_data_are_in_their_own_units(name, shape, n_classes, dtype):
    data = example_data(name)
    assert data.features.shape == shape
    assert data.features.dtype == dtype
    assert data.n_classes == n_classes
    assert len(data.feature_names) == shape[1]
    assert data.name == name
    ranges = {  # published means and extremes
        "diabetes": (data.targets.mean(), 152.13348, data.features[:, 0].max(), 79.0),
        "breast_cancer": (data.targets.sum(), 357, data.features[:, 0].max(), 28.11),
        "digits": (data.targets.max(), 9, data.features.max(), 16.0),
    }
    target, known, feature, largest = (float(x) for x in ranges[name])
    assert target == pytest.approx(known)
    assert feature == pytest.approx(largest)


def test_digits_have_pixels_that_are_always_white():
    digits = example_data("digits")
    words = r"\"pixel_0_0\"\), column 32 \(\"pixel_4_0\"\), column 39 \(\"pixel_4_7\"\); drop"
    with pytest.raises(ValueError, match=words):
        digits.standardised()
    assert digits.drop_constant().standardised().n_features == 61
    assert digits.class_names == tuple("0123456789")


def test_real_data_can_be_whitened_in_float32():
    """The correlations of breast_cancer have condition 1e5: too much for their eigenvectors."""
    white = np.asarray(example_data("breast_cancer").whitened().features, float)
    np.testing.assert_allclose(white.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(white.T @ white / 569, np.eye(30), atol=1e-5)


def test_unknown_examples_are_refused():
    words = 'one of "diabetes", "breast_cancer", "digits", got \'iris\''
    with pytest.raises(ValueError, match=words):
        example_data("iris")


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


def test_networks_load_nothing_heavy():
    code = (
        "import sys, thermoml.networks; "
        "print([m for m in ('pandas', 'sklearn', 'xarray') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
