"""`learn`: trajectories of a learning perceptron at the level of description that one asks for."""

import warnings
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Key

from ..langevin._progress import progress_meter
from ..langevin._solution import raise_if_diverged
from ..numerics._arrays import cast_floats, default_float, is_concrete
from ..numerics._checks import check_count, count_saves, count_steps
from ..numerics._random import trajectory_key, trajectory_streams
from ._curve import LearningCurve
from ._microscopic import Learning, Microscopic
from ._model import Perceptron
from ._problem import LearningProblem
from ._rules import force_jump

_INPUTS, _NOISE, _WEIGHTS, _TEACHER = range(4)  # what a trajectory's randomness is for

# Trajectories of one chunk, and numbers it may hold: what a core's caches like, and what a device.
_CHUNK = {"cpu": (128, 2**19), "other": (2**16, 2**28)}
_LARGE_SEPARATION = 0.1


class StepSizeWarning(UserWarning):
    """The step is large for the stiffness: the stationary state is biased."""


class ScaleSeparationWarning(UserWarning):
    """The inputs of a step add noise that is not small beside the bath's: use a smaller dt."""


def sphere_teacher(key: Key[Array, ""], n_inputs: int, dtype: Any = None) -> Float[Array, " N"]:
    """Weights of a teacher uniform on the sphere |T|² = N."""
    direction = jax.random.normal(key, (n_inputs,), dtype or default_float())
    return direction * (n_inputs**0.5 / jnp.linalg.norm(direction))


def binary_teacher(key: Key[Array, ""], n_inputs: int, dtype: Any = None) -> Float[Array, " N"]:
    """Weights of a teacher uniform on {-1, +1}^N; N must be odd, lest T·ξ = 0 for ±1 inputs."""
    check_count("n_inputs", n_inputs)
    if n_inputs % 2 == 0:
        raise ValueError(
            f"n_inputs must be odd for a teacher of ±1, got {n_inputs}: with an even number some "
            f"inputs have no label; use {n_inputs + 1} or a teacher on the sphere"
        )
    return jax.random.rademacher(key, (n_inputs,), dtype or default_float())


def _teacher_weights(
    teacher: Any, teachers: str, key: Any, shape: tuple[int, int], dtype: Any
) -> Float[Array, "N _"]:
    """The teacher, normalised to |T|² = N, as `(N, 1)` for all or `(N, M)` for each trajectory."""
    n_trajectories, n_inputs = shape
    if teachers not in ("single", "ensemble"):
        raise ValueError(f'teachers must be "single" or "ensemble", got {teachers!r}')
    if teacher is None:
        teacher = sphere_teacher
    if isinstance(teacher, Perceptron):
        teacher = teacher.weights
    if callable(teacher):
        count = n_trajectories if teachers == "ensemble" else 1
        draw = lambda i: teacher(trajectory_key(key, i, _TEACHER), n_inputs)  # noqa: E731
        weights = jnp.asarray(jax.vmap(draw)(jnp.arange(count)), dtype)
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
    norm = jnp.linalg.norm(weights, axis=1, keepdims=True)
    return (weights * (n_inputs**0.5 / norm)).T


def _initial_weights(
    problem: LearningProblem, weights: Any, key: Any, shape: tuple[int, int], dtype: Any
) -> Float[Array, "N M"]:
    """The students at the start; by default in the bath's equilibrium, N(0, T/k)."""
    n_trajectories, n_inputs = shape
    if isinstance(weights, Perceptron):
        weights = weights.weights
    if weights is None:
        if is_concrete(problem.stiffness) and not problem.stiffness > 0:
            raise ValueError(
                "weights must be given when stiffness is 0: there is no equilibrium to start from"
            )
        width = jnp.sqrt(problem.temperature / problem.stiffness)
        weights = lambda k: width * jax.random.normal(k, (n_inputs,), dtype)  # noqa: E731
    if callable(weights):
        draw = lambda i: weights(trajectory_key(key, i, _WEIGHTS))  # noqa: E731
        weights = jax.vmap(draw)(jnp.arange(n_trajectories))
    array = jnp.asarray(weights, dtype)
    if array.shape not in ((n_inputs,), shape):
        raise ValueError(
            f"weights must have shape ({n_inputs},) or {shape}, or be a function key -> weights "
            f"of shape ({n_inputs},), got {array.shape}"
        )
    return jnp.broadcast_to(array.reshape(-1, n_inputs), shape).T


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


@eqx.filter_jit
def _run(
    problem: LearningProblem,
    dt: Array,
    teacher: Float[Array, "N _"],
    weights: Float[Array, "N M"],
    test_inputs: Array | None,
    key: Key[Array, ""],
    meter: Any,
    n_saves: int,
    steps_per_save: int,
    chunk: int,
    mesh: Mesh | None,
) -> LearningCurve:
    n_inputs, n_trajectories = weights.shape
    n_chunks = -(-n_trajectories // chunk)
    shared = teacher.shape[1] == 1

    def spread(columns: Array) -> Array:
        """The trajectories of a chunk, shared out over the devices."""
        if mesh is None:
            return columns
        across = NamedSharding(mesh, PartitionSpec(*[None] * (columns.ndim - 1), "trajectory"))
        return lax.with_sharding_constraint(columns, across)

    def split(columns: Array) -> Array:
        """(N, M) as (chunks, N, chunk); the last chunk is filled up with copies."""
        extra = n_chunks * chunk - n_trajectories
        columns = jnp.pad(columns, ((0, 0), (0, extra)), mode="edge")
        return jnp.moveaxis(columns.reshape(n_inputs, n_chunks, chunk), 1, 0)

    def run_chunk(ticks, part):
        i, students, own_teacher = part
        indices = spread(i * chunk + jnp.arange(chunk))
        learning = Learning(
            problem,
            teacher if shared else spread(own_teacher),
            test_inputs,
            trajectory_streams(key, indices, _INPUTS),
            trajectory_streams(key, indices, _NOISE),
            dt,
        )

        def tick(ticks, j):
            done = (i * n_saves + j + 1).astype(jnp.float32)
            return meter.step(ticks, done / (n_chunks * n_saves))

        students, shown, ticks = learning.run(
            spread(students), n_saves, steps_per_save, tick, ticks
        )
        return ticks, (students.weights, students.diverged_step, shown)

    parts = (jnp.arange(n_chunks), split(weights), None if shared else split(teacher))
    ticks, (final, diverged, shown) = lax.scan(run_chunk, meter.init(), parts)
    meter.close(ticks)

    # (chunks, save, chunk) to (trajectory, save)
    shown = {
        name: jnp.moveaxis(x, 2, 1).reshape(-1, n_saves + 1)[:n_trajectories]
        for name, x in shown.items()
    }
    final = jnp.moveaxis(final, 2, 1).reshape(-1, n_inputs)[:n_trajectories]
    diverged = diverged.reshape(-1)[:n_trajectories]
    saved_steps = jnp.arange(n_saves + 1) * steps_per_save
    lost = (diverged[:, None] >= 0) & (saved_steps[None] > diverged[:, None])
    shown = {name: jnp.where(lost, jnp.nan, x) for name, x in shown.items()}

    dtype = weights.dtype
    jump = force_jump(problem.rule, dtype)
    # Beyond any finite jump F is singular at 0 (alpha < 0), and so is the loss.
    square = jnp.where(jnp.abs(jump) < 1e6, jump**2, jnp.inf)
    loss = problem.learning_rate**2 * n_inputs / problem.batch * square
    loss = loss * jnp.sqrt(2 * problem.temperature * dt) / (2 * jnp.pi)
    return LearningCurve(
        times=saved_steps.astype(dtype) * dt,
        overlap=shown["overlap"],
        transverse=shown["transverse"],
        work=shown["work"],
        scale_separation=dt * shown["drive_square"] / (2 * problem.temperature),
        jump_loss=jnp.where(jump == 0, 0, -loss),
        stiffness=problem.stiffness,
        temperature=problem.temperature,
        weights=final,
        teacher=teacher[:, 0] if shared else teacher.T,
        diverged_step=diverged,
        training_error=shown.get("training_error"),
        test_error=shown.get("test_error"),
    )


def _layout(
    problem: LearningProblem, n_inputs: int, n_trajectories: int
) -> tuple[int, Mesh | None]:
    """How many trajectories run side by side, and the devices that share them.

    A device's part of a chunk is what its memory likes; chunks follow one another.
    """
    devices = jax.local_devices()
    n_devices = min(len(devices), n_trajectories)
    widest, room = _CHUNK["cpu" if jax.default_backend() == "cpu" else "other"]
    footprint = problem.inputs.footprint(problem.batch, n_inputs)
    part = max(1, min(widest, room // footprint))
    n_chunks = -(-n_trajectories // (part * n_devices))
    part = -(-n_trajectories // (n_chunks * n_devices))
    if part >= 16 and n_chunks > 1:
        part = -(-part // 16) * 16
    if n_devices == 1:
        return part, None
    return part * n_devices, Mesh(np.array(devices[:n_devices]), ("trajectory",))


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


def _warn_of_separation(separation: float, dt: float) -> None:
    if np.isfinite(separation) and separation > _LARGE_SEPARATION:
        warnings.warn(
            f"the inputs of a step add {separation:.2g} of the bath's noise (scale_separation); "
            f"dt = {0.05 * dt / separation:.2g} would bring it to 0.05",
            ScaleSeparationWarning,
            stacklevel=5,
        )


def _report(curve: LearningCurve, dt: float, throw: bool) -> None:
    """Warn of a scale separation that is not small; raise for trajectories that diverged."""
    if (np.asarray(curve.diverged_step) < 0).all():
        _warn_of_separation(np.asarray(curve.scale_separation).mean(axis=0).max(), dt)
    elif throw:
        raise_if_diverged(
            curve.diverged_step,
            curve,
            f"use a smaller dt than {dt:g} or a rule with a steady state; the error's .solution "
            "holds the run up to there",
        )


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
    weights: Perceptron | Array | Callable | None = None,
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
            `key -> (N,)`; by default the bath's equilibrium N(0, T/k).
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
    given = [x.weights if isinstance(x, Perceptron) else x for x in (weights, teacher)]
    dtypes = [x.dtype for x in given if isinstance(x, jax.Array) and x.dtype.kind == "f"]
    dtype = dtypes[0] if dtypes else default_float()
    problem = cast_floats(problem, dtype)

    n_steps = count_steps(0.0, t1, level.dt, dtype)
    n_saves = count_saves(n_steps, save_every)
    check_step_size(problem.stiffness, level.dt)
    _check_rule(problem, dtype)
    shape = (n_trajectories, n_inputs)
    if test_inputs is not None:
        test_inputs = jnp.asarray(test_inputs, dtype)
        if test_inputs.ndim != 2 or test_inputs.shape[1] != n_inputs:
            raise ValueError(
                f"test_inputs must have shape (examples, {n_inputs}), got {test_inputs.shape}"
            )
    curve = _run(
        problem,
        jnp.asarray(level.dt, dtype),
        _teacher_weights(teacher, teachers, key, shape, dtype),
        _initial_weights(problem, weights, key, shape, dtype),
        test_inputs,
        key,
        progress_meter(progress),
        n_saves,
        n_steps // n_saves,
        *_layout(problem, n_inputs, n_trajectories),
    )
    if is_concrete(curve.overlap):
        _report(curve, level.dt, throw)
    return curve
