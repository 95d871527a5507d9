"""The study `data_refresh`: draws, indicators, and numbers against formulas written out here."""

import jax
import numpy as np
import pytest

from thermoml.config import ConfigError
from thermoml.studies import load_study
from thermoml.studies.data.data_refresh import area_under_curve


@pytest.fixture(scope="module")
def shifted(finished):
    return finished("covariate_shift")


def test_a_refresh_is_that_of_two_normal_states(shifted):
    """KL(p₀‖p₁), heat and work of one refresh from the covariances of both data sets."""
    study, summary, _ = shifted
    bath = summary["bath_temperature"]
    with jax.enable_x64(True):
        key = jax.random.key(5)
        old, new = study.drawn(key, np.float64(1.0))
        found, loss = study.refreshed(key, np.float64(1.0))
        x, y, x1, y1 = (
            np.asarray(a) for a in (old.features, old.targets, new.features, new.targets)
        )
    n, d = x.shape
    c, c1 = x.T @ x / n, x1.T @ x1 / n
    best, best1 = np.linalg.solve(c, x.T @ y / n), np.linalg.solve(c1, x1.T @ y1 / n)
    away = best - best1
    apart = np.trace(c1 @ np.linalg.inv(c)) - d + away @ c1 @ away / bath
    logs = np.linalg.slogdet(c)[1] - np.linalg.slogdet(c1)[1]
    assert float(found.entropy_production) == pytest.approx((apart + logs) / 2, rel=1e-8)
    assert float(found.heat) == pytest.approx(bath * apart / 2, rel=1e-8)
    assert float(found.entropy_drop) == pytest.approx(-logs / 2, rel=1e-8)

    def error(a, b, weights):
        return np.mean((b - a @ weights) ** 2) / 2

    assert float(loss) == pytest.approx(error(x1, y1, best) - error(x, y, best), rel=1e-8)
    quench = float(loss) + bath * (np.trace(c1 @ np.linalg.inv(c)) - d) / 2
    assert float(found.work) == pytest.approx(quench, rel=1e-8)


def test_covariate_shift(shifted):
    study, summary, results = shifted
    same, changed = summary["points"]
    assert same["told_apart"] is None
    assert changed["told_apart"]["entropy_production"]["mean"] > 0.7
    for entry in summary["points"]:
        made = entry["heat"]["mean"] / 0.01 - entry["entropy_drop"]["mean"]
        assert entry["entropy_production"]["mean"] == pytest.approx(made)
    for _, _, entry in study.points(results):
        assert (entry.entropy_production_refreshes > 0).all()
    # Data of one law: ΔS is 0 on average
    assert abs(same["entropy_drop"]["mean"]) < 4 * same["entropy_drop"]["standard_error"]
    assert "by Σ" in study.table(summary)
    assert set(study.figures(results)) == {"indicators", "distributions"}


def test_shifted_inputs_are_drawn_by_their_weight(shifted):
    study, _, _ = shifted
    with jax.enable_x64(True):
        chosen = np.asarray(study.data.features)[:, study.data.feature_names.index("bmi")]
        old, new = (np.asarray(w) for w in study.weights(0.7))
    assert (old == 1).all()
    np.testing.assert_allclose(new / new[0], np.exp(0.7 * (chosen - chosen[0])), rtol=1e-10)


def test_new_class(finished):
    study, summary, _ = finished("new_class")
    with jax.enable_x64(True):
        labels = np.asarray(study.data.targets)
        for share in (0.2, 1.0):
            old, new = (np.asarray(w) for w in study.weights(np.float64(share)))
            assert (old[labels == 2] == 0).all()
            assert new[labels == 2].sum() / new.sum() == pytest.approx(share)
    changed = summary["points"][1]
    assert changed["told_apart"]["entropy_production"]["mean"] > 0.9
    assert changed["work"]["mean"] > 4 * changed["work"]["standard_error"]


def test_areas_under_the_curve():
    rng = np.random.default_rng(0)
    apart = area_under_curve(np.arange(5.0), np.arange(10.0, 14.0))
    assert apart == {"mean": 1.0, "standard_error": 0.0}
    assert area_under_curve(np.arange(10.0, 14.0), np.arange(5.0))["mean"] == 1.0
    # Normal numbers a distance of √2 apart: Φ(1). 40 of them spread as their errors say.
    areas = [area_under_curve(rng.normal(size=80), rng.normal(2**0.5, size=60)) for _ in range(40)]
    means = np.asarray([x["mean"] for x in areas])
    error = np.mean([x["standard_error"] for x in areas])
    assert abs(means.mean() - 0.8413447) < 4 * error / 40**0.5
    assert 0.6 < means.std(ddof=1) / error < 1.5


@pytest.mark.parametrize(
    ("name", "override", "message"),
    [
        ("covariate_shift", "strength=[0.5, 1.0]", "must hold 0"),
        ("covariate_shift", "feature=null", "feature must name"),
        ("covariate_shift", "data={name: diabetes, components: 3}", "components"),
        ("covariate_shift", "feature=weight", "feature must be one of age, sex, bmi"),
        ("new_class", "strength=[0.0, 1.5]", r"must lie in \[0, 1\]"),
        ("new_class", "feature=bmi", "feature belongs to covariate_shift"),
        ("new_class", "data={name: breast_cancer, prior_stiffness: 0.1}", "at least 3 classes"),
    ],
)
def test_bad_settings_are_named(name, override, message):
    with pytest.raises(ConfigError, match=message):
        load_study(name, overrides=[override])
