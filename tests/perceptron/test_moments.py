"""Gaussian averages of the rules: closed forms, quadrature, and numbers computed elsewhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import beta, betainc

import thermoml as tml
from thermoml.perceptron._moments import moments, power_law, sine_integral

Q = 1.7


class Unknown(tml.AbstractRule):
    """A rule whose powers are not known, so that its averages go by quadrature."""

    rule: tml.AbstractRule

    def __call__(self, s):
        return self.rule(s)

    def potential(self, s):
        return self.rule.potential(s)

    @property
    def smooth(self):
        return self.rule.smooth


RULES = {
    "Hebbian": tml.Hebbian(),
    "Perceptron": tml.PerceptronRule(),
    "AdaTron": tml.AdaTron(),
    "alpha 0.5": tml.AlphaTron(0.5),
    "alpha 0.99": tml.AlphaTron(0.99),
    "linear alpha": tml.LinearAlphaTron(0.3),
}


@pytest.fixture(autouse=True)
def _float64(x64):
    """All of this in float64."""


def stacked(rule, overlap, norm):
    return jnp.stack(moments(rule, overlap, norm))


@pytest.mark.parametrize("p", [-0.98, -0.5, 0.0, 0.3, 1.0, 2.7, 4.0])
def test_sine_integral_is_the_incomplete_beta_function(p):
    angles = np.array([1e-6, 1e-3, 0.1, 1.0, np.pi / 2, 2.0, 3.0, 3.1415])
    found = jax.vmap(lambda phi: sine_integral(jnp.asarray(p), phi))(jnp.asarray(angles))
    a = (p + 1) / 2
    low = 0.5 * beta(a, 0.5) * betainc(a, 0.5, np.sin(angles) ** 2)
    expected = np.where(angles <= np.pi / 2, low, beta(a, 0.5) - low)
    np.testing.assert_allclose(found, expected, rtol=1e-11)


def test_numbers_of_forty_digit_quadrature():
    """α = 0.5 at ρ = 0.9: values and derivatives in R, from mpmath with 40 digits."""
    overlap = 0.9 * np.sqrt(Q)
    slopes = jax.jacfwd(moments, 1)(tml.AlphaTron(0.5), overlap, Q)
    slopes = [slopes.force_square, slopes.stability, slopes.alignment, slopes.potential]
    expected = [-0.16113617397230703, 0.7698520849375204, 0.2536440863281098, 0.6462154834254912]
    np.testing.assert_allclose(slopes, expected, rtol=1e-12)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("rho", [-0.999999, -0.9, 0.0, 0.5, 0.99, 0.999999])
def test_closed_forms_agree_with_quadrature(rule, rho):
    assert power_law(rule) is not None
    assert power_law(Unknown(rule)) is None
    place = jnp.asarray([rho * np.sqrt(Q), Q])
    both = [lambda z, r=r: jnp.stack(moments(r, z[0], z[1])) for r in (rule, Unknown(rule))]
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
    with pytest.warns(tml.RuleWarning) if alpha < -0.25 else jax.numpy_rank_promotion("raise"):
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
    rule = tml.CustomRule(lambda s: jax.nn.softplus(-s), continuous=True)
    place = jnp.asarray([0.5, Q])

    def potential(z):
        return moments(rule, z[0], z[1]).potential

    by_overlap, by_norm = jax.grad(potential)(place)
    found = moments(rule, *place)
    np.testing.assert_allclose(2 * Q * by_norm + 0.5 * by_overlap, found.stability, rtol=1e-9)
    # Stein: E[|λ*|F] = ∂E[Φ]/∂R + R E[F'] and E[sF] = Q E[F'] + R ∂E[Φ]/∂R with smooth F.
    slope = (found.stability - 0.5 * by_overlap) / Q
    np.testing.assert_allclose(found.alignment, by_overlap + 0.5 * slope, rtol=1e-9)
