"""Runs of the reduced process: bits that do not change, derivatives and refusals."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from students import GIVEN, STUDENT, TEACHER

import thermoml as tml

pytestmark = pytest.mark.filterwarnings("ignore::thermoml.perceptron.ScaleSeparationWarning")

M, K = 2100, 1.2


@pytest.fixture
def final(run_reduced):
    def numbers(problem, **options):
        curve = run_reduced(problem, **options)
        return jnp.stack([curve.overlap[:, -1], curve.norm[:, -1], curve.heat[:, -1]])

    return numbers


def test_the_number_of_inputs_is_a_leaf(reduced_problem, final):
    """Inside jit it is traced, once for all values; the same run outside, but for rounding."""

    def traced(n_inputs):
        return final(reduced_problem(n_inputs=n_inputs), n_trajectories=5)

    inside = eqx.filter_jit(eqx.debug.assert_max_traces(traced, max_traces=1))
    for n_inputs in (10, 10**9):
        outside = final(reduced_problem(n_inputs=n_inputs))[:, :5]
        found = inside(jnp.asarray(float(n_inputs)))
        np.testing.assert_allclose(found, outside, rtol=2e-5, atol=2e-6)


def test_values_do_not_recompile(traced_rule, run_reduced, reduced_problem):
    make, traces = traced_rule

    def go(value, n_inputs, **options):
        settings = {"learning_rate": value, "temperature": value, "stiffness": value}
        run_reduced(
            reduced_problem(make(value), n_inputs=n_inputs, **settings), n_trajectories=5, **options
        )

    go(0.3, 5)
    first = len(traces)
    assert first > 0
    for value, n_inputs in (
        (np.float64(0.4), np.int64(50)),
        (jnp.asarray(0.5), jnp.asarray(40.0)),
        (0.6, 10**6),
    ):
        go(value, n_inputs)
    go(0.3, 5, level=tml.Reduced(0.02), t1=0.4)
    assert len(traces) == first


@pytest.fixture(scope="module")
def whole(run_reduced):
    return run_reduced()


def assert_same(a, b, rows=slice(None)):
    """Every quantity of `a` is that of the trajectories `rows` of `b`, bit for bit."""
    for name, values in a.quantities().items():
        np.testing.assert_array_equal(values, b.quantities()[name][rows], name)
    np.testing.assert_array_equal(a.checkpoint.plane, b.checkpoint.plane[rows])


@pytest.mark.slow
@pytest.mark.parametrize("count", [5, 1])
def test_a_trajectory_is_the_same_in_any_company(whole, count, run_reduced):
    """In other parts of the ensemble, and whichever chunk of the whole it is in: bit for bit."""
    assert len(np.unique(whole.overlap[:, -1])) > 0.99 * M
    for first in (0, 1500, M - count):
        part = run_reduced(n_trajectories=count, first_trajectory=first)
        assert_same(part, whole, slice(first, first + count))


@pytest.fixture(scope="module")
def halves(tmp_path_factory, run_reduced):
    """From 0 to 0.5 and, by way of a file, from there to 1, without a save between."""
    path = tmp_path_factory.mktemp("reduced") / "half.tml"
    tml.save(path, run_reduced(t1=0.5, save_every=None))
    first = tml.load(path)
    return first, run_reduced(weights=first, save_every=None)


@pytest.mark.slow
def test_a_continued_run_is_one_long_run_bit_for_bit(whole, halves):
    """Whatever was saved on the way."""
    first, second = halves
    for curve, save in ((first, 2), (second, 4)):
        for name in ("overlap", "norm", "transverse", "work", "heat", "error", "information"):
            values = np.asarray(getattr(whole, name))[:, [save - 2, save]]
            np.testing.assert_array_equal(getattr(curve, name), values, name)
        np.testing.assert_array_equal(curve.times, whole.times[save - 2 : save + 1 : 2])
        np.testing.assert_allclose(
            curve.scale_separation[:, 1],
            whole.scale_separation[:, save - 1 : save + 1].mean(axis=1),
            rtol=1e-5,
        )
    ends = [jax.tree.leaves(curve.checkpoint) for curve in (whole, second)]
    for a, b in zip(*ends, strict=True):
        np.testing.assert_array_equal(a, b)
    assert whole.checkpoint.step == 20


def test_the_ledger_closes(whole, halves, run_reduced, reduced_problem):
    """dU = δW - δQ, from the state at the end and the very start; a new stiffness is work."""
    first, _ = halves
    stored = K / 2 * (np.sum(whole.checkpoint.plane**2, axis=1) - whole.norm[:, 0])
    np.testing.assert_allclose(whole.work[:, -1] - whole.heat[:, -1], stored, atol=2e-6)
    assert jnp.abs(stored).mean() > 0.05
    assert (whole.heat[:, 0] == 0).all()
    stiff = run_reduced(reduced_problem(stiffness=K + 2), weights=first, save_every=None)
    np.testing.assert_allclose(stiff.work[:, 0] - first.work[:, -1], first.norm[:, -1], atol=2e-6)
    np.testing.assert_allclose(stiff.heat[:, 0], first.heat[:, -1], atol=2e-6)


@pytest.fixture(scope="module")
def derivatives(reduced_problem, run_reduced):
    """Forward, reverse and difference quotient of final error + heat of AdaTrons in ν̃."""

    def objective(rate, adjoint):
        problem = reduced_problem(tml.AdaTron(), n_inputs=20, learning_rate=rate)
        options = {"n_trajectories": 4, "save_every": None, "t1": 0.5, "adjoint": adjoint}
        curve = run_reduced(problem, **options)
        return jnp.mean(curve.error[:, -1] + curve.heat[:, -1])

    with jax.enable_x64(True):
        at, h = jnp.asarray(0.8), 1e-5
        push = jax.jit(
            lambda x: jax.jvp(lambda r: objective(r, tml.langevin.ForwardMode()), (x,), (at / at,))
        )
        reverse = jax.grad(lambda x: objective(x, tml.langevin.RecursiveCheckpoint()))(at)
        forward = push(at)[1]
        return forward, reverse, (push(at + h)[0] - push(at - h)[0]) / (2 * h)


@pytest.mark.exhaustive
def test_derivatives_agree_in_both_modes_and_with_differences(derivatives):
    forward, reverse, difference = map(float, derivatives)
    assert abs(forward) > 0.01
    np.testing.assert_allclose(forward, reverse, rtol=1e-10)
    np.testing.assert_allclose(forward, difference, rtol=1e-6)


def test_cold_perceptrons_run(reduced_problem, run_reduced):
    """T = 0 from given weights: the drive alone moves them."""
    cold = reduced_problem(temperature=0.0)
    curve = run_reduced(cold, **GIVEN)
    for values in (curve.overlap, curve.norm, curve.heat):
        assert jnp.isfinite(values).all()
    assert jnp.isnan(curve.entropy_production).all()


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"problem": {"n_inputs": 3}},
            ValueError,
            "n_inputs must be at least 4, got 3; use",
        ),
        ({"problem": {"n_inputs": None}}, ValueError, "n_inputs must be given"),
        ({"key": None}, TypeError, "key is needed"),
        (
            {"problem": {"n_inputs": None, "inputs": tml.TrainingSet(np.ones((9, 10)))}},
            ValueError,
            "inputs must be",
        ),
        ({"test_inputs": np.ones((2, 10))}, ValueError, "test_inputs must be left out"),
        ({"weights": lambda key: jnp.ones(10)}, ValueError, "weights must be left out"),
        ({"weights": STUDENT}, ValueError, "weights must be left out"),
        (
            {"weights": STUDENT, "teacher": tml.perceptron.sphere_teacher},
            ValueError,
            "weights must be left",
        ),
        ({"weights": STUDENT, "teacher": np.ones(9)}, ValueError, "weights and teacher must have"),
        ({"weights": np.ones((2, 10)), "teacher": TEACHER}, ValueError, "weights and teacher"),
        ({"weights": STUDENT, "teacher": np.zeros(10)}, ValueError, "teacher must not be zero"),
        ({"problem": {"stiffness": 0.0}}, ValueError, "weights must be given"),
        ({"t1": 0.51}, ValueError, "dt must divide"),
        ({"save_every": 3}, ValueError, "save_every must"),
        (
            {"level": tml.Reduced(2.0), "t1": 4.0, "save_every": None},
            ValueError,
            "dt must be below",
        ),
    ],
)
def test_impossible_runs_are_refused(options, error, message, reduced_problem, run_reduced):
    problem = reduced_problem(**options.get("problem", {}))
    with pytest.raises(error, match=f"^{message}"):
        run_reduced(**options | {"problem": problem})


@pytest.mark.parametrize("dt", [0.0, -0.1, np.nan])
def test_impossible_steps_are_refused(dt):
    with pytest.raises(ValueError, match="^dt must"):
        tml.Reduced(dt)
