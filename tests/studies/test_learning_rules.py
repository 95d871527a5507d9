"""The study's numbers are those of `learn`, and its claims hold."""

import numpy as np
import pytest

from thermoml.numerics.statistics import text_with_error
from thermoml.studies import load_study, run_study
from thermoml.studies.perceptron.learning_rules import hebbian_limit
from thermoml.sweeps import Store


@pytest.fixture(scope="module")
def finals(tmp_path_factory):
    """Final error, its standard error and scale separation of the shipped config's rules."""
    folder = tmp_path_factory.mktemp("rules") / "run"
    run_study(
        load_study("learning_rules", overrides=["n_trajectories=300", "save_every=500"]), folder
    )
    results = Store(folder).open().load()
    last = results.isel(time=-1)
    return {
        str(label): (
            float(last.error.sel(rule=label)),
            float(last.error_standard_error.sel(rule=label)),
            float(results.scale_separation.sel(rule=label).max()),
        )
        for label in results.rule.values
    }


def beats(finals, better, worse):
    """By at least four standard errors of the difference."""
    (a, da, _), (b, db, _) = finals[better], finals[worse]
    return b - a > 4 * np.hypot(da, db)


def test_hebbian_beats_perceptron_and_adatron_and_an_alpha_tron_beats_hebbian(finals):
    assert beats(finals, "Hebbian", "Perceptron")
    assert beats(finals, "Hebbian", "AdaTron")
    assert beats(finals, "α-tron, α = 0.75", "Hebbian")


def test_time_scales_are_separated(finals):
    assert all(separation < 0.05 for _, _, separation in finals.values())


def test_hebbian_ends_at_the_exact_limit(finals):
    error, standard_error, _ = finals["Hebbian"]
    limit = hebbian_limit(load_study("learning_rules").config)
    assert limit == pytest.approx(np.arctan(np.sqrt(np.pi / 2)) / np.pi)
    assert abs(error - limit) < 4 * standard_error + 0.003  # O(1/N) and O(dt)


def test_numbers_with_errors():
    assert text_with_error(0.284337, 0.00066) == "0.28434 ± 0.00066"
    assert text_with_error(118.42, 0.18) == "118.42 ± 0.18"
    assert text_with_error(1234.5, 56.0) == "1234 ± 56"
    assert text_with_error(1.5, None) == "1.5"
    assert text_with_error(float("nan"), 1.0) == "not finite"
    assert text_with_error(2.0, 0.0) == "2 ± 0"
