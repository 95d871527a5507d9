import functools

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from thermoml.numerics.bits import GENERATORS, threefry_2x32, triple32
from thermoml.numerics.random import (
    _log1p_remainder,
    _log_float64,
    _turned_float64,
    row_numbers,
    trajectory_key,
    trajectory_streams,
)

TRAJECTORIES, STEPS, ROWS = 100, 40, 25


def words(*hexadecimal):
    return tuple(jnp.uint32(int(word, 16)) for word in hexadecimal)


@pytest.fixture(params=list(GENERATORS))
def generator(request):
    return request.param


@functools.cache
def draw(
    generator,
    method,
    rows,
    *args,
    seed=20,
    indices=tuple(range(TRAJECTORIES)),
    purpose=1,
    steps=STEPS,
    first=0,
):
    """`[step, row, trajectory]` of a method of the draws, as NumPy."""

    @jax.jit
    def run(key):
        streams = trajectory_streams(key, jnp.asarray(indices), purpose, generator)
        numbers = first + row_numbers(rows)
        return jax.vmap(lambda n: getattr(streams.at(n), method)(numbers, *args))(jnp.arange(steps))

    return np.asarray(run(jax.random.key(seed)))


@pytest.mark.parametrize(
    ("key_words", "counter", "cipher"),
    [
        (("0", "0"), ("0", "0"), ("6b200159", "99ba4efe")),
        (("ffffffff",) * 2, ("ffffffff",) * 2, ("1cb996fc", "bb002be7")),
        (("13198a2e", "03707344"), ("243f6a88", "85a308d3"), ("c4923a9c", "483df7a0")),
    ],
)
def test_threefry_gives_the_known_answers_of_random123(key_words, counter, cipher):
    assert threefry_2x32(words(*key_words), words(*counter)) == words(*cipher)


def test_threefry_is_that_of_jax_bit_for_bit():
    rng = np.random.default_rng(1)
    key, counter = rng.integers(0, 2**32, (2, 2, 1000), dtype=np.uint32)
    mine = threefry_2x32(tuple(jnp.asarray(key[:, :1])), tuple(jnp.asarray(counter)))
    theirs = jax.extend.random.threefry_2x32(jnp.asarray(key[:, 0]), jnp.asarray(counter.ravel()))
    np.testing.assert_array_equal(jnp.concatenate(mine), theirs)


def test_threefry_broadcasts_keys_over_counters():
    key = (jnp.arange(3, dtype=jnp.uint32)[None], jnp.full((1, 3), 9, jnp.uint32))
    counter = (jnp.full((1, 1), 4, jnp.uint32), jnp.arange(5, dtype=jnp.uint32)[:, None])
    together = threefry_2x32(key, counter)
    alone = threefry_2x32((jnp.uint32(2), jnp.uint32(9)), (jnp.uint32(4), jnp.uint32(3)))
    assert together[0].shape == (5, 3)
    assert (together[0][3, 2], together[1][3, 2]) == alone


def test_triple32_is_that_of_its_definition_and_a_bijection():
    """Against integers without end, and no two of 2^20 words spread over all of them alike."""

    def reference(x):
        for shift, factor in ((17, 0xED5AD4BB), (11, 0xAC4C1B51), (15, 0x31848BAB)):
            x = ((x ^ (x >> shift)) * factor) % 2**32
        return x ^ (x >> 14)

    some = [0, 1, 2, 0x80000000, 0xFFFFFFFF, 123456789]
    found = triple32(jnp.asarray(some, jnp.uint32))
    assert found.tolist() == [reference(x) for x in some]
    many = jnp.arange(2**20, dtype=jnp.uint32) * jnp.uint32(4093)
    assert len(np.unique(triple32(many))) == 2**20


def test_each_bit_of_a_number_turns_half_of_the_bits_of_its_word():
    """Avalanche: of 2^18 pairs, to 0.02 (the hash's bias) and 4 standard errors."""
    numbers = jnp.asarray(np.random.default_rng(0).integers(0, 2**32, 2**18, dtype=np.uint32))
    places = np.arange(32, dtype=np.uint32)
    for bit in range(32):
        turned = np.asarray(triple32(numbers) ^ triple32(numbers ^ jnp.uint32(1 << bit)))
        share = [np.mean((turned >> place) & 1) for place in places]
        assert np.abs(np.asarray(share) - 0.5).max() < 0.02 / 2 + 4 * 0.5 / 2**9, bit


def test_normals_follow_the_normal_law(generator, dtype):
    z = draw(generator, "normals", ROWS, dtype)
    assert z.dtype == dtype
    assert z.shape == (STEPS, ROWS, TRAJECTORIES)
    z = z.ravel().astype(float)
    assert stats.kstest(z, "norm").pvalue > 1e-4
    # <z^n> to 4 standard errors: Var z^n = <z^2n> - <z^n>^2 with <z^2n> = (2n-1)!!
    for power, moment, second in ((1, 0, 1), (2, 1, 3), (3, 0, 15), (4, 3, 105), (6, 15, 10395)):
        error = np.sqrt((second - moment**2) / z.size)
        assert abs(np.mean(z**power) - moment) < 4 * error, power


def test_normals_have_the_tails_of_the_normal_law(generator, dtype):
    z = draw(generator, "normals", 250, dtype, steps=80).ravel()
    for reach in (3.0, 4.0):
        for tail, expected in (
            (z > reach, stats.norm.sf(reach)),
            (z < -reach, stats.norm.sf(reach)),
        ):
            mean = expected * z.size
            assert abs(tail.sum() - mean) < 4 * np.sqrt(mean)
    assert np.isfinite(z).all()


@pytest.mark.parametrize("power", [1, 2])
def test_normals_are_independent_between_trajectories_steps_and_rows(generator, dtype, power):
    z = draw(generator, "normals", ROWS, dtype).astype(float) ** power
    other = draw(generator, "normals", ROWS, dtype, purpose=2).astype(float) ** power
    pairs = {"purpose": (z, other)}
    for axis, name in enumerate(("step", "row", "trajectory")):
        pairs[name] = (np.delete(z, -1, axis), np.delete(z, 0, axis))
    for name, (a, b) in pairs.items():
        correlation = np.corrcoef(a.ravel(), b.ravel())[0, 1]
        assert abs(correlation) < 4 / np.sqrt(a.size), name  # 4 standard errors


def test_normals_repeat_nowhere(generator):
    z = draw(generator, "normals", ROWS, jnp.float32)
    both = np.concatenate(
        [z.ravel(), draw(generator, "normals", ROWS, jnp.float32, purpose=2).ravel()]
    )
    # 32 + 23 bits make each value: chance repeats are few, a shared stream would repeat thousands
    assert both.size - np.unique(both).size < 0.02 * both.size


def test_each_bit_is_unbiased_and_independent_of_the_others(generator):
    bits = draw(generator, "bits", ROWS).ravel()
    assert bits.dtype == np.uint32
    signs = 2.0 * ((bits[:, None] >> np.arange(32, dtype=np.uint32)) & 1) - 1
    error = 1 / np.sqrt(bits.size)
    assert np.abs(signs.mean(0)).max() < 4.5 * error
    cross = signs.T @ signs / bits.size - np.eye(32)
    assert np.abs(cross).max() < 5 * error  # 496 pairs


@pytest.mark.parametrize("method", ["bits", "normals"])
def test_a_trajectory_has_its_stream_whatever_the_others(generator, method, dtype):
    args = (ROWS, dtype) if method == "normals" else (ROWS,)
    everyone = draw(generator, method, *args)
    few = draw(generator, method, *args, indices=(93, 5))
    np.testing.assert_array_equal(few, everyone[..., [93, 5]])


def test_streams_differ_with_the_key(generator):
    other = draw(generator, "bits", ROWS, seed=21)
    assert (draw(generator, "bits", ROWS) == other).mean() < 1e-3


def test_trajectory_keys_are_distinct():
    key = jax.random.key(20)
    data = [
        tuple(np.asarray(jax.random.key_data(trajectory_key(key, index, purpose))))
        for index in range(5)
        for purpose in range(3)
    ]
    assert len(set(data)) == len(data)


def test_both_of_a_pair_are_normal_and_independent(generator, dtype):
    """KS, p > 1e-4 each; correlations of the values and of their squares to 4 standard errors."""
    pairs = draw(generator, "normal_pairs", ROWS, dtype)
    assert pairs.dtype == dtype
    assert pairs.shape == (2, STEPS, ROWS, TRAJECTORIES)
    first, second = pairs.reshape(2, -1).astype(float)
    for z in (first, second):
        assert stats.kstest(z, "norm").pvalue > 1e-4
        assert abs(np.mean(z**4) - 3) < 4 * np.sqrt(96 / z.size)
    for a, b in ((first, second), (first**2, second**2), (first, second**2), (first**2, second)):
        assert abs(np.corrcoef(a, b)[0, 1]) < 4 / np.sqrt(a.size)
    neighbours = pairs[:, :, 1:].ravel(), pairs[:, :, :-1].ravel()
    assert abs(np.corrcoef(*neighbours)[0, 1]) < 4 / np.sqrt(neighbours[0].size)


def test_pairs_are_numbered(generator, dtype):
    """Pairs 3 ... 12 are the same whether they are drawn with the others or alone."""
    everyone = draw(generator, "normal_pairs", ROWS, dtype)
    some = draw(generator, "normal_pairs", 10, dtype, first=3)
    np.testing.assert_array_equal(some, everyone[:, :, 3:13])
    assert (some != everyone[:, :, :10]).mean() > 0.999


DEGREES = (1.0, 2.0, 3.0, 7.0, 98.0, 1e9 - 2)


@functools.cache
def chi_squares(generator, dtype, indices=tuple(range(TRAJECTORIES)), steps=200, first=0):
    """`[degrees, step, trajectory]` of χ²_n/n, as NumPy."""

    @jax.jit
    def run(key):
        streams = trajectory_streams(key, jnp.asarray(indices), 1, generator)
        degrees = jnp.asarray(DEGREES, dtype)

        def ratios(step):
            return streams.at(step).chi_square_ratios(first, degrees, degrees[:, None])

        return jnp.moveaxis(jax.lax.map(ratios, jnp.arange(steps)), 1, 0)

    return np.asarray(run(jax.random.key(21)))


@pytest.mark.parametrize("i", range(len(DEGREES)))
def test_chi_squares_follow_their_law(generator, dtype, i):
    """20000 of each by Kolmogorov and Smirnov; a false alarm has probability 1e-4 each."""
    n = float(np.asarray(DEGREES[i], dtype))
    ratios = chi_squares(generator, dtype)[i].ravel()
    assert ratios.dtype == dtype
    law = stats.chi2(n, scale=1 / n)
    assert stats.kstest(ratios.astype(float), law.cdf).pvalue > 1e-4


def test_chi_squares_of_a_billion_degrees_keep_their_width(generator, dtype):
    """(χ²_n/n - 1)/√(2/n) has mean 0 and variance 1, to 4 standard errors, in float32 too."""
    deviation = (chi_squares(generator, dtype)[-1].ravel().astype(float) - 1) / np.sqrt(2e-9)
    assert abs(deviation.mean()) < 4 / np.sqrt(deviation.size)
    assert abs(deviation.var() - 1) < 4 * np.sqrt(2 / deviation.size)


def test_chi_squares_are_independent_of_each_other(generator, dtype):
    """Rank correlations of rows, neighbouring steps and trajectories to 4.5 standard errors."""
    ranks = stats.rankdata(chi_squares(generator, dtype).reshape(len(DEGREES), -1), axis=1)
    cross = np.corrcoef(ranks) - np.eye(len(DEGREES))
    assert np.abs(cross).max() < 4.5 / np.sqrt(ranks.shape[1])
    ranks = ranks.reshape(len(DEGREES), 200, TRAJECTORIES)
    for axis in (1, 2):
        for row in ranks:
            a, b = np.delete(row, 0, axis - 1), np.delete(row, -1, axis - 1)
            assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4.5 / np.sqrt(a.size)


def test_a_chi_square_is_the_same_whatever_the_others(generator, dtype):
    """However many attempts the others need: bit for bit."""
    indices = (93, 5, *range(20, 34))
    np.testing.assert_array_equal(
        chi_squares(generator, dtype, indices), chi_squares(generator, dtype)[..., indices]
    )


def test_chi_squares_carry_no_derivative():
    streams = trajectory_streams(jax.random.key(0), jnp.arange(3), 1)

    def total(degrees):
        return jnp.sum(streams.at(jnp.asarray(0)).chi_square_ratios(0, degrees, degrees[0]))

    assert (jax.jit(jax.grad(total))(jnp.asarray([5.0, 1.5])) == 0).all()


def test_the_remainder_of_the_logarithm_does_not_cancel(dtype):
    """ln(1 + t) - t + t²/2 - t³/3 against its series, or its formula where |t| > ½."""
    size = np.concatenate([np.geomspace(1e-6, 0.9, 300), [0.2999999, 0.3, 0.3000001]])
    t = np.concatenate([-size, size, [2.0, 30.0, -0.999]]).astype(dtype)
    x, power = t.astype(float), np.arange(80, 3, -1)[:, None]
    series = np.sum(-((-np.where(np.abs(x) < 0.5, x, 0.0)) ** power) / power, axis=0)
    formula = np.log1p(x) - x + x**2 / 2 - x**3 / 3
    exact = np.where(np.abs(x) < 0.5, series, formula)
    found = jax.jit(_log1p_remainder)(jnp.asarray(t))
    assert found.dtype == dtype
    np.testing.assert_allclose(found, exact, rtol=5e-5 if dtype == np.float32 else 1e-9)
    assert _log1p_remainder(jnp.zeros((), dtype)) == 0


def test_float64_logarithms_and_turns_are_exact_to_a_few_roundings():
    with jax.enable_x64(True):
        random = np.random.default_rng(0)
        uniform = np.concatenate([random.uniform(size=10**5), 2.0 ** -random.uniform(0, 54, 10**4)])
        uniform = np.concatenate([uniform, [2.0**-54, 0.5, 2**-0.5, 1 - 2.0**-53]])
        logarithm = np.asarray(_log_float64(jnp.asarray(uniform)))
        np.testing.assert_allclose(logarithm, np.log(uniform), rtol=1e-15)
        turn = np.concatenate([random.uniform(size=10**5), np.arange(17) / 16])
        cosine, sine = _turned_float64(jnp.asarray(turn))
        np.testing.assert_allclose(cosine, np.cos(2 * np.pi * turn), atol=1e-15)
        np.testing.assert_allclose(sine, np.sin(2 * np.pi * turn), atol=1e-15)
