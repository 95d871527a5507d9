"""`thermoml bench`: agreement of programs, comparisons of times, and the command."""

import dataclasses
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from thermoml.bench import (
    PROGRAMS,
    Report,
    Workload,
    against,
    growth,
    in_turns,
    measure,
    usual_steps,
)
from thermoml.cli import app

WORK = Workload(n_trajectories=256, n_inputs=20, batch=10, steps=5)


@pytest.fixture(scope="module")
def report():
    return measure(WORK, list(PROGRAMS), rounds=2)


@pytest.mark.slow
def test_all_programs_agree(report):
    """Means of R, Q and heat to five errors; two rounds of each."""
    assert {"thermoml", "thermoml, reduced", "NumPy", "ordinary JAX", "diffrax"} <= set(
        report.seconds
    )
    assert report.disagreements == []
    assert all(len(spent) == 2 and min(spent) > 0 for spent in report.seconds.values())
    assert report.compilation["NumPy"] == 0 < report.compilation["ordinary JAX"]
    text = str(report)
    assert "256 trajectories, N = 20, B = 10, 5 steps, 2 rounds" in text
    assert "agree within 5 standard errors" in text


@pytest.mark.parametrize("name", ["NumPy", "ordinary JAX", "thermoml"])
def test_heat_of_one_step_follows_from_the_first_law(name):
    """One step from given weights: Q's drift by hand, and the heat's mean from F∘dw."""
    work = Workload(n_trajectories=4000, n_inputs=15, batch=4, steps=1)
    overlap, norm, heat = (np.asarray(x, float) for x in PROGRAMS[name](work)(3))
    start = np.sum(work.weights.astype(float) ** 2, axis=1) / 15
    assert abs((norm - start).mean()) < 0.1
    first = work.weights.astype(float) @ work.teacher / 15
    assert np.corrcoef(overlap, first)[0, 1] > 0.99
    # At T = 1, k = 1 the spring alone absorbs N(1 - Q) dt of heat on average; the drive adds to it
    spring = (start * 15 - 15).mean() * 0.001
    drive = 15**2 / 4 * 0.001  # ν²E F²/B ~ N²/B for forces of about 1
    assert spring < heat.mean() < spring + 3 * drive + 4 * heat.std() / 4000**0.5


def drawn(mean_heat=0.0):
    """A program that returns normal numbers, and heats with this mean."""

    def program(work):
        def run(seed):
            overlap, norm, heat = np.random.default_rng(seed).normal(size=(3, work.n_trajectories))
            return overlap, norm, heat + mean_heat

        return run

    return program


def test_a_program_that_differs_is_reported(monkeypatch):
    for name, program in {"a": drawn(), "b": drawn(), "c": drawn(1.0)}.items():
        monkeypatch.setitem(PROGRAMS, name, program)
    assert measure(WORK, ["a", "b"], rounds=2).disagreements == []
    different = measure(WORK, ["a", "b", "c"], rounds=2)
    (sentence,) = different.disagreements
    assert sentence.startswith("heat of c is")
    assert sentence in str(different)


def test_programs_run_in_turns_and_the_first_call_is_apart():
    calls = []
    runs = {name: lambda seed, name=name: calls.append((name, seed)) for name in "ab"}
    timings = in_turns(runs, 2)
    assert calls == [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2)]
    assert len(timings.seconds["a"]) == len(timings.values["b"]) == 2
    slow = dataclasses.replace(timings, first={"a": 3.0}, seconds={"a": [1.0, 1.5, 2.0]})
    assert (slow.median("a"), slow.compilation("a")) == (1.5, 1.5)


CHECKOUT = """
import numpy as np

class Workload:
    def __init__(self, *sizes):
        self.count = sizes[0]

PROGRAMS = {
    "thermoml": lambda work: lambda seed: (
        np.random.default_rng(seed).normal(size=(3, work.count)) + SHIFT
    )
}
"""


@pytest.mark.parametrize(("shift", "note"), [("0", "the same bits"), ("1e-9", "other bits")])
def test_another_checkout_runs_in_the_same_turns(tmp_path, monkeypatch, shift, note):
    monkeypatch.setitem(PROGRAMS, "thermoml", drawn())
    (tmp_path / "thermoml").mkdir()
    (tmp_path / "thermoml" / "__init__.py").touch()
    (tmp_path / "thermoml" / "bench.py").write_text(CHECKOUT.replace("SHIFT", shift))
    report = measure(WORK, ["thermoml"], rounds=3, checkout=tmp_path)
    other = f"thermoml at {tmp_path}"
    assert [len(seconds) for seconds in report.seconds.values()] == [3, 3]
    assert list(report.seconds) == ["thermoml", other]
    assert report.notes == [f"{other}: {note}."]
    assert report.notes[0] in str(report)
    assert Report.from_json(json.loads(json.dumps(report.as_json()))) == report


def test_a_checkout_that_cannot_run_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(PROGRAMS, "thermoml", drawn())
    sizes = ["--n-trajectories", "8", "--n-inputs", "10", "--batch", "3", "--steps", "2"]
    command = ["bench", *sizes, "--program", "thermoml", "--against", str(tmp_path)]
    ran = CliRunner().invoke(app, command)
    assert ran.exit_code == 2
    assert "must be a checkout" in ran.stderr
    (tmp_path / "thermoml").mkdir()
    (tmp_path / "thermoml" / "__init__.py").write_text("raise OSError('unreadable')")
    with pytest.raises(ValueError, match="cannot be run: OSError: unreadable"):
        measure(WORK, ["thermoml"], rounds=1, checkout=tmp_path)


def test_a_program_slower_than_before_is_reported():
    before = Report("here", WORK, {"thermoml": [1.0, 1.1, 1.2], "NumPy": [2.0, 2.1]}, {}, [])
    now = Report("here", WORK, {"thermoml": [1.5, 1.6, 1.7], "NumPy": [2.05, 2.2]}, {}, [])
    lines = against(now, before).splitlines()
    assert lines[2].endswith("slower")
    assert "1.45" in lines[2]
    assert not lines[3].endswith(("slower", "faster"))
    assert against(before, now).splitlines()[2].endswith("faster")
    moved = dataclasses.replace(now, machine="there")
    assert "another machine: here" in against(moved, before)
    with pytest.raises(ValueError, match="of the same workload"):
        against(now, dataclasses.replace(before, workload=Workload()))


@pytest.mark.slow
def test_reports_are_saved_as_json(report):
    assert Report.from_json(json.loads(json.dumps(report.as_json()))) == report
    earlier = {name: x for name, x in report.as_json().items() if name != "notes"}
    assert Report.from_json(earlier) == report
    with pytest.raises(ValueError, match="not a report"):
        Report.from_json({"machine": "here"})


def test_growth_is_measured_at_a_quarter_a_half_and_the_whole():
    text = growth(dataclasses.replace(WORK, n_trajectories=4, steps=2), "NumPy", rounds=1)
    for size in ("n_trajectories = 1 ", "n_inputs = 5", "n_inputs = 20", "batch = 2", "steps = 1"):
        assert size in text


def test_the_length_of_a_workload_hardly_depends_on_its_sizes():
    assert usual_steps(1024, 1000, 30) == Workload().steps == 20
    assert usual_steps(1024, 100, 30) == 195
    assert usual_steps(10**6, 1000, 30) == 20
    assert usual_steps(1, 10, 1) == 1000


def test_the_command(tmp_path):
    sizes = ["--n-trajectories", "8", "--n-inputs", "10", "--batch", "3", "--steps", "2"]
    saved = tmp_path / "times.json"
    command = ["bench", *sizes, "--rounds", "2", "--program", "NumPy", "--out", str(saved)]
    ran = CliRunner().invoke(app, command)
    assert ran.exit_code == 0, ran.output
    assert "ns/element" in ran.output
    again = CliRunner().invoke(app, [*command[:-2], "--against", str(saved), "--grow"])
    assert again.exit_code == 0, again.output
    assert "now over before" in again.output
    assert "n_inputs = 2 " in again.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--program", "Fortran"], "program 'Fortran' is unknown; choose from thermoml, "),
        (["--against", "nowhere.json"], "nowhere.json"),
        (["--steps", "0"], "steps"),
    ],
)
def test_bad_input_is_reported_in_one_line(options, message):
    ran = CliRunner().invoke(app, ["bench", *options])
    assert ran.exit_code == 2
    assert message in ran.stderr


@pytest.mark.usefixtures("unchecked")
def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "other.json").write_text("[1, 2]")
    ran = CliRunner().invoke(app, ["bench", "--against", str(tmp_path / "other.json")])
    assert ran.exit_code == 2
    assert "not a report" in ran.stderr
