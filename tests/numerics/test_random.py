import functools

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from thermoml.numerics._random import threefry_2x32, trajectory_key, trajectory_streams

TRAJECTORIES, STEPS, ROWS = 100, 40, 25


def words(*hexadecimal):
    return tuple(jnp.uint32(int(word, 16)) for word in hexadecimal)


@functools.cache
def draw(method, *args, seed=20, indices=tuple(range(TRAJECTORIES)), purpose=1, steps=STEPS):
    """`[step, row, trajectory]` of a method of the streams, as NumPy."""

    @jax.jit
    def run(key):
        streams = trajectory_streams(key, jnp.asarray(indices), purpose)
        return jax.vmap(lambda n: getattr(streams, method)(n, *args))(jnp.arange(steps))

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


def test_normals_follow_the_normal_law(dtype):
    z = draw("normals", ROWS, dtype)
    assert z.dtype == dtype
    assert z.shape == (STEPS, ROWS, TRAJECTORIES)
    z = z.ravel().astype(float)
    assert stats.kstest(z, "norm").pvalue > 1e-4
    # <z^n> to 4 standard errors: Var z^n = <z^2n> - <z^n>^2 with <z^2n> = (2n-1)!!
    for power, moment, second in ((1, 0, 1), (2, 1, 3), (3, 0, 15), (4, 3, 105), (6, 15, 10395)):
        error = np.sqrt((second - moment**2) / z.size)
        assert abs(np.mean(z**power) - moment) < 4 * error, power


def test_normals_have_the_tails_of_the_normal_law(dtype):
    z = draw("normals", 250, dtype, steps=80).ravel()
    for reach in (3.0, 4.0):
        for tail, expected in (
            (z > reach, stats.norm.sf(reach)),
            (z < -reach, stats.norm.sf(reach)),
        ):
            mean = expected * z.size
            assert abs(tail.sum() - mean) < 4 * np.sqrt(mean)
    assert np.isfinite(z).all()


@pytest.mark.parametrize("power", [1, 2])
def test_normals_are_independent_between_trajectories_steps_and_rows(dtype, power):
    z = draw("normals", ROWS, dtype).astype(float) ** power
    other = draw("normals", ROWS, dtype, purpose=2).astype(float) ** power
    pairs = {"purpose": (z, other)}
    for axis, name in enumerate(("step", "row", "trajectory")):
        pairs[name] = (np.delete(z, -1, axis), np.delete(z, 0, axis))
    for name, (a, b) in pairs.items():
        correlation = np.corrcoef(a.ravel(), b.ravel())[0, 1]
        assert abs(correlation) < 4 / np.sqrt(a.size), name  # 4 standard errors


def test_normals_repeat_nowhere():
    z = draw("normals", ROWS, jnp.float32)
    both = np.concatenate([z.ravel(), draw("normals", ROWS, jnp.float32, purpose=2).ravel()])
    # 32 + 23 bits make each value: chance repeats are few, a shared stream would repeat thousands
    assert both.size - np.unique(both).size < 0.02 * both.size


def test_each_bit_is_unbiased_and_independent_of_the_others():
    bits = draw("bits", ROWS).ravel()
    assert bits.dtype == np.uint32
    signs = 2.0 * ((bits[:, None] >> np.arange(32, dtype=np.uint32)) & 1) - 1
    error = 1 / np.sqrt(bits.size)
    assert np.abs(signs.mean(0)).max() < 4.5 * error
    cross = signs.T @ signs / bits.size - np.eye(32)
    assert np.abs(cross).max() < 5 * error  # 496 pairs


@pytest.mark.parametrize("method", ["bits", "normals"])
def test_a_trajectory_has_its_stream_whatever_the_others(method, dtype):
    args = (ROWS, dtype) if method == "normals" else (ROWS,)
    everyone = draw(method, *args)
    few = draw(method, *args, indices=(93, 5))
    np.testing.assert_array_equal(few, everyone[..., [93, 5]])


def test_streams_differ_with_the_key():
    other = draw("bits", ROWS, seed=21)
    assert (draw("bits", ROWS) == other).mean() < 1e-3


def test_trajectory_keys_are_distinct():
    key = jax.random.key(20)
    data = [
        tuple(np.asarray(jax.random.key_data(trajectory_key(key, index, purpose))))
        for index in range(5)
        for purpose in range(3)
    ]
    assert len(set(data)) == len(data)
