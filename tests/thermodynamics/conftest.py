"""Works of which Jarzynski's and Crooks' relations are exactly true."""

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
