"""The studies of data as the environment, each once in its quick setting, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import digamma

from thermoml.config import ConfigError
from thermoml.networks import asymptotic_temperature, synthetic_data
from thermoml.studies import load_study, study_of
from thermoml.studies.data.data_temperature import expected_training, log_spectrum
from thermoml.studies.data.real_data_temperature import (
    RealData,
    case_of,
    prepared,
    ratio,
    unavoidable_fraction,
)


def least_squares(x, y, start, bath):
    """Heat and entropy drop of training on one data set, written out."""
    n, d = x.shape
    moments = x.T @ x / n
    best = np.linalg.lstsq(x, y, rcond=None)[0]
    heat = (start**2 * np.trace(moments) + best @ moments @ best - d * bath) / 2
    return heat, (d * np.log(start**2 / bath) + np.linalg.slogdet(moments)[1]) / 2


def test_data_temperature(finished):
    study, summary, results = finished("data_temperature")
    assert len(summary["points"]) == 8
    for i, entry in enumerate(summary["points"]):
        for name in ("heat", "entropy_drop", "entropy_production", "temperature"):
            assert abs(entry[name]["deviation"]) < 4, name
        q, s = (results[f"{name}_data_sets"].values[i] for name in ("heat", "entropy_drop"))
        hot = entry["temperature"]
        assert hot["mean"] == pytest.approx(q.mean() / s.mean())
        again = [np.delete(q, j).mean() / np.delete(s, j).mean() for j in range(q.size)]
        jackknife = np.sqrt((q.size - 1) * np.var(again))
        assert hot["standard_error"] == pytest.approx(jackknife, rel=0.02)
        assert hot["single"][0] < hot["mean"] < hot["single"][1]
    by = {(entry["varied"], entry["value"]): entry for entry in summary["points"]}
    cold, warm = by["bath_temperature", 0.01], by["bath_temperature", 0.99]
    assert cold["case"] == "releasing"
    assert cold["unavoidable_fraction"]["mean"] == pytest.approx(0.01 / cold["temperature"]["mean"])
    assert warm["case"] == "inverted"
    assert warm["unavoidable_fraction"]["mean"] is None
    # Noise and anisotropy heat by several standard errors
    for name, quiet, loud in (("label_noise", 0, 3), ("anisotropy", 1, 100)):
        rise = by[name, loud]["temperature"]["mean"] - by[name, quiet]["temperature"]["mean"]
        assert rise > 4 * by[name, loud]["temperature"]["standard_error"]
    assert "off by" in study.table(summary)
    assert set(study.figures(results)) == {"temperature", "unavoidable_fraction"}


def test_one_data_set_by_least_squares(x64):
    study = load_study("data_temperature", quick=True, overrides=["n_trajectories=10"])
    setting = study.grid.point((1,))["setting"]  # anisotropic
    key = jax.random.key(3)
    ensemble = {"key": key, "n_trajectories": 2, "first_trajectory": 5}
    found = study.point(ensemble, setting=setting)
    for row in range(2):
        data = synthetic_data(
            setting["n_examples"],
            spectrum=log_spectrum(20, 100.0),
            noise=0.5 * 20**0.5,
            key=jax.random.fold_in(key, 5 + row),
        )
        x, y = np.asarray(data.features), np.asarray(data.targets)
        expected = least_squares(x, y, 1.0, 0.02)
        got = [float(found[name].values[row]) for name in ("heat", "entropy_drop")]
        assert got == pytest.approx(expected, rel=1e-9)


def test_expected_training(x64):
    spectrum = np.asarray(log_spectrum(6, 30.0))
    assert spectrum.max() / spectrum.min() == pytest.approx(30)
    assert spectrum.mean() == pytest.approx(1)
    found = expected_training(
        jnp.asarray(spectrum), 15, label_noise=0.7, initial_std=1.3, bath_temperature=0.2
    )
    rng = np.random.default_rng(0)
    runs = []
    for _ in range(4000):
        x = rng.normal(size=(15, 6)) * np.sqrt(spectrum)
        y = x @ rng.normal(size=6) + 0.7 * 6**0.5 * rng.normal(size=15)
        runs.append(least_squares(x, y, 1.3, 0.2))
    mean, error = np.mean(runs, axis=0), np.std(runs, axis=0) / 4000**0.5
    exact = np.asarray([found["heat"], found["entropy_drop"]])
    assert (abs(mean - exact) < 4 * error).all()
    wishart = sum(digamma((15 - i) / 2) - np.log(7.5) for i in range(6))
    drop = (6 * np.log(1.69 / 0.2) + np.log(spectrum).sum() + wishart) / 2
    assert float(found["entropy_drop"]) == pytest.approx(drop)


def test_the_limit_is_that_of_whitened_data(x64):
    setting = {"label_noise": 0.6, "initial_std": 1.4, "bath_temperature": 0.1}
    found = expected_training(jnp.ones(400), 1000, **setting)
    limit = asymptotic_temperature(
        aspect_ratio=0.4,
        initial_variance=1.96,
        signal=1 + 0.36 * 0.4,  # |θ|² and what noise is fitted, for each parameter
        bath_temperature=0.1,
    )
    assert float(found["asymptotic_temperature"]) == pytest.approx(float(limit))
    assert float(found["temperature"]) == pytest.approx(float(limit), rel=1e-3)


def test_ratio_and_cases():
    drops = np.asarray([0.9, 1.1, 1.0, 1.0])
    exact = ratio(2.0, 1.0, 2 * drops, drops, 0.5)
    assert exact == pytest.approx({"mean": 2.0, "standard_error": 0.0})
    noisy = ratio(2.0, 0.1, 2 * drops, drops, 0.5)
    assert noisy["mean"] is None
    assert case_of(1.0, noisy) == "unresolved"
    assert case_of(-1.0, {"mean": 0.5}) == "absorbing"
    assert case_of(1.0, {"mean": -0.5}) == "inverted"
    share = unavoidable_fraction({"mean": 2.0, "standard_error": 0.1}, 1.0)
    assert share == pytest.approx({"mean": 0.5, "standard_error": 0.025})
    assert unavoidable_fraction({"mean": 0.5, "standard_error": 0.1}, 1.0)["mean"] is None


def test_real_data_temperature(finished):
    study, summary, results = finished("real_data_temperature")
    data = prepared(RealData(name="diabetes"))
    x, y = (np.asarray(z, float) for z in (data.features, data.targets))
    assert y.mean() == pytest.approx(0, abs=1e-5)
    assert y.std() == pytest.approx(1, rel=1e-5)
    assert len(summary["points"]) == 4
    for entry in summary["points"]:
        bath, heat, drop = (
            entry["bath_temperature"], entry["heat"]["mean"], entry["entropy_drop"]["mean"]
        )  # fmt: skip
        assert entry["temperature"]["mean"] == pytest.approx(heat / drop)
        assert entry["reversible_heat"]["mean"] == pytest.approx(bath * drop)
        produced = entry["entropy_production"]["mean"]
        assert produced == pytest.approx(heat / bath - drop)
        assert produced > 0
        assert entry["case"] == "releasing"
        if entry["data"] == "diabetes":
            assert (entry["n_parameters"], entry["n_examples"]) == (10, 442)
            assert (heat, drop) == pytest.approx(least_squares(x, y, 1.0, bath), rel=1e-4)
            assert entry["effective_samples"] is None
        else:
            assert entry["n_parameters"] == 4  # three components and an intercept
            assert entry["effective_samples"] > 1000
    # Resampling as the spread of the data says: of tr C and |Py|², for the first bath
    rng = np.random.default_rng(1)
    picks = [rng.integers(0, 442, 442) for _ in range(300)]
    spread = np.std([least_squares(x[p], y[p], 1.0, 0.01)[0] for p in picks])
    assert 0.3 < summary["points"][0]["heat"]["standard_error"] / spread < 1.9  # 6 resamples
    assert "resamples of the examples" in study.table(summary)
    assert set(study.figures(results)) == {"temperature", "heat"}


def test_principal_components(x64):
    data = prepared(RealData(name="digits", classes=3, components=2, prior_stiffness=1.0))
    assert data.features.shape == (537, 3)
    assert data.n_classes == 3
    scores, ones = np.asarray(data.features[:, :2]), np.asarray(data.features[:, 2])
    assert (ones == 1).all()
    covariance = scores.T @ scores / 537
    assert covariance[0, 1] == pytest.approx(0, abs=1e-9)
    assert covariance[0, 0] > covariance[1, 1] > 1


SYNTHETIC = {"study": "data_temperature", "vary": {"label_noise": [0, 1]}}
REAL = {
    "study": "real_data_temperature",
    "data": [{"name": "diabetes"}],
    "bath_temperature": [0.1],
}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"vary": {"label_nois": [1]}}, 'did you mean "label_noise"'),
        ({"vary": {}}, "must be a mapping from settings"),
        ({"vary": [1]}, "must be a mapping from settings"),
        ({"vary": {"label_noise": [1, 1]}}, "vary.label_noise: must have different values"),
        ({"vary": {"label_noise": [-1]}}, "vary.label_noise: label_noise must be greater than or"),
        ({"vary": {"anisotropy": [0.5]}}, "vary.anisotropy: anisotropy must be greater than or"),
        ({"vary": {"aspect_ratio": [1.0]}}, "vary.aspect_ratio: aspect_ratio must be less than 1"),
        ({"vary": {"aspect_ratio": [0.99]}}, "must leave more examples than the 20 parameters"),
        ({"vary": {"n_parameters": [2.5]}}, "vary.n_parameters: n_parameters"),
        ({"vary": {"bath_temperature": [0]}}, "vary.bath_temperature: bath_temperature"),
        ({"initial_std": 0}, "initial_std must be greater than 0"),
        ({"trajectories": False}, "trajectories must stay true"),
        ({"n_trajectories": 3}, "n_trajectories"),
        ({"anisotropi": 3}, 'did you mean "anisotropy"'),
    ],
)
def test_synthetic_mistakes(changes, words):
    with pytest.raises(ConfigError) as raised:
        study_of(SYNTHETIC | changes)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data": [{"name": "iris"}]}, "data.0.name must be one of the allowed values"),
        ({"data": [{"name": "digits"}]}, "digits needs prior_stiffness > 0"),
        ({"data": [{"name": "diabetes", "classes": 2}]}, "classes do not belong to diabetes"),
        ({"data": [{"name": "diabetes", "components": 11}]}, "components must be at most 10"),
        ({"data": [{"name": "digits", "classes": 11}]}, "classes must be at most 10 for digits"),
        ({"data": [{"name": "diabetes"}] * 2}, "data must differ"),
        ({"data": [{"name": "diabetes", "component": 2}]}, 'did you mean "components"'),
        ({"data": []}, "data"),
        ({"bath_temperature": [0.0]}, "bath_temperature.0 must be greater than 0"),
        ({"n_samples": 10}, "n_samples"),
    ],
)
def test_real_mistakes(changes, words):
    with pytest.raises(ConfigError) as raised:
        study_of(REAL | changes)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
