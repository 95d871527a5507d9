"""Crooks, the integral theorem and the uncertainty relation where all is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

import thermoml as tml

T, DF = 0.7, 1.3


def test_crooks_of_gaussian_work(x64, gaussian_work):
    found = tml.crooks(*gaussian_work(T, DF, 1.2, (3000, 5000), seed=5), T)
    assert abs(found.slope - 1) < 4 * found.slope_error < 0.2
    assert abs(found.free_energy_difference - DF) < 4 * found.standard_error < 0.1


def test_crooks_sees_a_wrong_temperature(x64, gaussian_work):
    found = tml.crooks(*gaussian_work(T, DF, 1.2, (3000, 5000), seed=5), 1.5 * T)
    assert abs(found.slope - 1.5) < 4 * found.slope_error
    assert found.slope - 1 > 8 * found.slope_error


def test_crooks_is_a_maximum_of_the_likelihood(x64, gaussian_work):
    """Where both sums of the logistic regression vanish."""
    forward, reverse = gaussian_work(T, DF, 1.0, (40, 60), seed=5)
    found = tml.crooks(forward, reverse, T)
    works, labels = np.concatenate([forward, -reverse]) / T, np.repeat([1.0, 0.0], [40, 60])
    logits = np.log(40 / 60) + found.slope * (works - found.free_energy_difference / T)
    missed = labels - expit(np.asarray(logits))
    np.testing.assert_allclose([missed.sum(), missed @ works], 0, atol=1e-9)


def test_errors_of_crooks_are_the_spread_of_estimates(x64, gaussian_work):
    """400 estimates: 15 % are four errors of their spread."""
    samples = [gaussian_work(T, DF, 1.0, (300, 500), seed) for seed in range(400)]
    forward, reverse = (jnp.asarray(x) for x in zip(*samples, strict=True))
    found = jax.vmap(lambda w, v: tml.crooks(w, v, T))(forward, reverse)
    for value, error in (
        (found.slope, found.slope_error),
        (found.free_energy_difference, found.standard_error),
    ):
        stated = jnp.sqrt(jnp.mean(error**2))
        np.testing.assert_allclose(stated, value.std(ddof=1), rtol=0.15)


def test_integral_theorem_of_a_gaussian():
    entropy = 0.5 + np.random.default_rng(0).normal(size=5000)
    found = tml.integral_fluctuation(entropy)
    assert abs(found.average - 1) < 4 * found.standard_error < 0.2
    assert found.trustworthy
    assert abs(tml.integral_fluctuation(entropy - 0.2).average - 1) > 4 * found.standard_error


def test_uncertainty_product_of_drift_is_two(x64):
    """x_t ~ N(vt, 2Dt) with Σ = v²t/D: the relation is an equality."""
    drift, diffusion, t = 0.8, 0.3, 5.0
    noise = np.random.default_rng(1).normal(size=20_000)
    current = drift * t + (2 * diffusion * t) ** 0.5 * noise
    for produced in (drift**2 * t / diffusion, drift * current / diffusion):
        found = tml.uncertainty_product(current, produced)
        assert abs(found.product - 2) < 4 * found.standard_error < 0.2


def test_jackknife_by_leaving_out(x64):
    rng = np.random.default_rng(2)
    current, produced = rng.normal(2, 1, size=7), rng.normal(3, 1, size=7)

    def product(j, s):
        return j.var(ddof=1) * s.mean() / j.mean() ** 2

    without = [product(np.delete(current, i), np.delete(produced, i)) for i in range(7)]
    error = (6 / 7 * np.sum((without - np.mean(without)) ** 2)) ** 0.5
    found = tml.uncertainty_product(current, produced)
    expected = 7 * product(current, produced) - 6 * np.mean(without)
    np.testing.assert_allclose(found.product, expected, rtol=1e-10)
    np.testing.assert_allclose(found.standard_error, error * 13 / 7, rtol=1e-10)


def test_the_uncertainty_product_of_twenty_trajectories_has_no_bias(x64):
    """4000 times 20 trajectories, whose interval holds the truth."""
    current = 1.5 + np.random.default_rng(3).normal(size=(4000, 20))
    found = jax.vmap(lambda j: tml.uncertainty_product(j, 2 * 1.5 * 1.5))(jnp.asarray(current))
    error = found.product.std() / 4000**0.5
    assert abs(found.product.mean() - 2) < 4 * error + 0.02
    covered = (abs(found.product - 2) < 1.96 * found.standard_error).mean()
    assert covered > 0.9


def test_crooks_of_data_that_are_not_numbers_is_not_a_number_inside_jit(x64):
    """Nor of ensembles without overlap: not the 1 with which the search begins."""
    work = jnp.asarray(0.5 + np.random.default_rng(4).normal(size=50))
    fit = jax.jit(lambda forward, reverse: tml.crooks(forward, reverse, 1.0))
    for forward, reverse in ((work.at[0].set(jnp.nan), work), (work + 9, work + 9)):
        found = fit(forward, reverse)
        assert not found.trustworthy
        numbers = found.slope, found.slope_error, found.free_energy_difference, found.standard_error
        assert np.isnan(numbers).all()
    assert np.isfinite(fit(work, work).slope)


def test_crooks_trusts_works_that_overlap(gaussian_work):
    """By expected acceptances; a slope that is not 1 does not matter here."""
    cases = ((1.2, 100, True), (3.0, 100, False), (1.2, 15, False), (0.1, 99, False))
    for spread, count, trusted in cases:
        works = gaussian_work(T, DF, spread, (count, count), seed=5)
        assert bool(tml.crooks(*works, T).trustworthy) is trusted
    wrong = gaussian_work(T, DF, 1.2, (3000, 5000), seed=5)
    assert tml.crooks(*wrong, 1.5 * T).trustworthy
    assert "trustworthy" in str(tml.crooks(*wrong, T))


@pytest.mark.slow
def test_a_driven_ring_obeys_both():
    """Constant force on a flat ring: entropy production f x/T, in float32 from the ledger."""
    force, bath, t1 = 0.7, 0.5, 2.0
    system = tml.Langevin(
        lambda x, _: 0 * jnp.sum(x), drive=lambda x, _: force + 0 * x, temperature=bath
    )
    run = {"t1": t1, "dt": 0.05, "key": jax.random.key(0), "n_trajectories": 4000}
    solution = tml.simulate(system, jnp.zeros(1), **run)
    entropy = solution.entropy_flow[:, -1]
    assert abs(tml.integral_fluctuation(entropy).average - 1) < 0.1
    found = tml.uncertainty_product(solution.final_state.reshape(-1), entropy)
    assert abs(found.product - 2) < 4 * found.standard_error < 0.4


def test_bad_arguments():
    with pytest.raises(ValueError, match="work_forward and -work_reverse must overlap"):
        tml.crooks([5.0, 6.0], [5.0, 6.0], 1.0)
    with pytest.raises(ValueError, match=r"^current must have shape .* at least 3"):
        tml.uncertainty_product([1.0, 2.0], 1.0)
    with pytest.raises(ValueError, match=r"^entropy_production must be a scalar or have shape"):
        tml.uncertainty_product([1.0, 2.0, 3.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="^entropy_production must be finite"):
        tml.integral_fluctuation([1.0, np.inf])
