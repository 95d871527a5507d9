"""The study `training_transition` in its quick setting, against formulas written out here."""

import jax
import numpy as np
import pytest

from thermoml.config import ConfigError
from thermoml.studies import load_study


@pytest.fixture(scope="module")
def ran(finished):
    return finished("training_transition")


def test_heat_and_entropy_drop_are_those_of_two_normal_states(ran):
    study, summary, _ = ran
    with jax.enable_x64(True):
        x, y = (np.asarray(z) for z in (study.data.features, study.data.targets))
    n, d = x.shape
    bath = summary["bath_temperature"]
    moments = x.T @ x / n
    best = np.linalg.solve(moments, x.T @ y / n)
    for entry in summary["points"]:
        variance = entry["initial_std"] ** 2
        heat = (np.trace(moments) * variance + best @ moments @ best - d * bath) / 2
        drop = (d * np.log(variance / bath) + np.linalg.slogdet(moments)[1]) / 2
        assert entry["temperature"] == pytest.approx(heat / drop, rel=1e-9)
        assert entry["entropy_production"] == pytest.approx(heat / bath - drop, rel=1e-9)
        # The run is not quite at its end
        assert entry["heat"]["predicted"] == pytest.approx(heat, rel=0.01)
        assert entry["entropy_drop"]["predicted"] == pytest.approx(drop, rel=0.01)


def test_trajectories_agree_with_the_exact_path(ran):
    study, summary, results = ran
    for entry in summary["points"]:
        for name in ("heat", "entropy_drop"):
            away = entry[name]["mean"] - entry[name]["predicted"]
            assert abs(away) < 4 * entry[name]["standard_error"], name
    for (_, _, entry), exact in zip(study.points(results), study.exact, strict=True):
        simulated = study.simulated(entry)
        for name in ("energy", "entropy"):
            away = simulated[name].mean - exact[name].values
            assert (abs(away) < 4.5 * simulated[name].standard_error).all(), name
    assert [entry["case"] for entry in summary["points"]] == ["inverted", "releasing"]


def test_heat_capacities(ran):
    _, summary, _ = ran
    for entry in summary["heat_capacity"]["mean squared error"]:
        assert entry["heat_capacity"] == pytest.approx(0.5)
        assert entry["excess_energy"] == pytest.approx(0.5)
    absolute = summary["heat_capacity"]["mean absolute error"]
    hot = absolute[-1]
    # |θ·x - y| is homogeneous far out: d τ of energy, twice that of a square
    assert abs(hot["excess_energy"] - 1) < 4 * hot["excess_energy_error"] + 0.02
    assert absolute[0]["excess_energy"] < 0.8


def test_table_and_figures(ran):
    study, summary, results = ran
    assert "entropy made" in study.table(summary)
    assert set(study.figures(results)) == {"diagrams", "heat_capacity"}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("n_examples=4", "must exceed the 4 parameters"),
        ("saves=7", "must divide the 800 steps"),
        ("initial_std=[0.0]", "initial_std"),
        ("bath_temperature=-1", "bath_temperature"),
        ("n_trajectories=3", "n_trajectories"),
        ("condition=0.5", "condition"),
        ("t1=1.005", "dt"),
    ],
)
def test_bad_settings_are_named(override, message):
    with pytest.raises(ConfigError, match=message):
        load_study("training_transition", overrides=[override])
