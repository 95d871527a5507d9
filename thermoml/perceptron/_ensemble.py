"""The compiled run of an ensemble of students: chunk after chunk, each shared over the devices."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, Key, PyTree

from ..numerics._devices import gather, share, trajectory_mesh
from ..numerics._random import trajectory_streams
from ._initial import INPUTS, NOISE
from ._microscopic import Learning, Students
from ._problem import LearningProblem

_VECTOR = 16  # float32 numbers in the widest vector of a CPU
# Trajectories of one chunk, and numbers it may hold: what a core's caches like, and what a device.
_CHUNK = {"cpu": (128, 2**19), "other": (2**16, 2**28)}


def layout(problem: LearningProblem, n_inputs: int, n_trajectories: int) -> tuple[int, Mesh | None]:
    """How many trajectories run side by side, and the devices that share them.

    A device's part of a chunk is what its memory likes, in whole vectors: the rest of one would be
    computed number by number, and round differently. Chunks follow one another.
    """
    if n_trajectories == 1:
        return 1, None
    n_devices = min(jax.local_device_count(), -(-n_trajectories // _VECTOR))
    widest, room = _CHUNK["cpu" if jax.default_backend() == "cpu" else "other"]
    footprint = problem.inputs.footprint(problem.batch, n_inputs)
    part = max(_VECTOR, min(widest, room // footprint))
    n_chunks = -(-n_trajectories // (part * n_devices))
    part = -(-n_trajectories // (n_chunks * n_devices))
    part = -(-part // _VECTOR) * _VECTOR
    return part * n_devices, trajectory_mesh(n_devices)


@eqx.filter_jit
def run_ensemble(
    problem: LearningProblem,
    dt: Float[Array, ""],
    teacher: Float[Array, "N _"],
    students: Students,
    test_inputs: Float[Array, "P N"] | None,
    key: Key[Array, ""],
    first_trajectory: Int[Array, ""],
    first_step: Int[Array, ""],
    meter: Any,
    n_saves: int,
    steps_per_save: int,
    chunk: int,
    mesh: Mesh | None,
) -> tuple[Students, dict[str, Float[Array, "trajectory save"]]]:
    """The students after the last step, and what was recorded at each save. NaN once diverged."""
    n_trajectories = students.weights.shape[1]
    n_chunks = -(-n_trajectories // chunk)
    shared = teacher.shape[1] == 1

    def split(tree: PyTree) -> PyTree:
        """(..., M) as (chunks, ..., chunk); the last chunk is filled up with copies."""

        def parts(leaf):
            extra = n_chunks * chunk - n_trajectories
            leaf = jnp.pad(leaf, ((0, 0),) * (leaf.ndim - 1) + ((0, extra),), mode="edge")
            return jnp.moveaxis(leaf.reshape(*leaf.shape[:-1], n_chunks, chunk), -2, 0)

        return jax.tree.map(parts, tree)

    def join(tree: PyTree) -> PyTree:
        """(chunks, ..., chunk) as (..., M)."""

        def whole(leaf):
            leaf = jnp.moveaxis(leaf, 0, -2)
            return leaf.reshape(*leaf.shape[:-2], n_chunks * chunk)[..., :n_trajectories]

        return jax.tree.map(whole, tree)

    def run_chunk(ticks, part):
        i, chunk_students, own_teacher = part
        indices = share(first_trajectory + i * chunk + jnp.arange(chunk), mesh, -1)
        learning = Learning(
            problem,
            teacher if shared else share(own_teacher, mesh, -1),
            test_inputs,
            trajectory_streams(key, indices, INPUTS),
            trajectory_streams(key, indices, NOISE),
            dt,
        )

        def tick(ticks, j):
            done = (i * n_saves + j + 1).astype(jnp.float32)
            return meter.step(ticks, done / (n_chunks * n_saves))

        chunk_students = share(chunk_students, mesh, -1)
        chunk_students, shown, ticks = learning.run(
            chunk_students, first_step, n_saves, steps_per_save, tick, ticks
        )
        return ticks, (chunk_students, shown)

    parts = (jnp.arange(n_chunks), split(students), None if shared else split(teacher))
    ticks, outcome = lax.scan(run_chunk, meter.init(), parts)
    meter.close(ticks)
    students, shown = join(outcome)

    saved_steps = first_step + jnp.arange(n_saves + 1) * steps_per_save
    bad = students.diverged_step[:, None]
    lost = (bad >= 0) & (saved_steps[None] > bad)
    shown = {name: jnp.where(lost, jnp.nan, x.T) for name, x in shown.items()}
    return students, gather(shown, mesh)
