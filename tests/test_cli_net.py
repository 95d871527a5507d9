"""Nothing that goes wrong in the command line is more than one line, nor costs a finished run."""

import io
import json
import shutil
import sys

import jax
import numpy as np
import pytest
import xarray as xr
from command_line import TINY_SWEEP, config_writer, grid, invoke, refuses

from thermoml import cli
from thermoml.config import load_yaml
from thermoml.studies import AbstractStudy, StudyWarning
from thermoml.studies.perceptron.sweep import ParameterSweepStudy
from thermoml.sweeps import Store


@pytest.fixture
def config(tmp_path):
    return config_writer(tmp_path)


# Readings


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("1e-3", 1e-3), ("1e3", 1000.0), ("1.e3", 1000.0), (".5", 0.5), ("-1E+2", -100.0)],
        *[("1", 1), ("010", 10), ("0o10", 8), ("0x1f", 31), ("-0", 0), ("+3", 3)],
        *[(".inf", np.inf), ("-.inf", -np.inf), ("true", True), ("False", False), ("null", None)],
        *[(word, word) for word in ("yes", "no", "on", "off", "y", "n", "1:30", "1:30:00.5")],
        *[(word, word) for word in ("2026-13-45", "2026-01-02", "1_000", "e3", "0b1", ".")],
        *[("~", None), ("", None), ("[1e-3, yes]", [1e-3, "yes"]), ("{a: {log: 1e-3}}", None)],
    ],
)
def test_words_are_read_as_in_yaml_1_2(text, value):
    content = load_yaml(text)
    if text.startswith("{"):
        content, value = content["a"]["log"], 1e-3
    assert (content, type(content)) == (value, type(value))


BAD_TEXTS = {
    "a key twice": ("{study: sweep, t1: 1, t1: 2}", "the key t1 is given twice"),
    "a key twice inside": ("grid:\n  alpha: [0]\n  alpha: [1]\n", "alpha is given twice"),
    "a tagged word": ("seed: !!int abc", "abc is no int"),
    "a tagged float": ("t1: !!float abc", "abc is no float"),
    "a tagged truth": ("trajectories: !!bool maybe", "maybe is no bool"),
    "a tagged time": ("title: !!timestamp x", "x is no timestamp"),
    "an endless integer": (f"seed: {'9' * 5000}", "an integer with fewer digits"),
    "brackets": (f"title: {'[' * 3000}{']' * 3000}", "nested too deeply"),
    "an alias of itself": ("title: &a [*a]", "nested too deeply"),
    "aliases of aliases": (
        "x0: &x0 [1, 2]\n"
        + "".join(f"x{i}: &x{i} [*x{i - 1}, *x{i - 1}, *x{i - 1}]\n" for i in range(1, 40)),
        "unfolds to more than a million",
    ),
    "an unknown tag": ("title: !!python/object:os.system ls", "could not determine a constructor"),
}


@pytest.mark.parametrize(("text", "words"), BAD_TEXTS.values(), ids=BAD_TEXTS)
def test_texts_that_are_no_config(text, words, config, tmp_path):
    path, out = tmp_path / "bad.yaml", tmp_path / "out"
    path.write_text(text)
    refuses(invoke("run", path, "--out", out), words, out=out)
    key, _, value = text.partition(": ")
    if text.count("\n") == 0 and not text.startswith("{"):
        refuses(invoke("run", config(), "--set", f"{key}={value}", "--out", out), words, out=out)


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        *[(f"{key}={word}", key) for key in ("t1", "seed", "n_inputs") for word in ("yes", "true")],
        ("memory=true", "memory: must not be a truth value, got true"),
        ("memory=yes", "memory"),
        ("grid={alpha: [yes, no]}", "alpha"),
        ("grid={alpha: [true, false]}", "alpha"),
        ("t1=1:30", "t1"),
        ("title=5", "title"),
        ("n_trajectories=10000000000000000000000", "n_trajectories"),
        ("grid={alpha: {linear: [0, 1, 1000000000]}}", "a range has at most 1000000 values"),
        ("grid={alpha: {linear: [0, 1, 9999]}, dt: {linear: [0.001, 0.01, 9999]}}", "at most"),
        ("grid={1: [2]}", "grid"),
    ],
)
def test_values_that_are_no_numbers(assignment, words, config, tmp_path):
    out = tmp_path / "out"
    path = config(TINY_SWEEP)
    refuses(invoke("run", path, "--set", assignment, "--out", out), words, out=out)


def test_numbers_with_an_exponent_alone(config, tmp_path):
    changes = ("n_trajectories=1e1", "temperature=1e-3", "t1=4e-2", "saves=2")
    sets = [word for change in changes for word in ("--set", change)]
    path = config(TINY_SWEEP, **grid(learning_rate={"log": [1e-1, 1, 2]}), rule="hebbian")
    path.write_text(path.read_text().replace("0.1", "1e-1"))
    result = invoke("run", path, *sets, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    results = Store(tmp_path / "out").open()
    assert results.learning_rate.values.tolist() == [0.1, 1.0]
    assert json.loads(results.attrs["config"])["n_trajectories"] == 10


def test_a_name_that_no_file_can_have(tmp_path):
    refuses(invoke("run", "x" * 300, "--out", tmp_path / "out"), "cannot be read: File name too")
    refuses(invoke("run", "a\0b", "--out", tmp_path / "out"), "there is no config a")


# Everything else


class Unforeseen(Exception):
    """An error of some library."""


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyError("synthetic"), "KeyError: 'synthetic'; if this is no mistake of yours, report"),
        (Unforeseen("first line\nsecond line"), "Unforeseen: first line; if"),
        (ValueError("x must be 1, got 2; use 1"), "error: x must be 1, got 2; use 1; if"),
        (OverflowError(""), "OverflowError: "),
        (AssertionError(), "AssertionError: "),
        (MemoryError(), "MemoryError"),
    ],
)
def test_any_exception_is_one_line_and_a_file(error, words, config, tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("thermoml.studies.load_study", fail)
    refuses(invoke("run", config(), "--out", tmp_path / "out"), words)
    if not isinstance(error, MemoryError):
        (report,) = tmp_path.glob("thermoml-*.txt")
        assert "Traceback" in report.read_text()
        assert "in fail" in report.read_text()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of a tiny sweep, not to be changed."""
    folder = tmp_path_factory.mktemp("net")
    path = config_writer(folder)(TINY_SWEEP, t1=0.02, saves=1)
    result = invoke("run", path, "--out", folder / "out")
    assert result.exit_code == 0, result.output
    return path, folder / "out"


@pytest.fixture
def results(finished, tmp_path):
    return shutil.copytree(finished[1], tmp_path / "results")


TITLES = [r"$\frac{1$", "$5 and $6", "100 % of _this_ ^2", "\\", "{", "$$", "ünïcode 测试"]


@pytest.mark.slow
@pytest.mark.parametrize("title", TITLES)
def test_a_title_is_words(title, finished, results):
    path, _ = finished
    result = invoke(
        "run", path, "--set", f"title={json.dumps(title)}", "--out", results, "--resume"
    )
    assert result.exit_code == 0, result.output
    assert "could not be drawn" not in result.stderr
    if title.isascii() and title != "\\":
        from thermoml.plots import plain_text

        assert plain_text(title).replace(r"\$", "$") == title


@pytest.mark.slow
def test_a_figure_that_fails_costs_nothing_else(finished, tmp_path, monkeypatch):
    path, _ = finished
    figures = ParameterSweepStudy.figures

    class Broken:
        def savefig(self, *arguments, **options):
            raise Unforeseen("no ink")

    monkeypatch.setattr(
        ParameterSweepStudy, "figures", lambda self, x: {"bad": Broken(), **figures(self, x)}
    )
    result = invoke("run", path, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "warning: the figure bad could not be drawn: no ink; the results in" in result.stderr
    assert len(list((tmp_path / "out" / "figures").iterdir())) == 2
    assert Store(tmp_path / "out").open().attrs["complete"]
    assert (tmp_path / "out" / "summary.json").exists()
    refuses(invoke("plot", tmp_path / "out"), "the figure bad could not be drawn: no ink")

    monkeypatch.setattr(ParameterSweepStudy, "figures", lambda self, x: 1 / 0)
    again = invoke("run", path, "--out", tmp_path / "out", "--resume")
    assert again.exit_code == 0
    assert "the figures could not be drawn: division by zero" in again.stderr


def test_figures_that_have_no_place(finished, results):
    path, _ = finished
    shutil.rmtree(results / "figures")
    (results / "figures").write_text("mine")
    again = invoke("run", path, "--out", results, "--resume")
    assert again.exit_code == 0
    assert "could not be drawn: cannot write" in again.stderr
    assert (results / "figures").read_text() == "mine"


def attributes(folder, **changes):
    for name in (".zattrs", ".zmetadata"):
        path = folder / "results.zarr" / name
        content = json.loads(path.read_text())
        (content["metadata"][".zattrs"] if name == ".zmetadata" else content).update(changes)
        path.write_text(json.dumps(content))


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"config": "{}"},
        {"config": "not JSON"},
        {"config": '{"grid": {"a": [1]}, "n_trajectories": 6}'},
        {"config": 3},
        {"units": {"points": [0], "trajectories": 6}},
        {"units": {"points": "x", "trajectories": 6}},
        {"units": None},
        {"store_version": "two"},
    ],
)
def test_attributes_that_make_no_sense(changes, results, finished):
    attributes(results, **changes)
    refuses(invoke("plot", results))
    result = invoke("run", finished[0], "--out", results, "--resume")
    assert result.exit_code in (0, 2)
    assert "Traceback" not in result.output


def test_a_store_of_others_is_not_drawn(tmp_path):
    xr.Dataset({"a": ("x", np.arange(3.0))}).to_zarr(tmp_path / "results.zarr", zarr_format=2)
    refuses(invoke("plot", tmp_path), "was not written by thermoml")


def test_a_full_or_closed_stdout_harms_nothing(finished, monkeypatch, capsys):
    class Full(io.StringIO):
        def write(self, text):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    cli._print("a table")
    cli._print("a line")
    assert capsys.readouterr().err.count("nothing can be printed (No space left on device)") == 1


def test_jit_must_be_on(finished, tmp_path):
    jax.config.update("jax_disable_jit", True)
    try:
        refuses(invoke("run", finished[0], "--out", tmp_path / "out"), "unset JAX_DISABLE_JIT")
    finally:
        jax.config.update("jax_disable_jit", False)


def test_without_the_device_that_is_asked_for(finished, tmp_path, monkeypatch):
    def absent():
        raise AssertionError

    monkeypatch.setattr("jax.devices", absent)
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    words = "no GPU found by JAX for JAX_PLATFORMS=cuda; unset JAX_PLATFORMS or install"
    refuses(invoke("run", finished[0], "--out", tmp_path / "out"), words)


def test_warnings_of_studies_are_exported():
    assert issubclass(StudyWarning, UserWarning)
    assert AbstractStudy.__module__ == "thermoml.studies"
