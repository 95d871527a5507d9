"""Descent to a minimum, with or without constraints, as one loop that compiles one gradient."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from .optimisers import optax_promotes, transformation

_ROUNDS = 30  # of the method of multipliers
_TRIES = 30  # of one line search
_LOWER, _FLATTER = 1e-4, 0.9  # Wolfe's conditions

Objective = Callable[[Array], tuple[Array, Array]]


class Descent(eqx.Module):
    """The end of a descent.

    Attributes:
        vector: the best point; `cost`, `broken` and `slope` are the objective, the constraint and
            the gradient of the Lagrangian there.
        count: gradients computed; `steps` of them were taken, and `values` are the costs there.
        converged: whether the tolerances are met.
    """

    vector: Float[Array, " n"]
    cost: Float[Array, ""]
    broken: Float[Array, " constraint"]
    slope: Float[Array, " n"]
    count: Int[Array, ""]
    steps: Int[Array, ""]
    values: Float[Array, " steps"]
    converged: Bool[Array, ""]


def descend(
    objective: Objective,
    start: Float[Array, " n"],
    n_constraints: int,
    *,
    max_steps: int,
    tolerance: float,
    optimiser: Any = None,
) -> Descent:
    r"""A minimum of f where c = 0.

    By L-BFGS (optax' memory), with a line search by bisection that ends where Wolfe's conditions
    hold and stays where all is finite; with constraints on
    $f + \lambda\cdot c + \tfrac r2|c|^2$ in rounds with $\lambda \leftarrow \lambda + rc$. Each
    iteration of the loop computes one gradient, so that it is compiled once and all may be traced.

    Args:
        objective: vector -> f, c.
        start: n numbers.
        n_constraints: the length of c.
        max_steps: gradients in all.
        tolerance: of the way that remains relative to the way behind, and of c.
        optimiser: another optax transformation, whose steps are taken without a line search.

    Source: Nocedal and Wright 2006, chapters 7 and 17; Lewis and Overton 2013, Math. Program. 141,
    for the line search.
    """
    import optax  # imported here: slow to load, and rarely used

    searching = optimiser is None
    optimiser = transformation(optax.scale_by_lbfgs() if optimiser is None else optimiser)
    method = _Method(objective, optimiser, n_constraints, tolerance, searching)
    end = lax.while_loop(
        lambda state: ~state.stopped & (state.gradients <= max_steps),
        method.iterate,
        method.begin(start, max_steps),
    )
    at = end.point
    return Descent(
        at.vector, at.cost, at.broken, at.slope, end.gradients, end.steps, end.values, end.converged
    )


class _Point(NamedTuple):
    """A point: f and c there, the augmented Lagrangian and its gradient."""

    vector: Float[Array, " n"]
    cost: Float[Array, ""]
    broken: Float[Array, " constraint"]
    value: Float[Array, ""]
    slope: Float[Array, " n"]


class _Search(NamedTuple):
    """A line search: the next trial is `vector + length * direction`, low < length < high."""

    length: Float[Array, ""]
    low: Float[Array, ""]
    high: Float[Array, ""]
    tries: Int[Array, ""]


class _Penalty(NamedTuple):
    """Round of the method of multipliers: λ, r, and the largest |c| of the round before."""

    multipliers: Float[Array, " constraint"]
    weight: Float[Array, ""]
    worst: Float[Array, ""]
    rounds: Int[Array, ""]


class _Reach(NamedTuple):
    """What the points so far span: distances from the start, and the extremes of the Lagrangian."""

    start: Float[Array, " n"]
    distance: Float[Array, " n"]
    lowest: Float[Array, ""]
    highest: Float[Array, ""]

    def sizes(self, vector: Float[Array, " n"]) -> Float[Array, " n"]:
        """The scale of each parameter: its size, or its greatest distance from the start."""
        sizes = jnp.maximum(jnp.abs(vector), self.distance)
        largest = jnp.max(sizes)
        return jnp.where(sizes > 0, sizes, jnp.where(largest > 0, largest, 1))

    def extended(self, point: _Point) -> "_Reach":
        return _Reach(
            self.start,
            jnp.maximum(self.distance, jnp.abs(point.vector - self.start)),
            jnp.minimum(self.lowest, point.value),
            jnp.maximum(self.highest, point.value),
        )


class _State(NamedTuple):
    """State of the loop. The first trial of a round is `fresh`, and taken unconditionally.

    `gradients` have been computed, at `steps` of which the trial was taken.
    """

    point: _Point
    memory: Any
    direction: Float[Array, " n"]
    search: _Search
    penalty: _Penalty
    reach: _Reach
    fresh: Bool[Array, ""]
    gradients: Int[Array, ""]
    steps: Int[Array, ""]
    values: Float[Array, " steps"]
    stopped: Bool[Array, ""]
    converged: Bool[Array, ""]


@dataclass(frozen=True)
class _Method:
    """One descent: its objective and its settings."""

    objective: Objective
    optimiser: Any
    n_constraints: int
    tolerance: float
    searching: bool

    def begin(self, start: Float[Array, " n"], max_steps: int) -> _State:
        """The state before the first gradient, which is that of a fresh trial at the start."""
        dtype = start.dtype
        zero = jnp.zeros((), dtype)
        nothing = jnp.zeros((self.n_constraints,), dtype)
        still = jnp.zeros_like(start)
        return _State(
            point=_Point(start, zero + jnp.nan, nothing + jnp.nan, zero, still),
            memory=self.optimiser.init(start),
            direction=still,
            search=_Search(zero + 1, zero, zero + jnp.inf, jnp.asarray(0)),
            penalty=_Penalty(nothing, zero + 1, zero + jnp.inf, jnp.asarray(0)),
            reach=_Reach(start, still, zero + jnp.inf, zero - jnp.inf),
            fresh=jnp.asarray(True),
            gradients=jnp.asarray(0),
            steps=jnp.asarray(0),
            values=jnp.full((max_steps + 1,), jnp.nan, dtype),
            stopped=jnp.asarray(False),
            converged=jnp.asarray(False),
        )

    def iterate(self, state: _State) -> _State:
        """One trial: taken as the next point, or left for another length."""
        point, search = state.point, state.search
        trial = self._at(point.vector + search.length * state.direction, state.penalty)
        steepness = jnp.sum(point.slope * state.direction)
        noise = 64 * jnp.finfo(trial.value.dtype).eps
        finite = jnp.isfinite(trial.value) & jnp.all(jnp.isfinite(trial.slope))
        bound = point.value + _LOWER * search.length * steepness + noise * jnp.abs(point.value)
        lower = finite & (trial.value <= bound)
        flatter = jnp.sum(trial.slope * state.direction) >= _FLATTER * steepness
        last = search.tries >= _TRIES
        taken = finite & (state.fresh | (lower & (flatter | last)) | (not self.searching))
        bent = jnp.sum((trial.slope - point.slope) * (trial.vector - point.vector)) > 0
        point, memory, direction = lax.cond(
            taken,
            lambda: (trial, *self._propose(trial, state)),
            lambda: (point, state.memory, state.direction),
        )
        extended = state.reach.extended(point)
        reach = jax.tree.map(lambda new, old: jnp.where(taken, new, old), extended, state.reach)
        remaining = self._remaining(point, direction, reach, bent & ~state.fresh)
        rough = 0.1 ** (state.penalty.rounds.astype(point.value.dtype) + 2)
        aim = jnp.maximum(self.tolerance, rough) if self.n_constraints else self.tolerance
        calm = taken & (remaining <= aim)
        failed = ~taken & (last | state.fresh | (not self.searching))
        after = state._replace(
            point=point,
            memory=memory,
            direction=direction,
            search=_next_search(search, taken, lower),
            reach=reach,
            fresh=jnp.asarray(False),
            gradients=state.gradients + 1,
            steps=state.steps + taken.astype(int),
            values=state.values.at[state.steps].set(jnp.where(taken, point.cost, jnp.nan)),
        )
        return self._settle(after, calm & (remaining <= self.tolerance), calm | failed)

    def _lagrangian(
        self, vector: Array, penalty: _Penalty
    ) -> tuple[Float[Array, ""], tuple[Array, Array]]:
        cost, broken = self.objective(vector)
        augmented = jnp.sum(penalty.multipliers * broken) + penalty.weight * jnp.sum(broken**2) / 2
        return cost + augmented, (cost, broken)

    def _at(self, vector: Float[Array, " n"], penalty: _Penalty) -> _Point:
        gradient = jax.value_and_grad(self._lagrangian, has_aux=True)
        (value, (cost, broken)), slope = gradient(vector, penalty)
        return _Point(vector, cost, broken, value, slope)

    def _propose(self, point: _Point, state: _State) -> tuple[Any, Array]:
        """The optimiser's memory and direction; straight down where its own does not lead down."""
        memory = jax.tree.map(
            lambda new, old: jnp.where(state.fresh, new, old),
            self.optimiser.init(point.vector),
            state.memory,
        )
        with optax_promotes():
            updates, memory = self.optimiser.update(
                point.slope,
                memory,
                point.vector,
                value=point.value,
                grad=point.slope,
                value_fn=lambda x: self._lagrangian(x, state.penalty)[0],
            )
        direction = jnp.asarray(updates, point.vector.dtype)
        if not self.searching:
            return memory, direction
        direction = -direction
        uphill = ~(jnp.sum(direction * point.slope) < 0)
        return memory, jnp.where(uphill, -point.slope, direction)

    def _remaining(
        self, point: _Point, direction: Float[Array, " n"], reach: _Reach, curved: Bool[Array, ""]
    ) -> Float[Array, ""]:
        """The way to the minimum relative to the way that lies behind, in any units.

        The change of the Lagrangian over each parameter's own size, relative to the range of its
        values so far; or the quasi-Newton step relative to these sizes, where the last step has
        shown a curvature.
        """
        sizes = reach.sizes(point.vector)
        span = reach.highest - reach.lowest
        change = jnp.max(jnp.abs(point.slope) * sizes)
        change = jnp.where(change > 0, change / span, 0)  # infinite at the start
        if not self.searching:
            return change
        step = jnp.where(curved, jnp.max(jnp.abs(direction) / sizes), jnp.inf)
        return jnp.minimum(change, step)

    def _settle(self, state: _State, calm: Array, settled: Array) -> _State:
        """The state after a trial that may have ended a round: the next round, or the end."""
        point, penalty = state.point, state.penalty
        missed = jnp.max(jnp.abs(point.broken), initial=0)
        converged = calm & (missed <= self.tolerance)
        again = settled & ~converged & (self.n_constraints > 0) & (penalty.rounds < _ROUNDS)
        stuck = missed > penalty.worst / 4
        tighter = _Penalty(
            penalty.multipliers + penalty.weight * point.broken,
            jnp.where(stuck, 4 * penalty.weight, penalty.weight),
            missed,
            penalty.rounds + 1,
        )
        return state._replace(
            penalty=_Penalty(
                *(jnp.where(again, new, old) for new, old in zip(tighter, penalty, strict=True))
            ),
            fresh=again,
            direction=jnp.where(again, jnp.zeros_like(state.direction), state.direction),
            stopped=settled & ~again,
            converged=converged,
        )


def _next_search(search: _Search, taken: Array, lower: Array) -> _Search:
    """A new search where the trial was taken, else the next length by bisection."""
    low = jnp.where(lower, search.length, search.low)
    high = jnp.where(lower, search.high, search.length)
    length = jnp.where(jnp.isfinite(high), (low + high) / 2, 2 * search.length)
    begun = (1.0, 0.0, jnp.inf, 0)
    halved = (length, low, high, search.tries + 1)
    pairs = zip(begun, halved, strict=True)
    return _Search(*(jnp.where(taken, new, old).astype(old.dtype) for new, old in pairs))
