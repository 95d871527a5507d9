"""Interface of a level of description, and the validated arguments of `learn`."""

import abc
import dataclasses
from typing import Any

import diffrax
import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from ...ensembles import AbstractAdjoint, Clock, Layout, Saves
from ...langevin import Time
from ...numerics.arrays import argument, default_int
from ...numerics.checks import check_first_trajectory, check_key, count_matches
from ...numerics.sums import CompensatedSum
from ...numerics.types import AnyArray
from .._curve import AbstractLearningCheckpoint, LearningCurve
from ..problem import LearningProblem
from ._initial import check_teachers


@dataclasses.dataclass(frozen=True)
class Request:
    """The arguments of `learn` that all levels share."""

    t1: Time
    key: Key[Array, ""] | None
    n_trajectories: int
    save_every: int | None
    teacher: Any
    teachers: str
    weights: Any
    first_trajectory: int | Int[Array, ""]
    test_inputs: Any
    adjoint: AbstractAdjoint
    progress: bool | diffrax.AbstractProgressMeter
    layout: Layout
    dt: float
    dtype: Any

    def __post_init__(self):
        check_teachers(self.teachers)
        check_first_trajectory(
            self.first_trajectory, self.n_trajectories, self.continued is not None
        )

    @property
    def drawing_key(self) -> Key[Array, ""]:
        """The key; TypeError without one."""
        return check_key(self.key, "inputs and noise")

    @property
    def continued(self) -> LearningCurve | None:
        """The curve that is to be continued."""
        return self.weights if isinstance(self.weights, LearningCurve) else None

    @property
    def indices(self) -> Int[AnyArray, " trajectory"]:
        """The numbers of the trajectories."""
        dtype = default_int()
        return argument(self.first_trajectory, dtype) + np.arange(self.n_trajectories, dtype=dtype)

    @property
    def initial(self) -> dict[str, Float[Array, " trajectory"]] | None:
        """The start of the curve that is continued."""
        return None if self.continued is None else self.continued.initial

    def saves(self, checkpoint: AbstractLearningCheckpoint) -> Saves:
        """The saves from a checkpoint on."""
        begun_at = checkpoint.clock.exact_time(checkpoint.step, self.dt)
        return Saves.between(begun_at, self.t1, self.dt, self.dtype, self.save_every)


class AbstractLevel(eqx.Module):
    """A level of description: the variables that `learn` evolves, and how."""

    dt: eqx.AbstractVar[float]

    @abc.abstractmethod
    def learn(self, problem: LearningProblem, request: Request) -> LearningCurve:
        """The curve of a problem whose floats are of the request's dtype."""


def begin(problem: LearningProblem, request: Request) -> dict[str, Any]:
    """Fields of a checkpoint at step 0 with an empty ledger, without where the students are."""
    dtype, count = request.dtype, request.n_trajectories
    clock = Clock.at(0, 0.0, request.dt, dtype)
    return {
        "work": CompensatedSum.zeros((count,), dtype),
        "diverged_step": argument(np.full(count, -1), default_int()),
        "stiffness": problem.stiffness,
        "step": clock.step_origin,
        "clock": clock,
        "first_trajectory": argument(request.first_trajectory, default_int()),
    }


def go_on(
    problem: LearningProblem, curve: LearningCurve, request: Request
) -> AbstractLearningCheckpoint:
    """The checkpoint of a curve; a change of stiffness since is work.

    Raises:
        ValueError: the curve has none, or a teacher or another number of trajectories is given.
    """
    if request.teacher is not None:
        raise ValueError("teacher must be left out: a curve is continued with its own")
    earlier = curve.checkpoint
    if earlier is None:
        raise ValueError(
            "weights is a curve without a checkpoint, which cannot be continued; pass the curve "
            "that learn returned"
        )
    count_matches("weights", request.n_trajectories, earlier.n_trajectories)
    clock = Clock.at(earlier.step, earlier.time, request.dt, request.dtype)
    stiffened = problem.stiffness - earlier.stiffness
    quench = jnp.where(stiffened == 0, 0, stiffened * earlier.norm / 2)
    return dataclasses.replace(
        earlier, clock=clock.resume(earlier.clock), work=earlier.work.add(quench)
    )
