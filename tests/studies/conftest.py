"""Studies run once for all tests of a module."""

import jax
import pytest

from thermoml.config import config_from_json, load_config
from thermoml.studies import redraw, run_study, study_of
from thermoml.sweeps import Store


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """(name, overrides) -> the study of a shipped config in its quick setting, summary, results."""

    def run(name, *overrides):
        config = load_config(name, overrides=list(overrides), quick=True)
        study, folder = study_of(config), tmp_path_factory.mktemp(name) / "run"
        with jax.enable_x64(config.precision == "float64"):
            summary = run_study(study, folder)
        results = Store(folder).open().load()
        study.check(results)
        again = study_of(config_from_json(results.attrs["config"]))  # as `thermoml plot` does
        drawn = [file.suffix for file in redraw(again, folder)]
        assert drawn == [".png", ".svg"] * len(study.figures(results))
        return study, summary, results

    return run
