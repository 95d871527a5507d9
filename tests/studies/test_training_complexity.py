"""The study `training_complexity` in its quick setting, against samples drawn here."""

import jax
import numpy as np
import pytest
from scipy import integrate, optimize, special

from thermoml.config import ConfigError
from thermoml.studies import load_study


@pytest.fixture(scope="module")
def ran(finished):
    return finished("training_complexity")


def energies(system, theta, n_classes):
    """E of parameters `(…, d)` or `(…, c, d)`, written out."""
    x, y = np.asarray(system.features, float), np.asarray(system.targets)
    prior = float(system.prior_stiffness) / 2 * (theta**2).reshape(len(theta), -1).sum(axis=1)
    if n_classes == 2:
        logits = theta @ x.T
        return (np.logaddexp(0, logits) - y * logits).mean(axis=-1) + prior
    scores = np.einsum("sci,ni->snc", theta, x)
    losses = special.logsumexp(scores, axis=-1) - scores[:, np.arange(len(y)), y]
    return losses.mean(axis=-1) + prior


def test_heat_of_training_three_classes(ran):
    """U₀ from draws of the start; U₁ lies d τ/2 above the minimum, but for some anharmonicity."""
    study, summary, _ = ran
    system, known = study.system(3, 1), study.trained[3][1]
    start = energies(system, 2.0 * np.random.default_rng(0).normal(size=(100_000, 3, 4)), 3)
    flat = lambda theta: energies(system, theta.reshape(1, 3, 4), 3)[0]
    lowest = optimize.minimize(flat, np.zeros(12)).fun
    equipartition = 12 * study.config.bath_temperature / 2
    excess = start.mean() - known["heat"].mean - lowest
    error = 4 * start.std() / 100_000**0.5
    assert 0.8 * equipartition - error < excess < 1.2 * equipartition + error
    assert error < 0.5 * equipartition
    assert [entry["n_parameters"] for entry in summary["points"]] == [4, 12]


def test_runs_end_where_training_does(ran):
    """4 comparisons to 4 standard errors, of sampling on both sides."""
    study, summary, _ = ran
    for entry in summary["points"]:
        for name in ("heat", "entropy_drop"):
            part = entry[name]
            errors = [known[name].standard_error for known in study.trained[entry["n_classes"]]]
            error = np.hypot(part["simulated"]["standard_error"], np.linalg.norm(errors) / 3)
            assert abs(part["simulated"]["mean"] - part["mean"]) < 4 * error, name


def test_temperature_so_far_is_a_ratio_of_means(ran):
    study, summary, results = ran
    path = study.paths(results)[1]
    so_far = summary["points"][1]["temperature_so_far"]
    for i, entry in enumerate(so_far):
        ratio = path["heat"][:, i].mean() / path["entropy_drop"][:, i].mean()
        assert entry["mean"] == pytest.approx(ratio)
        again = [
            np.delete(path["heat"][:, i], j).mean()
            / np.delete(path["entropy_drop"][:, i], j).mean()
            for j in range(3)
        ]
        assert entry["standard_error"] == pytest.approx(np.sqrt(2 * np.var(again)), rel=0.05)
    assert summary["times"] == [5.0, 10.0, 15.0, 20.0]
    heats = results["energy"].values  # (classes, data set, save)
    assert path["heat"][2, 3] == pytest.approx(heats[1, 2, 0] - heats[1, 2, 4])


@pytest.mark.slow
def test_two_classes_by_quadrature():
    """Heat and entropy drop of one data set of one feature, exactly."""
    overrides = ["n_features=1", "n_classes=[2]", "precision=float64", "n_samples=20000"]
    study = load_study("training_complexity", quick=True, overrides=overrides)
    with jax.enable_x64(True):
        system = study.system(2, 1)
        known = study.trained[2][1]
    bath = study.config.bath_temperature
    grid = np.linspace(-12, 12, 20_001)
    values = energies(system, grid[:, None], 2)
    weights = np.exp(-(values - values.min()) / bath)
    total = integrate.simpson(weights, x=grid)
    u1 = integrate.simpson(weights * values, x=grid) / total
    s1 = (u1 - values.min()) / bath + np.log(total)
    start = np.exp(-(grid**2) / 8) / np.sqrt(8 * np.pi)
    u0 = integrate.simpson(start * values, x=grid)
    s0 = (1 + np.log(8 * np.pi)) / 2
    for name, exact in (("heat", u0 - u1), ("entropy_drop", s0 - s1)):
        value, error = known[name]
        assert abs(value - exact) < 4 * error + 1e-6
        assert error < 0.02


def test_table_and_figure(ran):
    study, summary, results = ran
    assert "entropy drop" in study.table(summary)
    assert set(study.figures(results)) == {"temperature"}
    assert [entry["case"] for entry in summary["points"]] == ["releasing", "releasing"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("n_classes=[1]", "n_classes"),
        ("n_classes=[3, 3]", "n_classes must differ"),
        ("saves=7", "must divide the 800 steps"),
        ("n_trajectories=32", "must exceed the 32 parameters of 8 classes"),
        ("prior_stiffness=0", "prior_stiffness"),
        ("data_sets=1", "data_sets"),
    ],
)
def test_bad_settings_are_named(override, message):
    with pytest.raises(ConfigError, match=message):
        load_study("training_complexity", overrides=[override])
