"""The learning rate at which a rule dissipates what it may."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...numerics.arrays import as_parameter, cast_floats, default_float, is_concrete
from ...numerics.checks import check_bound
from ...numerics.roots import newton_root
from ..problem import LearningProblem
from ._steady_state import averages_at, mismatch, rates, stiffness_bracket

_PLACES, _LOOKS = 9, 6  # of the learning rate, each look within the step of the last


def at_dissipation(problem: LearningProblem, dissipation: float) -> LearningProblem:
    r"""The problem with the least learning rate ν̃ at which it dissipates D₀ at rest.

    Solves $\tilde\nu^2E[F^2] = D_0$ in the steady state (with N in the problem, less
    $\tilde\nu^2|E\,\xi\sigma F|^2/N$), by Newton's method (optimistix), with implicit derivatives
    in D₀ and every other parameter: rules can be compared, and tuned, at the same heat.

    Args:
        problem: its learning rate is not used.
        dissipation: D₀ > 0.

    Returns:
        The problem with that `learning_rate`; NaN inside jit, vmap or grad where there is none.

    Raises:
        ValueError: the rule cannot dissipate as much at rest.

    Cost: some 100 steady states.
    """
    if not isinstance(problem, LearningProblem):
        raise TypeError(f"problem must be a LearningProblem, got {problem!r}")
    check_bound("dissipation", dissipation, ">", 0.0)
    problem = cast_floats(problem, default_float())
    rate = _learning_rate(problem, jnp.asarray(as_parameter(dissipation), default_float()))
    if is_concrete(rate) and not np.isfinite(np.asarray(rate)).all():
        raise ValueError(
            f"the rule cannot dissipate {float(dissipation):g} at rest: at no learning rate does "
            "its steady state do so; choose less"
        )
    return dataclasses.replace(problem, learning_rate=rate)


def _missing(log_rate: Array, problem: LearningProblem, wanted: Array) -> tuple[Array, Array]:
    """ln D/D₀ in the steady state of a learning rate, and ln of its effective stiffness.

    To the width of a bracket, which is enough to begin with.
    """
    problem = dataclasses.replace(problem, learning_rate=jnp.exp(log_rate))
    low, high, good = stiffness_bracket(problem)
    middle = jnp.where(good, (low + high) / 2, jnp.nan)
    return _surplus(problem, jnp.exp(middle), wanted), middle


def _surplus(problem: LearningProblem, stiffness: Array, wanted: Array) -> Array:
    _, _, found = averages_at(problem, stiffness)
    return jnp.log(rates(problem, found)[0] / wanted)


def _at_rest(logs: Array, problem: LearningProblem, wanted: Array) -> Array:
    """What vanishes where ln ν̃ and ln c are those of a steady state that dissipates D₀."""
    problem = dataclasses.replace(problem, learning_rate=jnp.exp(logs[0]))
    surplus = _surplus(problem, jnp.exp(logs[1]), wanted)
    return jnp.stack([surplus, mismatch(logs[1], problem)])


@eqx.filter_jit
def _learning_rate(problem: LearningProblem, wanted: Float[Array, ""]) -> Float[Array, ""]:
    arrays, rest = eqx.partition((problem, wanted), eqx.is_array)
    fixed, aim = eqx.combine(jax.lax.stop_gradient(arrays), rest)

    def look(ends, _):
        low, high = ends
        places = low + (high - low) * jnp.linspace(0, 1, _PLACES, dtype=wanted.dtype)
        missing, stiffness = jax.vmap(lambda place: _missing(place, fixed, aim))(places)
        # Rules that run away beyond some rate may dissipate any amount just before.
        missing = jnp.where(jnp.isnan(missing), jnp.inf, missing)
        crossing = (missing[:-1] < 0) & (missing[1:] >= 0)
        first = jnp.argmax(crossing)
        shown = (jnp.any(crossing), stiffness[first])
        return (places[first], places[first + 1]), shown

    middle = jnp.log(aim) / 2
    (low, _), (found, stiffness) = jax.lax.scan(look, (middle - 12, middle + 12), length=_LOOKS)
    good = jnp.all(found)
    start = jnp.where(good, jnp.stack([low, stiffness[-1]]), 0)
    root = newton_root(lambda logs: _at_rest(logs, problem, wanted), start)
    missed = jnp.max(jnp.abs(_at_rest(jax.lax.stop_gradient(root), fixed, aim)))
    good = good & (missed < 1e-3)  # else it runs away before it dissipates as much
    return jnp.where(good, jnp.exp(root[0]), jnp.nan)
