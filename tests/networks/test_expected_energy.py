"""Expected energies of initialisations: by hand, Monte Carlo and derivatives."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special, stats

import thermoml as tml

HOW = {"epsabs": 1e-14, "epsrel": 1e-12, "limit": 300}


def integral(f, *cuts):
    """∫f from the first cut to the last, piece by piece."""
    return sum(integrate.quad(f, a, b, **HOW)[0] for a, b in itertools.pairwise(cuts))


def folded(m, std):
    return stats.foldnorm(abs(m) / std, scale=std).mean()


DRAW = np.random.default_rng(5)
X = DRAW.normal(size=(4, 3)) * [0.5, 1.0, 3.0]
TARGETS = {
    "squared": (tml.MeanSquaredError(), DRAW.normal(size=(4, 2))),
    "absolute": (tml.MeanAbsoluteError(), DRAW.normal(size=(4, 2))),
    "binary": (tml.CrossEntropy(), np.array([0, 1, 1, 0])),
    "softmax": (tml.CrossEntropy(), np.array([0, 2, 1, 2])),
}
NORMAL, UNIFORM = [0.2, 1.0, 0.4], [0.4, 2.0, 0.9]
STARTS = {  # for this many outputs, with widths of one shape
    "normal": lambda rows: tml.networks.Normal(np.tile(NORMAL, (rows, 1))),
    "uniform": lambda rows: tml.networks.Uniform(np.tile(UNIFORM, (rows, 1))),
    "mixed": lambda rows: tml.networks.Mixed(
        [(tml.networks.Uniform(1.5), 2), (tml.networks.Normal([0.3]), 1)]
    ),
}


@pytest.fixture(scope="module")
def samples():
    """40 000 parameters of three outputs from each initialisation."""
    starts = {name: make(1) for name, make in STARTS.items()}
    draw = jax.jit(lambda key: {n: x.sample(key, (120_000, 3)) for n, x in starts.items()})
    drawn = draw(jax.random.key(4))
    return {name: np.asarray(x, float).reshape(40_000, 3, 3) for name, x in drawn.items()}


def learn(form, features=X, **changed):
    energy, targets = TARGETS[form]
    return tml.LinearLearning(energy, (features, targets), **({"prior_stiffness": 0.3} | changed))


def loss(form, outputs):
    """ℓ averaged over examples by NumPy: outputs (sample, example, output)."""
    _, y = TARGETS[form]
    if form == "squared":
        return ((outputs - y) ** 2).sum(-1).mean(-1) / 2
    if form == "absolute":
        return np.abs(outputs - y).sum(-1).mean(-1)
    if form == "binary":
        return np.logaddexp(0, (1 - 2 * y) * outputs[..., 0]).mean(-1)
    chances = special.log_softmax(outputs, axis=-1)
    return -chances[:, np.arange(4), y].mean(-1)


@pytest.mark.parametrize("form", TARGETS)
def test_means_over_samples_of_all_initialisations(samples, form):
    """Within 4 standard errors of 40 000 samples (false alarms 8e-4 in all twelve)."""
    system = learn(form)
    rows = system.n_outputs or 1
    for name, make in STARTS.items():
        theta = samples[name][:, :rows]
        energies = loss(form, X @ theta.swapaxes(1, 2)) + 0.15 * (theta**2).sum((1, 2))
        error = energies.std(ddof=1) / 200
        found, uncertain = tml.networks.expected_energy(system, make(rows))
        assert abs(energies.mean() - found) < 4 * error < 0.05 * found
        assert uncertain == 0


def test_one_width_for_all_and_names_are_initialisations_too(x64):
    """A scalar width lets classes share; LeCun's variance of 3 inputs is 1/3."""
    system = learn("softmax")
    each, _ = tml.networks.expected_energy(system, tml.networks.Normal(np.full((3, 3), 3**-0.5)))
    for start in (tml.networks.Normal(3**-0.5), "lecun_normal"):
        np.testing.assert_allclose(tml.networks.expected_energy(system, start)[0], each, rtol=1e-12)


def test_squared_errors_and_two_examples_by_hand(dtype):
    """A zero row and a row by itself, so that the mean over examples is seen."""
    features, y = np.array([[0.0, 0.0], [2.0, 1.0]]), np.array([3.0, -1.0])
    start = tml.networks.Mixed([(tml.networks.Normal(0.5), 1), (tml.networks.Uniform(0.6), 1)])
    energy = lambda form: tml.networks.expected_energy(
        tml.LinearLearning(form, (features, y)), start
    )[0]
    variance = 4 * 0.25 + 0.36 / 3
    squared = energy(tml.MeanSquaredError())
    np.testing.assert_allclose(squared, (9 + 1 + variance) / 4, rtol=1e-6)
    assert squared.dtype == dtype
    by_hand = integral(lambda u: folded(-1 - u, 1.0) / 1.2, -0.6, 0.6)
    np.testing.assert_allclose(energy(tml.MeanAbsoluteError()), (3 + by_hand) / 2, rtol=1e-6)


@pytest.mark.parametrize("form", TARGETS)
def test_gradients_in_widths_and_data_are_finite_differences(x64, form):
    """Along each width and two random directions; values come from vmap over widths and data."""

    def energy(at):
        start = tml.networks.Mixed(
            [(tml.networks.Uniform(at[0]), 2), (tml.networks.Normal(at[1]), 1)]
        )
        return tml.networks.expected_energy(learn(form, at[2:].reshape(4, 3)), start)[0]

    at = np.concatenate([[1.1, 0.4], X.ravel()])
    along = np.concatenate([np.eye(14)[:2], np.random.default_rng(6).normal(size=(2, 14))])
    steps = 1e-4 * np.concatenate([along, -along])

    @jax.jit
    def found(at):
        forward = jax.jvp(energy, (at,), (jnp.asarray(along[3]),))[1]
        return jax.vmap(lambda d: energy(at + d))(jnp.asarray(steps)), forward, jax.grad(energy)(at)

    values, forward, reverse = found(at)
    numeric = (values[:4] - values[4:]) / 2e-4
    np.testing.assert_allclose(along @ reverse, numeric, rtol=2e-6, atol=2e-7)
    np.testing.assert_allclose(along[3] @ reverse, forward, rtol=1e-9, atol=1e-12)


class Fourth(tml.networks.AbstractEnergy):
    classifies = False

    def loss(self, output, target):
        return (output - target) ** 4


class Hidden(tml.networks.AbstractInitialisation):
    """A normal distribution that does not tell its widths."""

    def sample(self, key, shape):
        return 0.7 * jax.random.normal(key, shape)

    def entropy(self, shape):
        return tml.networks.Normal(0.7).entropy(shape)

    def widths(self, shape):
        return None


def test_energies_and_distributions_of_ones_own_are_means_of_samples():
    """Within 4 of their own standard errors (false alarms 2e-4), whose size is right."""
    y = np.array([0.5, -0.3, 0.1, 2.0])
    variance = 0.49 * (X**2).sum(1)
    system = tml.LinearLearning(tml.MeanSquaredError(), (X, y))
    found, error = tml.networks.expected_energy(
        system, Hidden(), n_samples=4096, key=jax.random.key(2)
    )
    assert abs(found - (variance + y**2).mean() / 2) < 4 * error
    # Var θᵀAθ = 2 tr (AΣ)², and the targets' part
    a, b = X.T @ X / 8, X.T @ y / 4
    spread = np.sqrt(2 * 0.49**2 * np.trace(a @ a) + 0.49 * b @ b)
    np.testing.assert_allclose(error, spread / 4096**0.5, rtol=0.1)
    system = tml.LinearLearning(Fourth(), (X, y))
    found, error = tml.networks.expected_energy(
        system, tml.networks.Normal(0.7), n_samples=4096, key=jax.random.key(0)
    )
    exact = (3 * variance**2 + 6 * variance * y**2 + y**4).mean()
    assert abs(found - exact) < 4 * error < 0.3 * exact


@pytest.mark.usefixtures("unchecked")
def test_a_linear_network_is_a_linear_model():
    """By samples, of leaves that patterns tell apart, within 4 errors (false alarms 6e-5)."""
    energy, y = TARGETS["squared"]
    network = eqx.nn.Linear(3, 2, key=jax.random.key(0))
    system = tml.NetworkLearning(network, energy, (X, y), prior_stiffness=0.3)
    start = tml.networks.Mixed({"bias": tml.networks.Uniform(0.9), "*": tml.networks.Normal(0.4)})
    found, error = tml.networks.expected_energy(
        system, start, n_samples=4096, key=jax.random.key(0)
    )
    with_ones = learn("squared", np.concatenate([X, np.ones((4, 1))], axis=1))
    blocks = tml.networks.Mixed([(tml.networks.Normal(0.4), 3), (tml.networks.Uniform(0.9), 1)])
    exact, _ = tml.networks.expected_energy(with_ones, blocks)
    assert abs(found - exact) < 4 * error < 0.1 * exact
    with pytest.raises(ValueError, match=r"He sets the width of weights .* leaves biases at 0"):
        tml.networks.expected_energy(system, "he_normal", n_samples=2, key=jax.random.key(0))
    with pytest.raises(TypeError, match="key is needed to draw parameters: pass key="):
        tml.networks.expected_energy(system, start)


def test_a_pattern_fits_the_one_leaf_of_a_linear_model():
    system = learn("binary")
    by_pattern, plain = (
        tml.networks.expected_energy(system, start)
        for start in (
            tml.networks.Mixed({"*": tml.networks.Uniform(0.7)}),
            tml.networks.Uniform(0.7),
        )
    )
    assert by_pattern == plain
    assert plain[1] == 0


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("start", "error", "words"),
    [
        (
            tml.networks.Normal([1.0, 2.0]),
            ValueError,
            r"std must be a scalar or .*\(1, 3\), got shape \(2,\)",
        ),
        (
            tml.networks.Mixed([(tml.networks.Normal(), 2)]),
            ValueError,
            r"counts \(2,\) must add up to the 3",
        ),
        (
            tml.networks.Mixed({"bias": tml.networks.Normal()}),
            ValueError,
            r"\('bias',\) do not fit the leaf ''",
        ),
        ("he", ValueError, "initialisation must be one of lecun_normal"),
        (0.1, TypeError, "an initialisation must be an AbstractInitialisation, got 0.1"),
    ],
)
def test_initialisations_that_do_not_fit_are_refused(start, error, words):
    with pytest.raises(error, match=words):
        tml.networks.expected_energy(learn("binary"), start)
