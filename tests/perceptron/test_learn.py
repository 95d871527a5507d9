"""`learn`: reproducible, differentiable, compiled once, and clear about mistakes."""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml

KEY = jax.random.key(9)
LEVEL = tml.Microscopic(0.01)


def problem_of(rule=None, **changes):
    settings = {"learning_rate": 0.5, "n_inputs": 10, "batch": 3} | changes
    return tml.LearningProblem(tml.Hebbian() if rule is None else rule, **settings)


def run(problem=None, *, level=LEVEL, t1=0.2, key=KEY, **options):
    return tml.learn(problem_of() if problem is None else problem, level, t1=t1, key=key, **options)


@pytest.fixture(scope="module", params=["single", "ensemble"])
def ensembles(request):
    """The same run with 5, 130 and 200 trajectories: one chunk and two of different sizes."""
    rule = tml.AlphaTron(0.5)
    counts = (5, 130, 200) if request.param == "single" else (5, 130)
    return [
        run(problem_of(rule), n_trajectories=m, save_every=10, teachers=request.param)
        for m in counts
    ]


@pytest.mark.slow
def test_trajectories_do_not_depend_on_their_number(ensembles):
    for a in ensembles[:-1]:
        b = ensembles[-1]
        m = min(a.overlap.shape[0], b.overlap.shape[0])
        np.testing.assert_array_equal(a.weights[:m], b.weights[:m])
        np.testing.assert_array_equal(a.work[:m], b.work[:m])
        np.testing.assert_array_equal(a.overlap[:m], b.overlap[:m])
        np.testing.assert_array_equal(a.teacher[:m], b.teacher[:m])


@pytest.mark.slow
def test_teachers_lie_on_the_sphere(ensembles):
    teacher = ensembles[0].teacher
    np.testing.assert_allclose(jnp.sum(teacher**2, axis=-1), 10, rtol=1e-5)
    if teacher.ndim == 2:
        assert abs(teacher[0] @ teacher[1]) < 9.9


def test_same_key_same_run():
    first, again, other = run(), run(), run(key=jax.random.key(10))
    np.testing.assert_array_equal(first.weights, again.weights)
    assert (first.weights != other.weights).all()
    assert first.overlap.shape == (1, 2)


def test_errors_on_sets_are_counted():
    examples, held_out = np.random.default_rng(0).normal(size=(2, 12, 10)).astype(np.float32)
    problem = problem_of(n_inputs=None, inputs=tml.TrainingSet(examples), batch=4)
    assert problem.n_inputs == 10
    curve = run(problem, n_trajectories=7, test_inputs=held_out)
    final = {"training_error": examples, "test_error": held_out}
    for name, inputs in final.items():
        expected = tml.perceptron.test_error(curve.weights, curve.teacher, inputs)
        np.testing.assert_allclose(getattr(curve, name)[:, -1], expected, rtol=1e-6)
        assert name in curve.to_xarray()


def final_overlap(parameters):
    rate, stiffness = parameters
    problem = problem_of(learning_rate=rate, stiffness=stiffness, n_inputs=5)
    return jnp.mean(run(problem, n_trajectories=4).overlap[:, -1])


@pytest.mark.slow
def test_gradient_of_learning(x64):
    """Both modes against differences with common noise, in learning rate and stiffness."""
    at, h = jnp.asarray([0.5, 1.2]), 1e-5
    reverse, forward = jax.grad(final_overlap)(at), jax.jacfwd(final_overlap)(at)
    ahead, behind = ([final_overlap(at + x * d) for d in jnp.eye(2)] for x in (h, -h))
    differences = (np.array(ahead) - np.array(behind)) / (2 * h)
    np.testing.assert_allclose(reverse, differences, rtol=1e-7)
    np.testing.assert_allclose(forward, reverse, rtol=1e-12)


def test_vmap_over_learning_rates():
    rates = jnp.asarray([0.2, 0.7])
    together = eqx.filter_jit(eqx.filter_vmap(lambda r: run(problem_of(learning_rate=r))))(rates)
    for i, rate in enumerate(rates):
        np.testing.assert_allclose(
            together.overlap[i], run(problem_of(learning_rate=rate)).overlap, rtol=1e-5
        )


def test_values_do_not_recompile(traced_rule):
    make, traces = traced_rule

    def go(value, t1=0.26, dt=0.02):
        settings = {"learning_rate": value, "temperature": value, "stiffness": value}
        run(problem_of(make(value), **settings), t1=t1, level=tml.Microscopic(dt))

    go(0.5)
    first = len(traces)
    assert first > 0
    for value in (0.25, np.float64(0.3), np.float32(0.4), jnp.asarray(0.6)):
        go(value)
    go(0.5, 0.13, 0.01)
    go(0.5, np.float64(0.39), np.float64(0.03))
    assert len(traces) == first


@pytest.fixture
def quiet_cubic(quiet_alpha_tron):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", tml.perceptron.ScaleSeparationWarning)
        yield problem_of(quiet_alpha_tron(3.0), learning_rate=2.0)


FAR = {"weights": 2 * jnp.ones(10), "teacher": jnp.ones(10), "t1": 1.0, "save_every": 1}


def test_run_away_is_reported(quiet_cubic):
    with pytest.raises(tml.SimulationDiverged, match="non-finite at step") as caught:
        run(quiet_cubic, **FAR)
    curve = caught.value.solution
    step = int(curve.diverged_step[0])
    assert 0 < step < 100
    for values in (curve.overlap, curve.work, curve.heat):
        assert jnp.isfinite(values[0, :step]).all()
        assert jnp.isnan(values[0, step + 1 :]).all()


BAD_RULES = [
    (lambda s: s * jnp.nan, ValueError, "rule must be finite"),
    (lambda s: jnp.stack([s, s]), TypeError, r"to a scalar, got .*shape=\(2,\)"),
    (lambda s: jnp.where(s < 0, 1, 0), TypeError, "to a scalar, got .*dtype=int32"),
]


@pytest.mark.parametrize("level", [tml.Microscopic(0.01), tml.Reduced(0.01), tml.MeanField()])
@pytest.mark.parametrize(("rule", "error", "message"), BAD_RULES)
def test_a_rule_that_is_no_force_is_refused(level, rule, error, message):
    problem = tml.LearningProblem(rule, learning_rate=1.0, n_inputs=20)
    with pytest.raises(error, match=message):
        tml.learn(problem, level, t1=0.1, key=jax.random.key(0), n_trajectories=4)


def test_run_away_inside_jit_is_nan(quiet_cubic):
    silent = run(quiet_cubic, **FAR, throw=False)
    inside = jax.jit(lambda w: run(quiet_cubic, **FAR | {"weights": w}))(FAR["weights"])
    assert jnp.isnan(inside.overlap[0, -1])
    assert inside.diverged_step == silent.diverged_step


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"learning_rate": -1.0}, ValueError, "learning_rate"),
        ({"learning_rate": np.nan}, ValueError, "learning_rate"),
        ({"temperature": -1.0}, ValueError, "temperature"),
        ({"stiffness": -1.0}, ValueError, "stiffness"),
        ({"batch": 0}, ValueError, "batch"),
        ({"batch": 2.5}, TypeError, "batch"),
        ({"n_inputs": 0}, ValueError, "n_inputs"),
        ({"n_inputs": 2.5}, TypeError, "n_inputs"),
        ({"inputs": "ternary"}, ValueError, "inputs"),
        ({"inputs": 3}, ValueError, "inputs"),
        ({"inputs": tml.TrainingSet(np.ones((2, 10)))}, ValueError, "batch"),
        ({"inputs": tml.TrainingSet(np.ones((9, 4)))}, ValueError, "n_inputs"),
        ({"rule": 3}, TypeError, "rule"),
        ({"rule": tml.Hebbian}, TypeError, "rule"),
    ],
)
def test_impossible_problem_is_refused(changes, error, message):
    with pytest.raises(error, match=f"^{message} must"):
        problem_of(**changes)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"problem": problem_of(n_inputs=None)}, ValueError, "n_inputs"),
        ({"problem": 3}, TypeError, "problem"),
        ({"level": 0.1}, TypeError, "level"),
        ({"problem": problem_of(lambda s: s * jnp.ones(2))}, TypeError, "rule"),
        ({"problem": problem_of(lambda s: (s, s))}, TypeError, "rule"),
        ({"problem": problem_of(lambda s: s / 0)}, ValueError, "rule"),
        ({"level": tml.Microscopic(2.0), "t1": 4.0}, ValueError, "dt"),
        ({"t1": 0.015}, ValueError, "dt"),
        ({"t1": -1.0}, ValueError, "t1"),
        ({"key": None}, TypeError, "key"),
        ({"n_trajectories": 0}, ValueError, "n_trajectories"),
        ({"save_every": 3}, ValueError, "save_every"),
        ({"weights": jnp.ones(9)}, ValueError, "weights"),
        ({"weights": lambda key: jnp.ones(9)}, ValueError, "weights"),
        ({"problem": problem_of(stiffness=0.0)}, ValueError, "weights"),
        ({"teacher": jnp.zeros(10)}, ValueError, "teacher"),
        ({"teacher": jnp.ones(9)}, ValueError, "teacher"),
        ({"teacher": tml.perceptron.binary_teacher}, ValueError, "n_inputs"),
        ({"teachers": "many"}, ValueError, "teachers"),
        ({"test_inputs": jnp.ones(10)}, ValueError, "test_inputs"),
        ({"test_inputs": jnp.ones((2, 9))}, ValueError, "test_inputs"),
    ],
)
def test_impossible_run_is_refused(options, error, message):
    with pytest.raises(error, match=f"^{message} (must|is needed)"):
        run(**options)


@pytest.mark.parametrize("dt", [0.0, -0.1, np.nan, np.inf])
def test_impossible_step_is_refused(dt):
    with pytest.raises(ValueError, match="^dt must"):
        tml.Microscopic(dt)


def test_coarse_steps_are_warned_about():
    weak, noisy = problem_of(learning_rate=0.0), problem_of(learning_rate=1.5)
    with pytest.warns(tml.perceptron.StepSizeWarning, match="stiffness"):
        run(weak, level=tml.Microscopic(0.25), t1=0.5)
    with pytest.warns(tml.perceptron.ScaleSeparationWarning, match="scale_separation"):
        run(noisy, level=tml.Microscopic(0.1), t1=0.2)


def test_cold_and_free_perceptrons_run():
    """T = 0 with k = 0 from given weights: only the drive moves them, and no warning."""
    curve = run(problem_of(temperature=0.0, stiffness=0.0), weights=jnp.ones(10))
    np.testing.assert_allclose(curve.heat, curve.work)
    assert jnp.isnan(curve.entropy_production).all()
    assert jnp.isfinite(curve.overlap).all()


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("first", "error", "words"),
    [
        (-1, ValueError, "at least 0, got -1"),
        (0.5, TypeError, "whole number, got 0.5"),
        (2**31, ValueError, "must be at most"),
    ],
)
def test_numbers_that_no_trajectory_has(first, error, words):
    problem = tml.LearningProblem(tml.Hebbian(), learning_rate=1.0, n_inputs=8, batch=4)
    options = {"key": jax.random.key(0), "first_trajectory": first}
    with pytest.raises(error, match=f"first_trajectory must be .*{words}|{words}"):
        tml.learn(problem, tml.Reduced(0.01), t1=0.02, **options)
    harmonic = tml.Langevin(lambda x, c: jnp.sum(x**2))
    with pytest.raises(error, match=f"{words}"):
        tml.simulate(harmonic, jnp.ones(2), t1=0.02, dt=0.01, **options)


def test_a_continued_run_keeps_its_numbers():
    problem = tml.LearningProblem(tml.Hebbian(), learning_rate=1.0, n_inputs=8, batch=4)
    options = {"key": jax.random.key(0), "adjoint": tml.langevin.ForwardMode()}
    curve = tml.learn(problem, tml.Reduced(0.01), t1=0.02, first_trajectory=3, **options)
    with pytest.raises(ValueError, match="first_trajectory must be left out where a run is contin"):
        tml.learn(problem, tml.Reduced(0.01), t1=0.04, weights=curve, first_trajectory=3, **options)


@pytest.mark.parametrize("level", [tml.Reduced(0.01), tml.MeanField(), tml.Microscopic(0.01)])
def test_an_unknown_way_to_draw_teachers(level):
    problem = tml.LearningProblem(tml.Hebbian(), learning_rate=1.0, n_inputs=8, batch=4)
    with pytest.raises(ValueError, match='teachers must be "single" or "ensemble", got \'both\''):
        tml.learn(problem, level, t1=0.02, key=jax.random.key(0), teachers="both")
