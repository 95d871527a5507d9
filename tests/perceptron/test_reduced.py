"""The reduced process: the law of the microscopic one, whatever N."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from students import GIVEN, STUDENT, TEACHER

import thermoml as tml

pytestmark = pytest.mark.filterwarnings("ignore::thermoml.perceptron.ScaleSeparationWarning")

DT, M = 0.05, 2100
K, TEMPERATURE, RATE, BATCH = 1.2, 0.6, 1.2, 3


def alpha_tron():
    return tml.AlphaTron(0.5)


def by_hand(force, n, batch, rate, draw, seed):
    """All weights of 2100 perceptrons from equilibrium in plain NumPy, `[trajectory, save]`."""
    rng = np.random.default_rng(seed)
    teacher = np.ones(n)
    w = (TEMPERATURE / K) ** 0.5 * rng.normal(size=(M, n))
    nu, start, work, met, rows = rate * n**0.5, (w**2).mean(axis=1), np.zeros(M), [], []
    for step in range(21):
        if step % 5 == 0:
            overlap, norm = w.mean(axis=1), (w**2).mean(axis=1)
            error = np.arccos(overlap / norm**0.5) / np.pi
            separation = DT / (2 * TEMPERATURE) * np.mean(met, axis=0) if met else np.zeros(M)
            rows.append((overlap, norm, error, work, work - K / 2 * (norm - start), separation))
            met = []
        inputs = draw(rng, (M, batch, n))
        sign = np.where(inputs @ teacher < 0, -1.0, 1.0)

        def drive(w, inputs=inputs, sign=sign):
            f = force(sign * np.einsum("mbn,mn->mb", inputs, w) / n**0.5)
            return nu / batch * np.einsum("mb,mbn->mn", sign * f, inputs)

        before = drive(w)
        moved = w + DT * (before - K * w) + (2 * TEMPERATURE * DT) ** 0.5 * rng.normal(size=w.shape)
        work = work + np.mean((before + drive(moved)) / 2 * (moved - w), axis=1)
        met.append((before**2).mean(axis=1))
        w = moved
    return dict(zip(QUANTITIES, np.transpose(rows, (1, 2, 0)), strict=True))


QUANTITIES = ("overlap", "norm", "error", "work", "heat", "scale_separation")
# N, B, the rule and F in NumPy; Hebbian is the alpha-tron of 0, whose code is compiled already
CASES = {
    "perceptron": (4, 7, tml.PerceptronRule, lambda s: 1.0 * (s < 0)),
    "adatron": (40, 7, tml.AdaTron, lambda s: np.maximum(-s, 0)),
    "hebbian": (200, BATCH, lambda: tml.AlphaTron(0.0), np.ones_like),
    "alpha-tron": (10, BATCH, alpha_tron, None),
    "alpha-tron from given weights": (10, BATCH, alpha_tron, None),
}


def gaussian(rng, shape):
    return rng.normal(size=shape)


def binary(rng, shape):
    return rng.choice([-1.0, 1.0], size=shape)


@pytest.fixture(scope="module", params=CASES)
def both(request, generator, reduced_problem, run_reduced):
    """By all weights, in NumPy or by `Microscopic`, and by two components; the first free save."""
    n, batch, build, force = CASES[request.param]
    level = tml.Reduced(DT, generator=generator)
    problem = reduced_problem(build(), n_inputs=n, batch=batch)
    if force is not None:
        return by_hand(force, n, batch, RATE, gaussian, n), run_reduced(problem, level), 0
    start = GIVEN if "given" in request.param else {}
    full = run_reduced(problem, tml.Microscopic(DT), key=jax.random.key(1), **start)
    return full.quantities(), run_reduced(problem, level, **start), 1 if start else 0


@pytest.mark.slow
@pytest.mark.parametrize("quantity", QUANTITIES)
def test_it_has_the_law_of_all_the_weights(both, quantity):
    """Two samples of 2100 by Kolmogorov and Smirnov at each save.

    At most 150 tests in all: a false alarm in any of them has probability 1e-4.
    """
    full, reduced, first = both
    for save in range(first if quantity in ("overlap", "norm", "error") else 1, 5):
        a, b = (np.asarray(x[quantity])[:, save] for x in (full, reduced.quantities()))
        assert stats.ks_2samp(a, b).pvalue > 1e-4 / 150, save


@pytest.mark.slow
def test_it_has_the_covariances_of_all_the_weights(both):
    """Of each two of six quantities at the end, to 4.5 standard errors: in all 1e-3."""
    deviations = []
    for curve in (both[0], both[1].quantities()):
        values = np.stack([np.asarray(curve[name], float)[:, -1] for name in QUANTITIES])
        deviations.append(values - values.mean(axis=1, keepdims=True))
    for i, name in enumerate(QUANTITIES):
        for j, other in enumerate(QUANTITIES[: i + 1]):
            a, b = (x[i] * x[j] for x in deviations)
            distance = abs(a.mean() - b.mean())
            assert distance < 4.5 * np.hypot(a.std(), b.std()) / M**0.5, (name, other)


def test_given_weights_are_where_it_starts(run_reduced):
    curve = run_reduced(**GIVEN)
    unit = TEACHER / np.linalg.norm(TEACHER)
    np.testing.assert_allclose(curve.overlap[:, 0], STUDENT @ unit / 10**0.5, rtol=1e-6)
    np.testing.assert_allclose(curve.norm[:, 0], STUDENT @ STUDENT / 10, rtol=1e-6)
    each = jnp.asarray(np.random.default_rng(0).normal(size=(M, 10)), jnp.float32)
    start = run_reduced(weights=each, teacher=tml.Perceptron(TEACHER.astype(np.float32)))
    np.testing.assert_allclose(start.overlap[:, 0], each @ unit / 10**0.5, atol=1e-6)
    np.testing.assert_allclose(start.norm[:, 0], (each**2).mean(axis=1), rtol=1e-5)
    assert curve.weights is None
    assert curve.teacher is None


@pytest.mark.parametrize("n_inputs", [4, 10, 1000, 10**9])
def test_hebbian_moments_are_exact(assert_mean, n_inputs, run_reduced, reduced_problem):
    """E|f|² = ν²[N + (B - 1) 2/π]/B with Gaussian inputs: moments of a step from those before.

    Learning at a rate that leaves ν̃²N dt/B = 1/4 for large N.
    """
    n, rate, k, c = n_inputs, RATE * min(1.0, (10 / n_inputs) ** 0.5), K, 1 - K * DT
    curve = run_reduced(reduced_problem(tml.AlphaTron(0.0), n_inputs=n, learning_rate=rate))
    overlap, norm, work = 0.0, TEMPERATURE / K, 0.0
    force_square = rate**2 * (n + (BATCH - 1) * 2 / np.pi) / BATCH
    moments = []
    for step in range(21):
        if step % 5 == 0:
            moments.append((overlap, norm, work, work - k / 2 * (norm - TEMPERATURE / K)))
        pull = rate * (2 / np.pi) ** 0.5
        work += DT * (force_square - k * pull * overlap)
        norm = c**2 * norm + 2 * c * pull * DT * overlap + DT**2 * force_square
        norm += 2 * TEMPERATURE * DT
        overlap = c * overlap + pull * DT
    moments = np.array(moments).T
    for name, exact in zip(("overlap", "norm", "work", "heat"), moments, strict=True):
        assert_mean(getattr(curve, name), exact)
    assert_mean(curve.scale_separation, DT * force_square / (2 * TEMPERATURE))


@pytest.fixture(scope="module")
def excess(reduced_problem, run_reduced):
    """N -> by how much, relatively, E|f|² of ±1 inputs exceeds that of the process, and its error.

    AdaTrons, whose E[|ξ|²F²] is (N + 2)E[F²] with Gaussian inputs and N E[F²] with ±1.
    """

    def measure(n):
        problem = reduced_problem(tml.AdaTron(), n_inputs=n, batch=7)
        force = CASES["adatron"][-1]
        others = by_hand(force, n, 7, RATE, binary, n + 1)["scale_separation"][:, 1:].mean(axis=1)
        found = others, np.asarray(run_reduced(problem).scale_separation[:, 1:]).mean(axis=1)
        means, errors = np.transpose([(x.mean(), x.std() / M**0.5) for x in found])
        ratio = means[0] / means[1]
        return ratio - 1, ratio * np.hypot(*(errors / means))

    return [measure(n) for n in (4, 40)]


@pytest.mark.slow
def test_binary_inputs_differ_by_the_inverse_of_their_number(excess):
    (few, error), (many, other) = excess
    assert few < -6 * error
    assert abs(many) < 1.5 * abs(few) / 10 + 4 * np.hypot(other, error / 10)


@pytest.fixture(scope="module")
def billion(run_reduced, reduced_problem):
    """N = 10⁹ at ν̃²N dt/B = 1, in float32 and in float64: the quantities as NumPy arrays."""

    def learn(dtype):
        curve = run_reduced(reduced_problem(n_inputs=10**9, learning_rate=2.5e-4))
        assert curve.overlap.dtype == curve.heat.dtype == dtype
        return {name: np.asarray(x, float) for name, x in curve.quantities().items()}

    single = learn("float32")
    with jax.enable_x64(True):
        return single, learn("float64")


@pytest.mark.slow
@pytest.mark.parametrize("quantity", ["overlap", "norm", "information", "heat"])
def test_a_billion_inputs_in_float32_are_those_in_float64(billion, quantity):
    """Means to 4 standard errors and 5e-7 for rounding, widths to 4 of their errors."""
    single, double = (values[quantity][:, 1:] for values in billion)
    widths = single.std(axis=0), double.std(axis=0)
    distance = np.abs(single.mean(axis=0) - double.mean(axis=0))
    rounding = 5e-7 * np.abs(double).mean(axis=0)
    assert (distance < 4 * np.hypot(*widths) / M**0.5 + rounding).all()
    spread = 4 * np.sqrt((stats.kurtosis(double, axis=0, fisher=False) - 1) / 2 / M)
    assert (np.abs(widths[0] / widths[1] - 1) < spread).all()


@pytest.mark.slow
def test_a_billion_inputs_start_as_narrowly_as_they_should(billion):
    """R √N and (Q - 1)√(N/2) have width 1 in units of T/k."""
    for values in billion:
        overlap = values["overlap"][:, 0] * (1e9 * K / TEMPERATURE) ** 0.5
        norm = (values["norm"][:, 0] * K / TEMPERATURE - 1) * (1e9 / 2) ** 0.5
        for x in (overlap, norm):
            assert abs(x.mean()) < 4 / M**0.5
            assert abs(x.std() - 1) < 4 / (2 * M) ** 0.5
