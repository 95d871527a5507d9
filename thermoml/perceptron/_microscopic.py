"""The microscopic level: every weight and every input, trajectory axis last."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from ..numerics._checks import check_bound
from ..numerics._random import Streams
from ..numerics._sums import CompensatedSum, ordered_sum
from ._inputs import TrainingSet
from ._problem import LearningProblem


class Microscopic(eqx.Module):
    """All N weights by Euler-Maruyama steps of size dt, fresh inputs at each.

    Args:
        dt: time step > 0. Use steps small enough that the reported `scale_separation` is well
            below 1 and μ k dt < 0.2.
    """

    dt: float

    def __check_init__(self):
        check_bound("dt", self.dt, ">", 0.0)


class Students(eqx.Module):
    """M students between two steps."""

    weights: Float[Array, "N M"]
    work: CompensatedSum
    drive_square: Float[Array, " M"]  # Σ |f|² over the steps since the last save
    diverged_step: Int[Array, " M"]

    def with_clean_meter(self) -> "Students":
        """These students with an empty `drive_square`, as after a save."""
        return dataclasses.replace(self, drive_square=jnp.zeros_like(self.drive_square))


class Learning(eqx.Module):
    """One step of M students, given their random streams."""

    problem: LearningProblem
    teacher: Float[Array, "N _"]  # (N, 1) shared or (N, M)
    test_inputs: Float[Array, "P N"] | None
    inputs: Streams
    noise: Streams
    dt: Float[Array, ""]

    def _lesson(self, weights: Array, step: Array):
        """The batch of a step, its labels, the activations √N λ, and the force F on each input."""
        batch = self.problem.inputs.draw(
            self.inputs,
            step,
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
        batch, signs, fields, force = self._lesson(weights, step)
        rate = problem.learning_rate * weights.shape[0] ** 0.5 / problem.batch
        drive = batch.combine(rate * signs * force)
        noise = self.noise.normals(step, weights.shape[0], weights.dtype)
        moved = (
            weights
            + self.dt * (drive - problem.stiffness * weights)
            + jnp.sqrt(2 * problem.temperature * self.dt) * noise
        )
        # f∘dw, from ξ_b·dw = √N(λ'_b - λ_b): one more projection instead of a second drive.
        (new_fields,) = batch.project(moved)
        mean_force = signs * (force + self._force(signs, new_fields)) / 2
        work = ordered_sum(mean_force, new_fields - fields, term=jnp.multiply)
        work = students.work.add(rate * work)
        bad = ~jnp.isfinite(work.total) & (students.diverged_step < 0)
        return Students(
            moved,
            work,
            students.drive_square + ordered_sum(drive, term=jnp.square),
            jnp.where(bad, step, students.diverged_step),
        )

    def record(self, students: Students, n_steps: int) -> dict[str, Array]:
        """What is kept at a save, each of shape `(M,)`; `n_steps` since the last."""
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
            "work": students.work.value / n_inputs,
            "drive_square": students.drive_square / (n_steps * n_inputs),
        }
        if isinstance(self.problem.inputs, TrainingSet):
            shown["training_error"] = self._disagreement(self.problem.inputs.examples, weights)
        if self.test_inputs is not None:
            shown["test_error"] = self._disagreement(self.test_inputs, weights)
        return shown

    def _disagreement(self, examples: Array, weights: Array) -> Array:
        wrong = (examples @ self.teacher < 0) != (examples @ weights < 0)
        return jnp.mean(wrong, axis=0, dtype=weights.dtype)

    def run(
        self,
        students: Students,
        first_step: Int[Array, ""],
        n_saves: int,
        steps_per_save: int,
        tick: Callable[[Any, Array], Any],
        ticks: Any,
    ) -> tuple[Students, dict[str, Float[Array, "save M"]], Any]:
        """All steps; save 0 is the start. `ticks = tick(ticks, save)` goes along for progress."""

        def block(carry, j):
            students, ticks = carry
            students = students.with_clean_meter()
            students, _ = lax.scan(
                lambda s, n: (self.step(s, n), None),
                students,
                first_step + j * steps_per_save + jnp.arange(steps_per_save),
            )
            return (students, tick(ticks, j)), self.record(students, steps_per_save)

        # Without a barrier the start would be fused with how it was drawn, and round differently.
        students = lax.optimization_barrier(students.with_clean_meter())
        start = self.record(students, 1)
        (students, ticks), shown = lax.scan(block, (students, ticks), jnp.arange(n_saves))
        shown = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), start, shown)
        # No step has led to the start: it shares its drive with the first interval.
        shown["drive_square"] = shown["drive_square"].at[0].set(shown["drive_square"][1])
        return students, shown, ticks
