"""What every level of description offers, and what it is asked."""

import abc
import dataclasses
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from ...langevin import AbstractAdjoint, Clock
from ...numerics.arrays import argument, default_int
from ...numerics.checks import count_matches, count_saves, count_steps
from ...numerics.sums import CompensatedSum
from .._curve import LearningCheckpoint, LearningCurve
from ..problem import LearningProblem


@dataclasses.dataclass(frozen=True)
class Request:
    """The arguments of `learn`, as far as they are the same for all levels, checked."""

    t1: float
    key: Key[Array, ""] | None
    n_trajectories: int
    save_every: int | None
    teacher: Any
    teachers: str
    weights: Any
    first_trajectory: int | Int[Array, ""]
    test_inputs: Any
    adjoint: AbstractAdjoint
    progress: Any
    dtype: Any

    @property
    def drawing_key(self) -> Key[Array, ""]:
        """The key; TypeError where there is none."""
        if self.key is None:
            raise TypeError("key is needed to draw inputs and noise: pass key=jax.random.key(0)")
        return self.key

    @property
    def continued(self) -> LearningCurve | None:
        """The curve that is to be continued."""
        return self.weights if isinstance(self.weights, LearningCurve) else None

    @property
    def indices(self) -> Int[Array, " trajectory"]:
        """The numbers of the trajectories."""
        dtype = default_int()
        return argument(self.first_trajectory, dtype) + np.arange(self.n_trajectories, dtype=dtype)

    def saves(self, checkpoint: LearningCheckpoint, dt: float) -> tuple[int, int]:
        """The number of saves after the start, and of steps between them."""
        begun = checkpoint.clock.exact_time(checkpoint.step, dt)
        n_steps = count_steps(begun, self.t1, dt, self.dtype)
        n_saves = count_saves(n_steps, self.save_every)
        return n_saves, n_steps // n_saves


class AbstractLevel(eqx.Module):
    """A level of description: what `learn` follows, from all weights to two averages."""

    dt: eqx.AbstractVar[float]

    @abc.abstractmethod
    def learn(self, problem: LearningProblem, request: Request) -> LearningCurve:
        """The curve of a problem whose floats are of the request's dtype."""


def begin(
    problem: LearningProblem, n_trajectories: int, first: Any, dt: Any, dtype: Any, **students: Any
) -> LearningCheckpoint:
    """A checkpoint at step 0 with an empty ledger."""
    clock = Clock.at(0, 0.0, dt, dtype)
    return LearningCheckpoint(
        **{"weights": None, "plane": None, **students},
        work=CompensatedSum.zeros((n_trajectories,), dtype),
        diverged_step=argument(np.full(n_trajectories, -1), default_int()),
        stiffness=problem.stiffness,
        step=clock.step_origin,
        clock=clock,
        first_trajectory=argument(first, default_int()),
    )


def go_on(
    problem: LearningProblem, curve: LearningCurve, request: Request, dt: Any
) -> LearningCheckpoint:
    """The checkpoint of a curve; a change of stiffness since is work.

    Raises:
        ValueError: the curve has none, or a teacher or another number of trajectories is asked for.
    """
    if request.teacher is not None:
        raise ValueError("teacher must be left out: a curve is continued with its own")
    earlier = curve.checkpoint
    if earlier is None:
        raise ValueError("weights must be a curve with its checkpoint to be continued")
    count_matches("weights", request.n_trajectories, earlier.n_trajectories)
    clock = Clock.at(earlier.step, earlier.clock.time(earlier.step), dt, request.dtype)
    stiffened = problem.stiffness - earlier.stiffness
    quench = jnp.where(stiffened == 0, 0, stiffened * earlier.norm / 2)
    return dataclasses.replace(
        earlier, clock=clock.resume(earlier.clock), work=earlier.work.add(quench)
    )
