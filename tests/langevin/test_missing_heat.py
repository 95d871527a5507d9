"""What straight steps leave out of the heat of a driven system, and the warning of it."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml
from thermoml.langevin import HarmonicPotential, HeatWarning, LinearForce

STIFFNESS, TURN = 1.5, 0.7
FORCE = np.array([[-STIFFNESS, TURN], [-TURN, -STIFFNESS]])
ROTATION = tml.Langevin(
    HarmonicPotential(STIFFNESS), drive=LinearForce(jnp.array([[0, TURN], [-TURN, 0.0]]))
)


def run_of(system, start, *, dt=0.1, n_steps=100, n_trajectories=1000, **how):
    key = jax.random.key(7)
    t1 = n_steps * dt
    return tml.simulate(system, start, t1=t1, dt=dt, key=key, n_trajectories=n_trajectories, **how)


@pytest.mark.filterwarnings("ignore::thermoml.langevin.HeatWarning")
@pytest.mark.parametrize(("dt", "allowed"), [(0.1, 0.08), (0.3, 0.16)])
def test_it_is_that_of_two_moves_one_after_the_other(assert_mean, dt, allowed):
    """D/2 = ¼ dx₀·(Fᵀ - F)dx₁ for a force Fx, with ⟨dx₀dx₁ᵀ⟩ of the chain at rest."""
    step = np.eye(2) + dt * FORCE
    variance = 2 * dt / (1 - step[0] @ step[0])
    moves = (dt * FORCE * variance @ step.T + 2 * dt * np.eye(2)) @ (dt * FORCE.T)
    expected = np.sum((FORCE.T - FORCE) * moves) / 4
    run = run_of(ROTATION, tml.NormalState(jnp.zeros(2), variance).sample, dt=dt)
    missing, error = run.stats["missing_heat"], run.stats["missing_heat_error"]
    assert expected > 4 * float(tml.Estimate.of(missing).standard_error) / 99
    assert_mean(missing / 99, expected)
    assert abs(float(jnp.sqrt(jnp.mean(error**2)) / jnp.std(missing)) - 1) < allowed


def test_with_it_the_heat_is_that_of_short_steps():
    """Of `Heun`, whose states are of order 2."""
    heats = []
    for dt in (0.02, 0.04):
        start = tml.NormalState(jnp.zeros(2), 1 / STIFFNESS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HeatWarning)
            run = run_of(
                ROTATION, start.sample, dt=dt, n_steps=round(8 / dt), integrator=tml.Heun()
            )
        whole = run.heat[:, -1] + run.stats["missing_heat"]
        heats.append(tml.Estimate.of(whole / 8))
    for heat in heats:
        assert abs(heat.mean - 2 * TURN**2 / STIFFNESS) < 4 * heat.standard_error


def test_equilibrium_has_none():
    """A drive that is a gradient: D vanishes for a linear force, and on average for others."""
    pull = tml.Langevin(
        HarmonicPotential(1.0), drive=lambda x, _: -jnp.array([[1, 0.5], [0.5, 2]]) @ x
    )
    run = run_of(pull, jnp.ones(2))
    np.testing.assert_allclose(run.stats["missing_heat"], 0, atol=1e-5)
    quartic = tml.Langevin(HarmonicPotential(1.0), drive=lambda x, _: -(x**3) - x * jnp.sum(x**2))
    rest = run_of(quartic, jnp.zeros(2), dt=0.01, n_steps=300).final_state
    missing = tml.Estimate.of(
        run_of(quartic, tml.langevin.Batch(rest), dt=0.01).stats["missing_heat"]
    )
    assert abs(missing.mean) < 4 * missing.standard_error


@pytest.mark.parametrize("integrator", [tml.EulerMaruyama(), tml.Heun()])
def test_simulate_warns_of_more_than_five_percent(integrator):
    start = tml.NormalState(jnp.zeros(2), 1 / STIFFNESS)
    with pytest.warns(HeatWarning, match=r"dt = 0.1 leave out about [12]\.\d of a path"):
        run_of(ROTATION, start.sample, dt=0.1, n_steps=200, integrator=integrator)
    run_of(ROTATION, start.sample, dt=0.02, n_steps=200, integrator=integrator)
    rate = {"rate": tml.langevin.Mean(tml.langevin.HeatRate(ROTATION))}
    run_of(ROTATION, start.sample, n_steps=200, integrator=integrator, observables=rate)


def test_a_few_steps_cannot_say():
    run = run_of(ROTATION, jnp.zeros(2), n_trajectories=1, n_steps=10)
    assert float(run.stats["missing_heat_error"][0]) > 0


def test_systems_without_a_drive_or_with_momentum_have_no_such_number():
    trap = tml.Langevin(HarmonicPotential(STIFFNESS))
    for system in (trap, tml.Underdamped(ROTATION)):
        assert set(run_of(system, jnp.ones(2), n_trajectories=2).stats) == {
            "steps",
            "diverged_step",
        }


def test_inside_jit_nothing_is_said_but_the_number_is_there():
    start = tml.NormalState(jnp.zeros(2), 1 / STIFFNESS)

    @jax.jit
    def missing():
        return run_of(ROTATION, start.sample, n_steps=200).stats["missing_heat"]

    assert float(jnp.mean(missing())) > 0.5
