"""Energies of a user's own: as good as those of the package, or refused with the next step."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import optimize, special

import thermoml as tml
from thermoml.networks.learning import linear_expectation

close = np.testing.assert_allclose
KEY = jax.random.key
RNG = np.random.default_rng(11)
FEATURES = RNG.normal(size=(24, 2)) @ [[1.0, 0.4], [0.0, 0.7]]
VALUES = FEATURES @ [1.0, -0.6] + 0.8 * RNG.standard_t(3, size=24)
LABELS = (VALUES + RNG.normal(size=24) > 0).astype(int)
CLASSES = np.arange(24) % 3
TAU, PRIOR = 0.3, 0.2


class Squares(tml.networks.AbstractEnergy):
    """The mean squared error by another name."""

    classifies = False

    def loss(self, output, target):
        return jnp.sum((output - target) ** 2) / 2


class Likelihood(tml.networks.AbstractEnergy):
    """The cross-entropy by another name, binary and softmax."""

    classifies = True

    def loss(self, output, target):
        if output.ndim:
            return jax.nn.logsumexp(output) - output[target]
        sign = 2 * jnp.asarray(target, output.dtype) - 1
        return jnp.logaddexp(0.0, -sign * output)


class Distance(tml.networks.AbstractEnergy):
    """The mean absolute error by another name."""

    classifies = False

    def loss(self, output, target):
        return jnp.abs(output - target)


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


PAIRS = {
    "squares": (tml.MeanSquaredError(), Squares(), VALUES),
    "likelihood": (tml.CrossEntropy(), Likelihood(), LABELS),
}


def start():
    return tml.networks.Normal(0.8)


def linear(energy, targets, *, features=FEATURES, prior=PRIOR, tau=TAU, **options):
    return tml.LinearLearning(
        energy, (features, targets), prior_stiffness=prior, temperature=tau, **options
    )


def pair(name):
    """The same linear model with the package's energy and with the user's."""
    shipped, own, targets = PAIRS[name]
    return linear(shipped, targets), linear(own, targets)


@pytest.fixture(params=PAIRS, scope="module")
def systems(request):
    with jax.enable_x64(True):
        return pair(request.param)


@pytest.fixture(scope="module")
def sampled(systems):
    with jax.enable_x64(True):
        return [tml.Trained(s, tml.networks.Importance(4_000, key=KEY(1))) for s in systems]


def differ(one, other, name):
    """By how many standard errors of both a number is off."""
    errors = [float(getattr(x, f"{name}_error")) for x in (one, other)]
    return abs(float(getattr(one, name) - getattr(other, name))) / np.hypot(*errors)


def test_ground_states_are_the_same(x64, systems):
    shipped, own = (tml.networks.ground_state(s) for s in systems)
    close(own.parameters, shipped.parameters, rtol=1e-8)
    close(own.energy, shipped.energy, rtol=1e-12)
    assert own.certificate < 1e-12


def test_expected_energies_are_means_of_samples_of_the_exact_one(x64, systems):
    shipped, own = systems
    exact = tml.networks.expected_energy(shipped, start())
    mean, error = tml.networks.expected_energy(own, start(), n_samples=2_000, key=KEY(0))
    assert exact.standard_error == 0
    assert abs(mean - exact.mean) < 4 * error < 0.1 * exact.mean  # once in 16 000


def test_importance_sampling_finds_the_same_trained_state(x64, systems, sampled):
    """6 comparisons to 4 standard errors: a false alarm in 2600 keys."""
    shipped, own = sampled
    if type(systems[0].form) is tml.MeanSquaredError:
        shipped = tml.Trained(systems[0])
    for name in ("energy", "entropy", "free_energy"):
        assert abs(getattr(own, name) - getattr(shipped, name)) < 4 * np.hypot(
            getattr(own, f"{name}_error"), getattr(shipped, f"{name}_error")
        )
    with pytest.raises(TypeError, match="key is needed to draw samples"):
        tml.Trained(systems[1])
    assert tml.Trained(systems[1], key=KEY(1)).entropy_error > 0


def test_laplace_finds_the_same_trained_state(x64, systems):
    shipped, own = (tml.Trained(s, tml.networks.Laplace()) for s in systems)
    for name in ("energy", "entropy", "free_energy", "heat_capacity"):
        close(getattr(own, name), getattr(shipped, name), rtol=1e-8)
    with pytest.raises(ValueError, match=r"Harmonic needs .* use Importance, or Switching"):
        tml.Trained(systems[1], tml.networks.Harmonic())


@pytest.mark.slow
def test_trajectories_find_the_same_trained_state(x64):
    route = tml.Switching(t1=1.0, relax=1.0, dt=0.1, n_trajectories=50, key=KEY(2))
    shipped, own = (tml.Trained(s, route) for s in pair("likelihood"))
    normal = tml.networks.Gaussian(own.distribution.weighted.states)
    normals = [tml.Trained(s, normal) for s in pair("likelihood")]
    for ours, theirs in ((own, shipped), normals):
        for name in ("energy", "entropy", "free_energy", "heat_capacity"):
            close(getattr(ours, name), getattr(theirs, name), rtol=1e-7)
            close(getattr(ours, f"{name}_error"), getattr(theirs, f"{name}_error"), atol=1e-7)


@pytest.mark.slow
def test_transitions_are_the_same(x64, systems, sampled):
    """Training to 4 standard errors (8 comparisons: once in 2000); a refresh by Laplace exactly."""
    before = tml.TypeI(start(), n_samples=2_000, key=KEY(3))
    shipped, own = (tml.transition(before, state) for state in sampled)
    for name in ("heat", "entropy_drop", "entropy_production", "temperature"):
        assert differ(own, shipped, name) < 4
    assert own.case is shipped.case
    moved = []
    for system in systems:
        targets = system.targets[:16]
        new = linear(system.form, targets, features=1.5 * FEATURES[:16])
        before, after = (tml.Trained(s, tml.networks.Laplace()) for s in (system, new))
        moved.append(tml.transition(tml.TypeII(before, key=KEY(4)), after))
    shipped, own = moved
    close(own.entropy_drop, shipped.entropy_drop, rtol=1e-8)
    close(own.entropy_drop_spread, shipped.entropy_drop_spread, rtol=1e-8)
    assert own.entropy_drop_spread > 0
    close(own.heat, shipped.heat, atol=5 * float(own.heat_error) + 1e-9)
    assert np.isnan(own.temperature) == np.isnan(shipped.temperature)


def test_linear_temperatures_are_the_same(x64, systems):
    shipped, own = (
        tml.linear_temperature(
            s.features,
            s.targets,
            energy=s.form,
            initialisation=start(),
            bath_temperature=TAU,
            prior_stiffness=PRIOR,
            n_samples=4_000,
            key=KEY(5),
        )
        for s in systems
    )
    assert differ(own, shipped, "temperature") < 4


@pytest.mark.slow
def test_dynamics_are_the_same(x64):
    """Everything that follows trajectories, with the same noise."""
    numbers = []
    for system in pair("likelihood"):
        path = tml.networks.simulated_training_path(
            system,
            tml.TypeI(start(), n_samples=100, key=KEY(9)),
            t1=1.0,
            dt=0.1,
            n_trajectories=20,
            key=KEY(6),
            save_every=5,
        )
        run = path.solution
        local = tml.local_temperatures(system, run.final_state, key=KEY(7))
        ledger = tml.networks.layer_ledger(system, run)
        trained = tml.networks.optimise(
            system, start(), optax.sgd(0.1), steps=6, key=KEY(8), n_trajectories=2
        )
        potential = tml.networks.LearningPotential(system)
        numbers.append(
            {
                "path": (path.energy, path.energy_error, path.entropy),
                "ledger of the run": (run.heat, run.work),
                "temperatures": (local.configurational, local.virial, local.heat_rate),
                "ledger": (ledger.heat_rate, ledger.entropy_flow_rate),
                "optimised": (trained.energy, trained.virial),
                "potential": potential(jnp.ones(2), jnp.asarray(0.7)),
            }
        )
    assert jax.tree.structure(numbers[0]) == jax.tree.structure(numbers[1])
    for shipped, own in zip(*map(jax.tree.leaves, numbers), strict=True):
        close(own, shipped, rtol=1e-9, atol=1e-12)


def test_exact_paths_are_for_harmonic_models_alone(x64):
    with pytest.raises(TypeError, match="use simulated_training_path"):
        tml.networks.training_path(linear(Squares(), VALUES), tml.TypeI(start()), [0.0, 1.0])


@pytest.mark.usefixtures("unchecked")
def test_limits_of_expectations_are_quadratures(dtype):
    """Exact at any variance; the shipped limits leave out O(v²)."""
    limit = functools.partial(tml.networks.asymptotic_energy, width="narrow")
    v = jnp.asarray([1e-3, 2e-3], dtype)
    exact = 1e-10 if dtype == jnp.float64 else 1e-5
    close(limit(Squares(), v), v / 2, rtol=exact)
    close(limit(Distance(), v), np.sqrt(2 * v / np.pi), rtol=exact)
    close(limit(Likelihood(), v), limit(tml.CrossEntropy(), v), rtol=1e-6)
    with pytest.raises(TypeError, match="no closed form for 3 classes: use expected_energy"):
        limit(Likelihood(), v, n_classes=3)
    with pytest.raises(TypeError, match="energy must be an AbstractEnergy, got 'mse'"):
        limit("mse", v)


def test_a_closed_form_is_registered_beside_the_energy(x64):
    class Exact(tml.networks.AbstractEnergy):
        classifies = False

        def loss(self, output, target):
            return (output - target) ** 2

    system = linear(Exact(), VALUES)
    with pytest.raises(TypeError, match="key is needed to draw parameters"):
        tml.networks.expected_energy(system, start())

    @linear_expectation.register(Exact)
    def _(energy, system, widths):
        return jnp.mean(system.features**2 @ widths.broadcast_to((2,)).variance + system.targets**2)

    energy, error = tml.networks.expected_energy(system, start())
    assert error == 0
    expected = 0.64 * np.mean((FEATURES**2).sum(1)) + np.mean(VALUES**2) + PRIOR * 0.64
    close(energy, expected, rtol=1e-12)


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


@pytest.mark.slow
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


@pytest.mark.slow
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


def test_kinks_are_refused_where_a_gradient_must_vanish(x64):
    system = linear(Distance(), VALUES)
    for find in (
        tml.networks.ground_state,
        functools.partial(tml.Trained, key=KEY(0)),
        functools.partial(tml.Trained, route=tml.networks.Laplace()),
    ):
        with pytest.raises(ValueError, match="kinks must be rounded off, or the class needs"):
            find(system)


def test_what_falls_for_ever_or_is_flat_is_refused_until_a_prior_holds_it(x64):
    apart = (FEATURES[:, 0] > 0).astype(int)
    cases = {"falls for ever": apart, "flat along some direction": CLASSES}
    for words, labels in cases.items():
        with pytest.raises(ValueError, match=f"Likelihood .*{words}.*add prior_stiffness > 0"):
            tml.networks.ground_state(linear(Likelihood(), labels, prior=0.0))
        held = tml.networks.ground_state(linear(Likelihood(), labels, prior=0.1))
        shipped = tml.networks.ground_state(linear(tml.CrossEntropy(), labels, prior=0.1))
        close(held.energy, shipped.energy, rtol=1e-10)
    assert tml.networks.ground_state(linear(Likelihood(), LABELS, prior=0.0)).certificate < 1e-12


# The spread of an entropy over data


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
