import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parts import exhaustive

import thermoml as tml


@pytest.fixture
def measure(key):
    """`(end of the ramp, stiffness) -> (<W>, <x²>)` of eight trajectories, one noise."""

    def run(end, stiffness, adjoint):
        system = tml.Langevin(
            lambda x, centre: stiffness * jnp.sum((x - centre) ** 2) / 2 + jnp.sum(x**4) / 8,
            control=tml.Ramp(0.0, end),
            temperature=0.5,
        )
        solution = tml.simulate(
            system,
            jnp.zeros(2),
            t1=1.0,
            dt=0.1,
            key=key,
            n_trajectories=8,
            adjoint=adjoint,
        )
        return jnp.stack([jnp.mean(solution.work[:, -1]), jnp.mean(solution.final_state**2)])

    return run


@pytest.mark.slow
def test_gradients_of_work_and_spread_are_finite_differences_by_every_adjoint(x64, measure):
    at, step = jnp.array([1.3, 2.0]), 1e-5
    run = jax.jit(lambda p: measure(*p, tml.langevin.Direct()))
    numeric = [(run(at + e) - run(at - e)) / (2 * step) for e in step * jnp.eye(2)]
    for adjoint, differentiate in (
        (tml.langevin.Direct(), jax.jacrev),
        (tml.langevin.RecursiveCheckpoint(), jax.jacrev),
        (tml.langevin.ForwardMode(), jax.jacfwd),
    ):
        gradient = jax.jit(differentiate(lambda p, how=adjoint: measure(*p, how)))(at)
        np.testing.assert_allclose(gradient, jnp.stack(numeric, 1), rtol=1e-7, err_msg=f"{adjoint}")
        assert np.abs(gradient).min() > 1e-3


def test_forward_mode_refuses_reverse_mode(measure):
    with pytest.raises(ValueError, match="[Rr]everse-mode"):
        jax.grad(lambda end: measure(end, 2.0, tml.langevin.ForwardMode())[0])(1.0)


@pytest.mark.slow
def test_transformations_nest_over_traced_closures(x64, measure):
    work = lambda end, k: measure(end, k, tml.langevin.Direct())[0]
    ends = jnp.array([0.5, 1.0, 2.0])
    one = jax.jit(jax.grad(work))
    slopes = jnp.stack([one(end, 2.0) for end in ends])
    for nested in (jax.vmap(jax.grad(work), (0, None)), jax.jit(jax.vmap(one, (0, None)))):
        np.testing.assert_allclose(nested(ends, 2.0), slopes, rtol=1e-12)


def test_controls_closed_over_traced_values_work_in_every_mode(x64, key, trap):
    def work(rate, adjoint):
        system = tml.Langevin(trap, control=lambda t: 1 + rate * t)
        run = tml.simulate(system, 1.0, t1=0.5, dt=0.1, key=key, adjoint=adjoint)
        return run.work[0, -1]

    at, h = jnp.asarray(2.0), 1e-5
    slopes = [
        jax.jit(jax.grad(work), static_argnums=1)(at, tml.langevin.RecursiveCheckpoint()),
        jax.jit(jax.jacfwd(work), static_argnums=1)(at, tml.langevin.ForwardMode()),
    ]
    plain = jax.jit(lambda rate: work(rate, tml.langevin.Direct()))
    np.testing.assert_allclose(slopes, (plain(at + h) - plain(at - h)) / (2 * h), rtol=1e-7)


def test_entropy_flow_and_heat_by_leaf_differentiate(x64, key, trap):
    def flows(T):
        run = tml.simulate(tml.Langevin(trap, temperature=T), 1.0, t1=0.5, dt=0.1, key=key)
        return jnp.stack([run.entropy_flow[0, -1] * T, run.heat_by_leaf[0, -1], run.heat[0, -1]])

    at = jnp.asarray(0.7)
    slopes = jax.jit(jax.jacrev(flows))(at)
    np.testing.assert_allclose(slopes, slopes[0], rtol=1e-11)
    np.testing.assert_allclose(slopes, jax.jit(jax.jacfwd(flows))(at), rtol=1e-12)


@pytest.mark.parametrize("integrator", [tml.EulerMaruyama(), tml.Heun(), tml.ExactLinear(1.0)])
@pytest.mark.parametrize("derivative", [jax.grad, *exhaustive(jax.jacfwd)])
def test_the_derivative_in_the_mobility_exists_at_temperature_0(x64, key, integrator, derivative):
    """A noiseless trap: every integrator's x(t) is a function of μt alone, and close to e^{-μt}."""

    def end(mobility, temperature):
        system = tml.Langevin(
            lambda x, control: x**2 / 2, temperature=temperature, mobility=mobility
        )
        run = tml.simulate(system, jnp.ones(()), t1=1.0, dt=0.01, key=key, integrator=integrator)
        return jnp.mean(run.final_state)

    slope = derivative(end)(0.7, 0.0)
    assert slope == pytest.approx(-math.exp(-0.7), rel=0.01)
    step = 1e-5
    difference = (end(0.7 + step, 0.0) - end(0.7 - step, 0.0)) / (2 * step)
    assert slope == pytest.approx(float(difference), rel=1e-7)
