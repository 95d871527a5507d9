"""The study `tune_alpha`: all starts end at one α, where the gradient vanishes."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def tuned(finished):
    return finished("tune_alpha", "alpha=[-0.1, 0.1, 0.3, 0.5, 0.7]")


def test_all_starts_end_at_one_alpha(tuned):
    _, summary, results = tuned
    best = results.best_alpha.values[0]
    assert np.ptp(best) < 1e-6
    errors = np.asarray([point["error"]["mean"] for point in summary["points"]])
    assert (errors > summary["points"][0]["best_error"]).all()
    # Uphill on either side of it
    slopes = results.slope.values[0]
    assert (np.sign(slopes) == np.sign(results.alpha.values - best[0])).all()


def test_slopes_are_those_of_the_errors(tuned):
    """The integral of a polynomial through the slopes against the differences."""
    _, _, results = tuned
    alpha, error, slope = results.alpha.values, results.error.values[0], results.slope.values[0]
    fit = np.polynomial.Polynomial.fit(alpha, slope, 4).integ()
    np.testing.assert_allclose(np.diff(error), np.diff(fit(alpha)), rtol=0.03)


def test_table_and_figure(tuned):
    study, summary, results = tuned
    assert "mean field" in study.table(summary)
    (figure,) = study.figures(results).values()
    stars = [line for line in figure.axes[0].lines if line.get_marker() == "*"]
    np.testing.assert_allclose(stars[0].get_xdata(), results.best_alpha.values[0])
