"""The study `dissipation_budget`: the same heat for every α, and the best of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml


@pytest.fixture(scope="module")
def budget(finished):
    return finished("dissipation_budget", "n_trajectories=400", "dissipation=[2.0]")


def test_every_start_finds_the_best_alpha(budget):
    """Where the derivative of the error at fixed dissipation vanishes, to 1e-6 in α."""
    _, summary, results = budget
    best = summary["budgets"][0]["best"]
    assert best["starts"] == 2
    assert best["spread"] < 1e-6
    with jax.enable_x64(True):

        def error(alpha):
            problem = tml.LearningProblem(tml.AlphaTron(alpha), learning_rate=1.0)
            return tml.steady_state(tml.perceptron.at_dissipation(problem, 2.0)).error

        around = best["alpha"] + jnp.asarray([-1e-2, 0.0, 1e-2])
        behind, here, ahead = np.asarray(jax.jit(jax.vmap(error))(around))
        curvature = (ahead - 2 * here + behind) / 1e-4
        assert curvature > 0
        assert abs((ahead - behind) / 2e-2 / curvature) < 1e-4
        np.testing.assert_allclose(best["error"], here, rtol=1e-9)
        bound = tml.dissipation_bound(jnp.asarray(here))
        np.testing.assert_allclose(best["efficiency"], bound / 2, rtol=1e-8)
    assert (results.limit_error >= here).all()


def test_all_dissipate_the_budget(budget):
    """As N → ∞; measured as predicted, within 5 standard errors."""
    _, summary, _ = budget
    for point in summary["budgets"][0]["points"]:
        found = point["dissipation"]
        assert abs(found["mean"] - found["predicted"]) < 5 * found["standard_error"]
        assert abs(found["predicted"] - 2) < 0.05 * 2
        assert abs(point["deviation"]) < 5


def test_table_and_figure(budget):
    study, summary, results = budget
    assert "2 of 2 starts" in study.table(summary)
    (figure,) = study.figures(results).values()
    (star,) = [line for line in figure.axes[0].lines if line.get_marker() == "*"]
    np.testing.assert_allclose(star.get_xdata()[0], summary["budgets"][0]["best"]["alpha"])
