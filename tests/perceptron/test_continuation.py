"""A run in parts, along time or along the ensemble, is the run in one piece."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml
from thermoml.numerics.arrays import is_concrete

KEY = jax.random.key(4)
LEVEL = tml.Microscopic(0.05)
N, M = 7, 5
EXAMPLES = np.random.default_rng(1).normal(size=(9, N)).astype(np.float32)
INPUTS = {"binary": "binary", "gaussian": "gaussian", "training_set": tml.TrainingSet(EXAMPLES)}


def problem_of(**changes):
    settings = {"learning_rate": 0.6, "n_inputs": N, "batch": 3, "stiffness": 1.5}
    return tml.LearningProblem(tml.AlphaTron(0.4), **settings | changes)


def run(problem, *, t1=0.5, level=LEVEL, **options):
    """Ten steps, two saves: most runs of this file share their compiled code."""
    settings = {"n_trajectories": M, "save_every": 5, "teachers": "ensemble"} | options
    return tml.learn(problem, level, t1=t1, key=KEY, test_inputs=EXAMPLES[::-1], **settings)


def go_on(curve, problem, **options):
    """Ten steps more."""
    settings = {"n_trajectories": 1, "teachers": "single", "t1": curve.times[-1] + 0.5} | options
    return run(problem, weights=curve, **settings)


def same(a, b):
    """Equal trees, bit for bit (random keys do not occur)."""
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(np.testing.assert_array_equal, a, b)


def assert_joined(whole, first, second):
    """The saves of `first` and `second` are those of `whole`, and so is where it ends."""
    joint = first.overlap.shape[1] - 1
    assert set(whole.quantities()) == set(first.quantities()) == set(second.quantities())
    for name, values in whole.quantities().items():
        parts = [np.asarray(curve.quantities()[name]) for curve in (first, second)]
        np.testing.assert_array_equal(parts[0], values[:, : joint + 1], name)
        # At the joint the second part shows the drive that comes, the first that which led there.
        start = 1 if name == "scale_separation" else 0
        np.testing.assert_array_equal(parts[1][:, start:], values[:, joint + start :], name)
    same(np.concatenate([first.times, second.times[1:]]), np.asarray(whole.times))
    assert first.times[-1] == second.times[0]
    for name in ("checkpoint", "weights", "teacher", "initial", "diverged_step", "jump_loss"):
        same(getattr(whole, name), getattr(second, name))


@pytest.fixture(scope="module", params=INPUTS)
def parts(request):
    """The problem, from 0 to 1 at once, from 0 to 0.5, and from there to 1."""
    problem = problem_of(inputs=INPUTS[request.param])
    first = run(problem)
    return problem, run(problem, t1=1.0), first, go_on(first, problem)


@pytest.mark.optimised
def test_a_continued_run_is_one_long_run_bit_for_bit(parts):
    problem, whole, first, second = parts
    assert_joined(whole, first, second)
    assert (second.weights != first.weights).all()
    assert whole.checkpoint.step == 20
    assert ("training_error" in whole.quantities()) == isinstance(problem.inputs, tml.TrainingSet)


@pytest.fixture(scope="module")
def first():
    """From 0 to 0.5 on binary inputs."""
    return run(problem_of())


@pytest.mark.slow
def test_a_saved_curve_goes_on_as_if_it_had_never_stopped(tmp_path, first):
    tml.save(tmp_path / "half.tml", first)
    again = tml.load(tmp_path / "half.tml")
    same(first, again)
    same(go_on(again, problem_of()), go_on(first, problem_of()))


@pytest.mark.slow
def test_a_curve_may_be_given_its_own_number_of_trajectories(first):
    same(go_on(first, problem_of()), go_on(first, problem_of(), n_trajectories=M))


def balance(curve, initial):
    """dU = δW - δQ over all that came before, a few roundings apart."""
    stored = curve.energy - initial["energy"][:, None]
    np.testing.assert_allclose(stored, curve.work - curve.heat, atol=1e-6)


def test_after_a_change_of_dt_the_times_go_on(first):
    second = go_on(first, problem_of(), level=tml.Microscopic(0.025), t1=0.75)
    np.testing.assert_allclose(second.times, [0.5, 0.625, 0.75], rtol=1e-6)
    assert second.checkpoint.step == 20
    np.testing.assert_array_equal(second.work[:, 0], first.work[:, -1])
    third = go_on(second, problem_of())  # and back to the first dt
    np.testing.assert_allclose(third.times, [0.75, 1.0, 1.25], rtol=1e-6)
    assert third.checkpoint.step == 30
    balance(second, first.initial)
    balance(third, first.initial)


def test_a_change_of_stiffness_is_work(first):
    """A quench at fixed weights: dU = (k' - k)|w|²/2, all of it work and none of it heat."""

    def jump(curve, change):
        return change * np.sum(np.square(curve.weights, dtype=float), axis=1) / (2 * N)

    stiff = go_on(first, problem_of(stiffness=3.5))
    soft = go_on(stiff, problem_of())
    assert jump(first, 2.0).min() > 0.1
    for before, after, change in ((first, stiff, 2.0), (stiff, soft, -2.0)):
        added = jump(before, change)
        np.testing.assert_allclose(after.work[:, 0] - before.work[:, -1], added, atol=2e-6)
        np.testing.assert_allclose(after.energy[:, 0] - before.energy[:, -1], added, atol=2e-6)
        np.testing.assert_allclose(after.heat[:, 0], before.heat[:, -1], atol=2e-6)
        balance(after, first.initial)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"teacher": jnp.ones(N)}, "teacher must be left out"),
        ({"teacher": tml.perceptron.sphere_teacher}, "teacher must be left out"),
        ({"n_trajectories": M + 1}, f"n_trajectories must be left out or equal the {M}"),
        ({"t1": 0.5}, "t1 must be later than t0 = 0.5"),
        ({"t1": 0.25}, "t1 must be later than t0 = 0.5"),
        ({"t1": 0.52}, "dt must divide t1 - t0 = 0.02"),
        ({"problem": problem_of(n_inputs=N + 1)}, f"n_inputs must be {N} as in the curve"),
    ],
)
def test_what_does_not_fit_the_curve_is_refused(first, options, message):
    options = {"problem": problem_of()} | options
    with pytest.raises(ValueError, match=message):
        go_on(first, **options)


@pytest.mark.slow
@pytest.mark.parametrize(("teachers", "cut"), [("single", 6), ("ensemble", 7)])
def test_an_ensemble_run_in_parts_is_the_whole_bit_for_bit(teachers, cut):
    whole, low, high = (
        run(problem_of(), teachers=teachers, n_trajectories=count, first_trajectory=start)
        for count, start in ((12, 0), (cut, 0), (12 - cut, cut))
    )
    for name, values in whole.quantities().items():
        parts = [curve.quantities()[name] for curve in (low, high)]
        np.testing.assert_array_equal(np.concatenate(parts), values, name)
    np.testing.assert_array_equal(np.concatenate([low.weights, high.weights]), whole.weights)
    assert len(np.unique(whole.weights)) == 12 * N
    if teachers == "single":
        same(low.teacher, whole.teacher)
        same(high.teacher, whole.teacher)
        return
    np.testing.assert_array_equal(np.concatenate([low.teacher, high.teacher]), whole.teacher)
    later = [go_on(curve, problem_of()).weights for curve in (whole, high)]
    np.testing.assert_array_equal(later[0][cut:], later[1])  # a part keeps its numbers


def test_inside_jit_a_run_is_the_same_and_its_times_are_known():
    problem, seen = problem_of(), []

    @jax.jit
    def inside(first_trajectory):
        curve = run(problem, first_trajectory=first_trajectory)
        seen.append(curve.times)
        return curve

    compiled, eager = inside(jnp.asarray(3)), run(problem, first_trajectory=3)
    assert is_concrete(seen[0])
    np.testing.assert_array_equal(seen[0], eager.times)
    for name in ("overlap", "norm", "transverse", "work", "heat", "weights", "scale_separation"):
        ours, theirs = getattr(compiled, name), getattr(eager, name)
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6, err_msg=name)
    same(compiled.checkpoint.clock, eager.checkpoint.clock)
    assert compiled.checkpoint.first_trajectory == eager.checkpoint.first_trajectory == 3
