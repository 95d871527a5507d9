"""Teachers, and students before they learn."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from ..numerics._arrays import default_float, is_concrete
from ..numerics._checks import check_count
from ..numerics._random import trajectory_key
from ..numerics._sums import ordered_sum
from ._model import Perceptron
from ._problem import LearningProblem
from ._steady_state import SteadyState

INPUTS, NOISE, WEIGHTS, _TEACHER = range(4)  # what a trajectory's randomness is for


def sphere_teacher(key: Key[Array, ""], n_inputs: int, dtype: Any = None) -> Float[Array, " N"]:
    """Weights of a teacher uniform on the sphere |T|² = N."""
    return _on_sphere(jax.random.normal(key, (n_inputs,), dtype or default_float()))


@jax.jit  # a loop outside of a compiled function is compiled at every call
def _on_sphere(columns: Float[Array, "N ..."]) -> Float[Array, "N ..."]:
    """Columns of length √N."""
    n_inputs = columns.shape[0]
    return columns * jnp.sqrt(n_inputs / ordered_sum(columns, term=jnp.square))[None]


def binary_teacher(key: Key[Array, ""], n_inputs: int, dtype: Any = None) -> Float[Array, " N"]:
    """Weights of a teacher uniform on {-1, +1}^N; N must be odd, lest T·ξ = 0 for ±1 inputs."""
    check_count("n_inputs", n_inputs)
    if n_inputs % 2 == 0:
        raise ValueError(
            f"n_inputs must be odd for a teacher of ±1, got {n_inputs}: with an even number some "
            f"inputs have no label; use {n_inputs + 1} or a teacher on the sphere"
        )
    return jax.random.rademacher(key, (n_inputs,), dtype or default_float())


def teacher_weights(
    teacher: Any,
    teachers: str,
    key: Key[Array, ""],
    indices: Int[Array, " trajectory"],
    n_inputs: int,
    dtype: Any,
) -> Float[Array, "N _"]:
    """The teacher, normalised to |T|² = N, as `(N, 1)` for all or `(N, M)` for each trajectory."""
    n_trajectories = indices.shape[0]
    if teachers not in ("single", "ensemble"):
        raise ValueError(f'teachers must be "single" or "ensemble", got {teachers!r}')
    if teacher is None:
        teacher = sphere_teacher
    if isinstance(teacher, Perceptron):
        teacher = teacher.weights
    if callable(teacher):
        draw = lambda i: teacher(trajectory_key(key, i, _TEACHER), n_inputs)  # noqa: E731
        if teachers == "single":  # the same one for every part of the ensemble
            indices = jnp.zeros((1,), indices.dtype)
        weights = jnp.asarray(jax.vmap(draw)(indices), dtype)
    else:
        weights = jnp.asarray(teacher, dtype)
        if weights.shape not in ((n_inputs,), (n_trajectories, n_inputs)):
            raise ValueError(
                f"teacher must have shape ({n_inputs},) or ({n_trajectories}, {n_inputs}), "
                f"got {weights.shape}"
            )
        weights = weights.reshape(-1, n_inputs)
        if is_concrete(weights) and not (np.linalg.norm(np.asarray(weights), axis=1) > 0).all():
            raise ValueError("teacher must not be zero or nan: it has no direction")
    return _on_sphere(weights.T)


@jax.jit
def _in_plane(
    drawn: Float[Array, "N M"], teacher: Float[Array, "N _"], overlap: Array, transverse: Array
) -> Float[Array, "N M"]:
    """Students of given R and √(Q - R²), in the directions of what was drawn."""
    n_inputs = drawn.shape[0]
    along = ordered_sum(drawn, teacher, term=jnp.multiply) / n_inputs
    across = drawn - along[None] * teacher
    square = ordered_sum(across, term=jnp.square)
    return overlap * teacher + across * (transverse * jnp.sqrt(n_inputs / square))[None]


def initial_weights(
    problem: LearningProblem,
    weights: Any,
    key: Key[Array, ""],
    indices: Int[Array, " trajectory"],
    teacher: Float[Array, "N _"],
) -> Float[Array, "N M"]:
    """The students at the start; by default in the bath's equilibrium, N(0, T/k)."""
    n_inputs, dtype = teacher.shape[0], teacher.dtype
    shape = (indices.shape[0], n_inputs)
    if isinstance(weights, SteadyState):
        normal = lambda k: jax.random.normal(k, (n_inputs,), dtype)  # noqa: E731
        drawn = initial_weights(problem, normal, key, indices, teacher)
        overlap, transverse = (jnp.asarray(x, dtype) for x in weights.plane)
        return _in_plane(drawn, teacher, overlap, transverse)
    if isinstance(weights, Perceptron):
        weights = weights.weights
    if weights is None:
        if is_concrete(problem.stiffness) and not float(problem.stiffness) > 0:
            raise ValueError(
                "weights must be given when stiffness is 0: there is no equilibrium to start from"
            )
        width = jnp.sqrt(problem.temperature / problem.stiffness)
        weights = lambda k: width * jax.random.normal(k, (n_inputs,), dtype)  # noqa: E731
    if callable(weights):
        draw = lambda i: weights(trajectory_key(key, i, WEIGHTS))  # noqa: E731
        weights = jax.vmap(draw)(indices)
    array = jnp.asarray(weights, dtype)
    if array.shape not in ((n_inputs,), shape):
        raise ValueError(
            f"weights must have shape ({n_inputs},) or {shape}, or be a function key -> weights "
            f"of shape ({n_inputs},), got {array.shape}"
        )
    return jnp.broadcast_to(array.reshape(-1, n_inputs), shape).T
