"""Engines tuned by gradient: variances for a constant temperature, parameters for an efficiency."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

import thermoml as tml


class Swish(eqx.Module):
    """z/(1 + e^{-βz})."""

    beta: jax.Array

    def __call__(self, z):
        return z * jax.nn.sigmoid(self.beta * z)


def flat(activation, **options):
    """Unevenness of the temperatures of a chain, as a function of the variance of the weights."""

    def unevenness(variance):
        chain = tml.engine_chain(activation, depth=4, weight_variance=variance, **options)
        return jnp.sum(jnp.diff(jnp.log(chain.temperature)) ** 2)

    return unevenness


@pytest.mark.slow
def test_he_initialisation_is_found_for_relu(x64):
    tuned = tml.tune(flat(jax.nn.relu, temperature=0.7), 1.0)
    assert float(tuned.parameters) == pytest.approx(2, rel=1e-5)


@pytest.mark.slow
def test_the_variance_of_an_activation_of_ones_own(x64):
    """A chain is isothermal at (T - σ_b²)/(η T)."""

    def own(z):
        return jnp.where(z > 0, jnp.sqrt(1 + z**2) - 1, 0.1 * z)

    tuned = tml.tune(flat(own, temperature=1.5, bias_variance=0.2), 1.0)
    exact = (1.5 - 0.2) / (1.5 * tml.work_efficiency(own, 1.5))
    assert float(tuned.parameters) == pytest.approx(float(exact), rel=1e-5)


@pytest.mark.slow
def test_a_parameter_for_a_wanted_efficiency(x64):
    tuned = tml.tune(
        lambda swish: (tml.work_efficiency(swish, 1.0) - 0.4) ** 2, Swish(jnp.asarray(1.0))
    )
    efficiency = lambda beta: float(tml.work_efficiency(Swish(jnp.asarray(beta)), 1.0)) - 0.4
    beta = optimize.brentq(efficiency, 0.5, 5.0)
    assert float(tuned.parameters.beta) == pytest.approx(beta, rel=1e-4)
    assert np.isfinite(beta)


@pytest.mark.exhaustive
def test_the_lowest_heat_of_training_to_a_given_energy(x64):
    """The widths of both layers at the start, against all pairs that end at that energy."""
    generator = np.random.default_rng(1)
    features = generator.normal(size=(8, 2))
    targets = np.tanh(features @ [1.5, -1.0])
    key = jax.random.key(0)
    network = eqx.nn.MLP(2, "scalar", 3, 1, jnp.tanh, key=key)
    system = tml.NetworkLearning(
        network,
        tml.MeanSquaredError(),
        (features, targets),
        prior_stiffness=0.02,
        temperature=0.01,
    )
    leaves, structure = jax.tree.flatten(system.like)

    def trained(first, second):
        """Heat, and the energy after training relative to the required 0.1, less 1."""
        start = lambda key: jax.tree.unflatten(
            structure,
            [
                width * jax.random.normal(k, leaf.shape)
                for k, width, leaf in zip(
                    jax.random.split(key, 4), (first, first, second, second), leaves, strict=True
                )
            ],
        )
        run = tml.simulate(system, start, t1=4.0, dt=0.2, key=key, n_trajectories=40)
        return jnp.mean(run.heat[:, -1]), jnp.mean(run.energy[:, -1]) / 0.1 - 1

    begin = jnp.asarray(0.3), jnp.asarray(0.4)
    tuned = tml.tune(lambda w: trained(*w), begin, constraint=True, tolerance=1e-4)
    heat, excess = trained(*tuned.parameters)
    assert abs(excess) < 1e-3
    firsts, seconds = jnp.linspace(-0.3, 1.0, 27), jnp.linspace(0.05, 1.5, 30)
    everywhere = jax.jit(jax.vmap(jax.vmap(trained, (None, 0)), (0, None)))
    heats, excesses = (np.asarray(x) for x in everywhere(firsts, seconds))
    feasible = []
    for row, excess in zip(heats, excesses, strict=True):
        for i in np.flatnonzero(np.sign(excess[:-1]) != np.sign(excess[1:])):
            share = excess[i] / (excess[i] - excess[i + 1])
            feasible.append(row[i] + share * (row[i + 1] - row[i]))
    assert heat < min(feasible) + 1e-3
    assert heat > min(feasible) - 1e-2
    assert max(feasible) > 2 * heat  # the energy does not fix the heat
