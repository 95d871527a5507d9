"""Figures of learning, the artists, and the axes that are given, without pyplot."""

import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

import thermoml as tml
from thermoml import Estimate, plots
from thermoml.plots import COLOURS

KEY = jax.random.key(0)
CLOSE = {"rtol": 1e-6, "atol": 1e-9}

# Artists


def test_error_bars_are_two_standard_errors_and_leave_out_what_is_not_known(bars):
    _, (ax,) = plots.new_figure()
    y = Estimate(np.array([1.0, np.nan, 3.0, 4.0]), np.array([0.5, 0.1, np.nan, 0.25]))
    plots.error_bars(ax, [0, 1, 2, 3], y, 2, label="heat")
    x, mean, length = bars(ax.containers[0])
    assert (x.tolist(), mean.tolist(), length.tolist()) == ([0, 2, 3], [1, 3, 4], [1, 0, 0.5])
    assert ax.containers[0].get_label() == "heat"
    assert ax.containers[0][0].get_color() == COLOURS[2]


def test_error_bars_along_both_axes():
    _, (ax,) = plots.new_figure()
    plots.error_bars(ax, Estimate(1.0, 0.25), Estimate(jnp.asarray(2.0), 0.5))
    horizontal, vertical = ax.containers[0][2]
    np.testing.assert_allclose(horizontal.get_segments()[0], [[0.5, 2], [1.5, 2]])
    np.testing.assert_allclose(vertical.get_segments()[0], [[1, 1], [1, 3]])


def test_a_band_is_two_standard_errors_wide(band_edges):
    _, (ax,) = plots.new_figure()
    plots.band(ax, [0, 1, 2], *Estimate(np.array([1.0, 2, 3]), np.array([0.1, 0.2, 0.3])))
    low, high = band_edges(ax.collections[0])
    np.testing.assert_allclose([low, high], [[0.8, 1.6, 2.4], [1.2, 2.4, 3.6]])


def test_a_histogram_is_a_density():
    _, (ax,) = plots.new_figure()
    plots.histogram(ax, [0.5, 0.5, 1.5, 9], [0, 1, 2, 4])
    assert ax.patches[0].get_data().values.tolist() == [2 / 3, 1 / 3, 0]


# Where figures are drawn


@pytest.fixture(scope="module")
def curves():
    """Two curves of learning at the reduced level."""
    problem = tml.LearningProblem(
        tml.Hebbian(), learning_rate=0.7, n_inputs=50, batch=20, inputs="gaussian"
    )
    how = {"t1": 0.6, "n_trajectories": 5, "save_every": 5}
    level = tml.Reduced(0.02)
    return {
        name: tml.learn(problem, level, key=jax.random.key(seed), **how)
        for seed, name in enumerate(("one", "two"))
    }


def test_new_figures_are_shown_once_and_lie_outside_of_pyplot(curves):
    figure = plots.learning_curve(curves)
    assert isinstance(figure, Figure)
    assert plt.get_fignums() == []
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_given_axes_are_drawn_on(curves):
    figure, (left, right) = plt.subplots(1, 2)
    assert plots.learning_curve(curves, "heat", axes=right) is figure
    assert (len(left.get_lines()), len(right.get_lines())) == (0, 2)
    assert plots.learning_curve(curves, ["work", "energy"], axes=[left, right]) is figure
    assert left.get_ylabel().startswith("work")


def test_axes_of_a_subfigure_belong_to_the_whole_figure(curves):
    figure = plt.figure()
    ax = figure.subfigures(1, 2)[0].subplots()
    assert plots.learning_curve(curves, axes=ax) is figure


@pytest.mark.usefixtures("unchecked")
def test_axes_that_do_not_fit(curves):
    figure, axes = plt.subplots(1, 3)
    with pytest.raises(ValueError, match="axes must be 1 for this figure, got 3"):
        plots.learning_curve(curves, axes=axes)
    with pytest.raises(TypeError, match="axes must be Matplotlib axes, got Figure"):
        plots.learning_curve(curves, axes=figure)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("draw", "kind"),
    [
        (plots.learning_curve, "LearningCurve"),
        (plots.information, "InformationBound"),
        (plots.frontier, "SteadyState"),
        (plots.ledger, "Solution"),
        (plots.cycle, "CycleResult"),
        (lambda x: plots.density(x, 1.0), "FokkerPlanck"),
        (plots.efficiency, "EngineClassification"),
        (plots.engine_balance, "EngineBalance"),
        (plots.engine_chain, "EngineChain"),
        (plots.engines, "EngineReport"),
        (plots.training_path, "TrainingPath"),
        (lambda x: plots.transition(x, 1.0), "Transition"),
        (plots.temperatures, "LocalTemperatures"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_results_are_refused(draw, kind):
    for wrong, told in (
        ([1.0], "list"),
        ({"a": 1.0}, "a mapping with a float"),
        ({}, "{}"),
        (KEY, "PRNGKeyArray|ArrayImpl"),
    ):
        with pytest.raises(TypeError, match=f"a {kind} is needed, .* got ({told})"):
            draw(wrong)


def test_files_depend_on_the_content_alone(curves, tmp_path):
    for name in ("a", "b"):
        figure = plots.learning_curve(curves)
        figure.savefig(tmp_path / f"{name}.svg")
        figure.savefig(tmp_path / f"{name}.png")
        with (tmp_path / f"{name}.raw").open("wb") as file:
            figure.savefig(file, format="svg")
    for suffix in ("svg", "png", "raw"):
        first, second = ((tmp_path / f"{name}.{suffix}").read_bytes() for name in "ab")
        assert first == second


def test_pyplot_is_not_imported():
    code = (
        "import sys, thermoml as tml; figure, _ = tml.plots.new_figure(); figure._repr_png_();"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


# Learning


def test_rules_are_drawn_at_their_values(line):
    rules = {"Hebbian": tml.Hebbian(), "own": lambda s: s**2}
    ax = plots.rules(rules, between=(-1.0, 3.0)).axes[0]
    s, force = line(ax, "own")
    assert (s[0], s[-1]) == (-1, 3)
    np.testing.assert_allclose(force, s**2, rtol=1e-5, atol=1e-6)
    assert (list(line(ax, "Hebbian"))[1] == 1).all()
    ax = plots.rules(tml.AlphaTron(0.5)).axes[0]
    assert ax.get_lines()[0].get_label() == tml.AlphaTron(0.5).label


def test_a_rule_of_single_numbers_is_drawn(line):
    network = eqx.nn.MLP("scalar", "scalar", 3, 1, key=jax.random.key(0))
    s, force = line(plots.rules({"network": tml.perceptron.CustomRule(network)}).axes[0], "network")
    np.testing.assert_allclose(force, jax.vmap(network)(jnp.asarray(s)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("quantity", ["error", "heat", "scale_separation"])
def test_learning_curves_are_means_with_bands(quantity, curves, line, band_edges):
    ax = plots.learning_curve(curves, quantity).axes[0]
    for index, (label, curve) in enumerate(curves.items()):
        values = np.asarray(getattr(curve, quantity), float)
        x, mean = line(ax, label)
        np.testing.assert_allclose(x, curve.times, **CLOSE)
        np.testing.assert_allclose(mean, values.mean(0), **CLOSE)
        low, high = band_edges(ax.collections[index])
        error = values.std(0, ddof=1) / np.sqrt(5)
        np.testing.assert_allclose((high - low) / 4, error, rtol=1e-5, atol=1e-7)
    assert "[1/(mobility · stiffness)]" in ax.get_xlabel()
    heat = plots.learning_curve(curves, "heat").axes[0].get_ylabel()
    assert heat == "heat into the bath per weight  [energy/weight]"


def test_each_quantity_has_axes_of_its_own(curves, line):
    figure = plots.learning_curve(curves["one"], ["heat", "energy"])
    assert len(figure.axes) == 2
    for ax, name in zip(figure.axes, ("heat", "energy"), strict=True):
        _, mean = line(ax)
        np.testing.assert_allclose(mean, getattr(curves["one"], name).mean(0), **CLOSE)
    assert figure.axes[1].get_legend() is None
    with pytest.raises(ValueError, match="quantity must be one of overlap, .*, got 'heet'"):
        plots.learning_curve(curves, ["heat", "heet"])


def test_information(curves, line):
    problem = tml.LearningProblem(
        tml.Hebbian(), learning_rate=0.7, n_inputs=50, batch=20, inputs="gaussian"
    )
    bound = tml.information_bound(problem, curves["one"])
    left, right = plots.information(bound).axes
    for ax, label, values in (
        (left, "information gained", bound.information),
        (left, "entropy, with the excess", bound.entropy_production),
        (left, "entropy, averaged force", bound.averaged_entropy_production),
        (right, "with the excess", bound.efficiency),
        (right, "averaged force", bound.averaged_efficiency),
    ):
        x, y = line(ax, label)
        np.testing.assert_allclose(x, bound.times[1:], **CLOSE)
        np.testing.assert_allclose(y, values[1:], **CLOSE)


def test_frontier_and_its_bound(line, bars):
    rates = jnp.asarray([0.5, 1.0])
    states = jax.vmap(
        lambda rate: tml.steady_state(tml.LearningProblem(tml.Hebbian(), learning_rate=rate))
    )(rates)
    measured = {"Hebbian": (np.array([1.0]), Estimate(np.array([0.3]), np.array([0.01])))}
    ax = plots.frontier({"Hebbian": states}, measured=measured).axes[0]
    cost, error = line(ax, "Hebbian")
    np.testing.assert_allclose(cost, states.dissipation, **CLOSE)
    np.testing.assert_allclose(error, states.error, **CLOSE)
    least, at = line(ax, r"bound $D_{\min}(\varepsilon)$")
    np.testing.assert_allclose(least, tml.dissipation_bound(at), rtol=1e-4)
    assert at.min() < error.min()
    assert [x.tolist() for x in bars(ax.containers[0])] == [[1.0], [0.3], pytest.approx([0.02])]
    assert ax.containers[0][0].get_color() == COLOURS[0]
