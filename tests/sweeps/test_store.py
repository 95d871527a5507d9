"""The store: whatever stops a run, going on with it ends with the same bytes."""

import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
import tarfile
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
import zarr

import thermoml as tml
from thermoml.numerics.labels import Labelled
from thermoml.sweeps import Store, StoreError, StoreWarning
from thermoml.sweeps._plan import Plan
from thermoml.sweeps._task import UnitRunner
from thermoml.sweeps._variables import Variable

KEY = jax.random.key(3)
GRID = {"drift": [0.0, 0.5, 1.0, 2.0, 4.0]}
# 5 points with 5 trajectories each: two points a unit, or two blocks of trajectories a point.
CUTS = {"points": {"per_unit": 10}, "blocks": {"per_unit": 3}}
N_UNITS = {"points": 3, "blocks": 10}


def walk(ensemble, drift):
    """Whole numbers from key and trajectory, so that nothing depends on blocks; NaN at drift 4."""
    index = ensemble["first_trajectory"] + jnp.arange(ensemble["n_trajectories"])
    seed = jax.random.key_data(ensemble["key"])[0]
    mixed = jnp.outer(index.astype(jnp.uint32) + seed, jnp.arange(1, 4, dtype=jnp.uint32))
    noise = (mixed * jnp.uint32(2654435761) >> 8).astype(drift.dtype) / 2**24
    return {"place": drift + noise, "lost": jnp.where(drift == 4, jnp.nan, noise[:, 0])}


def go(folder, cut="points", function=walk, grid=GRID, **changes):
    options = {"key": KEY, "n_trajectories": 5, "trajectories": True, "progress": False}
    return tml.sweep(grid, function, store=folder, **(options | CUTS[cut] | changes))


@pytest.fixture(scope="module", autouse=True)
def compile_once():
    """Equal runs share the code that `sweep` would compile anew for each store."""
    shared, init = {}, UnitRunner.__init__

    def init_shared(self, task, meter=False):
        init(self, task, meter)
        equal = task.function, str(task.grid.axes), str(task.key), task.x64
        memory = {name: value for name, value in vars(self).items() if isinstance(value, dict)}
        vars(self).update(shared.setdefault(equal, memory))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(UnitRunner, "__init__", init_shared)
        yield


def files(folder):
    """All of results.zarr, by path."""
    results = folder / "results.zarr"
    found = (path for path in results.rglob("*") if path.is_file())
    return {str(path.relative_to(results)): path.read_bytes() for path in found}


def journalled(folder):
    lines = (folder / "journal.jsonl").read_text().splitlines()
    return [json.loads(line)["unit"] for line in lines]


@contextlib.contextmanager
def counted(owner, name, stop_at=None, error=KeyboardInterrupt):
    """The calls of a method; `error` instead of call number `stop_at`."""
    calls, method = [], getattr(owner, name)

    def call(*args, **kwargs):
        calls.append(args)
        if len(calls) - 1 == stop_at:
            raise error
        return method(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, call)
        yield calls


@pytest.fixture(scope="module", params=CUTS)
def cut(request):
    return request.param


@pytest.fixture(scope="module")
def finished(cut, tmp_path_factory):
    """An uninterrupted run."""
    folder = tmp_path_factory.mktemp(cut) / "run"
    go(folder, cut)
    return folder


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "copy")


def resumed(folder, cut, finished, n_run):
    """Going on ends with the same bytes, and runs so many units."""
    with counted(UnitRunner, "run") as runs, counted(Store, "write") as writes:
        go(folder, cut, resume=True)
    assert len(runs) == len(writes) == n_run
    assert files(folder) == files(finished)
    assert set(journalled(folder)) == set(range(N_UNITS[cut]))
    assert not (folder / "results.part").exists()


# What a finished store is


def test_a_store_is_plain_labelled_zarr(finished, cut):
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
            attributes={"config": "{}"},
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
        store.finish({"heat": np.nan, "inner": {"values": [1.0, np.inf]}})
        assert store.open().attrs["complete"]
        summary = json.loads((store.folder / "summary.json").read_text())
        assert summary == {"heat": None, "inner": {"values": [1.0, None]}}


def test_no_store_to_open(tmp_path):
    with pytest.raises(StoreError, match=r"holds no results.zarr; run a config into it first"):
        Store(tmp_path).open()


# Interrupted


@pytest.mark.parametrize(("method", "k"), [("write", 0), ("write", 1), ("write", 2), ("run", 1)])
def test_interrupted_between_units(method, k, finished, cut, tmp_path):
    owner = {"write": Store, "run": UnitRunner}[method]
    with counted(owner, method, stop_at=k), pytest.raises(KeyboardInterrupt):
        go(tmp_path / "run", cut)
    assert journalled(tmp_path / "run") == list(range(k)) if k else True
    with xr.open_zarr(tmp_path / "run" / "results.zarr") as results:
        assert results.attrs["complete"] is False
    resumed(tmp_path / "run", cut, finished, N_UNITS[cut] - k)


@pytest.mark.parametrize("k", [1, 4])
def test_interrupted_within_a_unit(k, finished, cut, tmp_path):
    with counted(zarr.Array, "__setitem__", stop_at=k), pytest.raises(KeyboardInterrupt):
        go(tmp_path / "run", cut)
    resumed(tmp_path / "run", cut, finished, N_UNITS[cut])


def test_interrupted_twice(finished, cut, tmp_path):
    for resume in (False, True):
        with counted(Store, "write", stop_at=1), pytest.raises(KeyboardInterrupt):
            go(tmp_path / "run", cut, resume=resume)
    resumed(tmp_path / "run", cut, finished, N_UNITS[cut] - 2)


def test_interrupted_in_creation_leaves_nothing(finished, cut, tmp_path):
    with counted(zarr, "consolidate_metadata", stop_at=0), pytest.raises(KeyboardInterrupt):
        go(tmp_path / "run", cut)
    assert not (tmp_path / "run").exists()


def test_killed_in_creation(finished, cut, tmp_path):
    part = tmp_path / "run" / "results.part"
    part.mkdir(parents=True)
    (part / ".zgroup").write_text('{"zarr')
    (tmp_path / "run" / "lock").touch()
    resumed(tmp_path / "run", cut, finished, N_UNITS[cut])


def test_interrupted_while_finishing(finished, cut, tmp_path):
    with counted(zarr, "consolidate_metadata", stop_at=1), pytest.raises(KeyboardInterrupt):
        go(tmp_path / "run", cut)
    resumed(tmp_path / "run", cut, finished, 0)


def test_complete_store_is_left_as_it_is(copy, cut, finished):
    resumed(copy, cut, finished, 0)


def test_own_cut_is_kept(copy, cut, finished):
    with counted(UnitRunner, "run") as runs:
        go(copy, cut, resume=True, per_unit=1, memory="3 GB")
    assert (runs, files(copy)) == ([], files(finished))


def test_own_cut_is_kept_for_what_is_left(finished, cut, tmp_path):
    with counted(Store, "write", stop_at=1), pytest.raises(KeyboardInterrupt):
        go(tmp_path / "run", cut)
    go(tmp_path / "run", cut, resume=True, per_unit=1, memory="3 GB")
    assert files(tmp_path / "run") == files(finished)


def test_resume_begins_where_there_is_none(finished, cut, tmp_path):
    resumed(tmp_path / "a" / "run", cut, finished, N_UNITS[cut])


# Damaged


def cut_half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    content = bytearray(path.read_bytes())
    content[20] ^= 0x40  # after the header; what is last may be padding
    path.write_bytes(content)


def zeros(path):
    path.write_bytes(bytes(path.stat().st_size))


DAMAGES = [os.unlink, cut_half, flip, zeros]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("which", ["0", "-1"])
def test_damaged_chunk_has_its_unit_run_again(which, damage, copy, cut, finished):
    name = {"points": "place_standard_error", "blocks": "place_block_square"}[cut]
    for array in (name, "place_trajectories"):  # of the same unit
        chunks = sorted((copy / "results.zarr" / array).glob("[0-9]*"))
        damage(chunks[int(which)])
    resumed(copy, cut, finished, 1)


@pytest.mark.parametrize("cut", ["blocks"], indirect=True)
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_statistics_are_combined_again(damage, copy, cut, finished):
    for chunk in ("place/0.0", "lost_standard_error/3", "lost/4"):
        damage(copy / "results.zarr" / chunk)
    resumed(copy, cut, finished, 0)


@pytest.mark.parametrize("cut", ["points"], indirect=True)
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_coordinate_is_mended(damage, copy, cut, finished):
    damage(copy / "results.zarr" / "drift" / "0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StoreWarning)  # anew or not
        go(copy, cut, resume=True)
    assert files(copy) == files(finished)


@pytest.mark.parametrize("cut", ["blocks"], indirect=True)
@pytest.mark.parametrize(
    ("name", "content"),
    [
        *[(".zattrs", content) for content in (None, "", "{", "5", '{"a": 1}')],
        *[(".zgroup", content) for content in (None, "{}")],
        *[("place/.zarray", content) for content in (None, "{")],
        *[("place/.zattrs", content) for content in (None, "{", "{}")],
        ("place_block_mean/.zarray", None),
        ("drift/.zarray", None),
        ("drift/.zattrs", "{"),
    ],
)
def test_torn_labels_begin_anew(name, content, copy, cut, finished):
    path = copy / "results.zarr" / name
    path.unlink()
    if content is not None:
        path.write_text(content)
    torn = files(copy)
    with pytest.warns(StoreWarning, match=r"was torn; the run begins anew, .*results.torn"):
        resumed(copy, cut, finished, N_UNITS[cut])
    (copy / "results.torn").rename(copy.parent / "results.zarr")
    assert files(copy.parent) == torn


def test_torn_again_and_again(copy, cut, finished):
    for _ in range(2):
        (copy / "results.zarr" / ".zgroup").unlink()
        stop = counted(zarr, "consolidate_metadata", stop_at=0)
        with pytest.warns(StoreWarning), stop, pytest.raises(KeyboardInterrupt):
            go(copy, cut, resume=True)
        resumed(copy, cut, finished, N_UNITS[cut])


@pytest.mark.parametrize("cut", ["points"], indirect=True)
@pytest.mark.parametrize("content", [None, "{"])
def test_torn_consolidated_metadata(content, copy, cut, finished):
    path = copy / "results.zarr" / ".zmetadata"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StoreWarning)  # anew or not
        go(copy, cut, resume=True)
    assert files(copy) == files(finished)


@pytest.mark.parametrize("cut", ["points"], indirect=True)
@pytest.mark.parametrize(
    ("damage", "n_run"),
    [
        (lambda lines: [*lines[:-1], lines[-1][:20]], 1),
        (lambda lines: [*lines[:-1], lines[-1].rstrip(b"\n")], 1),
        (lambda lines: [lines[0][:9] + b"\n", *lines[1:]], 1),
        (lambda lines: [*lines[1:], lines[0][:9] + lines[0]], 1),
        (lambda lines: [b"\xff\x00\x9a\n", b"null\n", b"{}\n", b"\n", *lines], 0),
        (lambda lines: [b'{"unit": 1e999}\n', *lines], 0),
        (lambda lines: [b'{"unit": 99, "checksum": 1}\n', b'{"unit": -1}\n', *lines], 0),
        (lambda lines: [b'{"unit": 0}\n', b'{"unit": 1, "checksum": 7}\n', *lines], 0),
        (lambda lines: [*lines, b'{"unit": 1, "checksum": 7}\n'], 1),
        (lambda lines: [*lines, *lines], 0),
        (lambda lines: [], None),
    ],
    ids="half no-newline garbage-first joined garbage huge beyond stale wrong twice empty".split(),
)
def test_torn_journal(damage, n_run, copy, cut, finished):
    lines = (copy / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (copy / "journal.jsonl").write_bytes(b"".join(damage(lines)))
    with counted(UnitRunner, "run") as runs:
        go(copy, cut, resume=True)
    assert len(runs) == (N_UNITS[cut] if n_run is None else n_run)
    assert files(copy) == files(finished)
    with counted(UnitRunner, "run") as runs:
        go(copy, cut, resume=True)
    assert not runs


def test_journal_lost(copy, cut, finished):
    (copy / "journal.jsonl").unlink()
    resumed(copy, cut, finished, N_UNITS[cut])


def test_store_is_not_complete_while_a_lost_unit_is_run(copy, cut, finished):
    for chunk in (copy / "results.zarr" / "place_trajectories").glob("0.*"):
        chunk.unlink()
    with counted(Store, "write", stop_at=0), pytest.raises(KeyboardInterrupt):
        go(copy, cut, resume=True)
    with pytest.raises(StoreError, match="did not finish"):
        Store(copy).open()


# Another run


def other(ensemble, drift):
    return walk(ensemble, drift)


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
def test_another_run_is_refused(changes, told, copy, cut, finished):
    with pytest.raises(StoreError, match=f"is not of this run: .*{told}.*; choose another folder"):
        go(copy, cut, resume=True, **changes)
    assert files(copy) == files(finished)


@pytest.mark.parametrize("cut", ["points"], indirect=True)
def test_another_precision_is_refused(copy, cut, finished, x64):
    with pytest.raises(StoreError, match="x64 is false in the store and true now"):
        go(copy, cut, resume=True)


@pytest.mark.parametrize("cut", ["points"], indirect=True)
def test_other_rules_under_the_same_labels_are_refused(cut, tmp_path):
    def push(ensemble, rule):
        return {"force": rule(jnp.ones(ensemble["n_trajectories"]))}

    go(tmp_path / "run", grid={"rule": {"first": tml.AlphaTron(0.5)}}, function=push)
    with pytest.raises(StoreError, match="rule"):
        go(
            tmp_path / "run",
            grid={"rule": {"first": tml.AlphaTron(0.75)}},
            function=push,
            resume=True,
        )


def test_labels_of_modules_are_the_same_run(tmp_path):
    def push(ensemble, rule):
        return {"force": rule(jnp.ones(ensemble["n_trajectories"]))}

    rules = {"α = ½": tml.AlphaTron(0.5), "custom": tml.perceptron.CustomRule(lambda s: s)}
    go(tmp_path / "run", grid={"rule": rules}, function=push)
    with counted(UnitRunner, "run") as runs:
        results = go(tmp_path / "run", grid={"rule": rules}, function=push, resume=True)
    assert not runs
    assert results.rule.values.tolist() == list(rules)


@pytest.mark.parametrize("cut", ["points"], indirect=True)
def test_the_difference_of_long_values_is_seen(cut, tmp_path):
    drifts = [i / 100 for i in range(40)]
    go(tmp_path / "run", grid={"drift": drifts}, per_unit=1000)
    with pytest.raises(StoreError) as caught:
        go(tmp_path / "run", grid={"drift": [*drifts[:-1], 0.75]}, resume=True)
    stored, now = str(caught.value).split(" is not of this run: ")[1].split(" in the store and ")
    assert stored.removeprefix("grid.drift is ") != now.split(" now; ")[0]
    assert "0.75" in now


def edit(folder, **changes):
    path = folder / "results.zarr" / ".zattrs"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("cut", ["points"], indirect=True)
def test_other_versions_are_refused(copy, cut, finished):
    edit(copy, jax_version="0.0.1")
    told = f'jax_version is "0.0.1" in the store and "{jax.__version__}" now'
    with pytest.raises(StoreError, match=f"is not of this run: {told}; "):
        go(copy, cut, resume=True)
    edit(copy, store_version=3, thermoml_version="9.9")
    with pytest.raises(StoreError, match=r"newer thermoml \(9.9, store format 3.*upgrade thermoml"):
        go(copy, cut, resume=True)


@pytest.fixture
def old_store(tmp_path):
    """What thermoml 0.1.0 left of `go(folder, "blocks")`, stopped after seven of its ten units."""
    with tarfile.open(Path(__file__).parent / "store_0_1_0.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "store"


def test_a_store_begun_by_0_1_0_is_refused_with_the_difference(old_store):
    before = files(old_store)
    with pytest.raises(StoreError, match=r"is not of this run: .*store_version is 1 in the store"):
        go(old_store, "blocks", resume=True)
    assert files(old_store) == before
    with pytest.raises(StoreError, match="did not finish"):
        Store(old_store).open()


def test_the_numbers_of_0_1_0_are_read_and_are_the_same(old_store, tmp_path):
    new = go(tmp_path / "new", "blocks")
    old = Store(old_store).load()
    assert set(old) == set(new)
    done = slice(0, 3)  # the points all of whose trajectories are there
    assert old.place.isel(drift=done).notnull().all()
    for name in old:
        np.testing.assert_array_equal(old[name].isel(drift=done), new[name].isel(drift=done))


# The folder


def names(folder):
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("cut", ["points"], indirect=True)
def test_not_empty(copy, cut, finished):
    (copy / "notes.txt").write_text("mine")
    before = files(copy), names(copy)
    with pytest.raises(StoreError, match="is not empty; choose another folder, or --resume"):
        go(copy, cut)
    assert (files(copy), names(copy)) == before
    resumed(copy, cut, finished, 0)
    go(copy, cut, overwrite=True, key=jax.random.key(4))
    assert files(copy) != files(finished)
    assert (copy / "notes.txt").read_text() == "mine"
    assert journalled(copy) == [0, 1, 2]


def test_nothing_of_a_store_to_resume(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(StoreError, match="holds other things and no results to resume"):
        go(tmp_path, resume=True)
    assert names(tmp_path) == {"notes.txt"}


def test_overwriting_other_things_keeps_them(tmp_path):
    (tmp_path / "notes.txt").touch()
    go(tmp_path, overwrite=True)
    assert {"notes.txt", "results.zarr", "journal.jsonl"} <= names(tmp_path)


def test_an_empty_folder_will_do(tmp_path):
    go(tmp_path)
    assert Store(tmp_path).open().attrs["complete"]


@pytest.mark.parametrize("resume", [False, True])
def test_places_where_no_store_can_be(tmp_path, resume):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere" / "run")
    with pytest.raises(StoreError, match=r"file is a file; choose another folder"):
        go(tmp_path / "file", resume=resume)
    with pytest.raises(StoreError, match=r"cannot write to .*file/run: Not a directory; choose"):
        go(tmp_path / "file" / "run", resume=resume)
    with pytest.raises(StoreError, match=r"cannot write to /proc/x: No such file or directory"):
        go("/proc/x", resume=resume)
    with pytest.raises(StoreError, match=r"cannot write to .*link: File exists"):
        go(tmp_path / "link", resume=resume)


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
def test_read_only_folder(tmp_path, resume, request):
    tmp_path.chmod(0o500)
    request.getfixturevalue("ordinary_user")
    with pytest.raises(StoreError, match=r"cannot write to .*: Permission denied; choose another"):
        go(tmp_path / "run", resume=resume)


HOLD = """
import sys, time
from thermoml.sweeps import Store
with Store.claim(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_another_process_holds_the_folder(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        for options in ({}, {"resume": True}, {"overwrite": True}):
            with pytest.raises(StoreError, match=f"is being written by process {process.pid} on "):
                go(tmp_path / "run", **options)
        process.kill()
    go(tmp_path / "run")
    assert Store(tmp_path / "run").open().attrs["complete"]


def test_held_by_this_process(copy):
    with Store.claim(copy, resume=True):
        for options in ({"resume": True}, {"overwrite": True}):
            with pytest.raises(StoreError, match=f"is being written by process {os.getpid()} on "):
                go(copy, **options)
    with Store.claim(copy, resume=True):
        pass


# A full disk

FULL = OSError(errno.ENOSPC, "No space left on device")
KEPT = "No space left on device; what had finished is kept; make room and go on with --resume"


def full_disk(stop_at):
    """Fails to write a chunk."""

    async def refuse(self, key, value, *rest):
        calls.append(key)
        if len(calls) > stop_at:
            raise FULL
        return await real(self, key, value, *rest)

    calls, real = [], zarr.storage.LocalStore.set
    patch = pytest.MonkeyPatch()
    patch.setattr(zarr.storage.LocalStore, "set", refuse)
    return patch


def test_no_room_for_the_journal(finished, cut, tmp_path):
    journal = tmp_path / "run" / "journal.jsonl"
    real = Store.write

    def write(self, unit, *args):
        if unit.number == 1:
            journal.rename(tmp_path / "kept")
            journal.symlink_to("/dev/full")
        return real(self, unit, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "write", write)
        with pytest.raises(StoreError, match=KEPT):
            go(tmp_path / "run", cut)
    (tmp_path / "kept").replace(journal)
    resumed(tmp_path / "run", cut, finished, N_UNITS[cut] - 1)


def test_no_room_for_a_chunk(finished, cut, tmp_path):
    real = Store.write

    def write(self, unit, *args):
        patch = full_disk(2) if unit.number == 1 else pytest.MonkeyPatch()
        try:
            return real(self, unit, *args)
        finally:
            patch.undo()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "write", write)
        with pytest.raises(StoreError, match=KEPT):
            go(tmp_path / "run", cut)
    resumed(tmp_path / "run", cut, finished, N_UNITS[cut] - 1)


@pytest.mark.parametrize("stop_at", [0, 5])
def test_no_room_to_create(stop_at, finished, cut, tmp_path):
    def refuse(self, data):
        written.append(self)
        if len(written) > stop_at:
            raise FULL
        return real(self, data)

    written, real = [], Path.write_bytes
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "write_bytes", refuse)
        with pytest.raises(StoreError, match="No space left on device; choose another folder"):
            go(tmp_path / "run", cut)
    assert len(written) == stop_at + 1
    assert not (tmp_path / "run").exists()


def test_no_room_to_finish(finished, cut, tmp_path):
    real = Store.finish

    def finish(self, *args):
        patch = full_disk(0)
        try:
            return real(self, *args)
        finally:
            patch.undo()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "finish", finish)
        with pytest.raises(StoreError, match="No space left on device; make room and go on with"):
            go(tmp_path / "run", cut)
    resumed(tmp_path / "run", cut, finished, 0)


@pytest.mark.parametrize("cut", ["blocks"], indirect=True)
def test_no_room_while_resuming_keeps_the_store(copy, cut, finished):
    (copy / "results.zarr" / "place" / "0.0").unlink()
    patch = full_disk(0)
    try:
        with pytest.raises(StoreError, match="No space left on device"):
            go(copy, cut, resume=True)
    finally:
        patch.undo()
    resumed(copy, cut, finished, 0)


def test_a_disk_that_cannot_be_read_keeps_the_store(copy, cut, finished):
    error = OSError(errno.EIO, "Input/output error")
    with counted(zarr, "open_group", stop_at=0, error=error):
        with pytest.raises(StoreError, match="Input/output error"):
            go(copy, cut, resume=True)
    resumed(copy, cut, finished, 0)
