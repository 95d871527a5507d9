"""Compilation of whole programs; what it costs to make functions anew."""

import functools
import inspect
import os
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax
from jax.extend.core import get_opaque_trace_state

# LLVM takes vectors of 256 bits where it could take 512. CPUs that have none are not affected.
_WIDE: dict[str, Any] = {"xla_cpu_prefer_vector_width": 512}
# Since 0.10 LAPACK's calls on batches of matrices wait in XLA's pool of threads, and on two cores
# two of them can wait for each other forever. This schedule makes them one after the other.
_IN_TURN: dict[str, Any] = {"xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED"}
if not (0, 10) <= jax.__version_info__ < (0, 12):
    _IN_TURN = {}
_OUTSIDE = get_opaque_trace_state()
_MANY = 10  # functions of one place in the code, from which on a user is told
_MOST = 32  # programs that are kept for functions of which there are others of the same code


class CompilationWarning(UserWarning):
    """The same function, made anew again and again, is compiled each time."""


def compiler_options() -> dict[str, Any]:
    """Options for a program that is compiled by itself, on the default devices."""
    return _WIDE | _IN_TURN if jax.default_backend() == "cpu" else {}


def is_traced_now() -> bool:
    """True inside jit, vmap or grad, whether or not any argument is traced.

    A function may close over what is traced, so arguments alone cannot tell.
    """
    return get_opaque_trace_state() != _OUTSIDE


def jitted(function: Callable[..., Any]) -> Callable[..., Any]:
    """`equinox.filter_jit` that looks after functions among its arguments, see `_Functions`."""
    return _watched(function, _with_options(function, _IN_TURN))


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same with all of `compiler_options`, for programs whose time is that of long loops."""
    return _watched(function, _with_options(function, _WIDE | _IN_TURN))


def _with_options(function: Callable[..., Any], options: dict[str, Any]) -> Callable[..., Any]:
    """Compiled with options for the CPU, but outside of jit, vmap and grad alone, as JAX asks."""
    inner = eqx.filter_jit(function)
    alone = eqx.filter_jit(function, compiler_options=options)  # pyright: ignore[reportCallIssue]

    def call(*args, **kwargs):
        on_cpu = options and jax.default_backend() == "cpu"
        return (alone if on_cpu and not is_traced_now() else inner)(*args, **kwargs)

    return call


def _watched(function: Callable[..., Any], program: Callable[..., Any]) -> Callable[..., Any]:
    name = f"{function.__module__}.{function.__qualname__}"

    @functools.wraps(function)
    def call(*args, **kwargs):
        _check_process()
        _FUNCTIONS.note(name, (args, kwargs))
        outcome = program(*args, **kwargs)
        if not is_traced_now() and jax.default_backend() == "cpu" and jax.local_device_count() > 1:
            # Two programs in flight, in which CPU devices wait for one another, can wait forever.
            jax.block_until_ready(outcome)
        return outcome

    return call


_USED_IN: list[int] = []  # the process that has computed


def _check_process() -> None:
    """RuntimeError in a fork of a process that has computed, where JAX would hang."""
    if not _USED_IN:
        _USED_IN.append(os.getpid())
    if _USED_IN[0] != os.getpid():
        raise RuntimeError(
            "this process is a fork of one that has used JAX, in which computations hang; start "
            'it anew: multiprocessing.get_context("spawn")'
        )


class _Functions:
    """The functions with which programs were called, by the code that made them.

    A program is compiled for each function among its arguments, which JAX compares by identity, and
    is kept: of a lambda that each call makes anew, some 7 MB a call. From `_MANY` of one code on
    there is a warning, and after `_MOST` all programs are dropped, so that memory stays bounded.
    """

    def __init__(self):
        self._seen: dict[tuple[str, types.CodeType], set[int]] = {}
        self._told: set[types.CodeType] = set()

    def note(self, program: str, arguments: Any) -> None:
        """Count the functions among the arguments of a program, which is named."""
        for function, code in _functions(arguments):
            seen = self._seen.setdefault((program, code), set())
            if id(function) in seen:
                continue
            if not is_traced_now() and sum(len(ids) - 1 for ids in self._seen.values()) >= _MOST:
                jax.clear_caches()
                self._seen.clear()
                seen = self._seen.setdefault((program, code), set())
            seen.add(id(function))
            if len(seen) >= _MANY and code not in self._told:
                self._told.add(code)
                warnings.warn(
                    f"{code.co_name} in line {code.co_firstlineno} of {code.co_filename} was made "
                    f"{len(seen)} times, and each of these functions was compiled by itself; make "
                    "it once, with what changes as a field of an equinox.Module",
                    CompilationWarning,
                    stacklevel=4,
                )


def _functions(arguments: Any) -> Iterator[tuple[Any, types.CodeType]]:
    """Functions among the leaves, and partial ones, each with the code that made it."""
    for leaf in jax.tree.leaves(arguments):
        function = leaf
        while isinstance(function, functools.partial):
            function = function.func
        if isinstance(function, types.FunctionType):
            yield leaf, inspect.unwrap(function).__code__


_FUNCTIONS = _Functions()
