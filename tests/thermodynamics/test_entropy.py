"""Entropies of known laws against quadrature, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special, stats

import thermoml as tml

NORMAL = 1.4189385332046727  # ½ ln(2πe)


def cut_normal_entropy(std, lower, upper, mean=0.0):
    """-∫p ln p by quadrature, with p relative to its largest value."""
    top = np.clip(mean, lower, upper)
    wide = 40 * std**2 / (abs(top - mean) + std)
    ends = max(lower, top - wide), min(upper, top + wide)
    how = {"epsabs": 0, "epsrel": 1e-12, "limit": 400, "points": (top,)}
    integral = lambda f: integrate.quad(f, *ends, **how)[0]
    density = lambda x: np.exp(-(x - top) * (x + top - 2 * mean) / (2 * std**2))
    mass = integral(density)
    return -integral(lambda x: special.xlogy(density(x) / mass, density(x) / mass))


def test_the_entropy_of_a_normal_is_minus_the_mean_logarithm_of_its_density(dtype):
    exact = {"rtol": 1e-12 if dtype == jnp.float64 else 1e-6}
    x, weights = np.polynomial.hermite_e.hermegauss(10)  # ∫ e^{-x²/2} of polynomials
    quadrature = -weights @ stats.norm(0, 1.3).logpdf(1.3 * x) / weights.sum()
    np.testing.assert_allclose(tml.thermodynamics.normal_entropy(1.3**2), quadrature, **exact)
    np.testing.assert_allclose(tml.thermodynamics.normal_entropy(1), NORMAL, **exact)
    # Of two coordinates: the mutual information -½ ln(1 - ρ²) less than of each
    covariance = jnp.asarray([[4.0, 1.2], [1.2, 0.5]], dtype)
    parts = tml.thermodynamics.normal_entropy(4.0) + tml.thermodynamics.normal_entropy(0.5)
    found = jax.jit(tml.thermodynamics.normal_entropy)(covariance)
    np.testing.assert_allclose(found, parts + np.log(1 - 1.2**2 / 2) / 2, **exact)
    assert found.dtype == dtype
    assert jnp.isnan(
        jax.jit(tml.thermodynamics.normal_entropy)(covariance - 2)
    )  # negative: only jit lets it in


def test_a_uniform_box_has_the_logarithm_of_its_volume(dtype):
    np.testing.assert_allclose(
        tml.thermodynamics.uniform_entropy([[2, 3], [0.5, 0.1]]), np.log(0.3), rtol=1e-6
    )
    assert tml.thermodynamics.uniform_entropy(2.0).dtype == dtype


CUTS = [
    (1.0, -2.0, 2.0, 0.0),  # the usual start of weights
    (0.3, -0.2, 1.0, 0.1),
    (2.0, 1.0, np.inf, 0.4),
    (1.0, -np.inf, -0.5, 0.0),
    (1.0, 12.0, 13.0, 0.0),  # far out in one tail or the other
    (1.0, -np.inf, -100.0, 0.0),
    (0.1, 5.0, 6.0, 1.0),
    (1e5, -1.0, 2.0, 0.0),  # all but uniform
    (1.0, -np.inf, np.inf, 3.0),
]


@pytest.mark.parametrize(("std", "lower", "upper", "mean"), CUTS)
def test_a_cut_normal_has_the_entropy_of_quadrature(dtype, std, lower, upper, mean):
    arguments = [jnp.asarray(x, dtype) for x in (std, lower, upper)]
    found = tml.thermodynamics.truncated_normal_entropy(*arguments, mean=jnp.asarray(mean, dtype))
    expected = cut_normal_entropy(std, lower, upper, mean)
    exact = 1e-11 if dtype == jnp.float64 else 3e-6
    np.testing.assert_allclose(found, expected, rtol=exact, atol=exact)
    assert found.dtype == dtype


def test_each_parameter_may_have_a_cut_of_its_own(x64):
    found = jax.jit(tml.thermodynamics.truncated_normal_entropy)(
        *np.array(CUTS).T[:3].reshape(3, 3, 3)
    )
    expected = [cut_normal_entropy(*cut[:3]) for cut in CUTS]
    np.testing.assert_allclose(found, np.reshape(expected, (3, 3)), rtol=1e-11)
    by_scalars = tml.thermodynamics.truncated_normal_entropy(
        1.0, jnp.array([-1.0, 2.0], jnp.float32), 3.0
    )
    np.testing.assert_allclose(by_scalars[1], cut_normal_entropy(1, 2, 3), rtol=1e-12)


def test_gradients_of_a_cut_normal_are_finite_differences_at_infinite_ends_too(x64):
    std, lower, upper, mean = np.array([cut for cut in CUTS if cut[0] < 3]).T

    def entropy(at, lower, upper):
        return tml.thermodynamics.truncated_normal_entropy(at[0], lower, upper, mean=at[1])

    at, each = np.stack([std, mean], 1), jax.jit(jax.vmap(entropy))
    slope, forward = (
        jax.jit(jax.vmap(differentiate(entropy)))(at, lower, upper)
        for differentiate in (jax.grad, jax.jacfwd)
    )
    np.testing.assert_allclose(forward, slope, rtol=1e-10, atol=1e-12)
    for i, step in enumerate(1e-5 * np.eye(2)[:, None]):
        numeric = (each(at + step, lower, upper) - each(at - step, lower, upper)) / 2e-5
        np.testing.assert_allclose(slope[:, i], numeric, rtol=1e-6, atol=1e-8)


def test_independent_blocks_add_up(dtype):
    normal, uniform = (
        tml.thermodynamics.normal_entropy(0.3),
        tml.thermodynamics.uniform_entropy(0.2),
    )
    found = tml.thermodynamics.block_entropy(jnp.stack([normal, uniform]), [3, 2])
    whole = tml.thermodynamics.normal_entropy(0.3 * np.eye(3)) + tml.thermodynamics.uniform_entropy(
        [0.2, 0.2]
    )
    np.testing.assert_allclose(found, whole, rtol=1e-6)
    assert found.dtype == dtype


@pytest.mark.parametrize("distance", [40.0, 1.0])
def test_a_mixture_has_the_entropy_of_quadrature_unless_it_overlaps(x64, distance):
    weights, centres, stds = np.array([0.3, 0.7]), distance * np.array([-0.5, 0.5]), [1.0, 0.5]
    density = lambda x: weights @ stats.norm(centres, stds).pdf(x)
    lump = lambda a, b: integrate.quad(
        lambda x: -special.xlogy(density(x), density(x)), a, b, limit=200, epsabs=1e-12
    )
    exact = lump(-distance / 2 - 15, 0)[0] + lump(0, distance / 2 + 15)[0]
    found = tml.thermodynamics.mixture_entropy(
        [tml.thermodynamics.normal_entropy(s**2) for s in stds], 10 * weights
    )
    if distance > 10:
        np.testing.assert_allclose(found, exact, rtol=1e-9)
    else:
        assert found > exact + 0.1


def test_equivalent_minima_add_the_logarithm_of_their_number(x64):
    np.testing.assert_allclose(
        tml.thermodynamics.mixture_entropy([0.4] * 6, [1] * 6), 0.4 + np.log(6), rtol=1e-12
    )
    np.testing.assert_allclose(
        tml.thermodynamics.mixture_entropy([0.4, 9.0], [1, 0]), 0.4, rtol=1e-12
    )


SQUARE, TWELVE = np.eye(4)[:, :2], np.arange(24.0).reshape(12, 2) ** 2


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: tml.thermodynamics.normal_entropy([[1.0, 0.5], [0.0, 1.0]]),
            "covariance must be finite and symmetric",
        ),
        (
            lambda: tml.thermodynamics.normal_entropy([[1.0, 0.0], [0.0, np.nan]]),
            "covariance must be finite and symmetric",
        ),
        (
            lambda: tml.thermodynamics.truncated_normal_entropy(1.0, -1.0, 1.0, mean=np.nan),
            "mean must be finite",
        ),
        (lambda: tml.thermodynamics.normal_entropy(0.0), "covariance must be finite and > 0"),
        (
            lambda: tml.thermodynamics.normal_entropy([1.0, 2.0]),
            r"covariance must be .* got shape \(2,\)",
        ),
        (
            lambda: tml.thermodynamics.normal_entropy(np.diag([-1.0, -2.0])),
            "covariance must be positive definite",
        ),
        (lambda: tml.thermodynamics.uniform_entropy([1.0, 0.0]), "widths must be finite and > 0"),
        (
            lambda: tml.thermodynamics.truncated_normal_entropy(0.0, -1.0, 1.0),
            "std must be finite and > 0",
        ),
        (
            lambda: tml.thermodynamics.truncated_normal_entropy(1.0, 2.0, 2.0),
            "upper must lie above lower",
        ),
        (
            lambda: tml.thermodynamics.block_entropy([1.0], [1, 2]),
            r"entropies and counts .* shape \(block,\)",
        ),
        (lambda: tml.thermodynamics.block_entropy([1.0], [-1]), "counts must be finite and >= 0"),
        (
            lambda: tml.thermodynamics.mixture_entropy(1.0, 1.0),
            r"entropies and weights .* \(component,\)",
        ),
        (
            lambda: tml.thermodynamics.mixture_entropy([1.0, 1.0], [2, -1]),
            "weights must be finite and >= 0",
        ),
        (
            lambda: tml.thermodynamics.mixture_entropy([1.0, 1.0], [0, 0]),
            "weights must not all be 0",
        ),
        (
            lambda: tml.thermodynamics.gaussian_entropy(SQUARE[:2]),
            "2 parameters needs more samples .* got 2",
        ),
        (
            lambda: tml.thermodynamics.gaussian_entropy(SQUARE * [1.0, np.inf]),
            "samples must be finite",
        ),
        (
            lambda: tml.thermodynamics.gaussian_entropy(SQUARE @ [[1.0, 3.0], [2.0, 6.0]]),
            "samples must not lie",
        ),
        (
            lambda: tml.thermodynamics.gaussian_entropy({"a": SQUARE, "b": SQUARE[:3]}),
            "every leaf of samples",
        ),
        (
            lambda: tml.thermodynamics.knn_entropy(TWELVE[:9]),
            "4 neighbours need at least 10 samples, got 9",
        ),
        (
            lambda: tml.thermodynamics.knn_entropy(TWELVE, neighbours=0),
            "neighbours must be at least 1",
        ),
        (
            lambda: tml.thermodynamics.system_entropy(TWELVE, "kernel"),
            "density must be .* got 'kernel'",
        ),
        (
            lambda: tml.thermodynamics.system_entropy(TWELVE * np.inf, "neighbours"),
            "states must be finite",
        ),
    ],
)
def test_bad_arguments(x64, call, message):
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match=message):
        call()
