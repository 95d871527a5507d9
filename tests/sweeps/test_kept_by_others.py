"""Things of others in a results directory: never deleted, moved or written over."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from thermoml.sweeps import Store, StoreError, StoreWarning


def tree(folder):
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != "lock")
    return {path.relative_to(folder): path.read_bytes() for path in paths}


@pytest.mark.parametrize("option", ["resume", "overwrite"])
@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("name", ["results.zarr", "results.part"])
def test_a_foreign_zarr_store(name, zarr_format, option, tmp_path, sweep_into):
    foreign = xr.Dataset({"a": ("x", np.arange(3.0))})
    foreign.to_zarr(tmp_path / name, zarr_format=zarr_format, consolidated=zarr_format == 2)
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "mine.png").write_bytes(b"mine")
    before = tree(tmp_path)
    with pytest.raises(StoreError, match=f"{name} was not written by thermoml; choose another"):
        sweep_into(tmp_path, **{option: True})
    (tmp_path / name / ".zmetadata").unlink(missing_ok=True)
    with pytest.raises(StoreError, match=f"{name} was not written by thermoml; choose another"):
        sweep_into(tmp_path, **{option: True})
    assert tree(tmp_path).items() <= before.items()
    assert (tmp_path / name).is_dir()


@pytest.mark.parametrize("option", ["resume", "overwrite"])
@pytest.mark.parametrize("name", ["journal.jsonl", "lock", "results.zarr"])
def test_a_foreign_file_of_our_name(name, option, tmp_path, sweep_into):
    (tmp_path / name).write_text("dear diary\n")
    with pytest.raises(StoreError, match=f"{name} was not written by thermoml; choose another"):
        sweep_into(tmp_path, **{option: True})
    assert (tmp_path / name).read_text() == "dear diary\n"


def test_overwriting_deletes_only_what_the_run_has_written(tmp_path, sweep_into, copy):
    (copy / "figures").mkdir()
    (copy / "figures" / "mine.png").write_bytes(b"mine")
    (copy / "summary.json").write_text("mine")
    store = Store(copy)
    store.write_file("figures/ours.png", b"ours")
    store.write_file("figures/edited.png", b"ours")
    (copy / "figures" / "edited.png").write_bytes(b"mine")
    sweep_into(copy, overwrite=True, n_trajectories=3)
    kept = {str(path.relative_to(copy)) for path in (copy / "figures").iterdir()}
    assert kept == {"figures/mine.png", "figures/edited.png"}
    assert (copy / "summary.json").read_text() == "mine"
    assert Store(copy).open().sizes["trajectory"] == 3


def test_the_results_stay_until_others_can_take_their_place(copy, sweep_into, files):
    before = files(copy)
    with pytest.raises(MemoryError):
        sweep_into(copy, overwrite=True, memory="8B")
    assert files(copy) == before


def test_a_file_in_the_place_of_ours_is_set_aside(tmp_path, sweep_into):
    sweep_into(tmp_path / "run")
    store = Store(tmp_path / "run")
    (store.folder / "summary.json").write_text("mine")
    for i in (1, 2):
        (store.folder / "summary.json").write_text(f"mine {i}")
        with pytest.warns(StoreWarning, match=rf"it is in summary_{i}.json now"):
            store.write_summary({"a": float(i)})
        store.write_summary({"a": 0.0})  # in the place of our own
    assert [(store.folder / f"summary_{i}.json").read_text() for i in (1, 2)] == [
        "mine 1",
        "mine 2",
    ]


@pytest.mark.parametrize("cut", ["points"], indirect=True)
@pytest.mark.parametrize("when", [0, 2])
def test_a_vanished_folder_is_seen_at_once(when, cut, tmp_path, counted, sweep_into, monkeypatch):
    write = Store.write
    calls = []

    def vanish(self, *arguments):
        if len(calls) == when:
            shutil.rmtree(self.folder)
        calls.append(1)
        return write(self, *arguments)

    monkeypatch.setattr(Store, "write", vanish)
    with pytest.raises(StoreError, match="results.zarr has vanished while it was written"):
        sweep_into(tmp_path / "run", cut)
    assert len(calls) == when + 1
    assert not (tmp_path / "run" / "results.zarr").exists()


@pytest.mark.parametrize("damage", ["missing", "flipped", "short"])
def test_damaged_results_are_not_opened(damage, cut, copy):
    names = {"points": ["place", "place_trajectories"], "blocks": ["place", "place_block_mean"]}
    for name in names[cut]:
        chunk = sorted((copy / "results.zarr" / name).glob("[0-9]*"))[-1]
        whole = chunk.read_bytes()
        if damage == "missing":
            chunk.unlink()
        else:
            flipped = whole[:20] + bytes([whole[20] ^ 0x40]) + whole[21:]
            chunk.write_bytes(flipped if damage == "flipped" else whole[:10])
        with pytest.raises(StoreError, match=r"is damaged: .* do not agree .* --resume|cannot be"):
            Store(copy).open()
        chunk.write_bytes(whole)
    assert Store(copy).open().attrs["complete"]


def test_whole_and_complex_numbers_are_kept(go, cut):
    def function(e, a):
        index = e["first_trajectory"] + jnp.arange(e["n_trajectories"])
        return {
            "whole": 16777217 + index,
            "complex": jax.lax.complex(jnp.full_like(index, a, float), index.astype(float)),
            "truth": index > 0,
        }

    per_unit = {"points": 6, "blocks": 2}[cut]
    results = go(
        {"a": [1.0, 2.0]}, function, n_trajectories=3, per_unit=per_unit, trajectories=True
    )
    assert results.whole_trajectories.values.tolist() == [[16777217, 16777218, 16777219]] * 2
    assert results.whole.values.tolist() == [16777218.0] * 2
    np.testing.assert_array_equal(results.complex, [1 + 1j, 2 + 1j])
    np.testing.assert_array_equal(results.complex_trajectories[0], [1, 1 + 1j, 1 + 2j])
    np.testing.assert_allclose(results.complex_standard_error, 3**-0.5, rtol=1e-12)
    np.testing.assert_allclose(results.truth, 2 / 3)


@pytest.mark.parametrize("name", ["x/y", "", ".zattrs", "..", "a\nb", "__x", "a\\b"])
def test_names_that_no_array_can_have(name, go, tmp_path):
    rows = jnp.ones(3)
    with pytest.raises(ValueError, match="the name of a result must be a word without slashes"):
        go({"a": [1.0]}, lambda e, a: {name: rows}, n_trajectories=3)
    with pytest.raises(ValueError, match="the name of a parameter must be a word"):
        go({name: [1.0]}, lambda e, **_: {"y": rows}, n_trajectories=3)
    assert not (tmp_path / "run").exists()


def test_a_name_that_is_no_word(go):
    with pytest.raises(TypeError, match="the name of a result must be a string, got 1"):
        go({"a": [1.0]}, lambda e, a: {1: jnp.ones(3)}, n_trajectories=3)
