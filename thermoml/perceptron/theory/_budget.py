"""The learning rate at which a rule meets a given dissipation."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from ...numerics.arrays import as_parameter, cast_floats, default_float, held, is_concrete
from ...numerics.checks import check_bound
from ...numerics.compile import jitted
from ...numerics.roots import newton_root
from ..problem import LearningProblem, known_kinks
from ._minima import averages_at, mismatch, rates, stiffness_bracket
from ._moments import moments_converged, refuse_unconverged

# Trial values of ln ν̃, and how often the interval that holds the crossing is divided by them.
_PLACES, _DIVISIONS = 9, 6


def at_dissipation(problem: LearningProblem, dissipation: ArrayLike) -> LearningProblem:
    r"""The problem with the least learning rate ν̃ at which its steady state dissipates D₀.

    Solves $\tilde\nu^2E[F^2] = D_0$ in the steady state (with N in the problem, less
    $\tilde\nu^2|E\,\xi\sigma F|^2/N$), by Newton's method (optimistix), with implicit derivatives
    in D₀ and every other parameter: rules can be compared, and tuned, at the same heat.

    Args:
        problem: its learning rate is not used.
        dissipation: D₀ > 0, energy per weight and time.

    Returns:
        The problem with that `learning_rate`; NaN inside jit, vmap or grad if there is none. The
        dissipation of its `steady_state`, the global minimum of the free energy, is D₀ to 1e-6
        (1e-3 in float32).

    Raises:
        TypeError: not a `LearningProblem`.
        ValueError: no steady state of the rule dissipates D₀, for instance where D jumps over D₀ as
            one minimum of the free energy takes the place of another; averages of the rule that
            have not converged.

    Cost: some 100 steady states.
    """
    if not isinstance(problem, LearningProblem):
        raise TypeError(f"problem must be a LearningProblem, got {problem!r}")
    check_bound("dissipation", dissipation, ">", 0.0)
    problem = cast_floats(problem, default_float())
    target = jnp.asarray(as_parameter(dissipation, "dissipation"), default_float())
    rate, converged = _learning_rate(known_kinks(problem), target)
    if is_concrete(rate):
        refuse_unconverged(converged, problem.rule)
        if not np.isfinite(np.asarray(rate)).all():
            raise ValueError(
                f"the rule cannot dissipate {float(target):g} in a steady state: it does so at no "
                "learning rate, or jumps over it from one state to another; choose less or more"
            )
    return dataclasses.replace(problem, learning_rate=rate)


def _coarse_surplus(problem: LearningProblem, log_rate: Array, target: Array) -> tuple[Array, ...]:
    """ln D/D₀ in the steady state of a learning rate, and ln of its effective stiffness.

    To the width of a bracket, which suffices as a start.
    """
    problem = dataclasses.replace(problem, learning_rate=jnp.exp(log_rate))
    low, high, exists = stiffness_bracket(problem)
    middle = jnp.where(exists, (low + high) / 2, jnp.nan)
    return _surplus(problem, jnp.exp(middle), target), middle


def _surplus(problem: LearningProblem, stiffness: Array, target: Array) -> Array:
    _, _, averages = averages_at(problem, stiffness)
    return jnp.log(rates(problem, averages)[0] / target)


def _residual(logs: Array, problem: LearningProblem, target: Array) -> Float[Array, " 2"]:
    """Zero if ln ν̃ and ln c are those of a steady state that dissipates D₀."""
    problem = dataclasses.replace(problem, learning_rate=jnp.exp(logs[0]))
    surplus = _surplus(problem, jnp.exp(logs[1]), target)
    return jnp.stack([surplus, mismatch(logs[1], problem)])


@jitted
def _learning_rate(
    problem: LearningProblem, target: Float[Array, ""]
) -> tuple[Float[Array, ""], Bool[Array, ""]]:
    """The rate, NaN where there is none, and True if the averages there have converged."""
    fixed, aim = held((problem, target))

    def divide(ends, _):
        low, high = ends
        places = low + (high - low) * jnp.linspace(0, 1, _PLACES, dtype=target.dtype)
        surplus, stiffness = jax.vmap(lambda place: _coarse_surplus(fixed, place, aim))(places)
        # Rules that run away beyond some rate may dissipate any amount just before.
        surplus = jnp.where(jnp.isnan(surplus), jnp.inf, surplus)
        crossing = (surplus[:-1] < 0) & (surplus[1:] >= 0)
        first = jnp.argmax(crossing)
        return (places[first], places[first + 1]), (jnp.any(crossing), stiffness[first])

    middle = jnp.log(aim) / 2
    ends = (middle - 12, middle + 12)
    (low, _), (crossed, stiffness) = jax.lax.scan(divide, ends, length=_DIVISIONS)
    exists = jnp.all(crossed)
    start = jnp.where(exists, jnp.stack([low, stiffness[-1]]), 0)
    root = newton_root(lambda logs: _residual(logs, problem, target), start)
    place = jax.lax.stop_gradient(root)
    missed = jnp.max(jnp.abs(_residual(place, fixed, aim)))
    close = 1e-6 if target.dtype == jnp.float64 else 1e-3
    exists = exists & (missed < close)  # else it runs away at a smaller dissipation
    # The minimum that is met must be the lowest one at that rate.
    there = dataclasses.replace(fixed, learning_rate=jnp.exp(place[0]))
    low, high, _ = stiffness_bracket(there)
    exists &= (place[1] > low - 1e-3) & (place[1] < high + 1e-3)
    overlap, transverse, _ = averages_at(there, jnp.exp(place[1]))
    converged = moments_converged(fixed.rule, overlap, transverse)
    return jnp.where(exists & converged, jnp.exp(root[0]), jnp.nan), converged | ~exists
