"""The perceptron, its errors, and the information of its predictions."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import xlogy
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from ...numerics.arrays import as_parameter
from ...numerics.checks import check_bound, parameter


def _vectors(name: str, weights: ArrayLike) -> Float[Array, "... N"]:
    """Weights as an array; ValueError if they have no axis of inputs."""
    array = as_parameter(weights, name)
    if array.ndim == 0 or array.shape[-1] == 0:
        raise ValueError(f"{name} must have shape (..., N) with N >= 1, got {array.shape}")
    return array


class Perceptron(eqx.Module):
    r"""$\hat\sigma(\xi) = \operatorname{sgn}(w\cdot\xi/\sqrt N)$, with sgn 0 = +1.

    Args:
        weights: w, shape `(..., N)`; leading axes are a batch of perceptrons.
    """

    weights: Float[Array, "... N"] = eqx.field(converter=lambda x: _vectors("weights", x))

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


def _pair(
    student: Perceptron | ArrayLike, teacher: Perceptron | ArrayLike
) -> tuple[Float[Array, "... N"], Float[Array, "... N"]]:
    """The weights of student and teacher; ValueError if they do not broadcast."""
    a, b = (
        perceptron.weights if isinstance(perceptron, Perceptron) else _vectors(name, perceptron)
        for name, perceptron in (("student", student), ("teacher", teacher))
    )
    leading = all(
        1 in pair or pair[0] == pair[1]
        for pair in zip(a.shape[-2::-1], b.shape[-2::-1], strict=False)
    )
    if a.shape[-1] != b.shape[-1] or not leading:
        raise ValueError(
            "student and teacher must have as many weights, and leading axes that broadcast, got "
            f"shapes {a.shape} and {b.shape}"
        )
    return a, b


def generalization_error(
    student: Perceptron | ArrayLike, teacher: Perceptron | ArrayLike
) -> Float[Array, "..."]:
    r"""$\varepsilon = \theta_0/\pi$ with θ₀ the angle between student and teacher.

    The probability of a wrong prediction on a random isotropic input (Gaussian at any N, ±1 as
    N → ∞). Accurate at small angles: θ₀ = 2 atan2(|a - b|, |a + b|), a and b the unit vectors
    (Kahan); 3e-7 in float32, 1e-15 in float64, for all but the smallest angles relative too.

    Args:
        student, teacher: perceptrons or their weights, shape `(..., N)`; leading axes broadcast.

    Returns:
        ε in [0, 1], shape `(...)`. A student of zero weights predicts +1 always: ε = 1/2. NaN for a
        teacher of zero weights, which has no direction. Where student and teacher are parallel ε
        has a cone's tip, and its gradient is 0, as that of |x| at 0.
    """
    a, b = jnp.broadcast_arrays(*_pair(student, teacher))
    blank = jnp.all(a == 0, axis=-1)
    a, b = _direction(jnp.where(blank[..., None], jnp.ones_like(a), a)), _direction(b)
    error = 2 * wrong_fraction(_length(a - b), _length(a + b))
    return jnp.where(blank & ~jnp.isnan(error), 0.5, error)


def _direction(vectors: Float[Array, "... N"]) -> Float[Array, "... N"]:
    """v/|v|, of the smallest and largest numbers too."""
    vectors = vectors / jax.lax.stop_gradient(jnp.max(jnp.abs(vectors), axis=-1, keepdims=True))
    return vectors / _length(vectors)[..., None]


def _length(vectors: Float[Array, "... N"]) -> Float[Array, "..."]:
    """|v|, with the derivative 0 at v = 0."""
    return safe_root(jnp.sum(vectors**2, axis=-1))


def safe_root(square: Float[Array, "..."]) -> Float[Array, "..."]:
    """√x, with the derivative 0 at x = 0."""
    positive = square > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1)), square)


def wrong_fraction(across: Float[Array, "..."], along: Float[Array, "..."]) -> Float[Array, "..."]:
    """ε = arctan2(across, along)/π of a student; 1/2 for zero weights, which always predict +1."""
    blank = (across == 0) & (along == 0)
    angle = jnp.arctan2(across, jnp.where(blank, 1, along)) / jnp.pi
    return jnp.where(blank, 0.5, angle)


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
    student, teacher = map(Perceptron, _pair(student, teacher))
    inputs = parameter("inputs")(inputs).astype(student.weights.dtype)
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
        Nats per label, of the same shape, to 1e-6 relative in float32 (1e-15 in float64) at any ε.
        The slope is ln ε - ln(1 - ε), infinite at 0 and 1.

    Raises:
        ValueError: ε outside [0, 1].

    Source: Goldt and Seifert 2017, arXiv:1611.09428, eq. 2 and below.
    """
    error = as_parameter(error, "error")
    check_bound("error", error, ">=", 0.0)
    check_bound("error", error, "<=", 1.0)
    return _label_information(error)


@jax.custom_jvp
def _label_information(error: Float[Array, "..."]) -> Float[Array, "..."]:
    """½[(1+x)ln(1+x) + (1-x)ln(1-x)] with x = 1 - 2ε near 1/2, where the terms cancel."""
    x = 1 - 2 * error
    near = jnp.abs(x) < 0.5
    x = jnp.where(near, x, 0)
    # (1+x) ln(1+x) + (1-x) ln(1-x) = ln(1-x²) + 2x artanh x
    close = (jnp.log1p(-(x**2)) + 2 * x * jnp.arctanh(x)) / 2
    far = jnp.log(2.0).astype(error.dtype) + xlogy(error, error) + xlogy(1 - error, 1 - error)
    return jnp.where(near, close, far)


@_label_information.defjvp
def _slope_of_information(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    """ln ε - ln(1 - ε): infinite at 0 and 1."""
    (error,), (change,) = primals, tangents
    return _label_information(error), (jnp.log(error) - jnp.log1p(-error)) * change
