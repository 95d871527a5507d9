"""Interrupted runs and full disks: going on ends with the same bytes."""

import errno
from pathlib import Path

import pytest
import xarray as xr
import zarr

from thermoml.sweeps import Store, StoreError
from thermoml.sweeps._task import UnitRunner

N_UNITS = {"points": 3, "blocks": 10}

# Interrupted


@pytest.mark.parametrize(("method", "k"), [("write", 0), ("write", 1), ("write", 2), ("run", 1)])
def test_interrupted_between_units(
    method, k, finished, cut, tmp_path, counted, sweep_into, journalled, resumed
):
    owner = {"write": Store, "run": UnitRunner}[method]
    with counted(owner, method, stop_at=k), pytest.raises(KeyboardInterrupt):
        sweep_into(tmp_path / "run", cut)
    assert journalled(tmp_path / "run") == list(range(k)) if k else True
    with xr.open_zarr(tmp_path / "run" / "results.zarr") as results:
        assert results.attrs["complete"] is False
    resumed(tmp_path / "run", cut, finished, N_UNITS[cut] - k)


@pytest.mark.parametrize("k", [1, 4])
def test_interrupted_within_a_unit(k, finished, cut, tmp_path, counted, sweep_into, resumed):
    with counted(zarr.Array, "__setitem__", stop_at=k), pytest.raises(KeyboardInterrupt):
        sweep_into(tmp_path / "run", cut)
    resumed(tmp_path / "run", cut, finished, N_UNITS[cut])


def test_interrupted_twice(finished, cut, tmp_path, counted, sweep_into, resumed):
    for resume in (False, True):
        with counted(Store, "write", stop_at=1), pytest.raises(KeyboardInterrupt):
            sweep_into(tmp_path / "run", cut, resume=resume)
    resumed(tmp_path / "run", cut, finished, N_UNITS[cut] - 2)


def test_interrupted_in_creation_leaves_nothing(finished, cut, tmp_path, counted, sweep_into):
    with counted(zarr, "consolidate_metadata", stop_at=0), pytest.raises(KeyboardInterrupt):
        sweep_into(tmp_path / "run", cut)
    assert not (tmp_path / "run").exists()


def test_killed_in_creation(finished, cut, tmp_path, resumed):
    part = tmp_path / "run" / "results.part"
    part.mkdir(parents=True)
    (part / ".zattrs").write_text('{"store')
    (tmp_path / "run" / "lock").touch()
    resumed(tmp_path / "run", cut, finished, N_UNITS[cut])


def test_interrupted_while_finishing(finished, cut, tmp_path, counted, sweep_into, resumed):
    with counted(zarr, "consolidate_metadata", stop_at=1), pytest.raises(KeyboardInterrupt):
        sweep_into(tmp_path / "run", cut)
    resumed(tmp_path / "run", cut, finished, 0)


def test_complete_store_is_left_as_it_is(copy, cut, finished, resumed):
    resumed(copy, cut, finished, 0)


def test_own_cut_is_kept(copy, cut, finished, counted, sweep_into, files):
    with counted(UnitRunner, "run") as runs:
        sweep_into(copy, cut, resume=True, per_unit=1, memory="3 GB")
    assert (runs, files(copy)) == ([], files(finished))


def test_own_cut_is_kept_for_what_is_left(finished, cut, tmp_path, counted, sweep_into, files):
    with counted(Store, "write", stop_at=1), pytest.raises(KeyboardInterrupt):
        sweep_into(tmp_path / "run", cut)
    sweep_into(tmp_path / "run", cut, resume=True, per_unit=1, memory="3 GB")
    assert files(tmp_path / "run") == files(finished)


def test_resume_begins_where_there_is_none(finished, cut, tmp_path, resumed):
    resumed(tmp_path / "a" / "run", cut, finished, N_UNITS[cut])


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


def test_no_room_for_the_journal(finished, cut, tmp_path, sweep_into, resumed):
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
            sweep_into(tmp_path / "run", cut)
    (tmp_path / "kept").replace(journal)
    resumed(tmp_path / "run", cut, finished, N_UNITS[cut] - 1)


def test_no_room_for_a_chunk(finished, cut, tmp_path, sweep_into, resumed):
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
            sweep_into(tmp_path / "run", cut)
    resumed(tmp_path / "run", cut, finished, N_UNITS[cut] - 1)


@pytest.mark.parametrize("stop_at", [0, 5])
def test_no_room_to_create(stop_at, finished, cut, tmp_path, sweep_into):
    def refuse(self, data):
        written.append(self)
        if len(written) > stop_at:
            raise FULL
        return real(self, data)

    written, real = [], Path.write_bytes
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "write_bytes", refuse)
        with pytest.raises(StoreError, match="No space left on device; choose another folder"):
            sweep_into(tmp_path / "run", cut)
    assert len(written) == stop_at + 1
    assert not (tmp_path / "run").exists()


def test_no_room_to_finish(finished, cut, tmp_path, sweep_into, resumed):
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
            sweep_into(tmp_path / "run", cut)
    resumed(tmp_path / "run", cut, finished, 0)


@pytest.mark.parametrize("cut", ["blocks"], indirect=True)
def test_no_room_while_resuming_keeps_the_store(copy, cut, finished, sweep_into, resumed):
    (copy / "results.zarr" / "place" / "0.0").unlink()
    patch = full_disk(0)
    try:
        with pytest.raises(StoreError, match="No space left on device"):
            sweep_into(copy, cut, resume=True)
    finally:
        patch.undo()
    resumed(copy, cut, finished, 0)


def test_a_disk_that_cannot_be_read_keeps_the_store(
    copy, cut, finished, counted, sweep_into, resumed
):
    error = OSError(errno.EIO, "Input/output error")
    with counted(zarr, "open_group", stop_at=0, error=error):
        with pytest.raises(StoreError, match="Input/output error"):
            sweep_into(copy, cut, resume=True)
    resumed(copy, cut, finished, 0)
