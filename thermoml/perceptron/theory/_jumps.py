"""The jumps of F, and the heat that a finite step loses to them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike, DTypeLike
from jaxtyping import Array, Float

from ..problem import AbstractRule, LearningProblem, rule_kinks


class Jumps(NamedTuple):
    """Places where F may jump, 0 first, and F just above and below; alike where it does not."""

    places: Float[Array, " jump"]
    above: Float[Array, " jump"]
    below: Float[Array, " jump"]

    @property
    def heights(self) -> Float[Array, " jump"]:
        """F(κ+) - F(κ-), because of which the measured heat converges like √dt."""
        return self.above - self.below


def force_jumps(rule: AbstractRule, dtype: DTypeLike) -> Jumps:
    """The jumps of F at 0 and at the kinks of the rule."""
    places = jnp.concatenate([jnp.zeros(1, dtype), jnp.sort(rule_kinks(rule, dtype))])
    rounding = jnp.finfo(dtype).eps
    beside = jnp.maximum(4 * rounding * jnp.abs(places), 1e-30)
    above, below = (jax.vmap(rule)(places + sign * beside) for sign in (1, -1))
    height, size = jnp.abs(above - below), jnp.abs(above) + jnp.abs(below)
    apart = jnp.abs(places[:, None] - places[None]) <= 2 * beside[:, None]
    again = jnp.any(jnp.tril(apart, -1), axis=1)  # one place found by several comparisons
    flat = again | (height < 1e-12) | (height < 1e3 * rounding * size)
    return Jumps(places, above, jnp.where(flat, above, below))


def force_jump(rule: AbstractRule, dtype: DTypeLike) -> Float[Array, ""]:
    """F(0+) - F(0-)."""
    return force_jumps(rule, dtype).heights[0]


def jump_losses(
    problem: LearningProblem, n_inputs: ArrayLike | None, dt: ArrayLike, dtype: DTypeLike
) -> tuple[Float[Array, " jump"], Float[Array, " jump"]]:
    r"""The places of jumps, and the `heat_rate_bias` of each.

    It is $-\frac{\tilde\nu^2N}{B} J^2 \frac{\sqrt{2T dt}}{2\pi}$ where the density of stabilities
    is 1/√(2π), as at 0 for ⟨Q⟩ = 1.
    """
    jumps = force_jumps(problem.rule, dtype)
    heights = jumps.heights
    # A jump larger than any finite one means that F is singular there (α < 0): so is the loss.
    square = jnp.where(jnp.abs(heights) < 1e6, heights**2, jnp.inf)
    loss = problem.learning_rate**2 * jnp.asarray(n_inputs, dtype) / problem.batch * square
    loss = loss * jnp.sqrt(2 * problem.temperature * jnp.asarray(dt, dtype)) / (2 * jnp.pi)
    return jumps.places, jnp.where(heights == 0, 0, -loss)


def jump_loss(
    problem: LearningProblem, n_inputs: ArrayLike | None, dt: ArrayLike, dtype: DTypeLike
) -> Float[Array, ""]:
    """The loss of the jump at s = 0."""
    return jump_losses(problem, n_inputs, dt, dtype)[1][0]
