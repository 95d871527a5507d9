"""The study `entropy_production`: predicted rates, and the √dt of a jump extrapolated away."""

import numpy as np
import pytest

from thermoml.numerics.statistics import Estimate
from thermoml.studies.perceptron.entropy_production import extrapolated


@pytest.fixture(scope="module")
def measured(finished):
    return finished("entropy_production", "n_trajectories=2000", "t1=4.0", "dt=[0.02, 0.01, 0.005]")


def test_limits_are_as_predicted(measured):
    """Within 5 standard errors, where without extrapolation the jump is seen by 8."""
    _, summary, _ = measured
    rules = {entry["rule"]: entry for entry in summary["points"]}
    assert list(rules) == ["Hebbian", "Perceptron"]
    for entry in rules.values():
        limit = entry["limit"]
        distance = abs(limit["mean"] - entry["predicted"])
        assert distance < 5 * limit["standard_error"], entry["rule"]
        assert limit["standard_error"] < 0.1 * entry["predicted"]
        assert entry["housekeeping"] == 0
    entry = rules["Perceptron"]
    coarse = entry["measured"][0]
    assert entry["predicted"] - coarse["mean"] > 8 * coarse["standard_error"]


def test_extrapolation_is_exact_for_what_it_fits():
    steps = np.asarray([0.02, 0.005, 0.00125])
    values = 3 - 2 * np.sqrt(steps) + 5 * steps
    rates = Estimate(values, np.asarray([0.1, 0.2, 0.3]))
    value, error = extrapolated(steps, [0.5, 1.0], rates)
    assert value == pytest.approx(3)
    assert error > 0.3
    unknown = Estimate(3 + steps[:2], np.asarray([np.nan, np.nan]))
    value, error = extrapolated(steps[:2], [1.0], unknown)
    assert value == pytest.approx(3)
    assert np.isnan(error)


def test_table_and_figure(measured):
    study, summary, results = measured
    assert "dt = 0.005" in study.table(summary)
    (figure,) = study.figures(results).values()
    assert len(figure.axes) == 1
    assert "entropy production" in figure.axes[0].get_ylabel()
