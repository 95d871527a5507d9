"""Jarzynski and Bennett against Gaussian work, which is exact, other software, and simulations."""

import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml

T, DF = 0.7, 1.3


@pytest.mark.parametrize("spread", [0.5, 1.0])
def test_gaussian_work(x64, spread, gaussian_work):
    forward, reverse = gaussian_work(T, DF, spread)
    for found in (tml.jarzynski(forward, T), tml.bennett(forward, reverse, T)):
        assert abs(found.free_energy_difference - DF) < 4 * found.standard_error
        assert found.trustworthy
    single, both = tml.jarzynski(forward, T), tml.bennett(forward, reverse, T)
    assert both.standard_error < single.standard_error
    # ⟨w⟩²/⟨w²⟩ = exp(-spread²) of all samples; that ⟨w⁴⟩/⟨w²⟩² = exp(4 spread²) gives its noise
    expected, noise = 4000 * np.exp(-(spread**2)), (np.exp(4 * spread**2) / 4000) ** 0.5
    np.testing.assert_allclose(single.effective_sample_size, expected, rtol=4 * noise)


@pytest.mark.parametrize("estimate", ["jarzynski", "bennett"])
def test_standard_errors_are_the_spread_of_estimates(x64, estimate, gaussian_work):
    """Of 400 estimates, whose spread is known to 3.5 %: 15 % are four errors, 6e-5.

    At s = 0.6 the error is not widened: 15 exp(2 s²) = 31 is little beside 500.
    """
    samples = [gaussian_work(T, DF, 0.6, (500, 300), seed) for seed in range(400)]
    forward, reverse = (jnp.asarray(x) for x in zip(*samples, strict=True))
    if estimate == "jarzynski":
        found = jax.vmap(lambda w: tml.jarzynski(w, T))(forward)
    else:
        found = jax.vmap(lambda w, v: tml.bennett(w, v, T))(forward, reverse)
    spread = found.free_energy_difference.std(ddof=1)
    stated = jnp.sqrt(jnp.mean(found.standard_error**2))
    np.testing.assert_allclose(stated, spread, rtol=0.15)


def test_bennett_agrees_with_pymbar(x64, gaussian_work):
    """In a process of its own: pymbar changes JAX's settings."""
    forward, reverse = gaussian_work(T, DF, 1.5, (700, 300))
    program = (
        "import json, sys, numpy as np; from pymbar import bar; "
        "f, r = (np.array(x) for x in json.load(sys.stdin)); "
        "out = bar(f, r, method='self-consistent-iteration', relative_tolerance=1e-13, "
        "maximum_iterations=5000, uncertainty_method='BAR'); "
        "print(json.dumps([float(out['Delta_f']), float(out['dDelta_f'])]))"
    )
    given = json.dumps([(forward / T).tolist(), (reverse / T).tolist()])
    done = subprocess.run(
        [sys.executable, "-c", program], input=given, capture_output=True, text=True, check=True
    )
    difference, error = json.loads(done.stdout.splitlines()[-1])
    found = tml.bennett(forward, reverse, T)
    np.testing.assert_allclose(found.free_energy_difference, T * difference, rtol=1e-8)
    np.testing.assert_allclose(found.standard_error, T * error, rtol=0.02)


@pytest.mark.parametrize("outlier", [1e3, 1e8, 1e12])
def test_a_trajectory_that_ran_away_leaves_the_others_their_digits(gaussian_work, outlier):
    """In float32; its own weight is e^{-W/T} = 0, and only 1/n of the mean is lost with it."""
    forward, reverse = (np.asarray(x, np.float32) for x in gaussian_work(T, DF, 0.6))
    away = np.append(forward, np.float32(outlier))
    lost = T * np.log1p(1 / len(forward))
    single, alone = tml.jarzynski(away, T), tml.jarzynski(forward, T)
    both, pair = tml.bennett(away, reverse, T), tml.bennett(forward, reverse, T)
    for estimate, expected in ((single, alone), (both, pair)):
        difference = estimate.free_energy_difference - expected.free_energy_difference
        np.testing.assert_allclose(difference, lost if estimate is single else 0, atol=3e-4)
        np.testing.assert_allclose(estimate.standard_error, expected.standard_error, rtol=0.05)


def test_too_much_dissipation_is_noticed(gaussian_work):
    forward, reverse = gaussian_work(T, DF, 6.0)
    with pytest.warns(tml.thermodynamics.FreeEnergyWarning, match="cannot be trusted.*use bennett"):
        found = tml.jarzynski(forward, T)
    assert not found.trustworthy
    assert str(found).endswith("trustworthy             no")
    with pytest.warns(tml.thermodynamics.FreeEnergyWarning, match="stages between"):
        tml.bennett(forward + 40, reverse + 40, T)


@pytest.mark.slow
def test_a_stiffened_trap():
    """From the simulation: ΔF = (T/2) ln 4, in both directions."""

    def trap(x, stiffness):
        return 0.5 * stiffness * jnp.sum(x**2)

    def work(first, last, key):
        control = tml.Ramp(first, last, t0=0.0, t1=1.0)
        system = tml.Langevin(trap, control=control, temperature=T)
        solution = tml.simulate(
            system,
            lambda k: (T / first) ** 0.5 * jax.random.normal(k, (1,)),
            t1=1.0,
            dt=0.01,
            key=jax.random.key(key),
            n_trajectories=4000,
            integrator=tml.ExactLinear(lambda stiffness: stiffness),
        )
        return solution.work[:, -1]

    forward, reverse = work(1.0, 4.0, 0), work(4.0, 1.0, 1)
    expected = T / 2 * np.log(4)
    for found in (tml.jarzynski(forward, T), tml.bennett(forward, reverse, T)):
        assert abs(found.free_energy_difference - expected) < 4 * found.standard_error
        assert found.standard_error < 0.02
    fit = tml.crooks(forward, reverse, T)
    assert abs(fit.slope - 1) < 4 * fit.slope_error < 0.3


def test_gradients(x64, gaussian_work):
    forward, reverse = (jnp.asarray(x) for x in gaussian_work(T, DF, 0.3, (30, 40)))

    def estimates(shift, temperature):
        moved = forward + shift * forward**2
        single = tml.jarzynski(moved, temperature).free_energy_difference
        both = tml.bennett(moved, reverse, temperature).free_energy_difference
        return jnp.stack([single, both])

    slopes = jax.jacrev(estimates, (0, 1))(0.1, T)
    for slope, step in zip(slopes, ((1e-5, 0.0), (0.0, 1e-5)), strict=True):
        ahead, behind = (estimates(0.1 + s * step[0], T + s * step[1]) for s in (1, -1))
        np.testing.assert_allclose(slope, (ahead - behind) / 2e-5, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0], 1.0), "work must have shape .* at least 2"),
        (([[1.0, 2.0]], 1.0), "work must have shape"),
        (([1.0, np.nan], 1.0), "work must be finite"),
        (([1.0, 2.0], 0.0), "temperature must be finite and > 0"),
        (([1.0, 2.0], [1.0, 2.0]), "temperature must be a scalar"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        tml.jarzynski(*arguments)
