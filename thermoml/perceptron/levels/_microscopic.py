"""The microscopic level: every weight and every input, trajectory axis last."""

import dataclasses

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, Key

from ...numerics.checks import check_bound, check_count
from ...numerics.random import Streams, check_generator, trajectory_streams
from ...numerics.sums import CompensatedSum, by_blocks, ordered_sum
from ..problem import LearningProblem, TrainingSet
from ._ensemble import AbstractDynamics, AbstractProcess, AbstractStudents, run_ensemble
from ._initial import INPUTS, NOISE, initial_weights, teacher_weights
from ._level import AbstractLevel, begin, go_on


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
        key, dtype = request.drawing_key, request.dtype
        curve = request.continued
        if curve is not None:
            checkpoint = go_on(problem, curve, request, self.dt)
            if checkpoint.weights is None or curve.teacher is None:
                raise ValueError("weights must be a curve of the microscopic level")
            teacher = jnp.atleast_2d(curve.teacher).T
        else:
            indices = request.indices
            teacher = teacher_weights(
                request.teacher, request.teachers, key, indices, n_inputs, dtype
            )
            weights = initial_weights(problem, request.weights, key, indices, teacher)
            checkpoint = begin(
                problem,
                request.n_trajectories,
                request.first_trajectory,
                self.dt,
                dtype,
                weights=weights,
            )
        assert checkpoint.weights is not None
        if checkpoint.weights.shape[1] != n_inputs:
            raise ValueError(
                f"the problem's n_inputs must be {checkpoint.weights.shape[1]} as in the curve "
                f"that is continued, got {n_inputs}"
            )
        test_inputs = request.test_inputs
        if test_inputs is not None:
            test_inputs = jnp.asarray(test_inputs, dtype)
            if test_inputs.ndim != 2 or test_inputs.shape[1] != n_inputs:
                raise ValueError(
                    f"test_inputs must have shape (examples, {n_inputs}), got {test_inputs.shape}"
                )
        shared = teacher.shape[1] == 1
        return run_ensemble(
            _Dynamics(
                problem,
                teacher if shared else None,
                test_inputs,
                key,
                checkpoint.clock.dt,
                self.generator,
            ),
            None if shared else teacher.T,
            checkpoint,
            request,
            self.dt,
            problem.inputs.footprint(problem.batch, n_inputs),
            teacher=teacher[:, 0] if shared else teacher.T,
        )


class Students(AbstractStudents):
    """M students with all their weights."""

    weights: Float[Array, "N M"]
    work: CompensatedSum
    drive_square: Float[Array, " M"]
    diverged_step: Int[Array, " M"]

    def turned(self):
        return dataclasses.replace(self, weights=self.weights.T)

    def position(self):
        return {"weights": self.weights}


class _Dynamics(AbstractDynamics):
    problem: LearningProblem
    teacher: Float[Array, "N 1"] | None  # None where each trajectory brings its own
    test_inputs: Float[Array, "P N"] | None
    key: Key[Array, ""]
    dt: Float[Array, ""]
    generator: str = eqx.field(static=True)

    def students(self, checkpoint):
        assert checkpoint.weights is not None
        return Students(
            weights=checkpoint.weights,
            work=checkpoint.work,
            drive_square=jnp.zeros_like(checkpoint.work.total),
            diverged_step=checkpoint.diverged_step,
        )

    def process(self, indices, own):
        return Learning(
            self.problem,
            own if self.teacher is None else self.teacher,
            self.test_inputs,
            trajectory_streams(self.key, indices, INPUTS, self.generator),
            trajectory_streams(self.key, indices, NOISE, self.generator),
            self.dt,
        )


class Learning(AbstractProcess):
    """One step of M students, given their random streams."""

    problem: LearningProblem
    teacher: Float[Array, "N _"]  # (N, 1) shared or (N, M)
    test_inputs: Float[Array, "P N"] | None
    inputs: Streams
    noise: Streams
    dt: Float[Array, ""]

    def lesson(self, weights: Array, step: Array):
        """The batch of a step, its labels, the activations √N λ, and the force F on each input."""
        batch = self.problem.inputs.draw(
            self.inputs.at(step),
            batch=self.problem.batch,
            n_inputs=self.teacher.shape[0],
            dtype=self.teacher.dtype,
        )
        # Every use of the inputs would otherwise draw them again inside its own fusion.
        batch = lax.optimization_barrier(batch)
        taught, fields = batch.project(self.teacher, weights)
        signs = jnp.where(taught < 0, -jnp.ones_like(taught), 1)
        return batch, signs, fields, self._force(signs, fields)

    def _force(self, signs: Array, fields: Array) -> Array:
        return jnp.vectorize(self.problem.rule)(signs * fields / self.teacher.shape[0] ** 0.5)

    def step(self, students: Students, step: Array) -> Students:
        problem, weights = self.problem, students.weights
        batch, signs, fields, force = self.lesson(weights, step)
        rate = problem.learning_rate * weights.shape[0] ** 0.5 / problem.batch
        drive = batch.combine(rate * signs * force)
        draws, width = self.noise.at(step), jnp.sqrt(2 * problem.temperature * self.dt)

        def move(numbers, weights, drive):
            noise = draws.normals(numbers, weights.dtype)
            return weights + self.dt * (drive - problem.stiffness * weights) + width * noise

        moved = by_blocks(move, weights.shape[0], weights, drive)
        # f∘dw, from ξ_b·dw = √N(λ'_b - λ_b): one more projection instead of a second drive.
        (new_fields,) = batch.project(moved)
        mean_force = signs * (force + self._force(signs, new_fields)) / 2
        work = ordered_sum(mean_force, new_fields - fields, term=jnp.multiply)
        work = students.work.add(rate * work / weights.shape[0])
        bad = ~jnp.isfinite(work.total) & (students.diverged_step < 0)
        met = ordered_sum(drive, term=jnp.square) / weights.shape[0]
        return Students(
            weights=moved,
            work=work,
            drive_square=students.drive_square + met,
            diverged_step=jnp.where(bad, step, students.diverged_step),
        )

    def record(self, students: Students) -> dict[str, Array]:
        weights, n_inputs = students.weights, self.teacher.shape[0]
        product = ordered_sum(weights, self.teacher, term=jnp.multiply)
        overlap = product / n_inputs
        shown = {
            "overlap": overlap,
            "norm": ordered_sum(weights, term=jnp.square) / n_inputs,
            "transverse": ordered_sum(
                weights, self.teacher, term=lambda w, teacher: (w - overlap * teacher) ** 2
            )
            / n_inputs,
        }
        if isinstance(self.problem.inputs, TrainingSet):
            shown["training_error"] = self._disagreement(self.problem.inputs.examples, weights)
        if self.test_inputs is not None:
            shown["test_error"] = self._disagreement(self.test_inputs, weights)
        return shown

    def _disagreement(self, examples: Array, weights: Array) -> Array:
        wrong = (examples @ self.teacher < 0) != (examples @ weights < 0)
        return jnp.mean(wrong, axis=0, dtype=weights.dtype)
