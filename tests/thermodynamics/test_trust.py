"""Trust of free energies: trusted intervals hold the truth, impossible works never pass."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml


def normal(rng, shape, s):
    """Works in both directions, in units of T, with ΔF = 0."""
    return (s**2 / 2 + s * rng.normal(size=shape) for _ in range(2))


def exponential(rng, shape, scale):
    """W of mean `scale`: ΔF = ln(1 + scale), and reverse works of the tilted law."""
    shift = np.log1p(scale)
    forward = rng.exponential(scale, size=shape) - shift
    return forward, shift - rng.exponential(scale / (1 + scale), size=shape)


def peaks(rng, shape, apart):
    """A third of the works lies lower, with noise of 0.3."""
    weights = np.array([2, np.exp(apart)]) / 3
    shift = -0.045 - np.log(weights.sum())
    works = [
        0.3 * rng.normal(size=shape) - apart * (rng.random(shape) < chance)
        for chance in (1 / 3, weights[1] / weights.sum())
    ]
    return works[0] - shift, 0.09 - works[1] + shift


def trusted_and_covered(estimate, *works):
    """The share of estimates that are trusted, and that of these within 1.96 errors of 0."""
    free = jax.jit(jax.vmap(lambda *w: estimate(*w, 1.0)))(*works)
    trusted = np.asarray(free.trustworthy)
    covered = np.abs(free.free_energy_difference) < 1.96 * free.standard_error
    return trusted.mean(), np.asarray(covered)[trusted].mean() if trusted.any() else 1.0


@pytest.mark.parametrize(
    ("draw", "parameter", "count", "least", "most"),
    [
        (normal, 0.05, 20, 0.98, 1.0),
        (normal, 0.6, 50, 0.5, 1.0),
        (normal, 1.0, 1000, 0.98, 1.0),
        (normal, 1.4, 1000, 0.1, 0.9),
        (normal, 2.2, 1000, 0.0, 0.0),
        (normal, 5.0, 1000, 0.0, 0.0),
        (exponential, 1.0, 1000, 0.95, 1.0),
        (peaks, 2.0, 1000, 0.95, 1.0),
    ],
)
def test_intervals_of_trusted_jarzynski_estimates_cover(x64, draw, parameter, count, least, most):
    """Of 400 estimates: 90 % less four binomial errors of those trusted."""
    forward, _ = draw(np.random.default_rng(1), (400, count), parameter)
    share, covered = trusted_and_covered(tml.jarzynski, forward)
    assert least <= share <= most
    assert covered > 0.9 - 4 * 0.3 / np.sqrt(max(400 * share, 1))


@pytest.mark.parametrize(
    ("draw", "parameter", "count", "least"),
    [
        (normal, 0.05, 20, 0.9),
        (normal, 1.0, 20, 0.9),
        (normal, 2.2, 200, 0.9),
        (exponential, 3.0, 100, 0.9),
        (peaks, 4.0, 100, 0.8),
        (normal, 5.0, 100, 0.0),
    ],
)
def test_intervals_of_trusted_bennett_estimates_cover(x64, draw, parameter, count, least):
    """99 % of works that obey Crooks pass its test; 300 estimates."""
    works = draw(np.random.default_rng(2), (300, count), parameter)
    share, covered = trusted_and_covered(tml.bennett, *works)
    assert share >= least
    assert covered > 0.88
    assert draw is not normal or parameter < 5 or share == 0


def gauss(mean, s, count=1000, seed=0):
    return mean + s * np.random.default_rng(seed).normal(size=count)


IMPOSSIBLE = {
    "constants": (np.ones(500), np.ones(500)),
    "large constants": (np.full(500, 1e8), np.full(500, 1e8)),
    "reversible constants": (np.full(500, 0.3), np.full(500, -0.3)),
    "nineteen": (gauss(0.005, 0.1, 19), gauss(0.005, 0.1, 1000, 1)),
    "no overlap": (gauss(5, 1), gauss(5, 1, seed=1)),
    "below the second law": (gauss(-5, 1), gauss(-5, 1, seed=1)),
    "slightly below it": (gauss(-0.2, 1), gauss(-0.2, 1, seed=1)),
    "narrow below it": (gauss(-0.05, 0.1), gauss(-0.05, 0.1, seed=1)),
    "wrong sign": (gauss(0.5, 1), gauss(-0.5, 1, seed=1)),
    "wrong sign, ΔF": (gauss(2.5, 1), gauss(1.5, 1, seed=1)),
    "both signs wrong": (-gauss(0.5, 1), -gauss(0.5, 1, seed=1)),
    "wrong temperature": (gauss(0.5, 1) * 2, gauss(0.5, 1, seed=1) * 2),
    "wide and wider": (gauss(0, 100, 50_000), gauss(0, 3500, 50_000, 1)),
    "hysteresis": (gauss(12.4, 0.03), gauss(11.7, 0.03, seed=1)),
    "hysteresis, wide": (gauss(12, 1), gauss(12, 1, seed=1)),
    "hysteresis that few cross": (
        np.append(gauss(12, 0.3), gauss(0, 0.3, 3)),
        np.append(gauss(12, 0.3, seed=1), gauss(0, 0.3, 3, 1)),
    ),
}


@pytest.mark.parametrize("works", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_pairs_of_works_that_cannot_be_are_never_trusted(x64, works):
    with pytest.warns(tml.thermodynamics.FreeEnergyWarning, match="cannot be trusted"):
        assert not tml.bennett(*works, 1.0).trustworthy


def test_the_reason_is_named(x64):
    with pytest.warns(tml.thermodynamics.FreeEnergyWarning, match="contradict Crooks.*signs"):
        tml.bennett(gauss(0.5, 1), gauss(-0.5, 1, seed=1), 1.0)


def test_few_or_constant_works_are_not_trusted_by_one_sided_averages(x64):
    for values in (gauss(0.0, 0.1, 19), np.full(100, 0.2)):
        with pytest.warns(tml.thermodynamics.FreeEnergyWarning):
            assert not tml.jarzynski(values, 1.0).trustworthy
        assert not tml.integral_fluctuation(values).trustworthy
    assert tml.jarzynski(gauss(0.0, 0.1, 20), 1.0).trustworthy


@pytest.mark.parametrize("temperature", [1e2, 1e5, 1e8, 1e20])
def test_works_that_are_small_beside_the_temperature_keep_their_digits(temperature):
    """In float32: ΔF = ⟨W⟩ to first order in W/T, and of both ensembles (⟨W_F⟩ - ⟨W_R⟩)/2."""
    forward = gauss(0.3, 0.1, 2000).astype(np.float32)
    reverse = gauss(-0.3, 0.1, 2000, 1).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", tml.thermodynamics.FreeEnergyWarning)
        single = tml.jarzynski(forward, temperature)
        both = tml.bennett(forward, reverse, temperature)
    second = forward.var() / 2 / temperature
    error = forward.std() / 2000**0.5
    np.testing.assert_allclose(single.free_energy_difference, forward.mean() - second, rtol=1e-6)
    np.testing.assert_allclose(single.standard_error, error, rtol=3e-3)
    assert single.trustworthy
    middle = (forward.mean() - reverse.mean()) / 2
    np.testing.assert_allclose(both.free_energy_difference, middle, rtol=1e-5)
    np.testing.assert_allclose(both.standard_error, error / 2**0.5, rtol=0.03)


def test_averages_of_exponentials_agree_with_float64(dtype):
    """From W/T = 1e-12 to 1e2 wide."""
    for width in (1e-12, 1e-6, 1e-2, 1.0, 10.0, 100.0):
        work = width * gauss(3.0, 1.0, 200)
        away = work.min() - work
        exact = work.min() - away.mean() - np.log(np.exp(away - away.mean()).mean())
        if width < 0.01:  # ⟨W⟩ - Var(W)/2
            exact = work.mean() - work.var() / 2
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", tml.thermodynamics.FreeEnergyWarning)
            free = tml.jarzynski(jnp.asarray(work, dtype), 1.0)
        rounding = 1e-12 if dtype == jnp.float64 else 1e-5
        np.testing.assert_allclose(
            free.free_energy_difference, exact, atol=width * (rounding + width**2 * (width < 0.01))
        )
