"""Works of which Jarzynski's and Crooks' relations are exactly true; orders of errors."""

import numpy as np
import pytest


@pytest.fixture
def gaussian_work():
    """(temperature, ΔF, spread, counts, seed) -> works in both directions.

    Their variance is (spread · T)², and half of it over T is dissipated on average.
    """

    def draw(temperature, difference, spread, counts=(4000, 6000), seed=3):
        rng, loss = np.random.default_rng(seed), spread**2 * temperature / 2
        forward, reverse = (rng.normal(size=n) * spread * temperature + loss for n in counts)
        return forward + difference, reverse - difference

    return draw


@pytest.fixture
def assert_second_order():
    """Roots of mean squares of errors, small beside `scale`, at two cells of this ratio."""

    def check(found, exact, scale, within=0.01, ratio=2.0):
        errors = [np.sqrt(np.mean((np.asarray(x) - exact) ** 2)) for x in found]
        assert errors[0] < within * scale
        order = np.log(errors[0] / errors[1]) / np.log(ratio)
        assert 1.7 < order < 2.3, errors

    return check
