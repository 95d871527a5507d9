"""Jumps between cells, with rates of any kind, against dense matrices and exact chains."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm

import thermoml as tml

Rates = tml.thermodynamics.Rates

LINES = [((6,), (wraps,)) for wraps in (False, True)]
PLANES = [((4, 6), wraps) for wraps in itertools.product((False, True), repeat=2)]
OTHERS = [(shape, wraps) for shape in ((3, 3), (6, 4)) for _, wraps in PLANES]
rest = jax.jit(Rates.steady_state)
step = jax.jit(Rates.step, static_argnums=3)


def open_faces(size, axis, ndim, wraps):
    shape = [1] * ndim
    shape[axis] = size
    return np.array([True] * (size - 1) + [wraps]).reshape(shape)


def random_rates(shape, wraps, spread=1.0, seed=0):
    """Of no potential at all: lognormal, each by itself."""
    rng = np.random.default_rng(seed)
    rates = {"up": [], "down": []}
    for axis, size in enumerate(shape):
        faces = open_faces(size, axis, len(shape), wraps[axis])
        for found in rates.values():
            found.append(jnp.asarray(np.where(faces, np.exp(spread * rng.normal(size=shape)), 0)))
    zero = tuple(jnp.zeros(shape) for _ in shape)
    return Rates(tuple(rates["up"]), tuple(rates["down"]), zero)


def balanced_rates(energy, wraps):
    """Of a potential, in units of T: up/down = exp(-ΔU)."""
    up, down = [], []
    for axis, size in enumerate(energy.shape):
        faces = open_faces(size, axis, energy.ndim, wraps[axis])
        rise = np.roll(energy, -1, axis) - energy
        up.append(jnp.asarray(np.where(faces, np.exp(-rise / 2), 0)))
        down.append(jnp.asarray(np.where(faces, np.exp(rise / 2), 0)))
    return Rates(tuple(up), tuple(down), tuple(jnp.zeros(energy.shape) for _ in energy.shape))


def generators(rates):
    """L of each axis, as a matrix of target by source over all cells."""
    shape = rates.up[0].shape
    number = np.arange(np.prod(shape)).reshape(shape)
    found = []
    for axis, (up, down) in enumerate(zip(rates.up, rates.down, strict=True)):
        matrix = np.zeros((number.size, number.size))
        for here in np.ndindex(shape):
            after = list(here)
            after[axis] = (after[axis] + 1) % shape[axis]
            i, j = number[here], number[tuple(after)]
            for source, target, rate in ((i, j, up[here]), (j, i, down[here])):
                matrix[target, source] += rate
                matrix[source, source] -= rate
        found.append(matrix)
    return found


def density_of(shape, seed=1):
    return jnp.asarray(np.random.default_rng(seed).uniform(0.5, 1.5, size=shape))


@pytest.mark.parametrize(("shape", "wraps"), LINES + PLANES + OTHERS)
def test_jumps_rest_where_their_matrix_has_its_null_vector(x64, shape, wraps):
    rates = random_rates(shape, wraps)
    matrix = np.concatenate([sum(generators(rates)), np.ones((1, np.prod(shape)))])
    right = np.zeros(len(matrix))
    right[-1] = 1
    expected = np.linalg.lstsq(matrix, right, rcond=None)[0].reshape(shape)
    # The energy only says which row stays to the end: any will do.
    for seed in range(3):
        energy = density_of(shape, seed)
        np.testing.assert_allclose(rest(rates, energy), expected, rtol=1e-11)


@pytest.mark.parametrize(("shape", "wraps"), LINES + PLANES + OTHERS)
def test_the_smallest_probabilities_keep_their_digits(x64, shape, wraps):
    """Detailed balance: exp(-U) far below where a dense solver has nothing left."""
    away = sum(np.abs(i - 1.0) for i in np.indices(shape))
    energy = 30 * away + np.random.default_rng(4).uniform(0, 10, size=shape)
    expected = np.exp(-energy) / np.exp(-energy).sum()
    assert expected.min() < 1e-25
    found = rest(balanced_rates(energy, wraps), jnp.asarray(energy))
    np.testing.assert_allclose(found, expected, rtol=1e-11)


def test_the_smallest_probabilities_keep_their_digits_in_float32():
    energy = np.random.default_rng(4).uniform(0, 20, size=(4, 6)).astype(np.float32)
    expected = np.exp(-energy.astype(float)) / np.exp(-energy.astype(float)).sum()
    found = rest(balanced_rates(energy, (False, True)), jnp.asarray(energy))
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, expected, rtol=3e-4)


def test_what_rests_differentiates_in_both_modes(x64):
    shape, wraps = PLANES[1]
    rates, other = random_rates(shape, wraps), random_rates(shape, wraps, seed=7)
    weights = density_of(shape)

    def mean(s):
        moved = jax.tree.map(lambda a, b: a * (1 + s * b), rates, other)
        return jnp.sum(weights * moved.steady_state(weights))

    mean = jax.jit(mean)
    expected = (mean(1e-5) - mean(-1e-5)) / 2e-5
    assert abs(expected) > 1e-3
    for slope in (jax.grad(mean)(0.0), jax.jvp(mean, (0.0,), (1.0,))[1]):
        np.testing.assert_allclose(slope, expected, rtol=1e-7)


@pytest.mark.parametrize(("shape", "wraps"), LINES + PLANES[1:3])
def test_a_step_is_twice_two_halves_less_a_whole_one(x64, shape, wraps):
    """Implicit Euler steps, axis after axis, extrapolated: wherever no cell is nearly emptied."""
    rates, density, dt = random_rates(shape, wraps), density_of(shape), 0.02
    one = np.eye(density.size)

    def implicit(duration, vector):
        for matrix in generators(rates):
            vector = np.linalg.solve(one - duration * matrix, vector)
        return vector

    start = np.ravel(density)
    expected = 2 * implicit(dt / 2, implicit(dt / 2, start)) - implicit(dt, start)
    found = np.ravel(step(rates, density, dt, wraps))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(found.sum(), start.sum(), rtol=1e-14)


@pytest.mark.parametrize(("shape", "wraps"), LINES + PLANES[1:3])
def test_steps_are_of_second_order(x64, shape, wraps):
    """Beside exp(Lt)."""
    rates, start = random_rates(shape, wraps), density_of(shape)
    exact = expm(0.2 * sum(generators(rates))) @ np.ravel(start)
    errors = []
    for count in (16, 32, 64):
        density = start
        for _ in range(count):
            density = step(rates, density, 0.2 / count, wraps)
        errors.append(np.linalg.norm(np.ravel(density) - exact))
    orders = np.diff(-np.log2(errors))
    assert (abs(orders - 2) < 0.15).all(), orders


@pytest.mark.parametrize(("shape", "wraps"), [*LINES, PLANES[2]])
@pytest.mark.parametrize("dt", [1e-3, 0.3, 10.0, 1e4, 1e8])
def test_no_step_is_too_long_and_no_start_too_narrow(dtype, shape, wraps, dt):
    rates = random_rates(shape, wraps, spread=2.0)
    start = density = jnp.zeros(shape).at[(1,) * len(shape)].set(1.0)
    for _ in range(3):
        density = step(rates, density, dt, wraps)
        assert (density >= 0).all()
        total = np.asarray(density, float).sum()
        np.testing.assert_allclose(total, 1, rtol=1e-14 if dtype == jnp.float64 else 1e-6)
    assert density.dtype == dtype
    assert (np.asarray(density) != np.asarray(start)).all()


@pytest.mark.parametrize(("shape", "wraps"), LINES)
def test_a_long_step_on_a_line_ends_at_rest(x64, shape, wraps):
    rates = random_rates(shape, wraps)
    found = step(rates, jnp.zeros(shape).at[0].set(1.0), 1e8, wraps)
    np.testing.assert_allclose(found, rest(rates, jnp.zeros(shape)), rtol=1e-6)


def bernoulli(x):
    """The rate of jumps against a force x, on a flat ring of cells of length 1 at T = μ = 1."""
    system = tml.Langevin(lambda _, control: 0.0 * _, drive=lambda _, control: x)
    return tml.FokkerPlanck(system, tml.Axis(0, 3, 3, boundary="periodic")).rates().down[0][0]


def test_the_bernoulli_function_and_its_slope(x64):
    x = np.array([-800, -30, -1, -2e-4, -5e-5, 0, 5e-5, 2e-4, 1, 30, 800.0])
    expected = np.ones_like(x)
    expected[x != 0] = x[x != 0] / np.expm1(np.minimum(x[x != 0], 700))
    expected[-1] = 0
    found, slope = map(np.asarray, jax.jit(jax.vmap(jax.value_and_grad(bernoulli)))(x))
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    # Up over down of a jump is exp of what drives it, also where that is small
    np.testing.assert_allclose(found[9:1:-1] / found[1:9], np.exp(x[1:9]), rtol=1e-13)
    near = 1 / np.expm1(1) - np.exp(1) / np.expm1(1) ** 2
    np.testing.assert_allclose(slope[[0, 5, 8, 10]], [-1, -0.5, near, 0], atol=1e-12)


def test_cells_lie_between_the_ends_of_their_axis(dtype):
    axis = tml.Axis(-1, 3, 8, boundary="periodic")
    assert axis.width == 0.5
    np.testing.assert_allclose(axis.centres, np.arange(-0.75, 3, 0.5))
    np.testing.assert_allclose(axis.faces, np.arange(-0.5, 3.5, 0.5))
    assert axis.centres.dtype == axis.faces.dtype == dtype
    assert tml.Axis(-1, 3, 8).boundary == "reflecting"
    assert jax.tree.leaves(axis) == []


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((1.0, 1.0, 5), ValueError, "^upper must be above lower = 1.0, got 1.0"),
        ((0.0, np.inf, 5), ValueError, '^upper must be finite.* boundary="natural"'),
        ((np.nan, 1.0, 5), ValueError, "^lower must be finite"),
        ((0.0, 1.0, 2), ValueError, "^cells must be at least 3, got 2"),
        ((0.0, 1.0, 5.0), TypeError, "^cells must be a whole number"),
    ],
)
def test_axes_that_make_no_sense_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        tml.Axis(*arguments)
