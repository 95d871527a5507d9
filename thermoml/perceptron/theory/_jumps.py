"""The jump of F at s = 0, and the heat that a finite step loses to it."""

import jax.numpy as jnp
from jax.typing import ArrayLike, DTypeLike
from jaxtyping import Array, Float

from ..problem import AbstractRule, LearningProblem


def force_jump(rule: AbstractRule, dtype: DTypeLike) -> Float[Array, ""]:
    """F(0+) - F(0-), the jump because of which the measured heat converges like √dt."""
    tiny = jnp.asarray(1e-30, dtype)
    jump = jnp.asarray(rule(tiny) - rule(-tiny))
    return jnp.where(jnp.abs(jump) < 1e-12, 0, jump)


def jump_loss(
    problem: LearningProblem, n_inputs: ArrayLike | None, dt: ArrayLike, dtype: DTypeLike
) -> Float[Array, ""]:
    r"""$-\frac{\tilde\nu^2N}{B} J^2 \frac{\sqrt{2T dt}}{2\pi}$: `heat_rate_bias` at ⟨Q⟩ = 1."""
    jump = force_jump(problem.rule, dtype)
    # A jump larger than any finite one means that F is singular at 0 (α < 0): so is the loss.
    square = jnp.where(jnp.abs(jump) < 1e6, jump**2, jnp.inf)
    loss = problem.learning_rate**2 * jnp.asarray(n_inputs, dtype) / problem.batch * square
    loss = loss * jnp.sqrt(2 * problem.temperature * jnp.asarray(dt, dtype)) / (2 * jnp.pi)
    return jnp.where(jump == 0, 0, -loss)
