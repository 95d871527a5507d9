"""Shadow work: path probabilities by hand, and fluctuation theorems that hold at any time step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

import thermoml as tml
from thermoml.langevin import FromControl, HarmonicPotential, PhaseState

TRAP = HarmonicPotential(FromControl())


def quartic(x, control):
    return control * jnp.sum(x**4) / 4 + jnp.sum(x**2) / 2


def boltzmann(control, temperature, size):
    """Exact samples of the quartic well, by the inverse of its distribution on a grid."""
    x = np.linspace(-6, 6, 24_001)
    weight = np.exp(-(control * x**4 / 4 + x**2 / 2) / temperature)
    share = np.cumsum(weight) / weight.sum()
    return np.interp(np.random.default_rng(5).uniform(size=size), share, x)


def free_energy_difference(temperature):
    z = [
        quad(lambda x, c=c: np.exp(-(c * x**4 / 4 + x**2 / 2) / temperature), -9, 9)[0]
        for c in (0.5, 4.0)
    ]
    return -temperature * np.log(z[1] / z[0])


def log_density(x, start, mobility, temperature, dt, stiffness=None):
    """ln p(x0 → x) of one step by its own formula, of U = x⁴/4 + x²/2."""
    force = -(start**3) - start
    if stiffness is None:
        mean, variance = start + mobility * force * dt, 2 * mobility * temperature * dt
    else:
        a = mobility * stiffness * dt
        mean = start + (1 - np.exp(-a)) / a * mobility * force * dt
        variance = temperature * (1 - np.exp(-2 * a)) / stiffness
    return -((x - mean) ** 2) / (2 * variance) - np.log(2 * np.pi * variance) / 2


@pytest.mark.parametrize("stiffness", [None, 1.7])
def test_the_heat_of_a_step_is_the_ratio_of_its_probabilities(x64, key, stiffness):
    integrator = tml.EulerMaruyama() if stiffness is None else tml.ExactLinear(stiffness)
    system = tml.Langevin(lambda x, _: quartic(x, 1.0), temperature=0.6, mobility=1.3)
    run = tml.simulate(
        system, 0.8, t1=0.1, dt=0.1, key=key, n_trajectories=50, integrator=integrator
    )
    x = np.asarray(run.final_state)
    parts = 1.3, 0.6, 0.1, stiffness
    heat = 0.6 * (log_density(x, 0.8, *parts) - log_density(0.8, x, *parts))
    np.testing.assert_allclose(run.path_heat[:, -1], heat, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(run.path_entropy_flow[:, -1], heat / 0.6, rtol=1e-9, atol=1e-12)
    assert np.abs(run.shadow_work[:, -1]).max() > 1e-3


RUNS = {
    "EulerMaruyama": (False, tml.EulerMaruyama(), 0.125),
    "ExactLinear": (False, tml.ExactLinear(1.0), 0.125),
    "BAOAB": (True, tml.BAOAB(), 0.5),
    "OBABO": (True, tml.OBABO(), 0.5),
}


def works(name, key, *, reverse=False, count=40_000):
    """Of a quartic term raised from .5 to 4, with a first step at rest, at a long time step."""
    moved, integrator, dt = RUNS[name]
    levels = [4.0, 4.0, 0.5] if reverse else [0.5, 0.5, 4.0]
    control = tml.PiecewiseLinear([0.0, dt, 1.0 + dt], levels)
    system = tml.Langevin(quartic, control=control, temperature=0.7)
    start = jnp.asarray(boltzmann(levels[0], 0.7, count), jnp.float32)
    system = tml.Underdamped(system, friction=2.0) if moved else system
    if moved:
        momenta = np.sqrt(0.7) * np.random.default_rng(6).normal(size=count)
        start = PhaseState(start, jnp.asarray(momenta, jnp.float32))
    run = tml.simulate(
        system, tml.langevin.Batch(start), t1=1.0 + dt, dt=dt, key=key, n_trajectories=count,
        integrator=integrator,
    )  # fmt: skip
    return run.work[:, -1], run.total_work[:, -1]


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_free_energies_at_a_long_step(name):
    """Jarzynski and Bennett within 4 errors with the shadow work, far off without.

    With this key none of the trajectories runs away: at this step one of some 50,000 does.
    """
    expected = free_energy_difference(0.7)
    keys = jax.random.split(jax.random.fold_in(jax.random.key(0), 2))
    forward, reverse = works(name, keys[0]), works(name, keys[1], reverse=True)
    for estimate in (
        tml.jarzynski(forward[1], 0.7),
        tml.bennett(forward[1], reverse[1], 0.7),
    ):
        off = estimate.free_energy_difference - expected
        assert abs(off) < 4 * estimate.standard_error
    slope = tml.crooks(forward[1], reverse[1], 0.7)
    assert abs(slope.slope - 1) < 4 * slope.slope_error
    with pytest.warns(tml.thermodynamics.FreeEnergyWarning, match="contradict Crooks"):
        plain = tml.bennett(forward[0], reverse[0], 0.7)
    assert abs(plain.free_energy_difference - expected) > 8 * plain.standard_error


@pytest.mark.filterwarnings("ignore::thermoml.langevin.HeatWarning")
@pytest.mark.slow
@pytest.mark.parametrize("integrator", [tml.EulerMaruyama(), tml.ExactLinear(jnp.array([2.0, 1]))])
def test_the_integral_fluctuation_theorem_at_a_long_step(x64, key, integrator):
    """Two temperatures, a drive and a control: with the exact normal densities of the steps."""
    system = tml.Langevin(
        HarmonicPotential(jnp.array([2.0, 1.0]), centre=FromControl()),
        drive=lambda x, _: 0.5 * jnp.array([x[1], -x[0]]),
        control=tml.Ramp(0.0, 0.6),
        temperature=jnp.array([1.0, 1.6]),
    )
    start = tml.NormalState(jnp.zeros(2), 0.8)
    how = {"t1": 1.0, "dt": 0.25, "integrator": integrator}
    end = tml.moment_equations(system, start, **how).state()
    run = tml.simulate(
        system, start.sample, key=key, n_trajectories=40_000,
        observables={"state": tml.langevin.State()}, **how,
    )  # fmt: skip

    def density(x, t):
        return jnp.where(t == 0, start.log_density(x), end.log_density(x))

    produced = tml.entropy_production(run, density=density, of_steps=True)[:, -1]
    test = tml.integral_fluctuation(produced)
    assert abs(test.average - 1) < 4 * test.standard_error
    ledger = tml.integral_fluctuation(tml.entropy_production(run, density=density)[:, -1])
    assert abs(ledger.average - 1) > 3 * ledger.standard_error


def test_columns_of_a_dataset(key):
    run = tml.simulate(tml.Langevin(HarmonicPotential(1.0)), 0.0, t1=1.0, dt=0.5, key=key)
    data = run.to_xarray()
    np.testing.assert_array_equal(data.shadow_work, run.shadow_work)
    assert data.shadow_work.attrs["units"] == "energy"
    assert "shadow_work" in str(run)
    heun = tml.simulate(
        tml.Langevin(HarmonicPotential(1.0)), 0.0, t1=1.0, dt=0.5, key=key, integrator=tml.Heun()
    )
    assert "shadow_work" not in heun.to_xarray()
