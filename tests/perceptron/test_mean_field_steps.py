"""Heat and finite steps of the mean field against other integrators and processes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float
from scipy import stats
from scipy.integrate import solve_ivp
from students import GIVEN, START

import thermoml as tml
from thermoml.perceptron.theory import jump_loss, plane_moments, stepped_work_rate

pytestmark = pytest.mark.filterwarnings("ignore::thermoml.perceptron.ScaleSeparationWarning")

ROOT = (2 / np.pi) ** 0.5
K, TEMPERATURE, RATE = 1.2, 0.6, 0.8


DT = 0.05
STEPS = tml.MeanField(DT, finite_step=True)


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


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("name", "inputs"), [("perceptron", None), ("perceptron", "binary"), ("adatron", "gaussian")]
)
def test_heat_by_another_integrator(x64, name, inputs, mean_field_problem, run_mean_field):
    """Work as ∫ E[f∘ẇ]: |f̄|² - k f̄·w + T div f̄ of the averaged force, and the excess with N."""
    n, batch = (50, 3) if inputs else (None, 30)
    problem = mean_field_problem(RULES[name](), n_inputs=n, batch=batch, inputs=inputs or "binary")
    curve = run_mean_field(problem, tml.MeanField(), t1=2.0, save_every=50, **GIVEN)

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
def stepped(run_mean_field, mean_field_problem):
    """(name, options, changes) -> quantities `[save]` by finite steps of that rule in float64."""

    def learn(name, options=(), **changes):
        with jax.enable_x64(True):
            curve = run_mean_field(
                mean_field_problem(powers(name, "float64"), **changes), STEPS, **dict(options)
            )
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
def test_finite_steps_are_the_mean_of_the_reduced_process(
    stepped, name, run_mean_field, mean_field_problem
):
    """N = 400, N dt/B = 3.3 and 4000 trajectories."""
    options = {"key": jax.random.key(3), "n_trajectories": 4000}
    curve = run_mean_field(mean_field_problem(powers(name), **MANY), tml.Reduced(DT), **options)
    agree(curve, stepped(name, **MANY), 400)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["perceptron", "alpha-tron"])
def test_finite_steps_are_the_mean_of_all_the_weights(
    stepped, name, run_mean_field, mean_field_problem
):
    """The same with ±1 inputs and 300 trajectories."""
    options = {"key": jax.random.key(4), "n_trajectories": 300}
    curve = run_mean_field(mean_field_problem(powers(name), **MANY), tml.Microscopic(DT), **options)
    agree(curve, stepped(name, **MANY), 400)


@pytest.fixture(scope="module")
def alpha_tron(run_mean_field):
    """The α-tron by finite steps in float32, with its averages in closed form."""
    return run_mean_field(level=STEPS)


def test_a_rule_of_the_library_agrees_with_its_formula(stepped, alpha_tron):
    """float32 and closed forms against float64 and quadrature."""
    expected = stepped("alpha-tron")
    for name in ("overlap", "norm", "error", "heat", "scale_separation"):
        found = getattr(alpha_tron, name)[0]
        assert found.dtype == "float32"
        np.testing.assert_allclose(found, expected[name], rtol=1e-4, atol=1e-5)


def test_a_continued_run_by_steps_is_one_long_run_bit_for_bit(alpha_tron, run_mean_field):
    whole, second = (
        run_mean_field(level=STEPS, t1=2.0),
        run_mean_field(level=STEPS, weights=alpha_tron, t1=2.0),
    )
    for name in ("times", "overlap", "norm", "work", "heat", "error"):
        first, later, expected = (np.asarray(getattr(x, name)) for x in (alpha_tron, second, whole))
        np.testing.assert_array_equal(first, expected[..., :5])
        np.testing.assert_array_equal(later, expected[..., 4:])
    assert second.checkpoint.step == whole.checkpoint.step == 40


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
def test_the_work_of_a_step_is_that_of_its_formula(x64, name, overlap, mean_field_problem):
    """ν̃/2dt E[(F(s) + F(s'))(s' - s)] over 10⁶ samples of s, each with a noise and its mirror."""
    n, batch, transverse = jnp.asarray(40.0), 4, 0.7
    problem = mean_field_problem(powers(name, float), n_inputs=n, batch=batch)
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
def test_the_work_of_a_short_step_lacks_what_the_jump_loses(x64, name, mean_field_problem):
    """dt → 0: E|f|²/N - kν̃E[sF] + Tν̃a, less the loss of theory 1 like √dt where F jumps."""
    overlap, transverse, n, batch = 0.4, 0.7, jnp.asarray(40.0), 4
    norm = overlap**2 + transverse**2
    problem = mean_field_problem(powers(name, float), n_inputs=n, batch=batch)
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
