"""A user's own study, the one in the docstring of `AbstractStudy`, from outside the package."""

import json
import pickle
import re
import sys
import textwrap

import numpy as np
import pytest
import xarray as xr
import yaml
from typer.testing import CliRunner

from thermoml.cli import app
from thermoml.studies import AbstractStudy, load_study

(SKELETON,) = re.findall(r"```python\n(.*?)```", AbstractStudy.__doc__ or "", re.DOTALL)
SETTINGS = {
    "study": "relaxation.py:RelaxationStudy",
    "width": [0.5, 2.0],
    "n_trajectories": 400,
    "quick": {"n_trajectories": 60},
}


def invoke(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Writes the study and its config, with some keys changed, into a folder; returns the path.

    The working directory is another one.
    """
    folder, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (folder / "relaxation.py").write_text(textwrap.dedent(SKELETON))
    monkeypatch.chdir(elsewhere)

    def write(**changes):
        (folder / "config.yaml").write_text(yaml.safe_dump(SETTINGS | changes))
        return folder / "config.yaml"

    return write


def test_it_runs_resumes_and_is_drawn_again(config, tmp_path):
    out = tmp_path / "out"
    first = invoke("run", config(), "--out", out)
    assert first.exit_code == 0, first.output
    assert first.stdout.startswith("width  heat")
    assert "±" in first.stdout
    points = json.loads((out / "summary.json").read_text())["points"]
    for point in points:
        exact = (point["width"] ** 2 - 1) * (1 - np.exp(-2)) / 2
        heat = point["heat"]
        assert abs(heat["mean"] - exact) < 4 * heat["standard_error"] + 0.03  # O(dt)
    with xr.open_zarr(out / "results.zarr") as results:
        assert results.heat.dims == ("width",)
        assert results.heat.attrs["units"] == "energy"
    figures = {path: path.read_bytes() for path in out.glob("figures/*")}
    assert sorted(path.name for path in figures) == ["heat.png", "heat.svg"]
    for path in figures:
        path.unlink()
    assert invoke("plot", out).exit_code == 0
    assert {path: path.read_bytes() for path in figures} == figures

    again = invoke("run", config(), "--out", out, "--resume")
    assert again.exit_code == 0, again.output
    assert again.stdout == first.stdout
    other = invoke("run", config(), "--set", "seed=1", "--out", out, "--resume")
    assert other.exit_code == 2
    assert "seed is 0 in the store and 1 now" in other.stderr


def test_quick_settings_and_overrides(config):
    study = load_study(str(config()), overrides=["width=1.5", "t1=0.5"], quick=True)
    assert (study.config.n_trajectories, study.config.width, study.config.t1) == (60, [1.5], 0.5)


def test_an_importable_module(config, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path / "project")
    study = load_study(str(config(study="relaxation:RelaxationStudy")))
    assert type(study).__module__ == "relaxation"
    assert study.grid.shape == (2,)
    del sys.modules["relaxation"]


def test_other_processes_read_the_file_themselves(config):
    """Pickled as the config alone: a process without the module imports the file again."""
    point = load_study(str(config())).point
    sent = pickle.dumps(point)
    del sys.modules[type(point.__self__).__module__]
    received = pickle.loads(sent).__self__
    assert received.config.width == [0.5, 2.0]
    assert type(received) is not type(point.__self__)


WRONG = {
    "misspelt key": ({"widht": [1.0]}, 'unknown key widht; did you mean "width"?'),
    "bad value": ({"t1": -1.0}, "t1 must be greater than 0, got -1.0"),
    "no such file": (
        {"study": "relaxatoin.py:RelaxationStudy"},
        "relaxatoin.py; a relative path begins at the folder of the config",
    ),
    "no such class": (
        {"study": "relaxation.py:Relaxationstudy"},
        'relaxation.py defines no Relaxationstudy; did you mean "RelaxationStudy"?',
    ),
    "no such module": (
        {"study": "relaxation:RelaxationStudy"},
        "there is no module relaxation; install it, put its folder on PYTHONPATH, or give the path",
    ),
    "no class": ({"study": "relaxation.py"}, "or path/to/file.py:Class"),
    "no study": (
        {"study": "relaxation.py:Relaxation"},
        "relaxation.py:Relaxation must be a subclass of AbstractStudy",
    ),
    "incomplete": ({"study": "relaxation.py:Part"}, "relaxation.py:Part must also define check, "),
    "no schema": ({"study": "relaxation.py:Bare"}, "Bare must annotate its settings"),
}

MORE = """

class Part(AbstractStudy):
    config: Relaxation


class Bare(RelaxationStudy):
    config: int
"""


@pytest.mark.parametrize(("changes", "words"), WRONG.values(), ids=WRONG)
def test_mistakes_are_told_in_one_line(config, tmp_path, changes, words):
    path = config(**changes)
    with (tmp_path / "project" / "relaxation.py").open("a") as file:
        file.write(MORE)
    result = invoke("run", path, "--out", tmp_path / "out")
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert words in result.stderr
    assert not (tmp_path / "out").exists()


def test_drawing_again_without_the_file_is_refused(config, tmp_path):
    out = tmp_path / "out"
    assert invoke("run", config(), "--quick", "--set", "width=1.0", "--out", out).exit_code == 0
    path = tmp_path / "project" / "relaxation.py"
    path.unlink()
    name = next(name for name, m in sys.modules.items() if getattr(m, "__file__", "") == str(path))
    del sys.modules[name]
    result = invoke("plot", out)
    assert result.exit_code == 2
    assert "there is no file" in result.stderr
