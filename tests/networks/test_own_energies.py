"""Energies of a user's own: as good as those of the package, or refused with the next step."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

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


PAIRS = {
    "squares": (tml.MeanSquaredError(), Squares(), VALUES),
    "likelihood": (tml.CrossEntropy(), Likelihood(), LABELS),
}


def start():
    return tml.networks.Normal(0.8)


def linear(energy, targets, *, features=FEATURES, prior=PRIOR, tau=TAU):
    return tml.LinearLearning(energy, (features, targets), prior_stiffness=prior, temperature=tau)


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


@pytest.mark.slow
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


@pytest.mark.filterwarnings("ignore:from the second to the last quarter")  # a short run
@pytest.mark.exhaustive
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
