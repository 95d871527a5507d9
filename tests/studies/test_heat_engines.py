"""The study `heat_engines` in its quick setting, and its rank correlations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from thermoml.config import ConfigError
from thermoml.networks import ACTIVATIONS
from thermoml.numerics.rank_correlation import rank_correlation
from thermoml.studies import load_study

close = np.testing.assert_allclose
RELU, TANH = "relu", "tanh"


@pytest.fixture(scope="module")
def ran(finished):
    return finished("heat_engines")


@pytest.fixture(scope="module")
def measured(ran):
    study, _, results = ran
    return study.by_engine(results)


def test_every_engine_has_its_kind_and_efficiency(ran):
    """η of ReLU is 1/2, of tanh by trapezoids; the normal density makes them exact."""
    _, summary, _ = ran
    assert len(summary["points"]) == 4
    z = np.linspace(-12, 12, 4001)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * (z[1] - z[0])
    for entry in summary["points"]:
        phi = ACTIVATIONS[entry["activation"]][0](z)
        close(entry["efficiency"], np.sum(np.asarray(phi) ** 2 * density), rtol=1e-5)
        scale_free = entry["activation"] == RELU
        assert entry["type"] == ("scale_free" if scale_free else "temperature_dependent")
        assert not entry["pump"]


def test_examples_are_split_anew_and_without_overlap(ran):
    study, _, _ = ran
    name = next(iter(study.tasks))
    first, features, labels = study.system(name, TANH, 0.0)
    again, _, _ = study.system(name, TANH, 1.0)
    assert first.features.shape == (60, 3)
    assert features.shape == (100, 3)
    shared = (np.asarray(features)[:, None] == np.asarray(first.features)[None]).all(axis=2)
    assert not shared.any()
    assert not np.array_equal(first.features, again.features)
    pool, targets, _ = study.pools[name]
    rows = [np.flatnonzero(np.isclose(pool, x, rtol=1e-5).all(axis=1))[0] for x in features]
    close(targets[rows], labels)
    close(pool.T @ pool / len(pool), np.eye(3), atol=1e-9)


def test_networks_start_equally_hot_in_all_layers(ran, measured):
    """E z² of the first layer over many networks, exactly; the second in wide ones."""
    study, _, _ = ran
    name = next(iter(study.tasks))
    for activation in (RELU, TANH):
        start = study.initialisation(name, activation)
        variances = {
            k: float(start.for_leaf(k).std) ** 2
            for k in ("layers_0_weight", "layers_1_weight", "layers_0_bias")
        }
        system, *_ = study.system(name, activation, 0.0)
        squares = np.mean(np.sum(np.asarray(system.features) ** 2, axis=1))
        first = variances["layers_0_weight"] * squares + variances["layers_0_bias"]
        found = measured[name, activation]["temperature_before"][0]
        assert abs(found[0] - first) < 4 * 0.15  # 64 networks of 3 units
        close(variances["layers_0_weight"] * 3 + variances["layers_0_bias"], 1, rtol=1e-6)
        eta = study.efficiencies[activation][0]
        close(variances["layers_1_weight"] * 3 * eta + variances["layers_0_bias"], 1, rtol=1e-6)
    relu = measured[name, RELU]["efficiency_before"]
    assert np.all(abs(relu - 0.5) < 0.15)


def test_the_heats_of_layers_are_the_heat(measured):
    for values in measured.values():
        close(values["heat_by_layer"].sum(axis=1), values["heat"], rtol=0.05)
        assert np.all(values["heat"] > 0.2)
        assert np.all(values["accuracy"] > 0.8)
        assert np.all(values["accuracy"] > values["accuracy_before"] + 0.2)
        assert np.all(values["energy"] < 1.0)


def test_reversible_heat_is_of_the_normal_law(ran, measured):
    """τ(S₀ - S₁) from the widths of the start and the covariance of the last weights."""
    study, _, results = ran
    name = next(iter(study.tasks))
    point = results.sel(data=name, activation=TANH, split=1.0)
    size = study.config.n_parameters(3, 3)
    weights = point.weights_trajectories.values[:, :size].astype(float)
    assert size == 3 * 3 + 3 + 3 * 3 + 3 + 3 * 3 + 3
    assert np.all(weights.std(axis=0) > 0)
    count = len(weights)
    # E ln det of a sample covariance is below that of the law by digammas
    drops = (count - 1 - np.arange(size)) / 2
    bias = np.sum(np.log(2 / (count - 1)) + special.digamma(drops))
    after = (np.linalg.slogdet(2 * np.pi * np.e * np.cov(weights.T))[1] - bias) / 2
    start = study.initialisation(name, TANH)
    leaves = {"layers_0_weight": 9, "layers_1_weight": 9, "layers_2_weight": 9, "layers_0_bias": 9}
    before = sum(
        n * np.log(2 * np.pi * np.e * float(start.for_leaf(leaf).std) ** 2) / 2
        for leaf, n in leaves.items()
    )
    found = measured[name, TANH]["reversible_heat"][1]
    close(found, study.config.bath_temperature * (before - after), rtol=1e-4)
    heat = measured[name, TANH]["heat"][1]
    close(measured[name, TANH]["unavoidable_fraction"][1], found / heat)


def test_layers_cool_towards_the_bath(measured):
    for (_, activation), values in measured.items():
        local = values["local_temperature"].mean(axis=0) / 0.002
        assert local.shape == (5, 3)
        assert np.all(local[0] > 20)
        if activation == TANH:
            assert np.all(abs(local[-1] - 1) < 1.0)


def test_the_table_tells_the_correlations(ran):
    study, summary, _ = ran
    text = study.table(summary)
    assert "efficiency and accuracy" in text
    assert len(summary["correlations"]) == 2 * 2 * 4
    means = [summary["points"][i]["accuracy"]["mean"] for i in (0, 1)]
    sign = np.sign(means[0] - means[1])  # of two activations ReLU has the higher efficiency
    assert summary["correlations"][0]["rank_correlation"] == sign
    assert summary["correlations"][0]["p_value"] == 1


def test_rank_correlations_are_spearmans():
    generator = np.random.default_rng(4)
    quantity = generator.normal(size=9)
    values = quantity[:, None] + 2 * generator.normal(size=(9, 4))
    rho = rank_correlation(quantity, values)
    statistic, by_chance = stats.spearmanr(quantity, values.mean(axis=1))
    close(rho.rank_correlation, statistic)
    assert abs(rho.p_value - by_chance) < 0.03
    low, high = rho.interval
    assert -1 <= low < rho.rank_correlation < high <= 1
    sure = rank_correlation(quantity, quantity[:, None] ** 3 + 1e-6 * generator.normal(size=(9, 4)))
    close(sure.rank_correlation, 1)
    close(sure.interval, [1, 1], atol=0.1)
    assert sure.p_value < 1e-3


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("activation=[relu, swoosh]", "there is no activation 'swoosh'"),
        ("activation=[relu]", "activation"),
        ("activation=[relu, relu]", "differ from one another"),
        ("data=[{name: diabetes}]", "diabetes is a regression"),
        ("n_trajectories=50", "must exceed the 125 parameters"),
        ("saves=7", "must divide the 800 steps"),
        ("splits=1", "splits"),
    ],
)
def test_bad_settings_are_named(override, message):
    with pytest.raises(ConfigError, match=message):
        load_study("heat_engines", overrides=[override])


def test_more_examples_than_there_are_is_named():
    with pytest.raises(ConfigError, match="n_train"):
        load_study("heat_engines", overrides=["n_train=1500", "n_test=400"])


def test_activations_of_other_modules():
    """By `module:name`; called by the name alone."""
    study = load_study("heat_engines", overrides=["activation=[relu, jax.nn:log_sigmoid]"])
    assert list(study.config.activations) == ["relu", "log_sigmoid"]
    assert study.config.activations["log_sigmoid"].function is jax.nn.log_sigmoid


def test_activations_are_functions_of_elements():
    z = jnp.linspace(-3, 3, 13)
    for name, (function, kinks) in ACTIVATIONS.items():
        values = jax.vmap(function)(z)
        close(function(z), values, rtol=1e-6, atol=1e-7, err_msg=name)
        assert np.all(np.isfinite(kinks))
