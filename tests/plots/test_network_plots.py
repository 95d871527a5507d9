"""Figures of networks: the numbers of the results."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml
from thermoml import Estimate, plots
from thermoml.plots import COLOURS

KEY = jax.random.key(0)


def test_efficiencies_and_balances(line):
    temperatures = jnp.asarray([0.5, 1.0, 2.0])
    engines = {
        name: tml.classify_engine(function, temperatures=temperatures)
        for name, function in {"tanh": jnp.tanh, "pump": lambda z: 2 * z}.items()
    }
    ax = plots.efficiency(engines).axes[0]
    x, y = line(ax, "tanh")
    np.testing.assert_allclose(x, temperatures)
    np.testing.assert_allclose(y, tml.work_efficiency(jnp.tanh, temperatures), rtol=1e-6)
    assert len(ax.get_lines()) == 3  # a line at 1, for there is a pump
    balances = {
        "tanh": tml.networks.engine_balance(jnp.tanh, 1.0),
        "pump": tml.networks.engine_balance(lambda z: 2 * z, 1.0),
    }
    ax = plots.engine_balance(balances).axes[0]
    heights = {c.get_label(): [b.get_height() for b in c] for c in ax.containers}
    bottoms = {c.get_label(): [b.get_y() for b in c] for c in ax.containers}
    for part in ("coherent", "constant", "distortion", "absorbed"):
        expected = [float(getattr(balance, part)) for balance in balances.values()]
        np.testing.assert_allclose(heights[part], expected, rtol=1e-6, atol=1e-9)
    assert heights["absorbed"][1] == pytest.approx(-3, rel=1e-5)
    assert bottoms["absorbed"] == [pytest.approx(float(balances["tanh"].efficiency)), 0]
    several = tml.networks.engine_balance(jnp.tanh, temperatures)
    with pytest.raises(ValueError, match=r"at one temperature is drawn, got '' of shape \(3,\)"):
        plots.engine_balance(several)


@pytest.fixture(scope="module")
def report():
    network = eqx.nn.MLP(3, 2, 4, 2, jnp.tanh, key=KEY)
    return tml.networks.measure_engines(network, jax.random.normal(KEY, (10, 3)))


@pytest.mark.usefixtures("unchecked")
def test_chains_with_measured_engines(report, line, bars):
    chain = tml.engine_chain(jnp.tanh, depth=2, weight_variance=1.5)
    figure = plots.engine_chain({"a": chain, "b": chain}, measured={"b": report})
    ax = figure.axes[0]
    x, y = line(ax, "a")
    assert x.tolist() == [1, 2, 3]
    np.testing.assert_allclose(y, chain.temperature, rtol=1e-6)
    x, y, length = bars(ax.containers[0])
    engines = list(report.engines.values())
    assert x.tolist() == [1, 2]
    np.testing.assert_allclose(y, [e.temperature.mean for e in engines], rtol=1e-6)
    expected = [2 * e.temperature.standard_error for e in engines]
    np.testing.assert_allclose(length, expected, rtol=1e-5)
    assert ax.containers[0][0].get_color() == COLOURS[1]
    chi = plots.engine_chain(chain, "chi").axes[0]
    np.testing.assert_allclose(list(line(chi))[1], chain.chi, rtol=1e-6)
    with pytest.raises(ValueError, match="one of temperature, efficiency, got 'chi'"):
        plots.engine_chain(chain, "chi", measured=report)
    with pytest.raises(ValueError, match="one of temperature, .*, chi, got 'heat'"):
        plots.engine_chain(chain, "heat")


def test_measured_engines(report, bars):
    left, right = plots.engines(report).axes
    engines = list(report.engines.values())
    for container, part in (
        (left.containers[0], [e.temperature for e in engines]),
        (right.containers[0], [e.efficiency for e in engines]),
        (right.containers[1], [e.coherent for e in engines]),
    ):
        x, y, length = bars(container)
        assert x.tolist() == [1, 2]
        np.testing.assert_allclose(y, [x.mean for x in part], rtol=1e-6)
        np.testing.assert_allclose(length, [2 * x.standard_error for x in part], rtol=1e-5)
    assert [x.get_text() for x in left.get_xticklabels()] == ["layers 0", "layers 1"]


def path(error):
    times = jnp.asarray([0.0, 1.0, 2.0])
    energy, entropy = jnp.asarray([3.0, 2.0, 1.5]), jnp.asarray([4.0, 3.5, 3.25])
    errors = jnp.full(3, error)
    bath = jnp.asarray(0.5)
    return tml.networks.TrainingPath(times, energy, errors, entropy, 2 * errors, bath)


def test_training_paths(line, bars):
    left, right = plots.training_path({"a": path(0.0)}, measured={"a": path(0.25)}).axes
    assert [x.tolist() for x in line(left, "a")] == [[4, 3.5, 3.25], [3, 2, 1.5]]
    x, y, length = bars(left.containers[0])
    assert (x.tolist(), y.tolist(), length.tolist()) == (
        *([4, 3.5, 3.25], [3, 2, 1.5]),
        [0.5, 0.5, 0.5],
    )
    horizontal = left.containers[0][2][0].get_segments()[0]
    np.testing.assert_allclose(horizontal, [[3, 3], [5, 3]])
    produced = np.asarray(path(0.0).entropy_production[1:])
    np.testing.assert_allclose(list(line(right)), [[1, 2], produced])
    np.testing.assert_allclose(right.containers[0][0].get_ydata(), produced)


def test_transitions(line):
    features = jax.random.normal(KEY, (20, 2))
    widths = jnp.asarray([0.01, 0.1, 1.0, 3.0])
    found = jax.vmap(
        lambda std: tml.linear_temperature(
            features,
            features[:, 0],
            energy=tml.MeanSquaredError(),
            initialisation=tml.networks.Normal(std),
            bath_temperature=0.05,
        )
    )(widths)
    assert (found.entropy_drop < 0).tolist() == [True, True, False, False]
    left, right = plots.transition(found, widths, label="width").axes
    np.testing.assert_allclose(
        list(line(left, r"heat $\Delta Q/\tau$")), [widths, found.heat / 0.05], rtol=1e-6
    )
    for label, part in (("drop $\\Delta S$", "drop"), (r"production $\Sigma$", "production")):
        _, y = line(left, f"entropy {label}")
        np.testing.assert_allclose(y, getattr(found, f"entropy_{part}"), rtol=1e-6)
    _, hot = line(right, r"$\Delta S > 0$")
    _, inverted = line(right, r"$\Delta S < 0$")
    np.testing.assert_allclose(hot[2:], found.temperature[2:], rtol=1e-6)
    np.testing.assert_allclose(inverted[:2], found.temperature[:2], rtol=1e-6)
    assert np.isnan([*hot[:2], *inverted[2:]]).all()
    assert left.get_xlabel() == "width"
    with pytest.raises(ValueError, match=r"as many as x, got shape \(4,\) and \(2,\)"):
        plots.transition(found, [1.0, 2.0])


def local(*shape):
    def estimates(value):
        return {
            name: Estimate(jnp.full(shape, value * (i + 1)), jnp.full(shape, 0.25))
            for i, name in enumerate(("layers_0", "readout"))
        }

    bath = {"layers_0": jnp.full(shape, 0.5), "readout": jnp.full(shape, 1.5)}
    return tml.networks.LocalTemperatures(estimates(1.0), estimates(3.0), estimates(0.0), bath)


def test_local_temperatures(bars):
    ax = plots.temperatures(local()).axes[0]
    for container, values in zip(ax.containers, ([1, 2], [3, 6]), strict=True):
        _, y, length = bars(container)
        assert (y.tolist(), length.tolist()) == (values, [0.5, 0.5])
    heights = [segment[0, 1] for segment in ax.collections[0].get_segments()]
    assert heights == [0.5, 1.5]
    assert [x.get_text() for x in ax.get_xticklabels()] == ["layers 0", "readout"]


def test_thermometer_readings_against_time(line, band_edges):
    times = [0.0, 1.0, 2.0]
    ax = plots.temperatures(local(3), times=times).axes[0]
    assert [x.tolist() for x in line(ax, "readout")] == [times, [2, 2, 2]]
    low, high = band_edges(ax.collections[1])
    assert (low.tolist(), high.tolist()) == ([1.5] * 3, [2.5] * 3)
    assert list(line(ax, index=3))[1].tolist() == [1.5] * 3
    with pytest.raises(ValueError, match=r"need times of shape \(3,\), got shape \(2,\)"):
        plots.temperatures(local(3), times=[0.0, 1.0])
    with pytest.raises(ValueError, match=r"need times of shape \(3,\), got shape \(\)"):
        plots.temperatures(local(3))
    with pytest.raises(ValueError, match=r"need no times, got shape \(3,\)"):
        plots.temperatures(local(), times=times)
