"""Ground states against NumPy, SciPy and brute force, with their certificates and derivatives."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, special

import thermoml as tml

close = np.testing.assert_allclose

SQUARED, ABSOLUTE, ENTROPY = tml.MeanSquaredError(), tml.MeanAbsoluteError(), tml.CrossEntropy()
RNG = np.random.default_rng(5)
FEATURES = RNG.normal(size=(20, 2)) @ [[1.0, 0.4], [0.0, 1.5]]
VALUES = FEATURES @ [1.0, -0.5] + RNG.standard_t(2, size=20)
LABELS = (special.expit(FEATURES @ [1.0, -0.5]) > RNG.uniform(size=20)).astype(int)
CLASSES = np.arange(20) % 3


def ground(targets, form, *, features=FEATURES, prior=0.0):
    return tml.networks.ground_state(
        tml.LinearLearning(form, (features, targets), prior_stiffness=prior)
    )


def test_least_squares_are_those_of_numpy(dtype):
    targets = np.stack([VALUES, 2 - VALUES**2], axis=1)
    exact = 1e-11 if dtype == jnp.float64 else 1e-4
    for y in (VALUES, targets):
        solved, squares = np.linalg.lstsq(FEATURES, y, rcond=None)[:2]
        found = ground(y, SQUARED)
        close(found.parameters, solved.T, rtol=exact)
        close(found.energy, squares.sum() / 40, rtol=exact)
        assert found.certificate < 10 * exact
    rows = np.concatenate([FEATURES / 20**0.5, 0.3**0.5 * np.eye(2)])
    solved = np.linalg.lstsq(rows, np.concatenate([VALUES / 20**0.5, [0, 0]]), rcond=None)[0]
    found = ground(VALUES, SQUARED, prior=0.3)
    close(found.parameters, solved, rtol=exact)
    left = np.mean((VALUES - FEATURES @ solved) ** 2) / 2 + 0.15 * solved @ solved
    close(found.energy, left, rtol=exact)


def test_least_squares_in_float32_bear_features_far_from_their_mean():
    """Of condition 2e3 and so 4e6 squared, which the normal equations could not bear."""
    features = np.stack([np.ones(50), 2000 + RNG.normal(size=50)], axis=1).astype(np.float32)
    targets = features @ [1.0, 0.01] + RNG.normal(size=50)
    solved = np.linalg.lstsq(features.astype(float), targets, rcond=None)[0]
    found = ground(targets, SQUARED, features=features)
    assert found.parameters.dtype == jnp.float32
    close(found.parameters, solved, rtol=2e-3)


@pytest.mark.parametrize("prior", [0.0, 0.2])
def test_logistic_regression_is_that_of_scipy(x64, prior):
    signs = 2 * LABELS - 1

    def energy(theta):
        return np.mean(np.logaddexp(0, -signs * (FEATURES @ theta))) + prior / 2 * theta @ theta

    def slope(theta):
        chances = special.expit(-signs * (FEATURES @ theta))
        return -(signs * chances) @ FEATURES / 20 + prior * theta

    solved = optimize.minimize(energy, [0, 0], jac=slope, method="BFGS", options={"gtol": 1e-11})
    found = ground(LABELS, ENTROPY, prior=prior)
    close(found.parameters, solved.x, rtol=1e-8)
    close(found.energy, solved.fun, rtol=1e-12)
    assert found.certificate < 1e-13


def test_softmax_regression_is_that_of_scipy(x64):
    def energy(flat):
        theta = flat.reshape(3, 2)
        logits = FEATURES @ theta.T
        losses = special.logsumexp(logits, axis=1) - logits[np.arange(20), CLASSES]
        return losses.mean() + 0.1 * flat @ flat

    solved = optimize.minimize(energy, np.zeros(6), method="BFGS", options={"gtol": 1e-9})
    found = ground(CLASSES, ENTROPY, prior=0.2)
    close(np.ravel(found.parameters), solved.x, atol=1e-6)
    close(found.energy, solved.fun, rtol=1e-12)
    assert found.certificate < 1e-13
    close(np.sum(found.parameters, axis=0), 0, atol=1e-12)  # the prior holds what all share


def test_least_absolute_deviations_pass_through_as_many_examples_as_parameters(dtype):
    """The minimum is a vertex: the best of all pairs of examples that a plane fits exactly."""
    candidates = []
    for pair in itertools.combinations(range(20), 2):
        theta = np.linalg.solve(FEATURES[list(pair)], VALUES[list(pair)])
        candidates.append((np.mean(np.abs(VALUES - FEATURES @ theta)), theta))
    energy, theta = min(candidates, key=lambda pair: pair[0])
    found = ground(VALUES, ABSOLUTE)
    exact = 1e-12 if dtype == jnp.float64 else 1e-5
    close(found.parameters, theta, rtol=exact)
    close(found.energy, energy, rtol=exact)
    assert found.energy.dtype == dtype
    assert found.certificate < exact
    assert f"energy       {energy:.4g}"[:17] in str(found)


@pytest.mark.parametrize("prior", [1e-6, 0.01, 0.3, 30.0])
def test_least_absolute_deviations_with_a_prior_are_those_of_scipy(x64, prior):
    """As a quadratic programme over θ and residuals a, b >= 0, y - Xθ = a - b."""
    found = ground(VALUES, ABSOLUTE, prior=prior)
    n, d = FEATURES.shape
    equal = np.concatenate([FEATURES, np.eye(n), -np.eye(n)], axis=1)
    cost = np.concatenate([np.zeros(d), np.full(2 * n, 1 / n)])
    hold = np.concatenate([np.full(d, prior), np.zeros(2 * n)])
    solved = optimize.minimize(
        lambda z: cost @ z + z @ (hold * z) / 2,
        np.concatenate([np.zeros(d), np.maximum(VALUES, 0), np.maximum(-VALUES, 0)]),
        jac=lambda z: cost + hold * z,
        method="SLSQP",
        constraints={"type": "eq", "fun": lambda z: equal @ z - VALUES, "jac": lambda z: equal},
        bounds=[(None, None)] * d + [(0, None)] * (2 * n),
        options={"ftol": 1e-14, "maxiter": 2000},
    )
    close(found.energy, solved.fun, rtol=1e-7)
    close(found.parameters, solved.x[:d], rtol=1e-4, atol=1e-6)
    assert found.certificate < 1e-13


@pytest.mark.parametrize(
    "shape", [(300, 10), (10, 20), (1, 1)], ids=["many", "fewer examples", "one"]
)
@pytest.mark.parametrize("noise", [1.0, 0.0])
def test_least_absolute_deviations_certify_themselves(x64, shape, noise):
    features = np.random.default_rng(3).normal(size=shape) * 50
    targets = features @ np.ones(shape[1]) + noise * np.random.default_rng(4).laplace(size=shape[0])
    found = ground(
        np.stack([targets, np.round(targets)], 1), ABSOLUTE, features=features, prior=1e-5
    )
    assert found.certificate < 1e-11


CASES = {
    "squared": (SQUARED, VALUES, 0.2),
    "squared, no prior": (SQUARED, VALUES, 0.0),
    "absolute": (ABSOLUTE, VALUES, 0.2),
    "absolute, no prior": (ABSOLUTE, VALUES, 0.0),
    "logistic": (ENTROPY, LABELS, 0.2),
    "softmax": (ENTROPY, CLASSES, 0.2),
}


@pytest.mark.parametrize("case", CASES)
def test_derivatives_of_the_least_energy_are_finite_differences(x64, case):
    form, targets, prior = CASES[case]
    smooth = not form.classifies

    def lowest(features, targets, prior):
        return ground(targets, form, features=features, prior=prior).energy

    arguments = [jnp.asarray(FEATURES), jnp.asarray(targets, float), jnp.asarray(prior)]
    if not smooth:
        arguments[1] = jnp.asarray(targets)
    which = (0, 1, 2) if smooth else (0, 2)
    slopes = jax.grad(lowest, which)(*arguments)
    rng = np.random.default_rng(8)
    for position, slope in zip(which, slopes, strict=True):
        if position == 2 and prior == 0:  # one-sided: a prior is not negative
            step = 1e-6
            after = lowest(*arguments[:2], jnp.asarray(step))
            close(slope, (after - lowest(*arguments)) / step, rtol=1e-3)
            continue
        along = jnp.asarray(rng.normal(size=np.shape(arguments[position])))
        ends = []
        for sign in (1e-5, -1e-5):
            moved = list(arguments)
            moved[position] = moved[position] + sign * along
            ends.append(lowest(*moved))
        numeric = (ends[0] - ends[1]) / 2e-5
        assert abs(numeric) > 1e-3
        close(jnp.sum(slope * along), numeric, rtol=1e-5)


def test_parameters_of_the_minimum_have_implicit_derivatives(x64):
    for form, targets in ((SQUARED, VALUES), (ENTROPY, LABELS)):
        found = lambda prior, form=form, y=targets: ground(y, form, prior=prior).parameters
        numeric = (found(jnp.asarray(0.2 + 1e-5)) - found(jnp.asarray(0.2 - 1e-5))) / 2e-5
        close(jax.jacfwd(found)(jnp.asarray(0.2)), numeric, rtol=1e-6)
        close(jax.jacrev(found)(jnp.asarray(0.2)), numeric, rtol=1e-6)


def test_many_priors_at_once(x64):
    priors = jnp.asarray([0.1, 0.5])
    for form, targets in ((SQUARED, VALUES), (ABSOLUTE, VALUES)):
        both = jax.jit(jax.vmap(lambda k, f=form, y=targets: ground(y, f, prior=k).energy))(priors)
        close(both, [ground(targets, form, prior=k).energy for k in priors], rtol=1e-12)


def test_a_network_ends_in_a_minimum_near_where_it_starts(x64):
    net = eqx.nn.MLP(2, "scalar", 2, 1, jnp.tanh, key=jax.random.key(2))
    system = tml.NetworkLearning(net, SQUARED, (FEATURES, VALUES), prior_stiffness=0.1)
    found = tml.networks.ground_state(system, system.state(net))
    assert found.certificate < 1e-6
    assert found.energy < system.total_energy(system.state(net)) - 0.1
    assert (
        tml.networks.ground_state(system, net).energy == found.energy
    )  # the network itself will do
    with pytest.raises(ValueError, match=r"start must be given for a network"):
        tml.networks.ground_state(system)
    with pytest.raises(ValueError, match=r"start must be like .*\(2, 2\).*got \[\(3,\)\]"):
        tml.networks.ground_state(system, jnp.ones(3))


APART = (FEATURES[:, 0] > 0).astype(int)
REFUSED = {
    "few": (SQUARED, VALUES[:1], FEATURES[:1], "1 examples are too few to hold 2 parameters"),
    "few, absolute": (ABSOLUTE, VALUES[:1], FEATURES[:1], "flat in 1 directions"),
    "dependent": (SQUARED, VALUES, FEATURES[:, [0, 0]], "features of rank 1 are too few"),
    "zero": (SQUARED, VALUES, FEATURES * [1, 0], "feature 1 is 0 in every example"),
    "separable": (ENTROPY, APART, FEATURES, "separable by a plane"),
    "one class": (ENTROPY, 0 * LABELS, np.abs(FEATURES), "separable by a plane"),
    "softmax": (ENTROPY, CLASSES, FEATURES, "when all classes shift together"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_minimum_is_refused_until_a_prior_holds_it(x64, case):
    form, targets, features, message = REFUSED[case]
    for finder in (tml.networks.ground_state, tml.Trained):
        with pytest.raises(ValueError, match=message + ".*add prior_stiffness > 0"):
            finder(tml.LinearLearning(form, (features, targets)))
    found = ground(targets, form, features=features, prior=0.1)
    assert np.isfinite(found.energy)
    assert found.certificate < 1e-10


def test_classes_that_only_touch_are_not_separable(x64):
    """One example on the wrong side is enough for a minimum, however far it lies."""
    labels = APART.copy()
    labels[np.argmax(FEATURES[:, 0])] = 0
    assert ground(labels, ENTROPY).certificate < 1e-10
