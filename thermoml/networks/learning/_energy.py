"""The interface of energies: the loss as potential energy of a model's parameters."""

import abc
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from ...numerics.arrays import as_parameter, is_concrete
from ...numerics.types import AnyArray

if TYPE_CHECKING:  # pyright knows it by this name alone
    from typing import ClassVar as AbstractClassVar
else:
    from equinox import AbstractClassVar


class AbstractEnergy(eqx.Module):
    r"""The energy of a model on data, a mean over its n examples.

    $$E = \frac1n\sum_{i=1}^n\ell(f_i, y_i)$$

    f the model's outputs, y the targets. Call it with both: `energy(outputs, targets)`, outputs
    `(n,)` or `(n, outputs)`.

    Subclass it with `loss` and `classifies`; all algorithms then work by sampling, automatic
    differentiation and descent. Closed forms for linear models are functions of
    `thermoml.networks.learning`, registered in the energy's own file by single dispatch on its
    class (as in `energies/mean_squared_error.py`):

    | function | default |
    |---|---|
    | `linear_minimum` | descent; an error where the energy proves not to be convex |
    | `linear_expectation` | a mean of samples |
    | `is_harmonic` | no: trained states are sampled |
    | `check_bounded` | every minimum that descent finds is checked |
    | `expectation_limit` | quadrature |

    Attributes:
        classifies: whether the targets are labels 0, 1, …

    Example:
        >>> class Huber(AbstractEnergy):
        ...     classifies = False
        ...     def loss(self, output, target):
        ...         away = jnp.abs(output - target)
        ...         return jnp.where(away < 1, away**2 / 2, away - 0.5)
    """

    classifies: AbstractClassVar[bool]

    @abc.abstractmethod
    def loss(self, output: Float[Array, "..."], target: Any) -> Float[Array, ""]:
        """ℓ(f, y) of one example; the output has shape `()` or `(outputs,)`."""

    def __call__(self, outputs: Real[AnyArray, "..."], targets: Any) -> Float[Array, ""]:
        """E, a scalar.

        Raises:
            ValueError, TypeError: outputs and targets that do not belong together.
        """
        outputs, targets = as_parameter(outputs), jnp.asarray(targets)
        self.check(outputs.shape, targets)
        return jnp.mean(jax.vmap(self.loss)(outputs, targets))

    def check(self, shape: tuple[int, ...], targets: Any) -> None:
        """An error unless outputs of this shape can be compared with the targets."""
        if len(shape) not in (1, 2) or 0 in shape:
            raise ValueError(
                f"outputs must have shape (n,) or (n, outputs) with at least one row, got {shape}"
            )
        if np.ndim(targets) == 0 or shape[0] != np.shape(targets)[0]:
            raise ValueError(
                f"targets must belong to the {shape[0]} outputs, one for each, got shape "
                f"{np.shape(targets)}"
            )
        (check_labels if self.classifies else _check_values)(shape, targets)


def _check_values(shape: tuple[int, ...], targets: Any) -> None:
    if not jnp.issubdtype(jnp.result_type(targets), jnp.number):
        raise TypeError(f"targets of a regression must be numbers, got {targets!r}")
    if np.shape(targets) not in (shape, shape[:1] if shape[1:] in ((), (1,)) else shape):
        raise ValueError(f"targets must have the outputs' shape {shape}, got {np.shape(targets)}")


def check_labels(shape: tuple[int, ...], targets: Any) -> None:
    """An error unless the targets are labels that outputs of this shape can tell apart."""
    if np.ndim(targets) != 1:
        raise ValueError(
            f"targets of a classification must be labels of shape ({shape[0]},), got shape "
            f"{np.shape(targets)}; turn one-hot rows into labels with argmax"
        )
    n_classes = 2 if shape[1:] in ((), (1,)) else shape[1]
    kind = jnp.result_type(targets)
    if not is_concrete(targets):
        if not jnp.issubdtype(kind, jnp.integer) and kind != jnp.bool_:
            raise TypeError(f"labels must be integers 0 … {n_classes - 1}, got {kind}")
        return
    values = np.asarray(targets)
    if not np.array_equal(values, np.round(values)):
        worst = int(np.argmax(values != np.round(values)))
        raise ValueError(
            f"a classification needs labels 0 … {n_classes - 1}, got {values[worst]:g} in row "
            f"{worst}; use MeanSquaredError or MeanAbsoluteError for a regression"
        )
    if values.min() < 0 or values.max() >= n_classes:
        worst = int(np.argmax((values < 0) | (values >= n_classes)))
        hint = (
            "labels -1 and 1 become 0 and 1 by (y + 1) / 2"
            if values.min() == -1
            else ("give the model one output for each class")
        )
        raise ValueError(
            f"labels must lie in 0 … {n_classes - 1} for outputs of shape {shape}, got "
            f"{values[worst]:g} in row {worst}; {hint}"
        )


def residual(output: Float[Array, "..."], target: Any) -> Float[Array, "..."]:
    """f - y of one example of a regression, in the shape and precision of the output."""
    return output - jnp.asarray(target, output.dtype).reshape(output.shape)
