"""`learn`: trajectories of a learning perceptron at a chosen level of description."""

import warnings
from collections.abc import Callable
from typing import Any

import diffrax
import jax
import numpy as np
from jaxtyping import Array, Float, Int, Key

from ..ensembles import AbstractAdjoint, Layout, RecursiveCheckpoint, raise_if_diverged
from ..langevin import Time
from ..numerics.arrays import cast_floats, default_float, is_concrete
from ..numerics.checks import check_count, check_flag, count_matches
from ..numerics.types import AnyArray
from ._curve import LearningCurve
from ._information import check_second_law
from .levels import AbstractLevel, Request
from .problem import AbstractRule, LearningProblem, Perceptron, check_finite_force, known_kinks
from .theory import SteadyState

_LARGE_SEPARATION = 0.1


class StepSizeWarning(UserWarning):
    """The step is large for the stiffness: the steady state is biased."""


class ScaleSeparationWarning(UserWarning):
    """The inputs of a step add noise that is not small relative to the bath's: use a smaller dt."""


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


def warn_of_separation(separation: float | np.floating, dt: float, where: str = "") -> None:
    """A ScaleSeparationWarning where it is not small."""
    if np.isfinite(separation) and separation > _LARGE_SEPARATION:
        warnings.warn(
            f"{where}the inputs of a step add {separation:.2g} of the bath's noise "
            f"(scale_separation); dt = {0.05 * dt / separation:.2g} would bring it to 0.05",
            ScaleSeparationWarning,
            stacklevel=5,
        )


def _report(curve: LearningCurve, rule: AbstractRule, dt: float, throw: bool) -> None:
    """Warn of a scale separation that is not small; raise for trajectories that diverged."""
    if (np.asarray(curve.diverged_step) < 0).all():
        warn_of_separation(np.asarray(curve.scale_separation).mean(axis=0).max(), dt)
        return
    check_finite_force(rule, curve.overlap.dtype)
    if throw:
        raise_if_diverged(
            curve.diverged_step,
            curve,
            f"use a smaller dt than {dt:g} or a rule with a steady state; the error's .solution "
            "holds the run up to there",
        )


def _dtype_of(*starts: Any) -> Any:
    """The floating dtype of the first array among weights, teachers and earlier results."""
    for start in starts:
        if isinstance(start, LearningCurve | SteadyState):
            start = start.overlap
        elif isinstance(start, Perceptron):
            start = start.weights
        if isinstance(start, jax.Array) and start.dtype.kind == "f":
            return start.dtype
    return default_float()


def learn(
    problem: LearningProblem,
    level: AbstractLevel,
    *,
    t1: Time,
    key: Key[Array, ""] | None = None,
    n_trajectories: int = 1,
    save_every: int | None = None,
    teacher: Perceptron | AnyArray | Callable | None = None,
    teachers: str = "single",
    weights: Perceptron | AnyArray | Callable | SteadyState | LearningCurve | None = None,
    first_trajectory: int | Int[Array, ""] = 0,
    test_inputs: Float[AnyArray, "P N"] | None = None,
    adjoint: AbstractAdjoint = RecursiveCheckpoint(),  # noqa: B008 (an immutable module)
    progress: bool | diffrax.AbstractProgressMeter = False,
    throw: bool = True,
    layout: Layout | None = None,
) -> LearningCurve:
    r"""Learning curves of an ensemble of perceptrons, with their ledger.

    $$dw = \Big[-k w + \frac{\nu}{B}\sum_b \sigma_b\,\xi_b\,F(s_b)\Big]dt + \sqrt{2T}\,dW$$

    from t = 0 to t1. Trajectory i's noise and inputs depend on `key`, i and the step number alone.

    Args:
        problem: the `LearningProblem`; its floats are cast to the dtype of the run, which is that
            of `weights` or `teacher` where one is a JAX array of floats, else JAX's default.
        level: `Microscopic(dt)`, `Reduced(dt)` or `MeanField()`: all give the same observables.
        t1: the end; t1/dt must be a whole number of steps.
        key: `jax.random.key(...)`; `MeanField()` draws nothing and needs none.
        n_trajectories: M.
        save_every: steps between saves; None saves start and end.
        teacher: a `Perceptron` or weights `(N,)` or `(M, N)`, scaled to |T|² = N; or a function
            `(key, N) -> weights`, such as `sphere_teacher` (the default) or `binary_teacher`.
        teachers: where `teacher` is drawn, "single" draws one per run and "ensemble" one per
            trajectory.
        weights: the students at the start: `(N,)`, `(M, N)`, a `Perceptron`, or a function
            `key -> (N,)`; by default the bath's equilibrium N(0, T/k). A `SteadyState` begins with
            its overlap and norm, where learning has come to rest. A `LearningCurve` is
            continued: teacher, step numbers and ledger go on, and with the same key, dt and problem
            the result is that of one long run. If the stiffness has changed, the change of energy
            is work.
        first_trajectory: the number >= 0 of the first one, so that an ensemble can be run in parts;
            left out where a curve is continued, whose trajectories keep theirs.
        test_inputs: `(P, N)`, on which `test_error` is counted at the saves (microscopic level).
        adjoint: `RecursiveCheckpoint()`, `Direct()` or `ForwardMode()`, as in `simulate`. Where F
            jumps, derivatives along the path of a simulation are biased: see `LearningObjective`.
        progress: True for a bar, or a diffrax progress meter.
        throw: raise `SimulationDiverged` when a trajectory turns non-finite; inside jit, vmap or
            grad, and with False, the curve holds NaN from there on.
        layout: chunks and devices; chosen for this machine where it is None. See `Layout`.

    Returns:
        A `LearningCurve`, arrays `[trajectory, save]`.

    Raises:
        TypeError, ValueError: an argument that does not fit, named with its value and the remedy.
        SimulationDiverged: with `.solution`, the good part.

    Warns:
        ScaleSeparationWarning: the inputs' noise is not small relative to the bath's.
        SecondLawWarning: more was learned than the entropy production allows; report it as a bug.

    Cost: microscopic O(M N B) per step (training sets of P <= 32 B examples O(M N P)) and memory
    O(M (N + saves)), whatever the number of steps; reduced O(M B) per step; mean field O(1).
    """
    if not isinstance(problem, LearningProblem):
        raise TypeError(f"problem must be a LearningProblem, got {problem!r}")
    if not isinstance(level, AbstractLevel):
        raise TypeError(f"level must be Microscopic(dt), Reduced(dt) or MeanField(), got {level!r}")
    if not isinstance(adjoint, AbstractAdjoint):
        raise TypeError(f"adjoint must be an instance such as ForwardMode(), got {adjoint!r}")
    check_flag("throw", throw)
    dtype = _dtype_of(weights, teacher)
    problem = known_kinks(cast_floats(problem, dtype))
    n_trajectories = check_count("n_trajectories", n_trajectories)
    if isinstance(weights, LearningCurve):
        n_trajectories = count_matches("weights", n_trajectories, weights.overlap.shape[0])
    dt = level.dt
    check_step_size(problem.stiffness, dt)
    request = Request(
        t1=t1,
        key=key,
        n_trajectories=n_trajectories,
        save_every=save_every,
        teacher=teacher,
        teachers=teachers,
        weights=weights,
        first_trajectory=first_trajectory,
        test_inputs=test_inputs,
        adjoint=adjoint,
        progress=progress,
        layout=Layout.of(layout),
        dt=dt,
        dtype=dtype,
    )
    curve = level.learn(problem, request)
    if is_concrete(curve.overlap):
        _report(curve, problem.rule, dt, throw)
        check_second_law(curve)
    return curve
