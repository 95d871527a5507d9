import numpy as np
import pytest

from thermoml.numerics.quadrature import tanh_sinh


@pytest.mark.parametrize(
    ("function", "integral"),
    [
        (lambda u: np.ones_like(u), 1.0),
        (lambda u: u**3, 1 / 4),
        (np.exp, np.e - 1),
        (lambda u: u**-0.5, 2.0),
        (lambda u: u**0.3, 1 / 1.3),
        (np.log, -1.0),
        (lambda u: np.sqrt(u * (1 - u)), np.pi / 8),
    ],
    ids=["1", "u^3", "exp", "u^-1/2", "u^0.3", "log", "semicircle"],
)
def test_integrals_are_exact_end_point_singularities_included(function, integral):
    nodes, weights = tanh_sinh()
    np.testing.assert_allclose(weights @ function(nodes), integral, rtol=1e-8)


def test_nodes_lie_inside_and_ascend():
    nodes, weights = tanh_sinh()
    assert nodes.dtype == weights.dtype == np.float64
    assert nodes[0] > 0
    assert nodes[-1] <= 1
    assert (np.diff(nodes) >= 0).all()  # those beside 1 round to it
    assert (weights > 0).all()
