"""The mean field against closed forms, other integrators, and the processes it is the limit of."""

import time
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float
from scipy import stats
from scipy.integrate import solve_ivp

import thermoml as tml
from thermoml.perceptron.theory import jump_loss, plane_moments, stepped_work_rate

pytestmark = pytest.mark.filterwarnings("ignore::thermoml.perceptron.ScaleSeparationWarning")

ROOT = (2 / np.pi) ** 0.5
K, TEMPERATURE, RATE = 1.2, 0.6, 0.8
TEACHER = np.array([1.0, -0.4, 0.3, 1.1, 0.8, -0.2, 0.1, 2.0, -1.0, 0.5])
STUDENT = np.array([0.5, 1.0, 0.2, 0.0, 2.0, -0.3, -1.2, 0.4, 0.1, 0.9])
GIVEN = {"weights": STUDENT, "teacher": TEACHER}
START = STUDENT @ TEACHER / (10 * TEACHER @ TEACHER) ** 0.5, STUDENT @ STUDENT / 10


DT = 0.05
STEPS = tml.MeanField(DT, finite_step=True)


def problem_of(rule=None, **changes):
    settings = {"learning_rate": RATE, "stiffness": K, "temperature": TEMPERATURE, "batch": 6}
    settings |= {"n_inputs": 40} | changes
    return tml.LearningProblem(tml.AlphaTron(0.5) if rule is None else rule, **settings)


def run(problem=None, level=None, *, t1=1.0, **options):
    """By time only the end is saved; by steps there are four saves of five steps."""
    level = tml.MeanField() if level is None else level
    if level.dt == DT:
        options = {"save_every": 5, "adjoint": tml.langevin.ForwardMode()} | options
    return tml.learn(problem_of() if problem is None else problem, level, t1=t1, **options)


@pytest.mark.parametrize(
    ("rate", "k", "temperature", "start"),
    [(1.0, 1.0, 1.0, {}), (0.3, 1.9, 0.5, {}), (2.0, 0.7, 1.5, GIVEN), (0.5, 0.2, 0.0, GIVEN)],
)
def test_hebbian_in_closed_form(x64, rate, k, temperature, start):
    """Theory 2.2 for any k and T: R relaxes to √(2/π)ν̃/k with k, Q - R² to T/k with 2k.

    Without N the heat is what V̄ = kQ/2 - √(2/π)ν̃R has lost.
    """
    settings = {"learning_rate": rate, "stiffness": k, "temperature": temperature}
    problem = problem_of(tml.Hebbian(), n_inputs=None, **settings)
    curve = run(problem, tml.MeanField(0.1), t1=16.0, save_every=10, **start)
    overlap, norm = START if start else (0.0, temperature / k)
    fading = np.exp(-k * np.asarray(curve.times))
    overlap, across = ROOT * rate / k * (1 - fading) + overlap * fading, norm - overlap**2
    across = temperature / k * (1 - fading**2) + across * fading**2
    potential = k * (across + overlap**2) / 2 - ROOT * rate * overlap
    np.testing.assert_allclose(curve.overlap[0], overlap, atol=1e-8)
    np.testing.assert_allclose(curve.transverse[0], across, atol=1e-8)
    np.testing.assert_allclose(curve.norm[0], across + overlap**2, atol=1e-8)
    np.testing.assert_allclose(curve.error[0], np.arctan2(across**0.5, overlap) / np.pi, atol=1e-8)
    np.testing.assert_allclose(curve.heat[0], potential[0] - potential, atol=1e-8)
    if temperature > 0:
        rest = np.arctan((np.pi * k * temperature / 2) ** 0.5 / rate) / np.pi
        np.testing.assert_allclose(curve.error[0, -1], rest, atol=1e-5)
    assert (curve.scale_separation == 0).all()
    assert (curve.heat_rate_bias == 0).all()


def averages(name, overlap, norm):
    """Theory 2.1 in NumPy: E[F²], E[sF], E[|λ*|F], the mean force, and E[(|ξ|² - N)F²]."""
    theta = np.arccos(overlap / norm**0.5)
    if name == "hebbian":
        square, stability, alignment, p = 1.0, ROOT * overlap, ROOT, 0
    elif name == "perceptron":
        wrong = 1 - np.cos(theta)
        square, p = theta / np.pi, 0
        stability, alignment = -(norm**0.5) * wrong * ROOT / 2, wrong * ROOT / 2
    else:
        bent = theta / 2 - np.sin(2 * theta) / 4
        square = 2 * norm / np.pi * bent
        stability, p = -square, 1
        alignment = 2 * (norm**0.5) / np.pi * (np.sin(theta) ** 3 / 2 - np.cos(theta) * bent)
    a, b = np.linalg.solve([[norm, overlap], [overlap, 1.0]], [stability, alignment])
    return square, stability, alignment, a, a * stability + b * alignment, 2 * p * square


RULES = {
    "hebbian": tml.Hebbian,
    "perceptron": tml.PerceptronRule,
    "adatron": tml.AdaTron,
}


@pytest.mark.parametrize(
    ("name", "inputs"), [("perceptron", None), ("perceptron", "binary"), ("adatron", "gaussian")]
)
def test_heat_by_another_integrator(x64, name, inputs):
    """Work as ∫ E[f∘ẇ]: |f̄|² - k f̄·w + T div f̄ of the averaged force, and the excess with N."""
    n, batch = (50, 3) if inputs else (None, 30)
    problem = problem_of(RULES[name](), n_inputs=n, batch=batch, inputs=inputs or "binary")
    curve = run(problem, tml.MeanField(), t1=2.0, save_every=50, **GIVEN)

    def rates(t, state):
        overlap, norm, _ = state
        square, stability, alignment, a, mean_square, beside = averages(name, overlap, norm)
        work = RATE**2 * mean_square - K * RATE * stability + TEMPERATURE * RATE * a
        if inputs:
            extra = square + ((beside if inputs == "gaussian" else 0) - mean_square) / n
            work += RATE**2 * n / batch * extra
        return (
            -K * overlap + RATE * alignment,
            -2 * K * norm + 2 * RATE * stability + 2 * TEMPERATURE,
            work,
        )

    times = np.asarray(curve.times)
    tight = {"rtol": 1e-11, "atol": 1e-12, "t_eval": times}
    overlap, norm, work = solve_ivp(rates, (0, 2), (*START, 0.0), "DOP853", **tight).y
    np.testing.assert_allclose(curve.overlap[0], overlap, atol=1e-8)
    np.testing.assert_allclose(curve.norm[0], norm, atol=1e-8)
    np.testing.assert_allclose(curve.work[0], work, atol=1e-7)
    np.testing.assert_allclose(curve.heat[0], work - K / 2 * (norm - norm[0]), atol=1e-7)


class Powers(tml.AbstractRule):
    """Powers of |s|, a leaf each: one compiled run serves five rules."""

    wrong: Float[Array, " 2"]
    right: Float[Array, " 2"]

    def __call__(self, s):
        size = jnp.log(jnp.where(s == 0, 1, jnp.abs(s)))
        wrong, right = (c * jnp.exp(p * size) for c, p in (self.wrong, self.right))
        return jnp.where(s < 0, wrong, right)

    def potential(self, s):
        wrong, right = (c * jnp.abs(s) ** (p + 1) / (p + 1) for c, p in (self.wrong, self.right))
        return jnp.where(s < 0, -wrong, right)

    @property
    def smooth(self):
        return False


POWERS = {
    "hebbian": ((1.0, 0.0), (1.0, 0.0)),
    "perceptron": ((1.0, 0.0), (0.0, 0.0)),
    "adatron": ((1.0, 1.0), (0.0, 0.0)),
    "alpha-tron": ((1.0, 0.0), (1.0, 0.5)),
    "linear alpha-tron": ((1.0, 0.0), (0.3, 1.0)),
}
MANY = {"n_inputs": 400, "learning_rate": 0.4}  # a scale separation of up to 0.45


def powers(name, dtype="float32"):
    return Powers(*(jnp.asarray(x, dtype) for x in POWERS[name]))


@pytest.fixture(scope="module")
def stepped():
    """(name, options, changes) -> quantities `[save]` by finite steps of that rule in float64."""

    def learn(name, options=(), **changes):
        with jax.enable_x64(True):
            curve = run(problem_of(powers(name, "float64"), **changes), STEPS, **dict(options))
            return {name: np.asarray(x)[0] for name, x in curve.quantities().items()}

    return learn


@pytest.mark.parametrize("start", [{}, GIVEN], ids=["drawn", "given"])
def test_finite_steps_of_hebbian_in_closed_form(stepped, start):
    """The recursion of the means in NumPy: work to the 1e-6 of its quadrature, the rest 1e-9."""
    n, batch, c = 40, 6, 1 - K * DT
    curve = stepped("hebbian", start)
    overlap, norm = START if start else (0.0, TEMPERATURE / K)
    pushed = RATE**2 * (n / batch + (1 - 1 / batch) * ROOT**2)  # E|f|²/N
    work, rows = 0.0, []
    for step in range(21):
        if step % 5 == 0:
            rows.append((overlap, norm, work, work - K / 2 * (norm - rows[0][1] if rows else 0)))
        work += DT * (pushed - K * RATE * ROOT * overlap)
        norm = c**2 * norm + 2 * c * RATE * ROOT * DT * overlap + DT**2 * pushed
        norm += 2 * TEMPERATURE * DT
        overlap = c * overlap + RATE * DT * ROOT
    for name, exact in zip(("overlap", "norm", "work", "heat"), np.transpose(rows), strict=True):
        accuracy = 1e-6 if name in ("work", "heat") else 1e-9
        np.testing.assert_allclose(curve[name], exact, rtol=accuracy, atol=accuracy, err_msg=name)
    separation = DT * pushed / (2 * TEMPERATURE)
    np.testing.assert_allclose(curve["scale_separation"], separation, rtol=1e-9)


def agree(curve, mean, n):
    """Means over trajectories are the mean field's, within 4 standard errors and O(1/N)."""
    for name in ("overlap", "norm", "error", "heat", "scale_separation"):
        values, expected = np.asarray(getattr(curve, name), float), mean[name]
        error = values.std(axis=0) / len(values) ** 0.5
        distance = np.abs(values.mean(axis=0) - expected)
        assert (distance < 4 * error + (1 + np.abs(expected)) / n).all(), (name, distance, error)


@pytest.mark.slow
@pytest.mark.parametrize("name", POWERS)
def test_finite_steps_are_the_mean_of_the_reduced_process(stepped, name):
    """N = 400, N dt/B = 3.3 and 4000 trajectories."""
    options = {"key": jax.random.key(3), "n_trajectories": 4000}
    curve = run(problem_of(powers(name), **MANY), tml.Reduced(DT), **options)
    agree(curve, stepped(name, **MANY), 400)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["perceptron", "alpha-tron"])
def test_finite_steps_are_the_mean_of_all_the_weights(stepped, name):
    """The same with ±1 inputs and 300 trajectories."""
    options = {"key": jax.random.key(4), "n_trajectories": 300}
    curve = run(problem_of(powers(name), **MANY), tml.Microscopic(DT), **options)
    agree(curve, stepped(name, **MANY), 400)


@pytest.fixture(scope="module")
def alpha_tron():
    """The α-tron by finite steps in float32, with its averages in closed form."""
    return run(level=STEPS)


def test_a_rule_of_the_library_agrees_with_its_formula(stepped, alpha_tron):
    """float32 and closed forms against float64 and quadrature."""
    expected = stepped("alpha-tron")
    for name in ("overlap", "norm", "error", "heat", "scale_separation"):
        found = getattr(alpha_tron, name)[0]
        assert found.dtype == "float32"
        np.testing.assert_allclose(found, expected[name], rtol=1e-4, atol=1e-5)


def test_a_continued_run_by_steps_is_one_long_run_bit_for_bit(alpha_tron):
    whole, second = run(level=STEPS, t1=2.0), run(level=STEPS, weights=alpha_tron, t1=2.0)
    for name in ("times", "overlap", "norm", "work", "heat", "error"):
        first, later, expected = (np.asarray(getattr(x, name)) for x in (alpha_tron, second, whole))
        np.testing.assert_array_equal(first, expected[..., :5])
        np.testing.assert_array_equal(later, expected[..., 4:])
    assert second.checkpoint.step == whole.checkpoint.step == 40


@pytest.mark.slow
def test_it_goes_on_from_all_the_weights():
    """From where they are, with their ledger; at the times of `Microscopic`."""
    level, options = tml.Microscopic(DT), {"key": jax.random.key(2), "n_trajectories": 5}
    start = run(problem_of(n_inputs=10), level, **options)
    np.testing.assert_array_equal(start.times, run(level=STEPS).times)
    later = run(problem_of(n_inputs=10), tml.MeanField(DT), weights=start, t1=2.0)
    clock = start.checkpoint.clock
    np.testing.assert_array_equal(later.times, clock.time(start.checkpoint.step, np.arange(5) * 5))
    for name in ("overlap", "norm", "transverse", "error", "work", "heat", "information"):
        ours, theirs = getattr(later, name), getattr(start, name)
        np.testing.assert_allclose(ours[:, 0], theirs[:, -1], rtol=1e-5, atol=1e-6)
    stored = later.energy - start.energy[:, :1]
    np.testing.assert_allclose(later.work - later.heat, stored, atol=5e-6)
    assert jnp.abs(later.overlap[:, -1] - later.overlap[:, 0]).min() > 1e-3
    assert later.weights is None


@pytest.mark.parametrize("level", [tml.MeanField(), STEPS])
def test_trajectories_are_repeated(level):
    """As many as are asked for, all alike."""
    curve = run(level=level, n_trajectories=5)
    assert curve.heat.shape == (5, curve.times.size)
    assert (curve.heat == curve.heat[:1]).all()


@pytest.mark.slow
def test_the_end_need_not_be_a_whole_number_of_steps(x64):
    """Where only the end is saved; and a run goes on from there as if it had not stopped."""
    first = run(t1=0.123456789)
    np.testing.assert_allclose(first.times, [0, 0.123456789], rtol=1e-15)
    second, whole = run(weights=first, t1=0.3), run(t1=0.3)
    np.testing.assert_allclose(second.times, [0.123456789, 0.3], rtol=1e-15)
    for name in ("overlap", "norm", "work", "heat", "entropy_production", "efficiency"):
        ours = getattr(second, name)[0]
        np.testing.assert_allclose(ours[0], getattr(first, name)[0, -1], rtol=1e-14)
        np.testing.assert_allclose(ours[1], getattr(whole, name)[0, -1], rtol=1e-8)
    with pytest.raises(ValueError, match="^dt must divide"):
        run(t1=0.123456789, save_every=1)
    with pytest.raises(ValueError, match="^t1 must be"):
        run(weights=first, t1=0.1)


def test_float32_agrees_with_float64():
    single = run(t1=2.0)
    with jax.enable_x64(True):
        double = run(t1=2.0)
        for name in ("overlap", "norm", "error", "heat", "efficiency"):
            found = getattr(single, name)
            assert found.dtype == "float32"
            np.testing.assert_allclose(found, getattr(double, name), rtol=1e-4, atol=1e-5)


def final_error(alpha, adjoint):
    problem = problem_of(tml.AlphaTron(alpha), n_inputs=None)
    return run(problem, t1=2.0, adjoint=adjoint).error[0, -1]


@pytest.mark.slow
def test_derivatives_in_alpha_agree_in_both_modes_and_with_differences(x64):
    at, h = jnp.asarray(0.5), 1e-4

    @jax.jit
    def push(alpha):
        forward = lambda a: final_error(a, tml.langevin.ForwardMode())
        return jax.jvp(forward, (alpha,), (jnp.ones_like(alpha),))

    reverse = jax.jit(jax.grad(lambda a: final_error(a, tml.langevin.RecursiveCheckpoint())))(at)
    difference = (push(at + h)[0] - push(at - h)[0]) / (2 * h)
    assert abs(difference) > 1e-3
    np.testing.assert_allclose(push(at)[1], difference, rtol=1e-6)
    np.testing.assert_allclose(reverse, difference, rtol=1e-6)


@pytest.mark.parametrize("level", [tml.MeanField(), STEPS])
def test_a_rule_that_runs_away_is_reported(level):
    with pytest.warns(tml.perceptron.RuleWarning, match="no steady state"):
        problem = problem_of(tml.AlphaTron(1.5), learning_rate=40.0)
    with pytest.raises(tml.SimulationDiverged, match="non-finite at step"):
        run(problem, level)
    curve = run(problem, level, throw=False)
    for values in (curve.overlap, curve.norm, curve.heat):
        assert jnp.isfinite(values[0, 0])
        assert jnp.isnan(values[0, -1])
    assert 0 <= int(curve.diverged_step[0]) < 20


def test_what_is_not_finite_ends_at_once():
    """A search that steps out of a rule's domain must not wait for a hopeless integration."""

    @jax.jit
    def end(rate):
        return run(problem_of(learning_rate=rate), throw=False).error[0, -1]

    def seconds(rate):
        """The shortest of three: other work must not count."""
        taken = []
        for _ in range(3):
            begun = time.perf_counter()
            found = float(end(rate))
            taken.append(time.perf_counter() - begun)
        return found, min(taken)

    seconds(0.5)
    _, fine = seconds(0.5)
    found, taken = seconds(np.nan)
    assert np.isnan(found)
    assert taken < 20 * fine + 0.1


class Counted(tml.perceptron.AbstractPowerRule):
    """A rule that notes each time it is traced."""

    inner: tml.perceptron.AbstractPowerRule
    traces: ClassVar[list] = []

    def __call__(self, s):
        self.traces.append(s)
        return self.inner(s)

    def potential(self, s):
        return self.inner.potential(s)

    @property
    def smooth(self):
        return self.inner.smooth

    @property
    def powers(self):
        return self.inner.powers


@pytest.mark.parametrize("level", [tml.MeanField, lambda dt: tml.MeanField(dt, finite_step=True)])
def test_values_do_not_retrace(level):
    """α, ν̃, k, T, N, the step and the end."""
    Counted.traces.clear()
    seen = []
    options = {"save_every": 5, "adjoint": tml.langevin.ForwardMode()}
    if level is tml.MeanField:
        options = {"save_every": None}
    for value, n in ((0.51, 11), (0.52, np.int64(12)), (jnp.asarray(0.53), 13)):
        settings = {"learning_rate": value, "stiffness": value, "temperature": value}
        problem = problem_of(Counted(tml.AlphaTron(value)), n_inputs=n, **settings)
        for dt in (0.01, 0.02):
            run(problem, level(dt), t1=20 * dt, **options)
            seen.append(len(Counted.traces))
    assert 0 < seen[0] == seen[-1]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"n_inputs": None}, {"level": STEPS}, "n_inputs must be given"),
        ({"inputs": tml.TrainingSet(np.ones((9, 40)))}, {}, "inputs must be binary or gaussian"),
        ({}, {"test_inputs": np.ones((2, 10))}, "test_inputs must be left out for MeanField"),
        ({}, {"weights": STUDENT}, "weights must be left out"),
        ({}, {"weights": lambda key: jnp.ones(10)}, "weights must be left out"),
        ({"stiffness": 0.0}, {}, "weights must be given"),
        ({}, {"t1": -1.0}, "t1 must be"),
    ],
)
def test_impossible_runs_are_refused(changes, options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        run(problem_of(**changes), **options)


@pytest.mark.parametrize("dt", [0.0, -0.1, np.nan])
def test_impossible_steps_are_refused(dt):
    with pytest.raises(ValueError, match="^dt must"):
        tml.MeanField(dt)


FORCES = {
    "perceptron": lambda s: 1.0 * (s < 0),
    "adatron": lambda s: np.maximum(-s, 0),
    "alpha-tron": lambda s: np.where(s < 0, 1.0, np.sqrt(np.abs(s))),
}


@jax.jit
def work_rate(problem, dt, overlap, transverse):
    found = plane_moments(problem.rule, overlap, transverse)
    return stepped_work_rate(problem, dt, overlap, transverse, found), found


@pytest.mark.parametrize("name", FORCES)
@pytest.mark.parametrize("overlap", [-0.4, 0.5])
def test_the_work_of_a_step_is_that_of_its_formula(x64, name, overlap):
    """ν̃/2dt E[(F(s) + F(s'))(s' - s)] over 10⁶ samples of s, each with a noise and its mirror."""
    n, batch, transverse = jnp.asarray(40.0), 4, 0.7
    problem = problem_of(powers(name, float), n_inputs=n, batch=batch)
    rate, found = work_rate(problem, jnp.asarray(DT), overlap, transverse)

    rng, force = np.random.default_rng(6), FORCES[name]
    taught, beside, noise = rng.normal(size=(3, 10**6))
    s = np.sign(taught) * (overlap * taught + transverse * beside)
    norm = overlap**2 + transverse**2
    rho, sine = overlap / norm**0.5, transverse / norm**0.5
    x = rho / sine * s / norm**0.5
    aligned = rho * s / norm**0.5 + sine * np.exp(stats.norm.logpdf(x) - stats.norm.logcdf(x))
    a, b = float(found.along_student), float(found.along_teacher)
    gamma, others = 40 * DT / batch, 1 - 1 / batch
    drift = -K * DT * s + RATE * gamma * force(s) + RATE * DT * others * (a * s + b * aligned)
    width = 2 * TEMPERATURE * DT + RATE**2 * gamma * DT * others * float(found.force_square)
    work = 0.0
    for sign in (-1, 1):
        shift = drift + sign * width**0.5 * noise
        work = work + RATE / (4 * DT) * (force(s) + force(s + shift)) * shift
    assert abs(work.mean() - rate) < 4 * work.std() / 10**3
    assert work.std() / 10**3 < 5e-3 * abs(rate)


@pytest.mark.parametrize("name", RULES)
def test_the_work_of_a_short_step_lacks_what_the_jump_loses(x64, name):
    """dt → 0: E|f|²/N - kν̃E[sF] + Tν̃a, less the loss of theory 1 like √dt where F jumps."""
    overlap, transverse, n, batch = 0.4, 0.7, jnp.asarray(40.0), 4
    norm = overlap**2 + transverse**2
    problem = problem_of(powers(name, float), n_inputs=n, batch=batch)
    square, stability, _, a, mean_square, _ = averages(name, overlap, norm)
    limit = RATE**2 * (40 / batch * square + (1 - 1 / batch) * mean_square)
    limit += TEMPERATURE * RATE * a - K * RATE * stability

    def missing(dt):
        return (work_rate(problem, jnp.asarray(dt), overlap, transverse)[0] - limit) / dt**0.5

    # The rest is of order √dt: two steps extrapolate to dt = 0.
    found = 2 * missing(1e-4) - missing(4e-4)
    loss = jump_loss(problem, n, 1.0, float) / norm**0.5
    assert (loss < -0.1) == (name == "perceptron")
    np.testing.assert_allclose(found, loss, rtol=0.01, atol=2e-3)
