"""Results of a sweep's function: their labels, exact ones, and those of some points only."""

import contextlib

import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml
from thermoml.sweeps import Labelled, Store, StoreError
from thermoml.sweeps._task import UnitRunner

M = 7


def index_of(ensemble):
    return ensemble["first_trajectory"] + jnp.arange(ensemble["n_trajectories"])


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


def test_solutions(go, at):
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


@pytest.mark.slow
def test_learning_curves(go, at):
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


def test_labelled_results_with_their_own_coordinates(go, noise_of):
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
def test_exact_results_are_stored_once(per_unit, go, noise_of):
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
def test_replicates_that_are_no_trajectories(replicates, single, per_unit, go, tmp_path, noise_of):
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
def test_a_variable_that_some_points_return_is_nan_at_the_others(per_unit, go, tmp_path, noise_of):
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
