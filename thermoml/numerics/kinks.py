"""Kinks of a function of one number: the places where it, or a derivative, may jump.

A program of JAX jumps where it compares: in `where(s < a, ...)`, `maximum`, `abs`, `clip`, `sign`.
The differences of what is compared are functions of s themselves, which are followed to their
zeros; the derivative of a place in what the program closes over is that of the zero.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal
from jax.typing import DTypeLike
from jaxtyping import Array, Float

_MOST = 12  # kinks that are followed
_HALVINGS = 60
_TRIALS = np.concatenate([-np.geomspace(1e6, 1e-6, 480), [0.0], np.geomspace(1e-6, 1e6, 480)])
_COMPARED = {"lt", "le", "gt", "ge", "max", "min"}
_TURNED = {"abs", "sign"}
_CALLS = ("jaxpr", "call_jaxpr", "fun_jaxpr")  # parameters that hold a program within
_INLINE = {"jit", "pjit", "closed_call", "custom_jvp_call", "custom_vjp_call", "checkpoint"}


def find_kinks(function: Callable[[Array], Array], dtype: DTypeLike) -> Float[Array, " kink"]:
    """Places between -10⁶ and 10⁶ where a scalar function compares, the twelve nearest to 0.

    Their number is fixed by filling up with 0. Differentiable in what the function closes over.
    Comparisons inside loops and branches of `lax`, and steps such as `floor`, are not followed.
    """
    program = jax.make_jaxpr(function)(jax.ShapeDtypeStruct((), dtype))

    def differences(s: Array) -> Float[Array, " difference"]:
        compared: list[Array] = []
        _run(program, [s], compared)
        return jnp.concatenate([jnp.zeros(0, dtype), *(x.astype(dtype).ravel() for x in compared)])

    n_differences = jax.eval_shape(differences, jax.ShapeDtypeStruct((), dtype)).size
    if n_differences == 0:
        return jnp.zeros(0, dtype)
    trials = jnp.asarray(_TRIALS, dtype)
    below = jax.vmap(differences)(trials) < 0
    crossing = below[:-1] != below[1:]
    distance = jnp.minimum(jnp.abs(trials[:-1]), jnp.abs(trials[1:]))[:, None]
    order = jnp.argsort(jnp.where(crossing, distance, jnp.inf).ravel())
    row, column = jnp.divmod(order[: min(4 * n_differences, _MOST)], n_differences)
    places = jax.vmap(lambda i, j: _zero(differences, trials[i], trials[i + 1], j))(row, column)
    return jnp.where(crossing[row, column], places, 0)


def _zero(differences: Callable[[Array], Array], low: Array, high: Array, which: Array) -> Array:
    """Where one of the differences changes its sign, by bisection, with its implicit derivative."""
    start = differences(low)[which] < 0

    def halve(_, ends):
        low, high = ends
        middle = (low + high) / 2
        before = (differences(middle)[which] < 0) == start
        return jnp.where(before, middle, low), jnp.where(before, high, middle)

    low, high = jax.lax.stop_gradient(jax.lax.fori_loop(0, _HALVINGS, halve, (low, high)))
    place = jnp.where(start, high, low)  # where the difference is 0 rather than below
    value, slope = jax.jvp(lambda s: differences(s)[which], (place,), (jnp.ones_like(place),))
    slope = jax.lax.stop_gradient(slope)
    moved = -value / jnp.where(slope == 0, jnp.inf, slope)
    return place + moved - jax.lax.stop_gradient(moved)


def _run(program: ClosedJaxpr, arguments: list[Any], compared: list[Array]) -> list[Any]:
    """The results of a program; differences of the floats that it compares are added to a list."""
    values: dict[Any, Any] = dict(zip(program.jaxpr.constvars, program.consts, strict=True))
    values |= dict(zip(program.jaxpr.invars, arguments, strict=True))

    def value_of(variable: Any) -> Any:
        return variable.val if isinstance(variable, Literal) else values[variable]

    for step in program.jaxpr.eqns:
        operands = [value_of(x) for x in step.invars]
        name = step.primitive.name
        inner = next((step.params[key] for key in _CALLS if key in step.params), None)
        if name in _INLINE and isinstance(inner, ClosedJaxpr):
            results = _run(inner, operands, compared)
        else:
            compared += _differences(name, operands)
            bound = step.primitive.get_bind_params(step.params)
            functions, options = bound if isinstance(bound, tuple) else ((), bound)  # JAX < 0.10
            results = step.primitive.bind(*functions, *operands, **options)
            results = results if step.primitive.multiple_results else [results]
        values |= dict(zip(step.outvars, results, strict=True))
    return [value_of(x) for x in program.jaxpr.outvars]


def _differences(name: str, operands: list[Any]) -> list[Array]:
    """Differences whose signs decide what an operation does."""
    if not operands or not jnp.issubdtype(jnp.result_type(operands[0]), jnp.floating):
        return []
    if name in _COMPARED:
        return [jnp.asarray(operands[0]) - jnp.asarray(operands[1])]
    if name in _TURNED:
        return [jnp.asarray(operands[0])]
    if name == "clamp":
        low, x, high = operands
        return [x - low, x - high]
    return []
