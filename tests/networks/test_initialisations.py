"""Initialisations: entropies in closed form and from samples, variances, names, refusals."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import thermoml as tml

SCALED = {  # variance of weights of shape (5, 3): 3 inputs, 5 outputs
    "lecun": (tml.networks.LeCun, 1 / 3),
    "glorot": (tml.networks.Glorot, 2 / 8),
    "he": (tml.networks.He, 2 / 3),
}
KEY = jax.random.key(1)


def blocks(count=3):
    return tml.networks.Mixed(
        [(tml.networks.Normal(0.5), 2), (tml.networks.Uniform(2.0), 3), ("he_normal", 1)][:count]
    )


def normal(std, count=1):
    return count * stats.norm(0, std).entropy()


def uniform(bound, count=1):
    return count * stats.uniform(-np.asarray(bound), 2 * np.asarray(bound)).entropy()


def tolerance(dtype):
    return {"rtol": 1e-13 if dtype == jnp.float64 else 1e-6}


def test_entropies_are_scipy_s(dtype):
    std, bound = (jnp.asarray(x, dtype) for x in ([0.1, 3.0], [0.2, 5.0]))

    @jax.jit
    def entropies():
        a, b = tml.networks.Normal(std), tml.networks.Uniform(bound)
        scalars = (
            tml.networks.Normal(std[0]).entropy(),
            tml.networks.Uniform(bound[0]).entropy((3, 2)),
        )
        return a.entropy((2,)), a.entropy((4, 2)), b.entropy((2,)), *scalars

    a, b = normal([0.1, 3.0]).sum(), uniform([0.2, 5.0]).sum()
    found = entropies()
    np.testing.assert_allclose(
        found, [a, 4 * a, b, normal(0.1), uniform(0.2, 6)], **tolerance(dtype)
    )
    assert all(x.dtype == dtype for x in found)


@pytest.mark.parametrize("name", SCALED)
@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_names_set_variance_by_inputs_and_outputs(x64, name, distribution):
    kind, variance = SCALED[name]

    @jax.jit
    def found():
        start, by_name = kind(distribution), tml.TypeI(f"{name}_{distribution}").initialisation
        # A kernel of 2 x 2: 4 times as many inputs and outputs
        variances = start.variance((5, 3)), start.variance((5, 3, 2, 2))
        samples = start.sample(KEY, (5, 3)), by_name.sample(KEY, (5, 3))
        return *variances, start.entropy((5, 3)), *samples

    weights, kernel, found_entropy, sample, same = found()
    np.testing.assert_allclose(weights, np.full((5, 3), variance), rtol=1e-14)
    np.testing.assert_allclose(kernel, np.full((5, 3, 2, 2), variance / 4), rtol=1e-14)
    entropy = {"normal": normal(variance**0.5), "uniform": uniform((3 * variance) ** 0.5)}
    np.testing.assert_allclose(found_entropy, 15 * entropy[distribution], rtol=1e-13)
    np.testing.assert_array_equal(sample, same)


def test_their_distributions_unless_told_are_those_of_their_authors():
    kinds = [kind().distribution for kind, _ in SCALED.values()]
    assert kinds == ["normal", "uniform", "normal"]


def test_a_mixture_of_blocks_adds_up(dtype):
    @jax.jit
    def found():
        start = blocks()
        here = start.entropy((4, 6)), blocks(2).entropy((5,))
        return here, start.variance((4, 6)), start.sample(KEY, (4, 6))

    entropies, variance, sample = found()
    row = normal(0.5, 2) + uniform(2.0, 3)
    # He in a block of its own has 1 input
    expected = [4 * (row + normal(2**0.5)), row]
    np.testing.assert_allclose(entropies, expected, **tolerance(dtype))
    variances = [0.25, 0.25, 4 / 3, 4 / 3, 4 / 3, 2.0]
    np.testing.assert_allclose(variance, np.tile(variances, (4, 1)), **tolerance(dtype))
    assert entropies[0].dtype == variance.dtype == sample.dtype == dtype


LAWS = {
    "normal": (tml.networks.Normal(0.5), [stats.norm(0, 0.5)] * 2),
    "uniform": (tml.networks.Uniform([0.3, 2.0]), [stats.uniform(-0.3, 0.6), stats.uniform(-2, 4)]),
    "mixed": (
        tml.networks.Mixed([(tml.networks.Uniform(2.0), 1), (tml.networks.Normal(3.0), 1)]),
        [stats.uniform(-2, 4), stats.norm(0, 3)],
    ),
    "alike": (  # independent though they are blocks of one kind
        tml.networks.Mixed([(tml.networks.Normal(2.0), 1), (tml.networks.Normal(0.1), 1)]),
        [stats.norm(0, 2), stats.norm(0, 0.1)],
    ),
}


@pytest.fixture(scope="module")
def samples():
    """20 000 of each law, of shape (4, 2)."""
    draw = jax.jit(lambda key: {name: x.sample(key, (80_000, 2)) for name, (x, _) in LAWS.items()})
    drawn = draw(jax.random.key(3))
    return {name: np.asarray(x, float).reshape(20_000, 4, 2) for name, x in drawn.items()}


@pytest.mark.parametrize("name", LAWS)
def test_samples_follow_their_law(samples, name):
    """False alarms: p-values of 1e-5 and correlations beyond 4.5 errors, 5e-4 in each law."""
    (_, laws), x = LAWS[name], samples[name]
    assert x.shape == (20_000, 4, 2)
    for row in range(4):
        for column in range(2):
            assert stats.kstest(x[:, row, column], laws[column].cdf).pvalue > 1e-5
    correlation = np.corrcoef(x.reshape(20_000, 8).T) - np.eye(8)
    assert abs(correlation).max() < 4.5 / 20_000**0.5


@pytest.mark.parametrize("name", LAWS)
def test_entropies_are_those_of_samples(samples, name):
    """-ln p averaged; exact for a uniform law, else within 4 errors (false alarms 2e-4 in all)."""
    (start, laws), x = LAWS[name], samples[name]
    each = -sum(law.logpdf(x[..., i]) for i, law in enumerate(laws)).sum(1)
    error = each.std(ddof=1) / 20_000**0.5
    assert abs(each.mean() - float(start.entropy((4, 2)))) < 4 * error + 1e-5
    assert error < 0.02
    # and without their density, from the distances between samples
    near = tml.thermodynamics.knn_entropy(jnp.asarray(x[:500, 0]))
    expected = sum(law.entropy() for law in laws)
    assert abs(float(near.entropy) - expected) < 4 * float(near.standard_error) + 0.1


@pytest.mark.parametrize("name", LAWS)
def test_variances_are_those_of_samples(samples, name):
    """Within 4.5 errors of each of eight (false alarms 2e-4 in all)."""
    x = samples[name]
    error = (x**2).std(0) / 20_000**0.5
    away = np.mean(x**2, axis=0) - np.asarray(LAWS[name][0].variance((4, 2)))
    assert (abs(away) < 4.5 * error).all()
    assert (abs(x.mean(0)) < 4.5 * x.std(0) / 20_000**0.5).all()


def test_a_width_of_each_parameter_goes_to_that_parameter(x64):
    widths = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])

    @jax.jit
    def found():
        starts = (
            tml.networks.Normal(widths),
            tml.networks.Uniform(widths),
            tml.networks.Normal(widths[:, :1]),
        )
        drawn = (
            tml.networks.Uniform(widths).sample(KEY, (3, 2)),
            tml.networks.Uniform(1.0).sample(KEY, (3, 2)),
        )
        return [start.variance((3, 2)) for start in starts], drawn

    variances, (drawn, unit) = found()
    rows = np.repeat(widths[:, :1] ** 2, 2, axis=1)
    np.testing.assert_allclose(variances, [widths**2, widths**2 / 3, rows], rtol=1e-14)
    np.testing.assert_allclose(drawn, widths * unit, rtol=1e-14)


def test_entropies_have_derivatives_and_survive_jit_and_vmap(x64):
    """Both kinds of width through one formula: neither derivative sees the other's ln 0."""

    def entropy(width):
        blocks = [(tml.networks.Normal(width), 2), (tml.networks.Uniform(width), 3)]
        return tml.networks.Mixed(blocks).entropy((4, 5))

    sample = lambda std: tml.networks.Normal(std).sample(KEY, (3,))
    at = jnp.array([0.1, 7.0])

    @jax.jit
    def slopes():
        each = [jax.vmap(f)(at) for f in (jax.grad(entropy), jax.jacfwd(entropy), entropy)]
        return *each, jax.jacfwd(sample)(at[1]), sample(at[1])

    reverse, forward, entropies, jacobian, drawn = slopes()
    np.testing.assert_allclose(reverse, [20 / 0.1, 20 / 7.0], rtol=1e-13)
    np.testing.assert_allclose(forward, reverse, rtol=1e-13)
    np.testing.assert_allclose(entropies, normal(at, 8) + uniform(at, 12), rtol=1e-13)
    np.testing.assert_allclose(7 * jacobian, drawn, rtol=1e-14)


def test_traced_widths_of_zero_have_no_entropy():
    for kind in (tml.networks.Normal, tml.networks.Uniform):
        assert jax.jit(lambda w, kind=kind: kind(w).entropy((3,)))(0.0) == -jnp.inf


class Ring(tml.networks.AbstractInitialisation):
    """Two parameters on a circle: not independent, and so without widths."""

    def sample(self, key, shape):
        angle = jax.random.uniform(key, shape[:-1]) * 2 * float(np.pi)
        return jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)

    def entropy(self, shape):
        return jnp.asarray(float(np.log(2 * np.pi)) * int(np.prod(shape[:-1])))

    def widths(self, shape):
        return None


def test_a_distribution_of_ones_own_may_be_a_block():
    start = tml.networks.Mixed([(Ring(), 2), (tml.networks.Uniform(1.0), 1)])
    assert Ring().widths((5, 2)) is None
    assert start.widths((5, 3)) is None
    x = start.sample(KEY, (5, 3))
    np.testing.assert_allclose(jnp.sum(x[:, :2] ** 2, axis=1), np.ones(5), rtol=1e-6)
    np.testing.assert_allclose(start.entropy((5, 3)), 5 * np.log(4 * np.pi), rtol=1e-6)
    with pytest.raises(ValueError, match="neither normal nor uniform: its variance is not known"):
        start.variance((5, 3))


@pytest.fixture(scope="module")
def network():
    return eqx.filter(eqx.nn.MLP(3, 2, 4, 1, key=KEY), eqx.is_inexact_array)


def test_patterns_choose_among_the_leaves_of_a_network(network):
    """The first that fits: weights (4, 3) and (2, 4), and 6 biases."""
    parts = {
        "*bias": tml.networks.Normal(0.1),
        "layers_0_*": "he_uniform",
        "*": tml.networks.LeCun(),
    }
    learning = tml.NetworkLearning(
        eqx.nn.MLP(3, 2, 4, 1, key=KEY),
        tml.MeanSquaredError(),
        (np.zeros((1, 3)), np.zeros((1, 2))),
        prior_stiffness=1.0,
    )
    entropy, error = tml.TypeI(tml.networks.Mixed(parts)).entropy_in(learning)
    expected = normal(0.1, 6) + uniform(2**0.5, 12) + normal(0.5, 8)
    np.testing.assert_allclose(entropy, expected, rtol=1e-6)
    assert error == 0
    swapped = tml.networks.Mixed({"*": tml.networks.Normal(0.1), "layers_0_*": "he_uniform"})
    entropy, _ = tml.TypeI(swapped).entropy_in(learning)
    np.testing.assert_allclose(entropy, normal(0.1, 26), rtol=1e-6)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda: tml.networks.Normal(0.0),
            ValueError,
            "std must be finite and > 0, got 0; .*entropy of -∞",
        ),
        (lambda: tml.networks.Normal(-1), ValueError, "std must be finite and > 0, got -1"),
        (lambda: tml.networks.Normal(np.inf), ValueError, "std must be finite and > 0, got inf"),
        (
            lambda: tml.networks.Normal("wide"),
            TypeError,
            "std must be a number or an array of real numbers, got 'wide'",
        ),
        (
            lambda: tml.networks.Uniform([1.0, 0.0]),
            ValueError,
            r"bound must .* got \[1.0, 0.0\]; .* -∞",
        ),
        (lambda: tml.networks.Uniform(np.nan), ValueError, "bound must be finite and > 0, got nan"),
        (
            lambda: tml.networks.He("cauchy"),
            ValueError,
            'must be "normal" or "uniform", got \'cauchy\'',
        ),
        (lambda: tml.TypeI("he"), ValueError, "one of lecun_normal, .*he_uniform, got 'he'"),
        (lambda: tml.TypeI(0.1), TypeError, "must be an AbstractInitialisation, got 0.1"),
        (lambda: tml.networks.Mixed([]), ValueError, "parts must not be empty"),
        (lambda: tml.networks.Mixed({}), ValueError, "parts must not be empty"),
        (
            lambda: tml.networks.Mixed([tml.networks.Normal()]),
            TypeError,
            r"pairs \(initialisation, count\) or a map",
        ),
        (
            lambda: tml.networks.Mixed(tml.networks.Normal()),
            TypeError,
            r"pairs \(initialisation, count\) or a map",
        ),
        (lambda: tml.networks.Mixed("he_normal"), TypeError, r"pairs .*, got 'he_normal'"),
        (
            lambda: tml.networks.Mixed([(tml.networks.Normal(), 0)]),
            ValueError,
            "count must be at least 1, got 0",
        ),
        (
            lambda: tml.networks.Mixed([(tml.networks.Normal(), 1.0)]),
            TypeError,
            "count must be a whole number",
        ),
        (lambda: tml.networks.Mixed([("he", 1)]), ValueError, "initialisation must be one of"),
        (
            lambda: tml.networks.Mixed({"*": 1.0}),
            TypeError,
            "must be an AbstractInitialisation, got 1.0",
        ),
    ],
)
def test_wrong_widths_names_and_parts_are_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize("act", ["entropy", "widths", "variance", "sample"])
def test_counts_and_patterns_that_do_not_fit_are_refused(act):
    def do(start, shape):
        return getattr(start, act)(*([KEY] if act == "sample" else []), shape)

    with pytest.raises(ValueError, match=r"counts \(2, 3, 1\) must add up to the 5 parameters"):
        do(blocks(), (2, 5))
    with pytest.raises(ValueError, match="must add up to the 0 parameters of the last axis"):
        do(blocks(), ())
    with pytest.raises(ValueError, match="patterns choose among the leaves of a network; for one"):
        do(tml.networks.Mixed({"*": tml.networks.Normal()}), (2, 5))
    with pytest.raises(ValueError, match=r"He sets the width of weights .*biases at 0.*\(5,\)"):
        do(tml.networks.He(), (5,))
    for kind, name in ((tml.networks.Normal, "std"), (tml.networks.Uniform, "bound")):
        with pytest.raises(ValueError, match=rf"{name} must be .* shape \(5,\), got shape \(3,\)"):
            do(kind([1.0, 2.0, 3.0]), (5,))


def test_patterns_that_fit_no_leaf_are_refused(network):
    from thermoml.networks.learning._initialisations import entropy_of_leaves, sample_leaves

    for ask in (entropy_of_leaves, lambda start, like: sample_leaves(start, KEY, like)):
        with pytest.raises(ValueError, match=r"\('\*bias',\) do not fit .* 'layers_0_weight'"):
            ask(tml.networks.Mixed({"*bias": tml.networks.Normal()}), network)
        with pytest.raises(ValueError, match=r"biases at 0.*parameters of shape \(4,\)"):
            ask(tml.networks.He(), network)
    with pytest.raises(ValueError, match="blocks ignore the leaf 'weight'"):
        blocks().for_leaf("weight")
