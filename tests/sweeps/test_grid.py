"""Grids: products of axes, ranges, labels, and errors that name the parameter."""

import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml
from thermoml.sweeps import Grid


def values_of(**parameter):
    (axis,) = Grid(**parameter).axes
    (values,) = axis.values()
    return values


def test_product_of_axes():
    grid = Grid(alpha=[0.0, 0.5], n_inputs=[10, 20, 30])
    assert (grid.shape, grid.dims, grid.size) == ((2, 3), ("alpha", "n_inputs"), 6)
    assert grid.names == ["alpha", "n_inputs"]
    assert grid.axes == ({"alpha": [0.0, 0.5]}, {"n_inputs": [10, 20, 30]})
    assert grid.point((1, 2)) == {"alpha": 0.5, "n_inputs": 30}
    assert grid.label((1, 2)) == "alpha = 0.5, n_inputs = 30"


def test_zipped_parameters_share_an_axis():
    grid = Grid(alpha=[0.0, 0.5]) * Grid.zip(n_inputs=[10, 20, 30], dt=[0.1, 0.05, 0.01])
    assert (grid.shape, grid.dims) == ((2, 3), ("alpha", "n_inputs"))
    assert grid.names == ["alpha", "n_inputs", "dt"]
    assert grid.point((0, 1)) == {"alpha": 0.0, "n_inputs": 20, "dt": 0.05}
    assert grid.label((0, 1)) == "alpha = 0, n_inputs = 20, dt = 0.05"
    dt = grid.coordinates()["dt"]
    assert dt.dims == ("n_inputs",)
    assert dt.values.tolist() == [0.1, 0.05, 0.01]


def test_no_axes():
    for grid in (Grid(), Grid.zip()):
        assert (grid.shape, grid.dims, grid.names, grid.size) == ((), (), [], 1)
        assert (grid.point(()), grid.label(()), grid.coordinates()) == ({}, "", {})
    assert (Grid() * Grid(a=[1])).shape == (1,)


def test_multiplied_by_a_grid_only():
    with pytest.raises(TypeError):
        Grid(a=[1]) * 2


def test_linear_range_ends_exactly_and_has_short_values():
    values = values_of(x={"linear": [-0.1, 0.7, 9]})
    assert values == [-0.1, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    assert all(isinstance(value, float) for value in values)
    assert values_of(x={"linear": [3, 1, 3]}) == [3.0, 2.0, 1.0]
    assert values_of(x={"linear": (0, 1, 2.0)}) == [0.0, 1.0]
    assert values_of(x={"linear": [0, 1, 4]})[1] == 0.333333333333


def test_log_range_ends_exactly_and_has_short_values():
    assert values_of(x={"log": [1e-3, 1e3, 7]}) == [1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1e3]
    assert values_of(x={"log": [1, 2, 3]}) == [1.0, 1.41421356237, 2.0]
    assert values_of(x={"log": [100, 1, 3]}) == [100.0, 10.0, 1.0]


def test_range_keeps_its_count():
    with pytest.raises(ValueError, match=r"^x"):  # the 5 values are one to twelve digits
        Grid(x={"linear": [1.0, 1.0 + 1e-13, 5]})


def test_arrays_become_plain_values():
    singles = (np.float32(0.25), jnp.array(0.5))
    for values in (np.array([0.25, 0.5]), jnp.array([0.25, 0.5]), singles):
        found = values_of(x=values)
        assert found == [0.25, 0.5]
        assert {type(value) for value in found} == {float}
    assert {type(value) for value in values_of(x=np.arange(3))} == {int}


def test_mapping_of_labels():
    rules = {"Hebbian": tml.Hebbian(), "half": tml.AlphaTron(0.5)}
    grid = Grid(rule=rules)
    assert grid.point((1,))["rule"] is rules["half"]
    assert grid.label((1,)) == "rule = half"
    assert grid.coordinates()["rule"].values.tolist() == ["Hebbian", "half"]


def test_modules_are_labelled_by_class_and_numbers():
    grid = Grid(rule=[tml.AlphaTron(0.5), tml.AlphaTron(0.25), tml.Hebbian()])
    assert [grid.label((i,)) for i in range(3)] == [
        "rule = AlphaTron(0.5)",
        "rule = AlphaTron(0.25)",
        "rule = Hebbian()",
    ]


def test_a_module_that_holds_a_function_has_a_label():
    assert "CustomRule" in Grid(rule=[tml.perceptron.CustomRule(lambda s: s)]).label((0,))


def test_coordinates_are_numbers_or_labels():
    found = Grid(
        learning_rate=[1, 0.5], n=[2, 3], flag=[True, False], kind=["a", "b"], named={"low": 0.1}
    ).coordinates()
    assert found["learning_rate"].values.tolist() == [1.0, 0.5]
    assert found["learning_rate"].values.dtype == float
    assert found["n"].values.dtype == int
    assert found["flag"].values.tolist() == ["True", "False"]
    assert found["kind"].values.tolist() == ["a", "b"]
    assert found["named"].values.tolist() == [0.1]
    assert found["learning_rate"].dims == ("learning_rate",)
    assert (found["learning_rate"].units, found["learning_rate"].long_name) == ("", "learning rate")


def test_replace():
    grid = Grid(a=[1, 2]) * Grid.zip(rule=["x", "y"], dt=[0.1, 0.2])
    other = grid.replace("rule", {"first": tml.Hebbian(), "second": tml.AdaTron()})
    assert isinstance(other.point((0, 1))["rule"], tml.AdaTron)
    assert other.label((0, 1)) == "a = 1, rule = second, dt = 0.2"
    assert (other.shape, other.dims) == (grid.shape, grid.dims)
    assert grid.point((0, 1))["rule"] == "y"


@pytest.mark.parametrize(
    ("values", "error", "told"),
    [
        ([], ValueError, r"at least one value, got \[\]"),
        ({}, ValueError, r"at least one value, got \{\}"),
        ([0.5, 1.0, 0.5], ValueError, r"different values, got \['0.5', '1', '0.5'\]"),
        ([1, 1.0], ValueError, "different values"),
        (["a", "a"], ValueError, "different values, got"),
        ([1.0, np.nan], ValueError, "finite values, got nan"),
        ([-np.inf], ValueError, "finite values, got -inf"),
        ({"a": np.nan}, ValueError, "finite values, got nan"),
        (jnp.array([1.0, jnp.nan]), ValueError, "finite values, got nan"),
        (0.5, TypeError, "list of values .*, got 0.5"),
        (np.float64(0.5), TypeError, "list of values"),
        (jnp.array(0.5), TypeError, "list of values"),
        ("half", TypeError, "list of values .*, got 'half'"),
        (None, TypeError, "list of values .*, got None"),
        (np.zeros((2, 3)), TypeError, "list of values .*, got array"),
        (jnp.zeros((2, 3)), TypeError, "list of values .*, got Array"),
        ([np.zeros(2), np.ones(2)], (TypeError, ValueError), "got .*array"),
    ],
)
def test_values_that_are_none(values, error, told):
    with pytest.raises(error, match=f"(?s)^alpha must .*{told}"):
        Grid(alpha=values)
    with pytest.raises(error, match="^alpha must "):
        Grid.zip(beta=[1], alpha=values)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"linear": [0, 1]}, r"count\]}.*got \[0, 1\]"),
        ({"linear": [0, 1, 2, 3]}, r"got \[0, 1, 2, 3\]"),
        ({"linear": [0, 1, 1]}, r"count of 2 or more, got \[0, 1, 1\]"),
        ({"linear": [0, 1, 2.5]}, r"count of 2 or more, got \[0, 1, 2.5\]"),
        ({"linear": [0, 1, np.nan]}, r"count of 2 or more, got \[0, 1, nan\]"),
        ({"linear": [0, 1, np.inf]}, r"count of 2 or more, got \[0, 1, inf\]"),
        ({"log": [1, 2, -3]}, r"got \[1, 2, -3\]"),
        ({"linear": 5}, "got {'linear': 5}"),
        ({"linear": "0 1 5"}, "got {'linear': '0 1 5'}"),
        ({"linear": [0, "1", 5]}, r"got {'linear': \[0, '1', 5\]}"),
        ({"linear": [0, True, 5]}, "got {'linear'"),
        ({"linear": [0, 1, 5], "log": [1, 2, 3]}, "got {'linear': .*'log'"),
        ({"linear": [0, 1, 5], "half": 0.5}, "got {'linear': .*'half'"),
        ({"linear": [1, 1.0, 5]}, r"two different finite ends, got \[1, 1.0, 5\]"),
        ({"linear": [0, np.inf, 5]}, "two different finite ends, got"),
        ({"log": [np.nan, 1, 5]}, "two different finite ends, got"),
        ({"log": [0, 1, 5]}, r"ends > 0, got \[0, 1, 5\]; use linear"),
        ({"log": [-2, -1, 5]}, r"ends > 0, got \[-2, -1, 5\]"),
    ],
)
def test_ranges_that_are_none(given, told):
    with pytest.raises(ValueError, match=f"^alpha: .*{told}"):
        Grid(alpha=given)


def test_unequal_zip():
    with pytest.raises(ValueError, match="equally many values, but a has 2, b has 3"):
        Grid.zip(a=[1, 2], b=[1, 2, 3])


def test_one_grid_sets_a_parameter():
    with pytest.raises(ValueError, match="a and b must be set by one grid, not by two"):
        Grid(b=[1], a=[1]) * Grid.zip(a=[2], b=[2])


def test_replace_what_the_grid_has():
    with pytest.raises(ValueError, match="beta"):
        Grid(alpha=[1]).replace("beta", {"a": 1})
