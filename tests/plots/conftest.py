"""The numbers that artists draw."""

import matplotlib.pyplot as plt
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close("all")


@pytest.fixture(scope="session")
def line():
    """Places and values of a line: by its label, or by its place among those without."""

    def read(ax, label=None, index=0):
        lines = [x for x in ax.get_lines() if (x.get_label() == label if label else True)]
        return (np.asarray(x, float) for x in lines[index].get_data())

    return read


@pytest.fixture(scope="session")
def bars():
    """Places, values and half lengths of the vertical error bars."""

    def read(container):
        data, _, collections = container
        x, y = (np.asarray(values, float) for values in data.get_data())
        lengths = [np.diff(np.asarray(s)[:, 1])[0] / 2 for s in collections[-1].get_segments()]
        return x, y, np.asarray(lengths)

    return read


@pytest.fixture(scope="session")
def band_edges():
    """The lowest and highest value of a band at each place, by place."""

    def read(collection):
        x, y = collection.get_paths()[0].vertices.T
        places = np.unique(x)
        return [np.asarray([pick(y[x == place]) for place in places]) for pick in (np.min, np.max)]

    return read
