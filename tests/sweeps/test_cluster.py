"""Units as tasks of Dask on real worker processes, which may die, and with a scheduler that may."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import jax
import jax.numpy as jnp
import pytest
from typer.testing import CliRunner

import thermoml as tml
from thermoml.cli import app
from thermoml.sweeps import ClusterError, _executors, local_workers

pytestmark = pytest.mark.slow

KEY = jax.random.key(4)
GRID = tml.Grid(drift=[0.1 * i for i in range(10)])


def walker(seconds):
    """A function to sweep with; workers get it by value. A unit takes about so many seconds."""

    def walk(ensemble, drift):
        index = ensemble["first_trajectory"] + jnp.arange(ensemble["n_trajectories"])
        keys = jax.vmap(lambda i: jax.random.fold_in(ensemble["key"], i))(index)
        place = drift + jax.vmap(lambda key: jax.random.normal(key, (3,)))(keys)

        def rest(place):
            time.sleep(seconds)
            return place

        return {"place": jax.pure_callback(rest, place, place, vmap_method="sequential")}

    return walk


def run(store, *, seconds=0.0, **options):
    options = {"n_trajectories": 6, "per_unit": 3, "trajectories": True} | options
    return tml.sweep(GRID, walker(seconds), store=store, key=KEY, **options)


def files(store):
    found = [path for path in (store / "results.zarr").rglob("*") if path.is_file()]
    return {path.relative_to(store): path.read_bytes() for path in found}


def values(files):
    """The arrays without the attributes of the store, which hold the program's digest."""
    return {path: content for path, content in files.items() if path.parent.name != "results.zarr"}


def units_done(store):
    journal = store / "journal.jsonl"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def wait_for(condition, seconds=300.0):
    """Until `condition()`, or the time is up."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """The store that this process writes by itself."""
    store = tmp_path_factory.mktemp("here") / "store"
    run(store)
    return files(store)


@pytest.fixture(scope="module")
def workers():
    """A client of two worker processes."""
    with local_workers(2) as client:
        client.wait_for_workers(2, timeout=60)
        yield client


def test_two_workers_write_the_same_store(here, workers, tmp_path):
    run(tmp_path / "store", executor=workers)
    assert files(tmp_path / "store") == here


def test_workers_share_the_cores(workers):
    owned = workers.run(lambda: sorted(os.sched_getaffinity(0)))
    cores = sorted(os.sched_getaffinity(0))
    assert {core for mine in owned.values() for core in mine} == set(cores)
    assert all(len(mine) == max(1, len(cores) // 2) for mine in owned.values())
    counts = workers.run(jax.local_device_count)
    assert counts == {address: len(mine) for address, mine in owned.items()}


def test_a_killed_workers_unit_is_run_again_elsewhere(here, workers, tmp_path):
    store, killed = tmp_path / "store", []

    def kill():
        wait_for(lambda: units_done(store) >= 3)
        busy = [address for address, tasks in workers.processing().items() if tasks]
        killed.append(workers.run(os.getpid, workers=busy[:1])[busy[0]])
        os.kill(killed[0], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    run(store, seconds=0.3, executor=workers)
    thread.join()
    with pytest.raises(ProcessLookupError):
        os.kill(killed[0], 0)
    assert values(files(store)) == values(here)  # another program: it waits longer


def test_other_versions_on_workers_are_refused(workers, tmp_path, monkeypatch):
    other = {**_executors.versions(), "jax_version": "0.0.1"}
    monkeypatch.setattr(_executors, "versions", lambda: other)
    with pytest.raises(ClusterError, match="other versions.*0.0.1"):
        run(tmp_path / "store", executor=workers)


def test_an_error_in_the_function_comes_back(workers, tmp_path):
    def fails(ensemble, drift):
        def stop(x):
            raise ArithmeticError("the walker fell")

        x = jnp.zeros(ensemble["n_trajectories"]) + drift
        return {"place": jax.pure_callback(stop, x, x, vmap_method="sequential")}

    with pytest.raises(Exception, match="the walker fell"):
        tml.sweep(GRID, fails, store=tmp_path / "store", key=KEY, executor=workers)


@pytest.fixture
def cluster(tmp_path):
    """A scheduler and a worker as processes of their own; the address and the scheduler."""
    file = tmp_path / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    options = ["--scheduler-file", str(file), "--no-dashboard"]
    scheduler = subprocess.Popen(
        [*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", *options], **quiet
    )
    wait_for(file.exists)
    wait_for(lambda: file.read_text().strip())
    worker = subprocess.Popen([*dask, "worker", "--no-nanny", "--nthreads", "1", *options], **quiet)
    yield json.loads(file.read_text())["address"], scheduler
    for process in (worker, scheduler):
        process.kill()
        process.wait()


def test_a_lost_scheduler_leaves_a_store_to_resume(cluster, here, tmp_path):
    address, scheduler = cluster
    store = tmp_path / "store"
    config = tmp_path / "config.yaml"
    config.write_text(
        "{study: sweep, grid: {alpha: [0.0, 0.2, 0.4, 0.6]}, n_inputs: 200, batch: 2, "
        "n_trajectories: 64, per_unit: 64, t1: 15.0, saves: 10}"
    )

    def kill():
        wait_for(lambda: units_done(store) >= 1)
        scheduler.kill()

    thread = threading.Thread(target=kill)
    thread.start()
    lost = CliRunner().invoke(
        app, ["run", str(config), "--out", str(store), "--scheduler", address]
    )
    gone = time.monotonic()
    thread.join()
    assert lost.exit_code == 2, lost.output
    assert "the scheduler went away" in lost.stderr
    assert 1 <= units_done(store) < 4
    assert time.monotonic() - gone < 15
    finished = CliRunner().invoke(app, ["run", str(config), "--out", str(store), "--resume"])
    assert finished.exit_code == 0, finished.output
    whole = CliRunner().invoke(app, ["run", str(config), "--out", str(tmp_path / "whole")])
    assert whole.exit_code == 0
    assert files(store) == files(tmp_path / "whole")


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "127.0.0.1:1", "nowhere"])
def test_an_unreachable_scheduler_is_told_within_15_seconds(address, tmp_path):
    began = time.monotonic()
    out = tmp_path / "out"
    result = CliRunner().invoke(
        app, ["run", "sweep", "--quick", "--out", str(out), "--scheduler", address]
    )
    assert time.monotonic() - began < 15
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert address in result.stderr
    assert not out.exists()
