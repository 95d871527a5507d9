"""Studies run once for all tests of a module."""

import pytest

from thermoml.studies import load_study, redraw, run_study
from thermoml.sweeps import Store

LONG_RUNS = (
    "test_data_temperature.py",
    "test_entropy_production.py",
    "test_frontier.py",
    "test_learning_rules.py",
    "test_training_engine.py",
)
LONGEST = (
    "test_dissipation_budget.py",
    "test_heat_engines.py",
    "test_training_complexity.py",
)
WHOLE_STUDIES = {"finished", "finals"}  # fixtures


def pytest_collection_modifyitems(items):
    """Mark the tests that run a whole study as slow; where steps take the time, as optimised."""
    parts = dict.fromkeys(LONG_RUNS, "optimised") | dict.fromkeys(LONGEST, "exhaustive")
    for item in items:
        if item.path.parent.name == "studies" and WHOLE_STUDIES & {*item.fixturenames}:
            item.add_marker(parts.get(item.path.name, "slow"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """(name, overrides) -> the study of a shipped config in its quick setting, summary, results."""

    def run(name, *overrides):
        study = load_study(name, overrides=overrides, quick=True)
        folder = tmp_path_factory.mktemp(name) / "run"
        summary = run_study(study, folder)
        results = Store(folder).open().load()
        study.check(results)
        before = {file: file.read_bytes() for file in folder.glob("figures/*")}
        assert set(redraw(folder)) == set(before)
        assert {file: file.read_bytes() for file in before} == before
        return study, summary, results

    return run
