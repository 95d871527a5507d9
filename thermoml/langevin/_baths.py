"""Baths: temperatures and mobilities given for the whole state, leaf by leaf, or in time."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from ..numerics.arrays import is_concrete
from ..numerics.checks import check_bound

_FORMS = (
    "must be a number, an array, a function of time, or a pytree of these whose structure begins "
    "the state's"
)


def spread(name: str, parameter: Any, state: PyTree[Array], t: Array | None) -> PyTree[Array]:
    """`parameter` at time t as a pytree of the state's structure.

    A leaf of `parameter` (a number, an array, or a function of time) covers the part of the state
    that stands at its place. Scalars stay scalars; arrays are broadcast to the leaf's shape.
    """

    def cover(value, part):
        value = value(t) if callable(value) else value

        def fit(leaf):
            array = jnp.asarray(value, leaf.dtype)
            if array.ndim == 0:
                return array
            try:
                return jnp.broadcast_to(array, leaf.shape)
            except ValueError:
                raise ValueError(
                    f"{name} of shape {array.shape} does not broadcast against a leaf of the "
                    f"state of shape {leaf.shape}"
                ) from None

        return jax.tree.map(fit, part)

    try:
        return jax.tree.map(cover, parameter, state, is_leaf=_acts(state))
    except (TypeError, ValueError) as error:
        if "broadcast" in str(error):
            raise
        raise ValueError(f"{name} {_FORMS}: {error}") from None


def _acts(state: PyTree[Array]) -> Any:
    """Whether a node of a parameter is a function of time: callable, and no module of the state."""
    modules = set()

    def note(node):
        modules.add(type(node))
        return False

    jax.tree.flatten(state, is_leaf=note)
    return lambda node: callable(node) and type(node) not in modules


def check_baths(system: Any, state: PyTree[Array], times: Callable[[], Array]) -> Array | None:
    """ValueError for a bath that is negative or not finite, at `times()` if it depends on time.

    Returns None when all is known, else a traced flag: true where a traced bath is out of range.
    """
    flags = []
    for name in ("temperature", "mobility"):
        for leaf in jax.tree.leaves(getattr(system, name), is_leaf=_acts(state)):
            if not (callable(leaf) or eqx.is_array_like(leaf)):
                raise ValueError(f"{name} {_FORMS}, got {leaf!r}")
            values: Any = jax.vmap(leaf)(times()) if callable(leaf) else leaf
            if is_concrete(values):
                check_bound(name, values, ">=", 0.0)
            else:
                flags.append(~jnp.all(jnp.isfinite(values) & (values >= 0)))
    return jnp.any(jnp.stack(flags)) if flags else None


def check_bath_shapes(system: Any, state: PyTree[Array], t: Array) -> None:
    """ValueError for a bath that does not fit one state."""
    for name in ("temperature", "mobility"):
        parameter = getattr(system, name)
        jax.eval_shape(lambda x, t, p=parameter, n=name: spread(n, p, x, t), state, t)
