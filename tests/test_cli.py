"""The command line in process; a handful of cases through a real one."""

import json
import os
import subprocess
import sys

import jax
import pytest
import xarray as xr
import yaml
from command_line import TINY_SWEEP, config_writer, grid, invoke, refuses

from thermoml import cli


@pytest.fixture
def config(tmp_path):
    return config_writer(tmp_path)


@pytest.mark.slow
def test_run_leaves_everything_and_plot_redraws(config, tmp_path):
    out = tmp_path / "out"
    result = invoke("run", config(), "--out", out)
    assert result.exit_code == 0, result.output
    assert "Hebbian" in result.stdout
    assert "±" in result.stdout
    assert result.stderr == ""  # no bar where there is no terminal
    summary = json.loads((out / "summary.json").read_text())
    assert set(summary["rules"]) == {"Hebbian", "α-tron, α = 0.5"}
    with xr.open_zarr(out / "results.zarr") as results:
        assert results.attrs["complete"]
        assert results.error.attrs["units"] == ""
        assert results.sizes["time"] == 5
        final = results.error.sel(rule="Hebbian").isel(time=-1)
        assert float(final) == summary["rules"]["Hebbian"]["error"]["mean"]
    figures = sorted(out.glob("figures/*"))
    assert len(figures) == 6
    before = {path: path.read_bytes() for path in figures}
    for path in figures:
        path.unlink()
    assert invoke("plot", out).exit_code == 0
    assert {path: path.read_bytes() for path in figures} == before

    (out / "notes.txt").write_text("mine")
    refuses(invoke("run", config(), "--out", out), "is not empty")
    again = invoke("run", config(seed=1), "--out", out, "--overwrite")
    assert again.exit_code == 0
    assert (out / "notes.txt").read_text() == "mine"
    assert json.loads((out / "summary.json").read_text()) != summary


@pytest.mark.slow
def test_same_config_gives_the_same_store(config, tmp_path):
    for name in ("a", "b"):
        assert invoke("run", config(), "--out", tmp_path / name).exit_code == 0

    def files(name):
        store = tmp_path / name / "results.zarr"
        found = [path for path in store.rglob("*") if path.is_file()]
        return {path.relative_to(store): path.read_bytes() for path in found}

    assert files("a") == files("b")


@pytest.mark.slow
def test_diverging_run_says_where_and_keeps_the_good_part(config, tmp_path):
    out = tmp_path / "out"
    rules = [{"name": "alpha_tron", "alpha": 3.0}, "hebbian"]
    path = config(rules=rules, learning_rate=20.0, t1=4.0, save_every=1)
    result = invoke("run", path, "--out", out)
    refuses(result, "at rule = α-tron, α = 3: ", "% of the trajectories turned non-finite after t")
    assert "warning: AlphaTron with alpha = 3" in result.stderr
    assert "Hebbian" in result.stdout  # the table comes all the same
    assert "not finite" in result.stdout
    summary = json.loads((out / "summary.json").read_text())["rules"]
    assert summary["α-tron, α = 3"]["error"]["mean"] is None
    assert 0 < summary["Hebbian"]["error"]["mean"] < 1
    with xr.open_zarr(out / "results.zarr") as results:
        assert results.attrs["complete"]
        assert results.error.sel(rule="Hebbian").notnull().all()
        run_away = results.sel(rule="α-tron, α = 3")
        assert run_away.error.notnull().values[0]
        assert not run_away.error.notnull().values[-1]
        assert run_away.diverged > 0
        assert results.diverged.sel(rule="Hebbian") == 0
    figures = sorted(out.glob("figures/*"))
    assert len(figures) == 6
    before = {path: path.read_bytes() for path in figures}
    assert invoke("plot", out).exit_code == 0
    assert {path: path.read_bytes() for path in figures} == before


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A sweep over rules, inputs, and N with dt: its config, folder and what it printed."""
    folder = tmp_path_factory.mktemp("swept")
    axes = grid(
        rule=["hebbian", {"name": "alpha_tron", "alpha": 0.5}],
        inputs=["binary", "gaussian"],
        zip={"n_inputs": [5, 7], "dt": [0.02, 0.01]},
    )
    content = {key: value for key, value in (TINY_SWEEP | axes).items() if value is not None}
    (folder / "config.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    result = invoke("run", folder / "config.yaml", "--out", folder / "out")
    assert result.exit_code == 0, result.output
    return folder / "config.yaml", folder / "out", result


@pytest.mark.slow
def test_sweep_leaves_figures_and_a_summary_with_standard_errors(swept):
    _, out, result = swept
    assert result.stderr == ""
    assert len(list(out.glob("figures/error_and_dissipation*.png"))) == 2
    summary = json.loads((out / "summary.json").read_text())
    points = {entry["at"]: entry for entry in summary["points"]}
    assert len(points) == 8
    label = "rule = α-tron, α = 0.5, inputs = gaussian, n_inputs = 7, dt = 0.01"
    for entry in points.values():
        for name in ("error", "heat", "dissipation_rate"):
            assert entry[name]["standard_error"] > 0
    with xr.open_zarr(out / "results.zarr") as results:
        assert results.error.dims == ("rule", "inputs", "n_inputs", "time")
        assert results.dt.dims == ("n_inputs",)
        chosen = {"rule": "α-tron, α = 0.5", "inputs": "gaussian", "n_inputs": 7}
        final = results.error.sel(chosen).isel(time=-1)
        assert float(final) == points[label]["error"]["mean"]
        assert results.sizes["time"] == 5
    for text in (*points, "±", "mean of 6 trajectories ± standard error"):
        assert text in result.stdout


@pytest.mark.slow
def test_resume_of_a_finished_sweep_prints_the_same_table(swept):
    path, out, first = swept

    def files():
        return {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}

    before = files()
    again = invoke("run", path, "--out", out, "--resume")
    assert again.exit_code == 0, again.output
    assert again.stdout == first.stdout
    lock = out / "lock"
    assert {k: v for k, v in files().items() if k != lock} == {
        k: v for k, v in before.items() if k != lock
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("t1=0.8", ["t1 is 0.4 in the store and 0.8 now"]),
        ("seed=3", ["seed is 0 in the store and 3 now"]),
        ("grid.zip.n_inputs.0=6", ["grid.zip.n_inputs is [5, 7] in the store and [6, 7] now"]),
    ],
)
def test_resume_with_another_config_is_refused(swept, assignment, words):
    path, out, _ = swept
    before = (out / "summary.json").read_bytes()
    result = invoke("run", path, "--set", assignment, "--out", out, "--resume")
    refuses(result, *words, "--overwrite")
    assert (out / "summary.json").read_bytes() == before


def test_plot_refuses_what_is_no_run(tmp_path):
    refuses(invoke("plot", tmp_path / "none"), "holds no results.zarr")
    (tmp_path / "results.zarr").mkdir()
    refuses(invoke("plot", tmp_path), "cannot be read")


@pytest.mark.slow
def test_coarse_step_is_warned_about(config, tmp_path):
    path = config(n_inputs=100, dt=0.1, save_every=1, rules=["hebbian"])
    result = invoke("run", path, "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert "scale_separation" in result.stderr


@pytest.mark.slow
def test_training_set_and_gaussian_inputs_run(config, tmp_path):
    inputs = {"kind": "training_set", "examples": 20, "test_examples": 30}
    result = invoke("run", config(inputs=inputs), "--out", tmp_path / "set")
    assert result.exit_code == 0, result.output
    assert "training error" in result.stdout
    entry = json.loads((tmp_path / "set" / "summary.json").read_text())["rules"]["Hebbian"]
    assert 0 <= entry["training_error"]["mean"] < entry["test_error"]["mean"] < 0.6
    path = config(inputs="gaussian", precision="float64")
    assert invoke("run", path, "--out", tmp_path / "gaussian").exit_code == 0


@pytest.mark.slow
def test_one_trajectory_claims_no_error(config, tmp_path):
    path = config(n_trajectories=1, rules=["hebbian"])
    result = invoke("run", path, "--out", tmp_path / "out")
    assert "one trajectory, which has no standard error" in result.stdout
    assert "±" not in result.stdout
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["rules"]["Hebbian"]["error"]["standard_error"] is None


def test_info_and_help():
    result = invoke("info")
    assert result.exit_code == 0
    for word in ("thermoml", "jax", "cpu", "learning_rules", "essay"):
        assert word in result.stdout
    for command in ([], ["run"], ["plot"]):
        text = invoke(*command, "--help")
        assert text.exit_code == 0
        assert "Usage" in text.stdout


def test_real_process_gives_one_line_and_exit_code_2(tmp_path):
    command = [sys.executable, "-m", "thermoml", "run", "essay", "--set", "temperature=-1"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "temperature" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_device_for_each_core_unless_told(monkeypatch):
    set_to = {}
    monkeypatch.setattr(
        type(jax.config), "update", lambda _, name, value: set_to.update({name: value})
    )
    monkeypatch.setattr(cli, "app", lambda: None)
    monkeypatch.delenv("JAX_NUM_CPU_DEVICES", raising=False)
    cli.main()
    assert set_to == {"jax_num_cpu_devices": len(os.sched_getaffinity(0))}
    set_to.clear()
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "1")
    cli.main()
    assert not set_to
