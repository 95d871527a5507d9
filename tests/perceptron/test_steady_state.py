"""Steady states: minima found by scipy from other averages, derivatives, finite N."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from parts import exhaustive
from scipy.optimize import minimize
from steady_states import POINTS, SIZES, problem

import thermoml as tml

STEP = 1e-5
WRONG = lambda s: np.where(s < 0, 1.0, 0.0)


@pytest.fixture(scope="module", autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


class Law(NamedTuple):
    """A rule, and its F and Φ in NumPy."""

    build: Callable
    force: Callable
    potential: Callable
    inputs: str = "binary"


LAWS = {
    "hebbian": Law(tml.Hebbian, np.ones_like, lambda s: s),
    "perceptron": Law(tml.PerceptronRule, WRONG, lambda s: np.minimum(s, 0)),
    "adatron": Law(
        tml.AdaTron,
        lambda s: np.maximum(-s, 0),
        lambda s: -(np.minimum(s, 0) ** 2) / 2,
        "gaussian",
    ),
    "linear": Law(
        lambda: tml.perceptron.LinearAlphaTron(0.3),
        lambda s: np.where(s < 0, 1.0, 0.3 * s),
        lambda s: np.where(s < 0, s, 0.15 * s**2),
    ),
}


def alpha_law(alpha):
    return Law(
        lambda: tml.AlphaTron(alpha),
        lambda s: np.where(s < 0, 1.0, np.abs(s) ** alpha),
        lambda s: np.where(s < 0, s, np.abs(s) ** (alpha + 1) / (alpha + 1)),
    )


def network_law(inner, bias, outer, constant):
    """F(s) = outer·tanh(inner s + bias) + constant."""

    def build():
        net = eqx.nn.MLP("scalar", "scalar", 3, 1, jnp.tanh, key=jax.random.key(0))
        parts = lambda net: [x for layer in net.layers for x in (layer.weight, layer.bias)]
        values = inner[:, None], bias, outer[None], np.array([constant])
        return eqx.tree_at(parts, net, [jnp.asarray(x) for x in values])

    def potential(s):
        x = np.multiply.outer(s, inner) + bias
        return (np.logaddexp(x, -x) - np.logaddexp(bias, -bias)) @ (outer / inner) + constant * s

    force = lambda s: np.tanh(np.multiply.outer(s, inner) + bias) @ outer + constant
    return Law(build, force, potential)


_DRAW = np.random.default_rng(0).normal
NETWORKS = [network_law(np.ones(3), np.zeros(3), np.ones(3) / 3, 0.0)]  # tanh itself
NETWORKS += [network_law(_DRAW(size=3), _DRAW(size=3), _DRAW(size=3), _DRAW()) for _ in range(3)]


class Averages(NamedTuple):
    force_square: np.ndarray
    input_square: np.ndarray  # E[(λ*² + z²) F²]
    stability: np.ndarray
    along: np.ndarray  # E[|λ*|F]
    across: np.ndarray  # E[σzF]
    potential: np.ndarray

    def dissipation(self, rate, n):
        return rate**2 * (self.force_square - (self.along**2 + self.across**2) / n)

    def excess_rate(self, rate, bath, n, batch, inputs):
        """E|ξ|²F² = N E F² with ±1; |ξ|² = λ*² + z² + N - 2 others for Gaussian inputs."""
        more = self.input_square - 2 * self.force_square if inputs == "gaussian" else 0
        return n**2 / batch / bath * (self.dissipation(rate, n) + rate**2 * more / n)


def gauss_legendre(low, high, n_nodes):
    x, weights = np.polynomial.legendre.leggauss(n_nodes)
    return low + (high - low) * (x + 1) / 2, weights * (high - low) / 2


def averages(law, root, angle):
    """At R = q cos θ, P = q sin θ, by polar coordinates of the inputs' plane.

    (λ*, z) = r (cos t, sin t), with λ* > 0 by symmetry; s = q r cos(t - θ) < 0 on a share θ/π.
    """
    x, wx = gauss_legendre(0, 3, 36)
    r, radial = x**2, 2 * x**3 * wx * np.exp(-(x**4) / 2)
    y, step = np.linspace(-3.4, 3.4, 45, retstep=True)  # a double exponential for cusps at s = 0
    y, step = np.pi / 2 * np.sinh(y[:, None]), step * np.pi / 4 * np.cosh(y[:, None])
    nodes, weights = 1 / (1 + np.exp(-2 * y)), step / np.cosh(y) ** 2
    q, theta = (np.asarray(x)[..., None, None] for x in (root, angle))
    total = 0.0
    for sign, width in ((1, np.pi - theta), (-1, theta)):
        from_zero = width * nodes  # the angle between (λ*, z) and the line s = 0
        t = theta - np.pi / 2 + sign * from_zero
        s = sign * q * np.sin(from_zero) * r
        f = law.force(s)
        terms = (f**2, r**2 * f**2, s * f, r * np.cos(t) * f, r * np.sin(t) * f, law.potential(s))
        measure = weights * radial * width / np.pi
        total = total + np.array([(measure * x).sum(axis=(-1, -2)) for x in terms])
    return Averages(*total)


def free_energy(law, point, place):
    """φ at (R, ln P)."""
    rate, k, bath = point
    overlap, transverse = place[0], np.exp(place[1])
    root = np.hypot(overlap, transverse)
    found = averages(law, root, np.arctan2(transverse, overlap))
    return k * root**2 / 2 - rate * found.potential - bath * place[1]


def least(law, point, starts):
    """The lowest minimum of φ that scipy finds."""
    energy = lambda place: free_energy(law, point, place)
    runs = [minimize(energy, x, jac="3-point", options={"gtol": 1e-9}) for x in starts]
    return min(runs, key=lambda run: run.fun)


def polar(state):
    return float(state.norm) ** 0.5, float(state.error) * np.pi


def outputs(state):
    names = ("overlap", "norm", "error", "dissipation", "excess_rate", "free_energy")
    return jnp.stack([getattr(state, name) for name in names])


RUNAWAY = [[1.5, 0.5, 1, 1], [1.5, 0.05, 1, 1], [1, 1, 1, 1], [1, 3, 1, 1], [0.5, 1, 0, 1]]
BASES = np.column_stack([[-0.2, 0.0, 0.3, 0.9], POINTS[:4]])


@pytest.fixture(scope="module")
def alpha_trons():
    """1000 rows of (α, ν̃, k, T), the states there, and their derivatives.

    Four points, each also a step to both sides; α from -0.49 to 0.99; and runaways.
    """
    steps = STEP * np.vstack([np.zeros((1, 4)), np.eye(4), -np.eye(4)])
    rows = (BASES[:, None] + steps).reshape(-1, 4)
    alphas = np.linspace(-0.49, 0.99, 1000 - len(rows) - len(RUNAWAY))
    cycle = np.arange(len(alphas)) % 7 / 6
    others = np.column_stack([alphas, 0.2 + 0.7 * cycle, 1 + 0 * cycle, 0.3 + cycle])
    rows = np.vstack([rows, others, RUNAWAY])

    def at(row):
        state = tml.steady_state(problem(tml.AlphaTron(row[0]), row[1:], **SIZES))
        return outputs(state), state

    slopes, states = jax.jit(jax.vmap(jax.jacfwd(at, has_aux=True)))(jnp.asarray(rows))
    leaves, tree = jax.tree.flatten(jax.device_get(states))
    return rows, [jax.tree.unflatten(tree, x) for x in zip(*leaves, strict=True)], slopes


@pytest.fixture(scope="module")
def network_state():
    """(network, point) -> the sum of some of its values, the state, the gradients of the sum."""

    def total(arguments):
        net, point = arguments
        state = tml.steady_state(problem(tml.perceptron.CustomRule(net), point, **SIZES))
        return state.overlap + state.error + state.dissipation, state

    both = eqx.filter_jit(eqx.filter_value_and_grad(total, has_aux=True))

    def at(net, point):
        (value, state), gradients = both((net, jnp.asarray(point)))
        return value, state, gradients

    return at


@pytest.fixture(scope="module", params=[*LAWS, "alpha", "network"])
def case(request):
    """Problems: law, (ν̃, k, T), state."""
    if request.param in LAWS:
        law = LAWS[request.param]
        more = SIZES | {"inputs": law.inputs}
        return [(law, x, tml.steady_state(problem(law.build(), x, **more))) for x in POINTS]
    if request.param == "alpha":
        rows, states, _ = request.getfixturevalue("alpha_trons")
        return [
            (alpha_law(rows[i, 0]), rows[i, 1:], states[i])
            for i in (0, 9, 18, 27, 36, 200, 600, 900)
        ]
    at = request.getfixturevalue("network_state")
    pairs = zip(NETWORKS, POINTS, strict=False)
    return [(law, point, at(law.build(), point)[1]) for law, point in pairs]


@pytest.mark.slow
def test_the_mean_field_is_at_rest(case):
    """Theory 2.2: -kR + ν̃E[|λ*|F] = 0 and -kQ + ν̃E[sF] + T = 0; ε is the angle."""
    for law, (rate, k, bath), state in case:
        root, angle = polar(state)
        found = averages(law, root, angle)
        by_time = [
            rate * found.along - k * state.overlap,
            rate * found.stability + bath - k * state.norm,
        ]
        exact = 1e-9 if law in NETWORKS else 1e-10
        np.testing.assert_allclose(by_time, 0, atol=exact * k * (1 + root**2))
        np.testing.assert_allclose(root * np.cos(angle), state.overlap, atol=1e-13)


@pytest.mark.slow
def test_it_is_the_minimum_that_scipy_finds(case):
    """From the best point of a grid over the half plane; convex there."""
    for law, point, state in case:
        root, _ = polar(state)
        overlaps, logs = np.linspace(-2, 2, 17) * root, np.log(root) + np.linspace(-5, 1, 10)
        grid = np.meshgrid(overlaps, logs)
        energies = free_energy(law, point, grid)
        best = np.unravel_index(energies.argmin(), energies.shape)
        found = least(law, point, [[grid[0][best], grid[1][best]]])
        expected = [found.x[0], found.x[0] ** 2 + np.exp(2 * found.x[1])]
        np.testing.assert_allclose([state.overlap, state.norm], expected, rtol=2e-6, atol=2e-7)
        np.testing.assert_allclose(state.free_energy, found.fun, rtol=1e-8, atol=1e-8)
        assert state.free_energy < energies.min() + 1e-9
        assert np.linalg.eigvalsh(found.hess_inv).min() > 0


@pytest.mark.slow
def test_dissipation_of_the_mean_field(case):
    """ν̃²(E F² - |E ξσF|²/N), and the rate of all weights from batches of two."""
    for law, (rate, _, bath), state in case:
        found = averages(law, *polar(state))
        if law.force(1e-6) > 10:  # α < 0: F² is too singular for these averages
            continue
        expected = found.dissipation(rate, 10)
        np.testing.assert_allclose(state.dissipation, expected, rtol=1e-8)
        expected = found.excess_rate(rate, bath, 10, 2, law.inputs)
        np.testing.assert_allclose(state.excess_rate, expected, rtol=1e-8)
        assert state.housekeeping == 0


def test_a_thousand_alphas_at_once(alpha_trons):
    """By jit, vmap and jacfwd: finite and smooth."""
    _, states, slopes = alpha_trons
    there = 1000 - len(RUNAWAY)
    assert all(np.isfinite(jax.tree.leaves(state)).all() for state in states[:there])
    assert np.isfinite(slopes[:there]).all()
    curve = [float(state.error) for state in states[36:there:7]]  # ν̃ and T are the same in these
    assert (np.abs(np.diff(curve, 2)) < 1e-3).all()


@pytest.mark.parametrize("row", range(len(RUNAWAY)))
def test_nan_inside_jit_where_there_is_no_steady_state(alpha_trons, row):
    """α > 1 always, α = 1 with ν̃ >= k, and k = 0."""
    assert np.isnan(alpha_trons[1][row - len(RUNAWAY)].norm)


def test_derivatives_are_finite_differences(alpha_trons):
    """In α, ν̃, k and T."""
    _, states, slopes = alpha_trons
    values = np.array([outputs(state) for state in states[:36]]).reshape(4, 9, -1)
    differences = (values[:, 1:5] - values[:, 5:]) / (2 * STEP)
    found = np.asarray(slopes)[:36:9].transpose(0, 2, 1)
    np.testing.assert_allclose(found, differences, rtol=1e-6, atol=1e-7)


@pytest.mark.slow
def test_gradient_in_the_weights_of_a_network(network_state):
    """And in ν̃, k and T: 13 numbers, in a direction at random."""
    place, rebuild = ravel_pytree(eqx.filter((NETWORKS[1].build(), POINTS[1]), eqx.is_array))
    rest = eqx.filter(NETWORKS[1].build(), eqx.is_array, inverse=True)

    def at(place):
        net, point = rebuild(place)
        return network_state(eqx.combine(net, rest), point)

    slopes, _ = ravel_pytree(at(place)[2])
    direction = np.random.default_rng(1).normal(size=13)
    ahead, behind = (at(place + sign * STEP * direction)[0] for sign in (1, -1))
    np.testing.assert_allclose(slopes @ direction, (ahead - behind) / (2 * STEP), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("height", [10.0, 12.0, 20.0])
def test_the_lower_of_two_minima(network_state, height):
    """A bump of F between s = 3 and 5 is hardly noticed at R = 0, or holds weights at R > 2."""
    point = 1.0, 1.0, 0.3
    edges = np.array([2.0, 2.0, 1.0]), np.array([-6.0, -10.0, 0])
    law = network_law(*edges, height / 2 * np.array([1, -1, 0]), 0.0)
    _, state, _ = network_state(law.build(), point)
    found = least(law, point, [[overlap, np.log(0.55)] for overlap in (0.0, 1.5, 3.0, 4.5)])
    assert (found.x[0] > 2) == (height > 11)
    np.testing.assert_allclose(state.free_energy, found.fun, rtol=1e-2)  # the bump has sharp edges
    np.testing.assert_allclose(state.overlap, found.x[0], atol=1e-2)


def test_a_potential_may_rise_beyond_all_bounds():
    """-Φ = exp(-s) - 1 overflows far out, where it holds the weights."""
    rule = lambda s: jnp.exp(-s)
    law, point = Law(rule, lambda s: np.exp(-s), lambda s: 1 - np.exp(-s)), (0.5, 1.0, 1.0)
    state = tml.steady_state(problem(rule, point))
    found = least(law, point, [[0.3, 0.0]])
    np.testing.assert_allclose(state.free_energy, found.fun, rtol=1e-8)
    np.testing.assert_allclose(state.overlap, found.x[0], rtol=1e-6)


def finite_n(law, point, n, state):
    """Means over P^{n-2} exp(-n[kQ/2 - ν̃EΦ]/T) dR dP, in polar coordinates about the state."""
    rate, k, bath = point
    root, middle = polar(state)
    wide = 10 * np.sin(middle) / n**0.5
    q, dq = (x[:, None] for x in gauss_legendre(max(1 - wide, 0) * root, (1 + wide) * root, 44))
    theta, dtheta = gauss_legendre(max(middle - wide, 0), min(middle + wide, np.pi), 44)
    found = averages(law, *np.broadcast_arrays(q, theta))
    energy = k * q**2 / 2 - rate * found.potential
    weights = dq * dtheta * q * (q * np.sin(theta)) ** (n - 2) * np.exp(-n * energy / bath)
    values = {
        "overlap": q * np.cos(theta),
        "norm": q**2,
        "error": theta / np.pi,
        "dissipation": found.dissipation(rate, n),
        "excess_rate": found.excess_rate(rate, bath, n, 2, "gaussian"),
    }
    total = weights.sum()
    means = {name: (weights * value).sum() / total for name, value in values.items()}
    return means | {"free_energy": -bath / n * np.log(total)}


def exact_state(rule, n, point):
    given = problem(rule, point, n_inputs=n, batch=2, inputs="gaussian")
    return tml.steady_state(given, exact=True)


@pytest.fixture(scope="module", params=["perceptron", "adatron", "alpha"])
def finite(request):
    """A law, and its mean field at POINTS[2]."""
    if request.param == "alpha":
        return alpha_law(0.3), request.getfixturevalue("alpha_trons")[1][18]
    law = LAWS[request.param]
    more = SIZES | {"inputs": law.inputs}
    return law, tml.steady_state(problem(law.build(), POINTS[2], **more))


@pytest.mark.parametrize("n", [10, *exhaustive(4, 100)])
def test_finite_n_by_other_quadrature(finite, n):
    law, _ = finite
    state = exact_state(law.build(), n, POINTS[2])
    for name, value in finite_n(law, POINTS[2], n, state).items():
        allowed = 3e-5 if n < 10 else 2e-8
        np.testing.assert_allclose(getattr(state, name), value, rtol=allowed, err_msg=name)


def test_large_n_is_the_mean_field(finite):
    """Like 1/N."""
    law, limit = finite
    states = {n: exact_state(law.build(), n, POINTS[2]) for n in (10**3, 10**4, 10**6)}
    for name in ("overlap", "norm", "error"):
        gaps = [n * (getattr(x, name) - getattr(limit, name)) for n, x in states.items()]
        np.testing.assert_allclose(gaps[1:], gaps[:1] * 2, rtol=0.01, atol=3e-4, err_msg=name)


def test_alpha_one_below_the_stiffness(quiet_alpha_tron):
    state = exact_state(quiet_alpha_tron(1.0), 10, (0.3, 1, 1))
    expected = finite_n(alpha_law(1.0), (0.3, 1, 1), 10, state)
    np.testing.assert_allclose(state.norm, expected["norm"], rtol=1e-8)
