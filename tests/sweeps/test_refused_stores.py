"""Stores of another run or version, refused with the difference."""

import json
import tarfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml
from thermoml.sweeps import Store, StoreError
from thermoml.sweeps._task import UnitRunner

GRID = {"drift": [0.0, 0.5, 1.0, 2.0, 4.0]}


def other(ensemble, drift):
    return {"place": drift + jnp.zeros((ensemble["n_trajectories"], 3))}


@pytest.mark.parametrize("cut", ["points"], indirect=True)
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"grid": {"drift": [0.0, 0.5]}}, r"grid.drift is \[0.0, .* in the store and \[0.0, 0.5\]"),
        (
            {"grid": {"drift": GRID["drift"], "n": [1]}},
            r"grid.n is null in the store and \[1\] now",
        ),
        ({"key": jax.random.key(4)}, r"key_data is \[0, 3\] in the store and \[0, 4\] now"),
        (
            {"key": jax.random.key(3, impl="rbg")},
            'key_implementation is "threefry2x32" .* and "rbg"',
        ),
        ({"n_trajectories": 6}, "n_trajectories is 5 in the store and 6 now"),
        ({"trajectories": False}, "trajectories is true in the store and false now"),
        ({"function": other}, 'function is "def walk.* in the store and "def other'),
        ({"replicates": "refresh"}, 'replicates is "trajectory" in the store and "refresh" now'),
        ({"standard_errors": False}, "standard_errors is true in the store and false now"),
        ({"static": ("drift",)}, r'static is \[\] in the store and \["drift"\] now'),
    ],
    ids=lambda value: "" if isinstance(value, str) else "-".join(value),
)
def test_another_run_is_refused(changes, told, copy, cut, finished, sweep_into, files):
    with pytest.raises(StoreError, match=f"is not of this run: .*{told}.*; choose another folder"):
        sweep_into(copy, cut, resume=True, **changes)
    assert files(copy) == files(finished)


@pytest.mark.parametrize("cut", ["points"], indirect=True)
def test_another_precision_is_refused(copy, cut, finished, x64, sweep_into):
    with pytest.raises(StoreError, match="x64 is false in the store and true now"):
        sweep_into(copy, cut, resume=True)


@pytest.mark.parametrize("cut", ["points"], indirect=True)
def test_other_rules_under_the_same_labels_are_refused(cut, tmp_path, sweep_into):
    def push(ensemble, rule):
        return {"force": rule(jnp.ones(ensemble["n_trajectories"]))}

    sweep_into(tmp_path / "run", grid={"rule": {"first": tml.AlphaTron(0.5)}}, function=push)
    with pytest.raises(StoreError, match="rule"):
        sweep_into(
            tmp_path / "run",
            grid={"rule": {"first": tml.AlphaTron(0.75)}},
            function=push,
            resume=True,
        )


def test_labels_of_modules_are_the_same_run(tmp_path, sweep_into, counted):
    def push(ensemble, rule):
        return {"force": rule(jnp.ones(ensemble["n_trajectories"]))}

    rules = {"α = ½": tml.AlphaTron(0.5), "custom": tml.perceptron.CustomRule(lambda s: s)}
    sweep_into(tmp_path / "run", grid={"rule": rules}, function=push)
    with counted(UnitRunner, "run") as runs:
        results = sweep_into(tmp_path / "run", grid={"rule": rules}, function=push, resume=True)
    assert not runs
    assert results.rule.values.tolist() == list(rules)


@pytest.mark.parametrize("cut", ["points"], indirect=True)
def test_the_difference_of_long_values_is_seen(cut, tmp_path, sweep_into):
    drifts = [i / 100 for i in range(40)]
    sweep_into(tmp_path / "run", grid={"drift": drifts}, per_unit=1000)
    with pytest.raises(StoreError) as caught:
        sweep_into(tmp_path / "run", grid={"drift": [*drifts[:-1], 0.75]}, resume=True)
    stored, now = str(caught.value).split(" is not of this run: ")[1].split(" in the store and ")
    assert stored.removeprefix("grid.drift is ") != now.split(" now; ")[0]
    assert "0.75" in now


def edit(folder, **changes):
    path = folder / "results.zarr" / ".zattrs"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("cut", ["points"], indirect=True)
def test_other_versions_are_refused(copy, cut, finished, sweep_into):
    edit(copy, jax_version="0.0.1")
    told = f'jax_version is "0.0.1" in the store and "{jax.__version__}" now'
    with pytest.raises(StoreError, match=f"is not of this run: {told}; "):
        sweep_into(copy, cut, resume=True)
    edit(copy, store_version=3, thermoml_version="9.9")
    with pytest.raises(StoreError, match=r"newer thermoml \(9.9, store format 3.*upgrade thermoml"):
        sweep_into(copy, cut, resume=True)


@pytest.fixture
def old_store(tmp_path):
    """What thermoml 0.1.0 left of `sweep_into(folder, "blocks")` after seven of its ten units."""
    with tarfile.open(Path(__file__).parent / "store_0_1_0.tar.gz") as archive:
        # Before Python 3.11.4 there is no filter.
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
        archive.extractall(tmp_path)
    return tmp_path / "store"


def test_a_store_begun_by_0_1_0_is_refused_with_the_difference(old_store, files, sweep_into):
    before = files(old_store)
    with pytest.raises(StoreError, match=r"is not of this run: .*store_version is 1 in the store"):
        sweep_into(old_store, "blocks", resume=True)
    assert files(old_store) == before
    with pytest.raises(StoreError, match="did not finish"):
        Store(old_store).open()


def test_the_numbers_of_0_1_0_are_read_and_are_the_same(old_store, tmp_path, sweep_into):
    new = sweep_into(tmp_path / "new", "blocks")
    old = Store(old_store).load()
    assert set(old) == set(new)
    done = slice(0, 3)  # the points all of whose trajectories are there
    assert old.place.isel(drift=done).notnull().all()
    for name in old:
        np.testing.assert_array_equal(old[name].isel(drift=done), new[name].isel(drift=done))
