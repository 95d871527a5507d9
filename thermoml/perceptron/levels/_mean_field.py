"""The mean field: the averages of R and Q for N → ∞, as an ordinary differential equation."""

import dataclasses

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from ...ensembles import AbstractAdjoint, Clock, Footprint, Saves, with_known_times
from ...numerics.arrays import argument, is_concrete
from ...numerics.checks import check_bound, flag
from ...numerics.compile import jitted
from ...numerics.sums import CompensatedSum
from ...numerics.types import AnyArray
from .._curve import LearningCurve, PlaneCheckpoint, curve_of
from ..problem import AbstractPowerRule, LearningProblem, check_force, safe_root
from ..theory import (
    drive_square,
    fluctuation_square,
    moments_converged,
    plane_moments,
    refuse_unconverged,
    stepped_work_rate,
)
from ._level import AbstractLevel, Request
from ._order_parameters import PlaneStudents, plane_checkpoint
from ._students import (
    AbstractLearningProcess,
    follow,
    students_footprint,
    with_empty_meter,
)

_MAX_STEPS = 2**16
_QUADRATURE = 2**12  # numbers that the averages of one trajectory take


class MeanField(AbstractLevel):
    r"""The averages of R and Q as N → ∞.

    $$\dot R = -kR + \tilde\nu E[|\lambda^*|F], \qquad
      \dot Q = -2kQ + 2\tilde\nu E[sF] + 2T$$

    with the Gaussian averages of `moments`, integrated adaptively (Tsit5 of diffrax) to 1e-10 in
    float64. Time scales are separated: `scale_separation` is 0. With V̄ = kQ/2 - ν̃E[Φ] the heat per
    weight is $\bar V_0 - \bar V_t + \int q_{ex}dt$ with
    $q_{ex} = \tilde\nu^2(E|\xi|^2F^2 - |E\,\xi\sigma F|^2)/B$; the second, the dissipation of the
    inputs' fluctuations, is included where the problem has n_inputs, and grows like N/B.

    With `finite_step`, the mean of the Euler-Maruyama steps themselves, exact as N → ∞ at fixed
    N dt/B:

    $$R' = (1-k\,dt)R + \tilde\nu dt E[|\lambda^*|F], \quad
      Q' = (1-k\,dt)^2Q + 2(1-k\,dt)\tilde\nu dt E[sF] + \tfrac{dt^2}N E|f|^2 + 2T dt,$$

    $E|f|^2/N = \tilde\nu^2[\tfrac NB E F^2 + (1-\tfrac1B)|E\,\xi\sigma F|^2]$, and the work of
    these steps, in which the jump of a rule is met as a simulation meets it.

    One trajectory is computed and with `n_trajectories` repeated, unless `weights` gives each a
    start of its own.

    Args:
        dt: the step that `save_every` counts, and that of `finite_step`.
        finite_step: follow steps of size dt instead of the differential equation.

    Source: Goldt and Seifert 2017, arXiv:1706.09713, section 4, for N → ∞; thermoml for the rest.
    """

    dt: float = 0.01
    finite_step: bool = eqx.field(
        default=False, static=True, kw_only=True, converter=flag("finite_step")
    )

    def __check_init__(self):
        check_bound("dt", self.dt, ">", 0.0)

    def learn(self, problem, request):
        # Nothing is drawn: unless each is given a start of its own, all trajectories are one.
        count = request.n_trajectories
        alone = 1 if request.weights is None else count
        request = dataclasses.replace(request, n_trajectories=alone)
        checkpoint = plane_checkpoint(problem, request, "MeanField()")
        n_inputs = problem.n_inputs
        if n_inputs is not None:  # a leaf: as a Python int it would be compiled in
            n_inputs = jnp.asarray(n_inputs, request.dtype)
        problem = dataclasses.replace(problem, n_inputs=n_inputs)
        if not self.finite_step:
            curve = _by_time(problem, request, checkpoint)
            return _repeated(_converged(problem, curve), count // alone)
        if n_inputs is None:
            raise ValueError(
                "n_inputs must be given in the problem with finite_step: what a step adds goes "
                "with n_inputs · dt / batch"
            )
        dt = checkpoint.clock.dt
        curve = follow(_MeanStep(problem, dt), checkpoint, request)
        return _repeated(_converged(problem, curve, dt), count // alone)


def _converged(
    problem: LearningProblem, curve: LearningCurve, dt: Float[AnyArray, ""] | None = None
) -> LearningCurve:
    """The curve; an error, or NaN inside jit, where averages have not converged at its ends."""
    if isinstance(problem.rule, AbstractPowerRule):
        return curve
    good = _all_converged(problem, curve, dt)
    if is_concrete(good):
        refuse_unconverged(good, problem.rule)
        return curve
    return eqx.tree_at(lambda c: c.overlap, curve, jnp.where(good, curve.overlap, jnp.nan))


@jitted
def _all_converged(
    problem: LearningProblem, curve: LearningCurve, dt: Float[AnyArray, ""] | None
) -> Bool[Array, ""]:
    """True if averages and, with dt, the work of a step have converged at the ends of the curve."""

    def at(overlap: Array, square: Array) -> Bool[Array, ""]:
        transverse = jnp.sqrt(square)
        good = moments_converged(problem.rule, overlap, transverse)
        if dt is not None:
            averages = plane_moments(problem.rule, overlap, transverse)
            fine, coarse = (
                stepped_work_rate(problem, jnp.asarray(dt), overlap, transverse, averages, n)
                for n in (32, 24)
            )
            good &= jnp.abs(fine - coarse) <= 1e-4 * (
                jnp.abs(fine) + drive_square(problem, averages)
            )
        return good | ~jnp.isfinite(overlap + square)

    ends = (x[:, jnp.asarray([0, -1])].ravel() for x in (curve.overlap, curve.transverse))
    return jnp.all(jax.vmap(at)(*ends))


def _repeated(curve: LearningCurve, count: int) -> LearningCurve:
    """One trajectory as `count` equal ones."""
    return curve if count == 1 else _copied(curve, count)


@jitted
def _copied(curve: LearningCurve, count: int) -> LearningCurve:
    def copies(value):
        return jax.tree.map(lambda x: jnp.repeat(x, count, axis=0), value)

    def copied(module, *names):
        return dataclasses.replace(
            module, **{name: copies(getattr(module, name)) for name in names}
        )

    recorded = ("overlap", "norm", "transverse", "work", "scale_separation")
    curve = copied(curve, *recorded, "initial", "diverged_step")
    checkpoint = copied(curve.checkpoint, "plane", "work", "diverged_step")
    return dataclasses.replace(curve, checkpoint=checkpoint)


def _by_time(
    problem: LearningProblem, request: Request, checkpoint: PlaneCheckpoint
) -> LearningCurve:
    dtype, clock = request.dtype, checkpoint.clock
    if request.save_every is None:  # then the end need not be a whole number of steps
        begun_at, end = clock.exact_time(checkpoint.step, request.dt), request.t1
        check_bound("t1", end, ">", float(begun_at) if is_concrete(begun_at) else -np.inf)
        saves = Saves(1, 1)
        times = argument([begun_at, end], dtype)
    else:
        saves = request.saves(checkpoint)
        times = clock.time(checkpoint.step, saves.steps)
    step = checkpoint.step + saves.n_steps
    # The end of the last save, wherever it lies, is where the clock begins anew.
    clock = dataclasses.replace(clock, step_origin=step, time_origin=times[-1])
    curve = _followed(
        problem, checkpoint, times, clock, request.adjoint, saves.every, request.initial
    )
    return with_known_times(curve, times, step, clock)


@jitted
def _followed(
    problem: LearningProblem,
    checkpoint: PlaneCheckpoint,
    times: Float[Array, " save"],
    clock: Clock,
    adjoint: AbstractAdjoint,
    steps_per_save: int,
    initial: dict[str, Float[Array, " trajectory"]] | None,
) -> LearningCurve:
    check_force(problem.rule, times.dtype)
    overlap, square, work = _integrate(problem, checkpoint.plane, times, adjoint)
    work = checkpoint.work.value[:, None] + work
    good = jnp.isfinite(overlap) & jnp.isfinite(square)
    overlap, square, work = (jnp.where(good, x, jnp.nan) for x in (overlap, square, work))
    steps_before = jnp.maximum(jnp.argmin(good, axis=1) * steps_per_save - 1, 0)
    first_bad = checkpoint.step + steps_before
    diverged = jnp.where(jnp.all(good, axis=1), checkpoint.diverged_step, first_bad)
    records = {
        "overlap": overlap,
        "norm": overlap**2 + square,
        "transverse": square,
        "work": work,
    }
    return curve_of(
        problem,
        records,
        times=times,
        scale_separation=jnp.zeros_like(overlap),
        jump_loss=jnp.zeros((), times.dtype),
        initial=initial,
        diverged_step=diverged,
        checkpoint=dataclasses.replace(
            checkpoint,
            plane=jnp.stack([overlap[:, -1], safe_root(square[:, -1])], axis=1),
            work=CompensatedSum(work[:, -1], jnp.zeros_like(work[:, -1])),
            diverged_step=diverged,
            stiffness=problem.stiffness,
            step=clock.step_origin,
            clock=clock,
        ),
    )


def _integrate(
    problem: LearningProblem,
    plane: Float[Array, "trajectory 2"],
    times: Float[Array, " save"],
    adjoint: AbstractAdjoint,
) -> tuple[Float[Array, "trajectory save"], ...]:
    """R, P² and the work per weight since the first of the times; not finite once it runs away."""
    rate, stiffness = problem.learning_rate, problem.stiffness
    tiny = jnp.finfo(times.dtype).tiny

    def averages(overlap, square):
        across = safe_root(jnp.maximum(square, jnp.where(overlap == 0, 0, tiny)))
        return plane_moments(problem.rule, overlap, across)

    def field(t, state, args):
        overlap, square, _ = state
        moments = averages(overlap, square)
        relaxing = stiffness - rate * moments.along_student
        excess = jnp.zeros_like(overlap)
        if problem.n_inputs is not None:
            excess = (
                rate**2 * problem.n_inputs / problem.batch * fluctuation_square(problem, moments)
            )
        return (
            rate * moments.along_teacher - relaxing * overlap,
            2 * problem.temperature - 2 * relaxing * square,
            # A dissipation that diverges must not stop the clock.
            jnp.where(jnp.isfinite(excess), excess, 0),
        )

    rtol, atol = (1e-10, 1e-12) if times.dtype == jnp.float64 else (1e-6, 1e-7)
    # Where it runs away or is not finite, steps shrink to this and it ends.
    dtmin = 16 * jnp.finfo(times.dtype).eps * jnp.maximum(jnp.abs(times[0]), jnp.abs(times[-1]))
    controller = diffrax.PIDController(rtol=rtol, atol=atol, dtmin=dtmin, force_dtmin=False)

    def solve(start):
        nothing = jnp.zeros_like(start[0])
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(field),
            diffrax.Tsit5(),
            times[0],
            times[-1],
            None,
            (start[0], start[1] ** 2, nothing),
            saveat=diffrax.SaveAt(ts=times),
            stepsize_controller=controller,
            adjoint=adjoint.of_diffrax,
            max_steps=_MAX_STEPS,
            throw=False,
        )
        overlap, square, excess = solution.ys  # pyright: ignore[reportGeneralTypeIssues]
        moments = jax.vmap(averages)(overlap, square)
        work = rate * (moments.potential - moments.potential[0]) + excess
        if problem.n_inputs is not None:
            work = jnp.where(jnp.isfinite(moments.force_square), work, jnp.inf).at[0].set(0)
        return overlap, square, work

    return jax.vmap(solve)(plane)


class _MeanStep(AbstractLearningProcess[PlaneStudents, None]):
    """The mean of an Euler-Maruyama step."""

    problem: LearningProblem
    dt: Float[AnyArray, ""]

    def students(self, checkpoint: PlaneCheckpoint) -> PlaneStudents:
        return PlaneStudents.at(checkpoint)

    def position(self, students: PlaneStudents) -> dict[str, Array]:
        return students.position()

    def footprint(self, walkers: PlaneStudents) -> Footprint:
        return students_footprint(_QUADRATURE)

    def init(self, indices, walkers, own, step):
        return None, lax.optimization_barrier(with_empty_meter(walkers))

    def final(self, moving: PlaneStudents) -> PlaneStudents:
        return moving

    def step(self, held: None, moving: PlaneStudents, step: Int[Array, ""]) -> PlaneStudents:
        problem, dt = self.problem, self.dt
        rate, kept = problem.learning_rate, 1 - problem.stiffness * dt

        def one(overlap, transverse):
            averages = plane_moments(problem.rule, overlap, transverse)
            return averages, stepped_work_rate(problem, dt, overlap, transverse, averages)

        averages, work_rate = jax.vmap(one)(moving.overlap, moving.transverse)
        square = drive_square(problem, averages)
        across = averages.stability - moving.overlap * averages.alignment
        across = (
            kept**2 * moving.transverse**2
            + 2 * kept * rate * dt * across
            + dt**2 * (square - (rate * averages.alignment) ** 2)
            + 2 * problem.temperature * dt
        )
        work = moving.work.add(work_rate * dt)
        bad = ~jnp.isfinite(across) & (moving.diverged_step < 0)
        return PlaneStudents(
            overlap=kept * moving.overlap + rate * dt * averages.alignment,
            transverse=jnp.sqrt(across),
            work=work,
            drive_square=moving.drive_square + square,
            diverged_step=jnp.where(bad, step, moving.diverged_step),
        )

    def record(self, held: None, moving: PlaneStudents, step: Int[Array, ""], n_steps: int):
        return moving.record(n_steps)
