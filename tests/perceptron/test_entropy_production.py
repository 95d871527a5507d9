"""Entropy production: no housekeeping, the excess as heat at rest, and what jumps hide of it."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

import thermoml as tml
from thermoml.numerics.quadrature import tanh_sinh
from thermoml.perceptron.theory import drive_square, moments, plane_moments, stepped_work_rate

TABLE = ["hebbian", "perceptron", "adatron", "alpha=-0.2", "alpha=0.5", "linear", "custom"]
KEY = jax.random.key(31)
K, BATH, M = 1.2, 0.6, 2048


def sphere(n, seed):
    direction = np.random.default_rng(seed).normal(size=n)
    return direction * n**0.5 / np.linalg.norm(direction)


def problem_of(rule, n, rate, **more):
    more = {"batch": 2, "stiffness": K, "temperature": BATH, "n_inputs": n} | more
    return tml.LearningProblem(rule, learning_rate=rate, **more)


@pytest.mark.parametrize("law", TABLE, indirect=True)
def test_mean_force_of_gaussian_inputs_has_a_potential(rule):
    """ν E[σξF] = ν̃(a w + b T) is the gradient of ν̃N E[Φ], the deltas of jumps in it."""
    n, teacher = 4, jnp.asarray(sphere(4, 1))

    def force_and_potential(w):
        found = moments(rule, teacher @ w / n, w @ w / n)
        force = found.along_student * w + found.along_teacher * teacher
        return jnp.append(force, n * found.potential), force

    slopes, force = jax.jit(jax.jacfwd(force_and_potential, has_aux=True))(sphere(n, 2))
    np.testing.assert_allclose(slopes[n], force, atol=1e-9)
    np.testing.assert_allclose(slopes[:n], slopes[:n].T, atol=1e-9)
    assert jnp.abs(force).max() > 0.05


@pytest.mark.parametrize("law", TABLE, indirect=True)
def test_mean_force_of_binary_inputs_does_no_work_around_a_loop(rule, all_inputs):
    """N = 3, around a triangle of weights, from one zero of s to the next: exact where F jumps.

    |s|^-0.2 is integrated to (1e-14)^0.8 beside its zero.
    """
    inputs, corners = all_inputs(3), np.random.default_rng(5).normal(size=(3, 3))
    nodes, weights = (x[:, None] for x in tanh_sinh())
    path, steps = [], []
    for here, there in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        before, after = inputs @ here, inputs @ there
        zeros = (before / (before - after))[before * after < 0]
        for start, end in itertools.pairwise([0, *np.unique(zeros.round(14)), 1]):
            path.append(here + (start + (end - start) * nodes) * (there - here))
            steps.append((end - start) * weights * (there - here))
    teacher = np.array([1.2, 0.9, 0.75**0.5])
    system = tml.perceptron.PerceptronLearning(problem_of(rule, 3, 0.4), teacher)
    force = jax.jit(jax.vmap(lambda w: system.drive_force(w, None, jnp.asarray(inputs))))
    works = np.sum(np.asarray(force(np.concatenate(path))) * np.concatenate(steps), axis=1)
    assert abs(works.sum()) < 1e-10
    assert np.abs(works).sum() > 0.1


class Wrong(tml.AbstractRule):
    """F(s) = θ(-s)(jump - slope·s): Perceptron and AdaTron as numbers, compiled once."""

    jump: Array
    slope: Array

    def __call__(self, s):
        return jnp.where(s < 0, self.jump - self.slope * s, 0)

    def potential(self, s):
        return jnp.where(s < 0, s * (self.jump - self.slope * s / 2), 0)

    @property
    def smooth(self):
        return False


REST = {  # the rule by its own name and as `Wrong`; N and ν̃; dt and a finer one
    "adatron": (tml.AdaTron, (0.0, 1.0), (10, 1.0), (0.01, 0.005)),
    "perceptron": (tml.PerceptronRule, (1.0, 0.0), (40, 0.5), (0.004, 0.001)),
}


@pytest.fixture(scope="module", params=REST)
def rest(request):
    """A run that learns; at rest for two dt heat per time, its error, stated bias; exact state."""
    build, numbers, (n, rate), steps = REST[request.param]
    rule = Wrong(*(jnp.asarray(x, jnp.float32) for x in numbers))
    problem = problem_of(rule, n, rate, inputs="gaussian")
    keys = iter(jax.random.split(KEY, 9))

    def run(dt, **more):
        more |= {"n_trajectories": M, "save_every": 100, "adjoint": tml.langevin.ForwardMode()}
        return tml.learn(problem, tml.Reduced(dt), t1=1000 * dt, key=next(keys), **more)

    found, last = [], (learned := run(0.01))
    for dt, n_runs in zip(steps, (1, 4), strict=True):
        heat = 0.0
        for part in range(n_runs):
            plane = np.stack([last.overlap[:, -1], last.transverse[:, -1] ** 0.5], axis=1)
            last = run(dt, weights=2**0.5 * plane, teacher=np.array([1, 0], np.float32))
            begun = 0 if part else 3  # three saves to come to rest
            heat += n * np.asarray(last.heat[:, -1] - last.heat[:, begun], float)
        heat_rate = tml.Estimate.of(heat / dt / (1000 * n_runs - 300))
        found.append((*heat_rate, n * float(last.heat_rate_bias.mean())))
    exact = tml.steady_state(problem_of(build(), n, rate, inputs="gaussian"), exact=True)
    return learned, found, exact


@pytest.mark.exhaustive
def test_heat_at_rest_is_the_excess_of_the_exact_state(rest):
    """2 fine - coarse: what is linear in dt, or with a jump and dt/4 in √dt, drops out.

    To 4.5 standard errors, 7e-6, and 0.7 % for the next order in dt.
    """
    _, ((coarse, its_error, _), (fine, error, _)), exact = rest
    expected = BATH * exact.excess_rate
    allowed = 4.5 * np.hypot(2 * error, its_error) + 0.007 * expected
    assert abs(2 * fine - coarse - expected) < allowed
    assert expected - coarse > 5 * its_error  # a single dt would not have done
    assert exact.housekeeping == 0


@pytest.mark.slow
@pytest.mark.parametrize("rest", ["perceptron"], indirect=True)
def test_jump_hides_heat_like_the_root_of_dt(rest):
    """The part of the missing heat that goes with √dt when that with dt is taken out."""
    _, ((coarse, its_error, bias), (fine, error, _)), exact = rest
    missing, less = (x - BATH * exact.excess_rate for x in (coarse, fine))
    allowed = 4 * np.hypot(its_error, 4 * error)
    assert missing < -20 * its_error
    assert abs(4 * less - missing - bias) < allowed < -bias


@pytest.mark.slow
def test_entropy_production_is_that_of_weights_and_bath(rest):
    """½ ln(Q_t/Q_0) + δQ/T, in float64 on the numbers of a float32 run."""
    floats = lambda x: jnp.asarray(np.asarray(x), float) if x.dtype == jnp.float32 else x
    with jax.enable_x64(True):
        curve = jax.tree.map(floats, rest[0])
        curve = dataclasses.replace(curve, initial=curve.at_start())
        norm, k, bath = (np.asarray(x) for x in (curve.norm, curve.stiffness, curve.temperature))
        weights = np.log(norm / norm[:, :1]) / 2
        bathed = (np.asarray(curve.work) - k / 2 * (norm - norm[:, :1])) / bath
        found = [curve.system_entropy, curve.environment_entropy, curve.entropy_production]
        for x, expected in zip(found, (weights, bathed, weights + bathed), strict=True):
            np.testing.assert_allclose(x, expected, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose([k, bath], [K, BATH], rtol=1e-6)


@pytest.mark.slow
def test_entropy_is_produced_all_the_time(rest):
    """From the start and from each save to the next, by more than 4 standard errors."""
    entropy = np.asarray(rest[0].entropy_production, float)
    assert np.abs(entropy[:, 0]).max() < 1e-7
    gained = np.concatenate([entropy[:, 1:], np.diff(entropy, axis=1)], axis=1)
    assert (gained.mean(axis=0) > 4 * gained.std(axis=0) / M**0.5).all()


@pytest.fixture(scope="module")
def binary():
    """AdaTrons with N = 5 at rest: heat per time, and σ_ex of the weights met, for two dt."""
    inputs = np.array(list(itertools.product((-1.0, 1.0), repeat=5)))
    teacher = sphere(5, 8)
    signs = np.sign(inputs @ teacher)
    problem, level = problem_of(tml.AdaTron(), 5, 1.2), tml.Microscopic

    def excess(weights):
        """(ν²/B)[N E F² - |E ξσF|²] of each student, by the sum over all 32 inputs."""
        force = np.maximum(-signs * (np.asarray(weights, float) @ inputs.T) / 5**0.5, 0)
        mean = (signs * force) @ inputs / 32
        return 1.2**2 * 5 / 2 * (5 * np.mean(force**2, axis=1) - np.sum(mean**2, axis=1))

    fixed = {
        "teacher": np.float32(teacher),
        "n_trajectories": 2 * M,
        "adjoint": tml.langevin.ForwardMode(),
    }
    found, weights, keys = [], None, iter(jax.random.split(KEY, 22))
    for dt in (0.02, 0.01):
        heats, rates = [], []
        for _ in range(11):
            more = fixed | {"weights": weights, "key": next(keys)}
            curve = tml.learn(problem, level(dt), t1=100 * dt, **more)
            weights = np.asarray(curve.weights)
            heats.append(5 * np.asarray(curve.heat[:, -1], float) / (100 * dt))
            rates.append(excess(weights))
        # Three runs come to rest; the weights at the ends of the others are samples of the state.
        found.append((np.mean(heats[3:], axis=0), np.mean(rates[2:], axis=0)))
    return found


@pytest.mark.slow
def test_heat_at_rest_is_the_excess_of_the_weights_met(binary):
    """±1 inputs, 2 fine - coarse; 4.5 standard errors, 7e-6, are 7 % of the heat."""
    (coarse, its_error), (fine, error) = (tml.Estimate.of(heat - met) for heat, met in binary)
    allowed = 4.5 * np.hypot(2 * error, its_error)
    assert abs(2 * fine - coarse) < allowed < 0.07 * binary[1][1].mean()
    assert coarse < -5 * its_error  # a single dt would not have done


def one_step(force, rate, n, batch, dt, plane):
    """Work rates and |f|² per weight of single steps with Gaussian inputs, in NumPy.

    In the frame of teacher, student and the inputs' other parts (Gram and Schmidt), where those are
    triangular with χ on the diagonal (Bartlett), batch + 2 components are all that N have.
    """
    rng, place, count = np.random.default_rng(11), np.arange(batch), 10_000
    inputs = rng.normal(size=(count, batch, batch + 2))
    inputs[..., 2:] *= np.tri(batch)
    inputs[:, place, 2 + place] = rng.chisquare(n - 2 - place, size=(count, batch)) ** 0.5
    signs, before = np.sign(inputs[..., 0]), np.zeros((count, batch + 2))
    before[:, :2] = n**0.5 * np.array(plane)

    def drive(w):
        pushes = signs * force(signs * np.einsum("mbi,mi->mb", inputs, w) / n**0.5)
        return rate * n**0.5 / batch * np.einsum("mb,mbi->mi", pushes, inputs)

    f, noise = drive(before), rng.normal(size=before.shape)
    moved = dt * (f - K * before) + (2 * BATH * dt) ** 0.5 * noise
    work = np.sum((f + drive(before + moved)) / 2 * moved, axis=1)
    return work / n / dt, np.sum(f**2, axis=1) / n


@pytest.mark.parametrize("law", ["perceptron", "adatron"], indirect=True)
def test_mean_work_of_a_step(rule, law):
    """To 4.5 standard errors (7e-6) with the noise of |f|², whose mean is known, taken out."""
    n, batch, dt, rate, plane = 400, 32, 0.016, 0.9, (0.3, 0.7)
    problem = problem_of(rule, n, rate, batch=batch)

    def predict(r, p):
        found = plane_moments(rule, r, p)
        return stepped_work_rate(problem, jnp.asarray(dt), r, p, found), found

    expected, found = jax.jit(predict)(*plane)
    square = float(drive_square(problem, found))
    work, squares = one_step(law.force, rate, n, batch, dt, plane)
    mean, error = tml.Estimate.of(squares)
    assert abs(mean - square) < 4.5 * error
    slope = np.cov(work, squares)[0, 1] / squares.var()
    mean, error = tml.Estimate.of(work - slope * (squares - square))
    assert abs(mean - expected) < 4.5 * error
    # Where F is constant but for its jump, this is the work if no input passed it.
    assert law.smooth or square - K * rate * found.stability - mean > 40 * error
