"""An integrator, potential, drive, control and observer of one's own, wherever shipped ones go."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml


class Theta(tml.langevin.AbstractIntegrator):
    """A weighted mean of the forces at both ends: Heun's scheme at θ = 1/2."""

    theta: jax.Array | float = 0.5

    def init(self, state):
        return None

    def step(self, context, state, carry):
        def moved(force):
            def move(x, f, z, temperature, mobility):
                kick = jnp.sqrt(2 * mobility * temperature * context.dt) * z
                return x + mobility * f * context.dt + kick

            baths = context.baths
            parts = force, context.noise, baths.temperature, baths.mobility
            return jax.tree.map(move, state, *parts)

        ahead = context.force(moved(context.force_here))
        weighted = lambda a, b: (1 - self.theta) * a + self.theta * b
        return moved(jax.tree.map(weighted, context.force_here, ahead)), carry


class Well(eqx.Module):
    """A potential with a parameter."""

    height: jax.Array | float

    def __call__(self, x, control):
        bottom = jnp.sum((x["a"] ** 2 - control) ** 2) + jnp.sum(x["b"] ** 2)
        return self.height * bottom / 4 + jnp.sum(x["a"]) * jnp.sum(x["b"])


class Swirl(eqx.Module):
    strength: jax.Array | float

    def __call__(self, x, control):
        return {"a": self.strength * x["a"][::-1], "b": 0 * x["b"]}


class Swing(eqx.Module):
    rate: jax.Array | float

    def __call__(self, t):
        return 1 + 0.5 * jnp.sin(self.rate * t)


class Farthest(tml.langevin.AbstractObserver):
    def init(self, x, control, t):
        return jnp.max(jnp.abs(x["a"]))

    def update(self, carry, x, control, t):
        return jnp.maximum(carry, self.init(x, control, t))

    def result(self, carry):
        return carry


def well(integrator, key, count=5, **options):
    system = tml.Langevin(
        Well(1.5),
        drive=Swirl(0.3),
        control=Swing(2.0),
        temperature={"a": lambda t: 0.5 + t, "b": jnp.array([0.3, 0.4, 0.5])},
        mobility=0.8,
    )
    start = {"a": jnp.ones(2), "b": jnp.zeros(3)}
    options = {"observables": {"farthest": Farthest()}, "save_every": 5} | options
    run = tml.simulate(
        system, start, t1=0.5, dt=0.05, key=key, n_trajectories=count, integrator=integrator,
        **options,
    )  # fmt: skip
    return run.final_state, run.work, run.heat_by_leaf, run.entropy_flow, run.observables


def network(integrator, key):
    features = jnp.linspace(-1, 1, 12).reshape(6, 2)
    model = eqx.nn.MLP(2, "scalar", 3, 1, jnp.tanh, key=key)
    data = (features, jnp.sum(features, axis=1))
    system = tml.NetworkLearning(
        model, tml.MeanSquaredError(), data, prior_stiffness=0.5, batch=4, temperature=0.2
    )
    run = tml.simulate(
        system, system.state(model), t1=0.5, dt=0.1, key=key, n_trajectories=3,
        integrator=integrator,
    )  # fmt: skip
    return run.final_state, run.heat


def perceptron(integrator, key):
    problem = tml.LearningProblem(tml.AdaTron(), learning_rate=0.5, n_inputs=9, batch=4)
    system = tml.perceptron.PerceptronLearning(problem, jnp.arange(9.0) - 4)
    run = tml.simulate(
        system, jnp.zeros(9), t1=0.5, dt=0.1, key=key, n_trajectories=3, integrator=integrator
    )
    return run.final_state, run.work


def engine(integrator, key):
    trap = tml.langevin.HarmonicPotential(tml.langevin.FromControl())
    strokes = [tml.Stroke(k, duration=0.5, bath=bath) for k, bath in ((4.0, "hot"), (1.0, "cold"))]
    cycle = tml.Cycle(trap, strokes, temperatures={"hot": 3.0, "cold": 1.0})
    how = {"dt": 0.05, "key": key, "n_trajectories": 8, "rounds": 2, "settle": 1}
    result = cycle.simulate(0.0, integrator=integrator, **how)
    return result.work, result.heat, result.entropy


RUNS = {
    "Langevin": well,
    "shared over devices": lambda how, key: well(how, key, count=70),
    "NetworkLearning": network,
    "PerceptronLearning": perceptron,
    "Cycle.simulate": engine,
}


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in RUNS if name != "Langevin"]


@pytest.mark.parametrize("name", ["Langevin", *SLOW])
def test_heuns_scheme_of_ones_own_is_the_shipped_one(x64, key, name):
    own, shipped, other = (RUNS[name](how, key) for how in (Theta(), tml.Heun(), Theta(0.3)))
    leaves = list(zip(*map(jax.tree.leaves, (own, shipped, other)), strict=True))
    for mine, heun, _ in leaves:
        np.testing.assert_allclose(mine, heun, rtol=1e-12, atol=1e-13)
    assert max(np.abs(mine - unlike).max() for mine, _, unlike in leaves) > 1e-4


def test_an_integrator_of_ones_own_runs_in_chunks(key):
    """40 trajectories of 65536 coordinates do not fit at once; each alone is the same."""
    system = tml.Langevin(lambda x, _: jnp.sum(x**4) / 4)
    options = {"t1": 0.2, "dt": 0.1, "key": key, "integrator": Theta(0.3)}
    start = jnp.linspace(-1, 1, 2**16)
    whole = tml.simulate(system, start, n_trajectories=40, **options)
    for i in (0, 39):
        alone = tml.simulate(system, start, first_trajectory=i, **options)
        np.testing.assert_allclose(whole.final_state[i], alone.final_state[0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(whole.heat[i], alone.heat[0], rtol=1e-5)


@pytest.mark.exhaustive
@pytest.mark.parametrize("adjoint", ["RecursiveCheckpoint", "Direct", "ForwardMode"])
def test_a_parameter_of_an_integrator_of_ones_own_differentiates(x64, key, adjoint):
    adjoint = getattr(tml.langevin, adjoint)()

    def heat(theta):
        return jnp.mean(well(Theta(theta), key, adjoint=adjoint)[1][:, -1])

    expected = (heat(0.4 + 1e-5) - heat(0.4 - 1e-5)) / 2e-5
    assert abs(expected) > 1e-3
    if isinstance(adjoint, tml.langevin.ForwardMode):
        slope = jax.jvp(heat, (0.4,), (1.0,))[1]
    else:
        slope = jax.grad(heat)(0.4)
    np.testing.assert_allclose(slope, expected, rtol=1e-6)
