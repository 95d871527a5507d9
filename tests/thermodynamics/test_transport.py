"""Velocity, diffusion and dissipation on a tilted ring, against integrals and eigenvalues."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml

pytestmark = pytest.mark.usefixtures("x64")

# A ring of length 1: skewed hills, and a force around it.
AMPLITUDE, SKEW, CELLS = 0.9, 0.35, 100
BATH, MOBILITY = 0.5, 1.3
DIFFUSION = MOBILITY * BATH


def hills(x, control):
    turn = 2 * jnp.pi * control["way"] * x
    return control["height"] * (AMPLITUDE * jnp.sin(turn) + SKEW * jnp.sin(2 * turn + 1))


def push(x, control):
    return control["force"] + 0 * x


def ring(force, height=1.0, way=1.0):
    """`way` turns the hills around, or says how many rounds of them there are."""
    control = tml.langevin.Constant({"force": force, "height": height, "way": way})
    system = tml.Langevin(hills, drive=push, control=control, temperature=BATH, mobility=MOBILITY)
    return tml.FokkerPlanck(system, tml.Axis(0, 1, CELLS, boundary="periodic"))


@functools.cache
def quadrature(force):
    """Density at a hundred points, velocity and diffusion, of continuous x.

    With V = U - fx and p = e^{-V/T} q the current is -D e^{-V/T} q', so that p is proportional to
    I₋(x), the integral of e^{(V(x + y) - V(x))/T} over one round y, and v = D (1 - e^{-f/T})/⟨I₋⟩
    (Stratonovich). From mean and variance of the time for a round, D_eff = D ⟨I₊² I₋⟩/⟨I₊⟩³ with I₊
    of e^{(V(x) - V(x - y))/T}: Reimann et al. 2001, Phys. Rev. Lett. 87, 010602.
    """
    nodes, weights = np.polynomial.legendre.leggauss(80)
    y, weights = (nodes + 1) / 2, weights / 2

    def tilted(x):
        u = AMPLITUDE * np.sin(2 * np.pi * x) + SKEW * np.sin(4 * np.pi * x + 1)
        return (u - force * x) / BATH

    x = (np.arange(100) + 0.5)[:, None] / 100
    plus = np.exp(tilted(x) - tilted(x - y)) @ weights
    minus = np.exp(tilted(x + y) - tilted(x)) @ weights
    velocity = DIFFUSION * -np.expm1(-force / BATH) / minus.mean()
    diffusion = DIFFUSION * np.mean(plus**2 * minus) / plus.mean() ** 3
    return minus / minus.mean(), velocity, diffusion


@pytest.mark.parametrize("force", [0.0, 1.5, -4.0])
def test_a_tilted_ring_moves_and_spreads_as_its_integrals_say(force, assert_second_order):
    density, velocity, diffusion = quadrature(force)
    equation = ring(force)
    np.testing.assert_allclose(equation.steady_state(), density, rtol=5e-3)
    # Two rounds of hills on as many cells: in a unit of half the length velocities are doubled.
    fine, coarse = equation.transport(), ring(2 * force, way=2.0).transport()
    velocities = [coarse.velocity / 2, fine.velocity]
    diffusions = [coarse.diffusion, fine.diffusion]
    if force:
        assert_second_order(velocities, velocity, abs(velocity))
    assert_second_order(diffusions, diffusion, diffusion)
    for (coarse, fine), exact in ((velocities, velocity), (diffusions, diffusion)):
        np.testing.assert_allclose((4 * fine - coarse) / 3, exact, rtol=1e-5, atol=1e-12)


def test_transport_is_that_of_the_largest_eigenvalue():
    """Of jumps counted with e^{±kd}: v and D_eff are its slope and half its curvature at k = 0."""
    equation = ring(1.5)
    rates, width = equation.rates(), equation.axes[0].width
    up, down = np.asarray(rates.up[0]), np.asarray(rates.down[0])

    def growth(k):
        matrix = -np.diag(up + np.roll(down, 1))
        here = np.arange(CELLS)
        after = (here + 1) % CELLS
        matrix[after, here] += up * np.exp(k * width)
        matrix[here, after] += down * np.exp(-k * width)
        return np.linalg.eigvals(matrix).real.max()

    s = 0.2
    a, b, c, d, e = (growth(k) for k in (-2 * s, -s, 0, s, 2 * s))
    found = equation.transport()
    np.testing.assert_allclose(found.velocity, (a - 8 * b + 8 * d - e) / (12 * s), rtol=1e-5)
    curvature = (-a + 16 * b - 30 * c + 16 * d - e) / (12 * s**2)
    np.testing.assert_allclose(found.diffusion, curvature / 2, rtol=1e-5)


@pytest.mark.parametrize("force", [1.5, -4.0])
def test_a_ring_at_rest_dissipates_the_power_of_its_force(force):
    equation = ring(force)
    density, moving = equation.steady_state(), equation.transport()
    power = force * moving.velocity
    np.testing.assert_allclose(equation.heat_rate(density), [power], rtol=1e-11)
    produced = equation.entropy_production_rate(density)
    np.testing.assert_allclose(produced, power / BATH, rtol=1e-11)
    (current,) = equation.current(density)
    np.testing.assert_allclose(current, moving.velocity, rtol=1e-10)  # all around, length 1
    # Barato and Seifert 2015: no less entropy for so precise a current
    assert moving.diffusion * produced / moving.velocity**2 > 1.05


def test_a_flat_ring_is_exact():
    force = 1.5
    equation = ring(force, height=0.0)
    density, moving = equation.steady_state(), equation.transport()
    np.testing.assert_allclose(density, 1, rtol=1e-12)
    np.testing.assert_allclose(moving.velocity, MOBILITY * force, rtol=1e-12)
    produced = equation.entropy_production_rate(density)
    np.testing.assert_allclose(produced, MOBILITY * force**2 / BATH, rtol=1e-12)
    # Jumps one way or the other: more diffusion by (P/2) coth(P/2), P the push of a cell over T
    half = force / CELLS / BATH / 2
    np.testing.assert_allclose(moving.diffusion, DIFFUSION * half / np.tanh(half), rtol=1e-12)
    assert 1 < moving.diffusion * produced / moving.velocity**2 < 1 + 2e-3
    assert str(moving) == "Transport\n  velocity   1.95\n  diffusion  0.650049"


def test_a_mirrored_ring_turns_the_other_way():
    one, other = ring(1.5).transport(), ring(-1.5, way=-1.0).transport()
    np.testing.assert_allclose(one.velocity, -other.velocity, rtol=1e-11)
    np.testing.assert_allclose(one.diffusion, other.diffusion, rtol=1e-11)
    back = ring(-1.5).transport()
    assert abs(one.velocity + back.velocity) > 0.05  # a ratchet: the hills are skewed
    still = ring(0.0).transport()
    np.testing.assert_allclose(still.velocity, 0, atol=1e-12)


def test_waves_on_a_flat_ring_drift_and_decay():
    """Each step of z = λ dt multiplies one by 2/(1 + z/2)² - 1/(1 + z), to second order e^{-z}."""
    force, q, t1, steps = 1.5, 2 * np.pi, 0.2, 20
    equation = ring(force, height=0.0)
    x = np.asarray(equation.axes[0].centres)
    density = jnp.asarray(1 + 0.6 * np.cos(q * x))
    found = equation.evolve(density, t1=t1, dt=t1 / steps).density[-1]
    wave = 2 / CELLS * np.sum(np.asarray(found) * np.exp(-1j * q * x)) / 0.6
    up, down = (float(rate[0][0]) for rate in (equation.rates().up, equation.rates().down))
    turn = np.exp(-1j * q / CELLS)
    z = t1 / steps * (up * (1 - turn) + down * (1 - 1 / turn))
    once = 2 / (1 + z / 2) ** 2 - 1 / (1 + z)
    np.testing.assert_allclose(wave, once**steps, rtol=1e-11)
    exact = np.exp(-(DIFFUSION * q**2 + 1j * q * MOBILITY * force) * t1)
    np.testing.assert_allclose(wave, exact, atol=5e-3)
