"""The study `learning_efficiency`: efficiencies below 1, with errors that hold."""

import numpy as np
import pytest

from thermoml.studies.perceptron.learning_efficiency import BOUNDS


@pytest.fixture(scope="module")
def learned(finished):
    return finished("learning_efficiency", "n_trajectories=300", "trajectories=true", "dt=0.005")


def test_ratios_of_means_and_their_errors(learned):
    """Against a jackknife over the kept trajectories."""
    study, _, results = learned
    _, found = study.efficiencies(results)
    gained = results.information_trajectories.values[0][:, 1:]
    for name in BOUNDS:
        spent = results[f"{name}_trajectories"].values[0][:, 1:]
        count = len(spent)
        left_out = (gained.sum(0) - gained) / (spent.sum(0) - spent)
        spread = np.sqrt((count - 1) * left_out.var(axis=0))
        curve = found["Hebbian"][name]
        np.testing.assert_allclose(curve["mean"], gained.sum(0) / spent.sum(0), rtol=1e-9)
        np.testing.assert_allclose(curve["standard_error"][10:], spread[10:], rtol=0.1)


def test_no_more_is_learned_than_is_paid_for(learned):
    """And the mean field has the same ratios, to 5 standard errors, 1/N and the finite step."""
    study, _, results = learned
    _, found = study.efficiencies(results)
    with_excess, without = (found["Hebbian"][name] for name in BOUNDS)
    for curve in (with_excess, without):
        late = slice(10, None)
        error = curve["standard_error"][late]
        assert (curve["mean"][late] < 1 + 4 * error).all()
        distance = abs(curve["mean"] - curve["predicted"])[late]
        assert (distance < 5 * error + 0.03).all()
    assert (with_excess["predicted"] < without["predicted"]).all()


def test_table_and_figure(learned):
    study, summary, results = learned
    assert "without" in study.table(summary)
    (figure,) = study.figures(results).values()
    assert next(iter(figure.axes[1].lines)).get_label() == "Hebbian"
