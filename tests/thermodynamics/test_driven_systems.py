"""Driven linear systems: local velocities, simulations and derivatives; normal states drawn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml

close = np.testing.assert_allclose


def hermite(state):
    """Nodes and weights that integrate polynomials of x over a normal law in the plane."""
    z, w = np.polynomial.hermite_e.hermegauss(4)
    z, w = np.stack(np.meshgrid(z, z), -1).reshape(-1, 2), np.outer(w, w).ravel()
    x = np.asarray(state.vector) + z @ np.linalg.cholesky(np.asarray(state.matrix)).T
    return x, w / w.sum()


def assert_drawn(x, state):
    """Mean and covariance of samples, within 4 standard errors."""
    x, C = np.asarray(x), np.asarray(state.matrix)
    assert np.all(np.abs(x.mean(0) - state.mean) < 4 * np.sqrt(np.diag(C) / len(x)))
    error = np.sqrt((np.outer(*2 * [np.diag(C)]) + C**2) / len(x))
    assert np.all(np.abs(np.cov(x.T) - C) < 4 * error)


@pytest.fixture(scope="module")
def driven():
    """Two coordinates, two baths, couplings that are no one's mirror; not at rest at first."""
    with jax.enable_x64(True):
        stiffness, mobility = np.array([[2.0, 0.9], [-0.3, 1.0]]), np.array([1.0, 0.5])
        system = tml.LinearSystem(mobility[:, None] * stiffness, [1.2, 0.4], mobility)
        return system, tml.NormalState([1.0, -0.5], [[0.8, 0.1], [0.1, 0.9]])


@pytest.fixture(scope="module")
def simulated(driven):
    system, start = driven
    with jax.enable_x64(True):
        return tml.simulate(
            system.langevin(),
            start.sample,
            t1=1.0,
            dt=0.02,
            key=jax.random.key(0),
            n_trajectories=20_000,
            integrator=tml.Heun(),
            observables={"x": lambda x, control, t: x},
        )


def test_heat_and_entropy_are_means_over_the_local_velocity(x64, driven):
    """⟨F_i v_i⟩ and ⟨v·D⁻¹v⟩, v = μF - D∇ln p, by Gauss and Hermite, out of rest and at it."""
    system, start = driven
    A, B, D = (np.asarray(x) for x in (system.drift, system.stiffness, np.diag(system.diffusion)))
    for state in (start, system.at(0.4, start), system.steady_state()):
        x, weights = hermite(state)
        v = -x @ A.T + D * np.linalg.solve(state.matrix, (x - np.asarray(state.vector)).T).T
        heat = weights @ (-x @ B.T * v)
        close(system.heat_rate(state), heat, rtol=1e-11)
        production = weights @ (v**2 / D).sum(1)
        close(system.entropy_production_rate(state), production, rtol=1e-11)
    close(system.heat_rate(), heat, rtol=1e-11)  # at rest unless told otherwise
    close(system.entropy_production_rate(), production, rtol=1e-11)


def test_langevin_has_the_same_force_part_of_it_outside_the_potential(x64, driven):
    system, _ = driven
    twin, x = system.langevin(), jnp.asarray([0.7, -1.1])
    drive = twin.drive_force(x, None, None)
    close(drive - jax.grad(twin.energy)(x, None, None), -system.stiffness @ x, rtol=1e-12)
    close(twin.energy(x, None, None), x @ system.stiffness @ x / 2, rtol=1e-12)
    close(drive @ x, 0, atol=1e-15)
    assert np.abs(drive).min() > 0.1


@pytest.mark.slow
def test_a_simulation_spreads_as_the_closed_form_says(x64, driven, simulated):
    system, start = driven
    for j in (0, 1):
        assert_drawn(simulated.observables["x"][:, j], system.at(float(j), start))


@pytest.mark.slow
def test_a_simulation_heats_each_bath_and_produces_entropy_as_the_closed_form_says(
    x64, driven, simulated
):
    system, start = driven
    nodes, weights = np.polynomial.legendre.leggauss(8)
    states = [system.at(t, start) for t in (nodes + 1) / 2]
    heat, total = (
        weights / 2 @ np.array([rate(state) for state in states])
        for rate in (system.heat_rate, system.entropy_production_rate)
    )
    # Heat and entropy flow are two equations for the heats of two baths
    parts = np.stack([simulated.heat[:, -1], simulated.entropy_flow[:, -1]])
    found = np.linalg.solve(np.stack([np.ones(2), 1 / np.asarray(system.temperature)]), parts)

    end = system.at(1.0, start)
    density = lambda x, t: jnp.where(t < 0.5, start.log_density(x), end.log_density(x))
    produced = tml.entropy_production(simulated, simulated.observables["x"], density)
    produced = np.asarray(produced)[:, -1]
    sums = [*heat, np.sum(heat / system.temperature), total]
    for value, expected in zip([*found, parts[1], produced], sums, strict=True):
        error = value.std(ddof=1) / 20_000**0.5
        assert abs(value.mean() - expected) < 4 * error < 0.1
    theorem = tml.integral_fluctuation(produced)
    assert abs(theorem.average - 1) < 4 * theorem.standard_error < 0.2


@pytest.mark.exhaustive
def test_gradients_are_finite_differences(x64, driven):
    system, start = driven
    at = np.concatenate([np.ravel(system.drift), system.temperature, system.mobility, [0.6]])

    def everything(p):
        system = tml.LinearSystem(p[:4].reshape(2, 2), p[4:6], p[6:8])
        state = system.at(p[8], start)
        rates = system.heat_rate(state), system.entropy_production_rate(state)
        parts = state.mean, state.entropy, system.heat_currents()[0, 1], *rates
        return jnp.concatenate([jnp.ravel(x) for x in parts])

    each = jax.jit(everything)
    numeric = [(each(at + h) - each(at - h)) / 2e-5 for h in 1e-5 * np.eye(9)]
    forward = jax.jit(lambda direction: jax.jvp(everything, (at,), (direction,))[1])
    reverse = jax.jit(lambda weights: jax.vjp(everything, at)[1](weights)[0])
    close([forward(h) for h in np.eye(9)], numeric, rtol=1e-6, atol=1e-8)
    close([reverse(w) for w in np.eye(7)], np.transpose(numeric), rtol=1e-6, atol=1e-8)
    assert np.all(np.abs(numeric).max(1) > 0.01)
    # Linear in T, from T = 0 on
    spread = lambda T: tml.LinearSystem(system.drift, T, system.mobility).at(0.6).covariance
    along = jax.jvp(spread, (0 * system.temperature,), (system.temperature,))[1]
    close(along, spread(system.temperature), rtol=1e-12)


def test_states_are_drawn_with_their_mean_and_covariance(x64):
    state = tml.NormalState([1.0, -2.0, 0.5], [[1.0, 0.6, 2.0], [0.6, 0.5, 1.2], [2.0, 1.2, 4.0]])
    x = np.asarray(jax.jit(jax.vmap(state.sample))(jax.random.split(jax.random.key(3), 20_000)))
    assert_drawn(x, state)
    close(x[:, 2] - 2 * x[:, 0], -1.5, atol=1e-6)  # they lie in a plane
    point, key = tml.NormalState(0.7, 0.0), jax.random.key(4)
    assert point.sample(key) == 0.7
    assert point.sample(key).shape == ()
