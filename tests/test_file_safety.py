"""Safety of files: whole or not at all, and never running what one names."""

import errno
import json
import os
import pickle
import sys
import zlib

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml
from thermoml.files import load, save

KEY = jax.random.key(5)


class Neighbour(eqx.Module):
    """One of a package whose name begins like ours."""

    __module__ = "thermomlx"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "kept.thermoml"


def signed(content):
    return content + b"crc32 %08x\n" % zlib.crc32(content)


@pytest.fixture
def tamper(path):
    """Save a value, then change its header, and the checksum with it."""

    def run(value, change):
        save(path, value)
        line, rest = path.read_bytes()[:-15].split(b"\n", 1)
        header = json.loads(line)
        change(header)
        path.write_bytes(signed(json.dumps(header).encode() + b"\n" + rest))

    return run


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path, folder = tmp_path / "kept", tmp_path / "folder"
    folder.mkdir()
    save(path, 1)

    def full(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    for bad in (tmp_path / "nowhere" / "x", folder, path / "x"):
        with pytest.raises(OSError, match=f"cannot save to {bad}: ") as error:
            save(bad, jnp.ones(3))
        assert type(error.value) is OSError
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=f"cannot save to {path}: No space left"):
        save(path, jnp.ones(3))
    monkeypatch.setattr(os, "fsync", lambda number: sys.exit())
    with pytest.raises(SystemExit):
        save(path, jnp.ones(3))
    assert load(path) == 1
    assert sorted(tmp_path.iterdir()) == [folder, path]
    assert not list(folder.iterdir())


def test_a_file_is_flushed_to_the_disk_before_it_takes_the_name(path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(
        os, "fsync", lambda n: calls.append(("sync", os.fstat(n).st_size)) or fsync(n)
    )
    monkeypatch.setattr(os, "replace", lambda *names: calls.append("move") or replace(*names))
    save(path, 1.0)
    assert calls == [("sync", path.stat().st_size), "move"]


def test_a_link_stays_a_link(tmp_path):
    save(tmp_path / "real", 1)
    (tmp_path / "link").symlink_to("real")
    save(str(tmp_path / "link"), 2)
    assert (tmp_path / "link").is_symlink()
    assert load(tmp_path / "real") == 2


def test_a_missing_file_is_named(path):
    with pytest.raises(FileNotFoundError, match="kept.thermoml"):
        load(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"garbage",
        b"[" * 100_000,
        b"{}\n",
        b'{"version": 1}',
        b'{"format": "other", "version": 1, "structure": null, "leaves": []}\n',
        b'{"format": "thermoml", "version": "x"}\n',
        b"[1]\n",
        "{ü\n".encode("latin-1"),
        np.random.default_rng(0).bytes(1000),
        pickle.dumps({"format": "thermoml"}),
    ],
)
def test_what_is_not_of_ours_is_refused(content, path):
    path.write_bytes(content)
    for like in (None, 1.0):
        with pytest.raises(ValueError, match="kept.thermoml is not a thermoml file"):
            load(path, like=like)


def test_a_torn_file_is_refused_wherever_it_ends(path):
    value = {"w": jnp.ones(3), "k": KEY, "n": 0.5, "e": np.ones(2, jnp.bfloat16)}
    save(path, value)
    whole = path.read_bytes()
    for end in range(1, len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(ValueError, match="kept.thermoml is torn"):
            load(path, like=value if end % 2 else None)


def test_a_flipped_bit_is_seen_wherever_it_is(path):
    value = {"w": jnp.ones(3), "k": KEY, "n": 0.5}
    save(path, value)
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ValueError, match="kept.thermoml"):
            load(path, like=value if place % 2 else None)


@pytest.mark.parametrize("surplus", [b"\n", b"\0\0\0\0", b"crc32 00000000\n"])
@pytest.mark.parametrize("old", [False, True])
def test_bytes_behind_the_end_are_refused(surplus, old, path):
    save(path, jnp.ones(3))
    whole = path.read_bytes()
    if old:  # as earlier versions wrote it
        whole = whole[:-15].replace(b'"checksum": "crc32", ', b"")
        path.write_bytes(whole)
        assert load(path).tolist() == [1, 1, 1]
    path.write_bytes(whole + surplus)
    with pytest.raises(ValueError, match="torn or damaged: its content|bytes are behind its end"):
        load(path)


def test_a_newer_file_is_refused_with_both_versions(tamper, path):
    newer = {"version": 2, "thermoml_version": "99.1", "structure": {"new": 1}}
    tamper(1.0, lambda header: header.update(newer))
    with pytest.raises(ValueError, match=f"newer thermoml, 99.1; this is {tml.__version__}"):
        load(path)


def renamed(name, **fields):
    return lambda header: header.update(structure={"module": name, "fields": fields})


@pytest.mark.parametrize(
    "name",
    [
        "os:system",
        "jax:Array",
        "diffrax._solver.euler:Euler",
        "thermoml.cli:main",
        "thermoml.__main__:main",
        "equinox:filter_jit",
        "equinox:Module",
        "thermoml.perceptron:Gone",
        "thermoml.perceptron._rules:Gone",
        "thermoml.perceptron:AbstractRule",
        "thermoml.perceptron._rules:AbstractRule",
        "thermoml.perceptron:eqx.nn.MLP",
        "thermoml.perceptron._rules:eqx.nn.MLP",
        "thermoml.perceptron:RuleWarning",
        "thermoml.perceptron._rules:RuleWarning",
        "thermomlx:Neighbour",
        "thermoml",
        "",
    ],
)
def test_a_class_that_is_not_ours_is_refused_and_nothing_is_imported(
    name, tamper, path, monkeypatch
):
    tamper(tml.Hebbian(), renamed(name))
    monkeypatch.setitem(sys.modules, "thermomlx", sys.modules[__name__])
    before = set(sys.modules)
    with pytest.raises(ValueError, match=f"holds a {name} of no fields: there is no such module"):
        load(path)
    assert set(sys.modules) == before


def test_a_field_that_no_longer_exists_is_refused(tamper, path):
    tamper(tml.Hebbian(), renamed("thermoml.perceptron:Hebbian", __class__=1))
    with pytest.raises(ValueError, match="Hebbian of __class__: there is no such"):
        load(path)


@pytest.mark.parametrize(
    "structure",
    [{"leaf": 1}, {"leaf": -1}, {"float": "x"}, {"complex": "x"}, {"call": "os:system"}, 1.5],
)
def test_a_damaged_structure_is_refused(structure, tamper, path):
    tamper(jnp.ones(3), lambda header: header.update(structure=structure))
    with pytest.raises(ValueError, match="is damaged: its header describes no tree"):
        load(path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"dtype": "O"}, "describes no leaves"),
        ({"dtype": "?x"}, "describes no leaves"),
        ({"dtype": ","}, "describes no leaves"),
        ({"dtype": None}, "describes no leaves"),
        ({"shape": 3}, "describes no leaves"),
        ({"surplus": 1}, "describes no leaves"),
        ({"shape": [4]}, r"expected float32\[4\], found float32\[3\]"),
        ({"dtype": "int32"}, r"expected int32\[3\], found float32\[3\]"),
        ({"kind": "call"}, "torn or damaged"),
        ({"kind": "python", "value": 1}, "found int"),
        ({"kind": "key", "dtype": "key<fry>", "value": [1]}, "torn or damaged"),
        ({"kind": "key", "dtype": "key<fry>", "value": "os"}, "torn or damaged"),
    ],
)
def test_a_damaged_leaf_is_refused(change, says, tamper, path):
    tamper(jnp.ones(3), lambda header: header["leaves"][0].update(change))
    with pytest.raises(ValueError, match=says):
        load(path)


def test_a_damaged_record_is_refused(path):
    save(path, jnp.ones(3))
    content = path.read_bytes()[:-15]
    for changed in (b"((((((((: '<f4'", b"{'descr': '<i4'", b"{'descr': <<<<<"):
        path.write_bytes(signed(content.replace(b"{'descr': '<f4'", changed)))
        with pytest.raises(ValueError, match="torn or damaged at the root: "):
            load(path)


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("a pickle was run",)


def test_a_pickle_in_place_of_an_array_is_not_run(path):
    save(path, np.ones(1))
    line = path.read_bytes().split(b"\n", 1)[0]
    with path.open("wb") as file:
        file.write(line + b"\n")
        np.save(file, np.array([Bomb()], object), allow_pickle=True)
    path.write_bytes(signed(path.read_bytes()))
    with pytest.raises(ValueError, match="torn or damaged at the root: Object arrays"):
        load(path)
