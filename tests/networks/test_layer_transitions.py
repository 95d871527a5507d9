"""The share of each layer in a transition, on a harmonic network where all of it is known."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml

RNG = np.random.default_rng(0)
FEATURES = np.add(RNG.normal(size=(12, 2)), [0.0, 0.8])  # correlates intercept and weight
VALUES = FEATURES @ [1.0, -1.0] + 1.0
BATH, STD = 0.3, 0.9


@pytest.fixture(scope="module")
def trained():
    with jax.enable_x64(True):
        network = eqx.nn.Linear(2, "scalar", key=jax.random.key(0))
        system = tml.NetworkLearning(
            network,
            tml.MeanSquaredError(),
            (FEATURES, VALUES),
            prior_stiffness=0.1,
            temperature=BATH,
        )
        start = tml.TypeI(tml.networks.Normal(STD), n_samples=20_000, key=jax.random.key(0))
        path = tml.networks.simulated_training_path(
            system,
            start,
            t1=20.0,
            dt=0.02,
            n_trajectories=4000,
            key=jax.random.key(1),
            integrator=tml.Heun(),
        )
        zero = jax.tree.map(lambda s: jnp.zeros(s.shape), system.like)
        found = tml.transition(
            start,
            tml.Trained(system, tml.networks.Laplace(start=zero)),
            run=path.solution,
            by=lambda name: name,
        )
        return found, start, system


@pytest.mark.slow
def test_information_and_entropies_of_a_normal_law(x64, trained):
    found, _, _ = trained
    wide = np.column_stack([FEATURES, np.ones(12)])
    stiffness = wide.T @ wide / 12 + 0.1 * np.eye(3)
    covariance = BATH * np.linalg.inv(stiffness)
    entropy = lambda c: np.linalg.slogdet(2 * np.pi * np.e * np.atleast_2d(c))[1] / 2
    blocks = {"weight": covariance[:2, :2], "bias": covariance[2:, 2:]}
    information = sum(map(entropy, blocks.values())) - entropy(covariance)
    assert information > 0.1
    # The variance of ln det of 4000 samples is about 2/4000 for each parameter
    assert float(found.information_between_layers) == pytest.approx(information, abs=0.05)
    for name, block in blocks.items():
        layer, size = found.by_layer[name], block.shape[0]
        drop = size * entropy(STD**2) - entropy(block)
        assert abs(layer.entropy_drop[0] - drop) < 4 * layer.entropy_drop[1] < 0.15
        ratio = layer.heat[0] / layer.entropy_drop[0]
        assert layer.temperature[0] == pytest.approx(float(ratio))
    drops = sum(float(layer.entropy_drop[0]) for layer in found.by_layer.values())
    total = float(found.entropy_drop)
    assert total - drops == pytest.approx(float(found.information_between_layers), abs=0.1)


@pytest.mark.slow
def test_heats_of_layers_add_up_to_that_of_all(x64, trained):
    found, _, _ = trained
    heats = sum(float(layer.heat[0]) for layer in found.by_layer.values())
    error = sum(float(layer.heat[1]) for layer in found.by_layer.values())
    assert abs(heats - float(found.heat)) < 4 * np.hypot(error, float(found.heat_error))
    assert error < 0.1 * heats


@pytest.mark.slow
def test_a_run_begins_in_a_type_1_state(x64, trained):
    _, start, system = trained
    zero = jax.tree.map(lambda s: jnp.zeros(s.shape), system.like)
    after = tml.Trained(system, tml.networks.Laplace(start=zero))
    assert np.isnan(tml.transition(start, after).information_between_layers)
    assert tml.transition(start, after).by_layer == {}
    run = tml.simulate(system, zero, t1=0.1, dt=0.05, key=jax.random.key(0), n_trajectories=10)
    with pytest.raises(TypeError, match="a run must begin in a TypeI state, got TypeII"):
        tml.transition(after, after, run=run)
