"""An activation that the package does not have, in all that takes one."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

import thermoml as tml

close = np.testing.assert_allclose
KINK = -0.5
RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(6, 2))
VALUES = np.sin(FEATURES @ [1.0, -1.0])


def floor(z):
    return jnp.maximum(z, KINK)


OWN = tml.networks.Activation(floor, kinks=(KINK,))


def exact_efficiency(temperature):
    """E max(z, a)²/T = (a/√T)² Φ(a/√T) + Φ(-a/√T) + (a/√T) φ(a/√T)."""
    a = KINK / temperature**0.5
    return a**2 * norm.cdf(a) + norm.cdf(-a) + a * norm.pdf(a)


def mlp(activation):
    return eqx.nn.MLP(2, "scalar", 3, 2, activation=activation, key=jax.random.key(0))


def test_its_kinks_are_those_of_the_object_of_the_argument_or_of_the_table(x64, monkeypatch):
    temperatures = np.array([0.05, 1.0, 30.0])
    close(tml.work_efficiency(OWN, temperatures), exact_efficiency(temperatures), rtol=1e-12)
    given = tml.networks.engine_balance(floor, temperatures, kinks=KINK)
    close(given.efficiency, exact_efficiency(temperatures), rtol=1e-12)
    with pytest.raises(ValueError, match="in kinks"):
        tml.work_efficiency(floor, 0.05)
    with pytest.raises(ValueError, match="in kinks"):
        tml.work_efficiency(OWN, 0.05, kinks=(0.0,))
    monkeypatch.setitem(tml.networks.ACTIVATIONS, "floor", OWN)
    close(tml.work_efficiency("floor", 2.0), exact_efficiency(2.0), rtol=1e-12)
    close(tml.work_efficiency(floor, 2.0), exact_efficiency(2.0), rtol=1e-12)


def test_its_engines(x64):
    close(tml.networks.coherent_efficiency(OWN, 2.0), norm.cdf(-KINK / 2**0.5) ** 2)  # E φ'
    kind = tml.classify_engine(OWN, temperatures=[0.5, 1.0])
    assert kind.type is tml.networks.EngineType.TEMPERATURE_DEPENDENT
    step = {"weight_variance": 1.5, "bias_variance": 0.3}
    chain = tml.engine_chain(OWN, depth=3, **step)
    temperature = 1.0
    for i in range(3):
        close(chain.temperature[i], temperature, rtol=1e-12)
        close(chain.chi[i], 1.5 * norm.cdf(-KINK / temperature**0.5), rtol=1e-12)
        temperature = 1.5 * exact_efficiency(temperature) * temperature + 0.3
    for point in tml.networks.working_temperatures(OWN, weight_variance=1.2, bias_variance=0.3):
        at = float(point.temperature)
        close(1.2 * exact_efficiency(at) * at + 0.3, at, rtol=1e-9)


def test_a_network_of_it_is_measured(x64):
    report = tml.networks.measure_engines(mlp(OWN), FEATURES)
    plain = tml.networks.measure_engines(mlp(floor), FEATURES)
    assert list(report.engines) == list(plain.engines) == ["layers_0", "layers_1"]
    close(jax.tree.leaves(report), jax.tree.leaves(plain), rtol=1e-13)


@pytest.mark.filterwarnings("ignore:from the second to the last quarter")  # a short run
@pytest.mark.exhaustive
def test_a_network_of_it_has_transitions_and_local_temperatures(x64):
    def heat_and_temperature(activation):
        system = tml.NetworkLearning(
            mlp(activation),
            tml.MeanSquaredError(),
            (FEATURES, VALUES),
            prior_stiffness=0.5,
            temperature=0.2,
        )
        route = tml.Switching(t1=1.0, relax=1.0, dt=0.1, n_trajectories=20, key=jax.random.key(1))
        trained = tml.Trained(system, route)
        change = tml.transition(tml.TypeI(tml.networks.Normal(0.5), key=jax.random.key(4)), trained)
        states = jax.tree.map(
            lambda s: jax.random.normal(jax.random.key(2), (5, *s.shape), s.dtype), system.like
        )
        local = tml.local_temperatures(system, states, key=jax.random.key(3))
        return change.heat, local.configurational["layers_0"].mean

    own, plain = heat_and_temperature(OWN), heat_and_temperature(floor)
    assert np.isfinite(own).all()
    close(own, plain, rtol=1e-13)
