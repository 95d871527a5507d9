"""Densities and cells that a grid cannot hold are seen at any step."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from parts import exhaustive

import thermoml as tml


class Sine(eqx.Module):
    """Whole periods pass between the quarters of 16 units of time."""

    height: float

    def __call__(self, t):
        return self.height * jnp.sin(2 * jnp.pi * t / 4)


def trap(x, centre):
    return 2 * (x - centre) ** 2


def run(half, cells, height=1.5, dt=0.05, **options):
    system = tml.Langevin(trap, control=Sine(height), **options)
    equation = tml.FokkerPlanck(system, tml.Axis(-half, half, cells, boundary="natural"))
    return equation.evolve(equation.discretise(tml.NormalState(0.0, 0.25)), t1=16.0, dt=dt)


def test_a_trap_that_leaves_the_grid_between_the_quarters_is_seen(x64):
    with pytest.raises(ValueError, match="^natural axis 0 is too short: at its end -?2.8"):
        run(2.8, 56)


@pytest.mark.exhaustive
def test_cells_too_coarse_between_the_quarters_are_seen(x64):
    """The push over a cell is largest where the trap is fastest, at no quarter's phase."""
    with pytest.raises(ValueError, match="^axis 0 is too coarse .* use at least .* instead of 24"):
        run(5.0, 24)


@pytest.mark.exhaustive
def test_a_bath_that_freezes_between_the_quarters_is_seen(x64):
    with pytest.raises(ValueError, match="^temperature and mobility must be finite and > 0"):
        run(5.0, 80, 0.1, temperature=lambda t: 1 - 1.2 * jnp.sin(2 * jnp.pi * t / 4))


def test_the_work_of_such_a_trap_on_a_grid_that_holds_it(x64):
    """k = 4: the mean lags, m' = k(c - m), and the work is the integral of -k(m - c)c'."""
    solution = run(5.0, 100, dt=0.02)
    t = np.linspace(0, 16, 160_001)
    k, w, h = 4.0, np.pi / 2, 1.5
    scale = h * k / (k**2 + w**2)
    mean = scale * (k * np.sin(w * t) - w * np.cos(w * t) + w * np.exp(-k * t))
    work = np.trapezoid(-k * (mean - h * np.sin(w * t)) * h * w * np.cos(w * t), t)
    np.testing.assert_allclose(solution.work[-1], work, rtol=0.03)


@pytest.mark.exhaustive
def test_two_temperatures_need_room_by_their_own_axis(x64):
    """At x = 6.5 the density is e^-31.7; with the hottest bath it seemed 1.4e-6."""

    def gyrator(x, control):
        return 0.7 * x[0] ** 2 + 0.45 * x[1] ** 2 + 0.5 * x[0] * x[1]

    baths = jnp.array([0.6, 1.7])
    axes = [tml.Axis(-6.5, 6.5, 60, boundary="natural"), tml.Axis(-9, 9, 60, boundary="natural")]
    equation = tml.FokkerPlanck(tml.Langevin(gyrator, temperature=baths), axes)
    exact = tml.LinearSystem([[1.4, 0.5], [0.5, 0.9]], baths).steady_state().covariance
    density = equation.steady_state()
    for i in (0, 1):
        square = equation.mean(lambda x, i=i: x[i] ** 2, density)
        np.testing.assert_allclose(square, exact[i, i], rtol=5e-3)
    short = tml.Axis(-5, 5, 40, boundary="natural")
    with pytest.raises(ValueError, match="^natural axis 1 is too short"):
        tml.FokkerPlanck(tml.Langevin(gyrator, temperature=baths), [axes[0], short])


@pytest.mark.parametrize("force", [0.5, *exhaustive(-0.5)])
def test_slow_transport_keeps_its_digits(dtype, force):
    """Over barriers of 16 T, by the integrals of Reimann et al. on a fine mesh."""
    system = tml.Langevin(lambda x, _: 8 * jnp.cos(x), drive=lambda x, _: force + 0 * x)
    ring = tml.FokkerPlanck(system, tml.Axis(0, 2 * np.pi, 400, boundary="periodic"))
    transport = ring.transport()
    n = 1024
    x, y = 2 * np.pi * np.arange(n)[:, None] / n, 2 * np.pi * (np.arange(n)[None] + 0.5) / n
    plus = np.exp(8 * np.cos(x) - 8 * np.cos(x - y) - force * y).mean(1)  # y: over a round
    minus = np.exp(8 * np.cos(x + y) - 8 * np.cos(x) - force * y).mean(1)
    mean = plus.mean() * 2 * np.pi
    velocity = -np.expm1(-force * 2 * np.pi) / mean
    np.testing.assert_allclose(transport.velocity, velocity, rtol=1e-3)
    diffusion = (plus**2 * minus).mean() / plus.mean() ** 3
    np.testing.assert_allclose(transport.diffusion, diffusion, rtol=2e-3)
