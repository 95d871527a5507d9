"""Activations by name, each with its kinks: the points where it or a derivative jumps."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...numerics.arrays import is_concrete
from ...numerics.checks import parameter
from ...numerics.choices import check_choice
from ...numerics.types import Numbers

Kinks = Numbers


class Activation(NamedTuple):
    r"""An activation $\phi$ with its kinks, and itself a function of arrays.

    One object serves a network and its theory, and needs no `kinks=` there:

        own = tml.networks.Activation(lambda z: jnp.maximum(z, -0.5), kinks=(-0.5,))
        network = eqx.nn.MLP(3, "scalar", 8, 2, activation=own, key=key)
        tml.work_efficiency(own, 1.0)

    With `tml.networks.ACTIVATIONS["own"] = own` it is known by name in this process; a config
    names it `module:own`.

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
    "celu": Activation(jax.nn.celu),
    "relu6": Activation(jax.nn.relu6, (0.0, 6.0)),
    "hard_sigmoid": Activation(jax.nn.hard_sigmoid, (-3.0, 3.0)),
    "hard_silu": Activation(jax.nn.hard_silu, (-3.0, 3.0)),
    "log_sigmoid": Activation(jax.nn.log_sigmoid),
    "squareplus": Activation(jax.nn.squareplus),
    "sparse_plus": Activation(jax.nn.sparse_plus, (-1.0, 1.0)),
    "sparse_sigmoid": Activation(jax.nn.sparse_sigmoid, (-1.0, 1.0)),
}


def as_activation(
    activation: str | Callable[[Array], Array], kinks: Kinks | None = None
) -> Activation:
    """A name of `ACTIVATIONS`, a function or an `Activation`, checked, as a plain `Activation`.

    Args:
        activation: φ.
        kinks: of φ. If None, those of an `Activation`, those of a function in the table, and 0 for
            any other function.

    Raises:
        TypeError: an activation that is not applied to each element.
        ValueError: an unknown name.
    """
    if isinstance(activation, str):
        check_choice("activation", activation, ACTIVATIONS)
        activation = ACTIVATIONS[activation]
    if not isinstance(activation, Activation):
        listed = (entry for entry in ACTIVATIONS.values() if entry.function is activation)
        activation = next(listed, Activation(activation))
    _check_elementwise(activation.function)
    if kinks is None:
        return activation
    parameter("kinks")(kinks)
    return activation._replace(kinks=kinks)


def _check_elementwise(function: Callable[[Array], Array]) -> None:
    """TypeError unless the function acts on each element of an array by itself."""
    if not callable(function):
        raise TypeError(f"activation must be a name or callable, got {function!r}")
    probe = jnp.linspace(-2.0, 2.0, 5)
    try:
        together = function(probe)
        alone = [function(probe[i : i + 1]) for i in range(5)]
    except Exception as error:
        raise TypeError(f"activation must take an array of any length: {error}") from error
    shapes = [np.shape(together), *(np.shape(x) for x in alone)]
    if shapes != [(5,)] + [(1,)] * 5:
        raise TypeError(
            f"activation must be elementwise, but of shape (5,) it makes {shapes[0]}; functions "
            "such as softmax or GLU are no engines of single units"
        )
    if is_concrete((together, alone)):
        joined = np.concatenate([np.asarray(x) for x in alone])
        if not np.allclose(joined, np.asarray(together), rtol=1e-4, atol=1e-6, equal_nan=True):
            raise TypeError(
                "activation must be elementwise, but its value at one number depends on the "
                "others; functions such as softmax are no engines of single units"
            )
