"""Descent to a minimum, with or without constraints, as one loop that compiles one gradient."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

_ROUNDS = 30  # of the method of multipliers
_TRIES = 30  # of one line search
_LOWER, _FLATTER = 1e-4, 0.9  # Wolfe's conditions

Objective = Callable[[Array], tuple[Array, Array]]


class Descent(eqx.Module):
    """Where a descent stands.

    Attributes:
        vector: the best point; `cost`, `broken` and `slope` are the objective, the constraint and
            the gradient of the Lagrangian there, `value` the augmented Lagrangian.
        memory, direction: of the optimiser; the next trial is `vector + length * direction`.
        low, high: between which lengths the line search looks; `tries` counts them.
        multipliers, weight, worst, rounds: of the method of multipliers.
        fresh: whether the trial is a new beginning, and taken as it is.
        count: gradients computed; `steps` of them were taken, and `values` are the costs there.
        stopped, converged: whether it goes on, and whether the tolerances are met.
    """

    vector: Float[Array, " n"]
    cost: Float[Array, ""]
    broken: Float[Array, " constraint"]
    slope: Float[Array, " n"]
    value: Float[Array, ""]
    memory: Any
    direction: Float[Array, " n"]
    length: Float[Array, ""]
    low: Float[Array, ""]
    high: Float[Array, ""]
    tries: Int[Array, ""]
    multipliers: Float[Array, " constraint"]
    weight: Float[Array, ""]
    worst: Float[Array, ""]
    rounds: Int[Array, ""]
    fresh: Bool[Array, ""]
    count: Int[Array, ""]
    steps: Int[Array, ""]
    values: Float[Array, " steps"]
    stopped: Bool[Array, ""]
    converged: Bool[Array, ""]


@contextlib.contextmanager
def optax_promotes() -> Iterator[None]:
    """optax relies on JAX's promotion of dtypes and ranks, which a user may have made strict."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def descend(
    objective: Objective,
    start: Float[Array, " n"],
    n_constraints: int,
    max_steps: int,
    tolerance: float,
    optimiser: Any = None,
) -> Descent:
    r"""A minimum of f where c = 0.

    By L-BFGS (optax' memory), with a line search by bisection that ends where Wolfe's conditions
    hold and stays where all is finite; with constraints on
    $f + \lambda\cdot c + \tfrac r2|c|^2$ in rounds with $\lambda \leftarrow \lambda + rc$. Every
    turn of the loop computes one gradient, so that it is compiled once and all may be traced.

    Args:
        objective: vector -> f, c.
        start: n numbers.
        n_constraints: the length of c.
        max_steps: gradients in all.
        tolerance: of the gradient, beside max(1, |f|), and of c.
        optimiser: another optax transformation, whose steps are taken as they are.

    Source: Nocedal and Wright 2006, chapters 7 and 17; Lewis and Overton 2013, Math. Program. 141,
    for the line search.
    """
    import optax  # takes a while, and few need it

    dtype, searching = start.dtype, optimiser is None
    optimiser = optax.with_extra_args_support(optimiser or optax.scale_by_lbfgs())
    noise = 64 * jnp.finfo(dtype).eps

    def lagrangian(vector, multipliers, weight):
        cost, broken = objective(vector)
        penalty = jnp.sum(multipliers * broken) + weight * jnp.sum(broken**2) / 2
        return cost + penalty, (cost, broken)

    def propose(vector, value, slope, memory, multipliers, weight):
        """The optimiser's direction; straight down where its own does not lead down."""
        with optax_promotes():
            updates, memory = optimiser.update(
                slope,
                memory,
                vector,
                value=value,
                grad=slope,
                value_fn=lambda x: lagrangian(x, multipliers, weight)[0],
            )
        direction = jnp.asarray(updates, dtype)
        if not searching:
            return direction, memory
        direction = -direction
        uphill = ~(jnp.sum(direction * slope) < 0)
        return jnp.where(uphill, -slope, direction), memory

    def settle(state, calm, settled):
        """What follows once a round is over."""
        missed = jnp.max(jnp.abs(state.broken), initial=0)
        strict = jnp.max(jnp.abs(state.slope)) <= tolerance * jnp.maximum(1, jnp.abs(state.cost))
        converged = calm & strict & (missed <= tolerance)
        again = settled & ~converged & (n_constraints > 0) & (state.rounds < _ROUNDS)
        stuck = missed > state.worst / 4

        def new(changed, old):
            return jnp.where(again, changed, old)

        return eqx.tree_at(
            lambda s: (
                *(s.multipliers, s.weight, s.worst, s.rounds, s.fresh, s.direction),
                *(s.stopped, s.converged),
            ),
            state,
            (
                new(state.multipliers + state.weight * state.broken, state.multipliers),
                new(jnp.where(stuck, 4 * state.weight, state.weight), state.weight),
                new(missed, state.worst),
                state.rounds + again.astype(int),
                again,
                new(jnp.zeros_like(state.direction), state.direction),
                settled & ~again,
                converged,
            ),
        )

    def turn(state: Descent) -> Descent:
        trial = state.vector + state.length * state.direction
        (value, (cost, broken)), slope = jax.value_and_grad(lagrangian, has_aux=True)(
            trial, state.multipliers, state.weight
        )
        finite = jnp.isfinite(value) & jnp.all(jnp.isfinite(slope))
        steepness = jnp.sum(state.slope * state.direction)
        bound = state.value + _LOWER * state.length * steepness + noise * jnp.abs(state.value)
        lower = finite & (value <= bound)
        flatter = jnp.sum(slope * state.direction) >= _FLATTER * steepness
        last = state.tries >= _TRIES
        taken = finite & (state.fresh | (lower & (flatter | last)) | (not searching))

        def take():
            memory = jax.tree.map(
                lambda new, old: jnp.where(state.fresh, new, old),
                optimiser.init(trial),
                state.memory,
            )
            direction, memory = propose(
                trial, value, slope, memory, state.multipliers, state.weight
            )
            return trial, cost, broken, slope, value, memory, direction

        def leave():
            kept = (state.vector, state.cost, state.broken, state.slope, state.value)
            return (*kept, state.memory, state.direction)

        vector, cost, broken, slope, value, memory, direction = lax.cond(taken, take, leave)
        low = jnp.where(lower, state.length, state.low)
        high = jnp.where(lower, state.high, state.length)
        length = jnp.where(jnp.isfinite(high), (low + high) / 2, 2 * state.length)
        begun = {"low": 0.0, "high": jnp.inf, "length": 1.0, "tries": 0}
        searched = {"low": low, "high": high, "length": length, "tries": state.tries + 1}
        search = {name: jnp.where(taken, begun[name], searched[name]) for name in begun}
        # Early multipliers are rough: no need to follow them to the last digit.
        rough = 0.1 ** (state.rounds.astype(dtype) + 2) if n_constraints else 0.0
        aim = jnp.maximum(tolerance, rough)
        calm = taken & (jnp.max(jnp.abs(slope)) <= aim * jnp.maximum(1, jnp.abs(cost)))
        failed = ~taken & (last | state.fresh | (not searching))
        values = state.values.at[state.steps].set(jnp.where(taken, cost, jnp.nan))
        after = Descent(
            vector=vector,
            cost=cost,
            broken=broken,
            slope=slope,
            value=value,
            memory=memory,
            direction=direction,
            length=search["length"].astype(dtype),
            low=search["low"].astype(dtype),
            high=search["high"].astype(dtype),
            tries=search["tries"],
            multipliers=state.multipliers,
            weight=state.weight,
            worst=state.worst,
            rounds=state.rounds,
            fresh=jnp.asarray(False),
            count=state.count + 1,
            steps=state.steps + taken.astype(int),
            values=values,
            stopped=state.stopped,
            converged=state.converged,
        )
        return settle(after, calm, calm | failed)

    zero = jnp.zeros((), dtype)
    nothing = jnp.zeros((n_constraints,), dtype)
    begin = Descent(
        vector=start,
        cost=zero + jnp.nan,
        broken=nothing + jnp.nan,
        slope=jnp.zeros_like(start),
        value=zero,
        memory=optimiser.init(start),
        direction=jnp.zeros_like(start),
        length=zero + 1,
        low=zero,
        high=zero + jnp.inf,
        tries=jnp.asarray(0),
        multipliers=nothing,
        weight=zero + 1,
        worst=zero + jnp.inf,
        rounds=jnp.asarray(0),
        fresh=jnp.asarray(True),
        count=jnp.asarray(0),
        steps=jnp.asarray(0),
        values=jnp.full((max_steps + 1,), jnp.nan, dtype),
        stopped=jnp.asarray(False),
        converged=jnp.asarray(False),
    )
    return lax.while_loop(lambda s: ~s.stopped & (s.count <= max_steps), turn, begin)
