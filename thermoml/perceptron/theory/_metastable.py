"""Metastable states of learning, and the learning rates at which they appear and vanish."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float

from ...numerics.arrays import cast_floats, default_float, is_concrete
from ...numerics.checks import check_bound
from ...numerics.compile import jitted
from ...numerics.roots import newton_root
from ..problem import LearningProblem, check_known_law, known_kinks
from ._minima import (
    SteadyState,
    free_energy_minima,
    mismatch,
    state_at,
    stiffness_within,
    trial_places,
)
from ._moments import refuse_unconverged

_RATES, _HALVINGS = 65, 24  # trial learning rates, and bisections between two of them


def metastable_states(problem: LearningProblem) -> tuple[SteadyState, ...]:
    r"""All minima of the free energy per weight as N → ∞, the lowest first.

    The first is `steady_state(problem)`; in each of the others learning stays for a time that
    grows like $e^{N\Delta\varphi/T}$, so that runs may end there.

    Args:
        problem: concrete; as of `steady_state`.

    Returns:
        `SteadyState`s, four at most, in order of their `free_energy`; none without a steady state.
        A minimum closer than some 0.1 in ln c to its saddle, which is within a few thousandths of
        the learning rate of a spinodal, is not seen.

    Raises:
        TypeError: not a `LearningProblem`, or a traced one: their number would not be known.
        ValueError: averages of the rule that have not converged.

    Cost: as of `steady_state`.
    """
    problem = _prepared(problem)
    states, converged, exists = _all_states(problem)
    (places,) = np.nonzero(np.asarray(exists))
    refuse_unconverged(np.asarray(converged)[places], problem.rule)
    order = places[np.argsort(np.asarray(states.free_energy)[places])]
    return tuple(jax.tree.map(lambda x, i=i: x[i], states) for i in order)


def spinodals(
    problem: LearningProblem, *, lowest: float, highest: float
) -> Float[Array, " spinodal"]:
    r"""Learning rates at which a minimum of the free energy appears or vanishes.

    There a minimum meets a saddle, $\partial\varphi/\partial\ln c$ and its derivative are 0.

    Args:
        problem: concrete; its learning rate is not used.
        lowest, highest: the ends of the range of ν̃ > 0 that is searched.

    Returns:
        The rates in ascending order; pairs closer than 1/64 of the range of ln ν̃ are not seen.

    Raises:
        TypeError, ValueError: as for `metastable_states`; ends out of order.

    Cost: some 10 000 Gaussian averages.
    """
    problem = _prepared(problem)
    check_bound("lowest", lowest, ">", 0.0)
    check_bound("highest", highest, ">", float(lowest))
    rates = np.geomspace(lowest, highest, _RATES)
    counts = np.asarray(_counts(problem, rates))
    edges = []
    for i in np.flatnonzero(counts[1:] != counts[:-1]):
        ends = [rates[i], rates[i + 1]]
        for _ in range(_HALVINGS):
            middle = (ends[0] * ends[1]) ** 0.5
            ends[int(_counts(problem, np.asarray([middle]))[0] != counts[i])] = middle
        more = ends[int(counts[i + 1] > counts[i])]
        edges.append(_meeting(problem, jnp.asarray(more, problem.learning_rate.dtype)))
    return jnp.stack(edges) if edges else jnp.zeros(0, problem.learning_rate.dtype)


def _prepared(problem: LearningProblem) -> LearningProblem:
    """The problem in JAX's default precision, with the kinks of its rule."""
    if not isinstance(problem, LearningProblem) or not is_concrete(problem):
        raise TypeError(f"problem must be a concrete LearningProblem, got {problem!r}")
    check_known_law(problem.inputs, "metastable states")
    check_bound("stiffness", problem.stiffness, ">", 0.0, "without a decay weights are unbounded")
    check_bound("temperature", problem.temperature, ">", 0.0, "without a bath weights do not vary")
    return known_kinks(cast_floats(problem, default_float()))


@jitted
def _all_states(
    problem: LearningProblem,
) -> tuple[SteadyState, Bool[Array, " minimum"], Bool[Array, " minimum"]]:
    minima = free_energy_minima(problem)

    def one(low, high, exists):
        state, converged, _ = state_at(problem, stiffness_within(problem, low, high, exists))
        return state, converged

    states, converged = jax.vmap(one)(minima.low, minima.high, minima.exists)
    return states, converged, minima.exists


@jitted
def _counts(problem: LearningProblem, rates: np.ndarray) -> Array:
    """The number of minima at each learning rate."""

    def count(rate):
        minima = free_energy_minima(dataclasses.replace(problem, learning_rate=rate))
        return jnp.sum(minima.exists)

    return lax.map(count, jnp.asarray(rates, problem.learning_rate.dtype))


@jitted
def _meeting(problem: LearningProblem, rate: Float[Array, ""]) -> Float[Array, ""]:
    """The spinodal beside a learning rate at which minimum and saddle are still apart."""
    places = trial_places(dataclasses.replace(problem, learning_rate=rate))

    def missed(logs):
        there = dataclasses.replace(problem, learning_rate=jnp.exp(logs[0]))
        return mismatch(logs[1], there)

    values = jax.vmap(lambda place: missed(jnp.stack([jnp.log(rate), place])))(places)
    crossing = (values[:-1] < 0) != (values[1:] < 0)
    middles = (places[1:] + places[:-1]) / 2
    # Of all pairs of neighbouring zeros the closest is about to meet.
    before = lax.cummax(jnp.where(crossing, middles, -jnp.inf))
    before = jnp.concatenate([jnp.full((1,), -jnp.inf, places.dtype), before[:-1]])
    gaps = jnp.where(crossing, middles - before, jnp.inf)
    nearest = jnp.argmin(gaps)
    start = jnp.stack([jnp.log(rate), (middles[nearest] + before[nearest]) / 2])

    def residual(logs):
        return jnp.stack([missed(logs), jax.grad(missed)(logs)[1]])

    return jnp.exp(newton_root(residual, start)[0])
