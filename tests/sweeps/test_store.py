"""Finished stores, and the folders that may become one."""

import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest
import xarray as xr

from thermoml.numerics.labels import Labelled
from thermoml.sweeps import Store, StoreError
from thermoml.sweeps._plan import Plan
from thermoml.sweeps._variables import Variable

GRID = {"drift": [0.0, 0.5, 1.0, 2.0, 4.0]}
N_UNITS = {"points": 3, "blocks": 10}

# What a finished store is


def test_a_store_is_plain_labelled_zarr(finished, cut, journalled):
    with xr.open_zarr(finished / "results.zarr") as results:
        assert results.place.dims == ("drift", "place_dim_0")
        assert results.drift.values.tolist() == GRID["drift"]
        assert results.place.attrs == {"units": "", "long_name": "place"}
        assert results.place_standard_error.attrs["long_name"] == "standard error of place"
        assert results.attrs["complete"]
        assert {"jax_version", "thermoml_version", "store_version"} <= set(results.attrs)
        assert results.lost.isnull().values.tolist() == [False] * 4 + [True]
    assert journalled(finished) == list(range(N_UNITS[cut]))


def test_one_chunk_per_unit(finished, cut):
    name, first = {"points": ("place", "0.0"), "blocks": ("place_block_mean", "0.0.0")}[cut]
    chunks = [path.name for path in (finished / "results.zarr" / name).glob("[0-9]*")]
    assert first in chunks
    assert len(chunks) == N_UNITS[cut]


def test_a_store_made_by_hand(tmp_path):
    plan = Plan((2,), 1, (1,), 1)
    heat = Variable(("rule", "time"), (2, 3), (1, 3), "float64", "energy", "heat into the bath")
    rules = Labelled(("rule",), np.array(["Hebbian", "α-tron"]), "", "rule")
    times = Labelled(("time",), np.array([0.0, 1.0, 2.0]), "1/k", "time")
    with Store.claim(tmp_path / "run") as store:
        store.create(
            plan=plan,
            variables={"heat": heat},
            coordinates={"rule": rules, "time": times},
            attributes={"config": '{"n_trajectories": 1}'},
        )
        store.write(plan.unit(1), plan, {"heat": np.array([[0.0, 1.0, 2.0]])}, "α-tron", 0.5)
        with xr.open_zarr(store.results) as results:
            assert results.heat.sel(rule="α-tron").values.tolist() == [0.0, 1.0, 2.0]
            assert results.heat.sel(rule="Hebbian").isnull().all()
            assert results.time.values.tolist() == [0.0, 1.0, 2.0]
            assert results.time.attrs == {"units": "1/k", "long_name": "time"}
            assert results.attrs["complete"] is False
        line = json.loads((store.folder / "journal.jsonl").read_text())
        assert (line["unit"], line["label"], line["seconds"]) == (1, "α-tron", 0.5)
        with pytest.raises(StoreError, match="did not finish; go on with --resume"):
            store.open()
        store.finish()
        with pytest.raises(StoreError, match="1 of 2 units do not agree with the journal"):
            Store(store.folder).open()
        store.write(plan.unit(0), plan, {"heat": np.zeros((1, 3))}, "Hebbian", 0.5)
        store.write_summary({"heat": np.nan, "inner": {"values": [1.0, np.inf]}})
        assert store.open().attrs["complete"]
        summary = json.loads((store.folder / "summary.json").read_text())
        assert summary == {"heat": None, "inner": {"values": [1.0, None]}}


def test_no_store_to_open(tmp_path):
    with pytest.raises(StoreError, match=r"holds no results.zarr; run a config into it first"):
        Store(tmp_path).open()


# The folder


def names(folder):
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("cut", ["points"], indirect=True)
def test_not_empty(copy, cut, finished, files, sweep_into, resumed, journalled):
    (copy / "notes.txt").write_text("mine")
    before = files(copy), names(copy)
    with pytest.raises(StoreError, match="is not empty; choose another folder, or --resume"):
        sweep_into(copy, cut)
    assert (files(copy), names(copy)) == before
    resumed(copy, cut, finished, 0)
    sweep_into(copy, cut, overwrite=True, key=jax.random.key(4))
    assert files(copy) != files(finished)
    assert (copy / "notes.txt").read_text() == "mine"
    assert journalled(copy) == [0, 1, 2]


def test_nothing_of_a_store_to_resume(tmp_path, sweep_into):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(StoreError, match="holds other things and no results to resume"):
        sweep_into(tmp_path, resume=True)
    assert names(tmp_path) == {"notes.txt"}


def test_overwriting_other_things_keeps_them(tmp_path, sweep_into):
    (tmp_path / "notes.txt").touch()
    sweep_into(tmp_path, overwrite=True)
    assert {"notes.txt", "results.zarr", "journal.jsonl"} <= names(tmp_path)


def test_an_empty_folder_will_do(tmp_path, sweep_into):
    sweep_into(tmp_path)
    assert Store(tmp_path).open().attrs["complete"]


@pytest.mark.parametrize("resume", [False, True])
def test_places_where_no_store_can_be(tmp_path, resume, sweep_into):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere" / "run")
    with pytest.raises(StoreError, match=r"file is a file; choose another folder"):
        sweep_into(tmp_path / "file", resume=resume)
    with pytest.raises(StoreError, match=r"cannot write to .*file/run: Not a directory; choose"):
        sweep_into(tmp_path / "file" / "run", resume=resume)
    with pytest.raises(StoreError, match=r"cannot write to /proc/x: No such file or directory"):
        sweep_into("/proc/x", resume=resume)
    with pytest.raises(StoreError, match=r"cannot write to .*link: File exists"):
        sweep_into(tmp_path / "link", resume=resume)


@pytest.fixture
def ordinary_user():
    """Root may write anywhere."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield
    if root:
        os.seteuid(0)


@pytest.mark.parametrize("resume", [False, True])
def test_read_only_folder(tmp_path, resume, request, sweep_into):
    tmp_path.chmod(0o500)
    request.getfixturevalue("ordinary_user")
    with pytest.raises(StoreError, match=r"cannot write to .*: Permission denied; choose another"):
        sweep_into(tmp_path / "run", resume=resume)


HOLD = """
import sys, time
from thermoml.sweeps import Store
with Store.claim(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_another_process_holds_the_folder(tmp_path, sweep_into):
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        for options in ({}, {"resume": True}, {"overwrite": True}):
            with pytest.raises(StoreError, match=f"is being written by process {process.pid} on "):
                sweep_into(tmp_path / "run", **options)
        process.kill()
    sweep_into(tmp_path / "run")
    assert Store(tmp_path / "run").open().attrs["complete"]


def test_held_by_this_process(copy, sweep_into):
    with Store.claim(copy, resume=True):
        for options in ({"resume": True}, {"overwrite": True}):
            with pytest.raises(StoreError, match=f"is being written by process {os.getpid()} on "):
                sweep_into(copy, **options)
    with Store.claim(copy, resume=True):
        pass
