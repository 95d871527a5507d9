"""Roots with implicit derivatives."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optimistix as optx
from jax import lax
from jaxtyping import Array, Float


def newton_root(
    function: Callable[[Array], Array],
    start: Float[Array, "..."],
    options: dict[str, Any] | None = None,
) -> Float[Array, "..."]:
    """A root of a function of a scalar or a vector near `start`, by optimistix' Newton method.

    Derivatives of any order, in whatever the function closes over, by the implicit function
    theorem. Unlike optimistix' own they are NaN, not an error, where the function is.
    """
    tolerance = 1e-13 if start.dtype == jnp.float64 else 1e-6
    solver = optx.Newton(rtol=tolerance, atol=tolerance)

    def solve(f, guess):
        solution = optx.root_find(
            lambda y, _: f(y), solver, guess, options=options, max_steps=50, throw=False
        )
        return solution.value

    def solve_linear(f, y):
        if y.ndim == 0:
            return y / f(jnp.ones_like(y))
        return jnp.linalg.solve(jax.jacfwd(f)(y), y)

    return lax.custom_root(function, lax.stop_gradient(start), solve, solve_linear)
