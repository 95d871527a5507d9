"""Parameters that cover a state: one number for all of it, or one for each part or element."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, PyTree

_FORMS = (
    "must be a number, an array, a function of {argument}, or a pytree of these whose structure "
    "is a prefix of the state's"
)


def parameter_leaves(
    name: str, parameter: PyTree[Any], like: PyTree[Any], *, argument: str
) -> tuple[list[Any], Any]:
    """Numbers, arrays and functions of a parameter, and its structure; else ValueError.

    A callable node is a function, unless the state `like` holds modules of its type: then the node
    is part of the structure.
    """
    node_types = set()

    def note(node):
        node_types.add(type(node))
        return False

    jax.tree.flatten(like, is_leaf=note)
    leaves, structure = jax.tree.flatten(
        parameter, is_leaf=lambda node: callable(node) and type(node) not in node_types
    )
    for leaf in leaves:
        if not (callable(leaf) or eqx.is_array_like(leaf)):
            raise ValueError(f"{name} {_FORMS.format(argument=argument)}, got {leaf!r}")
    return leaves, structure


def over_state(
    name: str, parameter: PyTree[Any], like: PyTree[Any], value: Any, *, argument: str
) -> PyTree[Array]:
    """A parameter as a pytree of the state's structure and dtypes.

    Args:
        name: the parameter's name in errors.
        parameter: a number, an array, a function, or a pytree of these. Each covers the part of
            the state at its place: scalars stay scalars, arrays are broadcast to the leaf's shape.
        like: a state.
        value: the value at which functions are evaluated; they return a parameter of their part.
        argument: the name of that value in errors.

    Raises:
        ValueError: another structure, or an array that does not broadcast.
    """
    leaves, structure = parameter_leaves(name, parameter, like, argument=argument)
    try:
        parts = structure.flatten_up_to(like)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} {_FORMS.format(argument=argument)}: {error}") from None

    def cover(leaf, part):
        if callable(leaf):
            return over_state(name, leaf(value), part, value, argument=argument)
        return jax.tree.map(lambda x: _broadcast(name, leaf, x), part)

    return structure.unflatten([cover(*pair) for pair in zip(leaves, parts, strict=True)])


def as_vector(values: PyTree[Any], like: PyTree[Any]) -> Array:
    """A parameter that covers a state, with a number for each of its elements, as one vector."""
    full = jax.tree.map(lambda value, x: jnp.broadcast_to(value, jnp.shape(x)), values, like)
    return ravel_pytree(full)[0]


def _broadcast(name: str, value: Any, leaf: Any) -> Array:
    array = jnp.asarray(value, jnp.result_type(leaf))
    if array.ndim == 0:
        return array
    try:
        return jnp.broadcast_to(array, jnp.shape(leaf))
    except ValueError:
        raise ValueError(
            f"{name} of shape {array.shape} does not broadcast against a leaf of the state of "
            f"shape {jnp.shape(leaf)}"
        ) from None
