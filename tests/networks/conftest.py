"""Data of patients, in units as different as real ones."""

import numpy as np
import pytest

from thermoml.networks import Data

NAMES = ("age", "bmi", "pressure")


def draw_rows(count=40, seed=0, offset=(50.0, -3.0, 1e-3), scale=(9.0, 0.2, 1e-5)):
    """Features in units as different as real ones, mixed, and targets."""
    draw = np.random.default_rng(seed)
    mixing = np.array([[1.0, 0.0, 0.0], [0.6, 1.0, 0.0], [-0.3, 0.8, 0.5]])
    features = np.array(offset) + draw.normal(size=(count, 3)) @ mixing.T * np.array(scale)
    return features, draw.normal(size=count) * 4 + 100


@pytest.fixture(scope="session")
def rows():
    return draw_rows


@pytest.fixture(scope="session")
def regression():
    return lambda **kwargs: Data(*draw_rows(**kwargs), feature_names=NAMES, name="patients")


@pytest.fixture(scope="session")
def classes():
    labels, names = np.arange(40) % 3, ("a", "b", "c")
    return lambda: Data(draw_rows()[0], labels, feature_names=NAMES, class_names=names)
