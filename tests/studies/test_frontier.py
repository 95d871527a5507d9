"""The study `frontier`: a network comes to lie on the bound, and no rule beats it."""

import numpy as np
import pytest

from thermoml.studies.perceptron.frontier import NETWORK


@pytest.fixture(scope="module")
def found(finished):
    network = "network={width: 4, depth: 1, max_steps: 150}"
    return finished("frontier", network, "dissipation=[2.0]", "n_trajectories=100")


def test_the_network_reaches_the_bound_and_hebbian_does_not(found):
    _, summary, results = found
    efficiency = results.efficiency.sel(budget=2.0)
    assert 0.999 < float(efficiency.sel(rule=NETWORK)) < 1 + 1e-9
    assert float(efficiency.sel(rule="Hebbian")) < 0.97
    for point in summary["points"]:
        assert point["limit_dissipation"] == pytest.approx(2.0, rel=1e-3)
        # 128 and more inputs and small steps: O(1/N), O(dt) and 5 standard errors
        for name in ("error", "dissipation"):
            measured, limit = point[name], point[f"limit_{name}"]
            assert abs(measured["mean"] - limit) < 5 * measured["standard_error"] + 0.02 * limit


def test_the_figure_has_the_bound_below_all(found):
    study, _, results = found
    (figure,) = study.figures(results).values()
    left = figure.axes[0]
    bound = left.lines[0]
    assert "bound" in bound.get_label()
    cost, errors = np.asarray(bound.get_xdata()), np.asarray(bound.get_ydata())
    order = np.argsort(errors)
    least = np.interp(results.limit_error.values, errors[order], cost[order])
    assert (least < results.limit_dissipation.values * 1.001).all()
