"""Random input is accepted or refused in the library's own words; `benchmarks/fuzz.py` goes on.

The examples are the same in each run. What may be refused, and how, says `fuzzing.judgement`.
"""

import jax
import numpy as np
import pytest
from fuzzing import arguments, calls, configs
from fuzzing.judgement import objection
from hypothesis import HealthCheck, given, settings

pytestmark = pytest.mark.slow
few = settings(suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@pytest.mark.parametrize("name", configs.NAMES)
def test_configs(name, folder):
    @given(content=configs.mutated(name))
    @settings(few, max_examples=20)
    def check(content):
        assert configs.objections(content, folder) is None

    check()


def test_texts_of_configs(folder):
    @given(text=configs.TEXTS)
    @settings(few, max_examples=60)
    def check(text):
        assert objection(lambda: configs.read(text, folder)) is None

    check()


def test_overrides(folder):
    @given(assignment=configs.OVERRIDES)
    @settings(few, max_examples=60)
    def check(assignment):
        assert configs.objections_to_override(assignment, folder) is None

    check()


# Most calls compile something for each new shape or type that they accept.
@pytest.mark.parametrize("name", sorted(set(calls.CALLS) - calls.SLOW))
def test_arguments(name):
    @given(change=arguments.mutated(name))
    @settings(few, max_examples=10)
    def check(change):
        assert arguments.objections(*change) is None

    check()


NAN = np.array([np.nan, 1.0, 1.0])
FAULTS = [
    *[("simulate", {"state": x}) for x in (np.nan, np.inf)],
    *[("simulate", {"key": x}) for x in (0, None, jax.random.split(calls.KEY))],
    *[("simulate", change) for change in ({"t1": 1e308}, {"observables": [1]}, {"layout": 3})],
    *[("PiecewiseLinear", {name: NAN}) for name in ("times", "values")],
    *[("Batch", {"states": states}) for states in (NAN, np.zeros(0))],
    *[("Ramp", {"end": np.nan}), ("Constant", {"value": np.nan}), ("Axis", {"lower": "a"})],
    *[("learn, microscopic", {"weights": np.full(8, np.nan)}), ("read_csv", {"path": 1})],
    *[("LearningProblem", {"learning_rate": [1.0, 2.0]}), ("LearningProblem", {"batch": 1e10})],
    *[("FokkerPlanck", {"axes": 3}), ("Cycle", {"strokes": 3}), ("sweep", {"static": 3})],
]


@pytest.mark.parametrize(("name", "change"), FAULTS)
def test_faults_of_the_past(name, change):
    call = calls.CALLS[name]
    words = (*change, *call.words)
    run = lambda: call.function(**call.arguments | change)
    assert objection(run, names=words, senseless=True) is None


def raising(error):
    def call():
        raise error

    return call


class Late(Exception):
    """An error of no library."""


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: float("x"), "foreign ValueError: could not convert"),
        (lambda: np.zeros(3)[5], "foreign IndexError"),
        (lambda: jax.numpy.zeros(2) + jax.numpy.zeros(3), "foreign TypeError"),
        (raising(ValueError("x must be 1")), "foreign ValueError: x must be 1"),
        (raising(Late("words")), "foreign Late: words"),
        (lambda: np.float32(1e30) * np.float32(1e30), "foreign warning: overflow"),
        (lambda: None, "accepted"),
    ],
)
def test_objections_are_raised(call, words):
    assert words in (objection(call, senseless=words == "accepted") or "")


def test_own_errors_must_name_the_argument():
    import thermoml as tml

    def call():
        tml.NormalState(np.nan, 1.0)

    assert objection(call, names=["mean"]) is None
    assert "names none of covariance" in (objection(call, names=["covariance"]) or "")


def test_slow_calls_and_large_ones(monkeypatch):
    monkeypatch.setattr("fuzzing.judgement.MOST_SECONDS", 0.01)
    assert "of a core" in (objection(lambda: sum(range(10**6))) or "")
    monkeypatch.setattr("fuzzing.judgement.MOST_SECONDS", 60.0)
    monkeypatch.setattr("fuzzing.judgement.MOST_BYTES", 10**8)
    peak = iter([0, 2 * 10**8])
    monkeypatch.setattr("fuzzing.judgement._peak", lambda: next(peak))
    assert "of memory" in (objection(lambda: None) or "")
