"""Switching, Laplace and Gaussian: on linear models exactly, on networks against each other."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

import thermoml as tml

close = np.testing.assert_allclose

SQUARED, ABSOLUTE, ENTROPY = tml.MeanSquaredError(), tml.MeanAbsoluteError(), tml.CrossEntropy()
D, N, TAU, PRIOR = 10, 200, 0.002, 0.3
RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(N, D))
VALUES = np.tanh(FEATURES @ RNG.normal(size=D) * 0.1) + 0.1 * RNG.normal(size=N)


class Unit(eqx.Module):
    """f(x) = tanh(θ·x): not linear, and without symmetries."""

    weights: jax.Array

    def __call__(self, x):
        return jnp.tanh(self.weights @ x)


def unit(*, tau=TAU, prior=PRIOR, **options):
    data = (FEATURES, VALUES)
    start = Unit(jnp.zeros(D))
    return tml.NetworkLearning(
        start, SQUARED, data, prior_stiffness=prior, temperature=tau, **options
    )


def linear(form=SQUARED, *, prior=0.5, tau=0.5, targets=None, **options):
    targets = VALUES * 5 if targets is None else targets
    return tml.LinearLearning(
        form,
        (FEATURES[:, :2] * [1.0, 2.0], targets),
        prior_stiffness=prior,
        temperature=tau,
        **options,
    )


def laplace(**options):
    return tml.networks.Laplace(start=Unit(jnp.zeros(D)), **options)


@pytest.fixture(scope="module")
def routes():
    with jax.enable_x64(True):
        system = unit()
        switching = tml.Switching(
            t1=20.0, relax=10.0, dt=0.2, n_trajectories=1000, key=jax.random.key(0)
        )
        switched = tml.Trained(system, switching)
        return {
            "switching": switched,
            "gaussian": tml.Trained(
                system, tml.networks.Gaussian(switched.distribution.weighted.states)
            ),
            "dense": tml.Trained(system, laplace()),
            "lanczos": tml.Trained(
                system, laplace(log_determinant="lanczos", n_probes=100, key=jax.random.key(0))
            ),
        }


@pytest.mark.slow
@pytest.mark.parametrize("one", ["gaussian", "dense", "lanczos"])
@pytest.mark.parametrize("name", ["entropy", "free_energy", "energy"])
def test_all_routes_lead_to_the_same_trained_state(x64, routes, one, name):
    """9 comparisons to 4 standard errors: a false alarm in 1800 keys."""
    values = [getattr(routes[x], name) for x in ("switching", one)]
    errors = [getattr(routes[x], f"{name}_error") for x in ("switching", one)]
    assert abs(values[0] - values[1]) < 4 * np.hypot(*errors)
    assert np.hypot(*errors) < {"entropy": 0.2, "free_energy": 5e-4, "energy": 5e-4}[name]


@pytest.mark.slow
def test_lanczos_finds_the_determinant_within_its_error(x64, routes):
    dense, lanczos = routes["dense"], routes["lanczos"]
    assert 0 < lanczos.entropy_error < 0.1
    assert dense.entropy_error == 0
    assert abs(dense.entropy - lanczos.entropy) < 4 * lanczos.entropy_error  # once in 16 000
    assert dense.energy == pytest.approx(float(lanczos.energy), abs=1e-12)


@pytest.mark.slow
def test_at_rest_the_virial_temperature_is_that_of_the_bath(x64, routes):
    for route in ("switching", "gaussian"):
        found = routes[route]
        assert abs(found.virial_temperature - TAU) < 4 * found.virial_temperature_error
        assert found.virial_temperature_error < 0.1 * TAU
    capacity, error = (getattr(routes["switching"], f"heat_capacity{x}") for x in ("", "_error"))
    assert abs(capacity - D / 2) < 4 * error < 4 * 0.4
    # The variance of a variance of χ² with D degrees, over 4
    assert error == pytest.approx(np.sqrt((D / 2) * (D / 2 * 2 + 6) / 1000), rel=0.2)


def brief(**options):
    options = {"t1": 2.0, "relax": 4.0, "dt": 0.05, "n_trajectories": 4000} | options
    return tml.Switching(**options, key=jax.random.key(1))


@pytest.mark.slow
def test_switching_finds_the_harmonic_state(x64):
    exact = tml.Trained(linear())
    found = tml.Trained(linear(), brief())
    for name in ("energy", "entropy", "free_energy", "virial_temperature"):
        error = getattr(found, f"{name}_error")
        assert abs(getattr(found, name) - getattr(exact, name)) < 4 * error < 0.12


@pytest.mark.filterwarnings("ignore:the works contradict")
@pytest.mark.exhaustive
def test_too_long_a_step_biases_switching_as_much_as_heun(x64):
    """In a harmonic mode h = μk dt leaves Heun the variance τ/k (1-h+h²/4)/(1-h+h²/2-h³/8)."""
    exact = tml.Trained(linear())
    moments = (FEATURES[:, :2] * [1, 2]).T @ (FEATURES[:, :2] * [1, 2]) / N
    h = 0.2 * (np.linalg.eigvalsh(moments) + 0.5)
    bias = 0.5 / 2 * np.sum((1 - h + h**2 / 4) / (1 - h + h**2 / 2 - h**3 / 8) - 1)
    with pytest.warns(tml.networks.TrainingWarning, match="or use a smaller dt"):
        found = tml.Trained(linear(), brief(dt=0.2, n_trajectories=20_000))
    assert abs(found.energy - exact.energy - bias) < 4 * found.energy_error
    assert -bias > 10 * found.energy_error


def test_laplace_is_exact_in_a_harmonic_potential(x64):
    exact = tml.Trained(linear())
    found = tml.Trained(linear(), tml.networks.Laplace())
    for name in ("energy", "entropy", "free_energy", "heat_capacity", "virial_temperature"):
        close(getattr(found, name), getattr(exact, name), rtol=1e-8)
    close(found.distribution.normal.matrix, exact.distribution.normal.matrix, rtol=1e-8)


def test_derivatives_of_laplace_follow_the_minimum(x64):
    """Of entropy too, whose Hessian changes as the minimum moves."""

    def parts(prior):
        found = tml.Trained(unit(prior=prior, tau=0.1), laplace(log_determinant="dense"))
        return jnp.stack([found.entropy, found.energy])

    at = jnp.asarray(PRIOR)
    numeric = (parts(at + 1e-4) - parts(at - 1e-4)) / 2e-4
    close(jax.jacrev(parts)(at), numeric, rtol=1e-5)


class Pair(eqx.Module):
    """Two tanh units on one input."""

    inner: jax.Array
    outer: jax.Array

    def __call__(self, x):
        return self.outer @ jnp.tanh(self.inner * x[0])


def test_copies_of_a_minimum_are_counted_against_quadrature(x64):
    """The partition sum of four weights: two by a grid, two (E is quadratic in them) exactly."""
    x = np.linspace(-2, 2, 24)
    y = 1.5 * np.tanh(3 * x) - np.tanh(x)
    k, tau = 2e-3, 1e-5
    start = Pair(jnp.asarray([3.0, -1.0]), jnp.asarray([1.5, 1.0]))
    system = tml.NetworkLearning(
        start, SQUARED, (x[:, None], y), prior_stiffness=k, temperature=tau
    )
    copies = tml.networks.log_copies(2)
    found = tml.Trained(system, tml.networks.Laplace(start=start, log_copies=copies))
    alone = tml.Trained(system, tml.networks.Laplace(start=start))
    close(found.entropy - alone.entropy, np.log(8), rtol=1e-12)
    close(alone.free_energy - found.free_energy, tau * np.log(8), rtol=1e-10)

    axis = np.linspace(-6, 6, 601)
    first, second = (v.ravel() for v in np.meshgrid(axis, axis, indexing="ij"))
    units = np.tanh(axis[:, None] * x)
    products, overlaps = units @ units.T / 24, units @ y / 24
    i, j = np.divmod(np.arange(601**2), 601)
    a, b, c = products[i, i] + k, products[i, j], products[j, j] + k
    u, v, determinant = overlaps[i], overlaps[j], a * c - b**2
    gain = (c * u**2 - 2 * b * u * v + a * v**2) / (2 * determinant)
    lowest = np.mean(y**2) / 2 - gain + k / 2 * (first**2 + second**2)
    terms = -lowest / tau + np.log(2 * np.pi * tau) - np.log(determinant) / 2
    exact = special.logsumexp(terms + 2 * np.log(axis[1] - axis[0]))
    assert abs(-found.free_energy / tau - exact) < 0.01
    assert abs(-alone.free_energy / tau - exact) > 1.9


def test_counting_copies():
    close(tml.networks.log_copies(2), np.log(8), rtol=1e-6)
    close(tml.networks.log_copies(3, 2), np.log(48 * 8), rtol=1e-6)
    close(tml.networks.log_copies(4, odd=False), np.log(24), rtol=1e-6)
    assert tml.networks.log_copies() == 0
    with pytest.raises(ValueError, match="width must be at least 1"):
        tml.networks.log_copies(2, 0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the works contradict")
@pytest.mark.filterwarnings("ignore:from the second to the last quarter")
def test_relaxing_too_briefly_is_warned_of(x64):
    """A mobility of 0.05: neither switching nor relaxing (6 in all) reaches 1/μH = 10."""
    with pytest.warns(
        tml.networks.TrainingWarning, match="virial temperature .* not τ = 0.5: relax longer"
    ):
        tml.Trained(linear(mobility=0.05), brief())


class Bent(eqx.Module):
    """f(x) = a tanh(b x), whose valley of small b and large a is entered slowly."""

    a: jax.Array
    b: jax.Array

    def __call__(self, x):
        return self.a * jnp.tanh(self.b * x[0])


@pytest.mark.slow
def test_an_energy_that_still_falls_is_warned_of(x64):
    """By quadrature U = 0.0446; after a time of 40 it is 0.0472 ± 0.0006, the virial at rest."""
    x = np.linspace(-1.5, 1.5, 5)
    system = tml.NetworkLearning(
        Bent(jnp.zeros(()), jnp.zeros(())),
        SQUARED,
        (x[:, None], x),
        prior_stiffness=0.01,
        temperature=0.02,
    )
    route = tml.Switching(t1=5.0, relax=40.1, dt=0.1, n_trajectories=2000, key=jax.random.key(1))
    with pytest.warns(tml.networks.TrainingWarning, match="last quarter of relax .* longer"):
        tml.Trained(system, route)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:from the second to the last quarter")
def test_switching_too_fast_is_warned_of(x64):
    with pytest.warns(tml.thermodynamics.FreeEnergyWarning, match="slower protocol"):
        tml.Trained(linear(targets=VALUES * 500), brief())


def saddle():
    """Two units that start alike and with no weight stay a saddle's."""
    x = np.linspace(-2, 2, 24)
    at = Pair(jnp.zeros(2), jnp.zeros(2))
    return at, tml.NetworkLearning(
        at, SQUARED, (x[:, None], np.tanh(x)), prior_stiffness=1e-3, temperature=0.1
    )


REFUSED = {
    "no prior": (lambda: tml.Trained(unit(prior=0.0), brief()), "Switching needs a prior"),
    "a batch": (lambda: tml.Trained(unit(batch=5), brief()), "needs all examples .* got a batch"),
    "baths": (lambda: tml.Trained(unit(tau=Unit(jnp.ones(D))), brief()), "several baths"),
    "part of a step": (lambda: tml.Trained(linear(), brief(dt=0.3)), "into whole steps"),
    "NaN time": (lambda: brief(t1=np.nan), "t1 must be finite and > 0, got nan"),
    "one trajectory": (lambda: brief(n_trajectories=1), "n_trajectories must be at least 2"),
    "kinks": (lambda: tml.Trained(linear(ABSOLUTE), tml.networks.Laplace()), "has no curvature"),
    "no start": (lambda: tml.Trained(unit(), tml.networks.Laplace()), "start must be given"),
    "a saddle": (
        lambda: tml.Trained(saddle()[1], tml.networks.Laplace(start=saddle()[0])),
        "Hessian is not positive definite",
    ),
    "an early end": (
        lambda: tml.Trained(unit(), laplace(max_steps=1)),
        "search ended .* above the minimum, .* more max_steps",
    ),
    "no such way": (
        lambda: tml.networks.Laplace(log_determinant="x"),
        '"auto", "dense" or "lanczos"',
    ),
    "one probe": (lambda: tml.networks.Laplace(n_probes=1), "n_probes must be at least 2"),
    "another shape": (
        lambda: tml.Trained(linear(), tml.networks.Gaussian(np.ones((50, 4)))),
        r"shapes \[\('n', 2\)\], got \[\(50, 4\)\]",
    ),
    "no states": (lambda: tml.Trained(linear(), tml.networks.Gaussian("a")), "states must be like"),
    "few states": (
        lambda: tml.Trained(linear(), tml.networks.Gaussian(FEATURES[:2, :2])),
        "needs more samples than that",
    ),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("case", REFUSED)
def test_refusals_say_what_is_wrong(x64, case):
    call, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        call()


class Sum(eqx.Module):
    """A linear model as a network, so that Laplace takes its Hessian's determinant."""

    weights: jax.Array

    def __call__(self, x):
        return jnp.sum(self.weights * x)


@pytest.mark.parametrize("rank", [1, 2])
def test_lanczos_takes_hessians_of_low_rank_with_a_prior(dtype, rank):
    """d - rank eigenvalues are the prior's; entropy and slope are those of the dense Hessian."""
    features = np.random.default_rng(0).normal(size=(30, 6)).astype(dtype)
    features[:, rank:] = 0.0
    system = tml.NetworkLearning(
        Sum(jnp.zeros(6, dtype)),
        SQUARED,
        (features, features.sum(axis=1)),
        prior_stiffness=0.3,
        temperature=0.1,
    )
    start = Sum(jnp.ones(6, dtype))
    dense = tml.networks.Laplace(start=start)
    probed = tml.networks.Laplace(
        start=start, log_determinant="lanczos", n_probes=200, key=jax.random.key(1)
    )

    def entropy(prior, route):
        return tml.Trained(eqx.tree_at(lambda s: s.prior_stiffness, system, prior), route).entropy

    error = tml.Trained(system, probed).entropy_error
    exact, slope = jax.value_and_grad(entropy)(system.prior_stiffness, dense)
    estimate, estimated_slope = jax.value_and_grad(entropy)(system.prior_stiffness, probed)
    assert abs(estimate - exact) < 4 * error + 1e-5
    assert error < 0.02
    assert estimated_slope == pytest.approx(float(slope), rel=0.02)
