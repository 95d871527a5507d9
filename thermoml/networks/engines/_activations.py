"""Activations by name, each with its kinks: the points where it or a derivative jumps."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array

Kinks = ArrayLike | Sequence[float]


class Activation(NamedTuple):
    r"""An activation $\phi$ with its kinks, and itself a function of arrays.

    Attributes:
        function: φ, applied to each element: any callable of arrays, also a module whose arrays
            are parameters.
        kinks: where φ or a derivative jumps, in units of the pre-activation.
    """

    function: Callable[[Array], Array]
    kinks: Kinks = (0.0,)

    def __call__(self, z: Array) -> Array:
        return self.function(z)


ACTIVATIONS: dict[str, Activation] = {
    "identity": Activation(jax.nn.identity),
    "relu": Activation(jax.nn.relu),
    "leaky_relu": Activation(jax.nn.leaky_relu),
    "tanh": Activation(jnp.tanh),
    "hard_tanh": Activation(jax.nn.hard_tanh, (-1.0, 1.0)),
    "erf": Activation(jax.scipy.special.erf),
    "sine": Activation(jnp.sin),
    "sigmoid": Activation(jax.nn.sigmoid),
    "softplus": Activation(jax.nn.softplus),
    "softsign": Activation(jax.nn.soft_sign),
    "elu": Activation(jax.nn.elu),
    "selu": Activation(jax.nn.selu),
    "gelu": Activation(jax.nn.gelu),
    "silu": Activation(jax.nn.silu),
    "mish": Activation(jax.nn.mish),
}
