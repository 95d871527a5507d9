"""`sweep`: the numbers of the function, however they are cut."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import thermoml as tml
from thermoml.sweeps import Grid, Store, StoreError

GRID = Grid(drift=[0.0, 0.5, 1.0], scale=[1.0, 2.0])
M = 7


def index_of(ensemble):
    return ensemble["first_trajectory"] + jnp.arange(ensemble["n_trajectories"])


@pytest.fixture(scope="module")
def walk(noise_of):
    def walk(ensemble, drift, scale=1.0, steps=3):
        noise = noise_of(ensemble, int(steps))
        return {"place": drift + scale * noise, "square": noise[:, 0] ** 2}

    return walk


def rows(ensemble):
    return jnp.zeros(ensemble["n_trajectories"])


def test_means_and_errors_are_those_of_the_trajectories(go, walk, at):
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


def test_labels(go, walk):
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


def test_no_trajectories_are_kept_unless_asked_for(go, walk):
    names = set(go(GRID, walk, n_trajectories=M))
    variables = {"place", "square", "diverged"}
    assert names == variables | {f"{name}_standard_error" for name in variables}


def normal(ensemble, drift, scale):
    index = index_of(ensemble)
    keys = jax.vmap(lambda i: jax.random.fold_in(ensemble["key"], i))(index)
    noise = jax.vmap(lambda key: jax.random.normal(key, (5,)))(keys)
    return {"place": drift + noise, "square": (noise * jnp.exp(scale)) ** 2}


@pytest.mark.slow
@pytest.mark.parametrize(("function", "per_units"), [("walk", (2, 3, 14)), ("normal", (2, 14))])
def test_the_same_results_whatever_per_unit(function, per_units, go, tmp_path, walk):
    function = {"walk": walk, "normal": normal}[function]
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


def test_a_single_trajectory_has_no_error(go, walk):
    results = go(GRID, walk)
    assert results.place.notnull().all()
    assert results.place_standard_error.isnull().all()


@pytest.mark.parametrize("per_unit", [100, 3])
def test_no_axes(go, per_unit, walk, at):
    results = go({}, lambda ensemble: walk(ensemble, 0.5), n_trajectories=M, per_unit=per_unit)
    assert results.place.dims == ("place_dim_0",)
    expected = np.asarray(at(0, walk, drift=0.5)["place"], float).mean(0)
    np.testing.assert_allclose(results.place, expected, rtol=1e-12)


# Compilation


def test_floats_share_one_trace(go, walk, at):
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


def test_static_floats_arrive_as_they_are(go, walk, at):
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


def test_modules_share_their_code_by_class(go, noise_of, at):
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


# Precision, and reading meanwhile


def test_float64(go, x64, walk):
    results = go({"drift": [1.0, 2.0]}, walk, n_trajectories=3, trajectories=True)
    assert results.place_trajectories.dtype == np.float64
    thirds = go(
        {"drift": [1 / 3]},
        lambda ensemble, drift: {"x": rows(ensemble) + drift},
        n_trajectories=3,
        overwrite=True,
    )
    assert float(thirds.x[0]) == 1 / 3


def test_float32(go, walk):
    results = go({"drift": [1 / 3]}, walk, n_trajectories=3, trajectories=True)
    assert results.place_trajectories.dtype == np.float32


def test_the_store_can_be_read_while_it_is_written(go, tmp_path, walk):
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


# Arguments


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
def test_arguments_that_do_not_fit(options, error, told, go, tmp_path, walk):
    grid = options.pop("grid", GRID)
    with pytest.raises(error, match=told):
        go(grid, walk, store=tmp_path / "parent" / "run", **options)
    assert list(tmp_path.iterdir()) == []


def test_memory_cuts_units(go, walk):
    results = go(GRID, walk, n_trajectories=1000, memory="9 kB")
    assert results.attrs["units"]["trajectories"] < 1000
    assert results.place.notnull().all()
