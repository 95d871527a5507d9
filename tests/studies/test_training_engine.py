"""The loss as a piston: potentials by hand, and the quick setting against exact rounds.

Both models go through one engine; the linear one is known exactly.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml
from thermoml.config import ConfigError
from thermoml.studies import load_study

close = np.testing.assert_allclose
RNG = np.random.default_rng(2)
FEATURES, OLD, NEW = RNG.normal(size=(9, 2)), RNG.normal(size=9), RNG.normal(size=9)


def linear(targets, **options):
    how: dict[str, Any] = {"prior_stiffness": 0.4} | options
    return tml.LinearLearning(tml.MeanSquaredError(), (FEATURES, targets), **how)


def loss(theta, targets):
    return np.mean((FEATURES @ theta - targets) ** 2) / 2


def test_the_potential_of_one_and_of_several_data_sets(x64):
    theta = np.array([0.3, -1.2])
    prior = 0.2 * theta @ theta
    one = tml.networks.LearningPotential(linear(OLD))
    close(one(jnp.asarray(theta), jnp.asarray(3.0)), 3 * loss(theta, OLD) + prior, rtol=1e-12)
    two = tml.networks.LearningPotential(linear(OLD), linear(NEW, prior_stiffness=9.0))
    exact = 0.5 * loss(theta, OLD) + 2 * loss(theta, NEW) + prior
    close(two(jnp.asarray(theta), jnp.array([0.5, 2.0])), exact, rtol=1e-12)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: tml.networks.LearningPotential(), TypeError, "one or more"),
        (lambda: tml.networks.LearningPotential(abs), TypeError, "learning systems"),  # pyright: ignore
        (
            lambda: tml.networks.LearningPotential(linear(OLD, batch=3)),
            ValueError,
            "minibatches of 3",
        ),
        (
            lambda: tml.networks.LearningPotential(
                linear(OLD), linear(np.stack([OLD, NEW], axis=1))
            ),
            ValueError,
            "system 1 must have the parameters of the first",
        ),
        (
            lambda: tml.networks.LearningPotential(linear(OLD))(jnp.zeros(2), jnp.ones(2)),
            ValueError,
            "the loss on each of 1 data sets, got 2 numbers",
        ),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.fixture(scope="module")
def ran(finished):
    return finished("training_engine")


def test_the_linear_engine_is_exact(ran):
    """Work and efficiency, 6 comparisons to 4 errors."""
    _, summary, _ = ran
    points = [entry for entry in summary["points"] if entry["model"] == "linear"]
    assert [entry["refresh"] for entry in points] == ["none", "loose", "tight"]
    for entry in points:
        work, ratio = entry["work"], entry["efficiency"]
        assert abs(work["mean"] - work["predicted"]) < 4 * work["standard_error"]
        if entry["refresh"] == "tight":
            assert ratio["mean"] is ratio["predicted"] is None
        else:
            assert abs(ratio["mean"] - ratio["predicted"]) < 4 * ratio["standard_error"] < 0.1
    gained = [-entry["work"]["mean"] for entry in points]
    assert gained[0] > gained[1] > 0 > gained[2]


def test_slow_strokes_come_near_the_quasi_static_round(ran):
    """The excess work of slow strokes falls like 1/duration; Richardson takes it out."""
    study, summary, _ = ran
    with jax.enable_x64(True):
        slow, slower = (
            study.engine("linear", "none", t).moment_equations(state=jnp.zeros(2))
            for t in (40.0, 80.0)
        )
        work, efficiency = (
            [float(getattr(found, name)) for found in (slow, slower)]
            for name in ("work", "efficiency")
        )
    limit = summary["quasi_static"]
    close(2 * work[1] - work[0], limit["work"], rtol=2e-3)
    close(2 * efficiency[1] - efficiency[0], limit["efficiency"], rtol=2e-3)
    assert limit["work"] < work[1] < work[0] < 0
    assert limit["efficiency"] < summary["carnot"] == pytest.approx(0.8)


def test_rounds_of_the_network_obey_both_laws(ran):
    study, summary, results = ran
    for label, parameters, entry in study.points(results):
        total = entry.heat.values.sum()
        error = np.hypot(entry.work_standard_error, 0.02)
        assert abs(float(entry.work) - total) < 5 * error, label  # U returns, but for its spread
        hot = -entry.heat.values[[1, 2, 5, 6]].sum()
        close(entry.intake, hot, rtol=1e-4)
        if parameters["model"] == "network":
            (point,) = [
                p for p in summary["points"] if all(p[k] == v for k, v in parameters.items())
            ]
            assert point["entropy_production"] > 0
            assert "predicted" not in point["work"]
    assert "no engine" in study.table(summary)


@pytest.mark.slow
def test_networks_go_round_in_a_cycle_of_the_users_own(x64):
    network = eqx.nn.MLP(2, "scalar", 2, 1, jnp.tanh, key=jax.random.key(0))
    systems = [
        tml.NetworkLearning(network, tml.MeanSquaredError(), (FEATURES, y), prior_stiffness=1.0)
        for y in (OLD, NEW)
    ]
    cycle = tml.Cycle(
        tml.networks.LearningPotential(*systems),
        [
            tml.Stroke(tml.Ramp([1.0, 0.0], [4.0, 0.0], t1=1.0), duration=1.0, bath="cold"),
            tml.Stroke(tml.Ramp([0.0, 4.0], [0.0, 1.0], t1=1.0), duration=1.0, bath="hot"),
        ],
        temperatures={"hot": 1.0, "cold": 0.2},
    )
    found = cycle.simulate(
        systems[0].state(network),
        dt=0.05,
        key=jax.random.key(1),
        n_trajectories=300,
        rounds=2,
        settle=1,
        integrator=tml.Heun(),
    )
    assert [len(x) for x in found.conjugate] == [len(found.times)] * 2
    assert float(found.entropy_production) > 0
    close(sum(found.heat.values()), found.work, atol=0.3)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("hot=0.1", "hot must be above cold"),
        ("refresh=[none, none]", "refresh must differ"),
        ("refresh=[soon]", "refresh"),
        ("duration=[0.333]", "dt"),
        ("compression=1", "compression"),
        ("hidden=0", "hidden"),
    ],
)
def test_bad_settings_are_named(override, message):
    with pytest.raises(ConfigError, match=message):
        load_study("training_engine", overrides=[override])
