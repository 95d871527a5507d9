"""Data from files: tables as they were written, and the shipped examples."""

import subprocess
import sys

import numpy as np
import pytest

from thermoml.networks import Data, example_data, read_csv

NAMES = ("age", "bmi", "pressure")

# Files


def table(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_comes_back_as_it_was_written(tmp_path, dtype, rows):
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


# Shipped data


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


def test_networks_load_nothing_heavy():
    code = (
        "import sys, thermoml.networks; "
        "print([m for m in ('pandas', 'sklearn', 'xarray') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
