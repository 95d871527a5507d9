"""The score of a path of learning: how its probability depends on the force that led along it."""

from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from ...ensembles import AbstractProcess, Direct, Footprint, Layout, Saves, progress_meter, run
from ...numerics.arrays import cast_floats, default_int
from ...numerics.checks import check_count, count_steps
from ...numerics.random import row_numbers
from ...numerics.sums import CompensatedSum, ordered_sum
from .._curve import LearningCurve, curve_of
from ..problem import LearningProblem
from ._initial import initial_weights, sphere_teacher, teacher_weights
from ._microscopic import Learning, Lesson, Microscopic, Students


class ScoredStudents(eqx.Module):
    """Students and ∂ ln p of their paths, `(M, k)`."""

    students: Students
    score: Float[Array, "M k"]

    @property
    def diverged_step(self) -> Int[Array, " M"]:
        return self.students.diverged_step


Moving = tuple[Students, Float[Array, "k M"]]


class ScoredLearning(AbstractProcess[ScoredStudents, Lesson, Moving]):
    """A process of students that keeps the score of their paths.

    Args:
        learning: the process for a vector of parameters.
        parameters: the vector at which the score is taken.
    """

    learning: Callable[[Float[Array, " k"]], Learning]
    parameters: Float[Array, " k"]
    trajectory_axis: ClassVar[int] = -1

    def footprint(self, walkers: ScoredStudents) -> Footprint:
        return self.learning(self.parameters).footprint(walkers.students)

    def init(self, indices, walkers, own, step):
        students = walkers.students
        lesson, students = self.learning(self.parameters).init(indices, students, own, step)
        return lesson, (students, walkers.score.T)

    def step(self, held: Lesson, moving: Moving, step: Int[Array, ""]) -> Moving:
        students, score = moving
        process = self.learning(self.parameters)
        n_inputs, dtype = students.weights.shape[0], students.weights.dtype
        noise = held.noise.at(step).normals(row_numbers(n_inputs), dtype)
        weights = jax.lax.stop_gradient(students.weights)

        def push(vector: Array) -> Array:
            own = self.learning(vector)
            batch, signs, _, force = own.examples(held, weights, step)
            (met,) = batch.project(noise)
            rate = own.problem.learning_rate * n_inputs**0.5 / own.problem.batch
            drive = ordered_sum(signs * force, met, term=jnp.multiply) * rate
            return drive - own.problem.stiffness * ordered_sum(weights, noise, term=jnp.multiply)

        slopes = jax.jacfwd(push)(self.parameters)
        width = jnp.sqrt(process.dt / (2 * process.problem.temperature))
        return process.step(held, students, step), score + (width * slopes).T

    def record(self, held: Lesson, moving: Moving, step: Int[Array, ""], n_steps: int):
        students, score = moving
        students, record = self.learning(self.parameters).record(held, students, step, n_steps)
        return (students, score), record

    def final(self, moving: Moving) -> ScoredStudents:
        students, score = moving
        return ScoredStudents(self.learning(self.parameters).final(students), score.T)


def score_of_learning(
    build: Callable[[Array], LearningProblem],
    parameters: Float[Array, " k"],
    level: Microscopic,
    *,
    key: Key[Array, ""],
    t1: float,
    n_trajectories: int,
    first_trajectory: Int[Array, ""] | int,
    teachers: str,
    layout: Layout,
) -> tuple[LearningCurve, Float[Array, "trajectory k"]]:
    r"""A curve of learning, start and end, and ∂ ln p(path) of its trajectories.

    $\sum_\text{steps}\sqrt{dt/2T}\;\partial f\cdot n$, f the whole force at given weights and n the
    noise of the step, plus ∂ ln p of the weights at the start, N(0, T/k).

    NaN where the temperature depends on the parameters, since paths then have no common density.
    Work and heat are NaN: they depend on the parameters by themselves too.
    """
    dtype = parameters.dtype

    def made(vector: Array) -> LearningProblem:
        return cast_floats(build(vector), dtype)

    problem = made(parameters)
    if problem.n_inputs is None:
        raise ValueError("n_inputs must be given in the problem for the microscopic level")
    n_inputs = check_count("n_inputs", problem.n_inputs)
    first = jnp.asarray(first_trajectory, default_int())
    indices = first + jnp.arange(n_trajectories, dtype=default_int())
    teacher = teacher_weights(
        sphere_teacher, teachers, key=key, indices=indices, n_inputs=n_inputs, dtype=dtype
    )
    weights = jax.lax.stop_gradient(initial_weights(problem, None, key, indices, teacher))
    shared = teacher if teachers == "single" else None
    dt = jnp.asarray(level.dt, dtype)

    def learning(vector: Array) -> Learning:
        return Learning(made(vector), shared, None, key, dt, level.generator)

    outcome = run(
        ScoredLearning(learning, parameters),
        _at_start(weights, _initial_score(made, parameters, weights)),
        None if teachers == "single" else teacher.T,
        step=jnp.zeros((), default_int()),
        first_trajectory=first,
        saves=Saves(1, count_steps(0.0, t1, level.dt, dtype)),
        adjoint=Direct(),
        meter=progress_meter(False),
        layout=layout,
    )
    unknown = jnp.full((n_trajectories, 2), jnp.nan, dtype)
    records = {name: x for name, x in outcome.records.items() if name != "drive_square"}
    curve = curve_of(
        problem,
        records | {"work": unknown},
        times=jnp.asarray([0, t1], dtype),
        scale_separation=unknown,
        jump_loss=unknown[0, 0],
        diverged_step=outcome.walkers.diverged_step,
    )
    return curve, outcome.walkers.score


def _at_start(
    weights: Float[Array, "trajectory N"], score: Float[Array, "trajectory k"]
) -> ScoredStudents:
    """Students who have made no step, with the score of their weights."""
    n_trajectories, dtype = weights.shape[0], weights.dtype
    students = Students(
        weights=weights,
        work=CompensatedSum.zeros((n_trajectories,), dtype),
        drive_square=jnp.zeros((n_trajectories,), dtype),
        diverged_step=jnp.full((n_trajectories,), -1),
    )
    return ScoredStudents(students, score)


def _initial_score(
    made: Callable[[Array], LearningProblem],
    parameters: Float[Array, " k"],
    weights: Float[Array, "trajectory N"],
) -> Float[Array, "trajectory k"]:
    """∂ ln p of the weights at the start; NaN where the temperature depends on the parameters."""
    n_inputs = weights.shape[1]

    def log_density(vector: Array) -> Array:
        problem = made(vector)
        variance = problem.temperature / problem.stiffness
        square = ordered_sum(weights.T, term=jnp.square)
        return -square / (2 * variance) - n_inputs * jnp.log(variance) / 2

    heated = jax.jacfwd(lambda vector: made(vector).temperature)(parameters)
    return jax.jacfwd(log_density)(parameters) + jnp.where(heated == 0, 0, jnp.nan)[None]
