import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml

every = {"x": lambda x, control, t: x, "control": lambda x, control, t: control}


def coupled(x, k):
    quadratic = k * jnp.sum(x["a"] ** 2) / 2
    return quadratic + jnp.sum(x["b"] ** 4) / 4 + jnp.sum(x["a"]) * jnp.sum(jnp.sin(x["b"]))


def swirl(x, k):
    return {"a": -0.5 * x["a"][::-1] * jnp.cos(k), "b": 0.3 * x["b"] ** 2}


@pytest.fixture
def driven():
    """Two leaves, a ramp, a drive, and a temperature for each element of the second leaf."""
    return tml.Langevin(
        coupled,
        drive=swirl,
        control=tml.Ramp(1.0, 3.0, t0=0.1, t1=0.7),
        temperature={"a": 0.5, "b": jnp.array([1.0, 0.25, 2.0])},
    )


@pytest.fixture
def driven_run(driven, dtype, key):
    state = {"a": jnp.ones(2, dtype), "b": jnp.linspace(-1, 1, 3, dtype=dtype)}
    return tml.simulate(
        driven, state, t1=0.8, dt=0.01, key=key, n_trajectories=3, save_every=1, observables=every
    )


def test_saved_states_have_the_energy_that_work_and_heat_account_for(driven_run, dtype):
    x, control = driven_run.observables["x"], driven_run.observables["control"]
    energy = jax.vmap(jax.vmap(coupled))(x, control)
    tolerance = 1e-12 if dtype == jnp.float64 else 1e-5
    scale = float(jnp.max(jnp.abs(driven_run.work)) + jnp.max(jnp.abs(energy)))
    change = np.asarray(energy - energy[:, :1])
    np.testing.assert_allclose(driven_run.work - driven_run.heat, change, atol=tolerance * scale)
    np.testing.assert_allclose(driven_run.energy, energy, rtol=tolerance, atol=tolerance)
    assert np.abs(driven_run.work[:, -1]).min() > 0.01
    assert driven_run.work.dtype == driven_run.entropy_flow.dtype == dtype


def test_heats_and_entropy_flow_are_stratonovich_sums_element_by_element(driven_run, driven, dtype):
    x, control = driven_run.observables["x"], driven_run.observables["control"]

    def force(x, k):
        return jax.tree.map(jnp.subtract, swirl(x, k), jax.grad(coupled)(x, k))

    at = jax.vmap(jax.vmap(force))
    before, after = (jax.tree.map(lambda v, s=s: v[:, s], x) for s in (slice(-1), slice(1, None)))
    forces = at(before, control[:, 1:]), at(after, control[:, 1:])
    heat = jax.tree.map(
        lambda f, g, x, y: np.asarray((f + g) / 2 * (y - x), float), *forces, before, after
    )
    close = {"rtol": 1e-9, "atol": 1e-10} if dtype == jnp.float64 else {"rtol": 1e-4, "atol": 1e-4}
    flow = 0.0
    for leaf in ("a", "b"):
        total = heat[leaf].sum(-1).cumsum(1)
        np.testing.assert_allclose(driven_run.heat_by_leaf[leaf][:, 1:], total, **close)
        own = (heat[leaf] / np.asarray(driven.temperature[leaf], float)).sum(-1).cumsum(1)
        np.testing.assert_allclose(driven_run.entropy_flow_by_leaf[leaf][:, 1:], own, **close)
        flow = flow + own
    np.testing.assert_allclose(driven_run.entropy_flow[:, 1:], flow, **close)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["trap", "quartic"])
def test_equilibrium_gives_no_heat_while_an_ito_sum_would(key, request, assert_mean, name):
    potential = request.getfixturevalue(name)
    system = tml.Langevin(potential, temperature=0.7)
    dt = 0.02
    rest = tml.simulate(system, jnp.zeros(20), t1=3.0, dt=dt, key=key, n_trajectories=50)
    run = tml.simulate(system, rest, t1=6.0, dt=dt, key=key, save_every=1, observables=every)
    heat, leaf = (np.asarray(q[:, -1] - q[:, 0], float) / 3 for q in (run.heat, run.heat_by_leaf))
    assert_mean(heat, 0.0)
    x = np.asarray(run.observables["x"], float)
    force = -x if name == "trap" else -(x**3)
    curvature = np.ones_like(x) if name == "trap" else 3 * x**2
    ito = (force[:, :-1] * np.diff(x, axis=1)).sum((1, 2)) / 3
    squared = (force[:, :-1] ** 2).mean((1,)).sum(-1)
    assert_mean(ito - squared, 0.0)  # F·dx = μF² dt + a martingale, at any dt
    gap = 0.7 * curvature.mean(1).sum(-1)  # -T div(μF)
    assert np.mean(ito) == pytest.approx(np.mean(gap), rel=0.1)
    # The trapezoid's own O(dt) bias is far below the Itô shift
    assert abs(leaf.mean()) < 0.05 * np.mean(gap) + 4 * leaf.std() / np.sqrt(leaf.size)


def test_quadratic_potentials_leave_no_residual(x64, key, trap):
    system = tml.Langevin(trap, control=tml.Ramp(1.0, 2.0), drive=lambda x, k: 0.3 * x[::-1])
    run = tml.simulate(system, jnp.ones(3), t1=1.0, dt=0.1, key=key, n_trajectories=3)
    np.testing.assert_allclose(run.residual, 0, atol=1e-13)
    assert np.abs(run.heat[:, -1]).min() > 0.01


@pytest.mark.parametrize(("temperature", "order"), [(1.0, 1.5), (0.0, 3.0)])
def test_the_residual_of_a_step_is_cubic_in_its_length(x64, key, quartic, temperature, order):
    # |dx| grows like √dt with noise, like dt without
    system = tml.Langevin(quartic, temperature=temperature)
    dts = 1e-4 * 2.0 ** np.arange(3)
    sizes = [
        tml.simulate(
            system,
            1.0,
            t1=dt,
            dt=dt,
            key=key,
            n_trajectories=2000,
            adjoint=tml.langevin.ForwardMode(),
        )
        .residual[:, -1]
        .std()
        if temperature
        else tml.simulate(system, 1.0, t1=dt, dt=dt, key=key).residual[0, -1]
        for dt in dts
    ]
    measured = np.polyfit(np.log(dts), np.log(np.abs(sizes)), 1)[0]
    assert measured == pytest.approx(order, abs=0.05)


@pytest.mark.slow
def test_a_conservative_drive_keeps_the_boltzmann_law_in_two_dimensions(key, free):
    # Euler-Maruyama's exact stationary covariance: T K^-1 (1 - K dt/2)^-1
    K, T, dt = np.array([[2.0, 0.8], [0.8, 1.0]], np.float32), 0.6, 0.1
    system = tml.Langevin(free, drive=lambda x, _: -K @ x, temperature=T)
    run = tml.simulate(system, jnp.zeros(2), t1=15.0, dt=dt, key=key, n_trajectories=20_000)
    x = np.asarray(run.final_state, float)
    covariance = T * np.linalg.inv(K @ (np.eye(2) - K * dt / 2))
    error = np.sqrt((np.outer(*2 * [np.diag(covariance)]) + covariance**2) / len(x))
    assert (np.abs(x.T @ x / len(x) - covariance) < 4 * error).all()
    np.testing.assert_array_equal(run.work, run.heat)  # nothing is stored


def test_a_dragged_free_particle_heats_its_bath_by_mobility_times_force_squared(
    x64, key, free, assert_mean
):
    system = tml.Langevin(free, drive=lambda x, _: jnp.full_like(x, 1.5), mobility=0.4)
    run = tml.simulate(system, 0.0, t1=2.0, dt=0.1, key=key, n_trajectories=4000)
    heat = np.asarray(run.heat[:, -1])
    np.testing.assert_allclose(heat, 1.5 * run.final_state, rtol=1e-12)
    assert_mean(heat, 0.4 * 1.5**2 * 2.0)
    assert_mean((heat - heat.mean()) ** 2, 2 * 0.4 * 1.5**2 * 2.0)


@pytest.mark.filterwarnings("ignore::thermoml.langevin.HeatWarning")
def test_a_swirling_drive_in_a_trap_dissipates_at_its_exact_discrete_rate(key, trap, assert_mean):
    # x' = (1-a)x + bJx + √(2T dt) z: <f∘dx> = Ω b <r²> with <r²> = 4T dt/(1 - (1-a)² - b²)
    omega, dt, T = 1.3, 0.1, 0.5
    squared = 4 * T * dt / (1 - (1 - dt) ** 2 - (omega * dt) ** 2)
    drive = lambda x, _: omega * jnp.stack([-x[1], x[0]])
    run = tml.simulate(
        tml.Langevin(trap, drive=drive, temperature=T),
        lambda key: jax.random.normal(key, (2,)) * np.sqrt(squared / 2),
        t1=2.0,
        dt=dt,
        key=key,
        n_trajectories=10_000,
    )
    assert_mean(run.work[:, -1], 2.0 * omega**2 * squared)
    assert_mean(run.heat[:, -1], 2.0 * omega**2 * squared)


def ramp_average(stiffnesses, decay, kick):
    """<exp(-W)> at T = 1 of x' = g x + s z exactly: Gaussian integrals, last step first."""
    alpha, constant = 0.0, 1.0
    for before, after in list(itertools.pairwise(stiffnesses))[::-1]:
        g, variance = decay(after), kick(after)
        constant /= np.sqrt(1 + alpha * variance)
        alpha = (after - before) + alpha * g**2 / (1 + alpha * variance)
    return constant / np.sqrt(1 + alpha / stiffnesses[0])


@pytest.mark.slow
@pytest.mark.parametrize("exact", [True, False], ids=["exact", "euler"])
def test_jarzynski_holds_for_exact_linear_and_euler_maruyama_misses_it(
    key, trap, assert_mean, exact
):
    system = tml.Langevin(trap, control=tml.Ramp(1.0, 4.0))
    integrator = tml.ExactLinear(lambda k: k) if exact else tml.EulerMaruyama()
    run = tml.simulate(
        system,
        lambda key: jax.random.normal(key, (), jnp.float32),
        t1=1.0,
        dt=0.1,
        key=key,
        n_trajectories=100_000,
        integrator=integrator,
    )
    stiffnesses = 1 + 3 * np.linspace(0, 1, 11)
    if exact:
        expected = ramp_average(
            stiffnesses,
            lambda k: np.exp(-0.1 * k),
            lambda k: (1 - np.exp(-0.2 * k)) / k,
        )
        assert expected == pytest.approx(0.5, rel=1e-12)
    else:
        expected = ramp_average(stiffnesses, lambda k: 1 - 0.1 * k, lambda k: 0.2)
        assert expected == pytest.approx(0.47798, abs=1e-5)
    assert_mean(np.exp(-np.asarray(run.work[:, -1], float)), expected)


def test_the_work_of_dragging_a_trap_has_its_exact_mean_and_variance(key, assert_mean):
    # y = x - λ, at T = .5 in the frame of the trap; Var W = 2T(<W> - ΔF), ΔF = 0, at any dt
    k, T, v, dt, steps = 2.0, 0.5, 1.5, 0.1, 15
    system = tml.Langevin(
        lambda x, centre: k * (x - centre) ** 2 / 2,
        control=tml.Ramp(0.0, v * dt * steps, t0=0.0, t1=dt * steps),
        temperature=T,
    )
    run = tml.simulate(
        system,
        lambda key: jax.random.normal(key) * np.sqrt(T / k),
        t1=dt * steps,
        dt=dt,
        key=key,
        n_trajectories=20_000,
        integrator=tml.ExactLinear(k),
    )
    lag, mean = 0.0, 0.0
    for _ in range(steps):
        mean += k * (-lag * v * dt + (v * dt) ** 2 / 2)
        lag = (lag - v * dt) * np.exp(-k * dt)
    work = np.asarray(run.work[:, -1], float)
    assert_mean(work, mean)
    assert_mean((work - mean) ** 2, 2 * T * mean)


def test_no_entropy_flow_is_defined_at_zero_temperature_but_gradients_are_finite(x64, key, trap):
    def end(k):
        system = tml.Langevin(
            trap, control=tml.langevin.Constant(k), temperature={"cold": 0.0, "hot": 1.0}
        )
        system = eqx.tree_at(
            lambda s: s.potential, system, lambda x, k: trap(x["cold"], k) + trap(x["hot"], k)
        )
        state = {"cold": jnp.ones(2), "hot": jnp.ones(2)}
        run = tml.simulate(system, state, t1=0.5, dt=0.1, key=key)
        return jnp.sum(run.final_state["cold"] ** 2) / 2, run

    slope, run = jax.grad(end, has_aux=True)(2.0)
    np.testing.assert_allclose(slope, -2 * 5 * 0.1 * 0.8**9, rtol=1e-12)  # d(1-.1k)^10/dk
    assert run.entropy_flow[0, 0] == 0
    assert np.isnan(run.entropy_flow[0, 1])
    assert run.result[0] == tml.langevin.Result.SUCCESSFUL
    assert np.isfinite(run.heat_by_leaf["cold"]).all()
