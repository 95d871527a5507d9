"""Damaged stores: what is torn or lost is run again, up to the same bytes."""

import os
import warnings

import pytest
import zarr

from thermoml.sweeps import Store, StoreError, StoreWarning
from thermoml.sweeps._task import UnitRunner

N_UNITS = {"points": 3, "blocks": 10}


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
def test_damaged_chunk_has_its_unit_run_again(which, damage, copy, cut, finished, resumed):
    name = {"points": "place_standard_error", "blocks": "place_block_square"}[cut]
    for array in (name, "place_trajectories"):  # of the same unit
        chunks = sorted((copy / "results.zarr" / array).glob("[0-9]*"))
        damage(chunks[int(which)])
    resumed(copy, cut, finished, 1)


@pytest.mark.parametrize("cut", ["blocks"], indirect=True)
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_statistics_are_combined_again(damage, copy, cut, finished, resumed):
    for chunk in ("place/0.0", "lost_standard_error/3", "lost/4"):
        damage(copy / "results.zarr" / chunk)
    resumed(copy, cut, finished, 0)


@pytest.fixture
def assert_mended(finished, sweep_into, files):
    """(copy, cut): resumed, anew or not, it has the files of the finished store."""

    def check(copy, cut):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StoreWarning)
            sweep_into(copy, cut, resume=True)
        assert files(copy) == files(finished)

    return check


@pytest.mark.parametrize("cut", ["points"], indirect=True)
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_coordinate_is_mended(damage, copy, cut, assert_mended):
    damage(copy / "results.zarr" / "drift" / "0")
    assert_mended(copy, cut)


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
def test_torn_labels_begin_anew(name, content, copy, cut, finished, files, resumed):
    path = copy / "results.zarr" / name
    path.unlink()
    if content is not None:
        path.write_text(content)
    torn = files(copy)
    with pytest.warns(StoreWarning, match=r"was torn; the run begins anew, .*results.torn"):
        resumed(copy, cut, finished, N_UNITS[cut])
    (copy / "results.torn").rename(copy.parent / "results.zarr")
    assert files(copy.parent) == torn


def test_torn_again_and_again(copy, cut, finished, counted, sweep_into, resumed):
    for _ in range(2):
        (copy / "results.zarr" / ".zgroup").unlink()
        stop = counted(zarr, "consolidate_metadata", stop_at=0)
        with pytest.warns(StoreWarning), stop, pytest.raises(KeyboardInterrupt):
            sweep_into(copy, cut, resume=True)
        resumed(copy, cut, finished, N_UNITS[cut])


@pytest.mark.parametrize("cut", ["points"], indirect=True)
@pytest.mark.parametrize("content", [None, "{"])
def test_torn_consolidated_metadata(content, copy, cut, assert_mended):
    path = copy / "results.zarr" / ".zmetadata"
    path.unlink()
    if content is not None:
        path.write_text(content)
    assert_mended(copy, cut)


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
def test_torn_journal(damage, n_run, copy, cut, finished, counted, sweep_into, files):
    lines = (copy / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (copy / "journal.jsonl").write_bytes(b"".join(damage(lines)))
    with counted(UnitRunner, "run") as runs:
        sweep_into(copy, cut, resume=True)
    assert len(runs) == (N_UNITS[cut] if n_run is None else n_run)
    assert files(copy) == files(finished)
    with counted(UnitRunner, "run") as runs:
        sweep_into(copy, cut, resume=True)
    assert not runs


def test_journal_lost(copy, cut, finished, resumed):
    (copy / "journal.jsonl").unlink()
    resumed(copy, cut, finished, N_UNITS[cut])


def test_store_is_not_complete_while_a_lost_unit_is_run(copy, cut, finished, counted, sweep_into):
    for chunk in (copy / "results.zarr" / "place_trajectories").glob("0.*"):
        chunk.unlink()
    with counted(Store, "write", stop_at=0), pytest.raises(KeyboardInterrupt):
        sweep_into(copy, cut, resume=True)
    with pytest.raises(StoreError, match="did not finish"):
        Store(copy).open()
