"""Compilation of whole programs, with options for the CPU's vectors."""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .arrays import is_concrete

# LLVM takes vectors of 256 bits where it could take 512. CPUs that have none are not affected.
_WIDE: dict[str, Any] = {"xla_cpu_prefer_vector_width": 512}


def compiler_options() -> dict[str, Any]:
    """Options for a program that is compiled by itself, on the default devices."""
    return _WIDE if jax.default_backend() == "cpu" else {}


@jax.jit
def _zero() -> jax.Array:
    """A tracer where it is called inside jit; cheaper to ask than an operation outside of it."""
    return jnp.zeros(())


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`equinox.filter_jit`, with `compiler_options` outside of jit, vmap and grad, as JAX asks."""
    inner = eqx.filter_jit(function)
    alone = eqx.filter_jit(function, compiler_options=_WIDE)  # pyright: ignore[reportCallIssue]

    @functools.wraps(function)
    def call(*args, **kwargs):
        inside = not is_concrete((args, kwargs, _zero()))
        return (inner if inside or not compiler_options() else alone)(*args, **kwargs)

    return call
