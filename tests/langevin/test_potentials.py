"""Harmonic potentials of any state, with numbers or controls as parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml

Trap, FromControl = tml.langevin.HarmonicPotential, tml.langevin.FromControl
STATE = {"a": jnp.array([1.0, -2.0]), "b": jnp.array([[0.5, 1.0, -1.0], [2.0, 0.0, 3.0]])}
CONTROL = {"k": 3.0, "c": jnp.array([0.5, 1.0])}


@pytest.mark.parametrize(
    ("potential", "stiffness", "centre"),
    [
        (Trap(2.0), (2.0, 2.0), (0.0, 0.0)),
        (Trap({"a": 2.0, "b": np.array([1.0, 2.0, 3.0])}), (2.0, [1.0, 2.0, 3.0]), (0.0, 0.0)),
        (Trap(FromControl("k"), centre=-1.0), (3.0, 3.0), (-1.0, -1.0)),
        (
            Trap({"a": 2.0, "b": lambda c: 2 * c["k"]}, centre={"a": FromControl("c"), "b": 1.0}),
            (2.0, 6.0),
            ([0.5, 1.0], 1.0),
        ),
    ],
    ids=["number", "by part", "control", "part of the control"],
)
def test_the_energy_is_the_sum_over_all_elements(potential, stiffness, centre):
    expected = sum(
        np.sum(np.asarray(k) * (np.asarray(x) - np.asarray(c)) ** 2) / 2
        for x, k, c in zip(STATE.values(), stiffness, centre, strict=True)
    )
    np.testing.assert_allclose(potential(STATE, CONTROL), expected, rtol=1e-6)


def test_a_parameter_that_does_not_fit_the_state_is_named():
    with pytest.raises(ValueError, match=r"^centre of shape \(3,\) does not broadcast"):
        Trap(1.0, centre=jnp.zeros(3))(jnp.zeros(2), None)
    with pytest.raises(ValueError, match="^stiffness must be a number, .* function of the control"):
        Trap({"a": 1.0})(jnp.zeros(2), None)


def test_the_exact_integrator_takes_the_stiffness_of_a_trap(x64, key):
    """Dragged and stiffened at T = 0: exactly the relaxation to each step's centre."""
    trap = Trap(FromControl("k"), centre=FromControl("c"))
    control = tml.Ramp({"k": 1.0, "c": 0.0}, {"k": 3.0, "c": 2.0})
    run = tml.simulate(
        tml.Langevin(trap, control=control, temperature=0.0),
        1.0,
        t1=1.0,
        dt=0.25,
        key=key,
        integrator=tml.ExactLinear(trap.stiffness),
    )
    x = 1.0
    for t in (0.25, 0.5, 0.75, 1.0):
        x = 2 * t + (x - 2 * t) * np.exp(-0.25 * (1 + 2 * t))
    np.testing.assert_allclose(run.final_state, [x], rtol=1e-13)


def test_the_stiffness_is_a_parameter_of_potential_and_integrator_at_once(x64, key):
    """One step with the same noise z: from 0 to z √((1 - exp(-2k dt))/k)."""

    def end(k):
        trap = Trap(k)
        how = {"integrator": tml.ExactLinear(trap.stiffness), "t1": 0.5, "dt": 0.5}
        return tml.simulate(tml.Langevin(trap), 0.0, key=key, **how).final_state[0]

    value, slope = jax.value_and_grad(end)(2.0)
    square, fade = (1 - np.exp(-2.0)) / 2, np.exp(-2.0)
    np.testing.assert_allclose(slope / value, (fade / 2 - square / 2) / square / 2, rtol=1e-12)


def test_traps_made_anew_compile_nothing(key):
    traces = []

    class Counted(tml.langevin.AbstractIntegrator):
        def init(self, state):
            return None

        def step(self, context, state, carry):
            traces.append(None)
            return tml.EulerMaruyama().step(context, state, carry)

    counts = []
    for k in (1.0, 2.0, 3.0):
        trap = Trap(k, centre=FromControl())
        system = tml.Langevin(trap, control=tml.Ramp(0.0, k))
        tml.simulate(system, 0.0, t1=1.0, dt=0.5, key=key, integrator=Counted())
        counts.append(len(traces))
    assert counts[0] == counts[1] == counts[2]


def test_moment_equations_know_a_trap_of_any_state(x64):
    trap = Trap(jnp.array([1.0, 3.0]), centre=FromControl())
    system = tml.Langevin(
        trap, control=tml.langevin.Constant(jnp.array([0.5, -1.0])), temperature=0.7
    )
    moments = tml.moment_equations(system, tml.NormalState([0.5, -1.0], 0.0), t1=20.0)
    np.testing.assert_allclose(moments.mean[-1], [0.5, -1.0], rtol=1e-9)
    np.testing.assert_allclose(moments.covariance[-1], np.diag([0.7, 0.7 / 3]), atol=1e-9)
