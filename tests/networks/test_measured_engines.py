"""Engines measured in networks, against NumPy and against chains of wide networks."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml

close = np.testing.assert_allclose
FEATURES = np.random.default_rng(0).normal(size=(50, 3))


def test_a_small_network_by_hand(x64):
    network = eqx.nn.MLP(3, 2, 5, 2, activation=jnp.tanh, key=jax.random.key(0))
    report = tml.networks.measure_engines(network, FEATURES)
    assert list(report.engines) == ["layers_0", "layers_1"]
    inputs = FEATURES
    for layer, engine in zip(network.layers, report.engines.values(), strict=False):
        z = inputs @ np.asarray(layer.weight).T + np.asarray(layer.bias)
        inputs = np.tanh(z)
        square, passed = (z**2).mean(1), (inputs**2).mean(1)
        close(engine.temperature, (square.mean(), square.std(ddof=1) / 50**0.5), rtol=1e-10)
        close(engine.efficiency[0], passed.mean() / square.mean(), rtol=1e-10)
        away = passed - engine.efficiency[0] * square
        close(engine.efficiency[1], away.std(ddof=1) / 50**0.5 / square.mean(), rtol=1e-10)
        close(engine.coherent[0], ((z * inputs).mean() / square.mean()) ** 2, rtol=1e-10)
        assert f"{engine.efficiency}" in str(report)
        assert f"{engine.efficiency}" in str(engine)


class Residual(eqx.Module):
    """A convolution, a pool, a skip; layers as attributes, called by hand, one of them twice."""

    first: eqx.nn.Conv1d
    norm: eqx.nn.LayerNorm
    middle: eqx.nn.Linear
    last: eqx.nn.Linear

    def __init__(self, key):
        keys = jax.random.split(key, 3)
        self.first = eqx.nn.Conv1d(1, 4, 3, padding=1, key=keys[0])
        self.norm = eqx.nn.LayerNorm(4)
        self.middle = eqx.nn.Linear(4, 4, key=keys[1])
        self.last = eqx.nn.Linear(4, 1, key=keys[2])

    def __call__(self, x):
        h = jnp.mean(jax.nn.relu(self.first(x[None])), axis=1)
        h = h + jax.nn.relu(self.middle(self.norm(h)))
        return self.last(h + jax.nn.relu(self.middle(h)))


def test_networks_of_other_kinds(x64):
    network = Residual(jax.random.key(1))
    report = tml.networks.measure_engines(network, FEATURES)
    assert list(report.engines) == ["first", "middle", "middle#2"]
    assert np.isnan(report.engines["first"].coherent[0])  # a pool in between
    x = jnp.asarray(FEATURES)
    z = jax.vmap(network.first)(x[:, None])
    h = jnp.mean(jax.nn.relu(z), axis=2)
    close(report.engines["first"].temperature[0], jnp.mean(z**2))
    handed_on = jax.vmap(network.norm)(h)
    close(report.engines["first"].efficiency[0], jnp.mean(handed_on**2) / jnp.mean(z**2))
    middle = jax.vmap(network.middle)(handed_on)
    h = h + jax.nn.relu(middle)
    close(report.engines["middle"].efficiency[0], jnp.mean(h**2) / jnp.mean(middle**2))


@pytest.mark.slow
@pytest.mark.parametrize("activation", [jax.nn.relu, jnp.tanh], ids=["relu", "tanh"])
def test_wide_networks_are_the_chains_of_theory(x64, activation):
    """Width 1000, He's variance: T and η within a few √(2/1000) of the chain's."""
    network = eqx.nn.MLP(3, 1, 1000, 4, activation=activation, key=jax.random.key(0))
    key = jax.random.key(1)

    def he(layer, index):
        shape = layer.weight.shape
        weight = jax.random.normal(jax.random.fold_in(key, index), shape) * (2 / shape[1]) ** 0.5
        return eqx.tree_at(lambda m: (m.weight, m.bias), layer, (weight, jnp.zeros(shape[0])))

    layers = tuple(he(layer, i) for i, layer in enumerate(network.layers))
    network = eqx.tree_at(lambda m: m.layers, network, layers)
    one = FEATURES[:1].repeat(2, 0)
    report = tml.networks.measure_engines(network, one)
    engines = list(report.engines.values())
    chain = tml.engine_chain(
        activation, depth=4, weight_variance=2.0, temperature=engines[0].temperature.mean
    )
    for i, engine in enumerate(engines):
        close(engine.temperature[0], chain.temperature[i], rtol=0.2)
        close(engine.efficiency[0], chain.efficiency[i], rtol=0.2)


def test_ensembles_under_vmap_and_gradients(x64):
    def report(scale):
        network = eqx.nn.MLP(3, 1, 4, 2, key=jax.random.key(0))
        network = jax.tree.map(lambda x: scale * x if eqx.is_array(x) else x, network)
        return tml.networks.measure_engines(network, FEATURES)

    def temperature(scale):
        return report(scale).engines["layers_1"].temperature.mean

    scales = jnp.array([0.5, 1.0])
    several = jax.vmap(temperature)(scales)
    close(several, [temperature(s) for s in scales])
    text = str(jax.vmap(report)(scales))
    assert text == f"{report(1.0)}\n(the last entry of arrays of shape (2,))"
    numeric = (temperature(1.0 + 1e-6) - temperature(1.0 - 1e-6)) / 2e-6
    close(jax.grad(temperature)(1.0), numeric, rtol=1e-6)


class Looping(eqx.Module):
    layer: eqx.nn.Linear

    def __call__(self, x, *, key=None):
        return jax.lax.scan(lambda h, _: (jnp.tanh(self.layer(h)), None), x, length=3)[0]


def test_networks_without_engines_are_refused():
    linear = eqx.nn.Linear(3, 3, key=jax.random.key(0))
    with pytest.raises(ValueError, match="at least two layers of weights, got 1"):
        tml.networks.measure_engines(linear, FEATURES)
    with pytest.raises(ValueError, match="inside of a loop of JAX"):
        tml.networks.measure_engines(eqx.nn.Sequential([linear, Looping(linear)]), FEATURES)
    with pytest.raises(TypeError, match="layers with state of their own"):
        tml.networks.measure_engines(eqx.nn.BatchNorm(3, "batch", mode="batch"), FEATURES)
