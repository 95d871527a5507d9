"""Systems with momentum: their ledger, states, limits, and what is refused."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parts import exhaustive
from scipy.integrate import quad
from scipy.stats import chisquare

import thermoml as tml
from thermoml.langevin import HarmonicPotential, PhaseState


def double_well(x, control):
    return jnp.sum((x**2 - 1) ** 2)


def two_leaves():
    def potential(x, stiffness):
        return stiffness * jnp.sum(x["a"] ** 4) / 4 + jnp.sum((x["b"] - x["a"][0]) ** 2)

    return tml.Langevin(
        potential,
        drive=lambda x, _: {"a": 0.3 * x["a"][::-1], "b": 0 * x["b"]},
        control=tml.Ramp(1.0, 2.0),
        temperature={"a": 0.5, "b": lambda t: 1 + t},
    )


START = {"a": jnp.array([1.0, -0.5]), "b": jnp.zeros(3)}


@pytest.mark.parametrize("word", ["BAOAB", "ABO", *exhaustive("OBABO", "BAOABOB")])
def test_the_first_law_with_shadow_work(dtype, key, word):
    """dE = δW + δW_shadow - δQ at every save, the leaves' heats add up."""
    start = jax.tree.map(lambda x: x.astype(dtype), START)
    system = tml.Underdamped(two_leaves(), mass={"a": 0.5, "b": 2.0}, friction={"a": 1.0, "b": 0.2})
    run = tml.simulate(
        system, start, t1=2.0, dt=0.1, key=key, n_trajectories=5, save_every=5,
        integrator=tml.Splitting(word),
    )  # fmt: skip
    change = run.energy - run.energy[:, :1]
    tolerance = 1e-13 if dtype == np.float64 else 3e-6
    np.testing.assert_allclose(change, run.total_work - run.heat, atol=20 * tolerance)
    np.testing.assert_allclose(run.residual, 0, atol=20 * tolerance)
    np.testing.assert_allclose(run.path_heat, run.heat, atol=40 * tolerance)
    assert np.abs(run.shadow_work[:, -1]).min() > 1e-5


def test_one_step_by_hand(x64, key):
    """BAOAB written out with the noise of the run, recovered from its own momentum."""
    m, g, T, h, k = 2.0, 0.7, 1.5, 0.3, 3.0
    trap = tml.Langevin(HarmonicPotential(k), temperature=T)
    system = tml.Underdamped(trap, mass=m, friction=g)
    run = tml.simulate(system, PhaseState(0.4, -0.2), t1=h, dt=h, key=key)
    x, p = run.final_state.position[0], run.final_state.momentum[0]
    kicked = -0.2 - h / 2 * k * 0.4
    middle = 0.4 + h / 2 * kicked / m
    bathed = (x - middle) * m / (h / 2)
    np.testing.assert_allclose(p, bathed - h / 2 * k * x, rtol=1e-12)
    noise = (bathed - np.exp(-g * h) * kicked) / np.sqrt(m * T * (1 - np.exp(-2 * g * h)))
    assert 0.01 < abs(noise) < 4
    heat = (kicked**2 - bathed**2) / (2 * m)
    np.testing.assert_allclose(run.heat[0, -1], heat, rtol=1e-10)
    np.testing.assert_allclose(run.entropy_flow[0, -1], heat / T, rtol=1e-10)


def test_momenta_are_drawn_from_their_baths(key, assert_mean):
    mass = {"a": jnp.array([0.5, 4.0]), "b": 2.0}
    system = tml.Underdamped(two_leaves(), mass=mass)
    run = tml.simulate(
        system, START, t1=1e-3, dt=1e-3, key=key, n_trajectories=20_000,
        observables={"state": tml.langevin.State()},
    )  # fmt: skip
    momentum = run.observables["state"].momentum
    for leaf, expected in (("a", [0.25, 2.0]), ("b", [2.0] * 3)):
        first = np.asarray(momentum[leaf][:, 0])
        assert_mean(first, np.zeros(first.shape[1]))
        assert_mean(first**2, expected)
    np.testing.assert_array_equal(run.observables["state"].position["a"][:, 0], [[1, -0.5]] * 20000)


def test_positions_and_momenta_in_a_double_well_are_boltzmanns(key):
    """Histograms of 20 000 independent trajectories against quadrature, by χ²."""
    system = tml.Underdamped(tml.Langevin(double_well, temperature=0.7), mass=2.0, friction=0.8)
    run = tml.simulate(system, 1.0, t1=40.0, dt=0.2, key=key, n_trajectories=20_000)
    edges = np.array([-9, -1.3, -1, -0.7, -0.3, 0, 0.3, 0.7, 1, 1.3, 9])
    weight = lambda x: np.exp(-((x**2 - 1) ** 2) / 0.7)
    share = np.array([quad(weight, *pair)[0] for pair in itertools.pairwise(edges)])
    counts = np.histogram(run.final_state.position, edges)[0]
    assert chisquare(counts, 20_000 * share / share.sum()).pvalue > 1e-4
    scaled = np.asarray(run.final_state.momentum) / np.sqrt(1.4)
    assert abs((scaled**2).mean() - 1) < 4 * np.sqrt(2 / 20_000) + 0.03  # bias of order h²


@pytest.mark.slow
def test_the_overdamped_limit(key, assert_mean):
    """At γ = 2000 and h²/2m = μ dt BAOAB is the scheme of Leimkuhler and Matthews."""
    trap = tml.Langevin(lambda x, _: jnp.sum(x**4) / 4)
    h = 0.4
    fast = tml.simulate(
        tml.Underdamped(trap, friction=2000.0), 1.0, t1=50 * h, dt=h, key=key, n_trajectories=20_000
    )
    slow = tml.simulate(
        trap, 1.0, t1=50 * h**2 / 2, dt=h**2 / 2, key=jax.random.key(9), n_trajectories=20_000,
        integrator=tml.LeimkuhlerMatthews(),
    )  # fmt: skip
    pairs = np.asarray(fast.final_state.position), np.asarray(slow.final_state)
    assert_mean(pairs[0] ** 2 - pairs[1] ** 2, 0.0)
    assert_mean(pairs[0] ** 4 - pairs[1] ** 4, 0.0)


def test_free_diffusion(x64):
    """D = (T/m)(h/2) coth(γh/2) of BAOAB without a force."""
    free = tml.Underdamped(tml.Langevin(HarmonicPotential(0.0), temperature=1.5), mass=2.0)
    start = tml.NormalState(0.0, 0.0)
    moments = tml.moment_equations(free, start, t1=60.0, dt=0.5, saves=2)  # momenta are at rest
    rate = (moments.covariance[2, 0, 0] - moments.covariance[1, 0, 0]) / 30
    np.testing.assert_allclose(rate, 2 * 1.5 / 2 * 0.25 / np.tanh(0.25), rtol=1e-9)


@pytest.mark.slow
def test_continued_runs_are_one_run_bit_by_bit(key):
    system = tml.Underdamped(two_leaves(), friction=0.5)
    how = {"dt": 0.125, "key": key}
    whole = tml.simulate(system, START, t1=2.0, n_trajectories=3, **how)
    part = tml.simulate(system, START, t1=1.0, n_trajectories=3, **how)
    rest = tml.simulate(system, part, t1=2.0, **how)
    for a, b in zip(
        jax.tree.leaves((whole.checkpoint.state, whole.checkpoint.ledger)),
        jax.tree.leaves((rest.checkpoint.state, rest.checkpoint.ledger)),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_shadow_work_ends_with_an_integrator_that_has_none(key):
    trap = tml.Langevin(HarmonicPotential(1.0))
    part = tml.simulate(trap, 0.0, t1=1.0, dt=0.1, key=key)
    rest = tml.simulate(trap, part, t1=2.0, dt=0.1, key=key, integrator=tml.Heun())
    with pytest.raises(ValueError, match="no shadow work.*Heun.*EulerMaruyama"):
        _ = rest.shadow_work
    again = tml.simulate(trap, rest, t1=3.0, dt=0.1, key=key)
    with pytest.raises(ValueError, match="goes on from a run without"):
        _ = again.total_work


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_kinetic_temperature_is_exact_with_obabo(key):
    """Momenta are Boltzmann's at any stable step in a trap: T of each bath, by leaf."""
    trap = tml.Langevin(
        lambda x, _: jnp.sum(x["a"] ** 2) / 2 + jnp.sum(x["b"] ** 2),
        temperature={"a": 0.5, "b": 1.5},
    )
    system = tml.Underdamped(trap, mass={"a": jnp.array([1.0, 3.0]), "b": 2.0})
    run = tml.simulate(
        system, {"a": jnp.ones(2), "b": jnp.zeros(3)}, t1=30.0, dt=0.6, key=key,
        n_trajectories=10_000, integrator=tml.OBABO(),
    )  # fmt: skip
    kinetic = tml.langevin.kinetic_temperature(system, run.final_state)
    for estimate, expected in (
        (kinetic.by_leaf["a"], 0.5), (kinetic.by_leaf["b"], 1.5), (kinetic.total, 1.1),
    ):  # fmt: skip
        assert abs(estimate.mean - expected) < 4 * estimate.standard_error
        assert estimate.standard_error < 0.02
    assert "total" in str(kinetic)
    with pytest.raises(TypeError, match="needs an Underdamped system and its PhaseState"):
        tml.langevin.kinetic_temperature(system, run.final_state.position)


@pytest.mark.slow
def test_gradients_in_mass_friction_and_temperature(x64, key):
    def heat(values):
        trap = tml.Langevin(lambda x, _: jnp.sum(x**4) / 4, temperature=values[2])
        system = tml.Underdamped(trap, mass=values[0], friction=values[1])
        run = tml.simulate(system, 1.0, t1=1.0, dt=0.1, key=key, n_trajectories=3)
        return jnp.mean(run.heat[:, -1] + 0.3 * run.shadow_work[:, -1])

    at = jnp.array([1.5, 0.7, 0.9])
    slope = jax.grad(heat)(at)
    for i in range(3):
        step = 1e-5 * jnp.eye(3)[i]
        expected = (heat(at + step) - heat(at - step)) / 2e-5
        np.testing.assert_allclose(slope[i], expected, rtol=1e-6)


def assert_layers_are_warm(system, learning, network, key):
    """Kinetic temperatures by layer, of states at rest with no force: each layer's bath."""
    count = 4000
    position = jax.tree.map(
        lambda x: jnp.broadcast_to(x, (count, *x.shape)), learning.state(network)
    )
    draw = jax.vmap(lambda key, x: system.draw_momentum(key, x, 0.0))
    momentum = draw(jax.random.split(key, count), position)
    states = PhaseState(position, momentum)
    local = tml.local_temperatures(system, states, key=key)
    for layer, bath in (("layers_0", 0.2), ("layers_1", 0.4)):
        assert abs(local.kinetic[layer].mean - bath) < 4 * local.kinetic[layer].standard_error
        assert abs(local.heat_rate[layer].mean) < 4 * local.heat_rate[layer].standard_error
    assert "kinetic" in str(local)
    thermometer = tml.Thermometer(system, key=key)
    moments = jax.vmap(lambda s: thermometer(s, None, 0.0))(states)
    moments = jax.tree.map(lambda x: x[:, None], moments)
    read = thermometer.read(moments)
    np.testing.assert_allclose(
        read.kinetic["layers_1"].mean[0], local.kinetic["layers_1"].mean, rtol=1e-5
    )
    with pytest.raises(TypeError, match="must be a PhaseState"):
        tml.local_temperatures(system, position, key=key)


@pytest.mark.slow
def test_layers_of_a_network(key):
    """Masses and frictions by layer; the ledger's leaves are those of the network."""
    network = eqx.nn.MLP(2, "scalar", 3, 1, jnp.tanh, key=key)
    features = jnp.linspace(-1, 1, 12).reshape(6, 2)
    learning = tml.NetworkLearning(
        network, tml.MeanSquaredError(), (features, features.sum(1)), prior_stiffness=0.5, batch=4,
        temperature=[0.2, 0.4],
    )  # fmt: skip
    system = tml.Underdamped(learning, mass=[1.0, 2.0], friction={"layers_0": 1.0, "layers_1": 3.0})
    run = tml.simulate(system, learning.state(network), t1=1.0, dt=0.1, key=key, n_trajectories=4)
    change = run.energy - run.energy[:, :1]
    np.testing.assert_allclose(change, run.total_work - run.heat, atol=2e-5)
    assert jax.tree.structure(run.heat_by_leaf) == jax.tree.structure(learning.like)
    assert_layers_are_warm(system, learning, network, key)
    with pytest.raises(ValueError, match="mass must have one value for each of the 2 layers"):
        tml.Underdamped(learning, mass=[1.0, 2.0, 3.0])


def run_with(**inertia):
    def run(system):
        how = {"t1": 2.0, "dt": 0.5, "key": jax.random.key(0)}
        return tml.simulate(tml.Underdamped(system, **inertia), 0.0, **how)

    return run


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda s: tml.Underdamped(s, friction=0.0), ValueError, "friction must be finite and > 0"),
        (lambda s: tml.Underdamped(s, friction=jnp.array([1.0, -1])), ValueError, "friction must"),
        (lambda s: tml.Underdamped(s, mass=0.0), ValueError, "mass must be finite and > 0"),
        (run_with(mass=lambda t: t), TypeError, "mass must not depend on time"),
        (run_with(friction=lambda t: 1 - t), ValueError, "friction must be finite and > 0"),
        (run_with(friction=[1.0, 2.0]), ValueError, "friction must be a number, an array"),
        (lambda s: tml.Underdamped(tml.Underdamped(s)), TypeError, "overdamped system"),
        (lambda s: tml.Underdamped("trap"), TypeError, "overdamped system, got 'trap'"),
        (lambda s: tml.Splitting("BAB"), ValueError, "must hold O, the bath step"),
        (lambda s: tml.Splitting("BAOAC"), ValueError, "made of A, B and O"),
        (lambda s: tml.Splitting(""), ValueError, "made of A, B and O"),
        (lambda s: tml.Splitting(3), ValueError, "made of A, B and O"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_what_does_not_fit_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make(tml.Langevin(HarmonicPotential(1.0)))


@pytest.mark.usefixtures("unchecked")
def test_runs_that_do_not_fit_are_refused(key):
    trap = tml.Langevin(HarmonicPotential(1.0))
    how = {"t1": 1.0, "dt": 0.5, "key": key}
    with pytest.raises(TypeError, match="Underdamped"):
        tml.simulate(trap, 0.0, integrator=tml.BAOAB(), **how)
    with pytest.raises(TypeError, match="Heun makes overdamped steps"):
        tml.simulate(tml.Underdamped(trap), 0.0, integrator=tml.Heun(), **how)
    with pytest.raises(TypeError, match="a PhaseState is the state of a system with momentum"):
        tml.simulate(trap, PhaseState(0.0, 0.0), **how)
    with pytest.raises(ValueError, match="momentum must be like the position"):
        tml.simulate(tml.Underdamped(trap), PhaseState(jnp.zeros(2), 0.0), **how)
    with pytest.raises(ValueError, match="mass of shape"):
        tml.simulate(tml.Underdamped(trap, mass=jnp.ones(3)), jnp.zeros(2), **how)


@pytest.mark.parametrize("word", ["BAOAB", "ABOBA", "OBABO"])
def test_steps_beyond_the_stability_limit_are_refused(key, word):
    """hω = 2 is the limit of all three; the stiffest direction is named."""
    trap = tml.Langevin(HarmonicPotential(jnp.array([1.0, 9.0])))
    system = tml.Underdamped(trap, mass=jnp.array([1.0, 4.0]))
    how = {"t1": 28.0, "key": key, "integrator": tml.Splitting(word)}
    tml.simulate(system, jnp.zeros(2), dt=1.1875, **how | {"t1": 9.5})
    with pytest.raises(ValueError, match=r"hω = 2\.1 .*1\.5.*dt below 1\.33"):
        tml.simulate(system, jnp.zeros(2), dt=1.4, **how)
