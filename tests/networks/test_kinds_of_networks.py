"""Any Equinox module learns: energies, ledgers, layers and baths of six kinds, step by step."""

import itertools
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jaxtyping import Array
from parts import exhaustive

import thermoml as tml

close = partial(np.testing.assert_allclose, rtol=1e-10)
FEATURES = np.random.default_rng(5).normal(size=(12, 4))
VALUES = np.sin(FEATURES @ [1.0, -1.0, 0.5, 0.2])
CLASSES = np.arange(12) % 3
KEY, K, DT, STEPS = jax.random.key(0), 0.3, 0.02, 8


class TwoParts(eqx.Module):
    body: Any
    readout: Any
    use: Any  # of the body, for one example

    def __call__(self, x):
        return self.readout(self.use(self.body, x))


class BareArrays(eqx.Module):
    gain: Array
    mixing: list[Array]
    order: Array  # whole numbers do not evolve
    rounds: int = 2
    power: int = eqx.field(default=2, static=True)

    def __call__(self, x):
        x = x[self.order]
        for _ in range(self.rounds):
            x = jnp.tanh(self.mixing[0] @ x)
        return self.gain * (self.mixing[1] @ x) ** self.power


linear = lambda *sizes: eqx.nn.Linear(*sizes, key=KEY)
mlp = lambda activation=jnp.tanh: eqx.nn.MLP(4, "scalar", 3, 1, activation=activation, key=KEY)
convolve = lambda conv, x: jnp.tanh(conv(x[None])).ravel()
skip = lambda parts, x: x + jnp.tanh(parts[1](parts[0](x)))
scan = lambda cell, x: lax.scan(lambda h, z: (cell(z, h), 0), jnp.zeros(3), x.reshape(2, 2))[0]
convolution = lambda readout: TwoParts(eqx.nn.Conv1d(1, 2, 2, key=KEY), readout, convolve)
residual = lambda: TwoParts([linear(4, 4), eqx.nn.LayerNorm(4)], linear(4, "scalar"), skip)
recurrent = lambda: TwoParts(eqx.nn.GRUCell(2, 3, key=KEY), linear(3, "scalar"), scan)
tanh = eqx.nn.Lambda(jnp.tanh)
sequential = lambda: eqx.nn.Sequential([linear(4, 3), tanh, eqx.nn.LayerNorm(3), linear(3, 3)])
bare_arrays = lambda: BareArrays(
    jnp.asarray(0.8), [jax.random.normal(KEY, (4, 4)) / 3, jnp.full(4, 0.3)], jnp.arange(4)[::-1]
)
KINDS = {  # how to build it, and the sizes of its layers
    "MLP": (mlp, {"layers_0": 15, "layers_1": 4}),
    "convolution": (lambda: convolution(linear(6, "scalar")), {"body": 6, "readout": 7}),
    "residual": (residual, {"body_0": 20, "body_1": 8, "readout": 5}),
    "recurrent": (recurrent, {"body": 57, "readout": 4}),
    "sequential": (sequential, {"layers_0": 15, "layers_2": 6, "layers_3": 12}),
    "bare arrays": (bare_arrays, {"parameters": 1, "mixing_0": 16, "mixing_1": 4}),
}
call = eqx.filter_jit(lambda net, x: net(x))
RUN = {"n_trajectories": 2, "save_every": 1, "observables": {"state": lambda x, control, t: x}}
mid = lambda x: (x[:, :-1] + x[:, 1:]) / 2
ramp = lambda dt, start=0.5, end=1.0: tml.Ramp(start, end, t1=STEPS * dt)


def learning(net, prior_stiffness: Any = K, **options):
    classes = isinstance(net, eqx.nn.Sequential)
    energy = tml.CrossEntropy() if classes else tml.MeanSquaredError()
    data = (FEATURES, CLASSES if classes else VALUES)
    return tml.NetworkLearning(net, energy, data, prior_stiffness=prior_stiffness, **options)


def learned(net, dt=DT, **options):
    """A system and a run of two trajectories from `net`, with the state after every step."""
    system, key = learning(net, **options), jax.random.key(1)
    return system, tml.simulate(system, system.state(net), t1=STEPS * dt, dt=dt, key=key, **RUN)


def losses(net):
    """The loss of each example, by hand."""
    outputs = np.array([call(net, x) for x in jnp.asarray(FEATURES)])
    if outputs.ndim == 1:
        return (outputs - VALUES) ** 2 / 2
    return np.log(np.exp(outputs).sum(axis=1)) - outputs[np.arange(12), CLASSES]


def prior(net):
    """(k/2)|θ|², by hand."""
    arrays = jax.tree.leaves(eqx.filter(net, eqx.is_inexact_array))
    return K / 2 * sum(float(np.sum(np.asarray(array) ** 2)) for array in arrays)


def over(system, run, function):
    """A function of the network at each save, `[trajectory, save, ...]`."""
    at = lambda i, j: jax.tree.map(lambda leaf: leaf[i, j], run.observables["state"])
    saves = range(STEPS + 1)
    return np.array([[function(system.network(at(i, j))) for j in saves] for i in (0, 1)])


def states_and_slopes(system, run):
    """By layer θ and the gradient of the data's energy, `[trajectory, save, parameter]`."""
    states = run.observables["state"]
    slopes = jax.jit(jax.vmap(jax.vmap(jax.grad(system.data_energy))))(states)
    flat = lambda parts: np.concatenate([x.reshape(2, STEPS + 1, -1) for x in parts], axis=-1)
    there = [tml.networks.layers(system).leaves(tree) for tree in (states, slopes)]
    return [{name: flat(parts) for name, parts in each.items()} for each in there]


@pytest.fixture(
    scope="module",
    params=[
        "MLP",
        "convolution",
        "recurrent",
        *exhaustive("residual", "sequential", "bare arrays"),
    ],
)
def kind(request):
    """A network, its layers, and its run with a bath for each layer while its data come in."""
    build, sizes = KINDS[request.param]
    with jax.enable_x64(True):
        net, baths = build(), {name: 0.2 + 0.3 * i for i, name in enumerate(sizes)}
        yield net, sizes, baths, *learned(net, temperature=list(baths.values()), control=ramp(DT))


@pytest.mark.slow
def test_its_energy_is_the_loss_and_the_prior_by_hand(x64, kind):
    net, sizes, _, system, _ = kind
    state, each = system.state(net), losses(net)
    close(system.total_energy(state), each.mean() + prior(net), rtol=1e-12)
    found = system.energy(state, jnp.asarray(0.6), jnp.asarray([3, 3, 7]))  # a batch, at λ
    close(found, 0.6 * each[[3, 3, 7]].mean() + prior(net), rtol=1e-12)
    assert system.n_parameters == sum(sizes.values())


@pytest.mark.slow
def test_its_ledger_is_that_of_its_states(x64, kind):
    """Work is data switched on, a layer's heat is F∘dθ at the new control: all recomputed."""
    _, _, baths, system, run = kind
    data = over(system, run, lambda net: losses(net).mean())
    control = 0.5 + 0.5 * np.arange(STEPS + 1) / STEPS
    energy = control * data + over(system, run, prior)
    close(run.energy, energy, atol=1e-10)
    close(run.work[:, 1:], np.cumsum(np.diff(control) * data[:, :-1], axis=1), atol=1e-10)
    close(run.work - run.heat, energy - energy[:, :1], atol=1e-10)
    heats, entropy = tml.networks.layers(system).sum(run.heat_by_leaf), 0.0
    states, slopes = states_and_slopes(system, run)
    for name, theta in states.items():
        force = -control[1:, None] * mid(slopes[name]) - K * mid(theta)
        heat = np.cumsum((force * np.diff(theta, axis=1)).sum(-1), axis=1)
        assert abs(heat[:, -1]).min() > 1e-5
        close(heats[name][:, 1:], heat, atol=1e-10)
        entropy = entropy + heat / baths[name]
    close(run.entropy_flow[:, 1:], entropy, atol=1e-10)


@pytest.mark.slow
def test_heats_of_its_layers_miss_the_total_by_the_cube_of_a_step(x64, kind):
    """Without noise |dθ| is O(dt): as many steps half as long leave an eighth."""
    net, sizes, *_ = kind
    missed = []
    for dt in (6e-4, 3e-4):
        system, run = learned(net, dt, temperature=[0.0] * len(sizes), control=ramp(dt))
        heats = tml.networks.layers(system).sum(run.heat_by_leaf)
        missed.append(float((run.heat - sum(heats.values()))[0, -1]))
        assert abs(missed[-1]) < 1e-3 * run.heat[0, -1]
    assert missed[0] / missed[1] == pytest.approx(8, rel=0.05)


@pytest.mark.slow
def test_its_layers_are_those_of_the_module_tree(x64, kind):
    net, sizes, _, system, _ = kind
    assert list(tml.networks.layers(system).sizes.items()) == list(sizes.items())
    for option, more in itertools.product(("temperature", "mobility"), (-1, 1)):
        with pytest.raises(ValueError, match=f"{option} must .* the {len(sizes)} layers") as error:
            learning(net, **{option: [1.0] * (len(sizes) + more)})
        assert f"{list(sizes)}, got {len(sizes) + more}" in str(error.value)


def test_its_state_goes_back_to_a_network(x64, kind):
    net, _, _, system, run = kind
    state = jax.tree.map(lambda leaf: leaf[1], run.final_state)
    back = system.network(state)
    assert np.all(np.isfinite(call(back, jnp.asarray(FEATURES[0]))))
    assert eqx.tree_equal(system.state(back), state)
    # Whole numbers, functions and sizes are as they were, and every parameter has moved
    assert eqx.tree_equal(*(eqx.partition(x, eqx.is_inexact_array)[1] for x in (back, net)))
    for new, old in zip(*map(jax.tree.leaves, (state, system.state(net))), strict=True):
        assert np.all(new != old)


@pytest.mark.parametrize("mobility", [1.0, 0.0])
def test_a_new_batch_is_work(x64, mobility):
    """The energy at a save tells which two examples were shown, so the work can be recomputed."""
    system, run = learned(mlp(), batch=2, temperature=0.3, mobility=mobility)
    each, rest = over(system, run, losses), over(system, run, prior)
    batches = np.array(list(itertools.combinations_with_replacement(range(12), 2)))
    possible = each[..., batches].mean(-1)
    away = abs(possible - (np.asarray(run.energy) - rest)[..., None])
    assert np.sort(away)[..., 0].max() < 1e-12 < 1e-8 < np.sort(away)[..., 1].min()  # one fits
    shown = np.argmin(away, axis=-1)
    np.testing.assert_array_equal(shown[:, 0], shown[:, 1])  # the first step's from the start
    assert len(np.unique(shown)) > STEPS
    pair = lambda batch: np.take_along_axis(possible[:, :-1], batch[..., None], -1)[..., 0]
    work = np.cumsum(pair(shown[:, 1:]) - pair(shown[:, :-1]), axis=1)  # before the state moves
    close(run.work[:, 1:], work, atol=1e-12)
    close(run.work - run.heat, run.energy - run.energy[:, :1], atol=1e-12)
    full = each.mean(-1) + rest  # of all examples: its loss is not the heat, if anything moves
    apart = abs(run.heat + full - full[:, :1])[:, -1]
    assert np.all(apart > 1e-2) if mobility else np.all(abs(run.heat) < 1e-15)


def test_a_bath_that_cools_sets_noise_and_entropy_of_each_step(x64):
    """Noise of one key is the same in any bath: that of a steady one, scaled by √T(t)."""
    kicks, cooling = [], [(1.5, 0.7), (0.4, 0.2)]
    for baths in ([(0.5, 0.5)] * 2, cooling):
        system, run = learned(mlp(), temperature=[ramp(DT, *bath) for bath in baths])
        states, slopes = states_and_slopes(system, run)
        pulls = {name: DT * (slopes[name] + K * x)[:, :-1] for name, x in states.items()}
        kicks.append({name: np.diff(x, axis=1) + pulls[name] for name, x in states.items()})
    heats, entropy = tml.networks.layers(system).sum(run.heat_by_leaf), 0.0
    for name, ends in zip(("layers_0", "layers_1"), cooling, strict=True):
        bath = np.linspace(*ends, STEPS + 1)[1:]  # it moves first, to the end of the step
        close(kicks[1][name], np.sqrt(bath / 0.5)[:, None] * kicks[0][name], atol=1e-12)
        entropy = entropy + np.cumsum(np.diff(heats[name], axis=1) / bath, axis=1)
    close(run.entropy_flow[:, 1:], entropy, atol=1e-12)


def test_dead_relu_units_take_no_part_in_the_heat(x64):
    """Then only the readout's bias moves, in a parabola about the mean of the values."""
    net = eqx.tree_at(lambda net: net.layers[0].bias, mlp(jax.nn.relu), jnp.full(3, -100.0))
    system, run = learned(net, temperature=0.0, prior_stiffness=0.0)
    heats = tml.networks.layers(system).sum(run.heat_by_leaf)
    np.testing.assert_array_equal(heats["layers_0"], 0)
    away = (np.asarray(net.layers[1].bias) - VALUES.mean()) * (1 - DT) ** np.arange(STEPS + 1)
    close(run.energy[0], away**2 / 2 + VALUES.var() / 2, rtol=1e-12)
    close(heats["layers_1"][0], (away[0] ** 2 - away**2) / 2, atol=1e-14)
    close(run.heat, heats["layers_1"], atol=1e-14)


REFUSED = {
    "integers": (lambda: jax.tree.map(jnp.int32, linear(4, 1)), TypeError, "have floating arrays"),
    "another size": (lambda: linear(3, "scalar"), ValueError, r"shape \(4,\): .*\(3,\) and \(4,\)"),
    "no channel": (lambda: convolution(None).body, ValueError, r"shape \(4,\): .*rank 2.*\(4,\)"),
    "two outputs": (lambda: linear(4, 2), ValueError, r"shape \(12, 2\), got \(12,\)"),
    "a pair": (
        lambda: TwoParts(linear(4, "scalar"), lambda x: (x, x), lambda body, x: body(x)),
        ValueError,
        r"one array for each example, got \(ShapeDtypeStruct",
    ),
    "complex": (
        lambda: jax.tree.map(lambda x: x.astype(complex), linear(4, "scalar")),
        TypeError,
        "real parameters",
    ),
    "a grid": (lambda: convolution(jnp.diag), ValueError, r"\(n, outputs\) .* got \(12, 6, 6\)"),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("build", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_networks_that_do_not_fit_are_refused(x64, build, error, message):
    with pytest.raises(error, match=message):
        learning(build())


class Tuned(eqx.Module):
    """A number of the user's own that decides what is computed."""

    weight: jax.Array
    slope: float

    def __call__(self, x):
        return jnp.tanh(self.slope * (self.weight @ x)) if self.slope > 0 else self.weight @ x


@pytest.mark.parametrize("slope", [0.5, -1.0])
def test_plain_numbers_of_a_module_stay_what_they_are(x64, slope):
    features = np.random.default_rng(0).normal(size=(12, 4))
    network = Tuned(jnp.ones(4), slope)
    data = (features, features[:, 0])
    system = tml.NetworkLearning(network, tml.MeanSquaredError(), data, prior_stiffness=0.1)
    run = tml.simulate(system, system.state(network), t1=0.2, dt=0.1, key=jax.random.key(0))
    weight = run.final_state.weight[0]
    outputs = features @ weight
    outputs = np.tanh(slope * outputs) if slope > 0 else outputs
    energy = np.mean((outputs - features[:, 0]) ** 2) / 2 + 0.05 * weight @ weight
    close(run.energy[0, -1], energy, rtol=1e-12)
    assert system.network(jax.tree.map(lambda x: x[0], run.final_state)).slope == slope


def test_layers_of_one_name_are_refused():
    class Twins(eqx.Module):
        blocks: list
        blocks_0: eqx.nn.Linear

    linear = eqx.nn.Linear(2, 2, key=jax.random.key(0))
    with pytest.raises(ValueError, match="two modules of the network are both called 'blocks_0'"):
        tml.networks.layers(Twins([linear], linear))


@pytest.mark.parametrize("value", [None, "warm"])
def test_baths_that_are_no_numbers_are_refused(x64, value):
    with pytest.raises(TypeError, match="temperature of layers_1 must be a number or a function"):
        learning(mlp(), temperature=[1.0, value])
    with pytest.raises(TypeError, match="mobility must be a number or a function of time"):
        learning(mlp(), mobility=value)
