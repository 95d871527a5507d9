"""Layers and their temperatures, against linear algebra, enumeration and the ledger."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml

close = np.testing.assert_allclose
KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(8, 2))
VALUES = np.sin(FEATURES @ [1.0, -1.0])


def mlp(activation=jnp.tanh, seed=0, **options):
    network = eqx.nn.MLP(2, "scalar", 3, 1, activation=activation, key=jax.random.key(seed))
    options = {"prior_stiffness": 0.5, "temperature": 0.4} | options
    return tml.NetworkLearning(network, tml.MeanSquaredError(), (FEATURES, VALUES), **options)


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (eqx.nn.MLP(2, 1, 3, 2, key=jax.random.key(0)), ["layers_0", "layers_1", "layers_2"]),
        (eqx.nn.GRUCell(2, 3, key=jax.random.key(0)), ["parameters"]),
        (
            eqx.nn.Sequential(
                [
                    eqx.nn.Linear(2, 3, key=jax.random.key(0)),
                    eqx.nn.Lambda(jnp.tanh),
                    eqx.nn.LayerNorm(3),
                ]
            ),
            ["layers_0", "layers_2"],
        ),
        ({"a": jnp.ones(2), "b": [jnp.ones(3), jnp.ones(1)]}, ["a", "b_0", "b_1"]),
        (jnp.ones(3), ["parameters"]),
    ],
)
def test_layers_follow_the_module_tree(module, names):
    state = eqx.filter(module, eqx.is_inexact_array)
    by_module = tml.networks.layers(state)
    assert list(by_module.members) == names
    assert sorted(i for places in by_module.members.values() for i in places) == list(
        range(len(jax.tree.leaves(state)))
    )
    assert sum(by_module.sizes.values()) == sum(leaf.size for leaf in jax.tree.leaves(state))
    total = sum(float(jnp.sum(leaf)) for leaf in jax.tree.leaves(state))
    close(sum(float(x) for x in by_module.totals(state).values()), total, rtol=1e-5)


@pytest.mark.usefixtures("unchecked")
def test_layers_by_patterns_and_functions():
    system = mlp()
    by = {"readout": "layers_1_*", "rest": ["*weight", "*bias"]}
    assert tml.networks.layers(system, by).sizes == {"rest": 9, "readout": 4}
    assert tml.networks.layers(system, lambda name: name[-4:]).sizes == {"ight": 9, "bias": 4}
    with pytest.raises(ValueError, match=r"no pattern fits the leaf 'layers_1_weight'; add a lay"):
        tml.networks.layers(system, {"first": "layers_0_*"})
    with pytest.raises(ValueError, match=r"layer 'none', 'x\*', fit no leaf that is left"):
        tml.networks.layers(system, {"none": "x*", "all": "*"})
    with pytest.raises(TypeError, match="must be a mapping or a function"):
        tml.networks.layers(system, 3)


def test_a_harmonic_potential_by_linear_algebra(x64):
    """States of any covariance: E g_l² = (HΣH)_ll, T_l their ratio to tr H_ll, 4 errors."""
    network = eqx.nn.Linear(2, "scalar", key=jax.random.key(0))
    tau, mobility = 0.3, 2.0
    system = tml.NetworkLearning(
        network,
        tml.MeanSquaredError(),
        (FEATURES, VALUES),
        prior_stiffness=0.2,
        temperature=tau,
        mobility=mobility,
    )
    wide = np.column_stack([FEATURES, np.ones(8)])
    stiffness = wide.T @ wide / 8 + 0.2 * np.eye(3)
    lowest = np.linalg.solve(stiffness, wide.T @ VALUES / 8)
    root = np.array([[0.9, 0.0, 0.0], [0.2, 0.5, 0.0], [-0.4, 0.1, 0.7]])
    points = lowest + RNG.normal(size=(20_000, 3)) @ root.T
    states = jax.tree.unflatten(
        jax.tree.structure(system.like),
        [jnp.asarray(points[:, None, :2]).reshape(20_000, *system.like.weight.shape),
         jnp.asarray(points[:, 2]).reshape(20_000, *system.like.bias.shape)],
    )  # fmt: skip
    local = tml.local_temperatures(system, states, key=KEY, by=lambda name: name, n_probes=2)
    squares = stiffness @ root @ root.T @ stiffness
    covariance = root @ root.T
    for name, part in (("weight", slice(0, 2)), ("bias", slice(2, 3))):
        trace, square = np.trace(stiffness[part, part]), np.trace(squares[part, part])
        size = trace.size * (part.stop - part.start)
        # ⟨θ·∂E⟩ = tr HΣ in the part, and the mean gradient is 0
        exact = {
            "configurational": square / trace,
            "virial": np.trace((covariance @ stiffness)[part, part]) / size,
            "heat_rate": mobility * (square - tau * trace),
        }
        for which, value in exact.items():
            mean, error = getattr(local, which)[name]
            assert abs(mean - value) < 4 * error < 0.2 * abs(value), (name, which)
        close(local.bath[name], tau)
        assert f"{local.virial[name]}" in str(local)


@pytest.fixture(scope="module")
def relaxed():
    """(activation) -> a network in one bath, relaxed."""

    def run(activation, t1=20.0, dt=0.05, **options):
        with jax.enable_x64(True):
            system = mlp(activation, **options)
            start = lambda key: jax.tree.map(
                lambda leaf: 0.8 * jax.random.normal(key, leaf.shape), system.like
            )
            return system, tml.simulate(
                system,
                start,
                t1=t1,
                dt=dt,
                key=jax.random.key(1),
                n_trajectories=4000,
                integrator=tml.Heun(),
                save_every=round(t1 / dt / 2),
            )

    return run


@pytest.mark.exhaustive
@pytest.mark.parametrize("activation", [jnp.tanh, jax.nn.gelu], ids=["tanh", "gelu"])
def test_at_equilibrium_all_temperatures_are_the_baths(x64, relaxed, activation):
    """4 comparisons to 4 errors; Heun's bias at dt = 0.05 is below 1e-3."""
    system, run = relaxed(activation)
    local = tml.local_temperatures(system, run.final_state, key=KEY)
    for name in ("layers_0", "layers_1"):
        for which in ("configurational", "virial"):
            value, error = getattr(local, which)[name]
            assert abs(value - 0.4) < 4 * error < 0.06
        rate, error = local.heat_rate[name]
        assert abs(rate) < 4 * error


@pytest.mark.exhaustive
def test_a_relu_network_in_equilibrium(x64, relaxed):
    """The virial is blind to kinks; the configurational temperature misses the readout's."""
    system, run = relaxed(jax.nn.relu)
    local = tml.local_temperatures(system, run.final_state, key=KEY)
    for name in ("layers_0", "layers_1"):
        value, error = local.virial[name]
        assert abs(value - 0.4) < 4 * error < 0.06
    value, error = local.configurational["layers_1"]  # E is smooth in the weights of the readout
    assert abs(value - 0.4) < 4 * error < 0.06


@pytest.mark.optimised
def test_unequal_baths_drive_the_heat_that_the_temperatures_predict(x64, relaxed):
    """The ledger's heat into each bath over half the run, against the rate at its end.

    Both are off by O(dt): at dt = 0.05 the ledger shows 0.81, not 1.0.
    """
    system, run = relaxed(jnp.tanh, t1=10.0, dt=0.004, temperature=[0.2, lambda t: 1.2])
    local = tml.local_temperatures(system, run.final_state, key=KEY, n_probes=4)
    ledger = tml.networks.layers(system).sum(run.heat_by_leaf)
    entropy = 0.0
    for name, bath in (("layers_0", 0.2), ("layers_1", 1.2)):
        flow = (ledger[name][:, -1] - ledger[name][:, 1]) / 5.0
        mean, error = jnp.mean(flow), jnp.std(flow) / 4000**0.5
        rate, rate_error = local.heat_rate[name]
        assert abs(mean - rate) < 4 * jnp.hypot(error, rate_error)
        assert abs(mean) > 6 * error
        assert local.bath[name] == pytest.approx(bath)
        virial, virial_error = local.virial[name]
        assert abs(virial - bath) < 4 * virial_error  # blind to the flow
        entropy += mean / bath
    (cold, cold_error), (hot, hot_error) = local.configurational.values()
    assert cold > 0.2 + 4 * cold_error
    assert hot < 1.2 - 4 * hot_error
    assert entropy > 0
    total = sum(ledger.values())  # trapezoids, layer by layer, against the exact heat
    close(total.mean(0)[-1], run.heat.mean(0)[-1], atol=0.02 * abs(run.heat).mean())


@pytest.mark.parametrize("replacement", [True, False])
def test_gradient_noise_by_enumeration_of_batches(x64, replacement):
    system = mlp()
    key = jax.random.key(2)
    states = jax.tree.map(lambda s: jax.random.normal(key, (3, *s.shape), s.dtype), system.like)
    noise = tml.networks.gradient_noise_temperature(
        system, states, learning_rate=0.1, batch=2, replacement=replacement
    )
    draw = itertools.product if replacement else itertools.combinations
    batches = list(draw(range(8), repeat=2) if replacement else draw(range(8), 2))
    expected = {"layers_0": [], "layers_1": []}
    for i in range(3):
        state = jax.tree.map(lambda leaf, i=i: leaf[i], states)
        slope = jax.jit(jax.grad(lambda s, x, y: system.data_energy(s, x, y)))
        gradients = [slope(state, FEATURES[list(b)], VALUES[list(b)]) for b in batches]
        leaves = [[np.ravel(leaf) for leaf in jax.tree.leaves(g)] for g in gradients]
        for name, places in (("layers_0", (0, 1)), ("layers_1", (2, 3))):
            rows = np.array([np.concatenate([g[p] for p in places]) for g in leaves])
            expected[name].append(0.05 * rows.var(axis=0).sum() / rows.shape[1])
    for name, values in expected.items():
        close(noise[name].mean, np.mean(values), rtol=1e-10)
        close(noise[name].standard_error, np.std(values, ddof=1) / 3**0.5, rtol=1e-10)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: jax.tree.map(lambda x: x[0], s), "states must be like the system's state"),
        (lambda s: jax.tree.map(lambda x: x[:1], s), "states must be at least 2"),
        (lambda s: jax.tree.leaves(s)[:2], "states must be like the system's state"),
    ],
)
def test_states_that_do_not_fit_are_refused(change, message):
    system = mlp()
    states = jax.tree.map(lambda s: jnp.zeros((4, *s.shape)), system.like)
    with pytest.raises(ValueError, match=message):
        tml.local_temperatures(system, change(states), key=KEY)


def test_batches_that_cannot_be_drawn_are_refused():
    system = mlp()
    states = jax.tree.map(lambda s: jnp.zeros((4, *s.shape)), system.like)
    with pytest.raises(ValueError, match="batch must be at most the 8 examples, got 9"):
        tml.networks.gradient_noise_temperature(
            system, states, learning_rate=0.1, batch=9, replacement=False
        )
    with pytest.raises(ValueError, match="learning_rate must be finite and > 0"):
        tml.networks.gradient_noise_temperature(system, states, learning_rate=0.0, batch=2)


def test_baths_by_name_and_baths_that_do_not_fit():
    named = mlp(temperature={"layers_1": 1.2, "layers_0": 0.2}).temperature
    assert [float(x) for x in jax.tree.leaves(named)] == pytest.approx([0.2, 0.2, 1.2, 1.2])
    with pytest.raises(ValueError, match=r"one value for each of the 2 layers .*, got 3"):
        mlp(temperature=[1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"mobility must have a value for each of .*, got \['out"):
        mlp(mobility={"out": 1.0})
