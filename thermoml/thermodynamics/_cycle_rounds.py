"""Rounds of an engine in the steady state: from trajectories, and exact for harmonic systems."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from ..ensembles import AbstractAdjoint
from ..langevin import Langevin, Solution, Underdamped
from ..numerics.compile import jitted
from ._entropy_production import Density, system_entropy
from ._moment_rates import integrate
from ._moment_result import Moments
from ._normal import NormalState


def settled_rounds(
    solution: Solution, saves: list[int], rounds: int
) -> tuple[Float[Array, " trajectory"], Float[Array, "trajectory stroke"]]:
    """Work and heat by stroke of each trajectory, means over its last rounds.

    Args:
        solution, saves: of `Cycle.trajectories`: all rounds, and the saves in each stroke.
        rounds: number of rounds at the end that are averaged.
    """
    places = save_places(solution, saves, rounds)
    stops = places[:, np.concatenate([[0], np.cumsum(saves)])]
    heat = jnp.mean(jnp.diff(solution.heat[:, stops], axis=2), axis=1)
    return (solution.work[:, -1] - solution.work[:, places[0, 0]]) / rounds, heat


def save_places(
    solution: Solution, saves: list[int], rounds: int
) -> Int[np.ndarray, "round point"]:
    """Indices of all saves of each of the last rounds, both ends included."""
    whole = sum(saves)
    first = solution.work.shape[1] - 1 - rounds * whole
    return first + np.arange(rounds)[:, None] * whole + np.arange(whole + 1)


def mean_over_rounds(
    values: PyTree[Array], places: Int[np.ndarray, "round point"]
) -> PyTree[Array]:
    """Means of `[trajectory, save, ...]` over trajectories and rounds, at each point."""
    return jax.tree.map(lambda leaf: jnp.mean(leaf[:, places], axis=(0, 1)), values)


def entropy_over_rounds(
    states: PyTree[Array], places: Int[np.ndarray, "round point"], density: Density
) -> Float[Array, " point"]:
    """The Gibbs entropy at each point, from the states of all trajectories and rounds."""

    def entropy_at(point):
        samples = jax.tree.map(
            lambda leaf: jnp.reshape(leaf[:, places[:, point]], (-1, *leaf.shape[2:])), states
        )
        return jnp.mean(system_entropy(samples, density))

    return jnp.stack([entropy_at(point) for point in range(places.shape[1])])


@jitted
def steady_round(
    system: Langevin | Underdamped,
    like: Float[Array, "..."],
    times: Float[Array, " point"],
    adjoint: AbstractAdjoint,
) -> Moments:
    """The round of a harmonic engine that ends in the normal distribution in which it begins.

    The map of mean and covariance over a round is affine: the rounds that start at 0 and at each
    unit vector determine it, and its fixed point starts the last one.

    Args:
        system: with a control and baths of the cycle's period.
        like: a position, for its shape.
        times: of the points, from 0 to the period.
        adjoint: of `integrate`.
    """
    size, shape = like.size, like.shape
    if isinstance(system, Underdamped):
        size, shape = 2 * size, (2 * size,)
    upper = np.triu_indices(size)
    unit = jnp.eye(size + len(upper[0]), dtype=like.dtype)
    starts = jnp.concatenate([jnp.zeros_like(unit[:1]), unit, jnp.zeros_like(unit[:1])])
    count = starts.shape[0]

    def round_from(entries):
        half = jnp.zeros((size, size), like.dtype).at[upper].set(entries[size:])
        covariance = half + half.T - jnp.diag(jnp.diagonal(half))
        start = NormalState(jnp.reshape(entries[:size], shape), jnp.reshape(covariance, shape * 2))
        return integrate(system, like, start, times, adjoint)

    def after_round(carry, i):
        ends, _ = carry
        last = i == count - 1
        change = jnp.where(last, (ends[1:-1] - ends[:1]).T, 0)
        fixed_point = jnp.linalg.solve(unit - change, ends[0])
        moments = round_from(jnp.where(last, fixed_point, starts[i]))
        end = moments.state()
        ends = ends.at[i].set(jnp.concatenate([end.vector, end.matrix[upper]]))
        return (ends, moments), None

    layout = eqx.filter_eval_shape(round_from, starts[0])
    empty = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), layout)
    (_, moments), _ = jax.lax.scan(after_round, (starts, empty), jnp.arange(count))
    return moments
