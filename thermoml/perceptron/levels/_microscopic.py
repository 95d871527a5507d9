"""The microscopic level: every weight and every input."""

import dataclasses

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, Key

from ...ensembles import INPUTS, NOISE, Footprint
from ...numerics.checks import check_bound, check_count, parameter
from ...numerics.random import Streams, check_generator, trajectory_streams
from ...numerics.sums import CompensatedSum, by_blocks, ordered_sum
from ...numerics.types import AnyArray
from .._curve import WeightsCheckpoint
from ..kernels import AbstractInputBatch
from ..problem import LearningProblem, TrainingSet
from ._initial import initial_weights, teacher_weights
from ._level import AbstractLevel, Request, begin, go_on
from ._students import (
    AbstractLearningProcess,
    AbstractStudents,
    follow,
    metered,
    students_footprint,
    with_empty_meter,
)


class Microscopic(AbstractLevel):
    """All N weights by Euler-Maruyama steps of size dt, fresh inputs at each.

    Args:
        dt: time step > 0. Use steps small enough that the reported `scale_separation` is well
            below 1 and μ k dt < 0.2.
        generator: where random bits come from: "hash", a keyed integer hash that passes TestU01's
            Crush, or "threefry", the cipher of `jax.random`, which is slower.
    """

    dt: float
    generator: str = eqx.field(default="hash", static=True, kw_only=True)

    def __check_init__(self):
        check_bound("dt", self.dt, ">", 0.0)
        check_generator(self.generator)

    def learn(self, problem, request):
        if problem.n_inputs is None:
            raise ValueError("n_inputs must be given in the problem for the microscopic level")
        n_inputs = check_count("n_inputs", problem.n_inputs)
        checkpoint, teacher = _start(problem, request, n_inputs)
        if checkpoint.weights.shape[1] != n_inputs:
            raise ValueError(
                f"the problem's n_inputs must be {checkpoint.weights.shape[1]} as in the curve "
                f"that is continued, got {n_inputs}"
            )
        shared = teacher.shape[1] == 1
        process = Learning(
            problem,
            teacher if shared else None,
            _test_inputs(request, n_inputs),
            request.drawing_key,
            checkpoint.clock.dt,
            self.generator,
        )
        own = None if shared else teacher.T
        final_teacher = teacher[:, 0] if shared else teacher.T
        return follow(process, checkpoint, request, own=own, teacher=final_teacher)


def _start(
    problem: LearningProblem, request: Request, n_inputs: int
) -> tuple[WeightsCheckpoint, Float[Array, "N _"]]:
    """Where students start, and the teacher as one column or one for each trajectory."""
    key, curve = request.drawing_key, request.continued
    if curve is not None:
        checkpoint = go_on(problem, curve, request)
        if not isinstance(checkpoint, WeightsCheckpoint) or curve.teacher is None:
            raise ValueError(
                "weights must be a curve of the microscopic level, got one without weights; "
                "continue it at Reduced(dt) or MeanField()"
            )
        return checkpoint, jnp.atleast_2d(curve.teacher).T
    indices = request.indices
    teacher = teacher_weights(
        request.teacher,
        request.teachers,
        key=key,
        indices=indices,
        n_inputs=n_inputs,
        dtype=request.dtype,
    )
    weights = initial_weights(problem, request.weights, key, indices, teacher)
    return WeightsCheckpoint(weights=weights, **begin(problem, request)), teacher


def _test_inputs(request: Request, n_inputs: int) -> Float[Array, "P N"] | None:
    if request.test_inputs is None:
        return None
    test_inputs = parameter("test_inputs")(request.test_inputs).astype(request.dtype)
    if test_inputs.ndim != 2 or test_inputs.shape[1] != n_inputs:
        raise ValueError(
            f"test_inputs must have shape (examples, {n_inputs}), got {test_inputs.shape}"
        )
    return test_inputs


class Students(AbstractStudents):
    """M students with all their weights: `(M, N)` between two runs, `(N, M)` between two steps."""

    weights: Float[Array, "_ _"]
    work: CompensatedSum
    drive_square: Float[Array, " M"]
    diverged_step: Int[Array, " M"]

    def turned(self) -> "Students":
        """These students with their trajectory axis at the other end."""
        return dataclasses.replace(self, weights=self.weights.T)


class Lesson(eqx.Module):
    """What a chunk of students keeps: teachers of their own, if any, and random streams."""

    teacher: Float[Array, "N M"] | None
    inputs: Streams
    noise: Streams


class Learning(AbstractLearningProcess[Students, Lesson]):
    """Steps of students with all their weights."""

    problem: LearningProblem
    teacher: Float[Array, "N 1"] | None  # None where each trajectory brings its own
    test_inputs: Float[Array, "P N"] | None
    key: Key[Array, ""]
    dt: Float[AnyArray, ""]
    generator: str = eqx.field(static=True)

    def students(self, checkpoint: WeightsCheckpoint) -> Students:
        return Students(
            weights=checkpoint.weights,
            work=checkpoint.work,
            drive_square=jnp.zeros_like(checkpoint.work.total),
            diverged_step=checkpoint.diverged_step,
        )

    def position(self, students: Students) -> dict[str, Array]:
        return {"weights": students.weights}

    def footprint(self, walkers: Students) -> Footprint:
        n_inputs = walkers.weights.shape[1]
        return students_footprint(self.problem.inputs.footprint(self.problem.batch, n_inputs))

    def init(self, indices, walkers, own, step):
        inputs, noise = (
            trajectory_streams(self.key, indices, purpose, self.generator)
            for purpose in (INPUTS, NOISE)
        )
        # Without a barrier the start would be fused with how it was drawn, and round differently.
        students = lax.optimization_barrier(with_empty_meter(walkers.turned()))
        return Lesson(None if own is None else own.T, inputs, noise), students

    def final(self, moving: Students) -> Students:
        return moving.turned()

    def _teacher_of(self, held: Lesson) -> Float[Array, "N _"]:
        teacher = held.teacher if self.teacher is None else self.teacher
        assert teacher is not None
        return teacher

    def examples(
        self, held: Lesson, weights: Float[Array, "N M"], step: Int[Array, ""]
    ) -> tuple[AbstractInputBatch, Array, Array, Array]:
        """The batch of a step, its labels, the activations √N λ, and the force F on each input."""
        teacher = self._teacher_of(held)
        batch = self.problem.inputs.draw(
            held.inputs.at(step),
            batch=self.problem.batch,
            n_inputs=teacher.shape[0],
            dtype=teacher.dtype,
        )
        # Every use of the inputs would otherwise draw them again inside its own fusion.
        batch = lax.optimization_barrier(batch)
        taught, fields = batch.project(teacher, weights)
        signs = jnp.where(taught < 0, -jnp.ones_like(taught), 1)
        return batch, signs, fields, self._force(signs, fields, teacher.shape[0])

    def _force(self, signs: Array, fields: Array, n_inputs: int) -> Array:
        return jnp.vectorize(self.problem.rule)(signs * fields / n_inputs**0.5)

    def step(self, held: Lesson, moving: Students, step: Int[Array, ""]) -> Students:
        problem, weights = self.problem, moving.weights
        batch, signs, fields, force = self.examples(held, weights, step)
        rate = problem.learning_rate * weights.shape[0] ** 0.5 / problem.batch
        drive = batch.combine(rate * signs * force)
        draws, width = held.noise.at(step), jnp.sqrt(2 * problem.temperature * self.dt)

        def move(numbers, weights, drive):
            noise = draws.normals(numbers, weights.dtype)
            return weights + self.dt * (drive - problem.stiffness * weights) + width * noise

        moved = by_blocks(move, weights.shape[0], weights, drive)
        # f∘dw, from ξ_b·dw = √N(λ'_b - λ_b): one more projection instead of a second drive.
        (new_fields,) = batch.project(moved)
        mean_force = signs * (force + self._force(signs, new_fields, weights.shape[0])) / 2
        work = ordered_sum(mean_force, new_fields - fields, term=jnp.multiply)
        work = moving.work.add(rate * work / weights.shape[0])
        bad = ~jnp.isfinite(work.total) & (moving.diverged_step < 0)
        met = ordered_sum(drive, term=jnp.square) / weights.shape[0]
        return Students(
            weights=moved,
            work=work,
            drive_square=moving.drive_square + met,
            diverged_step=jnp.where(bad, step, moving.diverged_step),
        )

    def record(self, held: Lesson, moving: Students, step: Int[Array, ""], n_steps: int):
        weights, teacher = moving.weights, self._teacher_of(held)
        n_inputs = teacher.shape[0]
        overlap = ordered_sum(weights, teacher, term=jnp.multiply) / n_inputs
        position = {
            "overlap": overlap,
            "norm": ordered_sum(weights, term=jnp.square) / n_inputs,
            "transverse": ordered_sum(
                weights, teacher, term=lambda w, teacher: (w - overlap * teacher) ** 2
            )
            / n_inputs,
        }
        if isinstance(self.problem.inputs, TrainingSet):
            examples = self.problem.inputs.examples
            position["training_error"] = _disagreement(examples, weights, teacher)
        if self.test_inputs is not None:
            position["test_error"] = _disagreement(self.test_inputs, weights, teacher)
        return metered(moving, position, n_steps)


def _disagreement(
    examples: Float[Array, "P N"], weights: Float[Array, "N M"], teacher: Float[Array, "N _"]
) -> Float[Array, " M"]:
    """The fraction of examples on which students and teacher disagree."""
    wrong = (examples @ teacher < 0) != (examples @ weights < 0)
    return jnp.mean(wrong, axis=0, dtype=weights.dtype)
