"""The score of a path of learning: how its probability depends on the force that led along it."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from ...numerics.arrays import cast_floats
from ...numerics.checks import count_steps
from ...numerics.random import row_numbers, trajectory_streams
from ...numerics.sums import CompensatedSum, ordered_sum
from .._curve import LearningCurve
from ..problem import LearningProblem
from ._initial import INPUTS, NOISE, initial_weights, sphere_teacher, teacher_weights
from ._microscopic import Learning, Students


def score_of_learning(
    build: Callable[[Array], LearningProblem],
    parameters: Float[Array, " k"],
    dt: float,
    key: Key[Array, ""],
    t1: float,
    indices: Int[Array, " trajectory"],
    teachers: str,
    measure: Callable[[LearningCurve], Array],
) -> tuple[Float[Array, " trajectory"], Float[Array, "trajectory k"]]:
    r"""Measurements of some trajectories and ∂ ln p(path).

    $\sum_\text{steps}\sqrt{dt/2T}\;\partial f\cdot n$, f the whole force at given weights and n the
    noise of the step, plus ∂ ln p of the weights at the start, N(0, T/k).

    NaN where the temperature depends on the parameters, since paths then have no common density.
    Work and heat are NaN: they depend on the parameters by themselves too.
    """
    dtype = parameters.dtype

    def made(vector: Array) -> LearningProblem:
        return cast_floats(build(vector), dtype)

    problem = made(parameters)
    n_inputs = problem.n_inputs
    if not isinstance(n_inputs, int):
        raise ValueError("n_inputs must be given in the problem for the microscopic level")
    n_steps = count_steps(0.0, t1, dt, dtype)
    teacher = teacher_weights(sphere_teacher, teachers, key, indices, n_inputs, dtype)
    weights = jax.lax.stop_gradient(initial_weights(problem, None, key, indices, teacher).T)
    length = jnp.asarray(dt, dtype)
    inputs, noises = (trajectory_streams(key, indices, use) for use in (INPUTS, NOISE))

    def learning(vector: Array) -> Learning:
        return Learning(made(vector), teacher, None, inputs, noises, length)

    def start(vector: Array) -> Array:
        own = made(vector)
        variance = own.temperature / own.stiffness
        square = ordered_sum(weights, term=jnp.square)
        return -square / (2 * variance) - n_inputs * jnp.log(variance) / 2

    def body(carry, step):
        students, score = carry
        noise = noises.at(step).normals(row_numbers(n_inputs), dtype)
        taught = jax.lax.stop_gradient(students.weights)

        def pushed(vector: Array) -> Array:
            own = learning(vector)
            batch, signs, _, force = own.lesson(taught, step)
            (met,) = batch.project(noise)
            rate = own.problem.learning_rate * n_inputs**0.5 / own.problem.batch
            drive = ordered_sum(signs * force, met, term=jnp.multiply) * rate
            return drive - own.problem.stiffness * ordered_sum(taught, noise, term=jnp.multiply)

        slopes = jax.jacfwd(pushed)(parameters)
        score = score + jnp.sqrt(length / (2 * problem.temperature)) * slopes
        return (learning(parameters).step(students, step), score), None

    zeros = jnp.zeros(indices.shape, dtype)
    students = Students(
        weights=weights,
        work=CompensatedSum.zeros(indices.shape, dtype),
        drive_square=zeros,
        diverged_step=jnp.full(indices.shape, -1),
    )
    heated = jax.jacfwd(lambda vector: made(vector).temperature)(parameters)
    first = jax.jacfwd(start)(parameters) + jnp.where(heated == 0, 0, jnp.nan)[None]
    (students, score), _ = jax.lax.scan(body, (students, first), jnp.arange(n_steps))
    shown = learning(parameters).record(students)
    unknown = jnp.full((*indices.shape, 1), jnp.nan, dtype)
    curve = LearningCurve(
        times=jnp.asarray([t1], dtype),
        **{name: value[:, None] for name, value in shown.items()},
        work=unknown,
        scale_separation=unknown,
        jump_loss=unknown[0, 0],
        stiffness=problem.stiffness,
        temperature=problem.temperature,
        initial={},
        diverged_step=students.diverged_step,
        teacher=None,
        checkpoint=None,
    )
    curve = dataclasses.replace(curve, initial=curve.at_start())
    return measure(curve), score
