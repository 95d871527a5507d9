"""Energies that the package does not have, and the spread of an entropy over data."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, special

import thermoml as tml

close = np.testing.assert_allclose
KEY = jax.random.key
RNG = np.random.default_rng(11)
FEATURES = RNG.normal(size=(24, 2)) @ [[1.0, 0.4], [0.0, 0.7]]
VALUES = FEATURES @ [1.0, -0.6] + 0.8 * RNG.standard_t(3, size=24)
CLASSES = np.arange(24) % 3
TAU, PRIOR = 0.3, 0.2


class Huber(tml.networks.AbstractEnergy):
    """Squares up to δ, then straight lines."""

    classifies = False
    delta: jax.Array

    def loss(self, output, target):
        away = jnp.abs(output - target)
        inner = jnp.minimum(away, self.delta)
        return inner * (away - inner / 2)


class Cauchy(tml.networks.AbstractEnergy):
    """ln(1 + r²)/2, which curves downwards beyond 1."""

    classifies = False

    def loss(self, output, target):
        return jnp.log1p((output - target) ** 2) / 2


def start():
    return tml.networks.Normal(0.8)


def linear(energy, targets, *, features=FEATURES, prior=PRIOR, tau=TAU):
    return tml.LinearLearning(energy, (features, targets), prior_stiffness=prior, temperature=tau)


# Energies that the package does not have


def quadrature(loss, tau):
    """U, S and F of one parameter by a sum."""
    theta = np.linspace(-8, 10, 20_001)
    energies = loss(np.outer(theta, FEATURES[:, 0]) - VALUES).mean(1) + PRIOR / 2 * theta**2
    weights = np.exp(-(energies - energies.min()) / tau)
    free = energies.min() - tau * np.log(weights.sum() * (theta[1] - theta[0]))
    energy = weights @ energies / weights.sum()
    return energy, (energy - free) / tau, free


def huber(r, delta=0.7):
    return np.where(abs(r) < delta, r**2 / 2, delta * (abs(r) - delta / 2))


@pytest.mark.exhaustive
def test_a_huber_loss_works_everywhere(x64):
    """3 comparisons to 4 standard errors: once in 5000."""
    energy = Huber(jnp.asarray(0.7))
    both = linear(energy, VALUES)
    lowest = tml.networks.ground_state(both)
    by_hand = lambda t: huber(FEATURES @ t - VALUES).mean() + PRIOR / 2 * t @ t
    solved = optimize.minimize(by_hand, [0, 0], method="BFGS", options={"gtol": 1e-10})
    close(lowest.parameters, solved.x, rtol=1e-6)
    one = linear(energy, VALUES, features=FEATURES[:, :1])
    state = tml.Trained(one, tml.networks.Importance(4_000, key=KEY(1)))
    for name, exact in zip(
        ("energy", "entropy", "free_energy"), quadrature(huber, TAU), strict=True
    ):
        assert abs(getattr(state, name) - exact) < 4 * getattr(state, f"{name}_error")
    cold = linear(energy, VALUES, tau=1e-4)
    laplace, sampled = (
        tml.Trained(cold, route)
        for route in (tml.networks.Laplace(), tml.networks.Importance(4_000, key=KEY(2)))
    )
    assert abs(laplace.entropy - sampled.entropy) < 0.05
    slope = jax.grad(lambda d: tml.networks.ground_state(linear(Huber(d), VALUES)).energy)
    numeric = [
        tml.networks.ground_state(linear(Huber(jnp.asarray(d)), VALUES)).energy
        for d in (0.70001, 0.69999)
    ]
    close(slope(jnp.asarray(0.7)), (numeric[0] - numeric[1]) / 2e-5, rtol=1e-5)


@pytest.mark.exhaustive
def test_a_loss_that_is_not_convex_needs_a_start_or_switching(x64):
    system = linear(Cauchy(), 4 * VALUES, features=FEATURES[:, :1])
    for find in (tml.networks.ground_state, functools.partial(tml.Trained, key=KEY(0))):
        with pytest.raises(ValueError, match=r"not convex .* give ground_state or Laplace a start"):
            find(system)
    lowest = tml.networks.ground_state(system, jnp.asarray([3.0]))
    assert lowest.certificate < 1e-9
    route = tml.Switching(t1=4.0, relax=4.0, dt=0.1, n_trajectories=1000, key=KEY(3))
    state = tml.Trained(system, route)
    theta = np.linspace(-40, 40, 40_001)
    each = np.log1p((np.outer(theta, FEATURES[:, 0]) - 4 * VALUES) ** 2).mean(1) / 2
    weights = np.exp(-(each + PRIOR / 2 * theta**2) / TAU)
    exact = -TAU * np.log(weights.sum() * (theta[1] - theta[0]))
    assert abs(state.free_energy - exact) < 4 * state.free_energy_error < 0.2  # once in 16 000
    moved = tml.transition(tml.TypeI(start(), n_samples=1_000, key=KEY(4)), state)
    assert moved.entropy_production > -4 * moved.entropy_production_error


# The spread of an entropy over data


@pytest.mark.exhaustive
def test_the_spread_of_a_softmax_leaves_out_one_example_at_a_time(x64):
    """Against determinants without each example, at the minimum of all."""
    system = linear(tml.CrossEntropy(), CLASSES)
    state = tml.Trained(system, tml.networks.Laplace())
    again = tml.Trained(
        linear(tml.CrossEntropy(), CLASSES, features=1.01 * FEATURES), tml.networks.Laplace()
    )
    moved = tml.transition(tml.TypeII(state, key=KEY(0)), again)

    def spread(trained, features):
        middle = np.asarray(trained.distribution.normal.mean).reshape(3, 2)
        chances = special.softmax(features @ middle.T, axis=1)
        each = [
            np.kron(np.diag(p) - np.outer(p, p), np.outer(x, x)) / 24
            for p, x in zip(chances, features, strict=True)
        ]
        whole = sum(each) + PRIOR * np.eye(6)
        logs = [np.linalg.slogdet(whole - part)[1] / 2 for part in each]
        return np.sqrt(23 / 24 * np.sum((logs - np.mean(logs)) ** 2))

    expected = np.hypot(spread(state, FEATURES), spread(again, 1.01 * FEATURES))
    close(moved.entropy_drop_spread, expected, rtol=1e-6)


@pytest.mark.slow
def test_a_spread_that_is_not_known_withholds_nothing_and_claims_nothing(x64):
    """Kinks have no curvature; a network's entropy has no jackknife."""
    route = tml.networks.Importance(2_000, key=KEY(1))
    before, after = (
        tml.Trained(linear(tml.MeanAbsoluteError(), VALUES, features=s * FEATURES), route)
        for s in (1.0, 3.0)
    )
    network = eqx.nn.Linear(2, "scalar", key=KEY(0))
    states = [
        tml.Trained(
            tml.NetworkLearning(
                network,
                tml.MeanSquaredError(),
                (scale * FEATURES, VALUES),
                prior_stiffness=PRIOR,
                temperature=TAU,
            ),
            tml.networks.Laplace(start=network),
        )
        for scale in (1.0, 3.0)
    ]
    for moved in (
        tml.transition(before, after),
        tml.transition(tml.TypeII(states[0], key=KEY(2)), states[1]),
    ):
        assert np.isnan(moved.entropy_drop_spread)
        assert np.isfinite(moved.temperature)
        assert "its spread over data" in str(moved)
        assert "not known" in str(moved)
        assert moved.case is tml.networks.Case.RELEASING
