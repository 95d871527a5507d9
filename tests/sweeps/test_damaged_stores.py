"""Damaged stores: what is torn or lost is run again, up to the same bytes."""

import os
import warnings

import pytest

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


@pytest.mark.parametrize("cut", ["blocks"], indirect=True)
def test_a_chunk_that_a_kill_left_half_written_is_dropped(copy, cut, finished, resumed):
    """Zarr writes under another name first; a user's file of a similar name is not ours."""
    left = copy / "results.zarr" / "place" / "0.248b9f0869484f63b422f0fade6438d3.partial"
    own = copy / "results.zarr" / "place" / "notes.partial"
    left.write_bytes(b"half")
    own.write_bytes(b"mine")
    with pytest.raises(AssertionError):  # the user's file is there still
        resumed(copy, cut, finished, 0)
    assert not left.exists()
    assert own.read_bytes() == b"mine"
    own.unlink()
    resumed(copy, cut, finished, 0)


@pytest.mark.parametrize("cut", ["points"], indirect=True)
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_coordinate_is_mended(damage, copy, cut, finished, sweep_into, files):
    damage(copy / "results.zarr" / "drift" / "0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StoreWarning)  # anew or not
        sweep_into(copy, cut, resume=True)
    assert files(copy) == files(finished)


METADATA = [
    *[(".zattrs", content) for content in (None, "", "{", "5", '{"a": 1}', '{"store_version": 2}')],
    *[(".zgroup", content) for content in (None, "{}")],
    *[(".zmetadata", content) for content in (None, "", "{", "{}", '{"metadata": {}}')],
    *[("place/.zarray", content) for content in (None, "{")],
    *[("place/.zattrs", content) for content in (None, "{", "{}")],
    ("place_block_mean/.zarray", None),
    ("drift/.zarray", None),
    ("drift/.zattrs", "{"),
    ("drift/0", None),
    ("drift/0", ""),
]


@pytest.mark.parametrize("cut", ["blocks"], indirect=True)
@pytest.mark.parametrize(("name", "content"), METADATA)
def test_metadata_are_derived_anew(name, content, copy, cut, finished, resumed):
    path = copy / "results.zarr" / name
    path.unlink()
    if content is not None:
        path.write_text(content)
    resumed(copy, cut, finished, 0)


@pytest.mark.parametrize("cut", ["blocks"], indirect=True)
def test_all_metadata_but_one_copy_of_the_attributes(copy, cut, finished, resumed):
    for path in (copy / "results.zarr").rglob(".z*"):
        if path.parent.name != "results.zarr" or path.name != ".zattrs":
            path.unlink()
    resumed(copy, cut, finished, 0)


@pytest.mark.parametrize("cut", ["blocks"], indirect=True)
def test_both_copies_of_the_attributes_torn_begin_anew(copy, cut, finished, files, resumed):
    torn = []
    for _ in range(3):
        for name in (".zattrs", ".zmetadata"):
            (copy / "results.zarr" / name).write_text("{")
        torn.append(files(copy))
        with pytest.warns(StoreWarning, match=r"was torn; the run begins anew, .*results.*torn"):
            resumed(copy, cut, finished, N_UNITS[cut])
    names = ("results.torn", "results_1.torn", "results_2.torn")
    for i, (name, before) in enumerate(zip(names, torn, strict=True)):
        (copy.parent / str(i)).mkdir()
        (copy / name).rename(copy.parent / str(i) / "results.zarr")
        assert files(copy.parent / str(i)) == before


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
