"""Functions of NumPy inside a compiled program."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import lax
from jaxtyping import Array, PyTree


def on_host(function: Callable[..., Any], shapes: PyTree[Any], *arguments: PyTree[Array]) -> Any:
    """`function` of NumPy arrays, called on the host, one call after another under `vmap`.

    Every digit arrives: JAX hands arrays over in a thread that does not know `enable_x64`, and
    would round them to 32 bits there. Nothing is differentiated.

    Args:
        function: of arrays like the arguments; it returns arrays like `shapes`.
        shapes: `jax.ShapeDtypeStruct`s of the result.
        arguments: trees of arrays.
    """
    leaves, structure = jax.tree.flatten(lax.stop_gradient(arguments))
    dtypes = [leaf.dtype for leaf in leaves]
    results, form = jax.tree.flatten(shapes)

    def call(*packed: Any) -> Any:
        pairs = zip(packed, dtypes, strict=True)
        result = function(*jax.tree.unflatten(structure, [_seen_as(x, kind) for x, kind in pairs]))
        pairs = zip(jax.tree.leaves(result), results, strict=True)
        return [_seen_as(np.asarray(x, like.dtype), _words(like).dtype) for x, like in pairs]

    words = jax.pure_callback(
        call, [_words(like) for like in results], *map(_packed, leaves), vmap_method="sequential"
    )
    pairs = zip(words, results, strict=True)
    return jax.tree.unflatten(form, [_unpacked(x, like.dtype) for x, like in pairs])


def _packed(array: Array) -> Array:
    """The bits of 64-bit numbers as pairs of words of 32."""
    wide = array.dtype.itemsize == 8
    return lax.bitcast_convert_type(array, np.uint32) if wide else array


def _unpacked(array: Array, dtype: Any) -> Array:
    return array if array.dtype == dtype else lax.bitcast_convert_type(array, dtype)


def _words(like: Any) -> jax.ShapeDtypeStruct:
    """Shape and dtype of an array like this, packed."""
    if like.dtype.itemsize != 8:
        return like
    return jax.ShapeDtypeStruct((*like.shape, 2), np.uint32)


def _seen_as(array: Any, dtype: Any) -> np.ndarray:
    """The same bytes as numbers of another dtype, with an axis of pairs for those of 32 bits."""
    array = np.asarray(array)
    if array.dtype == dtype:
        return array
    array = array.copy(order="C")
    return array.view(dtype)[..., 0] if dtype.itemsize == 8 else array[..., None].view(dtype)
