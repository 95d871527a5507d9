"""Kernels: packed bits and picked rows give the products of plain matrices."""

import functools
from math import comb

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml
from thermoml.numerics.random import trajectory_streams
from thermoml.perceptron.kernels import DenseBatch, RowBatch
from thermoml.perceptron.kernels._packed import _project_blocks, _project_fused

M = 5


def streams(n_trajectories=M):
    return trajectory_streams(jax.random.key(3), jnp.arange(n_trajectories), 0)


def draw(inputs, batch, n, dtype=jnp.float32, step=7):
    return inputs.draw(streams().at(step), batch=batch, n_inputs=n, dtype=dtype)


def vectors(n, batch):
    rng = np.random.default_rng(5)
    shapes = ((n, M), (n, 1), (batch, M))
    return [jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes]


def assert_like_dense(packed, n, batch):
    dense = DenseBatch(jnp.moveaxis(packed.unpack(), 0, 1))
    own, shared, coefficients = vectors(n, batch)
    for a, b in zip(packed.project(own, shared), dense.project(own, shared), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-5)
    np.testing.assert_allclose(
        packed.combine(coefficients), dense.combine(coefficients), rtol=0, atol=2e-5
    )


@pytest.mark.parametrize(
    ("batch", "n"), [(1, 3), (30, 25), (32, 26), (33, 26), (33, 100), (70, 26)]
)
def test_packed_products_are_those_of_the_inputs(batch, n):
    packed = draw(tml.perceptron.BinaryInputs(), batch, n)
    assert packed.unpack().shape == (batch, n, M)
    assert (jnp.abs(packed.unpack()) == 1).all()
    assert_like_dense(packed, n, batch)


@pytest.mark.parametrize("n", [3, 25, 26, 100])
def test_both_projections_agree(n):
    words, size = draw(tml.perceptron.BinaryInputs(), 30, n).words[0], 30
    own, shared, _ = vectors(n, size)
    blocks, fused = (p(size, words, own, shared) for p in (_project_blocks, _project_fused))
    for a, b in zip(blocks, fused, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-5)


@pytest.mark.parametrize("batch", [4, 9])
def test_rows_of_a_training_set_are_their_examples(batch):
    examples = np.random.default_rng(0).normal(size=(9, 6)).astype(np.float32)
    rows = draw(tml.TrainingSet(examples), batch, 6)
    assert isinstance(rows, RowBatch)
    np.testing.assert_array_equal(rows.unpack(), np.moveaxis(examples[rows.rows], 2, 1))
    assert_like_dense(rows, 6, batch)
    if batch == 9:
        assert (jnp.sort(rows.rows, axis=0) == jnp.arange(9)[:, None]).all()


def test_many_examples_are_gathered():
    examples = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
    chosen = draw(tml.TrainingSet(examples), 3, 6)
    assert isinstance(chosen, DenseBatch)
    found = (chosen.unpack()[None] == examples[:, None, :, None]).all(axis=2)
    assert (found.sum(axis=0) == 1).all()


@pytest.mark.parametrize("inputs", ["binary", "rows"])
def test_products_have_the_derivatives_of_the_dense_ones(inputs):
    examples = np.random.default_rng(0).normal(size=(40, 26)).astype(np.float32)
    kind = tml.perceptron.BinaryInputs() if inputs == "binary" else tml.TrainingSet(examples)
    batch = draw(kind, 5, 26)
    own, shared, coefficients = vectors(26, 5)

    def score(batch, own, shared, coefficients):
        fields = batch.project(own, shared)
        combined = batch.combine(coefficients * jnp.tanh(fields[0]) * fields[1])
        return jnp.sum(jnp.sin(combined))

    plain, kernel = (
        jax.jit(jax.grad(functools.partial(score, b), argnums=(0, 1, 2)))(own, shared, coefficients)
        for b in (DenseBatch(jnp.moveaxis(batch.unpack(), 0, 1)), batch)
    )
    for a, b in zip(kernel, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-3 * float(jnp.abs(b).max()))


def test_packed_inputs_are_unbiased_and_independent():
    """Mean of each bit and of products of pairs: 5 standard errors over 2000 draws."""
    inputs = tml.perceptron.BinaryInputs().draw(
        streams(2000).at(0), batch=33, n_inputs=4, dtype=jnp.float32
    )
    flat = np.asarray(inputs.unpack()).reshape(-1, 2000)
    covariance = flat @ flat.T / 2000 - np.eye(len(flat))
    assert np.abs(flat.mean(axis=1)).max() < 5 / 2000**0.5
    assert np.abs(covariance).max() < 5 / 2000**0.5


def test_gaussian_inputs_are_standard_normal():
    values = np.asarray(draw(tml.perceptron.GaussianInputs(), 70, 100).unpack())
    n = values.size
    assert values.shape == (70, 100, M)
    assert abs(values.mean()) < 4 / n**0.5
    assert abs((values**2).mean() - 1) < 4 * (2 / n) ** 0.5
    assert abs((values**4).mean() - 3) < 4 * (96 / n) ** 0.5


@pytest.mark.parametrize(("n_examples", "batch"), [(5, 2), (5, 3), (6, 1)])
def test_batches_are_uniform_over_all_subsets(n_examples, batch):
    """Chi-square over the subsets below mean + 4.5 standard deviations; no repetition."""
    draws, examples = 20_000, tml.TrainingSet(np.eye(n_examples, dtype=np.float32))
    drawn = examples.draw(streams(draws).at(0), batch=batch, n_inputs=n_examples, dtype=jnp.float32)
    rows = np.sort(np.asarray(drawn.rows), axis=0)
    assert rows.min() >= 0
    assert rows.max() < n_examples
    assert (np.diff(rows, axis=0) > 0).all()
    counts = np.unique(rows, axis=1, return_counts=True)[1]
    expected = draws / len(counts)
    chi_square, freedom = ((counts - expected) ** 2 / expected).sum(), len(counts) - 1
    assert len(counts) == comb(n_examples, batch)
    assert chi_square < freedom + 4.5 * (2 * freedom) ** 0.5
