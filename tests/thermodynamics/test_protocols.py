"""Optimal protocols, found by the gradient of the moment equations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml


def pair(x, control):
    """One trap that moves, another that stiffens."""
    return (x[0] - control[0]) ** 2 / 2 + control[1] * x[1] ** 2 / 2


START, END, T1 = np.array([0.0, 1.0]), np.array([1.5, 3.0]), 2.0


def work_of(inside, t1=T1, adjoint=None):
    """Of both, from equilibrium, at T = μ = k = 1."""
    control = tml.PiecewiseLinear.between(START, inside, END, t1=t1)
    start = tml.NormalState(jnp.zeros(2), 1.0)
    adjoint = tml.langevin.RecursiveCheckpoint() if adjoint is None else adjoint
    system = tml.Langevin(pair, control=control)
    return tml.moment_equations(system, start, t1=t1, adjoint=adjoint).work[-1]


@pytest.mark.slow
def test_tuned_protocols_are_those_of_schmiedl_and_seifert(x64):
    """2007, Phys. Rev. Lett. 98, 108301: both jump at both ends.

    Dragged by L at a constant lag y between the jumps, the work is y² t + (L - y t)²/2, least for
    y = L/(t + 2). Stiffened from a to b, it is (b w(t) - a w(0))/2 - ln(w(t)/w(0))/2 + ∫ w'²/4w ds
    of the variance w: √w is linear, w = (1 + cs)²/a, and dW/dc = 0 is
    (b t² + 2t) c² + 2(b t + 1) c + b - a = 0.
    """
    knots = 13
    tuned = tml.tune(work_of, jnp.linspace(START, END, knots), tolerance=1e-7)
    length, (a, b), t = 1.5, (1.0, 3.0), T1
    square, half, rest = b * t**2 + 2 * t, b * t + 1, b - a
    c = (-half + np.sqrt(half**2 - square * rest)) / square
    grown = 1 + c * t
    stiffened = (b / a * grown**2 - 1) / 2 - np.log(grown) + c**2 * t / a
    dragged = length**2 / (t + 2)
    value = float(tuned.value)
    assert 0 < value - stiffened - dragged < 2e-5  # for straight pieces are not the best
    s = np.linspace(0, t, knots)
    found = np.asarray(tuned.parameters)
    np.testing.assert_allclose(found[:, 0], length * (1 + s) / (t + 2), atol=1e-4)
    best = a / (1 + c * s) ** 2 - c / (1 + c * s)
    np.testing.assert_allclose(found[1:-1, 1], best[1:-1], rtol=0.01)
    np.testing.assert_allclose(found[[0, -1], 1], best[[0, -1]], rtol=0.05)
    assert tuned.values[0] > value + 0.05


@pytest.mark.exhaustive
def test_derivatives_are_those_of_finite_differences(x64):
    inside, way = jnp.linspace(START, END, 3), np.array([[0.2, 1.0], [-1, 0.5], [0.3, -0.4]])

    def moved(s, adjoint=None):
        return work_of(inside + s * way, T1 + s, adjoint)

    reverse = jax.jit(jax.value_and_grad(moved))
    expected = (reverse(1e-4)[0] - reverse(-1e-4)[0]) / 2e-4
    assert abs(expected) > 0.05
    forward = jax.jit(
        lambda s: jax.jvp(lambda s: moved(s, tml.langevin.ForwardMode()), (s,), (1.0,))
    )
    for found in (reverse(0.0), forward(0.0)):
        np.testing.assert_allclose(found[1], expected, rtol=1e-6)
