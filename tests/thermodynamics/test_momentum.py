"""Moment equations and engines with momentum, in the limit of small steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

import thermoml as tml

pytestmark = pytest.mark.usefixtures("x64")

STIFFNESS = np.array([[2.0, 0.5], [0.5, 1.0]])
TURN = np.array([[0.0, 0.4], [-0.4, 0.0]])
MASS, FRICTION, HEAT_BATHS = np.array([1.0, 3.0]), np.array([0.5, 2.0]), np.array([1.0, 2.5])


def start():
    return tml.NormalState(jnp.array([1.0, -0.5]), 0.2)


def oscillators():
    """Two coupled oscillators, turned by a drive, in two baths."""
    potential = tml.langevin.QuadraticPotential(jnp.asarray(STIFFNESS))
    drive = tml.langevin.LinearForce(jnp.asarray(TURN))
    system = tml.Langevin(potential, drive=drive, temperature=jnp.asarray(HEAT_BATHS))
    return tml.Underdamped(system, mass=jnp.asarray(MASS), friction=jnp.asarray(FRICTION))


def drift():
    """A of dz = -Az dt + noise, z = (x, p)."""
    zero = np.zeros((2, 2))
    return np.block([[zero, -np.diag(1 / MASS)], [STIFFNESS - TURN, np.diag(FRICTION)]])


def noise():
    return np.diag(np.concatenate([np.zeros(2), 2 * FRICTION * MASS * HEAT_BATHS]))


def test_mean_and_covariance_are_those_of_a_matrix_exponential():
    moments = tml.moment_equations(oscillators(), start(), t1=1.7)
    begin = scipy.linalg.block_diag(0.2 * np.eye(2), np.diag(MASS * HEAT_BATHS))
    propagator = scipy.linalg.expm(-drift() * 1.7)
    rest = scipy.linalg.solve_continuous_lyapunov(drift(), noise())
    mean = propagator @ np.array([1.0, -0.5, 0, 0])
    covariance = rest + propagator @ (begin - rest) @ propagator.T
    np.testing.assert_allclose(moments.mean[-1], mean, atol=1e-9)
    np.testing.assert_allclose(moments.covariance[-1], covariance, atol=1e-9)


def test_rest_takes_the_heat_that_its_drive_gives():
    """γ(⟨p²⟩/m - T) by element; the sum is the power of the drive, ⟨f·p/m⟩."""
    moments = tml.moment_equations(oscillators(), start(), t1=80.0, saves=2)
    rest = scipy.linalg.solve_continuous_lyapunov(drift(), noise())
    heat = (moments.heat_by_element[2] - moments.heat_by_element[1]) / 40
    expected = FRICTION * (np.diagonal(rest)[2:] / MASS - HEAT_BATHS)
    np.testing.assert_allclose(heat, expected, rtol=1e-6)
    power = np.sum(TURN * rest[2:, :2] / MASS[:, None])
    np.testing.assert_allclose(heat.sum(), power, rtol=1e-6)
    change = moments.energy[2] - moments.energy[0]
    np.testing.assert_allclose(moments.work[2] - moments.heat[2], change, rtol=1e-9)
    flow = (moments.entropy_flow[2] - moments.entropy_flow[1]) / 40
    np.testing.assert_allclose(flow, np.sum(expected / HEAT_BATHS), rtol=1e-5)


@pytest.mark.exhaustive
def test_short_steps_of_baoab_come_near_as_the_square():
    exact = tml.moment_equations(oscillators(), start(), t1=1.0)
    misses = []
    for dt in (0.1, 0.05):
        steps = tml.moment_equations(oscillators(), start(), t1=1.0, dt=dt)
        misses.append(
            [
                np.abs(steps.covariance[-1] - exact.covariance[-1]).max(),
                np.abs(steps.mean[-1] - exact.mean[-1]).max(),
                abs(float(steps.heat[-1] - exact.heat[-1])),
            ]
        )
    order = np.log2(np.divide(*misses))
    assert (order > 1.8).all()
    assert (order < 2.2).all()


def test_a_start_of_position_and_momentum_and_a_scalar_state():
    trap = tml.Underdamped(tml.Langevin(lambda x, _: 2 * x**2), mass=2.0, friction=0.3)
    both = tml.langevin.PhaseState(tml.NormalState(1.0, 0.1), tml.NormalState(0.5, 0.2))
    moments = tml.moment_equations(trap, both, t1=0.9)
    propagator = scipy.linalg.expm(np.array([[0, 0.5], [-4, -0.3]]) * 0.9)
    np.testing.assert_allclose(moments.mean[-1], propagator @ [1.0, 0.5], atol=1e-9)
    np.testing.assert_allclose(moments.energy[0], 2 * 1.1 + (0.25 + 0.2) / 4, rtol=1e-12)


def test_friction_in_time_is_followed_across_its_break():
    """Heat of a free oscillator whose friction is switched on: none before."""
    friction = tml.langevin.PiecewiseLinear(
        jnp.array([0.0, 1.0, 1.0, 2.0]), jnp.array([1e-12, 1e-12, 1.0, 1.0])
    )
    system = tml.Underdamped(tml.Langevin(lambda x, _: x**2 / 2), friction=friction)
    moments = tml.moment_equations(system, tml.NormalState(2.0, 0.0), t1=2.0, saves=2)
    assert abs(moments.heat[1]) < 1e-9
    assert moments.heat[2] > 0.1


TRAP = tml.langevin.HarmonicPotential(tml.langevin.FromControl())


def stirling(*, duration=2.0, **inertia):
    return tml.Cycle(
        TRAP,
        [
            tml.Stroke(tml.Ramp(4.0, 1.0, t1=duration), duration=duration, bath="hot"),
            tml.Stroke(1.0, duration=1.0, bath="cold"),
            tml.Stroke(tml.Ramp(1.0, 4.0, t1=duration), duration=duration, bath="cold"),
            tml.Stroke(4.0, duration=1.0, bath="hot"),
        ],
        temperatures={"hot": 3.0, "cold": 1.0},
        **inertia,
    )


@pytest.fixture(scope="module")
def engine():
    with jax.enable_x64(True):
        return stirling(duration=8.0, friction=2.0).moment_equations(points=12)


@pytest.mark.slow
def test_an_engine_keeps_the_first_law_and_comes_back(engine):
    total = engine.work - sum(engine.heat.values())
    assert abs(total) < 1e-8
    assert engine.work < 0 < engine.efficiency < engine.carnot
    np.testing.assert_allclose(engine.entropy[0], engine.entropy[-1], rtol=1e-7)
    area = np.trapezoid(engine.conjugate, engine.control)
    np.testing.assert_allclose(area, engine.work, rtol=0.05)


@pytest.mark.slow
def test_an_engine_of_great_friction_is_overdamped():
    """1/m = γ μ: corrections of order 1/γ², and what kinetic energy carries from bath to bath."""
    slow = stirling(mobility=1.0).moment_equations(points=2)
    for friction in (100.0, 400.0):
        fast = stirling(mass=1 / friction, friction=friction).moment_equations(points=2)
        np.testing.assert_allclose(fast.work, slow.work, rtol=3 / friction)
        # Momenta follow each change of bath: ½(T_hot - T_cold) leave by friction alone.
        carried = 0.5 * (3.0 - 1.0)
        np.testing.assert_allclose(
            fast.heat["cold"] - slow.heat["cold"], carried, atol=3 / friction
        )


@pytest.mark.exhaustive
def test_the_gradient_in_the_friction_is_a_finite_difference():
    def power(friction):
        return stirling(friction=friction).moment_equations(points=2).power

    value = jax.grad(power)(1.5)
    difference = (power(1.5001) - power(1.4999)) / 2e-4
    np.testing.assert_allclose(value, difference, rtol=1e-5)


@pytest.mark.slow
def test_trajectories_of_an_engine_are_its_moments(engine, key):
    """Steps so short that their bias, of order dt, lies within the errors."""
    run = stirling(duration=8.0, friction=2.0).simulate(
        0.0, dt=0.01, key=key, n_trajectories=4000, rounds=2, settle=3
    )
    assert abs(run.work - engine.work) < 4 * run.work_error + 0.01
    for name, heat in engine.heat.items():
        assert abs(run.heat[name] - heat) < 4 * run.heat_error[name] + 0.01
    expected = np.interp(run.times, engine.times, engine.entropy)
    at_ends = np.isin(run.times, [0, 8, 9, 17, 18])  # elsewhere the curve lies above its chords
    assert at_ends.sum() >= 3
    np.testing.assert_allclose(run.entropy[at_ends], expected[at_ends], atol=0.05)


def test_an_engine_has_friction_or_mobility():
    with pytest.raises(ValueError, match="friction in place of mobility, got 2.0"):
        stirling(mobility=2.0, friction=1.0)
    with pytest.raises(ValueError, match="mass must be finite and > 0, got -1"):
        stirling(mass=-1.0).moment_equations()
