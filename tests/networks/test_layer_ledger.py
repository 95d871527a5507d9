"""Rates and currents by layer, and thermometers during a run, in a harmonic network."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml

close = np.testing.assert_allclose
RNG = np.random.default_rng(3)
FEATURES = RNG.normal(size=(10, 4))
VALUES = RNG.normal(size=10)
BATHS = [0.3, 1.0, 2.0]
SIZES = [2, 2, 1]
DT, COUNT = 0.05, 4000
NAMES = ["parts_0", "parts_1", "parts_2"]
KEY = jax.random.key(0)


class Sum(eqx.Module):
    """a·(x₁, x₂) + b·(x₃, x₄) + c: linear in its three layers."""

    parts: list

    def __call__(self, x):
        a, b, c = self.parts
        return a @ x[:2] + b @ x[2:] + c[0]


@pytest.fixture(scope="module")
def system():
    with jax.enable_x64(True):
        return tml.NetworkLearning(
            Sum([jnp.zeros(size) for size in SIZES]),
            tml.MeanSquaredError(),
            (FEATURES, VALUES),
            prior_stiffness=0.3,
            temperature=BATHS,
        )


@pytest.fixture(scope="module")
def ran(system):
    with jax.enable_x64(True):
        meter = tml.Thermometer(system, key=KEY, n_probes=2)
        run = tml.simulate(
            system,
            system.state(system.template),
            t1=24.0,
            dt=DT,
            key=jax.random.key(5),
            n_trajectories=COUNT,
            save_every=160,
            observables={"layers": meter, "states": lambda x, control, t: x},
        )
        return run, meter


def exact():
    """Stationary covariance of the Euler-Maruyama steps, and the heat in each; K and layers."""
    wide = np.column_stack([FEATURES, np.ones(10)])
    stiffness = wide.T @ wide / 10 + 0.3 * np.eye(5)
    step, noise = np.eye(5) - stiffness * DT, 2 * DT * np.diag(np.repeat(BATHS, SIZES))
    covariance = np.linalg.solve(np.eye(25) - np.kron(step, step), noise.ravel()).reshape(5, 5)
    heat = stiffness @ (np.eye(5) + step) @ covariance @ (np.eye(5) - step).T - stiffness @ noise
    owner = np.repeat(np.arange(3), SIZES)
    rates = np.bincount(owner, np.diag(heat) / 2 / DT)
    return stiffness, covariance, owner, rates


@pytest.mark.slow
def test_rates_and_currents_are_those_of_the_stationary_steps(x64, system, ran):
    """8 comparisons to 4 standard errors."""
    run, _ = ran
    ledger = tml.networks.layer_ledger(system, run, since=8.0)
    *_, rates = exact()
    assert rates[0] > 0.1 > -0.1 > rates[2]
    for name, bath, rate in zip(NAMES, BATHS, rates, strict=True):
        mean, error = ledger.heat_rate_by_layer[name]
        assert abs(mean - rate) < 4 * error < 0.05
        close(ledger.entropy_flow_rate_by_layer[name], (mean / bath, error / bath), rtol=1e-9)
    assert list(ledger.energy_current) == ["parts_0 → parts_1", "parts_1 → parts_2"]
    for (mean, error), rate in zip(ledger.energy_current.values(), -np.cumsum(rates), strict=False):
        assert abs(mean - rate) < 4 * error < 0.06
    assert ledger.energy_current["parts_1 → parts_2"].mean < 0  # from the hot layer to the others
    produced, error = ledger.entropy_flow_rate
    assert abs(produced - np.sum(rates / BATHS)) < 4 * error
    assert produced > 10 * error
    for still in (ledger.energy_rate, ledger.heat_rate):
        assert abs(still.mean) < 4 * still.standard_error
    assert (float(ledger.start), float(ledger.end)) == (8.0, 24.0)
    lines = str(ledger).splitlines()
    assert lines[0] == "LayerLedger from t = 8 to 24"
    assert lines[3].split("  ")[1] == str(ledger.heat_rate_by_layer["parts_0"])
    assert lines[-1].endswith(f"{ledger.energy_current['parts_1 → parts_2']}")


@pytest.mark.slow
def test_sums_over_layers_are_the_whole(x64, system, ran):
    run, _ = ran
    ledger = tml.networks.layer_ledger(system, run)
    heats, flows = ledger.heat_rate_by_layer.values(), ledger.entropy_flow_rate_by_layer.values()
    close(sum(rate.mean for rate in heats), ledger.heat_rate.mean, rtol=1e-9)
    close(sum(rate.mean for rate in flows), ledger.entropy_flow_rate.mean)
    close(ledger.work_rate.mean - ledger.heat_rate.mean, ledger.energy_rate.mean, atol=1e-12)
    close(ledger.residual_rate.mean, 0, atol=1e-12)  # quadratic: the trapezoidal rule is exact
    close(ledger.heat_rate.mean, -(run.energy[:, -1] - run.energy[:, 0]).mean() / 24)
    coarse = tml.networks.layer_ledger(system, run, by={"first": "parts_0", "rest": "*"})
    fine = ledger.energy_current["parts_0 → parts_1"]
    close(coarse.energy_current["first → rest"], fine, rtol=1e-12)


def test_a_thermometer_reads_the_temperatures_of_stored_states(x64, system, ran):
    """Squares and virials are those of stored states; traces to 4 errors of their probes."""
    run, meter = ran
    local = meter.read(run.observables["layers"])
    stiffness, covariance, owner, _ = exact()
    bent = np.bincount(owner, np.diag(stiffness))
    squares = np.bincount(owner, np.diag(stiffness @ covariance @ stiffness))
    for save in (1, 3):
        states = jax.tree.map(lambda x, save=save: x[:, save], run.observables["states"])
        stored = tml.local_temperatures(system, states, key=jax.random.key(2), n_probes=2)
        for i, name in enumerate(NAMES):
            virial = [x[save] for x in local.virial[name]]
            close(virial, stored.virial[name], rtol=1e-10)
            value, error = (x[save] for x in local.configurational[name])
            assert abs(value - squares[i] / bent[i]) < 4 * error
            assert local.bath[name].shape == (4,)
    assert np.isnan(local.configurational["parts_0"].standard_error[0])  # all began in one state
    traces = jax.tree.map(lambda x: x[:, 1:], run.observables["layers"].trace)
    for i, name in enumerate(NAMES):
        mean, error = traces[name].mean(), traces[name].std() / traces[name].size ** 0.5
        assert abs(mean - bent[i]) < 4 * error + 1e-9
    values = np.asarray(traces["parts_0"])
    assert len(np.unique(values.round(9))) > 50  # probes differ
    last = jax.tree.map(lambda x: x[-1], local)
    assert str(local) == f"{last}\n(the last entry of arrays of shape (4,))"
    assert f"{last.virial['parts_1']}" in str(local)
    moments = jax.tree.map(lambda x: x[:, -1], run.observables["layers"])
    assert f"{np.mean(moments.virial['parts_1']):.6g}" in str(moments)
    # The rate of heat in the final states agrees with the ledger's to O(dt)
    for i, name in enumerate(NAMES):
        mean, error = (x[-1] for x in local.heat_rate[name])
        assert abs(mean - (squares[i] - BATHS[i] * bent[i])) < 4 * error < 0.3


def test_a_control_scales_the_energy_of_a_thermometer(x64):
    scaled = tml.NetworkLearning(
        Sum([jnp.ones(size) for size in SIZES]),
        tml.MeanSquaredError(),
        (FEATURES, VALUES),
        prior_stiffness=0.0,
        control=tml.Ramp(0.0, 1.0, 0.0, 2.0),
    )
    state = scaled.state(scaled.template)
    meter = tml.Thermometer(scaled, key=KEY)
    half, whole = (meter(state, jnp.asarray(c), jnp.asarray(0.0)) for c in (0.5, 1.0))
    close(half.square["parts_1"], whole.square["parts_1"] / 4)
    many = jax.tree.map(lambda x: jnp.stack([x, 2 * x]), state)
    early, late = (tml.local_temperatures(scaled, many, key=KEY, t=t) for t in (1.0, 2.0))
    close(early.virial["parts_1"][0], late.virial["parts_1"][0] / 2)


@pytest.mark.slow
def test_heats_that_do_not_add_up_are_reported(x64):
    network = eqx.nn.MLP(4, "scalar", 3, 1, activation=jnp.tanh, key=jax.random.key(0))
    system = tml.NetworkLearning(
        network,
        tml.MeanSquaredError(),
        (3 * FEATURES, 5 * VALUES),
        prior_stiffness=0.1,
        temperature=0.5,
    )
    run = tml.simulate(
        system, system.state(network), t1=4.0, dt=0.04, key=jax.random.key(0), n_trajectories=200
    )
    with pytest.warns(tml.networks.LedgerWarning, match="use a smaller dt"):
        tml.networks.layer_ledger(system, run)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"since": 7.9}, "since must be the time of a save"),
        ({"since": 24.0}, "before the last"),
        ({"run": lambda run: eqx.tree_at(lambda r: r.heat, run, run.heat[:1])}, "trajectories"),
        ({"run": lambda run: eqx.tree_at(lambda r: r.heat_by_leaf, run, [1.0])}, "other leaves"),
    ],
)
def test_bad_input_is_named(x64, system, ran, change, message):
    run = change.pop("run", lambda run: run)(ran[0])
    with pytest.raises(ValueError, match=message):
        tml.networks.layer_ledger(system, run, **change)


@pytest.mark.usefixtures("unchecked")
def test_thermometers_are_for_learning_systems():
    with pytest.raises(TypeError, match="learning system"):
        tml.Thermometer(tml.Langevin(lambda x, _: x**2), key=KEY)  # pyright: ignore
    linear = tml.LinearLearning(tml.MeanSquaredError(), (FEATURES, VALUES))
    with pytest.raises(ValueError, match="n_probes"):
        tml.Thermometer(linear, key=KEY, n_probes=0)


def test_probes_are_those_of_the_key():
    with pytest.raises(TypeError, match="'key'"):
        tml.Thermometer(tml.LinearLearning(tml.MeanSquaredError(), (FEATURES, VALUES)))
    linear = tml.LinearLearning(tml.MeanSquaredError(), (FEATURES, VALUES))
    read = lambda seed: tml.Thermometer(linear, key=jax.random.key(seed))(jnp.ones(4), None, 0.0)
    first, same, other = (read(seed).trace["parameters"] for seed in (0, 0, 1))
    assert first == same != other
