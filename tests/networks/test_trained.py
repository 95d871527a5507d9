"""Trained states of linear models: closed forms, dense quadrature, and errors that are right."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import thermoml as tml

close = np.testing.assert_allclose

SQUARED, ABSOLUTE, ENTROPY = tml.MeanSquaredError(), tml.MeanAbsoluteError(), tml.CrossEntropy()
RNG = np.random.default_rng(7)
FEATURES = RNG.normal(size=(30, 2)) @ [[1.0, 0.5], [0.0, 0.8]]
VALUES = FEATURES @ [1.0, -1.0] + RNG.normal(size=30)
LABELS = (VALUES + RNG.normal(size=30) > 0).astype(int)
TEMPERATURE, PRIOR = 0.3, 0.05
FORMS = {
    "squared": (SQUARED, VALUES, 2),
    "absolute, one parameter": (ABSOLUTE, VALUES, 1),
    "absolute": (ABSOLUTE, VALUES, 2),
    "logistic": (ENTROPY, LABELS, 2),
}


def problem(form, *, temperature=TEMPERATURE, prior=PRIOR):
    form, targets, d = FORMS[form]
    return tml.LinearLearning(
        form, (FEATURES[:, :d], targets), prior_stiffness=prior, temperature=temperature
    )


def energies(form, theta, prior=PRIOR):
    """E on a grid, by NumPy."""
    kind, targets, d = FORMS[form]
    outputs = theta @ FEATURES[:, :d].T
    if kind is SQUARED:
        losses = (outputs - targets) ** 2 / 2
    elif kind is ABSOLUTE:
        losses = np.abs(outputs - targets)
    else:
        losses = np.logaddexp(0, outputs) - targets * outputs
    return losses.mean(-1) + prior / 2 * np.sum(theta**2, -1)


def quadrature(form, temperature=TEMPERATURE, prior=PRIOR):
    """U, S, F and heat capacity of e^(-E/τ) by sums on a grid that reaches far out."""
    d = FORMS[form][2]
    centre = np.asarray(tml.networks.ground_state(problem(form, prior=prior)).parameters)
    axis = np.linspace(-12, 12, 40_001 if d == 1 else 601) * np.sqrt(temperature) * 2
    grid = np.stack(np.meshgrid(*[axis] * d, indexing="ij"), -1) + centre
    found = energies(form, grid, prior)
    weights = np.exp(-(found - found.min()) / temperature)
    total = weights.sum()
    edge = np.take(weights, [0, -1], 0).sum() / total
    assert edge < 1e-9
    mean = (weights * found).sum() / total
    volume = (axis[1] - axis[0]) ** d
    free = found.min() - temperature * np.log(total * volume)
    variance = (weights * (found - mean) ** 2).sum() / total
    return mean, (mean - free) / temperature, free, variance / temperature**2


def scores(state, exact):
    """How many of its own standard errors each number is off."""
    parts = ("energy", "entropy", "free_energy")
    return np.array(
        [
            float((getattr(state, name) - value) / getattr(state, f"{name}_error"))
            for name, value in zip(parts, exact, strict=False)
        ]
    )


@pytest.fixture(scope="module")
def sampled():
    """Each form by importance sampling."""
    with jax.enable_x64(True):
        route = tml.networks.Importance(20_000, key=jax.random.key(5))
        return {form: tml.Trained(problem(form), route) for form in FORMS}


@pytest.mark.parametrize("outputs", [1, 2])
def test_harmonic_states_are_the_normal_ones_of_linear_algebra(dtype, outputs):
    targets = VALUES if outputs == 1 else np.stack([VALUES, 1 + VALUES**2], axis=1)
    k, tau = 0.2, 0.7
    system = tml.LinearLearning(SQUARED, (FEATURES, targets), prior_stiffness=k, temperature=tau)
    found = tml.Trained(system)
    stiffness = np.kron(np.eye(outputs), FEATURES.T @ FEATURES / 30 + k * np.eye(2))
    centre = np.linalg.solve(stiffness, np.ravel(targets.T @ FEATURES) / 30)
    residuals = targets.T.reshape(outputs, 30) - centre.reshape(outputs, 2) @ FEATURES.T
    lowest = np.sum(residuals**2) / 60 + k / 2 * centre @ centre
    law = stats.multivariate_normal(centre, tau * np.linalg.inv(stiffness))
    exact = 1e-12 if dtype == jnp.float64 else 2e-6
    close(found.entropy, law.entropy(), rtol=exact)
    close(found.energy, lowest + outputs * tau, rtol=exact)
    close(found.free_energy, lowest + outputs * tau - tau * law.entropy(), rtol=10 * exact)
    close(found.distribution.normal.mean, centre, rtol=10 * exact, atol=exact)
    close(found.distribution.normal.matrix, law.cov, rtol=10 * exact, atol=exact)
    close(found.heat_capacity, outputs)
    close(found.virial_temperature, tau, rtol=exact)
    assert found.entropy.dtype == dtype
    for name in ("energy", "entropy", "free_energy", "heat_capacity", "virial_temperature"):
        assert getattr(found, f"{name}_error") == 0
    # ln p = -(E - F)/τ wherever it is asked
    theta = centre + 0.3
    surprise = (system.total_energy(jnp.asarray(theta, dtype).reshape(system.like.shape)) - (
        found.free_energy
    )) / tau  # fmt: skip
    close(-surprise, law.logpdf(theta), rtol=20 * exact)


def test_the_divergence_between_harmonic_states_is_that_of_normal_laws(x64):
    """KL(p||q) = <E_q>_p/τ - F_q/τ - S_p, from parts that the state gives."""
    before = tml.Trained(problem("squared", temperature=0.9, prior=1.0))
    system = problem("squared")
    after = tml.Trained(system)
    found = (before.mean_energy(system).mean - after.free_energy) / TEMPERATURE - before.entropy
    p, q = before.distribution.normal, after.distribution.normal
    ratio = np.linalg.solve(q.matrix, p.matrix)
    away = np.asarray(q.mean - p.mean)
    expected = np.trace(ratio) - 2 + away @ np.linalg.solve(q.matrix, away)
    expected = (expected - np.linalg.slogdet(ratio)[1]) / 2
    assert expected > 0.5
    close(found, expected, rtol=1e-11)


def test_harmonic_entropy_in_float32_bears_features_far_from_their_mean():
    """The normal equations missed it by 0.05 and more, and the energy of new data too."""
    features = np.stack([np.ones(30), 2000 + FEATURES[:, 0]], axis=1).astype(np.float32)
    found = tml.Trained(tml.LinearLearning(SQUARED, (features, VALUES)))
    moments = features.astype(float).T @ features.astype(float) / 30
    close(found.entropy, np.log(2 * np.pi * np.e) - np.linalg.slogdet(moments)[1] / 2, atol=2e-3)
    new = tml.LinearLearning(SQUARED, (features[:15], VALUES[:15]))
    part = features[:15].astype(float)
    centre = np.linalg.lstsq(features.astype(float), VALUES, rcond=None)[0]
    expected = np.mean((VALUES[:15] - part @ centre) ** 2) / 2
    expected += np.trace(np.linalg.solve(moments, part.T @ part / 15)) / 2
    close(found.mean_energy(new).mean, expected, rtol=3e-3)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_importance_sampling_finds_what_quadrature_does(x64, sampled, form):
    """3 scores of 4 standard errors: a false alarm in 5000 keys."""
    exact = quadrature(form)
    found = sampled[form]
    assert np.abs(scores(found, exact)).max() < 4
    assert found.energy_error < 0.01 * TEMPERATURE * FORMS[form][2]
    assert abs(found.virial_temperature - TEMPERATURE) < 4 * found.virial_temperature_error
    assert found.virial_temperature_error < 0.02 * TEMPERATURE
    # C = Var(E)/τ², and its error to first order
    weights, states = (
        np.asarray(found.distribution.weighted.weights),
        found.distribution.weighted.states,
    )
    squares = ((energies(form, np.asarray(states)) - exact[0]) / TEMPERATURE) ** 2
    error = np.sqrt(np.sum((weights * (squares - exact[3])) ** 2))
    close(found.heat_capacity_error, error, rtol=0.03)
    assert abs(found.heat_capacity - exact[3]) < 4 * error < 0.2
    ends = [quadrature(form, TEMPERATURE + h)[0] for h in (1e-3, -1e-3)]
    close(exact[3], (ends[0] - ends[1]) / 2e-3, rtol=1e-4)  # = dU/dτ
    close(found.energy - TEMPERATURE * found.entropy, found.free_energy, rtol=1e-10)


@pytest.mark.slow
def test_importance_sampling_agrees_with_closed_forms(x64, sampled):
    exact = tml.Trained(problem("squared"))
    found = sampled["squared"]
    assert np.abs(scores(found, (exact.energy, exact.entropy, exact.free_energy))).max() < 4
    close(quadrature("squared")[:3], (exact.energy, exact.entropy, exact.free_energy), rtol=1e-8)
    assert abs(found.heat_capacity - 1) < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("form", ["squared", "absolute"])
def test_errors_of_importance_sampling_are_those_of_repetition(x64, form):
    """Sums of 24 squared scores: outside these bounds of χ² for 3 quantities once in 1700."""
    exact = quadrature(form)
    system = problem(form)
    route = lambda i: tml.networks.Importance(2_000, key=jax.random.key(100 + i))
    found = np.array([scores(tml.Trained(system, route(i)), exact) for i in range(24)])
    low, high = stats.chi2(24).ppf([1e-4, 1 - 1e-4])
    sums = np.sum(found**2, axis=0)
    assert np.all((low < sums) & (sums < high))
    assert np.all(np.abs(found.mean(0)) < 4 / 24**0.5)


def test_heat_of_absolute_errors_in_units_of_temperature_falls_and_rises_again(x64):
    """(U - E_min)/τ = d where kinks are resolved (E ~ |θ|), d/2 amid them, d beyond them."""
    form = "absolute, one parameter"
    lowest = tml.networks.ground_state(problem(form, prior=0.0)).energy
    ratios = {}
    for tau in (1e-5, 0.1, 100.0):
        system = problem(form, temperature=tau, prior=0.0)
        found = tml.Trained(system, tml.networks.Importance(20_000, key=jax.random.key(3)))
        ratios[tau] = (found.energy - lowest) / tau
        if tau == 0.1:
            exact = quadrature(form, 0.1, 0.0)
            assert np.abs(scores(found, exact)).max() < 4
    assert abs(ratios[1e-5] - 1) < 0.1
    assert ratios[0.1] < 0.7
    assert abs(ratios[100.0] - 1) < 0.05


def test_derivatives_of_sampled_states_are_averages_of_derivatives(x64):
    """dF/dp = <dE/dp> for anything that E depends on, and dF/dτ = -S."""
    route = tml.networks.Importance(2_000, key=jax.random.key(3))

    def free(tau, prior):
        return tml.Trained(problem("logistic", temperature=tau, prior=prior), route).free_energy

    at = jnp.asarray(TEMPERATURE), jnp.asarray(PRIOR)
    state = tml.Trained(problem("logistic"), route)
    along_tau, along_prior = jax.grad(free, (0, 1))(*at)
    squares = jnp.sum(state.distribution.weighted.states**2, axis=1) / 2
    close(along_tau, -state.entropy, rtol=1e-10)
    close(along_prior, state.distribution.weighted.mean(squares)[0], rtol=1e-10)


def test_text_names_the_route(x64, sampled):
    state = tml.Trained(problem("squared"))
    assert str(state).startswith("Trained by Harmonic\n  temperature τ       0.3\n")
    assert f"energy U            {state.energy:.5g} ± 0" in str(state)
    text = str(sampled["absolute"])
    assert text.startswith("Trained by Importance\n")
    assert text.count("±") == 5


REFUSED = {
    "no system": (lambda: tml.Trained(FEATURES), TypeError, "system must be a LinearLearning"),
    "a route's class": (
        lambda: tml.Trained(problem("squared"), tml.networks.Importance),
        TypeError,
        "route must be",
    ),
    "harmonic": (
        lambda: tml.Trained(problem("absolute"), tml.networks.Harmonic()),
        ValueError,
        "Harmonic needs a linear model with MeanSquaredError, got MeanAbsoluteError",
    ),
    "cold": (
        lambda: tml.Trained(problem("squared", temperature=0.0)),
        ValueError,
        "temperature must be finite and > 0, got 0",
    ),
    "NaN bath": (
        lambda: tml.Trained(problem("squared", temperature=np.nan)),
        ValueError,
        "temperature must be finite, got nan",
    ),
    "baths": (
        lambda: tml.Trained(problem("squared", temperature=np.ones(2))),
        ValueError,
        "several baths",
    ),
    "a bath that varies": (
        lambda: tml.Trained(problem("squared", temperature=lambda t: 1.0 + t)),
        ValueError,
        "one that varies",
    ),
    "no key": (
        lambda: tml.Trained(problem("absolute")),
        TypeError,
        r"key is needed to draw samples: pass key=jax.random.key\(0\)",
    ),
    "few samples": (
        lambda: tml.networks.Importance(10),
        ValueError,
        "n_samples must be at least 1000",
    ),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("case", REFUSED)
def test_refusals_say_what_is_wrong(case):
    call, kind, message = REFUSED[case]
    with pytest.raises(kind, match=message):
        call()


def test_weights_that_rest_on_few_samples_are_refused(x64):
    rng = np.random.default_rng(0)
    system = tml.LinearLearning(SQUARED, (rng.normal(size=(120, 60)), np.ones(120)))
    with pytest.raises(ValueError, match="only .* effective samples of 1000 for 60 parameters"):
        tml.Trained(system, tml.networks.Importance(1000, key=jax.random.key(0)))
