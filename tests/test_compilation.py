"""Compilation: other floats, keys and arrays of the same shape compile nothing anew."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(12, 2))
NETWORK = eqx.nn.MLP(2, "scalar", 3, 1, jnp.tanh, key=jax.random.key(0))


def learn(level, inputs="binary", **options):
    """A call of `learn` whose floats, and key if noise is drawn, depend on one number."""

    def call(x):
        problem = tml.LearningProblem(
            tml.AlphaTron(0.3 + x),
            learning_rate=0.5 + x,
            n_inputs=20,
            stiffness=1 + x,
            temperature=1.0 + x,
            batch=5,
            inputs=inputs,
        )
        ensemble = {}
        if not isinstance(level, tml.MeanField):
            ensemble = {"key": jax.random.key(int(100 * x)), "n_trajectories": 4}
        return tml.learn(problem, level, t1=0.1, **ensemble, **options)

    return call


def network(x):
    return tml.NetworkLearning(
        NETWORK,
        tml.MeanSquaredError(),
        (FEATURES, FEATURES[:, 0] + x),
        prior_stiffness=0.5 + x,
        temperature=[0.3 + x, 0.5],
    )


def simulated(x):
    system = network(x)
    start = system.state(NETWORK)
    return tml.simulate(system, start, t1=0.2, dt=0.1, key=jax.random.key(0), n_trajectories=4)


def parabola(x, stiffness):
    return 0.5 * stiffness * x**2


def trapped(x):
    control = tml.Ramp(1.0, 2.0 + x, t1=1.0)
    trap = tml.Langevin(parabola, control=control, temperature=1.0 + x)
    return tml.simulate(trap, 0.1 + x, t1=1.0, dt=0.1, key=jax.random.key(0), n_trajectories=4)


def local(x):
    states = jax.tree.map(
        lambda leaf: jnp.asarray(RNG.normal(size=(8, *leaf.shape)) + x, leaf.dtype),
        network(x).like,
    )
    return tml.local_temperatures(network(x), states, key=jax.random.key(0))


CALLS = {
    "microscopic": learn(tml.Microscopic(0.01)),
    "microscopic, an ensemble of teachers": learn(tml.Microscopic(0.01), teachers="ensemble"),
    "microscopic, one teacher": learn(tml.Microscopic(0.01), teacher=np.arange(1.0, 21)),
    "reduced": learn(tml.Reduced(0.01), inputs="gaussian"),
    "mean field": learn(tml.MeanField()),
    "a trap": trapped,
    "a network": simulated,
    "local temperatures": local,
    "linear temperature": lambda x: tml.linear_temperature(
        FEATURES, FEATURES[:, 0] + x, initialisation=1.0 + x, bath_temperature=0.1 + x
    ),
    "work efficiency": lambda x: tml.work_efficiency(jnp.tanh, 1.0 + x),
    "chain": lambda x: tml.engine_chain(jnp.tanh, depth=3, weight_variance=1.5 + x),
}


@pytest.fixture(scope="module")
def compiled():
    """Compilations by JAX since the list was last cleared."""
    events = []

    def listen(event: str, duration_secs: float, **kwargs: str | int):
        if event == "/jax/core/compile/backend_compile_duration":
            events.append(kwargs)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield events
    jax.monitoring.unregister_event_duration_listener(listen)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_second_call_compiles_nothing(compiled, name):
    compiled.clear()
    CALLS[name](0.1)
    assert compiled  # the listener works
    CALLS[name](0.2)
    compiled.clear()
    jax.block_until_ready(eqx.filter(CALLS[name](0.3), eqx.is_array))
    assert not compiled
