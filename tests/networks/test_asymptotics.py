"""Limits against Marchenko and Pastur's law, exact means of Wishart matrices, and their rates."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special, stats

import thermoml as tml

START, SIGNAL, BATH = 2.0, 0.7, 0.3
SIZES = np.array([40, 80, 160, 320])
temperature = functools.partial(
    tml.networks.asymptotic_temperature, initial_variance=START, signal=SIGNAL
)


def logarithm_by_quadrature(c):
    """The mean of ln x over Marchenko and Pastur's density, x = a + (b - a) sin²u."""
    low, high = (1 - c**0.5) ** 2, (1 + c**0.5) ** 2

    def integrand(u):
        x = low + (high - low) * np.sin(u) ** 2
        # √((b-x)(x-a)) dx = 2 (b-a)² sin²u cos²u du
        return np.log(x) * (high - low) ** 2 * np.sin(2 * u) ** 2 / (4 * np.pi * c * x)

    return integrate.quad(integrand, 0, np.pi / 2, epsabs=1e-13, epsrel=1e-12, limit=200)[0]


def mean_log_determinant(size, count):
    """E ln det XᵀX/n: a sum of logarithms of χ² (Bartlett 1933), without noise."""
    chi = special.digamma((count - np.arange(size)) / 2)
    return chi.sum() + size * np.log(2 / count)


def rate(errors):
    """The power of the size with which errors fall."""
    return -np.polyfit(np.log(SIZES), np.log(np.abs(errors)), 1)[0]


def test_log_determinant_is_the_integral_over_marchenko_and_pastur(x64):
    at = np.array([1e-4, 0.005, 0.02, 0.1, 0.3, 0.5, 0.9, 0.99])
    found = jax.jit(tml.networks.log_determinant_density)(at)
    expected = [logarithm_by_quadrature(c) for c in at]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_log_determinant_and_its_slope_do_not_jump_at_the_switch(dtype):
    """At 0.01 the series takes over from the closed form."""
    both = jax.jit(jax.vmap(jax.value_and_grad(tml.networks.log_determinant_density)))
    forward = jax.jit(jax.vmap(jax.jacfwd(tml.networks.log_determinant_density)))
    at = np.concatenate([[1e-6, 1e-3], 0.01 + np.array([-1e-6, -1e-9, 0, 1e-9, 1e-6]), [0.1, 0.7]])
    k = np.arange(1, 400)[:, None]  # -Σ cᵏ/[k(k+1)]
    at = np.asarray(jnp.asarray(at, dtype), float)
    value, slope = (-(at**p / q).sum(0) for p, q in ((k, k * (k + 1)), (k - 1, k + 1)))
    found, slopes = both(jnp.asarray(at, dtype))
    exact = {"rtol": 1e-11 if dtype == jnp.float64 else 5e-5}
    np.testing.assert_allclose(found, value, **exact)
    np.testing.assert_allclose(slopes, slope, rtol=5e-11 if dtype == jnp.float64 else 1e-3)
    rounding = 1e-12 if dtype == jnp.float64 else 3e-5
    np.testing.assert_allclose(forward(jnp.asarray(at, dtype)), slopes, rtol=rounding)
    assert found.dtype == dtype


@pytest.mark.parametrize("c", [0.25, 0.8])
def test_the_temperature_of_training_is_approached_like_one_over_d(x64, c):
    """Mean heat over mean entropy drop, exactly: E C = 1 and E ln det C."""
    errors = []
    for size in SIZES:
        drop = size * np.log(START / BATH) + mean_log_determinant(size, round(size / c))
        exact = size * (START + SIGNAL - BATH) / drop
        found = temperature(aspect_ratio=size / round(size / c), bath_temperature=BATH)
        errors.append(float(found) - exact)
    np.testing.assert_allclose(rate(errors), 1.0, atol=0.03)
    assert abs(errors[-1]) < 0.01


def whitened(size, count, noise, seed=0):
    """Normal features, and targets of a teacher with |θ|²/d = SIGNAL and noise of this width."""
    draw = np.random.default_rng(seed)
    features, teacher = draw.normal(size=(count, size)), draw.normal(size=size)
    teacher = teacher * (SIGNAL * size) ** 0.5 / np.linalg.norm(teacher)
    return features, features @ teacher + noise * draw.normal(size=count)


@pytest.fixture
def trained(x64):
    """T of 400 examples of 300 features, found from the matrices."""

    def found(features, targets):
        start = {"initialisation": START**0.5, "bath_temperature": BATH}
        return tml.linear_temperature(features, targets, **start).temperature

    return found


@pytest.mark.slow
def test_one_large_data_set_has_nearly_the_limit_s_temperature(trained):
    """tr C and ln det C spread T by 0.5 % each: within 4 of both together (1e-4)."""
    features, targets = whitened(300, 400, 0.0)
    limit = functools.partial(
        tml.networks.asymptotic_temperature,
        initial_variance=START,
        signal=np.mean(targets**2) / 300,
        bath_temperature=BATH,
    )
    exact = trained(features, targets)
    np.testing.assert_allclose(limit(aspect_ratio=0.75), exact, rtol=0.03)
    assert abs(limit(aspect_ratio=0.4) / exact - 1) > 0.12


@pytest.mark.slow
def test_noisy_labels_enter_by_what_the_model_explains(trained):
    """With noise as large as the signal |θ̂|² is too long: the signal is θ̂ᵀCθ̂."""
    features, targets = whitened(300, 400, (SIGNAL * 300) ** 0.5)
    fitted, exact = np.linalg.lstsq(features, targets)[0], trained(features, targets)
    explained, length = np.mean((features @ fitted) ** 2) / 300, np.mean(fitted**2)
    limit = functools.partial(
        tml.networks.asymptotic_temperature, aspect_ratio=0.75, initial_variance=START
    )
    np.testing.assert_allclose(limit(signal=explained, bath_temperature=BATH), exact, rtol=0.02)
    assert limit(signal=length, bath_temperature=BATH) / exact > 1.3


def test_a_refresh_is_approached_like_one_over_d(x64):
    """E C⁻¹ = n/(n - d - 1), so all means at finite size are exact."""
    noise, heats, drops = 1.4, [], []
    for size in SIZES:
        old, new = 2 * size, 5 * size
        inverse = old / (old - size - 1)
        # τ tr(C'C⁻¹ - 1) and σ²[tr(C'C⁻¹)/n + tr(1)/n']
        exact = BATH * size * (inverse - 1) + noise**2 * (size * inverse / old + size / new)
        drop = mean_log_determinant(size, new) - mean_log_determinant(size, old)
        heat, found = tml.networks.asymptotic_refresh(
            aspect_ratio=0.5,
            new_aspect_ratio=0.2,
            label_noise=noise,
            n_parameters=int(size),
            bath_temperature=BATH,
        )
        heats.append(float(heat) / (exact / 2) - 1)
        drops.append(float(found) / (drop / 2) - 1)
    np.testing.assert_allclose([rate(heats), rate(drops)], 1.0, atol=0.08)
    np.testing.assert_allclose([heats[-1], drops[-1]], 0.0, atol=0.015)


def test_a_refresh_of_data_drawn_500_times(x64):
    """The heat itself, from its definition in matrices, within 4 errors (false alarms 1e-4)."""
    size, old, new, noise, draw = 30, 300, 150, 0.8, np.random.default_rng(2)

    def fit(count):
        x, e = draw.normal(size=(count, size)), noise * draw.normal(size=count)
        return x.T @ x / count, np.linalg.solve(x.T @ x, x.T @ e)

    def heat(first, second):
        (c, at), (c_new, at_new) = first, second
        away = at - at_new
        return (BATH * (np.trace(np.linalg.solve(c, c_new)) - size) + away @ c_new @ away) / 2

    heats = np.array([heat(fit(old), fit(new)) for _ in range(500)])
    inverse = old / (old - size - 1)
    exact = BATH * size * (inverse - 1) + noise**2 * (size * inverse / old + size / new)
    error = heats.std(ddof=1) / 500**0.5
    assert abs(heats.mean() - exact / 2) < 4 * error < 0.03 * exact
    limit, _ = tml.networks.asymptotic_refresh(
        aspect_ratio=0.1,
        new_aspect_ratio=0.2,
        label_noise=noise,
        n_parameters=size,
        bath_temperature=BATH,
    )
    assert abs(limit - heats.mean()) < 4 * error + 0.03 * exact  # and what is left out


def binary(v):
    """E ln(1 + e^z), in what it has beyond √(v/2π)."""
    far = lambda u: 2 * np.log1p(np.exp(-u)) * stats.norm.pdf(u / v**0.5) / v**0.5
    how = {"epsabs": 1e-16, "epsrel": 1e-13}
    return np.sqrt(v / (2 * np.pi)) + sum(
        integrate.quad(far, *ends, **how)[0] for ends in ((0, 1), (1, 50))
    )


def softmax(v, count):
    """E of the largest z + g less γ, as in the definition of Gumbel's g, by quadrature."""
    z, x = np.linspace(-9, 9, 601), np.linspace(-9 * v**0.5 - 6, 9 * v**0.5 + 45, 1501)
    gumbel = np.exp(-np.exp(np.minimum(v**0.5 * z - x[:, None], 50)))
    below = gumbel @ stats.norm.pdf(z) * 18 / 600
    return x[-1] - integrate.trapezoid(below**count, x) - np.euler_gamma


@pytest.mark.parametrize("count", [2, 5])
def test_narrow_cross_entropies_are_approached_like_the_square_of_v(x64, count):
    variances = np.array([0.02, 0.04, 0.08])
    exact = [binary(v) if count == 2 else softmax(v, count) for v in variances]
    found = tml.networks.asymptotic_energy(
        tml.CrossEntropy(), variances, width="narrow", n_classes=count
    )
    slope = np.polyfit(np.log(variances), np.log(np.abs(found - np.array(exact))), 1)[0]
    np.testing.assert_allclose(slope, 2.0, atol=0.1)


@pytest.mark.parametrize("count", [2, 5])
def test_wide_cross_entropies_are_approached_like_one_over_the_root_of_v(x64, count):
    variances = np.array([100.0, 200.0, 400.0])
    exact = [binary(v) if count == 2 else softmax(v, count) for v in variances]
    found = tml.networks.asymptotic_energy(
        tml.CrossEntropy(), variances, width="wide", n_classes=count
    )
    slope = np.polyfit(np.log(variances), np.log(np.array(exact) - found), 1)[0]
    np.testing.assert_allclose(slope, -0.5, atol=0.05)


def test_regressions_of_normal_outputs_are_exact(dtype):
    forms = tml.MeanSquaredError(), tml.MeanAbsoluteError(), tml.CrossEntropy()

    @functools.partial(jax.jit, static_argnames="width")
    def energies(v, width):
        return [tml.networks.asymptotic_energy(form, v, width=width, n_classes=7) for form in forms]

    v = jnp.asarray([0.3, 20.0], dtype)
    mean = [stats.halfnorm(0, np.sqrt(x)).mean() for x in np.asarray(v, float)]
    for width in ("narrow", "wide"):
        found = energies(v, width)
        np.testing.assert_allclose(found[:2], [np.asarray(v) / 2, mean], rtol=1e-6)
        assert all(x.dtype == dtype for x in found)


def test_the_expected_maximum_of_few_and_of_many(dtype):
    known = {1: 0.0, 2: np.pi**-0.5, 3: 1.5 * np.pi**-0.5, 4: 1.0293753730039641}
    for count in (1000, 10**6):  # c φ Φ^{c-1} by SciPy, panel by panel
        mean = lambda x, c=count: (
            x * c * np.exp(stats.norm.logpdf(x) + (c - 1) * stats.norm.logcdf(x))
        )
        known[count] = sum(integrate.quad(mean, a, a + 0.5)[0] for a in np.arange(0, 9, 0.5))
    exact = {"rtol": 1e-9, "atol": 1e-15} if dtype == jnp.float64 else {"rtol": 2e-6, "atol": 1e-6}
    for count, expected in known.items():
        found = tml.networks.expected_maximum(count)
        np.testing.assert_allclose(found, expected, **exact)
        assert found.dtype == dtype


def test_gradients_in_every_argument_are_finite_differences(x64):
    def everything(c, start, signal, bath, new, noise):
        temperature = tml.networks.asymptotic_temperature(
            aspect_ratio=c, initial_variance=start, signal=signal, bath_temperature=bath
        )
        heat, drop = tml.networks.asymptotic_refresh(
            aspect_ratio=c,
            new_aspect_ratio=new,
            label_noise=noise,
            n_parameters=7,
            bath_temperature=bath,
        )
        wide = tml.networks.asymptotic_energy(tml.CrossEntropy(), start, width="wide", n_classes=5)
        return jnp.stack([temperature, heat, drop, wide])

    at = np.array([0.4, 2.0, 0.7, 0.3, 0.2, 1.1])
    of = lambda x: everything(*x)
    forward, reverse = (jax.jit(jac(of))(at) for jac in (jax.jacfwd, jax.jacrev))
    many = jax.jit(jax.vmap(of))(at + 1e-6 * np.concatenate([np.eye(6), -np.eye(6)]))
    np.testing.assert_allclose(forward, (many[:6] - many[6:]).T / 2e-6, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(forward, reverse, rtol=1e-12, atol=1e-14)


def ask(function, **changed):
    usual = {
        tml.networks.asymptotic_temperature: {
            "aspect_ratio": 0.5, "initial_variance": 1.0, "signal": 1.0, "bath_temperature": 1.0
        },
        tml.networks.asymptotic_refresh: {
            "aspect_ratio": 0.5,
            "new_aspect_ratio": 0.5,
            "label_noise": 1.0,
            "n_parameters": 5,
            "bath_temperature": 1.0,
        },
        tml.networks.asymptotic_energy: {
            "energy": tml.CrossEntropy(), "variance": 1.0, "width": "wide",
        },
    }  # fmt: skip
    return function(**(usual[function] | changed))


SINGULAR = "aspect_ratio must be finite and < 1, got 1; with fewer examples than parameters"


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("function", "changed", "error", "words"),
    [
        (tml.networks.asymptotic_temperature, {"aspect_ratio": 1}, ValueError, SINGULAR),
        (
            tml.networks.asymptotic_temperature,
            {"aspect_ratio": 0},
            ValueError,
            "aspect_ratio .* > 0, got 0",
        ),
        (
            tml.networks.asymptotic_temperature,
            {"initial_variance": 0},
            ValueError,
            "initial_variance must",
        ),
        (tml.networks.asymptotic_temperature, {"signal": -1}, ValueError, "signal .*>= 0, got -1"),
        (
            tml.networks.asymptotic_temperature,
            {"bath_temperature": 0},
            ValueError,
            "bath_temp.* > 0, got 0",
        ),
        (tml.networks.asymptotic_refresh, {"aspect_ratio": 1}, ValueError, f"^{SINGULAR}"),
        (tml.networks.asymptotic_refresh, {"new_aspect_ratio": 1}, ValueError, f"^new_{SINGULAR}"),
        (
            tml.networks.asymptotic_refresh,
            {"label_noise": -1},
            ValueError,
            "label_noise .* >= 0, got -1",
        ),
        (
            tml.networks.asymptotic_refresh,
            {"n_parameters": 0},
            ValueError,
            "n_parameters .* > 0, got 0",
        ),
        (
            tml.networks.asymptotic_refresh,
            {"bath_temperature": 0},
            ValueError,
            "bath_temperature .* > 0",
        ),
        (tml.networks.asymptotic_energy, {"variance": 0}, ValueError, "variance .* > 0, got 0"),
        (
            tml.networks.asymptotic_energy,
            {"width": "broad"},
            ValueError,
            'be "narrow" or "wide", got \'broa',
        ),
        (
            tml.networks.asymptotic_energy,
            {"energy": "mse"},
            TypeError,
            "energy must be an AbstractEnergy, got 'mse'",
        ),
        (
            tml.networks.asymptotic_energy,
            {"n_classes": 1},
            ValueError,
            "n_classes must be at least 2, got 1",
        ),
        (
            tml.networks.asymptotic_energy,
            {"n_classes": 2.5},
            TypeError,
            "n_classes must be a whole number",
        ),
    ],
)
def test_arguments_out_of_range_are_refused(function, changed, error, words):
    with pytest.raises(error, match=words):
        ask(function, **changed)


@pytest.mark.usefixtures("unchecked")
def test_counts_and_ratios_out_of_range_are_refused():
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        tml.networks.expected_maximum(0)
    with pytest.raises(TypeError, match="count must be a whole number, got 2.0"):
        tml.networks.expected_maximum(2.0)
    with pytest.raises(ValueError, match=SINGULAR):
        tml.networks.log_determinant_density(1.0)
    with pytest.raises(TypeError, match="aspect_ratio must be a number or an array .*, got 'half'"):
        tml.networks.log_determinant_density("half")
