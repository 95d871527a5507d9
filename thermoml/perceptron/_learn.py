"""`learn`: trajectories of a learning perceptron at the level of description that one asks for."""

import dataclasses
import warnings
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from ..langevin._progress import progress_meter
from ..langevin._solution import Clock, raise_if_diverged
from ..numerics._arrays import cast_floats, default_float, is_concrete
from ..numerics._checks import check_count, count_matches, count_saves, count_steps
from ..numerics._sums import CompensatedSum
from ._curve import LearningCheckpoint, LearningCurve
from ._ensemble import layout, run_ensemble
from ._initial import initial_weights, teacher_weights
from ._microscopic import Microscopic, Students
from ._model import Perceptron
from ._problem import LearningProblem
from ._rules import force_jump

_LARGE_SEPARATION = 0.1


class StepSizeWarning(UserWarning):
    """The step is large for the stiffness: the stationary state is biased."""


class ScaleSeparationWarning(UserWarning):
    """The inputs of a step add noise that is not small beside the bath's: use a smaller dt."""


def _check_rule(problem: LearningProblem, dtype: Any) -> None:
    """TypeError/ValueError where F(s) has the wrong shape or type, or is not finite."""
    rule = problem.rule
    force = eqx.filter_eval_shape(rule, jax.ShapeDtypeStruct((), dtype))
    if getattr(force, "shape", None) != () or force.dtype != dtype:
        raise TypeError(f"rule must map a scalar s of {np.dtype(dtype)} to a scalar, got {force}")
    probes = jnp.asarray([-3.0, -0.1, 0.1, 3.0], dtype)
    values = jax.vmap(rule)(probes)
    if is_concrete(values) and not np.isfinite(np.asarray(values)).all():
        raise ValueError(f"rule must be finite, got F({probes}) = {values}")


def jump_loss(problem: LearningProblem, n_inputs: int, dt: Any, dtype: Any) -> Float[Array, ""]:
    r"""$-\frac{\tilde\nu^2N}{B} J^2 \frac{\sqrt{2T dt}}{2\pi}$: `heat_rate_bias` at ⟨Q⟩ = 1."""
    jump = force_jump(problem.rule, dtype)
    # Beyond any finite jump F is singular at 0 (alpha < 0), and so is the loss.
    square = jnp.where(jnp.abs(jump) < 1e6, jump**2, jnp.inf)
    loss = problem.learning_rate**2 * n_inputs / problem.batch * square
    loss = loss * jnp.sqrt(2 * problem.temperature * jnp.asarray(dt, dtype)) / (2 * jnp.pi)
    return jnp.where(jump == 0, 0, -loss)


def check_step_size(stiffness: Any, dt: float) -> None:
    """ValueError where the step is unstable for the stiffness; a warning where it is biased."""
    if not is_concrete(stiffness):
        return
    stiffness = float(stiffness)
    product = stiffness * float(dt)
    if product >= 2:
        raise ValueError(
            f"dt must be below 2/stiffness = {2 / stiffness:g} to be stable, got {dt:g}"
        )
    if product >= 0.2:
        warnings.warn(
            f"stiffness * dt = {product:g} is large: the stationary variance is too wide by a "
            f"factor {1 / (1 - product / 2):.3g}; use dt below {0.2 / stiffness:g}",
            StepSizeWarning,
            stacklevel=4,
        )


def warn_of_separation(separation: float, dt: float, where: str = "") -> None:
    """A ScaleSeparationWarning where it is not small."""
    if np.isfinite(separation) and separation > _LARGE_SEPARATION:
        warnings.warn(
            f"{where}the inputs of a step add {separation:.2g} of the bath's noise "
            f"(scale_separation); dt = {0.05 * dt / separation:.2g} would bring it to 0.05",
            ScaleSeparationWarning,
            stacklevel=5,
        )


def _report(curve: LearningCurve, dt: float, throw: bool) -> None:
    """Warn of a scale separation that is not small; raise for trajectories that diverged."""
    if (np.asarray(curve.diverged_step) < 0).all():
        warn_of_separation(np.asarray(curve.scale_separation).mean(axis=0).max(), dt)
    elif throw:
        raise_if_diverged(
            curve.diverged_step,
            curve,
            f"use a smaller dt than {dt:g} or a rule with a steady state; the error's .solution "
            "holds the run up to there",
        )


def _begin(
    problem: LearningProblem, weights: Float[Array, "N M"], first: Any, dt: float, dtype: Any
) -> LearningCheckpoint:
    """A checkpoint at step 0 with an empty ledger."""
    n_trajectories = weights.shape[1]
    clock = Clock.at(0, 0.0, dt, dtype)
    return LearningCheckpoint(
        weights.T,
        CompensatedSum.zeros((n_trajectories,), dtype),
        jnp.full((n_trajectories,), -1),
        problem.stiffness,
        clock.step_origin,
        clock,
        jnp.asarray(first, jnp.arange(0).dtype),
    )


def _resume(
    problem: LearningProblem, curve: LearningCurve, teacher: Any, dt: float, dtype: Any
) -> tuple[Float[Array, "N _"], LearningCheckpoint, dict[str, Array]]:
    """Teacher, checkpoint and start of a curve; a change of stiffness since is work."""
    if teacher is not None:
        raise ValueError("teacher must be left out: a curve is continued with its own")
    earlier = curve.checkpoint
    if earlier is None or curve.teacher is None:
        raise ValueError("weights must be a curve with its checkpoint to be continued")
    clock = Clock.at(earlier.step, earlier.clock.time(earlier.step), dt, dtype)
    stiffened = problem.stiffness - earlier.stiffness
    square = jnp.sum(earlier.weights**2, axis=1)
    quench = jnp.where(stiffened == 0, 0, stiffened * square / 2)
    checkpoint = dataclasses.replace(
        earlier, clock=clock.resume(earlier.clock), work=earlier.work.add(quench)
    )
    return jnp.atleast_2d(curve.teacher).T, checkpoint, curve.initial


def learn(
    problem: LearningProblem,
    level: Microscopic,
    *,
    t1: float,
    key: Key[Array, ""] | None = None,
    n_trajectories: int = 1,
    save_every: int | None = None,
    teacher: Perceptron | Array | Callable | None = None,
    teachers: str = "single",
    weights: Perceptron | Array | Callable | LearningCurve | None = None,
    first_trajectory: int | Int[Array, ""] = 0,
    test_inputs: Float[Array, "P N"] | None = None,
    progress: Any = False,
    throw: bool = True,
) -> LearningCurve:
    r"""Let an ensemble of perceptrons learn from a teacher, and keep the ledger.

    $$dw = \Big[-k w + \frac{\nu}{B}\sum_b \sigma_b\,\xi_b\,F(s_b)\Big]dt + \sqrt{2T}\,dW$$

    from t = 0 to t1. Trajectory i's noise and inputs depend on `key`, i and the step number alone.

    Args:
        problem: the `LearningProblem`; its floats are cast to the dtype of the run, which is that
            of `weights` or `teacher` where one is an array of floats, else JAX's default.
        level: `Microscopic(dt)`.
        t1: the end; t1/dt must be a whole number of steps.
        key: `jax.random.key(...)`.
        n_trajectories: M.
        save_every: steps between saves; None saves start and end.
        teacher: a `Perceptron` or weights `(N,)` or `(M, N)`, scaled to |T|² = N; or a function
            `(key, N) -> weights`, such as `sphere_teacher` (the default) or `binary_teacher`.
        teachers: where `teacher` is drawn, "single" draws one per run and "ensemble" one per
            trajectory.
        weights: the students at the start: `(N,)`, `(M, N)`, a `Perceptron`, or a function
            `key -> (N,)`; by default the bath's equilibrium N(0, T/k). A `LearningCurve` is
            continued: teacher, step numbers and ledger go on, and with the same key, dt and problem
            the result is that of one long run. If the stiffness has changed, the change of energy
            is work.
        first_trajectory: the number of the first one, so that an ensemble can be run in parts.
        test_inputs: `(P, N)`, on which `test_error` is counted at the saves.
        progress: True for a bar, or a diffrax progress meter.
        throw: raise `SimulationDiverged` when a trajectory turns non-finite; inside jit, vmap or
            grad, and with False, the curve holds NaN from there on.

    Returns:
        A `LearningCurve`, arrays `[trajectory, save]`.

    Raises:
        TypeError, ValueError: an argument that does not fit, named with its value and the remedy.
        SimulationDiverged: with `.solution`, the good part.

    Warns:
        ScaleSeparationWarning: the inputs' noise is not small beside the bath's.

    Cost: O(M N B) per step (training sets of P <= 32 B examples O(M N P)); memory
    O(M (N + saves)), whatever the number of steps.
    """
    if not isinstance(problem, LearningProblem):
        raise TypeError(f"problem must be a LearningProblem, got {problem!r}")
    if not isinstance(level, Microscopic):
        raise TypeError(f"level must be Microscopic(dt), got {level!r}")
    if key is None:
        raise TypeError("key is needed to draw inputs and noise: pass key=jax.random.key(0)")
    if problem.n_inputs is None:
        raise ValueError("n_inputs must be given in the problem for the microscopic level")
    n_inputs = check_count("n_inputs", problem.n_inputs)
    n_trajectories = check_count("n_trajectories", n_trajectories)
    given = [getattr(x, "weights", x) for x in (weights, teacher)]
    dtypes = [x.dtype for x in given if isinstance(x, jax.Array) and x.dtype.kind == "f"]
    dtype = dtypes[0] if dtypes else default_float()
    problem = cast_floats(problem, dtype)
    if isinstance(weights, LearningCurve):
        teacher_columns, checkpoint, initial = _resume(problem, weights, teacher, level.dt, dtype)
        n_trajectories = count_matches("weights", n_trajectories, len(checkpoint.diverged_step))
    else:
        indices = jnp.arange(n_trajectories)
        indices = indices + jnp.asarray(first_trajectory, indices.dtype)
        teacher_columns = teacher_weights(teacher, teachers, key, indices, n_inputs, dtype)
        begun = initial_weights(problem, weights, key, indices, n_inputs, dtype)
        checkpoint, initial = _begin(problem, begun, first_trajectory, level.dt, dtype), None
    if checkpoint.weights.shape[1] != n_inputs:
        raise ValueError(
            f"the problem's n_inputs must be {checkpoint.weights.shape[1]} as in the curve that is "
            f"continued, got {n_inputs}"
        )

    clock = checkpoint.clock
    n_steps = count_steps(clock.exact_time(checkpoint.step, level.dt), t1, level.dt, dtype)
    n_saves = count_saves(n_steps, save_every)
    check_step_size(problem.stiffness, level.dt)
    _check_rule(problem, dtype)
    if test_inputs is not None:
        test_inputs = jnp.asarray(test_inputs, dtype)
        if test_inputs.ndim != 2 or test_inputs.shape[1] != n_inputs:
            raise ValueError(
                f"test_inputs must have shape (examples, {n_inputs}), got {test_inputs.shape}"
            )
    students, shown = run_ensemble(
        problem,
        clock.dt,
        teacher_columns,
        Students(
            checkpoint.weights.T,
            checkpoint.work,
            jnp.zeros((n_trajectories,), dtype),
            checkpoint.diverged_step,
        ),
        test_inputs,
        key,
        checkpoint.first_trajectory,
        checkpoint.step,
        progress_meter(progress),
        n_saves,
        n_steps // n_saves,
        *layout(problem, n_inputs, n_trajectories),
    )
    curve = LearningCurve(
        times=clock.time(checkpoint.step, np.arange(n_saves + 1) * (n_steps // n_saves)),
        overlap=shown["overlap"],
        norm=shown["norm"],
        transverse=shown["transverse"],
        work=shown["work"],
        scale_separation=clock.dt * shown["drive_square"] / (2 * problem.temperature),
        jump_loss=jump_loss(problem, n_inputs, level.dt, dtype),
        stiffness=problem.stiffness,
        temperature=problem.temperature,
        initial={},
        diverged_step=students.diverged_step,
        teacher=teacher_columns[:, 0] if teacher_columns.shape[1] == 1 else teacher_columns.T,
        checkpoint=LearningCheckpoint(
            students.weights.T,
            students.work,
            students.diverged_step,
            problem.stiffness,
            checkpoint.step + n_steps,
            clock,
            checkpoint.first_trajectory,
        ),
        training_error=shown.get("training_error"),
        test_error=shown.get("test_error"),
    )
    curve = dataclasses.replace(curve, initial=initial or curve.at_start())
    if is_concrete(curve.overlap):
        _report(curve, level.dt, throw)
    return curve
