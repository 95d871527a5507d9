"""Generators and kernels beside each other: the same law, and to rounding the same from bits."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parts import exhaustive
from scipy import stats

import thermoml as tml
from thermoml.bench._programs import ordinary_jax
from thermoml.bench._workload import Workload
from thermoml.ensembles import Layout
from thermoml.perceptron.kernels import DenseBatch

pytestmark = pytest.mark.filterwarnings("ignore::thermoml.perceptron.ScaleSeparationWarning")

DT = 0.02


class PlainInputs(tml.perceptron.BinaryInputs):
    """The same ±1 inputs as floats of memory O(B N M), the plain reference."""

    def draw(self, draws, *, batch, n_inputs, dtype):
        packed = super().draw(draws, batch=batch, n_inputs=n_inputs, dtype=dtype)
        return DenseBatch(jnp.moveaxis(packed.unpack(), 0, 1).astype(dtype))


def user_rule():
    return tml.perceptron.CustomRule(lambda s: jnp.exp(-s / 2), continuous=True)


RULES = {
    "hebbian": tml.Hebbian,
    "perceptron": tml.PerceptronRule,
    "adatron": tml.AdaTron,
    "alpha-tron": lambda: tml.AlphaTron(0.5),
    "linear": lambda: tml.perceptron.LinearAlphaTron(0.4),
    "user": user_rule,
}


@functools.cache
def run(name, n_inputs, batch, *, plain=False, generator="hash", dtype=np.float32, seed=0, m=2000):
    """`(R, Q, heat, work)` of a run of 40 steps, `(4, trajectory)`."""
    problem = tml.LearningProblem(
        RULES[name](),
        learning_rate=0.8,
        n_inputs=n_inputs,
        batch=batch,
        inputs=PlainInputs() if plain else "binary",
    )
    curve = tml.learn(
        problem,
        tml.Microscopic(DT, generator=generator),
        t1=40 * DT,
        key=jax.random.key(seed),
        n_trajectories=m,
        teacher=np.random.default_rng(1).normal(size=n_inputs).astype(dtype),
        adjoint=tml.langevin.ForwardMode(),
    )
    shown = (curve.overlap, curve.norm, curve.heat, curve.work)
    return np.stack([np.asarray(x)[:, -1] for x in shown])


@pytest.mark.parametrize(
    "name", ["hebbian", "alpha-tron", *exhaustive("perceptron", "adatron", "linear", "user")]
)
@pytest.mark.parametrize(
    ("n_inputs", "batch"), [(11, 3), pytest.param(60, 33, marks=pytest.mark.exhaustive)]
)
def test_the_packed_kernel_is_the_plain_one_to_rounding(x64, name, n_inputs, batch):
    """Fed the same bits, in float64: a sign at a jump of F could differ, but does not."""
    settings = {"dtype": np.float64, "m": 32}
    packed = run(name, n_inputs, batch, **settings)
    assert packed.dtype == np.float64
    np.testing.assert_allclose(
        packed, run(name, n_inputs, batch, plain=True, **settings), rtol=1e-10, atol=1e-11
    )


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["hebbian", "adatron", "user"])
def test_in_float32_too_where_the_force_does_not_jump(name):
    packed, plain = (run(name, 60, 33, plain=plain, m=32) for plain in (False, True))
    assert packed.dtype == np.float32
    np.testing.assert_allclose(packed, plain, rtol=2e-4, atol=2e-4)


@pytest.mark.optimised
@pytest.mark.parametrize(
    ("name", "n_inputs", "batch"),
    [("alpha-tron", 11, 3), ("perceptron", 40, 30), ("linear", 101, 40)],
)
@pytest.mark.parametrize(
    "other",
    [
        {"generator": "threefry"},
        {"generator": "threefry", "plain": True},
        {"plain": True},
        {"dtype": np.float64},
    ],
    ids=lambda other: "-".join(str(value) for value in other.values()),
)
def test_generators_kernels_and_dtypes_have_one_law(request, name, n_inputs, batch, other):
    """R, Q, heat and work by Kolmogorov and Smirnov, and means and variances to 4.5 errors.

    2000 of each from other keys; 12 cases of 12 numbers: a false alarm in all has probability 2e-3.
    """
    mine = run(name, n_inputs, batch)
    if "dtype" in other:
        request.getfixturevalue("x64")
    theirs = run(name, n_inputs, batch, seed=1, **other)
    for a, b in zip(mine.astype(float), theirs.astype(float), strict=True):
        assert stats.ks_2samp(a, b).pvalue > 1e-5
        error = np.hypot(stats.sem(a), stats.sem(b))
        assert abs(a.mean() - b.mean()) < 4.5 * error
        squares = [(x - x.mean()) ** 2 for x in (a, b)]
        error = np.hypot(*(stats.sem(x) for x in squares))
        assert abs(squares[0].mean() - squares[1].mean()) < 4.5 * error


@pytest.mark.optimised
def test_packed_inputs_need_less_than_a_tenth_of_the_memory():
    """A compiled run of 128 trajectories at N = 1000, B = 30, relative to a plain program."""
    work = Workload(n_trajectories=128, n_inputs=1000, batch=30, steps=20)
    plain = ordinary_jax(work).lower(0).compile().memory_analysis().temp_size_in_bytes
    assert plain > 4 * 128 * 1000 * 30
    problem = tml.LearningProblem(tml.Hebbian(), learning_rate=1.0, n_inputs=1000, batch=30)

    @jax.jit
    def packed(key):
        one_chunk = Layout(chunk=128, n_devices=1)
        level, options = tml.Microscopic(DT), {"n_trajectories": 128, "layout": one_chunk}
        curve = tml.learn(problem, level, t1=20 * DT, key=key, **options)
        return curve.norm, curve.work

    ours = packed.lower(jax.random.key(0)).compile().memory_analysis().temp_size_in_bytes
    assert ours < plain / 10


@pytest.mark.slow
@pytest.mark.parametrize("level", [tml.Microscopic, tml.Reduced])
def test_a_generator_is_the_one_asked_for(level):
    """Noise and inputs of a level, from one key: another generator, other numbers; none by name."""
    problem = tml.LearningProblem(tml.Hebbian(), learning_rate=1.0, n_inputs=11, batch=3)
    how = {"t1": 2 * DT, "key": jax.random.key(0), "n_trajectories": 32}
    named = [tml.learn(problem, level(DT, generator=name), **how) for name in ("hash", "threefry")]
    plain = tml.learn(problem, level(DT), **how)
    for name in ("overlap", "norm", "work"):
        ours, theirs = (np.asarray(getattr(curve, name))[:, -1] for curve in named)
        np.testing.assert_array_equal(ours, getattr(plain, name)[:, -1])
        assert (ours != theirs).all()


@pytest.mark.parametrize("level", [tml.Microscopic, tml.Reduced])
def test_unknown_generators_are_refused(level):
    with pytest.raises(ValueError, match=r'generator must be "hash" or "threefry", got "?\'?lcg'):
        level(0.01, generator="lcg")
