"""Functions that `sweep` refuses, before a store is begun."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml
from thermoml.sweeps import Labelled

KEY = jax.random.key(3)


def numbered(values, name="site"):
    return Labelled((name,), np.asarray(values), "", "")


def exact(value, *dims):
    return Labelled(dims, value, "nat", "exact number")


def rows(ensemble):
    return jnp.zeros(ensemble["n_trajectories"])


def site(values, name="site"):
    return Labelled(("trajectory", name), values, "", "x")


UNLIKE = {
    "shape": (lambda e, n: {"x": jnp.ones((4, n))}, r"x of shape \(1,\) and \(2,\)"),
    "exact and not": (
        lambda e, n: {"x": rows(e), "more": rows(e) if n == 1 else exact(1.0)},
        "more of single replicates and exact",
    ),
    "values": (
        lambda e, n: {"x": site(jnp.ones((4, 2))), "site": numbered([0, n])},
        r"different values of site: \[0 1\] and \[0 2\]",
    ),
    "only first has coordinate": (
        lambda e, n: {"x": site(jnp.ones((4, 2)))} | ({"site": numbered([0, 1])} if n == 1 else {}),
        "site",
    ),
    "only second has coordinate": (
        lambda e, n: {"x": site(jnp.ones((4, 2)))} | ({"site": numbered([0, 1])} if n == 2 else {}),
        "site",
    ),
    "dims": (lambda e, n: {"x": site(jnp.ones((4, 2)), "ab"[n - 1])}, "x"),
}


@pytest.mark.parametrize("case", UNLIKE)
def test_points_that_differ(case, go, tmp_path):
    function, told = UNLIKE[case]
    told = f"the same at every point, got .*{told}.* at drift = 0.5, n = 1 and drift = 0.5, n = 2;"
    with pytest.raises(ValueError, match=told):
        go({"drift": [0.5], "n": [1, 2]}, lambda e, drift, n: function(e, n), n_trajectories=4)
    assert not (tmp_path / "run").exists()


REFUSED = {
    "list": ({"x": [0.5]}, lambda e, x: [rows(e)], TypeError, "must return .* got list"),
    "array": ({"x": [0.5]}, lambda e, x: rows(e), TypeError, "must return .* got .*Tracer"),
    "no variables": ({"x": [0.5]}, lambda e, x: {}, ValueError, "must return"),
    "scalar": ({"x": [0.5]}, lambda e, x: {"total": x}, ValueError, r"total .* 4 .* shape \(\)"),
    "length": (
        {"x": [0.5]},
        lambda e, x: {"total": jnp.zeros(3)},
        ValueError,
        r"total must have one row for each of the 4 trajectories, got shape \(3,\)",
    ),
    "another length": (
        {"x": [0.5]},
        lambda e, x: {"good": rows(e), "total": jnp.zeros(3)},
        ValueError,
        r"total must have one row for each of the 4 trajectories, got shape \(3,\)",
    ),
    "dims and shape": (
        {"x": [0.5]},
        lambda e, x: {"bias": site(rows(e))},
        ValueError,
        "bias must have one row",
    ),
    "dims and shape of an exact one": (
        {"x": [0.5]},
        lambda e, x: {"bias": exact(rows(e))},
        ValueError,
        r"bias must have a dim for each axis, got \(\) and shape \(4,\)",
    ),
    "trajectories last": (
        {"x": [0.5]},
        lambda e, x: {"bias": Labelled(("site", "trajectory"), jnp.zeros((4, 4)), "", "")},
        ValueError,
        "bias must have one row .* if it is the same for all of them, .* lack 'trajectory'",
    ),
    "sizes": (
        {"x": [0.5]},
        lambda e, x: {"a": site(jnp.zeros((4, 2))), "b": site(jnp.zeros((4, 3)))},
        ValueError,
        "site",
    ),
    "coordinate's size": (
        {"x": [0.5]},
        lambda e, x: {"a": site(jnp.zeros((4, 2))), "site": numbered([1, 2, 3])},
        ValueError,
        "site",
    ),
    "name": ({"x": [0.5]}, lambda e, x: {"x": rows(e)}, ValueError, "must not be called x: a grid"),
    "dim": (
        {"time": [0.5]},
        lambda e, time: {"a": site(jnp.zeros((4, 2)), "time")},
        ValueError,
        "must not be called time: a grid",
    ),
    "trajectory": (
        {"trajectory": [0.5]},
        lambda e, trajectory: {"a": rows(e)},
        ValueError,
        "trajectory",
    ),
    "block": ({"block": [0.5]}, lambda e, block: {"a": rows(e)}, ValueError, "block"),
    "inner block": (
        {"x": [0.5]},
        lambda e, x: {"a": site(jnp.zeros((2, 3)), "block")},
        ValueError,
        "block",
    ),
    "derived name": (
        {"a_standard_error": [0.5]},
        lambda e, a_standard_error: {"a": rows(e)},
        ValueError,
        "a_standard_error",
    ),
    "derived twice": (
        {"x": [0.5]},
        lambda e, x: {"a": rows(e), "a_standard_error": rows(e)},
        ValueError,
        "a_standard_error",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_results_that_do_not_fit(case, go, tmp_path):
    grid, function, error, told = REFUSED[case]
    per_unit = 2 if "block" in case else None
    with pytest.raises(error, match=told):
        go(grid, function, n_trajectories=4, per_unit=per_unit)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "use",
    [
        int,
        float,
        bool,
        np.sqrt,
        jnp.arange,
        lambda x: tml.simulate(
            tml.Langevin(lambda y, k: jnp.sum(y**2)), jnp.ones(1), t1=1.0, dt=x, key=KEY
        ),
    ],
    ids="int float bool numpy arange dt".split(),
)
def test_advice_where_a_float_is_used_as_a_plain_number(use, go, tmp_path):
    def function(ensemble, x):
        use(x)
        return {"a": rows(ensemble)}

    with pytest.raises(TypeError, match=r'say so by static=\("its name",\)$'):
        go({"x": [1.0, 2.0]}, function)
    assert not (tmp_path / "run").exists()


def test_other_errors_of_the_function_are_its_own(go, tmp_path):
    def function(ensemble, x):
        return len(3)

    with pytest.raises(TypeError, match="object of type 'int' has no len") as caught:
        go({"x": [1.0]}, function)
    assert "static" not in str(caught.value)
    assert not (tmp_path / "run").exists()
