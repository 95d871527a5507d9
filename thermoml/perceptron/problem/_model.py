"""The perceptron, its errors, and the information of its predictions."""

import equinox as eqx
import jax.numpy as jnp
from jax.scipy.special import xlogy
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from ...numerics.arrays import as_parameter
from ...numerics.checks import check_bound


class Perceptron(eqx.Module):
    r"""$\hat\sigma(\xi) = \operatorname{sgn}(w\cdot\xi/\sqrt N)$, with sgn 0 = +1.

    Args:
        weights: w, shape `(..., N)`; leading axes are a batch of perceptrons.
    """

    weights: Float[Array, "... N"] = eqx.field(converter=as_parameter)

    def activation(self, inputs: ArrayLike) -> Float[Array, "..."]:
        """λ = w·ξ/√N.

        Args:
            inputs: ξ, shape `(..., N)`; leading axes broadcast against those of the weights.

        Raises:
            ValueError: inputs of another N.

        Cost: O(N) per input.
        """
        inputs = jnp.asarray(inputs, self.weights.dtype)
        if inputs.ndim == 0 or inputs.shape[-1] != self.weights.shape[-1]:
            raise ValueError(
                f"inputs must have {self.weights.shape[-1]} components along the last axis, "
                f"got shape {inputs.shape}"
            )
        product = jnp.einsum("...n,...n->...", *jnp.broadcast_arrays(self.weights, inputs))
        return product / self.weights.shape[-1] ** 0.5

    def __call__(self, inputs: ArrayLike) -> Float[Array, "..."]:
        """The prediction σ̂ = ±1; arguments as of `activation`."""
        activation = self.activation(inputs)
        return jnp.where(activation < 0, -jnp.ones_like(activation), 1)


def _weights(perceptron: Perceptron | ArrayLike) -> Float[Array, "... N"]:
    return perceptron.weights if isinstance(perceptron, Perceptron) else as_parameter(perceptron)


def generalization_error(
    student: Perceptron | ArrayLike, teacher: Perceptron | ArrayLike
) -> Float[Array, "..."]:
    r"""$\varepsilon = \theta_0/\pi$ with θ₀ the angle between student and teacher.

    The probability of a wrong prediction on a random isotropic input (Gaussian at any N, ±1 as
    N → ∞). Accurate at small angles: θ₀ = 2 atan2(|a - b|, |a + b|), a and b the unit vectors
    (Kahan).

    Args:
        student, teacher: perceptrons or their weights, shape `(..., N)`; leading axes broadcast.

    Returns:
        ε in [0, 1], shape `(...)`; NaN for a zero vector.
    """
    a, b = jnp.broadcast_arrays(_weights(student), _weights(teacher))
    a = a / jnp.linalg.norm(a, axis=-1, keepdims=True)
    b = b / jnp.linalg.norm(b, axis=-1, keepdims=True)
    apart, along = jnp.linalg.norm(a - b, axis=-1), jnp.linalg.norm(a + b, axis=-1)
    return 2 * jnp.arctan2(apart, along) / jnp.pi


def test_error(
    student: Perceptron | ArrayLike, teacher: Perceptron | ArrayLike, inputs: ArrayLike
) -> Float[Array, "..."]:
    """The fraction of inputs on which student and teacher disagree.

    Args:
        student, teacher: perceptrons or their weights, shape `(..., N)`; leading axes broadcast.
        inputs: `(P, N)`.

    Returns:
        Fractions, shape `(...)`.

    Raises:
        ValueError: inputs of another shape.

    Cost: O(P N) for each pair.
    """
    student, teacher = Perceptron(_weights(student)), Perceptron(_weights(teacher))
    inputs = jnp.asarray(inputs, student.weights.dtype)
    if inputs.ndim != 2:
        raise ValueError(f"inputs must have shape (examples, N), got {inputs.shape}")
    labels = [
        Perceptron(p.weights[..., None, :])(
            inputs.reshape((1,) * (p.weights.ndim - 1) + inputs.shape)
        )
        for p in (student, teacher)
    ]
    labels = jnp.broadcast_arrays(*labels)
    return jnp.mean(labels[0] != labels[1], axis=-1, dtype=student.weights.dtype)


# pytest takes a function of this name, imported into a file of tests, for a test.
test_error.__test__ = False  # pyright: ignore[reportFunctionMemberAccess]


def label_information(error: ArrayLike) -> Float[Array, "..."]:
    r"""$I(\sigma:\hat\sigma) = \ln 2 + \varepsilon\ln\varepsilon +
    (1-\varepsilon)\ln(1-\varepsilon)$.

    The mutual information of a label and a prediction that is wrong with probability ε.

    Args:
        error: ε in [0, 1], any shape.

    Returns:
        Nats per label, of the same shape.

    Raises:
        ValueError: ε outside [0, 1].

    Source: Goldt and Seifert 2017, arXiv:1611.09428, eq. 2 and below.
    """
    error = as_parameter(error)
    check_bound("error", error, ">=", 0.0)
    check_bound("error", error, "<=", 1.0)
    return jnp.log(2.0).astype(error.dtype) + xlogy(error, error) + xlogy(1 - error, 1 - error)
