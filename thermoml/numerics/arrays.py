"""Casts of parameters and states to one floating dtype."""

import contextlib
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

Tree = TypeVar("Tree")


def default_float() -> Any:
    """float64 when JAX's x64 mode is on, float32 otherwise."""
    return jnp.result_type(float)


def default_int() -> Any:
    """int64 when JAX's x64 mode is on, int32 otherwise."""
    return jnp.result_type(int)


def constant(value: Any, dtype: Any) -> jax.Array:
    """A concrete value as an array that stays concrete inside jit; nothing is compiled."""
    with jax.ensure_compile_time_eval():
        return jnp.asarray(np.asarray(value, dtype))


def argument(value: Any, dtype: Any) -> Any:
    """`value` as an argument of a program; concrete ones stay on the host, which costs nothing."""
    return np.asarray(value, dtype) if is_concrete(value) else jnp.asarray(value, dtype)


def is_concrete(value: Any) -> bool:
    """True when no leaf of `value` is being traced by jit, vmap or grad."""
    try:
        leaves = jax.tree.leaves(value)
    except ValueError:  # a mapping whose keys cannot be sorted is no tree of arrays
        return True
    return not any(isinstance(leaf, Tracer) for leaf in leaves)


def known_now(*values: Any) -> Any:
    """Context in which arrays built from concrete values stay concrete inside jit.

    Without it they could not fix the number of steps there.
    """
    if is_concrete(values):
        return jax.ensure_compile_time_eval()
    return contextlib.nullcontext()


def real_numbers(name: str, value: Any) -> np.ndarray:
    """A concrete value as an array of real numbers; TypeError if it is none."""
    words = f"{name} must be a number or an array of real numbers, got {value!r:.80}"
    try:
        array = np.asarray(value)
        if array.dtype.kind == "O":  # integers beyond 64 bits among them
            array = array.astype(float)
    except OverflowError:
        raise ValueError(f"{name} must be finite, got {value!r:.80}") from None
    except (TypeError, ValueError):
        raise TypeError(words) from None
    if array.dtype.kind not in "biuf" and not jnp.issubdtype(array.dtype, jnp.floating):
        raise TypeError(words)
    return array


def as_parameter(value: Any, name: str = "a parameter") -> jax.Array:
    """`value` as a strongly typed floating array, so that it is a leaf and never recompiles.

    Raises:
        TypeError, ValueError: `name` is no number and no array of real numbers, or beyond the
            range of its precision.
    """
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jnp.inexact):
        return value
    if isinstance(value, np.ndarray) and np.issubdtype(value.dtype, np.floating):
        return jnp.asarray(_in_range(name, value, jnp.result_type(value)))
    if is_concrete(value):
        value = _in_range(name, real_numbers(name, value), default_float())
    return jnp.asarray(value, default_float())


def _in_range(name: str, array: np.ndarray, dtype: Any) -> np.ndarray:
    """The array in a floating dtype; ValueError if finite numbers of it become infinite."""
    with np.errstate(over="ignore"):
        cast = array.astype(dtype)
    if np.isinf(cast).any() and not np.array_equal(np.isinf(cast), np.isinf(array)):
        raise ValueError(f"{name} must be in the range of {np.dtype(dtype).name}, got {array}")
    return cast


def as_parameters(tree: Tree, name: str = "a parameter") -> Tree:
    """Every number or array of `tree` as a parameter; functions and callable modules stay."""

    def convert(leaf):
        return as_parameter(leaf, name) if eqx.is_array_like(leaf) else leaf

    return jax.tree.map(convert, tree, is_leaf=callable)


def _is_float(leaf: Any) -> bool:
    if isinstance(leaf, float):
        return True
    return eqx.is_array_like(leaf) and jnp.issubdtype(jnp.result_type(leaf), jnp.floating)


def cast_floats(tree: Tree, dtype: Any) -> Tree:
    """Every floating leaf of `tree` (Python floats too) as an array of `dtype`."""

    def cast(leaf):
        if isinstance(leaf, jax.Array) and leaf.dtype == dtype and not leaf.weak_type:
            return leaf
        return jnp.asarray(leaf, dtype) if _is_float(leaf) else leaf

    return jax.tree.map(cast, tree)


def shared_float(name: str, tree: Any) -> Any:
    """The widest floating dtype among the leaves of `tree`; an error when one is not a float."""
    leaves = jax.tree.leaves(tree)
    if not leaves:
        raise ValueError(f"{name} must hold at least one array, got {tree!r}")
    for leaf in leaves:
        if not _is_float(leaf):
            raise TypeError(
                f"every leaf of {name} must be a floating-point array, got {leaf!r:.80}; convert "
                "integers with jnp.asarray(x, float) and keep functions out of the state"
            )
    arrays = [leaf for leaf in leaves if not isinstance(leaf, float)]  # a float adapts to arrays
    dtypes = {getattr(leaf, "dtype", None) for leaf in arrays}
    if len(dtypes) == 1 and isinstance(arrays[0], jax.Array):
        return arrays[0].dtype
    with jax.numpy_dtype_promotion("standard"):
        return jnp.result_type(*(jnp.asarray(leaf).dtype for leaf in arrays or leaves))


def held(tree: Tree) -> Tree:
    """`tree` as a constant of differentiation."""
    return eqx.combine(jax.lax.stop_gradient(eqx.filter(tree, eqx.is_inexact_array)), tree)


def cut(tree: Tree, size: int, shares: int = 1) -> Tree:
    """The leading axis as (parts, size), filled up with copies of the last row.

    A part takes equal numbers of rows from each of `shares` stretches of the axis: where each
    stretch lies on a device of its own, all rows stay where they are.
    """

    def parts(leaf):
        count, rest = -(-leaf.shape[0] // size), leaf.shape[1:]
        fill = ((0, count * size - leaf.shape[0]),) + ((0, 0),) * (leaf.ndim - 1)
        filled = jnp.pad(leaf, fill, mode="edge").reshape(shares, count, size // shares, *rest)
        return jnp.moveaxis(filled, 0, 1).reshape(count, size, *rest)

    return jax.tree.map(parts, tree)


def joined(tree: Tree, count: int, shares: int = 1) -> Tree:
    """The inverse of `cut`: the first `count` rows, the filling left out."""

    def whole(leaf):
        parts, size, *rest = leaf.shape
        stretches = jnp.moveaxis(leaf.reshape(parts, shares, size // shares, *rest), 1, 0)
        return stretches.reshape(parts * size, *rest)[:count]

    return jax.tree.map(whole, tree)
