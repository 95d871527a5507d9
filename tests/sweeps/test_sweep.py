"""`sweep`: the numbers of the function, however they are cut, and errors that come early."""

import contextlib

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import thermoml as tml
from thermoml.sweeps import Grid, Labelled, Store, StoreError
from thermoml.sweeps._task import UnitRunner

KEY = jax.random.key(3)
GRID = Grid(drift=[0.0, 0.5, 1.0], scale=[1.0, 2.0])
M = 7


def index_of(ensemble):
    return ensemble["first_trajectory"] + jnp.arange(ensemble["n_trajectories"])


def noise_of(ensemble, n):
    """Uniform numbers from key and trajectory alone, by whole numbers: cheap to compile."""
    index = index_of(ensemble)
    seed = jax.random.key_data(ensemble["key"])[0]
    mixed = jnp.outer(index.astype(jnp.uint32) + seed, jnp.arange(1, n + 1, dtype=jnp.uint32))
    return (mixed * jnp.uint32(2654435761) >> 8).astype(float) / 2**24


def walk(ensemble, drift, scale=1.0, steps=3):
    noise = noise_of(ensemble, int(steps))
    return {"place": drift + scale * noise, "square": noise[:, 0] ** 2}


def numbered(values, name="site"):
    return Labelled((name,), np.asarray(values), "", "")


def exact(value, *dims):
    return Labelled(dims, value, "nat", "exact number")


@contextlib.contextmanager
def counted_runs():
    """The units that are run meanwhile."""
    runs, run = [], UnitRunner.run

    def count(self, *args):
        runs.append(args)
        return run(self, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(UnitRunner, "run", count)
        yield runs


def rows(ensemble):
    return jnp.zeros(ensemble["n_trajectories"])


@pytest.fixture
def go(tmp_path):
    def run(grid, function, **options):
        options = {"key": KEY, "progress": False, "store": tmp_path / "run"} | options
        return tml.sweep(grid, function, **options)

    return run


def at(p, function, n_trajectories=M, **parameters):
    """The function at point number p of the grid, as the docstring of `sweep` has it."""
    key = jax.random.fold_in(KEY, p)
    ensemble = {"key": key, "n_trajectories": n_trajectories, "first_trajectory": 0}
    floats = {k: jnp.asarray(v) if type(v) is float else v for k, v in parameters.items()}
    return function(ensemble | {"progress": False}, **floats)


def test_means_and_errors_are_those_of_the_trajectories(go):
    results = go(GRID, walk, n_trajectories=M, trajectories=True)
    for p, index in enumerate(np.ndindex(GRID.shape)):
        point = dict(zip(GRID.dims, index, strict=True))
        for name, values in at(p, walk, **GRID.point(index)).items():
            found = results.isel(point)
            np.testing.assert_allclose(found[f"{name}_trajectories"], values, rtol=3e-7)
            exact = np.asarray(found[f"{name}_trajectories"], float)
            np.testing.assert_allclose(found[name], exact.mean(0), rtol=1e-14)
            error = exact.std(0, ddof=1) / np.sqrt(M)
            np.testing.assert_allclose(found[f"{name}_standard_error"], error, rtol=1e-13)


def test_labels(go):
    results = go(GRID, walk, n_trajectories=M, trajectories=True)
    assert results.place.dims == ("drift", "scale", "place_dim_0")
    assert results.place_trajectories.dims == ("drift", "scale", "trajectory", "place_dim_0")
    assert results.square.dims == ("drift", "scale")
    assert results.drift.values.tolist() == [0.0, 0.5, 1.0]
    assert results.place_standard_error.attrs == {
        "units": "",
        "long_name": "standard error of place",
    }
    assert results.square.sel(drift=0.5, scale=2.0).dtype == float
    assert (results.diverged == 0).all()
    assert results.attrs["complete"]


def test_no_trajectories_are_kept_unless_asked_for(go):
    names = set(go(GRID, walk, n_trajectories=M))
    variables = {"place", "square", "diverged"}
    assert names == variables | {f"{name}_standard_error" for name in variables}


def normal(ensemble, drift, scale):
    index = index_of(ensemble)
    keys = jax.vmap(lambda i: jax.random.fold_in(ensemble["key"], i))(index)
    noise = jax.vmap(lambda key: jax.random.normal(key, (5,)))(keys)
    return {"place": drift + noise, "square": (noise * jnp.exp(scale)) ** 2}


@pytest.mark.parametrize(("function", "per_units"), [(walk, (2, 3, 14)), (normal, (2, 14))])
def test_the_same_results_whatever_per_unit(function, per_units, go, tmp_path):
    whole = go(GRID, function, n_trajectories=M, trajectories=True)
    for per_unit in per_units:
        options = {"n_trajectories": M, "trajectories": True, "per_unit": per_unit}
        cut = go(GRID, function, store=tmp_path / str(per_unit), **options)
        for name in whole:
            if per_unit >= M or name.endswith("_trajectories"):
                np.testing.assert_array_equal(cut[name], whole[name])
            else:
                np.testing.assert_allclose(cut[name], whole[name], rtol=1e-12, atol=1e-15)


def test_what_the_function_gets(go):
    seen = []

    def look(ensemble, drift, n, kind):
        seen.append((ensemble | {}, drift, n, kind))
        return {"x": rows(ensemble) + drift}

    go({"drift": [0.5], "n": [3], "kind": ["a"]}, look, n_trajectories=5, per_unit=3)
    ((ensemble, drift, n, kind),) = seen
    assert set(ensemble) == {"key", "n_trajectories", "first_trajectory", "progress"}
    assert (ensemble["n_trajectories"], ensemble["progress"]) == (3, False)
    assert isinstance(ensemble["first_trajectory"], jax.Array)
    assert isinstance(drift, jax.Array)
    assert (n, kind) == (3, "a")


def test_a_single_trajectory_has_no_error(go):
    results = go(GRID, walk)
    assert results.place.notnull().all()
    assert results.place_standard_error.isnull().all()


@pytest.mark.parametrize("per_unit", [100, 3])
def test_no_axes(go, per_unit):
    results = go({}, lambda ensemble: walk(ensemble, 0.5), n_trajectories=M, per_unit=per_unit)
    assert results.place.dims == ("place_dim_0",)
    expected = np.asarray(at(0, walk, drift=0.5)["place"], float).mean(0)
    np.testing.assert_allclose(results.place, expected, rtol=1e-12)


# Compilation


def test_floats_share_one_trace(go):
    once = eqx.debug.assert_max_traces(walk, max_traces=1)
    grid = Grid(drift={"linear": [0, 1, 5]}) * Grid.zip(scale=[1.0, 2.0, 3.0])
    results = go(grid, once, n_trajectories=4, per_unit=8)
    assert results.attrs["units"] == {"points": [1, 2], "trajectories": 4}
    last = np.asarray(at(14, walk, 4, drift=1.0, scale=3.0)["place"], float)
    np.testing.assert_allclose(results.place[-1, -1], last.mean(0), rtol=1e-6)


def test_each_whole_number_and_string_is_traced_once(go):
    traced = []

    def power(ensemble, drift, n, kind):
        traced.append((n, kind))
        return {"x": (rows(ensemble) + drift) ** n * (1 if kind == "up" else -1)}

    grid = {"drift": [1.0, 2.0, 3.0], "n": [2, 3], "kind": ["up", "down"]}
    results = go(grid, power, n_trajectories=2)
    assert sorted(traced) == [(2, "down"), (2, "up"), (3, "down"), (3, "up")]
    assert results.x.sel(kind="down").values.tolist() == [[-1, -1], [-4, -8], [-9, -27]]


def test_static_floats_arrive_as_they_are(go):
    def total(ensemble, drift, steps):
        assert isinstance(steps, float)
        return {"total": walk(ensemble, drift, steps=steps)["place"].sum(axis=1)}

    grid = {"steps": [2.0, 4.0], "drift": [0.5, 1.0]}
    results = go(grid, total, n_trajectories=M, static=("steps",))
    expected = [
        [np.mean(at(2 * i + j, total, steps=s, drift=d)["total"]) for j, d in enumerate((0.5, 1.0))]
        for i, s in enumerate((np.float64(2), np.float64(4)))
    ]
    np.testing.assert_allclose(results.total, expected, rtol=1e-6)


def test_modules_share_their_code_by_class(go):
    traced = []

    def force(ensemble, rule):
        traced.append(type(rule).__name__)
        return {"force": jax.vmap(rule)(noise_of(ensemble, 1)[:, 0])}

    rules = [tml.AlphaTron(0.5), tml.Hebbian(), tml.AlphaTron(0.25)]
    results = go({"rule": rules}, force, n_trajectories=M)
    assert traced == ["AlphaTron", "Hebbian"]
    assert results.rule.values.tolist() == ["AlphaTron(0.5)", "Hebbian()", "AlphaTron(0.25)"]
    for p, rule in enumerate(rules):
        expected = np.mean(rule(at(p, lambda ensemble: noise_of(ensemble, 1))))
        np.testing.assert_allclose(results.force[p], expected, rtol=1e-6)


# What functions may return


def test_solutions(go):
    def run(ensemble, temperature):
        system = tml.Langevin(lambda x, k: jnp.sum(x**2) / 2, temperature=temperature)
        watch = {"x": lambda x, control, t: x}
        return tml.simulate(
            system, jnp.ones(2), t1=0.4, dt=0.1, save_every=2, observables=watch, **ensemble
        )

    results = go({"temperature": [0.5, 1.0]}, run, n_trajectories=3)
    assert results.heat.dims == ("temperature", "time")
    assert results.x.dims == ("temperature", "time", "x_dim_0")
    assert results.heat.attrs == {"units": "energy", "long_name": "cumulative heat into the baths"}
    np.testing.assert_allclose(results.time, [0, 0.2, 0.4], rtol=1e-6)
    assert results.time.attrs["units"] == "time"
    expected = np.mean(at(1, run, 3, temperature=1.0).heat, axis=0)
    np.testing.assert_allclose(results.heat[1], expected, rtol=1e-5, atol=1e-6)


def test_learning_curves(go):
    def run(ensemble, learning_rate, n_inputs):
        problem = tml.LearningProblem(
            tml.Hebbian(), learning_rate=learning_rate, n_inputs=n_inputs, batch=2
        )
        return tml.learn(problem, tml.Microscopic(0.05), t1=0.2, save_every=2, **ensemble)

    results = go({"learning_rate": [0.5, 1.0], "n_inputs": [5]}, run, n_trajectories=3)
    assert results.error.dims == ("learning_rate", "n_inputs", "time")
    assert results.heat.attrs == {
        "units": "energy/weight",
        "long_name": "heat into the bath per weight",
    }
    assert results.time.attrs["units"] == "1/(mobility · stiffness)"
    np.testing.assert_allclose(results.time, [0, 0.1, 0.2], rtol=1e-6)
    expected = np.mean(at(1, run, 3, learning_rate=1.0, n_inputs=5).overlap, axis=0)
    np.testing.assert_allclose(results.overlap[1, 0], expected, rtol=1e-4, atol=1e-6)


def test_labelled_results_with_their_own_coordinates(go):
    def run(ensemble, drift):
        return {
            "wealth": Labelled(("trajectory", "town"), noise_of(ensemble, 2) + drift, "€", "Geld"),
            "town": Labelled(("town",), np.array(["Köln", "Aarhus"]), "", "where"),
        }

    results = go({"drift": [0.0, 1.0]}, run, n_trajectories=3)
    assert results.wealth.dims == ("drift", "town")
    assert results.wealth.attrs == {"units": "€", "long_name": "Geld"}
    assert results.town.attrs["long_name"] == "where"
    assert results.wealth.sel(town="Aarhus", drift=1.0) > 1


def test_diverged_is_the_fraction_that_is_not_finite(go):
    def run(ensemble, drift):
        index = index_of(ensemble)
        lost = jnp.where(index < 2, jnp.nan, 1.0)
        late = jnp.where(index == 2, jnp.inf, 1.0)
        return {"a": lost + drift, "b": jnp.stack([late, rows(ensemble)], axis=1)}

    for per_unit in (100, 3):
        results = go(
            {"drift": [0.0, 1.0]}, run, n_trajectories=4, per_unit=per_unit, overwrite=True
        )
        assert results.diverged.values.tolist() == [0.75, 0.75]
        assert results.a.isnull().all()


@pytest.mark.parametrize("per_unit", [14, 3], ids=["points", "blocks"])
def test_exact_results_are_stored_once(per_unit, go):
    def run(ensemble, drift):
        return {
            "x": noise_of(ensemble, 1)[:, 0],
            "bound": exact(2 * drift),
            "profile": exact(drift + jnp.arange(3.0), "cell"),
            "constant": exact(np.float32(0.25)),
            "cell": numbered([10, 20, 30], "cell"),
        }

    grid = {"drift": [0.0, 0.5, 1.0]}
    results = go(grid, run, n_trajectories=M, trajectories=True, per_unit=per_unit)
    assert results.bound.dims == ("drift",)
    assert results.bound.values.tolist() == [0.0, 1.0, 2.0]
    assert results.bound.attrs == {"units": "nat", "long_name": "exact number"}
    assert results.profile.dims == ("drift", "cell")
    assert results.profile.values.tolist() == [[d, d + 1, d + 2] for d in grid["drift"]]
    assert results.constant.values.tolist() == [0.25] * 3
    assert results.cell.values.tolist() == [10, 20, 30]
    derived = {name for name in results if name.startswith(("bound", "profile", "constant"))}
    blocks = {f"{name}_block_value" for name in ("bound", "profile", "constant")}
    assert derived == {"bound", "profile", "constant"} | (blocks if per_unit < M else set())


def test_the_stored_size_of_an_exact_result_does_not_grow_with_trajectories(go, tmp_path):
    def run(ensemble, drift):
        return {"x": rows(ensemble), "profile": exact(drift + jnp.arange(480.0), "cell")}

    for count in (2, 200):
        store = tmp_path / str(count)
        results = go({"drift": [0.5]}, run, n_trajectories=count, trajectories=True, store=store)
        assert sum(x.size for x in results.values() if "cell" in x.dims) == 480


@pytest.mark.parametrize("lost", [False, True])
def test_an_exact_result_that_blocks_do_not_share_is_refused(lost, go, tmp_path):
    """Seen red without the comparison, which stored the first block's value."""

    def run(ensemble, drift):
        wrong = jnp.where(ensemble["first_trajectory"] > 2, jnp.nan if lost else 1.001, 1.0)
        return {"x": rows(ensemble), "bound": exact(drift * wrong)}

    told = "the function's bound must be the same .* lack 'trajectory', but blocks of one point"
    for resume in (False, True):
        with pytest.raises(ValueError, match=told):
            go({"drift": [0.5]}, run, n_trajectories=M, per_unit=3, resume=resume)
    with pytest.raises(StoreError, match="did not finish"):
        Store(tmp_path / "run").open()


@pytest.mark.parametrize("value", [jnp.nan, jnp.inf, 0.0])
def test_exact_results_agree_up_to_rounding(value, go):
    def run(ensemble, drift):
        rounded = jnp.where(ensemble["first_trajectory"] > 2, 1 + 1e-6, 1.0)
        numbers = drift * rounded * jnp.asarray([1.0, 1e-9]) * jnp.asarray([1.0, value])
        return {"x": rows(ensemble), "bound": exact(numbers, "n")}

    results = go({"drift": [0.5]}, run, n_trajectories=M, per_unit=3)
    np.testing.assert_allclose(results.bound[0], [0.5, 5e-10 * value], rtol=1e-6)


def test_no_fraction_diverged_where_all_is_exact(go):
    results = go({"drift": [0.5]}, lambda e, drift: {"bound": exact(drift)}, n_trajectories=M)
    assert set(results) == {"bound"}


def test_exact_results_that_are_not_finite_are_no_divergence(go):
    def run(ensemble, drift):
        return {"x": rows(ensemble), "bound": exact(drift * jnp.nan)}

    results = go({"drift": [0.5]}, run, n_trajectories=M)
    assert results.diverged.values.tolist() == [0]
    assert results.bound.isnull().all()


@pytest.mark.parametrize("per_unit", [14, 3], ids=["points", "blocks"])
@pytest.mark.parametrize(
    ("replicates", "single"),
    [("resample", "x_resamples"), ("data_set", "x_data_sets"), ("refresh", "x_refreshes")],
)
def test_replicates_that_are_no_trajectories(replicates, single, per_unit, go, tmp_path):
    def run(ensemble, drift):
        noise = noise_of(ensemble, 1)[:, 0] + drift
        return {"x": noise, "y": Labelled((replicates, "trajectory"), noise[:, None], "", "y")}

    options = {"n_trajectories": M, "trajectories": True, "per_unit": per_unit}
    grid = {"drift": [0.0, 1.0]}
    results = go(grid, run, replicates=replicates, **options)
    assert results[single].dims == ("drift", replicates)
    assert results.y.dims == ("drift", "trajectory")
    assert results.attrs["replicates"] == replicates
    blocks = {f"{name}_block_mean" for name in ("x", "y", "diverged")} if per_unit < M else set()
    means = {"x", "y", "diverged"}
    assert set(results) == means | {f"{n}{single[1:]}" for n in means} | blocks
    np.testing.assert_allclose(results.x, results[single].mean(replicates), rtol=1e-6)
    words = f"fraction of the {single[2:].replace('_', ' ')} that turned non-finite"
    assert results.diverged.attrs["long_name"] == words

    def plain(ensemble, drift):
        return {"x": noise_of(ensemble, 1)[:, 0] + drift}

    named = go(
        grid, plain, store=tmp_path / "a", replicates=replicates, standard_errors=True, **options
    )
    usual = go(grid, plain, store=tmp_path / "b", **options)
    for name in ("x", "x_standard_error"):
        np.testing.assert_array_equal(named[name], usual[name])
    assert "x_standard_error" not in go(
        grid, plain, store=tmp_path / "c", standard_errors=False, **options
    )


@pytest.mark.parametrize("per_unit", [14, 3], ids=["points", "blocks"])
def test_a_variable_that_some_points_return_is_nan_at_the_others(per_unit, go, tmp_path):
    def run(ensemble, n):
        x = {"x": noise_of(ensemble, 1)[:, 0]}
        if n < 2:
            return x
        return x | {
            "more": Labelled(("trajectory", "site"), noise_of(ensemble, 2), "", "more"),
            "bound": exact(jnp.asarray([1.0, 2.0]), "site"),
            "site": numbered([3, 4]),
        }

    options = {"n_trajectories": M, "trajectories": True, "per_unit": per_unit}
    results = go({"n": [1, 2, 3, 0]}, run, **options)
    assert results.x.notnull().all()
    assert results.site.values.tolist() == [3, 4]
    for name in ("more", "more_standard_error", "more_trajectories", "bound"):
        there = results[name].notnull().all([d for d in results[name].dims if d != "n"])
        assert there.values.tolist() == [False, True, True, False]
        assert results[name].isel(n=[0, 3]).isnull().all()
    with counted_runs() as runs:
        again = go({"n": [1, 2, 3, 0]}, run, resume=True, **options)
    assert not runs
    assert again.identical(results)


def test_a_variable_that_no_point_returns_is_absent(go):
    def run(ensemble, n):
        return {"x": rows(ensemble)} | ({"more": rows(ensemble)} if n > 5 else {})

    assert "more" not in go({"n": [1, 2]}, run, n_trajectories=3)


def test_own_diverged(go):
    def run(ensemble, drift):
        mine = Labelled(("trajectory",), rows(ensemble) == 0, "", "mine")
        return {"x": rows(ensemble) + drift, "diverged": mine}

    results = go({"drift": [0.0, 1.0]}, run, n_trajectories=4)
    assert results.diverged.attrs["long_name"] == "mine"
    assert (results.diverged == 1).all()


def test_float64(go, x64):
    results = go({"drift": [1.0, 2.0]}, walk, n_trajectories=3, trajectories=True)
    assert results.place_trajectories.dtype == np.float64
    thirds = go(
        {"drift": [1 / 3]},
        lambda ensemble, drift: {"x": rows(ensemble) + drift},
        n_trajectories=3,
        overwrite=True,
    )
    assert float(thirds.x[0]) == 1 / 3


def test_float32(go):
    results = go({"drift": [1 / 3]}, walk, n_trajectories=3, trajectories=True)
    assert results.place_trajectories.dtype == np.float32


def test_the_store_can_be_read_while_it_is_written(go, tmp_path):
    written, write = [], Store.write

    def stop(*args):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(args)
        write(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "write", stop)
        with pytest.raises(KeyboardInterrupt):
            go(GRID, walk, n_trajectories=M, per_unit=2 * M)
    with xr.open_zarr(tmp_path / "run" / "results.zarr") as results:
        assert results.square.notnull().values.tolist() == [[True] * 2, [True] * 2, [False] * 2]
        assert results.drift.values.tolist() == [0.0, 0.5, 1.0]
        assert results.attrs["complete"] is False
    with pytest.raises(StoreError, match="did not finish"):
        Store(tmp_path / "run").open()
    results = go(GRID, walk, n_trajectories=M, resume=True)
    assert results.square.notnull().all()


# Errors


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


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"static": ("dt",)}, ValueError, r"static must name .* \(drift, scale\), got dt"),
        ({"n_trajectories": 0}, ValueError, "n_trajectories must be at least 1, got 0"),
        ({"n_trajectories": 2.5}, TypeError, "n_trajectories must be a whole number, got 2.5"),
        ({"replicates": "my sets"}, ValueError, "replicates must be a name .* got 'my sets'"),
        ({"replicates": "block"}, ValueError, "and not 'block', which the store itself uses"),
        ({"per_unit": 0}, ValueError, "per_unit must be at least 1, got 0"),
        ({"memory": "lots"}, ValueError, "memory must be a size such as 500MB .* got 'lots'"),
        ({"grid": GRID.replace("scale", {})}, ValueError, "must have at least one point"),
        ({"grid": {"drift": []}}, ValueError, "drift must have at least one value"),
        ({"grid": {"nothing": [1.0]}}, TypeError, "nothing"),
        ({"memory": "8 B"}, MemoryError, "one trajectory .* needs .* the memory of 8 B; raise"),
    ],
)
def test_arguments_that_do_not_fit(options, error, told, go, tmp_path):
    grid = options.pop("grid", GRID)
    with pytest.raises(error, match=told):
        go(grid, walk, store=tmp_path / "parent" / "run", **options)
    assert list(tmp_path.iterdir()) == []


def test_memory_cuts_units(go):
    results = go(GRID, walk, n_trajectories=1000, memory="9 kB")
    assert results.attrs["units"]["trajectories"] < 1000
    assert results.place.notnull().all()
