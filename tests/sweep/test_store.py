"""The store: labelled, one chunk per unit, complete only when it is."""

import json

import numpy as np
import pytest
import xarray as xr

from thermoml.numerics._labels import Labelled
from thermoml.sweep import Store, StoreError


@pytest.fixture
def store(tmp_path):
    return Store.create(
        tmp_path / "run",
        variables={"heat": Labelled(("rule", "time"), (2, 3), "energy", "heat into the bath")},
        coordinates={
            "rule": Labelled(("rule",), np.array(["Hebbian", "α-tron"]), "", "rule"),
            "time": Labelled(("time",), np.array([0.0, 1.0, 2.0]), "1/k", "time"),
        },
        attributes={"config": "{}"},
    )


def test_units_arrive_one_by_one_and_plain_xarray_reads_them(store):
    store.write(1, {"heat": [0.0, 1.0, 2.0]}, "α-tron", seconds=0.5)
    with xr.open_zarr(store.results) as results:
        assert results.heat.sel(rule="α-tron").values.tolist() == [0.0, 1.0, 2.0]
        assert results.heat.sel(rule="Hebbian").isnull().all()
        assert results.time.values.tolist() == [0.0, 1.0, 2.0]
        assert results.heat.attrs == {"units": "energy", "long_name": "heat into the bath"}
        assert results.attrs["complete"] is False
        assert results.attrs["jax_version"]
    line = json.loads((store.folder / "journal.jsonl").read_text())
    assert (line["unit"], line["label"]) == (1, "α-tron")
    with pytest.raises(StoreError, match="did not finish"):
        store.open()


def test_one_chunk_per_unit(store):
    store.write(0, {"heat": [0.0, 1.0, 2.0]}, "Hebbian", seconds=0.5)
    assert (store.results / "heat" / "0.0").is_file()
    assert not (store.results / "heat" / "1.0").exists()


def test_finish_marks_complete_and_writes_numbers_json_can_hold(store):
    store.finish({"heat": np.nan, "inner": {"values": [1.0, np.inf]}})
    assert store.open().attrs["complete"]
    summary = json.loads((store.folder / "summary.json").read_text())
    assert summary == {"heat": None, "inner": {"values": [1.0, None]}}
