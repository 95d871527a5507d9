"""Figures: the numbers of the results, on the axes that are given, without pyplot."""

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


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close("all")


def line(ax, label=None, index=0):
    """Places and values of a line: by its label, or by its place among those without."""
    lines = [x for x in ax.get_lines() if (x.get_label() == label if label else True)]
    return (np.asarray(x, float) for x in lines[index].get_data())


def bars(container):
    """Places, values and half lengths of the vertical error bars."""
    data, _, collections = container
    x, y = (np.asarray(values, float) for values in data.get_data())
    lengths = [np.diff(np.asarray(s)[:, 1])[0] / 2 for s in collections[-1].get_segments()]
    return x, y, np.asarray(lengths)


def band_edges(collection):
    """The lowest and highest value of a band at each place, by place."""
    x, y = collection.get_paths()[0].vertices.T
    places = np.unique(x)
    return [np.asarray([pick(y[x == place]) for place in places]) for pick in (np.min, np.max)]


# Artists


def test_error_bars_are_two_standard_errors_and_leave_out_what_is_not_known():
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


def test_a_band_is_two_standard_errors_wide():
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


def test_rules_are_drawn_at_their_values():
    rules = {"Hebbian": tml.Hebbian(), "own": lambda s: s**2}
    ax = plots.rules(rules, between=(-1.0, 3.0)).axes[0]
    s, force = line(ax, "own")
    assert (s[0], s[-1]) == (-1, 3)
    np.testing.assert_allclose(force, s**2, rtol=1e-5, atol=1e-6)
    assert (list(line(ax, "Hebbian"))[1] == 1).all()
    ax = plots.rules(tml.AlphaTron(0.5)).axes[0]
    assert ax.get_lines()[0].get_label() == tml.AlphaTron(0.5).label


def test_a_rule_of_single_numbers_is_drawn():
    network = eqx.nn.MLP("scalar", "scalar", 3, 1, key=jax.random.key(0))
    s, force = line(plots.rules({"network": tml.perceptron.CustomRule(network)}).axes[0], "network")
    np.testing.assert_allclose(force, jax.vmap(network)(jnp.asarray(s)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("quantity", ["error", "heat", "scale_separation"])
def test_learning_curves_are_means_with_bands(quantity, curves):
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


def test_each_quantity_has_axes_of_its_own(curves):
    figure = plots.learning_curve(curves["one"], ["heat", "energy"])
    assert len(figure.axes) == 2
    for ax, name in zip(figure.axes, ("heat", "energy"), strict=True):
        _, mean = line(ax)
        np.testing.assert_allclose(mean, getattr(curves["one"], name).mean(0), **CLOSE)
    assert figure.axes[1].get_legend() is None
    with pytest.raises(ValueError, match="quantity must be one of overlap, .*, got 'heet'"):
        plots.learning_curve(curves, ["heat", "heet"])


def test_information(curves):
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


def test_frontier_and_its_bound():
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


# Simulations


@pytest.fixture(scope="module")
def solution():
    trap = tml.Langevin(lambda x, centre: (x - centre) ** 2 / 2, control=tml.Ramp(0.0, 1.0))
    how = {"t1": 1.0, "dt": 0.1, "save_every": 2, "key": KEY, "n_trajectories": 6}
    return tml.simulate(trap, jnp.zeros(()), **how)


def test_ledger(solution):
    left, right = plots.ledger(solution).axes
    change = solution.energy - solution.energy[:, :1]
    names = {"work $W$": solution.work, "heat $Q$": solution.heat, r"energy $\Delta U$": change}
    for label, values in names.items():
        x, mean = line(left, label)
        np.testing.assert_allclose(x, solution.times, **CLOSE)
        np.testing.assert_allclose(mean, values.mean(0), **CLOSE)
    np.testing.assert_allclose(list(line(right))[1], solution.entropy_flow.mean(0), **CLOSE)
    low, high = band_edges(left.collections[1])  # after the standard errors of the work
    spread = np.percentile(np.asarray(solution.work, float), [5, 95], axis=0)
    np.testing.assert_allclose([low, high], spread, **CLOSE)


def test_ledger_of_one_trajectory(solution):
    left, right = plots.ledger(solution, trajectory=2).axes
    np.testing.assert_allclose(list(line(left, "heat $Q$"))[1], solution.heat[2], **CLOSE)
    assert (len(left.get_lines()), len(right.get_lines())) == (3, 1)
    assert not left.collections
    with pytest.raises(ValueError, match="trajectory must be one of 6, got 6"):
        plots.ledger(solution, trajectory=6)


def test_work_distributions_and_crooks_relation():
    rng = np.random.default_rng(0)
    temperature, difference = 2.0, 0.5
    width = np.sqrt(2 * temperature * 1.5)  # of normal work that dissipates 1.5 on average
    there = rng.normal(difference + 1.5, width, 200_000)
    back = rng.normal(-difference + 1.5, width, 200_000)
    how = {"temperature": temperature, "free_energy": Estimate(0.5, 0.1), "bins": 50}
    ax = plots.work_distribution(there, back, **how).axes[0]
    forward, reverse = (x.get_data() for x in ax.patches[:2])
    np.testing.assert_allclose(forward.values, np.histogram(there, forward.edges, density=True)[0])
    np.testing.assert_allclose(reverse.values, np.histogram(-back, reverse.edges, density=True)[0])
    x, y = line(ax, r"$P_F(W)\,e^{-(W-\Delta F)/T}$")
    middles = (reverse.edges[1:] + reverse.edges[:-1]) / 2
    near = np.abs(x - difference) < 2
    expected = np.interp(x[near], middles, reverse.values)
    np.testing.assert_allclose(y[near], expected, rtol=0.08)
    assert next(line(ax, r"$\Delta F$")).tolist() == [0.5, 0.5]
    edges = ax.patches[-1].get_extents().transformed(ax.transData.inverted())
    np.testing.assert_allclose([edges.x0, edges.x1], [0.3, 0.7])


def test_work_of_solutions(solution):
    ax = plots.work_distribution(solution, free_energy=0.0, bins=4).axes[0]
    work = np.asarray(solution.work[:, -1], float)
    density, edges = np.histogram(work, 4, density=True)
    np.testing.assert_allclose(ax.patches[0].get_data().edges, edges, rtol=1e-6)
    np.testing.assert_allclose(ax.patches[0].get_data().values, density, rtol=1e-6)
    for wrong in ([1.0, np.nan], np.ones((2, 2))):
        with pytest.raises(ValueError, match="work must be finite numbers, one for each"):
            plots.work_distribution(wrong)


@pytest.mark.usefixtures("unchecked")
def test_protocols():
    jumps = tml.PiecewiseLinear.between(0.0, jnp.asarray([0.5, 2.0]), 3.0, t1=2.0)
    controls = {
        "ramp": tml.Ramp(1.0, 3.0, t0=0.5, t1=1.0),
        "jumps": jumps,
        "pair": tml.langevin.Constant({"a": 1.0, "b": jnp.asarray([2.0, 3.0])}),
        "wave": jnp.sin,
    }
    ax = plots.protocol(controls, t1=2.0).axes[0]
    assert [x.tolist() for x in line(ax, "ramp")] == [[0, 0.5, 1, 2], [1, 1, 3, 3]]
    times, values = line(ax, "jumps")
    assert times.tolist() == [0, 0, 0, 2, 2, 2]
    np.testing.assert_allclose(values, [0, 0, 0.5, 2, 3, 3])
    assert [list(line(ax, f"pair, {x}"))[1][0] for x in ("a", "b, 1", "b, 2")] == [1, 2, 3]
    times, values = line(ax, "wave")
    np.testing.assert_allclose(values, np.sin(times), atol=1e-6)
    inner = plots.protocol(jumps, t0=0.5, t1=1.0).axes[0]
    np.testing.assert_allclose(list(line(inner)), [[0.5, 1.0], [0.875, 1.25]], rtol=1e-6)
    with pytest.raises(TypeError, match=r"a control must be a function of time, got 3.0"):
        plots.protocol(3.0, t1=1.0)


# Ensembles and engines in baths


@pytest.fixture(scope="module")
def equation():
    ring = tml.Langevin(lambda x, control: jnp.cos(x), temperature=1.0)
    return tml.FokkerPlanck(ring, tml.Axis(0.0, 2 * np.pi, 12, boundary="periodic"))


def test_densities(equation):
    flat = np.full(12, 1 / (2 * np.pi))
    tilted = np.linspace(0.5, 1.5, 12) / (2 * np.pi)
    densities = {"flat": flat, "tilted": tilted}
    samples = [0.1, 0.1 + 2 * np.pi, 1.7, -0.1]
    ax = plots.density(equation, densities, samples=samples, bins=4).axes[0]
    for label, values in densities.items():
        x, y = line(ax, label)
        np.testing.assert_allclose(x, equation.axes[0].centres, **CLOSE)
        np.testing.assert_allclose(y, values)
    counts = ax.patches[0].get_data().values * (2 * np.pi / 4) * 4
    np.testing.assert_allclose(counts, [2, 1, 0, 1])
    assert len(plots.density(equation, flat).axes[0].get_lines()) == 1
    with pytest.raises(ValueError, match=r"the grid's shape \(12,\), got \(3,\) for 'bad'"):
        plots.density(equation, {"flat": flat, "bad": np.ones(3)})


def test_densities_of_a_solution(equation):
    run = equation.evolve(np.full(12, 1.0), t1=1.0, dt=0.05, save_every=2)
    ax = plots.density(equation, run).axes[0]
    assert len(ax.get_lines()) == 6
    labels = [x.get_label() for x in ax.get_lines()]
    assert labels[0] == "$t$ = 0"
    assert labels[-1] == "$t$ = 1"
    np.testing.assert_allclose(list(line(ax, "$t$ = 1"))[1], run.density[-1], **CLOSE)


def test_a_density_on_two_axes():
    bowl = tml.Langevin(lambda x, control: jnp.sum(x**2) / 2)
    axes = [tml.Axis(-1.0, 1.0, 4), tml.Axis(0.0, 1.0, 3)]
    equation = tml.FokkerPlanck(bowl, axes)
    values = np.arange(12.0).reshape(4, 3)
    figure = plots.density(equation, values)
    np.testing.assert_allclose(figure.axes[0].collections[0].get_array(), values.T)
    with pytest.raises(ValueError, match="on two axes one density is drawn, .* got 2"):
        plots.density(equation, {"a": values, "b": values})


def settled(control, conjugate):
    """A round of three points."""
    zero, three = jnp.zeros(()), jnp.arange(3.0)
    names = ("work_error", "efficiency", "efficiency_error", "power", "entropy_production")
    names += ("work", "carnot", "curzon_ahlborn")
    return tml.thermodynamics.CycleResult(
        **dict.fromkeys(names, zero),
        heat={"hot": zero},
        heat_error={"hot": zero},
        heat_by_stroke=jnp.zeros(2),
        heat_by_stroke_error=jnp.zeros(2),
        times=three,
        control=control,
        conjugate=conjugate,
        temperature=jnp.asarray([1.0, 2.0, 1.0]),
        entropy=jnp.asarray([0.5, 0.75, 0.5]),
    )


def test_cycles():
    one = settled(jnp.asarray([1.0, 2.0, 1.0]), jnp.asarray([3.0, 5.0, 3.0]))
    two = settled(jnp.asarray([1.0, 4.0, 1.0]), jnp.asarray([6.0, 7.0, 6.0]))
    figure = plots.cycle({"one": one, "two": two})
    left, right = figure.axes
    assert [x.tolist() for x in line(left, "two")] == [[1, 4, 1], [6, 7, 6]]
    assert [x.tolist() for x in line(right)] == [[0.5, 0.75, 0.5], [1, 2, 1]]
    assert right.get_lines()[0].get_drawstyle() == "steps-pre"
    assert [x.get_text() for x in right.get_legend().get_texts()] == ["one", "two"]


def test_a_control_of_several_numbers_needs_a_component():
    pair = jnp.asarray([[1.0, 10.0], [2.0, 20.0], [1.0, 10.0]])
    result = settled({"a": jnp.zeros(3), "b": pair}, {"a": jnp.ones(3), "b": pair + 1})
    left, _ = plots.cycle(result, component=2).axes
    assert [x.tolist() for x in line(left)] == [[10, 20, 10], [11, 21, 11]]
    with pytest.raises(ValueError, match="component must be given, from 0 to 2"):
        plots.cycle(result)
    with pytest.raises(ValueError, match="component must be from 0 to 2, got 3"):
        plots.cycle(result, component=3)


# Networks


def test_efficiencies_and_balances():
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
def test_chains_with_measured_engines(report):
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


def test_measured_engines(report):
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


def test_training_paths():
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


def test_transitions():
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


def test_local_temperatures():
    ax = plots.temperatures(local()).axes[0]
    for container, values in zip(ax.containers, ([1, 2], [3, 6]), strict=True):
        _, y, length = bars(container)
        assert (y.tolist(), length.tolist()) == (values, [0.5, 0.5])
    heights = [segment[0, 1] for segment in ax.collections[0].get_segments()]
    assert heights == [0.5, 1.5]
    assert [x.get_text() for x in ax.get_xticklabels()] == ["layers 0", "readout"]


def test_thermometer_readings_against_time():
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
