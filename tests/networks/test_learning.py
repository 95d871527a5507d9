"""Learning systems: energies by hand, states there and back, ledgers, and what is refused."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml

close = np.testing.assert_allclose

RNG = np.random.default_rng(1)
FEATURES = RNG.normal(size=(12, 3))
VALUES = FEATURES @ [1.0, -0.5, 0.2] + RNG.normal(size=12)
TWO_COLUMNS = np.stack([VALUES, VALUES**2], axis=1)
LABELS = np.arange(12) % 2
CLASSES = np.arange(12) % 3
KEY = jax.random.key(0)


def squared(f, y):
    return np.mean(np.sum((f - y).reshape(len(f), -1) ** 2, axis=1)) / 2


def absolute(f, y):
    return np.mean(np.sum(np.abs(f - y).reshape(len(f), -1), axis=1))


def logistic(f, y):
    return -np.mean(np.log(1 / (1 + np.exp(-f * (2 * y - 1)))))


def softmax(f, y):
    chances = np.exp(f) / np.exp(f).sum(axis=1, keepdims=True)
    return -np.mean(np.log(chances[np.arange(len(y)), y]))


FORMS = {
    "squared": (tml.MeanSquaredError(), VALUES, squared),
    "two columns": (tml.MeanSquaredError(), TWO_COLUMNS, squared),
    "absolute": (tml.MeanAbsoluteError(), VALUES, absolute),
    "two columns, absolute": (tml.MeanAbsoluteError(), TWO_COLUMNS, absolute),
    "logistic": (tml.CrossEntropy(), LABELS, logistic),
    "softmax": (tml.CrossEntropy(), CLASSES, softmax),
}


def mlp(outputs="scalar", inputs=3):
    return eqx.nn.MLP(inputs, outputs, 4, 1, jnp.tanh, key=KEY)


def network(net=None, energy=None, data=None, **options):
    data = (FEATURES, VALUES) if data is None else data
    net, energy = net or mlp(), energy or tml.MeanSquaredError()
    return tml.NetworkLearning(net, energy, data, **({"prior_stiffness": 0.7} | options))


@pytest.mark.parametrize("form", FORMS)
def test_a_linear_model_has_the_energy_of_its_loss_and_prior(dtype, form):
    energy, targets, by_hand = FORMS[form]
    system = tml.LinearLearning(energy, (FEATURES, targets), prior_stiffness=0.7)
    theta = np.random.default_rng(2).normal(size=system.like.shape)
    assert system.n_parameters == theta.size == 3 * max(1, len(theta) if theta.ndim == 2 else 1)
    exact = 1e-12 if dtype == jnp.float64 else 1e-5
    state = jnp.asarray(theta, dtype)
    data, prior = by_hand(FEATURES @ theta.T, targets), 0.35 * np.sum(theta**2)
    found = system.total_energy(state)
    assert found.dtype == dtype == system.like.dtype
    close(found, data + prior, rtol=exact)
    close(system.data_energy(state), data, rtol=exact)
    close(system.prior_energy(state), prior, rtol=exact)
    # The control scales the data alone; a sample is some of the examples
    close(system.energy(state, jnp.asarray(0.3, dtype), None), 0.3 * data + prior, rtol=exact)
    rows = np.array([2, 2, 5])
    shown = by_hand(FEATURES[rows] @ theta.T, targets[rows])
    close(system.energy(state, None, jnp.asarray(rows)), shown + prior, rtol=exact)


@pytest.mark.parametrize("form", ["squared", "softmax"])
def test_a_network_has_the_energy_of_its_loss_and_prior(x64, form):
    energy, targets, by_hand = FORMS[form]
    net = mlp(3 if form == "softmax" else "scalar")
    system = network(net, energy, (FEATURES, targets))
    state = system.state(net)
    first, last = net.layers
    hidden = np.tanh(FEATURES @ np.asarray(first.weight).T + np.asarray(first.bias))
    outputs = hidden @ np.asarray(last.weight).T + np.asarray(last.bias)
    data = by_hand(outputs if form == "softmax" else outputs[:, 0], targets)
    prior = 0.35 * sum(np.sum(np.asarray(leaf) ** 2) for leaf in jax.tree.leaves(state))
    close(system.total_energy(state), data + prior, rtol=1e-12)
    sizes = [3 * 4, 4, 4 * last.bias.size, last.bias.size]
    assert system.n_parameters == sum(sizes)


def test_a_network_and_its_state_are_the_same_there_and_back():
    net = mlp()
    system = network(net)
    state = system.state(net)
    assert eqx.tree_equal(system.network(state), net)
    doubled = jax.tree.map(lambda x: 2 * x, state)
    assert eqx.tree_equal(system.state(system.network(doubled)), doubled)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), system.like) == jax.tree.map(
        lambda x: (x.shape, x.dtype), state
    )
    close(system.network(state)(jnp.asarray(FEATURES[0], jnp.float32)), net(FEATURES[0]), rtol=1e-6)


def assert_ledger(system, found):
    """dU = W - Q, with the energies computed anew where they do not hang on a batch."""
    change = found.energy[:, -1] - found.energy[:, 0]
    close(change, found.work[:, -1] - found.heat[:, -1], atol=2e-5)
    assert np.abs(found.heat[:, -1]).min() > 1e-3
    if system.batch is None:
        end = jax.vmap(system.total_energy)(found.final_state)
        close(found.energy[:, -1], end, rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "mode"), [("linear", "full"), ("linear", "control"), ("network", "batch")]
)
def test_simulations_balance_their_ledger(kind, mode):
    options = {
        "full": {},
        "batch": {"batch": 4},
        "control": {"control": tml.Ramp(0.0, 1.0, t1=0.5)},
    }[mode]
    if kind == "linear":
        form = tml.CrossEntropy()
        system = tml.LinearLearning(form, (FEATURES, CLASSES), prior_stiffness=0.7, **options)
        start = jnp.ones((3, 3))
    else:
        system = network(temperature=0.3, **options)
        start = system.state(mlp())
    assert system.autonomous == (mode == "full")
    found = tml.simulate(system, start, t1=0.5, dt=0.05, key=KEY, n_trajectories=3)
    assert_ledger(system, found)
    if mode == "full":
        close(found.work, 0, atol=1e-6)  # nothing but the bath moves
    else:
        assert np.abs(found.work[:, -1]).min() > 1e-3
    if mode == "control":  # it starts in the prior alone
        close(found.energy[:, 0], system.prior_energy(start), rtol=1e-5)


def test_work_of_the_control_is_the_energy_of_the_data_it_switches_on():
    """At rest (mobility and noise next to nothing), W is the whole data energy."""
    control = tml.Ramp(0.0, 1.0, t1=0.5)
    system = tml.LinearLearning(
        tml.MeanAbsoluteError(), (FEATURES, VALUES), mobility=1e-9, control=control
    )
    start = jnp.asarray([1.0, 2.0, -1.0])
    found = tml.simulate(system, start, t1=0.5, dt=0.05, key=KEY)
    close(found.work[0, -1], system.data_energy(start), rtol=1e-4)


def test_a_batch_is_drawn_with_replacement_from_all_examples():
    system = network(batch=4)
    rows = jax.vmap(system.draw)(jax.random.split(KEY, 3000))
    counts = np.bincount(np.ravel(rows), minlength=12)
    assert rows.shape == (3000, 4)
    # 12 counts of mean 1000 and deviation 30.3: beyond 4.5 once in 12 000 keys
    assert np.all(np.abs(counts - 1000) < 4.5 * np.sqrt(12000 / 12 * 11 / 12))
    twice = np.mean([len(set(row)) < 4 for row in np.asarray(rows)])
    alone = 11 * 10 * 9 / 12**3
    assert abs(twice - (1 - alone)) < 4 * np.sqrt(alone * (1 - alone) / 3000)  # once in 16 000


def test_dropout_is_inert():
    layers = [eqx.nn.Linear(3, 4, key=KEY), eqx.nn.Lambda(jnp.tanh)]
    last = eqx.nn.Linear(4, "scalar", key=jax.random.key(1))
    plain = eqx.nn.Sequential([*layers, last])
    dropped = eqx.nn.Sequential([*layers, eqx.nn.Dropout(0.5), last])
    energies = [network(net).total_energy(network(net).state(net)) for net in (plain, dropped)]
    assert energies[0] == energies[1]


def test_labels_may_be_floats_booleans_or_lists_and_values_may_be_whole():
    form = tml.CrossEntropy()
    theta = jnp.asarray([0.5, 1.0, -1.0])
    ways = [LABELS, LABELS.astype(float), LABELS > 0, LABELS.tolist(), jnp.asarray(LABELS)]
    found = [tml.LinearLearning(form, (FEATURES, y)).total_energy(theta) for y in ways]
    assert all(energy == found[0] for energy in found)
    squares = [tml.LinearLearning(tml.MeanSquaredError(), (FEATURES, y)) for y in (LABELS, ways[1])]
    assert squares[0].total_energy(theta) == squares[1].total_energy(theta)
    named = tml.Data(FEATURES, LABELS, class_names=("a", "b", "c"))
    assert tml.LinearLearning(form, named).like.shape == (3, 3)  # one that no example has


def linear(targets, energy=None, **options):
    return lambda: tml.LinearLearning(energy or tml.CrossEntropy(), (FEATURES, targets), **options)


def stateful(layer):
    return lambda: network(eqx.nn.Sequential([layer(), mlp()]))


def tainted(value):
    return np.concatenate([[value], LABELS[1:]])


REFUSED = {
    "half a label": (linear(LABELS + 0.5), ValueError, "labels 0 … .*, got 0.5 in row 0"),
    "NaN label": (linear(tainted(np.nan)), ValueError, "got nan in row 0"),
    "infinite label": (linear(tainted(np.inf)), ValueError, "row 0"),
    "no finite label": (linear(LABELS * np.nan), ValueError, "got nan in row 0"),
    "-1 and 1": (linear(2.0 * LABELS - 1), ValueError, r"become 0 and 1 by \(y \+ 1\) / 2"),
    "one-hot": (linear(np.eye(2)[LABELS]), ValueError, "argmax"),
    "words": (linear(np.array(["a", "b"] * 6)), TypeError, "targets must be numbers"),
    "words to fit": (linear(["a"] * 12, tml.MeanSquaredError()), TypeError, "must be numbers"),
    "too few": (linear(LABELS[:5]), ValueError, r"n = 12 rows of features, got \(5,\)"),
    "a class too many": (
        lambda: network(mlp(2), tml.CrossEntropy(), (FEATURES, CLASSES)),
        ValueError,
        "0 … 1 .*, got 2 in row 2; give the model one output for each class",
    ),
    "NaN feature": (
        lambda: tml.LinearLearning(tml.MeanSquaredError(), (FEATURES * np.nan, VALUES)),
        ValueError,
        "features must be finite .* row 0, column 0",
    ),
    "one array": (lambda: network(data=FEATURES), TypeError, "a pair .features, targets."),
    "no form": (linear(VALUES, "mse"), TypeError, "energy must be an AbstractEnergy"),
    "prior below 0": (linear(LABELS, prior_stiffness=-1), ValueError, "prior_stiffness .* >= 0"),
    "NaN prior": (linear(LABELS, prior_stiffness=np.nan), ValueError, "prior_stiffness must be"),
    "word for a prior": (linear(LABELS, prior_stiffness="a"), TypeError, "must be a number"),
    "several priors": (linear(LABELS, prior_stiffness=np.ones(3)), ValueError, r"one number.*\(3"),
    "no batch": (linear(LABELS, batch=0), ValueError, "batch must be at least 1"),
    "half a batch": (linear(LABELS, batch=2.5), TypeError, "batch must be a whole number"),
    "another input size": (
        lambda: network(mlp(inputs=4)),
        ValueError,
        r"network must take one example of shape \(3,\)",
    ),
    "too many outputs": (lambda: network(mlp(2)), ValueError, r"outputs' shape \(12, 2\)"),
    "no parameters": (lambda: network(jnp.sum), TypeError, "floating arrays as parameters"),
    "BatchNorm": (
        stateful(lambda: eqx.nn.BatchNorm(3, axis_name="batch", mode="batch")),
        TypeError,
        "state of their own, got BatchNorm.* use LayerNorm",
    ),
    "SpectralNorm": (
        stateful(lambda: eqx.nn.SpectralNorm(eqx.nn.Linear(3, 3, key=KEY), "weight", key=KEY)),
        TypeError,
        "got SpectralNorm",
    ),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("case", REFUSED)
def test_refusals_say_what_is_wrong(case):
    call, kind, message = REFUSED[case]
    with pytest.raises(kind, match=message):
        call()


def test_frozen_leaves_stay_and_are_no_parameters(x64):
    network = eqx.nn.MLP(3, "scalar", 2, 1, key=jax.random.key(0))
    system = tml.NetworkLearning(
        network,
        tml.MeanSquaredError(),
        (FEATURES, FEATURES[:, 0]),
        prior_stiffness=0.3,
        temperature=[0.5],
        frozen=["layers_0_*", "*bias"],
    )
    assert system.n_parameters == 2
    assert list(tml.networks.layers(system).members) == ["layers_1"]
    state = system.state(network)
    assert [leaf.shape for leaf in jax.tree.leaves(state)] == [network.layers[1].weight.shape]
    np.testing.assert_allclose(
        system.prior_energy(state), 0.15 * jnp.sum(network.layers[1].weight ** 2)
    )
    run = tml.simulate(system, state, t1=0.1, dt=0.05, key=jax.random.key(1), n_trajectories=2)
    moved = system.network(jax.tree.map(lambda leaf: leaf[1], run.final_state))
    np.testing.assert_array_equal(moved.layers[0].weight, network.layers[0].weight)
    assert not np.allclose(moved.layers[1].weight, network.layers[1].weight)
    with pytest.raises(
        ValueError, match="frozen: 'none' fits no leaf of the network, whose leaves are"
    ):
        tml.NetworkLearning(network, tml.MeanSquaredError(), (FEATURES, FEATURES[:, 0]),
                            prior_stiffness=1.0, frozen=["none"])  # fmt: skip
    with pytest.raises(TypeError, match="as parameters that evolve"):
        tml.NetworkLearning(network, tml.MeanSquaredError(), (FEATURES, FEATURES[:, 0]),
                            prior_stiffness=1.0, frozen=["*"])  # fmt: skip
