"""Engines: the harmonic Stirling engine against closed forms, exact and simulated."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml

HOT, COLD, NARROW, WIDE = 3.0, 1.0, 4.0, 1.0


trap = tml.langevin.HarmonicPotential(tml.langevin.FromControl())


def stirling(duration, isochore, hot=HOT, potential=trap):
    """Isothermal ramps of the stiffness, joined by strokes at rest."""
    return tml.Cycle(
        potential,
        [
            tml.Stroke(tml.Ramp(NARROW, WIDE, t1=duration), duration=duration, bath="hot"),
            tml.Stroke(WIDE, duration=isochore, bath="cold"),
            tml.Stroke(tml.Ramp(WIDE, NARROW, t1=duration), duration=duration, bath="cold"),
            tml.Stroke(NARROW, duration=isochore, bath="hot"),
        ],
        temperatures={"hot": hot, "cold": COLD},
    )


def jumping(narrow_for, wide_for):
    """Two strokes at rest: stiffness and bath jump together."""
    return tml.Cycle(
        trap,
        [
            tml.Stroke(NARROW, duration=narrow_for, bath="hot"),
            tml.Stroke(WIDE, duration=wide_for, bath="cold"),
        ],
        temperatures={"hot": HOT, "cold": COLD},
    )


@pytest.fixture(scope="module")
def x64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def fast(x64):
    return stirling(1.0, 1.0).moment_equations(points=100)


def jumping_variances(narrow_for, wide_for):
    """⟨x²⟩ at the end of each stroke, by the fixed point of two relaxations."""
    a, b = np.exp(-2 * NARROW * narrow_for), np.exp(-2 * WIDE * wide_for)
    hot, cold = HOT / NARROW, COLD / WIDE
    narrow = (hot * (1 - a) + cold * (1 - b) * a) / (1 - a * b)
    return narrow, cold + (narrow - cold) * b


def test_strokes_at_rest_have_a_closed_form(x64):
    narrow, wide = jumping_variances(0.1, 0.4)
    found = jumping(0.1, 0.4).moment_equations()
    # Work is done by the jumps alone, at the variance that the stroke before has left.
    work = 0.5 * (WIDE - NARROW) * narrow + 0.5 * (NARROW - WIDE) * wide
    np.testing.assert_allclose(found.work, work, rtol=1e-8)
    np.testing.assert_allclose(found.heat["hot"], -0.5 * NARROW * (narrow - wide), rtol=1e-8)
    np.testing.assert_allclose(found.heat["cold"], -0.5 * WIDE * (wide - narrow), rtol=1e-8)
    production = found.heat["hot"] / HOT + found.heat["cold"] / COLD
    np.testing.assert_allclose(found.entropy_production, production, rtol=1e-12)
    np.testing.assert_allclose(found.power, -work / 0.5, rtol=1e-8)


@pytest.mark.exhaustive
def test_slow_strokes_approach_the_quasi_static_engine(x64):
    """½(T_h - T_c) ln r at (T_h - T_c) ln r/[T_h ln r + T_h - T_c], but for terms like 1/τ."""
    gain = np.log(NARROW / WIDE)
    work = 0.5 * (HOT - COLD) * gain
    efficiency = (HOT - COLD) * gain / (HOT * gain + HOT - COLD)
    missing = []
    for duration in (100.0, 200.0):
        found = stirling(duration, 12.0).moment_equations(points=2)
        missing.append([work + float(found.work), efficiency - float(found.efficiency)])
    assert missing[0][0] > missing[1][0] > 0
    extrapolated = 2 * np.asarray(missing[1]) - missing[0]
    np.testing.assert_allclose(extrapolated, 0, atol=2e-4)


@pytest.mark.slow
def test_the_second_law_bounds_the_efficiency(fast):
    assert float(fast.work) < 0
    assert 0 < float(fast.efficiency) < float(fast.carnot) == 1 - COLD / HOT
    np.testing.assert_allclose(fast.curzon_ahlborn, 1 - np.sqrt(COLD / HOT))
    assert float(fast.entropy_production) > 0
    np.testing.assert_allclose(fast.efficiency, fast.work / fast.heat["hot"], rtol=1e-12)


@pytest.mark.slow
def test_a_round_closes(fast):
    np.testing.assert_allclose(fast.work, sum(fast.heat.values()), rtol=1e-8)
    np.testing.assert_allclose(fast.entropy[0], fast.entropy[-1], rtol=1e-8)
    np.testing.assert_allclose(fast.heat_by_stroke.sum(), sum(fast.heat.values()), rtol=1e-10)


@pytest.mark.slow
def test_the_diagram_encloses_the_work(fast):
    area = np.trapezoid(fast.conjugate, fast.control)
    np.testing.assert_allclose(area, fast.work, rtol=1e-3)


def test_the_diagram_of_entropy_bounds_the_heat(fast):
    """T dS is at least the heat that each stroke takes from its bath."""
    change = np.diff(fast.entropy[::100])
    baths = np.asarray([HOT, COLD, COLD, HOT])
    assert (baths * change + np.asarray(fast.heat_by_stroke) > 0).all()


@pytest.mark.slow
def test_too_fast_an_engine_gains_nothing(x64):
    found = stirling(0.05, 0.05).moment_equations(points=2)
    assert float(found.work) > 0
    assert np.isnan(found.efficiency)


class Bent(tml.langevin.AbstractControl):
    """A control of one's own: straight to the middle of a ramp, and on to its end."""

    middle: float
    duration: float

    @property
    def breaks(self):
        return jnp.asarray([self.duration / 2])

    def __call__(self, t):
        return jnp.interp(
            t,
            jnp.asarray([0, self.duration / 2, self.duration]),
            jnp.asarray([NARROW, self.middle, WIDE]),
        )


@pytest.mark.exhaustive
def test_a_control_of_ones_own_may_have_breaks(x64):
    """As a piecewise linear one, which the adaptive integration meets as exactly."""

    def power(control):
        strokes = [
            tml.Stroke(control, duration=1.0, bath="hot"),
            tml.Stroke(NARROW, duration=1.0, bath="cold"),
        ]
        cycle = tml.Cycle(trap, strokes, temperatures={"hot": HOT, "cold": COLD})
        assert 0.5 in cycle.system.control.breaks
        return cycle.moment_equations(points=2).power

    knots = tml.PiecewiseLinear([0.0, 0.5, 1.0], [NARROW, 3.5, WIDE])
    np.testing.assert_allclose(power(Bent(3.5, 1.0)), power(knots), rtol=1e-9)
    assert abs(power(Bent(1.5, 1.0)) - power(knots)) > 0.01


@pytest.mark.exhaustive
def test_gradient_of_the_power(x64):
    def power(duration):
        return stirling(duration, 0.5).moment_equations(points=1).power

    step = 1e-3
    expected = (power(1 + step) - power(1 - step)) / (2 * step)
    np.testing.assert_allclose(jax.grad(power)(1.0), expected, rtol=1e-5)


@pytest.fixture(scope="module")
def simulated(x64):
    return jumping(0.1, 0.4).simulate(
        0.0,
        dt=0.02,
        key=jax.random.key(0),
        n_trajectories=4000,
        rounds=5,
        settle=4,
        integrator=tml.ExactLinear(trap.stiffness),
    )


@pytest.mark.slow
def test_simulation_agrees_with_the_closed_form(simulated, x64):
    exact = jumping(0.1, 0.4).moment_equations()
    # The exact integrator has no error of the step: the jumps are between steps.
    for name in ("work", "heat_by_stroke"):
        apart = getattr(simulated, name) - getattr(exact, name)
        assert (np.abs(apart) < 4 * getattr(simulated, f"{name}_error")).all(), name
    for bath, heat in simulated.heat.items():
        assert abs(heat - exact.heat[bath]) < 4 * simulated.heat_error[bath]
    assert 0 < float(simulated.work_error) < 0.02


@pytest.mark.slow
def test_diagrams_of_trajectories(simulated, x64):
    narrow, wide = jumping_variances(0.1, 0.4)
    ends = [int(np.argmin(np.abs(np.asarray(simulated.times) - t))) for t in (0.1, 0.5)]
    for end, variance in zip(ends, (narrow, wide), strict=True):
        # 20,000 states, five rounds of a trajectory among them correlated
        slack = 4 * variance * np.sqrt(2 / 4000)
        np.testing.assert_allclose(2 * simulated.conjugate[end], variance, atol=slack)
        entropy = 0.5 * np.log(2 * np.pi * np.e * variance)
        np.testing.assert_allclose(simulated.entropy[end], entropy, atol=slack / variance)


def test_control_and_bath_belong_to_the_stroke_that_ends(x64):
    system = stirling(1.0, 0.5).system
    expected = {0.5: (2.5, HOT), 1.0: (1.0, HOT), 1.25: (1.0, COLD), 1.5: (1.0, COLD)}
    expected |= {2.0: (2.5, COLD), 2.5: (4.0, COLD), 3.0: (4.0, HOT), 3.5: (2.5, HOT)}
    for t, (stiffness, temperature) in expected.items():
        np.testing.assert_allclose(system.control(jnp.asarray(t)), stiffness)
        np.testing.assert_allclose(system.temperature(jnp.asarray(t)), temperature)
    # Rounding of t = n dt, many rounds later, opens no stroke.
    for n in (300, 3000, 30000):
        late = jnp.asarray(n * 0.01)
        np.testing.assert_allclose(system.temperature(late), HOT)
        np.testing.assert_allclose(system.temperature(late + 1.5), COLD)


def test_text_names_the_numbers(fast):
    text = str(fast)
    assert text.startswith("CycleResult of a round of 4\n  work                -")
    assert "heat into hot" in text
    assert f"  Carnot              {2 / 3:.6g}\n" in text


def test_refusals():
    stroke = tml.Stroke(1.0, duration=1.0, bath="hot")
    with pytest.raises(ValueError, match="duration must be finite and > 0"):
        tml.Stroke(1.0, duration=0.0, bath="hot")
    with pytest.raises(ValueError, match="at least two"):
        tml.Cycle(trap, [stroke], temperatures={"hot": 2.0})
    with pytest.raises(ValueError, match=r"missing \['hot'\]"):
        tml.Cycle(trap, [stroke, stroke], temperatures={"cold": 1.0})
    with pytest.raises(ValueError, match=r"temperatures\['hot'\] must be finite and > 0"):
        tml.Cycle(trap, [stroke, stroke], temperatures={"hot": -1.0})
    other = tml.Stroke({"k": 1.0}, duration=1.0, bath="hot")
    with pytest.raises(ValueError, match="one structure"):
        tml.Cycle(trap, [stroke, other], temperatures={"hot": 1.0})
    with pytest.raises(ValueError, match="dt must divide"):
        tml.Cycle(trap, [stroke, stroke], temperatures={"hot": 1.0}).simulate(
            0.0, dt=0.3, key=jax.random.key(0), n_trajectories=2
        )
    quartic = tml.Cycle(lambda x, k: k * jnp.sum(x**4), [stroke, stroke], temperatures={"hot": 1.0})
    with pytest.raises(ValueError, match="quadratic"):
        quartic.moment_equations()
