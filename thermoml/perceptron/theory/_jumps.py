"""What a jump of F at s = 0 does: the heat that a finite step loses."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..problem import AbstractRule, LearningProblem


def force_jump(rule: AbstractRule, dtype: Any) -> Float[Array, ""]:
    """F(0+) - F(0-), the jump that makes the measured heat converge like √dt."""
    tiny = jnp.asarray(1e-30, dtype)
    jump = jnp.asarray(rule(tiny) - rule(-tiny))
    return jnp.where(jnp.abs(jump) < 1e-12, 0, jump)


def jump_loss(problem: LearningProblem, n_inputs: Any, dt: Any, dtype: Any) -> Float[Array, ""]:
    r"""$-\frac{\tilde\nu^2N}{B} J^2 \frac{\sqrt{2T dt}}{2\pi}$: `heat_rate_bias` at ⟨Q⟩ = 1."""
    jump = force_jump(problem.rule, dtype)
    # Beyond any finite jump F is singular at 0 (alpha < 0), and so is the loss.
    square = jnp.where(jnp.abs(jump) < 1e6, jump**2, jnp.inf)
    loss = problem.learning_rate**2 * n_inputs / problem.batch * square
    loss = loss * jnp.sqrt(2 * problem.temperature * jnp.asarray(dt, dtype)) / (2 * jnp.pi)
    return jnp.where(jump == 0, 0, -loss)
