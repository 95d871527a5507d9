import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.polynomial import Polynomial

import thermoml as tml

STIFFNESS, MOBILITY, TEMPERATURE, DT = 2.0, 0.7, 0.5, 0.2
DECAY = MOBILITY * STIFFNESS * DT
LAW = TEMPERATURE / STIFFNESS
# One step of Ornstein-Uhlenbeck: x' = g x + sqrt(v) z.
ONE_STEP = {
    "euler": (tml.EulerMaruyama(), 1 - DECAY, 2 * DECAY * LAW),
    "heun": (tml.Heun(), 1 - DECAY + DECAY**2 / 2, 2 * DECAY * LAW * (1 - DECAY / 2) ** 2),
    "exact": (tml.ExactLinear(STIFFNESS), np.exp(-DECAY), LAW * (1 - np.exp(-2 * DECAY))),
}


@pytest.fixture
def ornstein_uhlenbeck(trap):
    return tml.Langevin(
        trap, control=tml.langevin.Constant(STIFFNESS), temperature=TEMPERATURE, mobility=MOBILITY
    )


@pytest.mark.parametrize("name", ONE_STEP)
def test_one_step_of_ornstein_uhlenbeck_is_exact(x64, key, ornstein_uhlenbeck, name):
    integrator, decay, variance = ONE_STEP[name]
    run = lambda system, x, how: tml.simulate(
        system, x, t1=DT, dt=DT, key=key, integrator=how
    ).final_state[0]
    cold = eqx.tree_at(lambda s: s.temperature, ornstein_uhlenbeck, 0.0)
    np.testing.assert_allclose(run(cold, 1.5, integrator), decay * 1.5, rtol=1e-14)
    kicked = run(ornstein_uhlenbeck, 0.0, integrator)
    euler = run(ornstein_uhlenbeck, 0.0, tml.EulerMaruyama())  # the same noise
    np.testing.assert_allclose((kicked / euler) ** 2, variance / (2 * DECAY * LAW), rtol=1e-12)


@pytest.mark.parametrize("name", ONE_STEP)
def test_mean_variance_and_heat_relax_by_the_one_step_moments(
    key, ornstein_uhlenbeck, assert_mean, name
):
    integrator, decay, kick = ONE_STEP[name]
    solution = tml.simulate(
        ornstein_uhlenbeck,
        1.5,
        t1=8 * DT,
        dt=DT,
        key=key,
        n_trajectories=20_000,
        integrator=integrator,
        save_every=2,
        observables={"x": lambda x, k, t: x},
    )
    x = np.asarray(solution.observables["x"], float)
    for save, steps in ((1, 2), (2, 4), (4, 8)):
        mean = 1.5 * decay**steps
        variance = kick * sum(decay ** (2 * n) for n in range(steps))
        assert_mean(x[:, save], mean)
        assert_mean((x[:, save] - mean) ** 2, variance)
        drop = STIFFNESS / 2 * (1.5**2 - mean**2 - variance)
        assert_mean(solution.heat[:, save], drop)
        np.testing.assert_array_equal(solution.work[:, save], 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("integrator", "bias"),
    [
        (tml.EulerMaruyama(), 1 / (1 - 0.5 / 2)),
        (tml.ExactLinear(2.5), 1.0),
        (tml.ExactLinear(lambda k: k), 1.0),
    ],
    ids=["euler", "exact", "exact-of-control"],
)
def test_stationary_variance_is_biased_for_euler_maruyama_alone(
    key, trap, assert_mean, integrator, bias
):
    # μk dt = 1/2: 40 steps forget the start to 2^-40
    system = tml.Langevin(trap, control=tml.langevin.Constant(2.5), temperature=0.8)
    solution = tml.simulate(
        system, jnp.zeros(100), t1=8.0, dt=0.2, key=key, n_trajectories=200, integrator=integrator
    )
    assert_mean(solution.final_state**2, 0.8 / 2.5 * bias)


def test_exact_linear_is_euler_maruyama_without_stiffness(x64, key, quartic):
    system = tml.Langevin(quartic)
    ends = [
        tml.simulate(system, jnp.ones(3), t1=1.0, dt=0.1, key=key, integrator=how).final_state
        for how in (tml.EulerMaruyama(), tml.ExactLinear(0.0))
    ]
    np.testing.assert_allclose(ends[1], ends[0], rtol=1e-14)


def test_exact_linear_takes_a_stiffness_for_each_leaf_and_element(x64, key):
    stiffness = {"a": 2.0, "b": jnp.array([0.5, -0.3])}
    potential = lambda x, _: sum(jnp.sum(k * x[n] ** 2) / 2 for n, k in stiffness.items())
    state = {"a": jnp.array(1.0), "b": jnp.array([1.0, 1.0])}
    end = tml.simulate(
        tml.Langevin(potential, temperature=0.0),
        state,
        t1=2.0,
        dt=1.0,
        key=key,
        integrator=tml.ExactLinear(stiffness),
    ).final_state
    np.testing.assert_allclose(end["a"], np.exp([-4.0]), rtol=1e-13)
    np.testing.assert_allclose(end["b"], np.exp([[-1.0, 0.6]]), rtol=1e-13)


def slope(dts, errors):
    return np.polyfit(np.log(dts), np.log(np.abs(errors)), 1)[0]


@pytest.mark.parametrize(
    ("integrator", "order"),
    [(tml.EulerMaruyama(), 1), (tml.Heun(), 2), (tml.ExactLinear(1.0), 1)],
    ids=["euler", "heun", "exact"],
)
def test_orders_without_noise(x64, key, quartic, integrator, order):
    system = tml.Langevin(quartic, temperature=0.0)
    dts = 2.0 ** -np.array([6, 8])
    ends = [
        tml.simulate(system, 1.0, t1=1.0, dt=dt, key=key, integrator=integrator).final_state[0]
        for dt in dts
    ]
    assert slope(dts, np.array(ends) - 1 / np.sqrt(3)) == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize(
    ("integrator", "order"),
    [(tml.EulerMaruyama(), 1), (tml.Heun(), 2), (tml.ExactLinear(0.7), 1)],
    ids=["euler", "heun", "exact"],
)
def test_weak_orders_of_one_step_in_a_double_well(x64, integrator, order):
    # E f(x') by Gauss-Hermite against exp(dt L) f, L = F d/dx + T d²/dx², to dt^4, f = x + x²
    start, temperature, mobility = 0.6, 0.4, 1.3
    force = lambda x: x - x**3
    square = Polynomial([0, 1, 1])  # x + x²
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)

    @jax.jit
    def expected(dt):
        x = jnp.full(nodes.shape, start)
        context = tml.langevin.StepContext(
            force=force,
            force_here=force(x),
            noise=jnp.asarray(nodes),
            control=None,
            baths=tml.Baths(temperature, mobility).at(0.0, x),
            dt=dt,
        )
        end, _ = integrator.step(context, x, integrator.init(x))
        return weights @ (end + end**2) / weights.sum()

    def generator(p):
        return mobility * (Polynomial([0, 1, 0, -1]) * p.deriv() + temperature * p.deriv(2))

    def exact(dt, orders=5):
        terms = [square]
        for n in range(1, orders):
            terms.append(generator(terms[-1]) * (dt / n))
        return sum(term(start) for term in terms)

    dts = 0.01 * 2.0 ** -np.arange(4)
    errors = [expected(dt) - exact(dt) for dt in dts]
    assert slope(dts, errors) == pytest.approx(order + 1, abs=0.15)
