"""Compilation of whole programs, with options for the CPU's vectors."""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jax.extend.core import get_opaque_trace_state

# LLVM takes vectors of 256 bits where it could take 512. CPUs that have none are not affected.
_WIDE: dict[str, Any] = {"xla_cpu_prefer_vector_width": 512}
_OUTSIDE = get_opaque_trace_state()


def compiler_options() -> dict[str, Any]:
    """Options for a program that is compiled by itself, on the default devices."""
    return _WIDE if jax.default_backend() == "cpu" else {}


def is_traced_now() -> bool:
    """True inside jit, vmap or grad, whether or not any argument is traced.

    A function may close over what is traced, so arguments alone cannot tell.
    """
    return get_opaque_trace_state() != _OUTSIDE


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`equinox.filter_jit`, with `compiler_options` outside of jit, vmap and grad, as JAX asks."""
    inner = eqx.filter_jit(function)
    alone = eqx.filter_jit(function, compiler_options=_WIDE)  # pyright: ignore[reportCallIssue]

    @functools.wraps(function)
    def call(*args, **kwargs):
        return (inner if is_traced_now() or not compiler_options() else alone)(*args, **kwargs)

    return call
