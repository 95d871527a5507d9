"""Figures of simulations, densities and cycles: the numbers of the results."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml
from thermoml import Estimate, plots

KEY = jax.random.key(0)
CLOSE = {"rtol": 1e-6, "atol": 1e-9}

# Simulations


@pytest.fixture(scope="module")
def solution():
    trap = tml.Langevin(lambda x, centre: (x - centre) ** 2 / 2, control=tml.Ramp(0.0, 1.0))
    how = {"t1": 1.0, "dt": 0.1, "save_every": 2, "key": KEY, "n_trajectories": 6}
    return tml.simulate(trap, jnp.zeros(()), **how)


def test_ledger(solution, line, band_edges):
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


def test_ledger_of_one_trajectory(solution, line):
    left, right = plots.ledger(solution, trajectory=2).axes
    np.testing.assert_allclose(list(line(left, "heat $Q$"))[1], solution.heat[2], **CLOSE)
    assert (len(left.get_lines()), len(right.get_lines())) == (3, 1)
    assert not left.collections
    with pytest.raises(ValueError, match="trajectory must be one of 6, got 6"):
        plots.ledger(solution, trajectory=6)


def test_work_distributions_and_crooks_relation(line):
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
def test_protocols(line):
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


def test_densities(equation, line):
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


def test_densities_of_a_solution(equation, line):
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


def test_cycles(line):
    one = settled(jnp.asarray([1.0, 2.0, 1.0]), jnp.asarray([3.0, 5.0, 3.0]))
    two = settled(jnp.asarray([1.0, 4.0, 1.0]), jnp.asarray([6.0, 7.0, 6.0]))
    figure = plots.cycle({"one": one, "two": two})
    left, right = figure.axes
    assert [x.tolist() for x in line(left, "two")] == [[1, 4, 1], [6, 7, 6]]
    assert [x.tolist() for x in line(right)] == [[0.5, 0.75, 0.5], [1, 2, 1]]
    assert right.get_lines()[0].get_drawstyle() == "steps-pre"
    assert [x.get_text() for x in right.get_legend().get_texts()] == ["one", "two"]


def test_a_control_of_several_numbers_needs_a_component(line):
    pair = jnp.asarray([[1.0, 10.0], [2.0, 20.0], [1.0, 10.0]])
    result = settled({"a": jnp.zeros(3), "b": pair}, {"a": jnp.ones(3), "b": pair + 1})
    left, _ = plots.cycle(result, component=2).axes
    assert [x.tolist() for x in line(left)] == [[10, 20, 10], [11, 21, 11]]
    with pytest.raises(ValueError, match="component must be given, from 0 to 2"):
        plots.cycle(result)
    with pytest.raises(ValueError, match="component must be from 0 to 2, got 3"):
        plots.cycle(result, component=3)
