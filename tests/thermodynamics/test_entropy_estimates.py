"""Estimates of entropies from samples, and trajectories whose density is known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

import thermoml as tml

NORMAL = 1.4189385332046727  # ½ ln(2πe)
KNOWN = {"uniform": 0.0, "normal": NORMAL, "exponential": 1.0}


def row_by_row(samples, neighbours):
    """-ln p at each sample from its sorted distances to all others, one pair at a time."""
    samples = np.asarray(samples, float)
    count, size = samples.shape
    distances = np.sort(np.sqrt(((samples[:, None] - samples[None]) ** 2).sum(-1)), axis=1)
    volume = {1: 2.0, 2: np.pi, 3: 4 * np.pi / 3}[size]
    balls = volume * distances[:, neighbours] ** size  # the nearest is the sample itself
    return np.log(balls) + special.digamma(count) - special.digamma(neighbours)


@pytest.fixture(scope="module")
def wishart():
    """30 000 estimates, each from 5 samples in 3 dimensions, and the entropy of their law."""
    with jax.enable_x64(True):
        mixing = np.array([[1.0, 0.0, 0.0], [2.0, 0.5, 0.0], [-1.0, 0.3, 3.0]])
        samples = np.random.default_rng(0).normal(size=(30_000, 5, 3)) @ mixing.T
        found = jax.jit(jax.vmap(tml.thermodynamics.gaussian_entropy))(samples)
        return jax.tree.map(np.asarray, found), samples, 3 * NORMAL + np.log(1.5)


def repeated(law, count, size):
    """400 estimates from neighbours less the entropy of the law, and their errors."""
    samples = getattr(np.random.default_rng(7), law)(size=(400, count, size))
    found = jax.jit(jax.vmap(tml.thermodynamics.knn_entropy))(samples)
    away = np.asarray(found.entropy) - size * KNOWN[law]
    return away, np.asarray(found.standard_error)


K, T, START = 1.7, 0.6, (0.9, 0.6)


def moments(t):
    """Mean and variance of the relaxing particle: e^{-Kt}, and e^{-2Kt} towards T/K."""
    fading = jnp.exp(-2 * K * t)
    return START[0] * jnp.exp(-K * t), START[1] * fading + T / K * (1 - fading)


def log_density(x, t):
    mean, variance = moments(t)
    return -((x - mean) ** 2) / (2 * variance) - jnp.log(2 * np.pi * variance) / 2


@pytest.fixture(scope="module")
def relaxation():
    """A particle in a trap that starts neither where nor as wide as it comes to rest."""
    with jax.enable_x64(True):
        return tml.simulate(
            tml.Langevin(lambda x, _: K * x**2 / 2, temperature=T),
            tml.NormalState(*START).sample,
            t1=0.6,
            dt=0.1,
            key=jax.random.key(5),
            n_trajectories=4000,
            integrator=tml.ExactLinear(K),
            save_every=2,
            observables={"x": lambda x, control, t: x},
        )


def test_the_gaussian_estimate_has_no_bias_at_five_samples(wishart):
    found, samples, exact = wishart
    spread = found.entropy.std(ddof=1)
    assert abs(found.entropy.mean() - exact) < 4 * spread / 30_000**0.5 < 0.05
    covariances = np.einsum("rni,rnj->rij", *2 * [samples - samples.mean(1, keepdims=True)]) / 4
    plain = 3 * NORMAL + np.linalg.slogdet(covariances)[1] / 2
    np.testing.assert_allclose(found.entropy + found.bias, plain, atol=1e-8)
    assert found.bias[0] < -1


def test_the_error_of_the_gaussian_estimate_is_its_spread(wishart):
    """The fourth moment of ln χ² makes 30 000 repetitions tell the spread to 0.6 %."""
    found, _, _ = wishart
    np.testing.assert_allclose(found.standard_error[0], found.entropy.std(ddof=1), rtol=0.025)
    assert np.ptp(found.standard_error) < 1e-12


def test_the_gaussian_estimate_follows_an_affine_map(dtype):
    rng = np.random.default_rng(1)
    samples, mixing = rng.normal(size=(40, 4)), rng.normal(size=(4, 4))
    here, there = (
        tml.thermodynamics.gaussian_entropy(jnp.asarray(x, dtype))
        for x in (samples, samples @ mixing.T + 3)
    )
    shift = np.log(abs(np.linalg.det(mixing)))
    exact = 1e-11 if dtype == jnp.float64 else 2e-5
    np.testing.assert_allclose(there.entropy - here.entropy, shift, atol=exact)
    assert there.standard_error == here.standard_error
    assert here.entropy.dtype == dtype


def test_samples_may_be_a_tree(x64):
    rng = np.random.default_rng(2)
    tree = {"a": rng.normal(size=(50, 2, 2)), "b": rng.normal(size=50)}
    rows = np.concatenate([tree["a"].reshape(50, 4), tree["b"][:, None]], axis=1)
    for estimate in (
        tml.thermodynamics.gaussian_entropy,
        tml.thermodynamics.knn_entropy,
        tml.thermodynamics.system_entropy,
    ):
        found, expected = (jax.tree.leaves(jax.jit(estimate)(x)) for x in (tree, rows))
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-12)


def test_no_law_has_more_entropy_than_the_normal_of_its_covariance(x64):
    found = tml.thermodynamics.gaussian_entropy(np.random.default_rng(3).uniform(size=100_000))
    np.testing.assert_allclose(found.entropy, np.log(2 * np.pi * np.e / 12) / 2, atol=0.01)
    assert "nats" in str(found)


@pytest.mark.parametrize(("size", "neighbours"), [(1, 1), (2, 4), (3, 3)])
def test_distances_to_neighbours_one_pair_at_a_time(dtype, size, neighbours):
    samples = np.random.default_rng(4).gamma(2.0, size=(61, size)).astype(dtype)
    estimate = jax.jit(functools.partial(tml.thermodynamics.knn_entropy, neighbours=neighbours))
    found = estimate(samples)
    each = row_by_row(samples, neighbours)
    exact = {"rtol": 1e-12 if dtype == jnp.float64 else 2e-6}
    np.testing.assert_allclose(found.entropy, each.mean(), **exact)
    np.testing.assert_allclose(found.standard_error, each.std(ddof=1) / 61**0.5, **exact)
    assert np.isnan(found.bias)
    assert "bias     not known" in str(estimate(samples))
    wider = estimate(3 * samples).entropy
    np.testing.assert_allclose(wider - found.entropy, size * np.log(3), rtol=1e-4)
    assert found.entropy.dtype == dtype


@pytest.mark.slow
@pytest.mark.parametrize("law", KNOWN)
def test_neighbours_find_known_entropies_in_one_dimension(x64, law):
    away, error = repeated(law, 400, 1)
    spread = away.std(ddof=1)
    assert abs(away.mean()) < 4 * spread / 400**0.5 + 2 / 400 < 0.02  # and a bias of order 1/n
    assert 0.9 < spread / np.sqrt(np.mean(error**2)) < 1.45


@pytest.mark.slow
@pytest.mark.parametrize(("law", "sign"), [("uniform", 1), ("normal", -1)])
def test_the_bias_of_neighbours_has_its_sign_and_falls_with_their_number(x64, law, sign):
    """Up beyond edges, where balls reach into nothing; down in tails."""
    (few, _), (many, _) = (repeated(law, n, 2) for n in (100, 500))
    assert sign * few.mean() > 4 * few.std() / 400**0.5
    assert abs(many.mean()) < abs(few.mean()) / 2


def test_neighbours_compile_once(x64, caplog):
    samples = np.random.default_rng(5).normal(size=(37, 2))
    with jax.log_compiles():
        tml.thermodynamics.knn_entropy(samples)
        assert "Compiling" in caplog.text
        caplog.clear()
        tml.thermodynamics.knn_entropy(samples + 1)
    assert "Compiling" not in caplog.text


@pytest.mark.parametrize(
    "estimate", [tml.thermodynamics.gaussian_entropy, tml.thermodynamics.knn_entropy]
)
def test_gradients_are_finite_differences_and_maps_survive(x64, estimate):
    samples = np.random.default_rng(6).normal(size=(3, 30, 2))

    def stretched(a):
        moved = samples[0] + a * jnp.asarray(samples[0] ** 3)
        return estimate(moved).entropy

    numeric = (stretched(0.1 + 1e-6) - stretched(0.1 - 1e-6)) / 2e-6
    for differentiate in (jax.grad, jax.jacfwd):
        slope = jax.jit(differentiate(stretched))(0.1)
        np.testing.assert_allclose(slope, numeric, rtol=1e-7)
    mapped = jax.jit(jax.vmap(estimate))(samples)
    one_by_one = [estimate(s).entropy for s in samples]
    np.testing.assert_allclose(mapped.entropy, one_by_one, rtol=1e-12)
    shown = []
    jax.eval_shape(lambda s: shown.append(str(estimate(s))), samples[0])
    assert shown == ["Entropy (traced)"]


def test_mean_logarithms_of_densities_are_gibbs_entropies(x64):
    states = np.random.default_rng(8).normal(size=(200, 2)) @ np.array([[1.0, 0.4], [0.0, 0.2]])
    mean, covariance = states.mean(0), np.cov(states.T)
    normal = stats.multivariate_normal(mean, covariance)
    np.testing.assert_allclose(
        tml.thermodynamics.system_entropy(states), -normal.logpdf(states), rtol=1e-10
    )
    near = tml.thermodynamics.system_entropy(states, "neighbours")
    np.testing.assert_allclose(near, row_by_row(states, 4), rtol=1e-10)
    np.testing.assert_allclose(
        near.mean(), tml.thermodynamics.knn_entropy(states).entropy, rtol=1e-12
    )
    given = tml.thermodynamics.system_entropy(states, tml.NormalState(mean, covariance).log_density)
    np.testing.assert_allclose(given, -normal.logpdf(states), rtol=1e-10)


def test_what_is_produced_is_known_on_each_trajectory_where_the_density_is(x64, relaxation):
    """-ln p's rise and, with no drive, the fall of energy over temperature."""
    x = np.asarray(relaxation.observables["x"])
    found = tml.entropy_production(relaxation, x, log_density)
    mean, variance = np.array([moments(t) for t in (0.0, 0.2, 0.4, 0.6)]).T
    surprise = -stats.norm(mean, np.sqrt(variance)).logpdf(x)
    heat = K * (x[:, :1] ** 2 - x**2) / 2
    np.testing.assert_allclose(found, surprise - surprise[:, :1] + heat / T, atol=1e-12)


def test_mean_entropy_production_is_the_fall_of_the_distance_from_equilibrium(x64, relaxation):
    """KL(p‖equilibrium), of normals of which the latter has variance T/K."""
    found = tml.entropy_production(relaxation, relaxation.observables["x"], log_density)

    def distance(t):
        mean, variance = moments(t)
        ratio = variance * K / T
        return (ratio + mean**2 * K / T - 1 - np.log(ratio)) / 2

    for j in (1, 2, 3):
        error = found[:, j].std(ddof=1) / 4000**0.5
        expected = distance(0.0) - distance(0.2 * j)
        assert abs(found[:, j].mean() - expected) < 4 * error < 0.2 * expected
        theorem = tml.integral_fluctuation(found[:, j])
        assert abs(theorem.average - 1) < 4 * theorem.standard_error < 0.2
        assert theorem.trustworthy
    assert not found[:, 0].any()


def test_estimated_densities_agree_with_the_known_one(x64, relaxation):
    known, normal, near = (
        np.asarray(tml.entropy_production(relaxation, relaxation.observables["x"], density))
        for density in (log_density, "normal", "neighbours")
    )
    # Two fitted parameters lower the mean surprise by 1/n at either end: they cancel
    np.testing.assert_allclose(normal.mean(0), known.mean(0), atol=10 / 4000)
    np.testing.assert_allclose(normal, known, atol=0.8)
    assert (normal - known)[:, 1:].std() < 0.06
    # ψ'(4) of each ball, twice that for what neighbours share, at either end
    error = 2 * np.sqrt(special.polygamma(1, 4) / 4000)
    np.testing.assert_allclose(near.mean(0), known.mean(0), atol=4 * error)
    assert np.abs(near - known)[:, 1:].mean() > 0.1


def test_no_more_copies_of_a_sample_than_neighbours(x64):
    samples = np.random.default_rng(9).normal(size=20)
    samples[:4] = 0.3
    assert np.isfinite(tml.thermodynamics.knn_entropy(samples).entropy)
    samples[4] = 0.3
    for estimate in (
        tml.thermodynamics.knn_entropy,
        lambda x: tml.thermodynamics.system_entropy(x, "neighbours"),
    ):
        with pytest.raises(ValueError, match="more than 4 samples coincide"):
            estimate(samples)


@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e20, 1e30])
def test_units_of_samples_shift_the_estimate_alone(scale):
    """In float32, where the squares of these distances leave the range; and half precision."""
    samples = np.random.default_rng(10).normal(size=(60, 3)).astype(np.float32)
    here = tml.thermodynamics.knn_entropy(samples).entropy
    there = tml.thermodynamics.knn_entropy(samples * np.float32(scale)).entropy
    np.testing.assert_allclose(there - here, 3 * np.log(scale), rtol=1e-5)
    for half in (jnp.float16, jnp.bfloat16):
        for estimate in (tml.thermodynamics.knn_entropy, tml.thermodynamics.gaussian_entropy):
            rough = estimate(jnp.asarray(samples, half)).entropy
            np.testing.assert_allclose(rough, estimate(samples).entropy, atol=0.02)


def test_neighbours_refuse_samples_in_a_plane(x64):
    line = np.random.default_rng(11).normal(size=50)
    for samples in (np.stack([line, line], 1), np.stack([line, 2 + 0 * line], 1)):
        with pytest.raises(ValueError, match="must not lie in a plane"):
            tml.thermodynamics.knn_entropy(samples)


def test_states_may_be_named_by_their_observable(x64, relaxation):
    named = tml.entropy_production(relaxation, "x", log_density)
    states = relaxation.observables["x"]
    np.testing.assert_array_equal(named, tml.entropy_production(relaxation, states, log_density))
    with pytest.raises(ValueError, match=r"^states must name .* \['x'\], got 'state'; record"):
        tml.entropy_production(relaxation)


@pytest.mark.usefixtures("unchecked")
def test_states_are_those_of_the_saves(x64, relaxation):
    x = relaxation.observables["x"]
    for states in (x[:, 1:], x[:7], {"x": x, "y": x[:, -1]}):
        with pytest.raises(ValueError, match=r"states must begin .* \(4000, 4\)"):
            tml.entropy_production(relaxation, states)
    with pytest.raises(ValueError, match="must not lie in a plane"):
        tml.entropy_production(relaxation, 0 * x)
