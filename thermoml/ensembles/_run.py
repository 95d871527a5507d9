"""The loop of every ensemble: over chunks, each shared over the devices, and over saves."""

from collections.abc import Callable
from typing import Any, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Int, PyTree

from ..numerics.arrays import cut, joined
from ..numerics.types import AnyArray
from ._adjoints import AbstractAdjoint
from ._clock import Saves
from ._divergence import blank_after
from ._layout import Division, Layout, share
from ._operations import as_one_function
from ._process import AbstractProcess


class Run(NamedTuple):
    """An ensemble at the end of a run, and what was recorded of it.

    Attributes:
        walkers: at the end, trajectory axis first.
        records: `[trajectory, save, ...]`, save 0 the start; NaN once a trajectory has diverged.
        steps: numbers of steps made at the saves, `(save,)`.
        division: how the ensemble was cut into chunks and shared.
    """

    walkers: Any
    records: PyTree[Array]
    steps: Int[Array, " save"]
    division: Division


def run(
    process: AbstractProcess,
    walkers: Any,
    own: PyTree[AnyArray] = None,
    *,
    step: Int[Array, ""],
    first_trajectory: Int[Array, ""],
    saves: Saves,
    adjoint: AbstractAdjoint,
    meter: diffrax.AbstractProgressMeter,
    layout: Layout,
) -> Run:
    """Move an ensemble from save to save, inside jit.

    Args:
        process: the dynamics of a chunk.
        walkers: the ensemble at the start, trajectory axis first.
        own: data that each trajectory keeps, such as its teacher, trajectory axis first.
        step: number of steps made before.
        first_trajectory: number of the first trajectory.
        saves: saves and the steps between them.
        adjoint: layout of the loop over steps.
        meter: progress meter.
        layout: chunks and devices, complete (`Layout.here`).
    """
    n_trajectories = walkers.diverged_step.shape[0]
    footprint = process.footprint(walkers)
    division = layout.divide(n_trajectories, footprint)
    chunk, mesh = division
    n_chunks = -(-n_trajectories // chunk)
    axis = process.trajectory_axis

    def run_chunk(meter_state, part):
        i, (indices, rows, own_rows) = part
        held, moving = process.init(share(indices, mesh, 0), rows, own_rows, step)
        held, moving = share((held, moving), mesh, axis)

        def one_step(moving, number):  # a bound method of a module with tracers has no hash
            return process.step(held, moving, number)

        def steps(moving, first):
            return adjoint.steps(one_step, moving, first, saves.every)

        @adjoint.block
        def block(moving, first):
            moving = (as_one_function(steps) if footprint.plain else steps)(moving, first)
            return process.record(held, moving, first + saves.every, saves.every)

        def body(carry, j):
            moving, meter_state = carry
            moving, record = block(moving, step + j * saves.every)
            done = (i * saves.n_saves + j + 1).astype(jnp.float32) / (n_chunks * saves.n_saves)
            return (moving, meter.step(meter_state, done)), record

        moving, start = process.record(held, moving, step, 1)
        (moving, meter_state), records = lax.scan(
            body, (moving, meter_state), jnp.arange(saves.n_saves)
        )

        def along(first, rest):
            return jnp.moveaxis(jnp.concatenate([first[None], rest]), 0, 1)

        return meter_state, (process.final(moving), jax.tree.map(along, start, records))

    indices = first_trajectory + jnp.arange(n_trajectories)
    meter_state, outcome = _chunk_after_chunk(
        run_chunk, meter.init(), (indices, walkers, own), division
    )
    meter.close(meter_state)
    walkers, records = outcome
    steps = step + jnp.arange(saves.n_saves + 1) * saves.every
    return Run(walkers, blank_after(records, walkers.diverged_step, steps), steps, division)


def _chunk_after_chunk(
    function: Callable[..., Any], carry: Any, rows: PyTree[AnyArray], division: Division
) -> tuple[Any, PyTree[Array]]:
    """function(carry, (i, rows of chunk i)) of all chunks, the last filled up with copies."""
    n_trajectories, shares = rows[0].shape[0], division.shares
    parts = cut(rows, division.chunk, shares)
    if division.chunk >= n_trajectories:
        only = jax.tree.map(lambda leaf: leaf[0], parts)
        carry, outcome = function(carry, (jnp.asarray(0), only))
        return carry, jax.tree.map(lambda leaf: leaf[:n_trajectories], outcome)
    numbers = jnp.arange(-(-n_trajectories // division.chunk))
    carry, outcome = lax.scan(function, carry, (numbers, parts))
    return carry, joined(outcome, n_trajectories, shares)
