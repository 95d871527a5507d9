"""The study `alpha_sweep`: what is measured lies on what is predicted."""

import jax
import numpy as np
import pytest

import thermoml as tml


@pytest.fixture(scope="module")
def swept(finished):
    return finished("alpha_sweep", "n_trajectories=1000", "t1=3.2", "n_inputs=100", "dt=0.04")


def test_measurements_lie_on_the_prediction(swept):
    """Within 5 standard errors; beside the limit of small steps, from which it is told apart."""
    _, summary, _ = swept
    for point in summary["points"]:
        for name in ("error", "dissipation"):
            assert abs(point[name]["deviation"]) < 5, (point["alpha"], name)
        error = point["error"]
        assert error["mean"] - error["limit"] > 5 * error["standard_error"]


def test_limits_are_those_of_steady_states(swept):
    _, _, results = swept
    for alpha in (0.0, 0.5):
        entry = results.sel(alpha=alpha, learning_rate=1.0)
        with jax.enable_x64(True):
            state = tml.steady_state(tml.LearningProblem(tml.AlphaTron(alpha), learning_rate=1.0))
        np.testing.assert_allclose(entry.limit_error, state.error, rtol=1e-9)
        # What a batch costs beside, at N = 100
        np.testing.assert_allclose(entry.limit_dissipation, state.dissipation, rtol=0.05)
        assert "limit_error_standard_error" not in entry


def test_table_and_figure(swept):
    study, summary, results = swept
    lines = study.table(summary).splitlines()
    assert len(lines) == 2 + 2 + 1
    assert "1000 trajectories" in lines[-1]
    (figure,) = study.figures(results).values()
    error, dissipation = figure.axes
    predicted = results.predicted_error.sel(learning_rate=1.0).values
    np.testing.assert_array_equal(error.lines[0].get_ydata(), predicted)
    assert "varepsilon" in error.get_ylabel()
    assert "dissipation" in dissipation.get_ylabel()
