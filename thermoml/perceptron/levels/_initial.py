"""Initial conditions of learning: teachers, and students before they learn."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from ...ensembles import TEACHER, WEIGHTS
from ...numerics.arrays import argument, as_parameter, default_float, is_concrete
from ...numerics.checks import check_count, check_finite, check_key
from ...numerics.choices import is_choice
from ...numerics.compile import jitted
from ...numerics.random import trajectory_key
from ...numerics.sums import ordered_sum
from ...numerics.types import AnyArray
from ..problem import LearningProblem, Perceptron
from ..theory import SteadyState


def sphere_teacher(key: Key[Array, ""], n_inputs: int, dtype: Any = None) -> Float[Array, " N"]:
    """Weights of a teacher uniform on the sphere |T|² = N."""
    check_key(key, "a teacher")
    check_count("n_inputs", n_inputs)
    return _on_sphere(jax.random.normal(key, (n_inputs,), dtype or default_float()))


@jax.jit  # a loop outside of a compiled function is compiled at every call
def _on_sphere(columns: Float[Array, "N ..."]) -> Float[Array, "N ..."]:
    """Columns of length √N."""
    n_inputs = columns.shape[0]
    return columns * jnp.sqrt(n_inputs / ordered_sum(columns, term=jnp.square))[None]


@jax.jit
def _teachers(weights: Float[Array, "*M N"]) -> Float[Array, "N _"]:
    """One teacher or many, each as a column on the sphere."""
    return _on_sphere(jnp.atleast_2d(weights).T)


def binary_teacher(key: Key[Array, ""], n_inputs: int, dtype: Any = None) -> Float[Array, " N"]:
    """Weights of a teacher uniform on {-1, +1}^N; N must be odd, lest T·ξ = 0 for ±1 inputs."""
    check_key(key, "a teacher")
    check_count("n_inputs", n_inputs)
    if n_inputs % 2 == 0:
        raise ValueError(
            f"n_inputs must be odd for a teacher of ±1, got {n_inputs}: with an even number some "
            f"inputs have no label; use {n_inputs + 1} or a teacher on the sphere"
        )
    return jax.random.rademacher(key, (n_inputs,), dtype or default_float())


def _each(draw: Callable[..., Any], key: Key[Array, ""], indices: AnyArray, purpose: int) -> Array:
    """draw(key) for each trajectory."""
    return jax.vmap(lambda i: draw(trajectory_key(key, i, purpose)))(indices)


@jitted
def _sphere_teachers(
    key: Key[Array, ""], indices: Int[AnyArray, " trajectory"], n_inputs: int, dtype: Any
) -> Float[Array, "N trajectory"]:
    weights = _each(lambda k: sphere_teacher(k, n_inputs), key, indices, TEACHER)
    return _teachers(jnp.asarray(weights, dtype))


@jitted
def _normal_weights(
    key: Key[Array, ""],
    indices: Int[AnyArray, " trajectory"],
    n_inputs: int,
    variance: tuple[Float[Array, ""], Float[Array, ""]],
) -> Float[Array, "trajectory N"]:
    """Weights N(0, a/b) for a variance (a, b)."""
    width = jnp.sqrt(variance[0] / variance[1])
    normal = lambda k: width * jax.random.normal(k, (n_inputs,), width.dtype)  # noqa: E731
    return _each(normal, key, indices, WEIGHTS)


def check_teachers(teachers: str) -> None:
    """ValueError unless it is the name of a way to draw them."""
    if not is_choice(teachers, ("single", "ensemble")):
        raise ValueError(f'teachers must be "single" or "ensemble", got {teachers!r:.80}')


def teacher_weights(
    teacher: Any,
    teachers: str,
    *,
    key: Key[Array, ""],
    indices: Int[AnyArray, " trajectory"],
    n_inputs: int,
    dtype: Any,
) -> Float[Array, "N _"]:
    """The teacher, normalised to |T|² = N, as `(N, 1)` for all or `(N, M)` for each trajectory."""
    n_trajectories = indices.shape[0]
    if teacher is None:
        teacher = sphere_teacher
    if isinstance(teacher, Perceptron):
        teacher = teacher.weights
    if callable(teacher):
        if teachers == "single":  # the same one for every part of the ensemble
            indices = argument(np.zeros(1), indices.dtype)
        if teacher is sphere_teacher:
            return _sphere_teachers(key, indices, n_inputs, dtype)
        weights = _each(lambda k: teacher(k, n_inputs), key, indices, TEACHER)
        weights = jnp.asarray(weights, dtype)
    else:
        weights = as_parameter(teacher, "teacher").astype(dtype)
        check_finite("teacher", weights)
        if weights.shape not in ((n_inputs,), (n_trajectories, n_inputs)):
            raise ValueError(
                f"teacher must have shape ({n_inputs},) or ({n_trajectories}, {n_inputs}), "
                f"got {weights.shape}"
            )
        if is_concrete(weights) and not (np.linalg.norm(np.asarray(weights), axis=-1) > 0).all():
            raise ValueError("teacher must not be zero or nan: it has no direction")
    return _teachers(weights)


@jax.jit
def _in_plane(
    drawn: Float[Array, "M N"], teacher: Float[Array, "N _"], overlap: Array, transverse: Array
) -> Float[Array, "M N"]:
    """Students of given R and √(Q - R²), in the directions of what was drawn."""
    drawn = drawn.T
    n_inputs = drawn.shape[0]
    along = ordered_sum(drawn, teacher, term=jnp.multiply) / n_inputs
    across = drawn - along[None] * teacher
    square = ordered_sum(across, term=jnp.square)
    students = overlap * teacher + across * (transverse * jnp.sqrt(n_inputs / square))[None]
    return students.T


def initial_weights(
    problem: LearningProblem,
    weights: Any,
    key: Key[Array, ""],
    indices: Int[AnyArray, " trajectory"],
    teacher: Float[Array, "N _"],
) -> Float[Array, "M N"]:
    """The students at the start; by default in the bath's equilibrium, N(0, T/k)."""
    n_inputs, dtype = teacher.shape[0], teacher.dtype
    shape = (indices.shape[0], n_inputs)
    if isinstance(weights, SteadyState):
        one = argument(1, dtype)
        drawn = _normal_weights(key, indices, n_inputs, (one, one))
        overlap, transverse = (jnp.asarray(x, dtype) for x in weights.plane)
        return _in_plane(drawn, teacher, overlap, transverse)
    if isinstance(weights, Perceptron):
        weights = weights.weights
    if weights is None:
        if is_concrete(problem.stiffness) and not float(problem.stiffness) > 0:
            raise ValueError(
                "weights must be given when stiffness is 0: there is no equilibrium to start from"
            )
        variance = (problem.temperature, problem.stiffness)
        return _normal_weights(key, indices, n_inputs, variance)
    if callable(weights):
        weights = _each(weights, key, indices, WEIGHTS)
    else:
        check_finite("weights", weights)
    array = as_parameter(weights, "weights").astype(dtype)
    if array.shape not in ((n_inputs,), shape):
        raise ValueError(
            f"weights must have shape ({n_inputs},) or {shape}, or be a function key -> weights "
            f"of shape ({n_inputs},), got {array.shape}"
        )
    return jnp.broadcast_to(array.reshape(-1, n_inputs), shape)
