"""Absorbing ends, mean first-passage times and slow modes, against quadrature and exact spectra."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

import thermoml as tml

pytestmark = pytest.mark.usefixtures("x64")

TEMPERATURE, MOBILITY = 0.5, 1.3


def double_well(x, control):
    return (x**2 - 1) ** 2


def wells(temperature=TEMPERATURE, potential=double_well, **parts):
    return tml.Langevin(potential, temperature=temperature, mobility=MOBILITY, **parts)


def passage_time(x, lower, upper, effective, temperature=TEMPERATURE):
    """From x to an absorbing upper end, with a wall at the lower, by Gardiner's double integral."""

    def inner(y):
        return quad(lambda z: np.exp((effective(y) - effective(z)) / temperature), lower, y)[0]

    return quad(inner, x, upper)[0] / (MOBILITY * temperature)


def passage_errors(system, effective, cells):
    """At the end of the wall, for each number of cells."""
    errors = []
    for count in cells:
        axis = tml.Axis(-2.0, 0.3, count, boundary=("reflecting", "absorbing"))
        times = tml.FokkerPlanck(system, axis).mean_first_passage_time()
        place = count // 3
        x = float(axis.centres[place])
        errors.append(float(times[place]) / passage_time(x, -2.0, 0.3, effective) - 1)
    return np.abs(errors)


@pytest.mark.parametrize("force", [0.0, 0.8])
def test_passage_times_are_those_of_quadrature_to_second_order(force):
    system = wells(drive=lambda x, control: jnp.full_like(x, force))
    coarse, fine = passage_errors(system, lambda x: double_well(x, None) - force * x, (40, 120))
    assert fine < 2e-4
    assert coarse / fine > 7  # 9 of second order


def test_passage_times_between_two_absorbing_ends():
    """Of free diffusion with a drift: x and L in closed form."""
    force, length = 1.7, 2.0
    system = wells(potential=lambda x, control: 0.0 * x, drive=lambda x, c: jnp.full_like(x, force))
    axis = tml.Axis(0.0, length, 400, boundary="absorbing")
    times = tml.FokkerPlanck(system, axis).mean_first_passage_time()
    x, bias = np.asarray(axis.centres), force / TEMPERATURE
    out = length * np.expm1(-bias * x) / np.expm1(-bias * length) - x
    np.testing.assert_allclose(times, out / (MOBILITY * force), rtol=2e-4, atol=1e-5)


def test_digits_of_rare_escapes():
    """A barrier of 36 T: 1e15 times the time of relaxation, past what a determinant resolves."""
    temperature = 1 / 36
    axis = tml.Axis(-1.6, 0.0, 3000, boundary=("reflecting", "absorbing"))
    system = wells(temperature)
    times = tml.FokkerPlanck(system, axis).mean_first_passage_time()
    place = 1100
    x = float(axis.centres[place])
    exact = passage_time(x, -1.6, 0.0, lambda x: double_well(x, None), temperature)
    assert exact > 1e14
    np.testing.assert_allclose(times[place], exact, rtol=1e-4)
    with jax.enable_x64(False):
        single = tml.FokkerPlanck(system, axis).mean_first_passage_time()
    np.testing.assert_allclose(single[place], exact, rtol=1e-2)


@pytest.mark.exhaustive
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("boundary", ["reflecting", "periodic"])
def test_a_second_axis_that_does_not_matter(turned, boundary):
    axis = tml.Axis(-2.0, 0.0, 40, boundary=("reflecting", "absorbing"))
    other = tml.Axis(-np.pi, np.pi, 12, boundary=boundary)

    def potential(x, control):
        x, y = x[::-1] if turned else x
        return double_well(x, control) + 0.4 * jnp.cos(y)

    alone = tml.FokkerPlanck(wells(), axis).mean_first_passage_time()
    axes = (other, axis) if turned else (axis, other)
    times = tml.FokkerPlanck(wells(potential=potential), axes).mean_first_passage_time()
    times = times.T if turned else times
    np.testing.assert_allclose(times, np.broadcast_to(alone[:, None], (40, 12)), rtol=1e-10)


@pytest.mark.slow
def test_a_second_axis_that_does_matter():
    """Against a dense solution: an absorbing corner, a drive, a bath of its own for each axis."""
    system = tml.Langevin(
        lambda x, control: jnp.sum(x**2) + x[0] * x[1],
        drive=lambda x, control: jnp.array([x[1], -2 * x[0]]),
        temperature=jnp.array([0.7, 1.2]),
    )
    axes = (
        tml.Axis(-1.0, 1.5, 7, boundary=("absorbing", "reflecting")),
        tml.Axis(-1.0, 1.0, 5, boundary=("reflecting", "absorbing")),
    )
    equation = tml.FokkerPlanck(system, axes)
    rates = equation.rates()
    number = np.arange(35).reshape(7, 5)
    jumps = np.zeros((35, 35))  # source by target
    for axis, (up, down) in enumerate(zip(rates.up, rates.down, strict=True)):
        after = np.roll(number, -1, axis)
        np.add.at(jumps, (number, after), np.asarray(up))
        np.add.at(jumps, (after, number), np.asarray(down))
    leaving = jumps.sum(axis=1) + np.asarray(rates.absorbed).ravel()
    expected = np.linalg.solve(np.diag(leaving) - jumps, np.ones(35)).reshape(7, 5)
    np.testing.assert_allclose(equation.mean_first_passage_time(), expected, rtol=1e-12)
    slowest = np.sort(np.linalg.eigvals(np.diag(leaving) - jumps).real)[:3]
    np.testing.assert_allclose(equation.spectrum(3).rates, slowest, rtol=1e-9)


def test_rates_of_two_wells_approach_kramers():
    """λ = (μ/π)√(U''(1)|U''(0)|)e^{-ΔU/T}, the sum of both escapes.

    The next order is that of Laplace's method, here a factor 1 - 3T/8.
    """
    ratios = []
    for barrier in (10.0, 20.0):
        axis = tml.Axis(-1.7, 1.7, 400, boundary="natural")
        rates = tml.FokkerPlanck(wells(1 / barrier), axis).spectrum(3).rates
        kramers = MOBILITY / np.pi * np.sqrt(8 * 4) * np.exp(-barrier)
        ratios.append(float(rates[1]) / kramers)
        assert rates[2] > 100 * rates[1]
        edge = tml.Axis(-1.7, 0.0, 400, boundary=("natural", "absorbing"))
        escape = tml.FokkerPlanck(wells(1 / barrier), edge)
        assert abs(escape.spectrum(1).rates[0] / rates[1] - 1) < 1e-3  # the odd mode
        bottom = float(escape.mean_first_passage_time()[165])
        assert abs(bottom * rates[1] - 1) < 1e-3 + 3 * np.exp(-barrier / 2)
    np.testing.assert_allclose((1 - np.array(ratios)) * [10, 20], 3 / 8, atol=0.04)


def test_the_spectrum_of_a_trap_is_that_of_its_relaxation():
    """Multiples of μk."""
    system = wells(potential=lambda x, control: 0.9 * x**2 / 2)
    axis = tml.Axis(-5.5, 5.5, 500, boundary="natural")
    found = tml.FokkerPlanck(system, axis).spectrum(5)
    np.testing.assert_allclose(found.rates, 0.9 * MOBILITY * np.arange(5), rtol=1e-3, atol=1e-12)
    np.testing.assert_allclose(found.frequencies, 0, atol=1e-9)
    assert str(found).startswith("Spectrum\n  rates")


def test_a_rotation_has_frequencies():
    """Eigenvalues of the linear system: sums of k ± iw, three of which share the real part 2k."""
    k, w = 1.5, 0.7
    system = tml.Langevin(
        lambda x, control: k * jnp.sum(x**2) / 2,
        drive=lambda x, control: w * jnp.array([x[1], -x[0]]),
    )
    axis = tml.Axis(-4.6, 4.6, 70, boundary="natural")
    found = tml.FokkerPlanck(system, (axis, axis)).spectrum(6)
    np.testing.assert_allclose(found.rates, k * np.array([0, 1, 1, 2, 2, 2]), rtol=8e-3, atol=1e-9)
    np.testing.assert_allclose(found.frequencies[1:3], [-w, w], rtol=8e-3)
    np.testing.assert_allclose(
        np.sort(found.frequencies[3:]), [-2 * w, 0, 2 * w], rtol=8e-3, atol=1e-9
    )


def test_equal_rates_of_a_square():
    """Free diffusion between walls: π²D(n² + m²)/L², the second and third equal."""
    system = wells(potential=lambda x, control: 0.0 * jnp.sum(x))
    axis = tml.Axis(0.0, 1.0, 30)
    found = tml.FokkerPlanck(system, (axis, axis)).spectrum(5).rates
    wave = np.pi * np.array([0, 1, 1, 2**0.5, 2])
    np.testing.assert_allclose(found, MOBILITY * TEMPERATURE * wave**2, rtol=4e-3, atol=1e-12)


def second_rate(height):
    system = wells(potential=lambda x, control: height * (x**2 - 1) ** 2)
    axis = tml.Axis(-2.2, 2.2, 100, boundary="natural")
    return tml.FokkerPlanck(system, axis).spectrum(2).rates[1]


def test_the_slope_of_a_rate():
    slope = jax.jit(jax.grad(second_rate))(1.0)
    step = 1e-4
    expected = (second_rate(1 + step) - second_rate(1 - step)) / (2 * step)
    np.testing.assert_allclose(slope, expected, rtol=1e-6)
    several = jax.vmap(second_rate)(jnp.array([0.8, 1.0]))
    np.testing.assert_allclose(several[1], second_rate(1.0), rtol=1e-12)


@pytest.mark.slow
def test_what_is_absorbed_leaves_with_its_rate_and_its_ledger():
    """The slowest mode decays alone, in a constant potential with neither work nor heat."""
    axis = tml.Axis(0.0, 1.0, 60, boundary="absorbing")
    flat = tml.FokkerPlanck(wells(potential=lambda x, control: 0.0 * x), axis)
    rate = flat.spectrum(1).rates[0]
    np.testing.assert_allclose(rate, np.pi**2 * MOBILITY * TEMPERATURE, rtol=1e-3)
    errors = []
    for dt in (0.004, 0.002):
        run = flat.evolve(jnp.sin(jnp.pi * axis.centres), t1=0.2, dt=dt, save_every=10)
        errors.append(run.survival[-1] / np.exp(-rate * 0.2) - 1)
        np.testing.assert_array_equal(run.work, 0)
    assert abs(errors[1]) < 1e-3
    assert 3.3 < errors[0] / errors[1] < 5
    # In a trap, energy leaves with what is absorbed, and as heat: no work is done.
    trap = tml.FokkerPlanck(wells(potential=lambda x, control: 3 * x**2), axis)
    works = [
        trap.evolve(jnp.sin(jnp.pi * axis.centres), t1=0.2, dt=dt).work[-1] for dt in (0.004, 0.002)
    ]
    assert abs(works[1]) < 2e-3
    assert abs(works[1]) < 0.6 * abs(works[0])


@pytest.mark.slow
def test_survival_adds_up_to_the_passage_time():
    axis = tml.Axis(-2.0, 0.3, 60, boundary=("reflecting", "absorbing"))
    equation = tml.FokkerPlanck(wells(), axis)
    start = equation.discretise(tml.NormalState(-1.0, 0.05))
    run = equation.evolve(start, t1=40.0, dt=0.02, save_every=1)
    area = np.trapezoid(run.survival, run.times)
    mean = float(jnp.sum(start * equation.mean_first_passage_time()) * equation.cell)
    np.testing.assert_allclose(area, mean, rtol=1e-3)
    closed = tml.FokkerPlanck(wells(), tml.Axis(-2.0, 0.3, 60)).evolve(start, t1=1.0, dt=0.1)
    np.testing.assert_allclose(closed.survival, 1, rtol=1e-12)


def test_errors(unchecked):
    absorbing = tml.FokkerPlanck(wells(), tml.Axis(-2.0, 0.0, 50, boundary="absorbing"))
    with pytest.raises(ValueError, match="no steady state"):
        absorbing.steady_state()
    closed = tml.FokkerPlanck(wells(), tml.Axis(-2.0, 2.0, 50))
    with pytest.raises(ValueError, match="needs an absorbing end"):
        closed.mean_first_passage_time()
    for count in (0, 49, 2.5):
        with pytest.raises((ValueError, TypeError), match="count"):
            closed.spectrum(count)
    for boundary in ("open", ("reflecting",), ("reflecting", "periodic"), 3, ("absorbing", 1)):
        with pytest.raises(ValueError, match="boundary must be"):
            tml.Axis(0.0, 1.0, 10, boundary=boundary)
    with pytest.raises(ValueError, match="too short"):
        tml.FokkerPlanck(wells(), tml.Axis(-1.1, 0.0, 50, boundary=("natural", "absorbing")))
