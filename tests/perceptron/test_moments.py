"""Gaussian averages of the rules: closed forms, quadrature, and numbers computed elsewhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parts import exhaustive
from scipy.special import beta, betainc, gamma

import thermoml as tml
from thermoml.perceptron import Power
from thermoml.perceptron.theory import Moments, moments, plane_moments

Q = 1.7


class Plain(tml.AbstractRule):
    """A rule without its powers, so that its averages are taken by quadrature."""

    rule: tml.AbstractRule

    def __call__(self, s):
        return self.rule(s)

    def potential(self, s):
        return self.rule.potential(s)

    @property
    def smooth(self):
        return self.rule.smooth


class Powers(tml.perceptron.AbstractPowerRule):
    """F(s) = Σ c|s|^p on each side, from the terms."""

    wrong: tuple[Power, ...]
    right: tuple[Power, ...]

    def __call__(self, s):
        left, right = (sum(c * jnp.abs(s) ** p for c, p in x) + 0 * s for x in self.powers)
        return jnp.where(s < 0, left, right)

    def potential(self, s):
        left, right = (
            sum(c * jnp.abs(s) ** (p + 1) / (p + 1) for c, p in x) + 0 * s for x in self.powers
        )
        return jnp.where(s < 0, -left, right)

    @property
    def smooth(self):
        return False

    @property
    def powers(self):
        return self.wrong, self.right


RULES = {
    "Hebbian": tml.Hebbian(),
    "Perceptron": tml.PerceptronRule(),
    "AdaTron": tml.AdaTron(),
    "alpha 0.5": tml.AlphaTron(0.5),
    "alpha 0.99": tml.AlphaTron(0.99),
    "linear alpha": tml.perceptron.LinearAlphaTron(0.3),
    "three terms": Powers((Power(1.0, 0.0), Power(-0.4, 1.0)), (Power(0.3, 0.5),)),
}


@pytest.fixture(autouse=True)
def _float64(x64):
    """All of this in float64."""


def stacked(rule, overlap, norm):
    return jnp.stack(moments(rule, overlap, norm))


@pytest.mark.parametrize("p", [-0.98, -0.5, 0.0, 0.3, 1.0, 2.7, 4.0])
def test_mean_powers_are_incomplete_beta_functions(p):
    """E[|s|^p θ(-s)] = (2Q)^{p/2} Γ(p/2 + 1)/π I_p(θ₀), as E[F²] of a rule; Q = 1."""
    angles = np.array([1e-6, 1e-3, 0.1, 1.0, np.pi / 2, 2.0, 3.0, 3.1415])

    def mean(angle):
        rule = Powers((Power(1.0, p / 2),), ())
        return plane_moments(rule, jnp.cos(angle), jnp.sin(angle)).force_square

    a = (p + 1) / 2
    low = 0.5 * beta(a, 0.5) * betainc(a, 0.5, np.sin(angles) ** 2)
    integral = np.where(angles <= np.pi / 2, low, beta(a, 0.5) - low)
    expected = 2 ** (p / 2) * gamma(p / 2 + 1) / np.pi * integral
    np.testing.assert_allclose(jax.vmap(mean)(jnp.asarray(angles)), expected, rtol=1e-11)


def test_numbers_of_forty_digit_quadrature():
    """α = 0.5 at ρ = 0.9: values and derivatives in R, from mpmath with 40 digits."""
    overlap = 0.9 * np.sqrt(Q)
    slopes = jax.jacfwd(moments, 1)(tml.AlphaTron(0.5), overlap, Q)
    slopes = [slopes.force_square, slopes.stability, slopes.alignment, slopes.potential]
    expected = [-0.16113617397230703, 0.7698520849375204, 0.2536440863281098, 0.6462154834254912]
    np.testing.assert_allclose(slopes, expected, rtol=1e-12)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("rho", [-0.999999, 0.5, *exhaustive(-0.9, 0.0, 0.99, 0.999999)])
def test_closed_forms_agree_with_quadrature(rule, rho):
    place = jnp.asarray([rho * np.sqrt(Q), Q])
    both = [lambda z, r=r: jnp.stack(moments(r, z[0], z[1])) for r in (rule, Plain(rule))]
    np.testing.assert_allclose(both[0](place), both[1](place), rtol=1e-9, atol=1e-11)
    slopes = [jax.jit(jax.jacfwd(f))(place) for f in both]
    np.testing.assert_allclose(*slopes, rtol=1e-9, atol=2e-9)


@pytest.mark.parametrize("alpha", [-0.49, -0.2, 0.0, 0.5, 0.99])
@pytest.mark.parametrize("rho", [-0.9, 0.0, 0.7])
def test_derivatives_in_alpha_are_finite_differences(alpha, rho):
    def at(alpha):
        return stacked(RULES["alpha 0.5"].__class__(alpha), rho * np.sqrt(Q), Q)

    step = 1e-5
    slope = jax.jacfwd(at)(jnp.asarray(alpha))
    with (
        pytest.warns(tml.perceptron.RuleWarning)
        if alpha < -0.25
        else jax.numpy_rank_promotion("raise")
    ):
        ahead, behind = at(alpha + step), at(alpha - step)
    np.testing.assert_allclose(slope, (ahead - behind) / (2 * step), rtol=2e-6, atol=2e-7)


def test_hebbian_in_closed_form():
    """E[F²] = 1, E[s] = R √(2/π), E|λ*| = √(2/π)."""
    overlap = 0.6
    found = moments(tml.Hebbian(), overlap, Q)
    root = np.sqrt(2 / np.pi)
    expected = [1, 0, overlap * root, root, overlap * root, 0, root]
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-15)


def test_stability_and_alignment_follow_from_the_potential():
    """2Q ∂E[Φ]/∂Q + R ∂E[Φ]/∂R = E[sF], and ∂E[Φ]/∂R = E[|λ*|F] - a R, for any rule."""
    rule = tml.perceptron.CustomRule(lambda s: jax.nn.softplus(-s), continuous=True)
    place = jnp.asarray([0.5, Q])

    def potential(z):
        return moments(rule, z[0], z[1]).potential

    by_overlap, by_norm = jax.grad(potential)(place)
    found = moments(rule, *place)
    np.testing.assert_allclose(2 * Q * by_norm + 0.5 * by_overlap, found.stability, rtol=1e-9)
    # Stein: E[|λ*|F] = ∂E[Φ]/∂R + R E[F'] and E[sF] = Q E[F'] + R ∂E[Φ]/∂R with smooth F.
    slope = (found.stability - 0.5 * by_overlap) / Q
    np.testing.assert_allclose(found.alignment, by_overlap + 0.5 * slope, rtol=1e-9)


def polar(force, potential, overlap, transverse):
    """The averages over two Gaussian components of ξ, by quadrature over radius and angle.

    a along the teacher and c across: λ* = a, λ = Ra + Pc; what is beside them is independent of F.
    """
    nodes, weights = np.polynomial.legendre.leggauss(200)
    turn = np.arctan2(transverse, overlap)
    edges = np.sort([-np.pi / 2, np.pi / 2, turn - np.pi / 2, turn + np.pi / 2])
    edges = np.append(edges, edges[0] + 2 * np.pi)
    half = np.diff(edges) / 2
    angles = (edges[:-1] + half + half * nodes[:, None]).ravel()[:, None]
    radii = 6.5 * (nodes + 1)
    share = (half * weights[:, None]).ravel()[:, None] / (2 * np.pi)
    share = share * 6.5 * weights * radii * np.exp(-(radii**2) / 2)
    a, c = radii * np.cos(angles), radii * np.sin(angles)
    sign = np.sign(a)
    s = sign * (overlap * a + transverse * c)
    f = force(s)
    mean = lambda x: np.sum(share * x)
    along, across = mean(sign * f * a), mean(sign * f * c)
    return {
        "force_square": mean(f**2),
        "input_square": mean((a**2 + c**2 - 2) * f**2),
        "stability": mean(s * f),
        "alignment": along,
        "potential": mean(potential(s)),
        "mean_force_square": along**2 + across**2,
    }


@pytest.mark.parametrize(
    "law",
    ["hebbian", "perceptron", "adatron", "linear", "custom", "alpha=0.0", "alpha=0.5", "alpha=1.5"],
    indirect=True,
)
@pytest.mark.parametrize("overlap", [-0.8, 0.0, 1.1])
def test_averages_over_two_components_of_the_inputs(rule, law, overlap):
    """All averages at R = `overlap` and P = 0.7; Gauss-Legendre is good to 1e-6 for powers."""
    found = plane_moments(rule, overlap, 0.7)
    for name, expected in polar(law.force, law.potential, overlap, 0.7).items():
        np.testing.assert_allclose(getattr(found, name), expected, rtol=2e-6, atol=1e-8)


def test_mean_force_and_inputs_of_five_gaussian_components():
    """E[|ξ|²F²] = N E[F²] + input_square and |E ξσF|², on 400 000 inputs to 5 standard errors."""
    rng = np.random.default_rng(3)
    inputs = rng.normal(size=(400_000, 5))
    teacher, student = rng.normal(size=(2, 5))
    teacher *= 5**0.5 / np.linalg.norm(teacher)
    sign = np.sign(inputs @ teacher)
    force = np.exp(-sign * (inputs @ student) / 5**0.5)
    rule = tml.perceptron.CustomRule(lambda s: jnp.exp(-s), continuous=True)
    found = moments(rule, teacher @ student / 5, student @ student / 5)
    square = (inputs**2).sum(axis=1) * force**2
    error = square.std() / len(inputs) ** 0.5
    assert abs(square.mean() - (5 * found.force_square + found.input_square)) < 5 * error
    assert abs(found.input_square) > 20 * error
    pull = sign[:, None] * force[:, None] * inputs
    expected = (found.along_student * student + found.along_teacher * teacher) / 5**0.5
    error = pull.std(axis=0) / len(inputs) ** 0.5
    assert (np.abs(pull.mean(axis=0) - expected) < 5 * error).all()
    np.testing.assert_allclose(found.mean_force_square, jnp.sum(expected**2), rtol=1e-9)


@pytest.mark.parametrize(("alpha", "finite"), [(-0.6, False), (-0.5, False), (-0.49, True)])
def test_the_force_of_an_alpha_tron_has_no_square_below_minus_one_half(
    quiet_alpha_tron, alpha, finite
):
    found = moments(quiet_alpha_tron(alpha), 0.3, Q)
    assert jnp.isfinite(found.force_square) == finite
    assert jnp.isfinite(found.force_square) or found.force_square > 0
    rest = [getattr(found, x) for x in Moments._fields if x not in ("force_square", "input_square")]
    assert jnp.isfinite(jnp.stack(rest)).all()


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("overlap", [-0.3, 30.0, *exhaustive(-2.0, 0.0, 0.5)])
def test_float32_agrees_with_float64(rule, overlap):
    exact = jnp.stack(plane_moments(rule, overlap, 0.7))
    for one in (rule, Plain(rule)):
        found = plane_moments(one, jnp.float32(overlap), jnp.float32(0.7))
        assert {x.dtype for x in found} == {jnp.dtype("float32")}
        np.testing.assert_allclose(jnp.stack(found), exact, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("transverse", [1e-3, 1e-6, 1e-10])
@pytest.mark.parametrize("sign", [1, -1])
def test_student_and_teacher_that_nearly_agree_or_disagree(transverse, sign):
    """Theory 2.1 at θ₀ → 0 and π, where I_p(φ) = φ^{p+1}/(p+1) for small φ; relative errors."""
    theta, narrow, norm = np.arctan2(transverse, sign * 1.3), np.arctan(transverse / 1.3), 1.3**2
    norm += transverse**2
    wrong, right = np.sin(theta / 2) ** 2, np.cos(theta / 2) ** 2
    root, narrow_power = (2 * norm / np.pi) ** 0.5, narrow**2.5 / 2.5
    whole = np.pi**0.5 * gamma(1.25) / gamma(1.75)
    powers = (whole - narrow_power) if sign > 0 else narrow_power
    third = 2 * norm / np.pi * narrow**3 / 3 * (1 - narrow**2 / 5)
    stable = (2 * norm) ** 0.75 * gamma(1.75) / np.pi * powers
    for name, expected in {
        "Perceptron": (theta / np.pi, -root * wrong, root * wrong / norm**0.5),
        "AdaTron": (third if sign > 0 else norm - third,),
        "alpha 0.5": (theta / np.pi + root * right, stable - root * wrong),
    }.items():
        found = plane_moments(RULES[name], sign * 1.3, transverse)
        found = (found.force_square, found.stability, found.alignment)
        np.testing.assert_allclose(found[: len(expected)], expected, rtol=1e-6)
