"""Energies against NumPy and SciPy, their derivatives, and the labels that are refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

import thermoml as tml

SQUARED, ABSOLUTE, CROSS = tml.MeanSquaredError(), tml.MeanAbsoluteError(), tml.CrossEntropy()


def binary(outputs, labels):
    """Minus the mean log-likelihood, from the chance of each label."""
    return -np.mean(special.log_expit((2 * np.asarray(labels) - 1) * outputs))


def softmax(outputs, labels):
    return -np.mean(special.log_softmax(outputs, axis=1)[np.arange(len(labels)), labels])


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


LABELS = np.array([0, 1, 1, 0, 1, 1])
CLASSES = np.array([0, 2, 1, 0, 2, 2])
ONE, TWO, THREE = draw(6), draw(6, 2), draw(6, 3)
CASES = {
    "squared": (SQUARED, ONE, draw(6, seed=1), lambda f, y: np.mean((f - y) ** 2) / 2),
    "squared, outputs": (
        SQUARED, TWO, draw(6, 2, seed=1), lambda f, y: np.mean(((f - y) ** 2).sum(1)) / 2
    ),
    "absolute": (ABSOLUTE, ONE, draw(6, seed=1), lambda f, y: np.mean(np.abs(f - y))),
    "absolute, outputs": (
        ABSOLUTE, TWO, draw(6, 2, seed=1), lambda f, y: np.mean(np.abs(f - y).sum(1))
    ),
    "binary": (CROSS, ONE, LABELS, binary),
    "binary, a column": (CROSS, ONE[:, None], LABELS, lambda f, y: binary(f[:, 0], y)),
    "two classes": (CROSS, TWO, LABELS, softmax),
    "three classes": (CROSS, THREE, CLASSES, softmax),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_energies_are_means_over_examples_as_numpy_finds_them(dtype, case):
    energy, outputs, targets, formula = CASES[case]
    kind = jnp.int32 if energy.classifies else dtype
    found = jax.jit(energy)(jnp.asarray(outputs, dtype), jnp.asarray(targets, kind))
    exact = 1e-14 if dtype == jnp.float64 else 1e-6
    np.testing.assert_allclose(found, formula(outputs, targets), rtol=exact)
    assert found.dtype == dtype


def test_cross_entropies_neither_overflow_nor_lose_what_is_small(dtype):
    outputs = jnp.asarray([1e4, -1e4, 1e4, -30.0], dtype)
    each = jax.jit(jax.vmap(CROSS.loss))
    losses = each(outputs, jnp.array([1, 0, 0, 0]))
    np.testing.assert_allclose(losses, [0, 0, 1e4, np.log1p(np.exp(-30.0))], rtol=1e-6, atol=0)
    losses = each(jnp.asarray([[1e4, 0, 0], [0, 0, 1e4]], dtype), jnp.array([0, 1]))
    np.testing.assert_allclose(losses, [0, 1e4], rtol=1e-6, atol=0)


def test_labels_may_be_bool_float_or_integers_of_any_width():
    """And arrays may be NumPy's, outside of jit."""
    expected = binary(ONE, LABELS)
    for labels in (LABELS.astype(bool), LABELS.astype(float), LABELS.astype(np.uint8), [*LABELS]):
        np.testing.assert_allclose(CROSS(ONE, labels), expected, rtol=1e-6)
    np.testing.assert_allclose(CROSS(THREE, CLASSES.astype(float)), softmax(THREE, CLASSES), 1e-6)


def test_two_outputs_are_one_output_by_their_difference(x64):
    one = CROSS(TWO[:, 1] - TWO[:, 0], LABELS)
    np.testing.assert_allclose(CROSS(TWO, LABELS), one, rtol=1e-14)


def test_whole_outputs_do_not_round_the_targets(dtype):
    for energy, expected in ((SQUARED, 0.125), (ABSOLUTE, 0.5)):
        found = energy(jnp.array([1, 2]), [0.5, 1.5])
        np.testing.assert_allclose(found, expected)
        assert found.dtype == dtype


@pytest.mark.parametrize("energy", [SQUARED, ABSOLUTE])
def test_a_column_of_outputs_takes_a_row_of_targets(x64, energy):
    column = energy(ONE[:, None], TWO[:, 0])
    np.testing.assert_allclose(column, energy(ONE, TWO[:, 0]), rtol=1e-14)


@pytest.mark.parametrize("differentiate", [jax.grad, jax.jacfwd])
def test_forces_are_residuals_signs_and_chances(x64, differentiate):
    y = draw(6, seed=1)

    @jax.jit
    def slopes(one, three):
        regressions = [differentiate(energy)(one, y) for energy in (SQUARED, ABSOLUTE)]
        return *regressions, differentiate(CROSS)(one, LABELS), differentiate(CROSS)(three, CLASSES)

    chances = special.softmax(THREE, axis=1) - np.eye(3)[CLASSES]
    expected = ONE - y, np.sign(ONE - y), special.expit(ONE) - LABELS, chances
    for found, slope in zip(slopes(ONE, THREE), expected, strict=True):
        np.testing.assert_allclose(found, slope / 6, rtol=1e-13)


def test_an_energy_of_ones_own_is_its_loss_averaged(x64):
    class Quartic(tml.networks.AbstractEnergy):
        classifies = False

        def loss(self, output, target):
            return jnp.sum((output - target) ** 4)

    np.testing.assert_allclose(Quartic()(TWO, 0 * TWO), np.mean((TWO**4).sum(1)), rtol=1e-14)
    assert not Quartic().classifies
    with pytest.raises(ValueError, match=r"targets must have the outputs' shape \(6, 2\)"):
        Quartic()(TWO, LABELS)


F, F2, F3 = np.zeros(4), np.zeros((4, 2)), np.zeros((4, 3))
WRONG = [
    (SQUARED, 0.0, 0.0, ValueError, r"outputs must have shape \(n,\) or .*got \(\)"),
    (SQUARED, np.zeros((4, 2, 2)), F, ValueError, r"outputs must have shape .*got \(4, 2, 2\)"),
    (SQUARED, np.zeros(0), np.zeros(0), ValueError, r"at least one row, got \(0,\)"),
    (CROSS, np.zeros((0, 3)), np.zeros(0, int), ValueError, r"at least one row, got \(0, 3\)"),
    (SQUARED, F, 1.0, ValueError, r"belong to the 4 outputs, one for each, got shape \(\)"),
    (ABSOLUTE, F, np.zeros(3), ValueError, r"belong to the 4 outputs.*got shape \(3,\)"),
    (SQUARED, F, F2, ValueError, r"targets must have the outputs' shape \(4,\), got \(4, 2\)"),
    (SQUARED, F2, F, ValueError, r"targets must have the outputs' shape \(4, 2\), got \(4,\)"),
    (SQUARED, F2, F3, ValueError, r"targets must have the outputs' shape \(4, 2\), got \(4, 3\)"),
    (ABSOLUTE, F, F > 0, TypeError, "targets of a regression must be numbers"),
    (CROSS, F3, np.eye(4, 3), ValueError, r"shape \(4,\), got shape \(4, 3\).*with argmax"),
    (CROSS, F, np.array([0, 1, 0.5, 1]), ValueError, r"labels 0 … 1, got 0.5 in row 2; use Mean"),
    (CROSS, F, np.array([0, 1, 0, np.nan]), ValueError, "got nan in row 3"),
    (CROSS, F, np.array([1, 1, -1, 1]), ValueError, r"got -1 in row 2; .*by \(y \+ 1\) / 2"),
    (CROSS, F, np.array([0, 1, 2, 1]), ValueError, r"0 … 1 for .*\(4,\), got 2 in row 2; give the"),
    (CROSS, F[:, None], np.array([0, 1, 2, 1]), ValueError, r"0 … 1 for outputs of shape \(4, 1\)"),
    (CROSS, F3, np.array([0, 3, 2, 1]), ValueError, r"lie in 0 … 2 .*got 3 in row 1; give the mod"),
    (CROSS, F3, np.array([0, 1, -2, 1]), ValueError, "got -2 in row 2; give the model"),
]  # fmt: skip


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("energy", "outputs", "targets", "error", "words"), WRONG)
def test_what_does_not_belong_together_is_refused(energy, outputs, targets, error, words):
    with pytest.raises(error, match=words):
        energy(outputs, targets)


def test_traced_labels_are_checked_by_their_kind():
    with pytest.raises(TypeError, match="labels must be integers 0 … 2, got float32"):
        jax.jit(CROSS)(F3, F)
    for labels in (np.zeros(4, int), np.zeros(4, bool)):
        np.testing.assert_allclose(jax.jit(CROSS)(F3, labels), np.log(3), rtol=1e-6)


@pytest.mark.parametrize("labels", [[1.0, 2.0, 0.5], [-1, 1, 1], [0.0, -1.0, 1.0]])
def test_learning_refuses_the_same_labels(labels):
    with pytest.raises(ValueError, match="labels"):
        tml.LinearLearning(CROSS, (np.eye(3), np.array(labels)))


def test_learning_inside_a_trace_knows_its_classes():
    """Labels that are known there count; traced ones would be taken for two classes."""

    def shape(labels):
        return tml.LinearLearning(CROSS, (np.eye(3), labels)).like.shape

    seen = []
    for labels in (np.array([0, 1, 2]), jnp.array([0, 1, 2]), [0.0, 2.0, 1.0], [0, 1, 1]):
        jax.jit(lambda x, labels=labels: seen.append(shape(labels)) or x)(0.0)
    assert seen == [(3, 3), (3, 3), (3, 3), (3,)]
    with pytest.raises(TypeError, match="number of classes of traced labels .*class_names"):
        jax.eval_shape(shape, np.array([0, 1, 2]))
    jax.eval_shape(lambda labels: seen.append(shape(labels)), np.array([True, False, True]))
    named = lambda labels: tml.Data(np.eye(3), labels, class_names=("a", "b", "c"))
    learning = lambda labels: tml.LinearLearning(CROSS, named(labels)).like.shape
    jax.eval_shape(lambda labels: seen.append(learning(labels)), np.array([0, 0, 1]))
    assert seen[4:] == [(3,), (3, 3)]
