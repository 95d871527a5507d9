"""The studies of small systems in baths, each once in its quick setting, against exact results."""

import numpy as np
import pytest

from thermoml.config import ConfigError
from thermoml.studies import load_study
from thermoml.studies.systems.kramers import escape_rate
from thermoml.studies.systems.optimal_protocol import least_work


def close(entry, errors=4.0):
    """Whether a measurement lies within so many standard errors of its prediction."""
    return abs(entry["mean"] - entry["predicted"]) < errors * entry["standard_error"]


def test_dragged_trap(finished):
    study, summary, results = finished("dragged_trap")
    for entry in summary["points"]:
        assert close(entry["work"])
        for method in ("jarzynski", "bennett"):
            assert abs(entry[method]["mean"]) < 4 * entry[method]["standard_error"]
        slope = entry["crooks_slope"]
        assert abs(slope["mean"] - 1) < 4 * slope["standard_error"]
    fast, slow = summary["points"]
    assert fast["work"]["predicted"] == pytest.approx(9 * (1 + np.exp(-2)) / 4)
    assert fast["jarzynski"]["standard_error"] > slow["jarzynski"]["standard_error"]
    assert "ΔF, Bennett" in study.table(summary)
    assert set(study.figures(results)) == {"work_distributions", "free_energy"}


def test_tilted_ring(finished):
    study, summary, results = finished("tilted_ring")
    for entry in summary["points"]:
        # Power over temperature is the entropy production, at T = 1
        power = entry["force"] * entry["velocity"]["predicted"]
        assert entry["entropy_rate"]["predicted"] == pytest.approx(power, rel=1e-9)
        for name in ("velocity", "entropy_rate", "uncertainty_product"):
            assert close(entry[name]), name
        # In a finite time positions have not quite begun to spread like √t.
        assert abs(entry["diffusion"]["mean"] / entry["diffusion"]["predicted"] - 1) < 0.3
        assert entry["uncertainty_product"]["predicted"] > 2
    measured, exact = results.density.values, results.predicted_density.values
    error = results.density_standard_error.values
    coarse = exact.reshape(*measured.shape, -1).mean(axis=2)
    assert (abs(measured - coarse) < 5 * error + 0.003).all()
    assert "uncertainty product" in study.table(summary)


def test_two_baths(finished):
    study, summary, _ = finished("two_baths")
    equal, apart = summary["points"]
    assert abs(equal["entropy_rate"]["mean"]) < 1e-12
    # Two springs and a coupling of 1: (T_h - T_c)/4 goes through
    assert apart["heat_into_cold"]["predicted"] == pytest.approx(0.25)
    assert apart["heat_into_hot"]["predicted"] == pytest.approx(-0.25)
    for name in ("heat_into_cold", "heat_into_hot", "entropy_rate"):
        assert close(apart[name]), name
    theorem = apart["integral_fluctuation"]
    assert abs(theorem["mean"] - 1) < 4 * theorem["standard_error"]
    assert "heat into cold" in study.table(summary)


def test_stirling(finished):
    study, summary, _ = finished("stirling")
    assert summary["quasi_static"]["work"] == pytest.approx(-np.log(4))
    for entry in summary["points"]:
        assert close(entry["work"])
        assert close(entry["efficiency"])
        assert 0 < entry["efficiency"]["predicted"] < summary["carnot"]
        assert entry["entropy_production"] > 0
        for stroke in entry["heat_by_stroke"].values():
            assert close(stroke)
    assert "Curzon-Ahlborn" in study.table(summary)


def test_optimal_protocol(finished):
    study, summary, _ = finished("optimal_protocol")
    (entry,) = summary["points"]
    least = float(least_work("stiffen", 4.0, np.float64(0.8)))
    assert entry["least_work"] == pytest.approx(least)
    assert least < entry["work"]["predicted"] < least * (1 + 1e-4)
    assert entry["ramp_work"]["predicted"] > least * 1.05
    assert summary["free_energy_difference"] < least
    assert close(entry["work"])
    assert entry["converged"]
    # It jumps at both ends, to the widths that the exact solution has there.
    assert 1.3 < entry["protocol"][0] < entry["protocol"][-1] < 3.7
    assert "least possible" in study.table(summary)


def test_integrators(finished):
    """Each beside the recursion of its own steps, which theory gives in closed form."""
    study, summary, results = finished("integrators")
    euler, coloured, split = summary["points"]
    assert euler["variance"]["predicted"] == pytest.approx(1 / (1 - 0.1 / 2))
    assert euler["free_energy"]["predicted"] == pytest.approx(0.7515326, abs=1e-7)
    assert coloured["free_energy_with_shadow_work"]["mean"] is None
    for entry in summary["points"]:
        for name in ("variance", "free_energy", "heat_rate"):
            assert close(entry[name]), (entry["integrator"], name)
    for entry in (euler, split):
        assert entry["free_energy_with_shadow_work"]["predicted"] == pytest.approx(np.log(2))
        assert close(entry["free_energy_with_shadow_work"])
    assert euler["heat_rate_limit"] == pytest.approx(2 * 0.49 / 1.5)
    assert split["heat_rate_limit"] == pytest.approx(2 * 0.49 / (1.5 - 0.49))
    assert split["heat_rate"]["predicted"] == pytest.approx(split["heat_rate_limit"], rel=0.01)
    assert "with shadow work" in study.table(summary)
    assert set(study.figures(results)) == {"time_steps"}


def test_kramers(finished):
    """The theory holds to O(T/ΔU); at strong friction it is overdamped, at weak energy diffuses."""
    study, summary, results = finished("kramers")
    weak, strong = summary["points"]
    for entry in (weak, strong):
        away = abs(entry["rate"]["mean"] - entry["turnover"])
        assert away < 4 * entry["rate"]["standard_error"] + 0.15 * entry["turnover"]
    assert strong["turnover"] == pytest.approx(strong["overdamped"], rel=0.02)
    assert weak["turnover"] < 0.75 * min(weak[name] for name in ("strong", "weak", "overdamped"))
    high = load_study("kramers", overrides=["barrier=40"])
    for friction, name in ((1e-5, "weak"), (1e4, "strong")):
        limits = high.limits(friction)
        assert limits["turnover"] == pytest.approx(limits[name], rel=0.1)
    assert "Mel'nikov" in study.table(summary)
    assert set(study.figures(results)) == {"turnover"}


def test_the_rate_of_escape_is_that_of_its_exponential():
    """p(t) = ½(1 - e^{-2kt}); the error covers k."""
    rng, rate, duration = np.random.default_rng(0), 0.3, 1.2
    estimates = []
    for _ in range(200):
        # who has crossed an odd number of times
        halves = rng.poisson(rate * duration / 2, size=(2, 500))
        estimates.append(escape_rate(halves[0] % 2, halves.sum(axis=0) % 2, duration))
    away = [(estimate.mean - rate) / estimate.standard_error for estimate in estimates]
    assert 0.85 < np.std(away) < 1.15
    assert abs(np.mean(away)) < 0.25


@pytest.mark.parametrize(
    ("name", "override", "words"),
    [
        ("dragged_trap", "dt=0.3", "dt must divide"),
        ("dragged_trap", "trajectories=false", "trajectories must stay true"),
        ("dragged_trap", "duration=[-1.0]", "duration"),
        ("dragged_trap", "temperature=-1", "temperature"),
        ("tilted_ring", "force=[0.0]", "force must not be 0"),
        ("two_baths", "hot=[-2.0]", "hot"),
        ("stirling", "hot=0.5", "hot must be above cold"),
        ("stirling", "isochore=0.003", "dt must divide"),
        ("optimal_protocol", "amount=1", "amount must differ from 1"),
        ("optimal_protocol", "ways=[guess]", "ways"),
        ("integrators", "integrators=[verlet]", "a word of a Splitting"),
        ("integrators", "integrators=[BAB]", "a word of a Splitting"),
        ("integrators", "steps=[0.3]", "dt must divide|whole number"),
        ("integrators", "rotation=1.3", "rotation must be below"),
    ],
)
def test_refusals(name, override, words):
    with pytest.raises(ConfigError, match=words):
        load_study(name, overrides=[override])
