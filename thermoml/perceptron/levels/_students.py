"""Ensembles of students: the interface of their processes, and the curve of a compiled run."""

import abc
import dataclasses
from typing import Any, ClassVar, Generic, TypeVar

import diffrax
import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from ...ensembles import (
    AbstractAdjoint,
    AbstractProcess,
    Footprint,
    Layout,
    Saves,
    gather,
    progress_meter,
    run,
    with_known_times,
)
from ...numerics.compile import compiled
from ...numerics.sums import CompensatedSum
from .._curve import AbstractLearningCheckpoint, LearningCurve, curve_of
from ..problem import LearningProblem, check_force
from ..theory import jump_losses
from ._level import Request

_VECTOR = 16  # float32 numbers in the widest vector of a CPU
_SMALL = 2**12  # numbers up to which a lone trajectory is filled up to a whole vector


class AbstractStudents(eqx.Module):
    """M students between two steps."""

    work: eqx.AbstractVar[CompensatedSum]  # per weight
    drive_square: eqx.AbstractVar[Float[Array, " M"]]  # Σ |f|²/N over the steps since the last save
    diverged_step: eqx.AbstractVar[Int[Array, " M"]]


Students = TypeVar("Students", bound=AbstractStudents)
Held = TypeVar("Held")


class AbstractLearningProcess(AbstractProcess[Students, Held, Students], Generic[Students, Held]):
    """Motion of students, trajectory axis last during the steps."""

    problem: eqx.AbstractVar[LearningProblem]
    trajectory_axis: ClassVar[int] = -1

    @abc.abstractmethod
    def students(self, checkpoint: Any) -> Students:
        """The students of a checkpoint, trajectory axis first."""

    @abc.abstractmethod
    def position(self, students: Students) -> dict[str, Array]:
        """Fields of a checkpoint that hold where students are, trajectory axis first."""


def students_footprint(numbers: int, widest: int = 256) -> Footprint:
    """The footprint of students that keep so many numbers each."""
    return Footprint(lambda: numbers, vector=_VECTOR, widest=widest, elsewhere=2**16, alone=_SMALL)


def metered(
    students: Students, position: dict[str, Array], n_steps: int
) -> tuple[Students, dict[str, Array]]:
    """Students with an empty meter of the drive, and the record: position, work and drive."""
    drive_square = students.drive_square / n_steps
    record = position | {"work": students.work.value, "drive_square": drive_square}
    return with_empty_meter(students), record


def with_empty_meter(students: Students) -> Students:
    """These students with an empty `drive_square`, as after a save."""
    return dataclasses.replace(students, drive_square=jnp.zeros_like(students.drive_square))


@compiled
def _run(
    process: AbstractLearningProcess,
    own: PyTree[Array],
    checkpoint: AbstractLearningCheckpoint,
    initial: dict[str, Float[Array, " trajectory"]] | None,
    times: Float[Array, " save"],
    adjoint: AbstractAdjoint,
    meter: diffrax.AbstractProgressMeter,
    saves: Saves,
    layout: Layout,
) -> LearningCurve:
    """The curve of the students of a checkpoint."""
    problem, clock = process.problem, checkpoint.clock
    check_force(problem.rule, times.dtype)
    outcome = run(
        process,
        process.students(checkpoint),
        own,
        step=checkpoint.step,
        first_trajectory=checkpoint.first_trajectory,
        saves=saves,
        adjoint=adjoint,
        meter=meter,
        layout=layout,
    )
    students = outcome.walkers
    records = gather(outcome.records, outcome.division.mesh)
    drive_square = records.pop("drive_square")
    # No step has led to the start: it shares its drive with the first interval.
    drive_square = drive_square.at[:, 0].set(drive_square[:, 1])
    places, losses = jump_losses(problem, problem.n_inputs, clock.dt, times.dtype)
    return curve_of(
        problem,
        records,
        times=times,
        # One product: a quotient is rounded differently at the end of a vector.
        scale_separation=clock.dt / (2 * problem.temperature) * drive_square,
        jump_loss=losses[0],
        kinks=places[1:] if places.size > 1 else None,
        kink_losses=losses[1:] if places.size > 1 else None,
        initial=initial,
        diverged_step=students.diverged_step,
        checkpoint=dataclasses.replace(
            checkpoint,
            **process.position(students),
            work=students.work,
            diverged_step=students.diverged_step,
            stiffness=problem.stiffness,
            step=outcome.steps[-1],
        ),
    )


def follow(
    process: AbstractLearningProcess,
    checkpoint: AbstractLearningCheckpoint,
    request: Request,
    *,
    own: PyTree[Array] = None,
    teacher: Array | None = None,
) -> LearningCurve:
    """The curve of students that start at a checkpoint and move as `process` says.

    Args:
        process: how they move.
        checkpoint: where they start.
        request: times, saves, adjoint, progress and layout.
        own: what each trajectory brings along, `(M, ...)`.
        teacher: the curve's `teacher`, None for none.
    """
    saves = request.saves(checkpoint)
    times = checkpoint.clock.time(checkpoint.step, saves.steps)
    curve = _run(
        process,
        own,
        checkpoint,
        request.initial,
        times,
        request.adjoint,
        progress_meter(request.progress),
        saves,
        request.layout,
    )
    curve = request.layout.collect(curve)
    curve = with_known_times(curve, times, checkpoint.step + saves.n_steps, checkpoint.clock)
    return curve if teacher is None else dataclasses.replace(curve, teacher=teacher)
