"""Cross-entropy: minus the log-likelihood of labels, binary and softmax."""

import jax.numpy as jnp
import numpy as np
from jax.nn import softplus
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float

from ....numerics.normal_uniform import Widths, expected_log_cosh, expected_log_sum_exp, scaled
from .. import (
    AbstractEnergy,
    LinearLearning,
    check_bounded,
    expectation_limit,
    expected_maximum,
    linear_descent,
    linear_expectation,
    linear_minimum,
    matrix_like,
    mean_over_examples,
)


class CrossEntropy(AbstractEnergy):
    r"""Minus the log-likelihood of labels, in nats.

    $$\ell = \ln(1 + e^f) - yf \quad\text{(one output, labels 0 and 1)}, \qquad
      \ell = \ln\sum_c e^{f_c} - f_y \quad\text{(an output for each class)}$$
    """

    classifies = True

    def loss(self, output, target):
        if output.size == 1:
            output = output.reshape(())
            return softplus(output) - output * jnp.asarray(target, output.dtype)
        label = jnp.asarray(target, jnp.int32)
        return logsumexp(output) - jnp.take(output, label)


@linear_minimum.register(CrossEntropy)
def _(energy, system: LinearLearning, start, max_steps):
    """By descent without further checks: the energy is convex, and `check_bounded` is exact."""
    return linear_descent(system, start, max_steps)


@check_bounded.register(CrossEntropy)
def _(energy, system: LinearLearning) -> None:
    if system.n_outputs is not None:
        raise ValueError(
            "the energy of a softmax does not change when all classes shift together, so there is "
            "no trained state; add prior_stiffness > 0"
        )
    if _separable(np.asarray(system.features, float), np.asarray(system.targets)):
        raise ValueError(
            "the classes are separable by a plane: the energy falls for ever along its normal and "
            "there is no trained state; add prior_stiffness > 0"
        )


def _separable(features: np.ndarray, labels: np.ndarray) -> bool:
    """Whether a w has s_i w·x_i >= 0 for all examples, > 0 for one (Albert and Anderson 1984)."""
    from scipy.optimize import linprog

    size = np.linalg.norm(features, axis=1, keepdims=True)
    signed = np.where(labels > 0, 1, -1)[:, None] * features / np.where(size > 0, size, 1)
    solution = linprog(
        -signed.sum(axis=0),
        A_ub=-signed,
        b_ub=np.zeros(len(signed)),
        bounds=(-1, 1),
        method="highs",
    )
    return bool(-solution.fun > 1e-6 * len(signed))  # beyond the feasibility tolerance


@linear_expectation.register(CrossEntropy)
def _(energy, system: LinearLearning, widths: Widths) -> Float[Array, ""]:
    """The expected log-partition function of each example; centred outputs favour no label."""
    rows, size = matrix_like(system).shape
    if system.n_outputs is None:
        full = widths.broadcast_to((rows, size))
        one = Widths(full.normal[0], full.uniform[0])
        return mean_over_examples(lambda x: expected_log_cosh(scaled(x, one)), system.features)
    # Classes drawn from one distribution have one distribution function
    alike = all(w.ndim < 2 or w.shape[0] == 1 for w in widths)
    each = widths.broadcast_to((1 if alike else rows, size))
    return mean_over_examples(
        lambda x: expected_log_sum_exp(scaled(x, each), rows), system.features
    )


@expectation_limit.register(CrossEntropy)
def _(energy, variance: Float[Array, "..."], width, n_classes: int) -> Float[Array, "..."]:
    v = variance
    if n_classes == 2:
        narrow = jnp.log(jnp.full_like(v, 2)) + v / 8
        return narrow if width == "narrow" else jnp.sqrt(v / (2 * jnp.pi))
    if width == "narrow":
        return jnp.log(jnp.full_like(v, n_classes)) + v * (1 - 1 / n_classes) / 2
    return jnp.sqrt(v) * expected_maximum(n_classes).astype(v.dtype)
