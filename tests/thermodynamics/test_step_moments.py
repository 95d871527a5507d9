"""Moments step by step: published and derived values of every integrator, and what is sampled."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parts import exhaustive

import thermoml as tml

TRAP = tml.langevin.HarmonicPotential(tml.langevin.FromControl())
STIFFENED = tml.Langevin(TRAP, control=tml.Ramp(1.0, 4.0, t1=2.0))


def equilibrium():
    return tml.NormalState(0.0, 1.0)


# -ln⟨e^{-W}⟩ of a trap stiffened from 1 to 4 in t = 2, where ΔF = ln 2, by an independent program
AVERAGES = [
    (tml.EulerMaruyama(), 0.1, 0.7515326),
    (tml.Heun(), 0.1, 0.6858944),
    (tml.ExactLinear(TRAP.stiffness), 0.1, 0.6931472),
    (tml.BAOAB(), 0.5, 0.7093949),
    (tml.OBABO(), 0.5, 0.7341477),
    *(
        pytest.param(*case, marks=pytest.mark.exhaustive)
        for case in (
            (tml.EulerMaruyama(), 0.05, 0.7202918),
            (tml.Heun(), 0.05, 0.6914195),
            (tml.BAOAB(), 0.25, 0.6966152),
            (tml.OBABO(), 0.25, 0.7020923),
        )
    ),
]


def by_name(value):
    return getattr(value, "word", type(value).__name__) if not isinstance(value, float) else None


@pytest.mark.parametrize(("integrator", "dt", "expected"), AVERAGES, ids=by_name)
def test_free_energy_of_a_stiffened_trap(x64, integrator, dt, expected):
    moved = isinstance(integrator, tml.Splitting)
    system = tml.Underdamped(STIFFENED) if moved else STIFFENED
    moments = tml.moment_equations(system, equilibrium(), t1=2.0, dt=dt, integrator=integrator)
    np.testing.assert_allclose(moments.free_energy_from_work[-1], expected, atol=6e-8)
    if not isinstance(integrator, tml.Heun):
        total = moments.free_energy_from_total_work[-1]
        np.testing.assert_allclose(total, np.log(2), rtol=1e-12)
    else:
        assert np.isnan(moments.shadow_work[-1])


@pytest.mark.parametrize(("dt", "expected"), [(0.1, 0.6783092), (0.05, 0.6852099)])
def test_coloured_noise_from_states_that_it_has_relaxed(x64, dt, expected):
    """The start of the protocol is correlated with the noise that its first step shares."""
    waiting = tml.PiecewiseLinear([0.0, 20.0, 22.0], [1.0, 1.0, 4.0])
    system = tml.Langevin(TRAP, control=waiting)
    how = {"dt": dt, "integrator": tml.LeimkuhlerMatthews()}
    moments = tml.moment_equations(system, equilibrium(), t1=22.0, **how)
    np.testing.assert_allclose(moments.free_energy_from_work[-1], expected, atol=6e-8)


@pytest.mark.parametrize(
    ("word", "positions", "momenta", "together"),
    [
        ("BAOAB", 1, 3 / 4, 0),
        ("ABOBA", 1, 4 / 3, 0),
        ("OBABO", 4 / 3, 1, 0),
        ("OABAO", 3 / 4, 1, 0),
        ("BAOA", 1, 1, 1 / 2),
    ],
)
def test_stationary_splittings_at_a_phase_of_one(x64, word, positions, momenta, together):
    """q = (hω)²/4 = 1/4, here with k = 2, m = 1/2, T = 3 and two frictions."""
    trap = tml.Langevin(tml.langevin.HarmonicPotential(2.0), temperature=3.0)
    system = tml.Underdamped(trap, mass=0.5, friction=jnp.array([0.7, 2.0]))
    start = tml.NormalState(jnp.array([1.0, -1.0]), 0.5)
    how = {"t1": 100.0, "dt": 0.5, "integrator": tml.Splitting(word)}
    moments = tml.moment_equations(system, start, **how)
    x, p = 3 / 2 * positions, 3 / 2 * momenta
    xp = 3 * 0.5 * together
    expected = np.kron([[x, xp], [xp, p]], np.eye(2))
    np.testing.assert_allclose(moments.covariance[-1], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("scale", [0.5, *exhaustive(0.1, 1.0)])
def test_stationary_overdamped_steps(x64, scale):
    """κ = μk dt; Heun's variance by its propagator 1 - κ + κ²/2."""
    system = tml.Langevin(tml.langevin.HarmonicPotential(2.0), temperature=0.7, mobility=0.5)
    grown = 1 - scale + scale**2 / 2
    heun = 2 * scale * (1 - scale / 2) ** 2 / (1 - grown**2)
    for integrator, expected in (
        (tml.EulerMaruyama(), 1 / (1 - scale / 2)),
        (tml.Heun(), heun),
        (tml.LeimkuhlerMatthews(), 1),
        (tml.ExactLinear(2.0), 1),
    ):
        moments = tml.moment_equations(
            system, equilibrium(), t1=300 * scale, dt=scale, integrator=integrator
        )
        np.testing.assert_allclose(moments.covariance[-1], 0.35 * expected, rtol=1e-10)
    published = {0.1: 0.99738, 0.5: 0.92308, 1.0: 0.66667}
    np.testing.assert_allclose(heun, published[scale], atol=5e-6)


ROTATION = tml.Langevin(
    tml.langevin.HarmonicPotential(1.5), drive=lambda x, _: 0.7 * jnp.array([x[1], -x[0]])
)


@pytest.mark.parametrize(
    ("integrator", "rate"),
    [
        (tml.EulerMaruyama(), 0.71900),
        (tml.Heun(), 0.55133),
        (tml.LeimkuhlerMatthews(), 0.66508),
    ],
    ids=by_name,
)
def test_heat_rate_of_a_rotation(x64, integrator, rate):
    start = tml.NormalState(jnp.zeros(2), 1 / 1.5)
    how = {"t1": 40.0, "dt": 0.1, "saves": 2, "integrator": integrator}
    moments = tml.moment_equations(ROTATION, start, **how)
    np.testing.assert_allclose((moments.heat[2] - moments.heat[1]) / 20, rate, atol=6e-6)


def sampled_as(system, start, momenta=None, *, integrator, dt, key, assert_mean, t1=1.0):
    begin = start if momenta is None else tml.langevin.PhaseState(start, momenta)
    moments = tml.moment_equations(system, begin, t1=t1, dt=dt, integrator=integrator)

    def state(key):
        if momenta is None:
            return start.sample(key)
        keys = jax.random.split(key)
        return tml.langevin.PhaseState(start.sample(keys[0]), momenta.sample(keys[1]))

    run = tml.simulate(
        system, state, t1=t1, dt=dt, key=key, n_trajectories=20_000, integrator=integrator
    )
    final = run.final_state
    if isinstance(final, tml.langevin.PhaseState):
        final = jnp.concatenate([final.position, final.momentum], axis=1)
    assert_mean(final, moments.mean[-1])
    away = np.asarray(final) - np.asarray(moments.mean[-1])
    assert_mean(away[:, :, None] * away[:, None, :], moments.covariance[-1])
    for name in ("work", "heat", "entropy_flow", "energy"):
        assert_mean(getattr(run, name)[:, -1], getattr(moments, name)[-1])
    if run.shadow is not None:
        assert_mean(run.shadow_work[:, -1], moments.shadow_work[-1])


TURNING = tml.Langevin(
    TRAP,
    drive=lambda x, _: 0.4 * jnp.array([x[1], -x[0]]),
    control=tml.Ramp(1.0, 3.0),
    temperature=jnp.array([0.5, 1.5]),
    mobility=jnp.array([1.0, 0.4]),
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "integrator",
    [
        tml.EulerMaruyama(),
        tml.LeimkuhlerMatthews(),
        *exhaustive(tml.Heun(), tml.ExactLinear(TRAP.stiffness)),
    ],
    ids=by_name,
)
def test_they_are_what_overdamped_steps_sample(x64, key, assert_mean, integrator):
    start = tml.NormalState(jnp.array([1.0, -0.5]), jnp.array([[1.0, 0.3], [0.3, 0.5]]))
    how = {"integrator": integrator, "dt": 0.25, "key": key, "assert_mean": assert_mean}
    sampled_as(TURNING, start, **how)


@pytest.mark.slow
@pytest.mark.parametrize("word", ["BAOAB", *exhaustive("OBABO", "OABO")])
def test_they_are_what_splittings_sample(x64, key, assert_mean, word):
    """Masses, frictions and temperatures of their own for each coordinate, one friction in time."""
    mass, friction = jnp.array([0.5, 2.0]), lambda t: jnp.array([0.3, 2.0]) * (1 + t)
    system = tml.Underdamped(TURNING, mass=mass, friction=friction)
    start = tml.NormalState(jnp.array([1.0, -0.5]), 0.5)
    momenta = tml.NormalState(jnp.array([0.0, 1.0]), jnp.array([[1.0, 0.2], [0.2, 0.3]]))
    how = {"integrator": tml.Splitting(word), "dt": 0.25, "key": key, "assert_mean": assert_mean}
    sampled_as(system, start, momenta, **how)


@pytest.mark.exhaustive
def test_they_differentiate(x64):
    """The slope of ⟨W⟩ in the final stiffness, of EM and BAOAB, by central differences."""

    def work(stiffness, moved):
        system = tml.Langevin(TRAP, control=tml.Ramp(1.0, stiffness))
        system = tml.Underdamped(system) if moved else system
        return tml.moment_equations(system, equilibrium(), t1=1.0, dt=0.25).work[-1]

    for moved in (False, True):
        slope = jax.grad(work)(3.0, moved)
        expected = (work(3.0 + 1e-5, moved) - work(3.0 - 1e-5, moved)) / 2e-5
        np.testing.assert_allclose(slope, expected, rtol=1e-8)


@pytest.mark.exhaustive
def test_an_average_without_an_integral_is_not_finite(x64):
    """Softened from 4 to 1 at once with W = -3x²/2: ⟨e^{-W}⟩ diverges from variance 1/3 on."""
    system = tml.Langevin(TRAP, control=tml.langevin.Constant(1.0))
    softened = tml.Langevin(TRAP, control=tml.PiecewiseLinear([0.0, 1e-9, 1.0], [4.0, 1.0, 1.0]))
    for variance, finite in ((0.25, True), (0.4, False)):
        start = tml.NormalState(0.0, variance)
        moments = tml.moment_equations(softened, start, t1=0.5, dt=0.5)
        assert np.isfinite(moments.free_energy_from_work[-1]) == finite
        both = tml.NormalState(jnp.zeros(2), variance)  # two of them, so that det(I + CB) > 0
        moments = tml.moment_equations(softened, both, t1=0.5, dt=0.5)
        assert np.isfinite(moments.free_energy_from_work[-1]) == finite
    start = tml.NormalState(0.0, 1.0)
    assert tml.moment_equations(system, start, t1=0.5, dt=0.5).free_energy_from_work[-1] == 0


def test_what_does_not_fit_is_refused():
    moved = tml.Underdamped(STIFFENED)
    with pytest.raises(ValueError, match="integrator needs the time step"):
        tml.moment_equations(STIFFENED, equilibrium(), t1=1.0, integrator=tml.Heun())
    with pytest.raises(ValueError, match="saves must divide the 4 steps, got 3"):
        tml.moment_equations(STIFFENED, equilibrium(), t1=1.0, dt=0.25, saves=3)
    how = {"dt": 0.25, "integrator": tml.EulerMaruyama()}
    with pytest.raises(TypeError, match="EulerMaruyama makes overdamped steps"):
        tml.moment_equations(moved, equilibrium(), t1=1.0, **how)
    slowing = tml.Underdamped(STIFFENED, friction=lambda t: 1 - t)
    with pytest.raises(ValueError, match="friction must be finite and > 0"):
        tml.moment_equations(slowing, equilibrium(), t1=2.0, dt=0.25)
    quartic = tml.Underdamped(tml.Langevin(lambda x, _: x**4))
    with pytest.raises(ValueError, match="potential quadratic"):
        tml.moment_equations(quartic, equilibrium(), t1=1.0, dt=0.25)
