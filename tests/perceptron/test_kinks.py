"""Rules that jump or bend anywhere: averages, steady states, budgets and gradients."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

import thermoml as tml
from thermoml.numerics.kinks import find_kinks
from thermoml.perceptron.theory import force_jumps, plane_moments

CustomRule = tml.perceptron.CustomRule


def margin(m):
    return lambda s: jnp.where(s < m, 1.0, 0.0)


def state(rule, **more):
    return tml.steady_state(tml.LearningProblem(rule, learning_rate=1.0, **more))


@pytest.mark.parametrize(
    ("force", "places"),
    [
        (margin(0.5), [0.5]),
        (lambda s: jnp.where(0.3 - jnp.abs(s) > 0, 1.0, 0.0), [-0.3, 0, 0.3]),
        (lambda s: jnp.clip(s, -2, 3), [-2, 3]),
        (lambda s: jnp.sign(s**2 - 2), [-(2**0.5), 2**0.5]),
        (lambda s: jax.nn.relu(1 - 2 * s), [0.5]),
        (lambda s: jnp.piecewise(s, [s < -1, s >= 2], [0.0, 1.0, lambda s: s]), [-1, 2]),
        (lambda s: jnp.exp(-s), []),
    ],
)
def test_kinks_are_where_a_program_compares(dtype, force, places):
    """Filled up with 0."""
    found = np.unique(np.append(find_kinks(force, dtype), 0))
    np.testing.assert_allclose(found, np.unique([*places, 0.0]), rtol=4 * np.finfo(dtype).eps)


def test_kinks_move_with_what_a_function_closes_over(x64):
    """κ = m/2 of 2s < m, by grad, jit and vmap."""
    at = lambda m: find_kinks(lambda s: jnp.where(2 * s < m, 1.0, 0.0), float)
    assert at(1.0)[0] == 0.5
    np.testing.assert_allclose(jax.grad(lambda m: at(m).sum())(1.0), 0.5)
    np.testing.assert_allclose(jax.jit(at)(3.0)[0], 1.5)
    np.testing.assert_allclose(jax.vmap(at)(jnp.asarray([1.0, -2.0]))[:, 0], [0.5, -1])


def averages(force, kinks, overlap, transverse):
    """E[F²], E[sF], E[Φ] and E[F(λ) + F(-λ)]/√(2π) by SciPy, stretch by stretch."""
    root, slope = np.hypot(overlap, transverse), overlap / transverse
    ends = np.unique(np.clip([-12 * root, 0, *kinks, 12 * root], -12 * root, 12 * root))

    def mean(f):
        density = lambda s: 2 / root * norm.pdf(s / root) * norm.cdf(slope * s / root)
        term = lambda s: f(s) * density(s)
        return sum(quad(term, a, b, epsabs=1e-12)[0] for a, b in itertools.pairwise(ends))

    def potential(s):
        inner = np.unique(np.clip([0, *kinks, s], min(s, 0), max(s, 0)))
        pairs = itertools.pairwise(inner)
        return np.sign(s) * sum(quad(force, a, b, epsabs=1e-12)[0] for a, b in pairs)

    far = np.unique(
        np.clip(
            [-12 * transverse, *kinks, *np.negative(kinks), 12 * transverse],
            -12 * transverse,
            12 * transverse,
        )
    )
    pull = lambda s: (force(s) + force(-s)) * norm.pdf(s / transverse) / transverse
    pulls = [quad(pull, a, b, epsabs=1e-12)[0] for a, b in itertools.pairwise(far)]
    return [
        mean(lambda s: force(s) ** 2),
        mean(lambda s: s * force(s)),
        mean(potential),
        sum(pulls) / (2 * np.pi) ** 0.5,
    ]


RULES = {
    "margin": (margin(0.5), lambda s: 1.0 * (s < 0.5), [0.5]),
    "window": (lambda s: jnp.where(jnp.abs(s) < 0.3, 1.0, 0.0), lambda s: 1.0 * (abs(s) < 0.3),
               [-0.3, 0.3]),
    "hinge": (lambda s: jnp.maximum(0.7 - s, 0), lambda s: max(0.7 - s, 0), [0.7]),
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
def test_averages_by_another_quadrature(x64, name):
    force, plain, kinks = RULES[name]
    found = plane_moments(CustomRule(force), 0.8, 0.6)
    found = found.force_square, found.stability, found.potential, found.along_teacher
    np.testing.assert_allclose(found, averages(plain, kinks, 0.8, 0.6), rtol=1e-9)


@pytest.mark.parametrize(
    ("force", "expected"),
    [
        (margin(0.5), (0.399571, 0.357224, 0.584396)),
        (lambda s: jnp.where(0.3 - jnp.abs(s) > 0, 1.0, 0.0), (0.184921, 0.440829, 0.235703)),
        (lambda s: 1 + jnp.cos(30 * s), (0.797885, 0.285634, 1.5)),
    ],
)
def test_steady_states_of_the_referee(x64, force, expected):
    """R, ε and D of a program of another's."""
    found = state(force)
    np.testing.assert_allclose([found.overlap, found.error, found.dissipation], expected, atol=6e-7)


@pytest.mark.exhaustive
def test_gradient_of_a_steady_state_in_the_margin(x64):
    """By closure, by a field, and by `kinks=`; against differences."""

    class Margin(tml.AbstractRule):
        margin: jax.Array

        def __call__(self, s):
            return margin(self.margin)(s)

        def potential(self, s):
            return jnp.minimum(s, self.margin) - jnp.minimum(0, self.margin)

        @property
        def smooth(self):
            return False

    makes = margin, Margin, lambda m: CustomRule(margin(m), kinks=m)
    found = [jax.jit(jax.value_and_grad(lambda m, f=f: state(f(m)).error))(0.5) for f in makes]
    ahead, behind = (state(margin(m)).error for m in (0.501, 0.499))
    for value, slope in found:
        np.testing.assert_allclose(value, 0.357224, atol=6e-7)
        np.testing.assert_allclose(slope, (ahead - behind) / 0.002, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "force", [lambda s: 0.5 - 0.1 * jnp.floor(3 * s), lambda s: jnp.tanh(1e5 * (s - 1))]
)
def test_averages_that_have_not_converged_are_refused(x64, force):
    """By an error, and by NaN inside jit; kinks that are named help."""
    with pytest.raises(ValueError, match="have not converged: name in kinks="):
        state(force)
    with pytest.raises(ValueError, match="have not converged: name in kinks="):
        tml.learn(tml.LearningProblem(force, learning_rate=0.1), tml.MeanField(), t1=0.1)
    assert jnp.isnan(jax.jit(lambda: state(force).error)())


@pytest.mark.slow
def test_a_steep_step_that_is_named(x64):
    steep = CustomRule(lambda s: jax.nn.sigmoid(1e6 * (0.5 - s)), kinks=0.5, continuous=True)
    np.testing.assert_allclose(state(steep).overlap, state(margin(0.5)).overlap, rtol=1e-5)


@pytest.mark.slow
def test_a_wide_student_of_a_smooth_rule_is_at_rest(x64):
    """1/(1 + e^{2s}) with √Q 200 times its width: k R = ν̃ E[|λ*|F] and k Q = ν̃ E[sF] + T."""
    rule = CustomRule(lambda s: jax.nn.sigmoid(-2 * s), continuous=True)
    found = state(rule, temperature=1e4)
    means = plane_moments(rule, *found.plane)
    np.testing.assert_allclose(found.overlap, means.alignment, rtol=1e-10)
    np.testing.assert_allclose(found.norm, means.stability + 1e4, rtol=1e-10)


def test_jumps_are_counted_once(x64):
    """Of a rule that jumps at -0.3 and 0.3, and bends at 0."""
    window = CustomRule(lambda s: jnp.where(jnp.abs(s) < 0.3, 1.0 + jnp.abs(s), 0.0))
    jumps = force_jumps(window, float)
    np.testing.assert_allclose(jumps.heights[jumps.heights != 0], [1.3, -1.3])
    hinge = force_jumps(CustomRule(lambda s: jnp.maximum(1 - s, 0)), float)
    assert (hinge.heights == 0).all()


@pytest.mark.exhaustive
def test_a_dissipation_with_a_margin(x64):
    problem = tml.LearningProblem(margin(0.5), learning_rate=1.0)
    same = tml.perceptron.at_dissipation(problem, 0.7)
    np.testing.assert_allclose(tml.steady_state(same).dissipation, 0.7, rtol=1e-9)


LEVELS = {
    "by time": tml.MeanField(0.02),
    "by steps": tml.MeanField(0.02, finite_step=True),
    "jump_corrected": tml.Reduced(0.02),
    "finite_difference": tml.Reduced(0.02),
}


@pytest.mark.slow
def test_the_gradient_of_a_margin_is_that_of_all_levels():
    """0.17863 of the final overlap at N = 100, B = 30; 0.5 % for N dt/B by time."""

    def build(m):
        return tml.LearningProblem(margin(m), learning_rate=1.0, n_inputs=100, batch=30)

    slopes = []
    for name, level in LEVELS.items():
        objective = tml.LearningObjective(
            build,
            level,
            t1=1.0,
            measure=lambda curve: curve.overlap[:, -1],
            n_trajectories=1 if name.startswith("by") else 4096,
            method="auto" if name.startswith("by") else name,
            step=0.1,
        )
        slopes.append(objective.value_and_gradient(jnp.asarray(0.5), jax.random.key(1)))
    by_time, by_steps, corrected, difference = (float(x.gradient) for x in slopes)
    error = 4 * float(np.hypot(slopes[2].gradient_error, slopes[3].gradient_error))
    assert abs(corrected - difference) < error
    assert abs(corrected - by_steps) < error + 0.01 * by_steps
    assert abs(by_time - by_steps) < 0.01 * by_steps


@pytest.mark.exhaustive
def test_heat_of_a_margin_agrees_at_two_levels(assert_mean):
    """N = 400; allowed: O(1/N)."""
    problem = tml.LearningProblem(margin(0.5), learning_rate=1.0, n_inputs=400, batch=30)
    options = {"t1": 2.0, "adjoint": tml.langevin.ForwardMode()}
    mean = tml.learn(problem, tml.MeanField(0.01, finite_step=True), **options)
    many = tml.learn(
        problem, tml.Reduced(0.01), key=jax.random.key(0), n_trajectories=400, **options
    )
    assert_mean(many.heat[:, -1], mean.heat[0, -1], allowed=0.02)
    assert_mean(many.error[:, -1], mean.error[0, -1], allowed=0.002)
    # ν̃²N/B J² √(2T dt/2π) times the density of s at 0.5
    slope = float(mean.overlap[0, -1] / mean.transverse[0, -1] ** 0.5)
    root = float(mean.norm[0, -1]) ** 0.5
    density = 2 / root * norm.pdf(0.5 / root) * norm.cdf(slope * 0.5 / root)
    expected = -400 / 30 * (0.01 / np.pi) ** 0.5 * density
    np.testing.assert_allclose(mean.heat_rate_bias[-1], expected, rtol=1e-4)


def test_a_jump_that_is_called_continuous_is_seen():
    """Gradients along the path would be wrong."""

    def build(m):
        rule = CustomRule(margin(m), continuous=True)
        return tml.LearningProblem(rule, learning_rate=1.0, n_inputs=50, batch=5)

    objective = tml.LearningObjective(build, tml.Reduced(0.1), t1=0.1)
    assert objective.method_for(0.5) == "finite_difference"


def test_kinks_must_be_finite():
    with pytest.raises(ValueError, match="kinks must be finite"):
        CustomRule(margin(0.5), kinks=[0.5, np.nan])
    rule = CustomRule(margin(0.5), kinks=0.5)
    assert dataclasses.replace(rule, kinks=None).kinks is None
