"""The study `sweep`: its grid, its figures, and a point whose answer is known."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from thermoml.config import ConfigError
from thermoml.numerics.labels import to_dataset
from thermoml.studies import run_study, study_of
from thermoml.studies.perceptron.learning_rules import hebbian_limit
from thermoml.sweeps import Store

BASE = {"study": "sweep", "rule": "alpha_tron", "dt": 0.01, "t1": 0.4, "saves": 4, "batch": 3}


def study(**changes):
    content = {key: value for key, value in (BASE | changes).items() if value is not None}
    return study_of(content)


AXES = {
    "alpha": [0.0, 0.2, 0.5],
    "learning_rate": [0.5, 1.0],
    "temperature": [0.1, 0.2, 0.3, 0.4],
}


def run_like(grid):
    """Results over a grid with numbers of our own."""
    rng = np.random.default_rng(0)
    results = to_dataset(grid.coordinates()).assign_coords(time=[0.0, 1.0])
    shapes = {"error": (*grid.shape, 2), "dissipation_rate": grid.shape}
    for name, shape in shapes.items():
        dims = (*grid.dims, "time")[: len(shape)]
        for suffix in ("", "_standard_error"):
            results[name + suffix] = xr.DataArray(rng.random(shape), dims=dims)
    return results


@pytest.mark.parametrize(
    ("names", "ends"),
    [
        (["alpha"], [""]),
        (["alpha", "learning_rate"], [""]),
        (["alpha", "learning_rate", "temperature"], ["_0", "_1"]),
    ],
)
def test_one_figure_for_each_value_of_a_third_axis(names, ends):
    """T, the longest axis, is horizontal; α makes the curves; a figure for each learning rate."""
    of = study(grid={name: AXES[name] for name in names})
    figures = of.figures(run_like(of.grid))
    assert list(figures) == [f"error_and_dissipation{end}" for end in ends]
    for i, figure in enumerate(figures.values()):
        error = figure.axes[0]
        horizontal = max(names, key=lambda name: len(AXES[name]))
        lines = [line for line in error.lines if len(line.get_xdata()) == len(AXES[horizontal])]
        np.testing.assert_array_equal(lines[0].get_xdata(), AXES[horizontal])
        assert len(error.containers) == {1: 1, 2: 2, 3: 3}[len(names)]
        if len(ends) > 1:
            assert f"= {AXES['learning_rate'][i]:g}" in error.get_title(loc="left")
        plt.close(figure)


def test_values_of_the_grid_arrive_as_the_config_understands_them():
    """Whole numbers as int, also from a range; rules and inputs also from their short forms."""
    of = study(
        rule=None,
        dt=None,
        grid={
            "rule": ["hebbian", {"name": "alpha_tron", "alpha": 0.5}],
            "inputs": [{"kind": "training_set", "examples": n} for n in (4, 6)],
            "n_inputs": {"linear": [5, 9, 3]},
            "zip": {"dt": [0.01, 0.02], "temperature": [1, 2]},
        },
    )
    assert of.grid.shape == (2, 2, 3, 2)
    assert of.grid.label((1, 0, 1, 1)).startswith(
        "rule = α-tron, α = 0.5, inputs = 4 binary examples, "
    )
    point = of.grid.point((1, 1, 1, 1))
    assert point["n_inputs"] == 7
    assert type(point["n_inputs"]) is int
    assert (point["inputs"].kind, point["inputs"].examples) == ("training_set", 6)
    assert float(point["rule"].alpha) == 0.5
    assert point["dt"] == 0.02
    assert of.problem(point).n_inputs == 7


def test_alpha_may_be_swept_beside_inputs():
    of = study(grid={"alpha": [0.0, 0.5], "inputs": ["binary", "gaussian"]})
    assert of.grid.label((1, 1)) == "alpha = 0.5, inputs = gaussian"
    assert float(of.problem(of.grid.point((1, 1))).rule.alpha) == 0.5


def test_a_point_is_checked_with_its_own_step():
    """The dt of the config does not divide t1; those of the grid do."""
    of = study(
        dt=None, t1=0.035, saves=5, grid={"rule": ["hebbian"], "dt": [0.0035, 0.007]}, rule=None
    )
    assert of.grid.shape == (1, 2)
    with pytest.raises(ConfigError, match="at alpha = 0, dt = 0.01: dt must divide"):
        study(dt=None, t1=0.035, saves=5, grid={"alpha": [0.0], "dt": [0.007, 0.01]})


@pytest.mark.optimised
def test_hebbian_points_end_at_the_exact_limit(tmp_path):
    of = study(
        rule="hebbian",
        grid={"learning_rate": [0.5, 1.0]},
        batch=30,
        n_trajectories=300,
        t1=8.0,
        saves=1,
    )
    run_study(of, tmp_path / "run")
    final = Store(tmp_path / "run").open().isel(time=-1)
    for rate in (0.5, 1.0):
        entry = final.sel(learning_rate=rate)
        limit = hebbian_limit(of.config.run_at({"learning_rate": rate}))
        assert limit == pytest.approx(np.arctan(np.sqrt(np.pi / 2) / rate) / np.pi)
        # O(1/N) and O(dt)
        assert abs(entry.error - limit) < 4 * entry.error_standard_error + 0.003


@pytest.mark.slow
def test_numbers_do_not_depend_on_how_the_grid_is_cut(tmp_path):
    """One unit of both points, and two blocks of trajectories at each point."""
    results = {}
    for per_unit in (14, 4):
        of = study(
            grid={"alpha": [0.1, 0.5]},
            n_inputs=9,
            n_trajectories=7,
            per_unit=per_unit,
            trajectories=True,
        )
        run_study(of, tmp_path / f"{per_unit}")
        results[per_unit] = Store(tmp_path / f"{per_unit}").open().load()
        lines = (tmp_path / f"{per_unit}" / "journal.jsonl").read_text().splitlines()
        units = [line for line in lines if line.startswith('{"unit"')]
        assert len(units) == {14: 1, 4: 4}[per_unit]
    assert set(results[14]) == {name for name in results[4] if "_block_" not in name}
    for name in results[14]:
        np.testing.assert_allclose(
            results[4][name], results[14][name], rtol=2e-5, atol=2e-6, err_msg=name
        )
