"""The compiled run of an ensemble of students: chunk after chunk, each shared over the devices."""

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, PyTree

from ...langevin import AbstractAdjoint, Clock, progress_meter
from ...numerics.arrays import constant, cut, is_concrete, joined
from ...numerics.compile import compiled
from ...numerics.devices import count_shares, gather, share, trajectory_mesh
from ...numerics.sums import CompensatedSum
from .._curve import LearningCheckpoint, LearningCurve
from ..problem import LearningProblem, check_force
from ..theory import jump_loss
from ._level import Request

_VECTOR = 16  # float32 numbers in the widest vector of a CPU
# Numbers that one chunk may hold: what a core's caches like, and what a device.
_ROOM = {"cpu": 2**20, "other": 2**28}
_SMALL = 2**12  # and up to which a lone trajectory is made a whole vector of them


class AbstractStudents(eqx.Module):
    """M students between two steps, trajectory axis last; in a checkpoint, and turned, first."""

    work: eqx.AbstractVar[CompensatedSum]  # per weight
    drive_square: eqx.AbstractVar[Float[Array, " M"]]  # Σ |f|²/N over the steps since the last save
    diverged_step: eqx.AbstractVar[Int[Array, " M"]]

    def with_clean_meter(self) -> Self:
        """These students with an empty `drive_square`, as after a save."""
        return dataclasses.replace(self, drive_square=jnp.zeros_like(self.drive_square))

    def turned(self) -> Self:
        """These students with their trajectory axis at the other end."""
        return self

    @abc.abstractmethod
    def position(self) -> dict[str, Array]:
        """Where they are, as a `LearningCheckpoint` keeps it, of turned students."""


class AbstractProcess(eqx.Module):
    """How a chunk of students moves."""

    @abc.abstractmethod
    def step(self, students: Any, step: Int[Array, ""]) -> Any:
        """The students one step later."""

    @abc.abstractmethod
    def record(self, students: Any) -> dict[str, Float[Array, " M"]]:
        """What is kept at a save, work and drive aside."""

    def run(
        self,
        students: Any,
        first_step: Int[Array, ""],
        n_saves: int,
        steps_per_save: int,
        adjoint: AbstractAdjoint,
        tick: Callable[[Any, Array], Any],
        ticks: Any,
    ) -> tuple[Any, dict[str, Float[Array, "save M"]], Any]:
        """All steps; save 0 is the start. `ticks = tick(ticks, save)` goes along for progress."""

        def record(students, n_steps):
            shown = self.record(students)
            drive_square = students.drive_square / n_steps
            return shown | {"work": students.work.value, "drive_square": drive_square}

        def step(students, number):  # a bound method of a module with tracers has no hash
            return self.step(students, number)

        @adjoint.block
        def block(students, first):
            students = adjoint.steps(step, students.with_clean_meter(), first, steps_per_save)
            return students, record(students, steps_per_save)

        def body(carry, j):
            students, ticks = carry
            students, shown = block(students, first_step + j * steps_per_save)
            return (students, tick(ticks, j)), shown

        # Without a barrier the start would be fused with how it was drawn, and round differently.
        students = lax.optimization_barrier(students.with_clean_meter())
        start = record(students, 1)
        (students, ticks), shown = lax.scan(body, (students, ticks), jnp.arange(n_saves))
        shown = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), start, shown)
        # No step has led to the start: it shares its drive with the first interval.
        shown["drive_square"] = shown["drive_square"].at[0].set(shown["drive_square"][1])
        return students, shown, ticks


class AbstractDynamics(eqx.Module):
    """How an ensemble of students moves, of which a chunk is taken at a time."""

    problem: eqx.AbstractVar[LearningProblem]

    @abc.abstractmethod
    def students(self, checkpoint: LearningCheckpoint) -> AbstractStudents:
        """The students of a checkpoint, turned."""

    @abc.abstractmethod
    def process(self, indices: Int[Array, " M"], own: PyTree) -> AbstractProcess:
        """The process of trajectories `indices`; `own` is what each brings along."""


def layout(footprint: int, widest: int, n_trajectories: int) -> tuple[int, Mesh | None]:
    """How many trajectories run side by side, and the devices that share them.

    A device's part of a chunk is what its memory likes, in whole vectors: the rest of one would be
    computed number by number, and round differently. Chunks follow one another. `footprint`: the
    numbers that a trajectory keeps in memory; `widest`: trajectories at most on a core. A lone
    trajectory of many numbers is computed alone.
    """
    if n_trajectories == 1 and footprint * _VECTOR > _SMALL:
        return 1, None
    n_devices = min(jax.local_device_count(), -(-n_trajectories // _VECTOR))
    on_cpu = jax.default_backend() == "cpu"
    room = _ROOM["cpu" if on_cpu else "other"]
    part = max(_VECTOR, min(widest if on_cpu else 2**16, room // footprint))
    n_chunks = -(-n_trajectories // (part * n_devices))
    part = -(-n_trajectories // (n_chunks * n_devices))
    part = -(-part // _VECTOR) * _VECTOR
    return part * n_devices, trajectory_mesh(n_devices)


@compiled
def _run(
    dynamics: AbstractDynamics,
    own: PyTree,
    checkpoint: LearningCheckpoint,
    initial: dict[str, Float[Array, " trajectory"]] | None,
    times: Float[Array, " save"],
    adjoint: AbstractAdjoint,
    meter: Any,
    n_saves: int,
    steps_per_save: int,
    chunk: int,
    mesh: Mesh | None,
) -> LearningCurve:
    """The curve of the students of a checkpoint. NaN once diverged."""
    check_force(dynamics.problem.rule, times.dtype)
    students = dynamics.students(checkpoint)
    first_step, first_trajectory = checkpoint.step, checkpoint.first_trajectory
    n_trajectories = checkpoint.n_trajectories
    n_chunks = -(-n_trajectories // chunk)

    def run_chunk(ticks, part):
        i, indices, chunk_students, chunk_own = part
        indices = share(indices, mesh, -1)
        chunk_own = jax.tree.map(lambda leaf: leaf.T, chunk_own)
        process = dynamics.process(indices, share(chunk_own, mesh, -1))

        def tick(ticks, j):
            done = (i * n_saves + j + 1).astype(jnp.float32)
            return meter.step(ticks, done / (n_chunks * n_saves))

        chunk_students = share(chunk_students.turned(), mesh, -1)
        chunk_students, shown, ticks = process.run(
            chunk_students, first_step, n_saves, steps_per_save, adjoint, tick, ticks
        )
        return ticks, (chunk_students.turned(), jax.tree.map(jnp.transpose, shown))

    indices = first_trajectory + jnp.arange(n_trajectories)
    shares = count_shares(mesh)
    parts = (jnp.arange(n_chunks), *cut((indices, students, own), chunk, shares))
    ticks, outcome = lax.scan(run_chunk, meter.init(), parts)
    meter.close(ticks)
    students, shown = joined(outcome, n_trajectories, shares)

    saved_steps = first_step + jnp.arange(n_saves + 1) * steps_per_save
    bad = students.diverged_step[:, None]
    lost = (bad >= 0) & (saved_steps[None] > bad)
    shown = {name: jnp.where(lost, jnp.nan, x) for name, x in shown.items()}
    ahead = dataclasses.replace(checkpoint, step=saved_steps[-1])
    return _curve(dynamics.problem, ahead, students, gather(shown, mesh), initial, times)


def run_ensemble(
    dynamics: AbstractDynamics,
    own: PyTree,
    checkpoint: LearningCheckpoint,
    request: Request,
    dt: float,
    footprint: int,
    widest: int = 256,
    **known: Any,
) -> LearningCurve:
    """The curve of students that start at a checkpoint and move as `dynamics` says.

    `own`: what each trajectory brings along, `(M, ...)`; `known`: fields of the curve that are
    there already.
    """
    n_saves, steps_per_save = request.saves(checkpoint, dt)
    n_steps = n_saves * steps_per_save
    times = checkpoint.clock.time(checkpoint.step, np.arange(n_saves + 1) * steps_per_save)
    continued = request.continued
    curve = _run(
        dynamics,
        own,
        checkpoint,
        None if continued is None else continued.initial,
        times,
        request.adjoint,
        progress_meter(request.progress),
        n_saves,
        steps_per_save,
        *layout(footprint, widest, checkpoint.n_trajectories),
    )
    curve = with_known_times(curve, times, checkpoint.step + n_steps, checkpoint.clock)
    return dataclasses.replace(curve, **known) if known else curve


def with_known_times(curve: LearningCurve, times: Any, step: Any, clock: Clock) -> LearningCurve:
    """The curve; inside jit, with what is known of its times and of where its clock stands."""
    ahead = curve.checkpoint
    assert ahead is not None
    if is_concrete((curve.times, ahead.step, ahead.clock)):
        return curve

    def known(value, traced):
        if not is_concrete(value):
            return traced
        return jax.tree.map(lambda x: constant(x, x.dtype), value)

    ahead = dataclasses.replace(
        ahead, step=known(step, ahead.step), clock=known(clock, ahead.clock)
    )
    return dataclasses.replace(curve, times=known(times, curve.times), checkpoint=ahead)


def _curve(
    problem: LearningProblem,
    checkpoint: LearningCheckpoint,
    students: AbstractStudents,
    shown: dict[str, Float[Array, "trajectory save"]],
    initial: dict[str, Float[Array, " trajectory"]] | None,
    times: Float[Array, " save"],
) -> LearningCurve:
    """What was recorded, as a curve that ends at a checkpoint of these students."""
    clock = checkpoint.clock
    drive_square = shown["drive_square"]
    where: dict[str, Any] = students.position()
    curve = LearningCurve(
        **{name: value for name, value in shown.items() if name != "drive_square"},
        times=times,
        # One product: a quotient is rounded differently at the end of a vector.
        scale_separation=clock.dt / (2 * problem.temperature) * drive_square,
        jump_loss=jump_loss(problem, problem.n_inputs, clock.dt, drive_square.dtype),
        stiffness=problem.stiffness,
        temperature=problem.temperature,
        initial={},
        diverged_step=students.diverged_step,
        teacher=None,
        checkpoint=dataclasses.replace(
            checkpoint,
            **where,
            work=students.work,
            diverged_step=students.diverged_step,
            stiffness=problem.stiffness,
        ),
    )
    return dataclasses.replace(curve, initial=curve.at_start() if initial is None else initial)
