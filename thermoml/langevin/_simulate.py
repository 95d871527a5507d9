"""`simulate`: an ensemble of Langevin trajectories with their ledger."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Key, PyTree

from ..ensembles import (
    AbstractAdjoint,
    Clock,
    Layout,
    RecursiveCheckpoint,
    Saves,
    can_be_one_function,
    progress_meter,
    raise_if_diverged,
    run,
    with_known_times,
)
from ..numerics.arrays import argument, cast_floats, default_int, is_concrete, shared_float
from ..numerics.checks import (
    check_count,
    check_first_trajectory,
    check_flag,
    check_key,
    count_matches,
)
from ..numerics.compile import compiled
from ..numerics.random import check_generator
from ._chords import Chords, warn_of_missing_heat
from ._heat_rate import HeatRate
from ._integrators import AbstractIntegrator
from ._momentum import Underdamped, acting, position_of
from ._observers import AbstractObserver, Observable
from ._process import LangevinProcess
from ._solution import Batch, Checkpoint, Result, Solution
from ._splittings import check_stability, default_integrator
from ._start import Start, begin, start_at
from ._stepper import Stepper, Walker
from ._systems import AbstractSystem
from ._types import Time

_begin = compiled(begin)
_REMEDIES = ", or ExactLinear for a stiff trap; the error's .solution holds the run up to there"


@compiled
def _run(
    process: LangevinProcess,
    start: Checkpoint | Start,
    times: Float[Array, " save"],
    adjoint: AbstractAdjoint,
    meter: diffrax.AbstractProgressMeter,
    saves: Saves,
    layout: Layout,
) -> Solution:
    """From a checkpoint, or from where a new run starts."""
    stepper = process.stepper
    checkpoint = start if isinstance(start, Checkpoint) else begin(stepper, start)
    walkers = Walker(
        checkpoint.state,
        checkpoint.energy,
        None,
        checkpoint.ledger,
        checkpoint.observers,
        checkpoint.diverged_step,
        checkpoint.carry,
        Chords.begin(stepper.system, checkpoint.state, times[0]),
    )
    outcome = run(
        process,
        walkers,
        step=checkpoint.step,
        first_trajectory=checkpoint.first_trajectory,
        saves=saves,
        adjoint=adjoint,
        meter=meter,
        layout=layout,
    )
    walkers, records = outcome.walkers, outcome.records
    diverged_step, ledger = walkers.diverged_step, records["ledger"]
    stats = {"steps": jnp.asarray(saves.n_steps), "diverged_step": diverged_step}
    if walkers.chords is not None:
        stats |= walkers.chords.stats()
    return Solution(
        times=times,
        observables=records["observables"],
        work=ledger.work,
        heat=ledger.heat,
        energy=records["energy"],
        heat_by_leaf=ledger.heat_by_leaf,
        entropy_flow=jax.tree.reduce(jnp.add, ledger.entropy_flow_by_leaf),
        entropy_flow_by_leaf=ledger.entropy_flow_by_leaf,
        checkpoint=Checkpoint(
            state=walkers.state,
            energy=walkers.energy,
            ledger=walkers.ledger,
            observers=walkers.observers,
            diverged_step=diverged_step,
            step=outcome.steps[-1],
            clock=stepper.clock,
            first_trajectory=checkpoint.first_trajectory,
            carry=walkers.carry,
        ),
        result=jnp.where(diverged_step >= 0, int(Result.NON_FINITE), int(Result.SUCCESSFUL)),
        stats=stats,
        shadow=ledger.shadow,
    )


def _split_observables(
    observables: Mapping[str, Any] | None, dtype: Any
) -> tuple[dict[str, Observable], dict[str, AbstractObserver]]:
    functions, observers = {}, {}
    if observables is not None and not isinstance(observables, Mapping):
        raise TypeError(
            "observables must be a mapping from names to functions f(x, control, t) or observers, "
            f"got {observables!r:.80}"
        )
    for name, observable in (observables or {}).items():
        if not isinstance(name, str) or not name:
            raise TypeError(f"observables must have words as names, got {name!r:.80}")
        if isinstance(observable, AbstractObserver):
            observers[name] = cast_floats(observable, dtype)
        elif callable(observable):
            functions[name] = cast_floats(observable, dtype)
        else:
            raise TypeError(
                f"observables[{name!r}] must be a function f(x, control, t) or an observer such "
                f"as Mean(f), got {observable!r}"
            )
    return functions, observers


def _holds_heat_rate(observables: Any) -> bool:
    parts = jax.tree.leaves(observables, is_leaf=lambda part: isinstance(part, HeatRate))
    return any(isinstance(part, HeatRate) for part in parts)


def _checked_types(
    system: AbstractSystem, integrator: AbstractIntegrator | None, adjoint: AbstractAdjoint
) -> AbstractIntegrator:
    """The integrator, by default the system's; TypeError for what is none of these things."""
    if not isinstance(system, AbstractSystem):
        raise TypeError(f"system must be a Langevin or an AbstractSystem, got {system!r}")
    integrator = default_integrator(system) if integrator is None else integrator
    for name, value, base, example in (
        ("integrator", integrator, AbstractIntegrator, "Heun()"),
        ("adjoint", adjoint, AbstractAdjoint, "Direct()"),
    ):
        if not isinstance(value, base):
            raise TypeError(f"{name} must be an instance such as {example}, got {value!r}")
    return integrator


def _continued(checkpoint: Checkpoint, n_trajectories: int, dt: Time) -> tuple[Any, Checkpoint]:
    """The time at which an earlier run ended, as exact as its steps, and its checkpoint."""
    count_matches("the Solution", n_trajectories, checkpoint.n_trajectories)
    return checkpoint.clock.exact_time(checkpoint.step, dt), checkpoint


def _fitting(stepper: Stepper, checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint with new parts where its own cannot go on.

    Observers of other names or shapes and the memory of another integrator begin anew. Shadow work
    ends where one of the two integrators has none.
    """

    def shapes(tree):
        return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)

    start = Start(checkpoint.state, None, checkpoint.step, checkpoint.first_trajectory)
    fresh = eqx.filter_eval_shape(begin, stepper, start)
    new = {
        name: None
        for name in ("observers", "carry")
        if shapes(getattr(fresh, name)) != shapes(getattr(checkpoint, name))
    }
    if new:
        begun = _begin(stepper, start)
        checkpoint = dataclasses.replace(checkpoint, **{name: getattr(begun, name) for name in new})
    if fresh.ledger.shadow is None and checkpoint.ledger.shadow is not None:
        ledger = dataclasses.replace(checkpoint.ledger, shadow=None)
        checkpoint = dataclasses.replace(checkpoint, ledger=ledger)
    return checkpoint


def _with_checked_baths(
    system: AbstractSystem, states: PyTree[Array], clock: Clock, span: tuple[Any, Any, int]
) -> Clock:
    """The clock, with an error attached where a traced bath, mass or friction is out of range.

    Raises:
        ValueError: a bath that is negative or not finite, mass or friction that is not > 0, at up
            to 1000 times of the span (start, end, number of steps) if it depends on time.
    """
    t0, t1, n_steps = span

    def times():
        return jnp.linspace(t0, t1, min(n_steps, 1000) + 1, dtype=clock.dt.dtype)

    position = position_of(states)
    flags = [acting(system).baths.check(position, times)]
    message = "temperature and mobility must be finite and >= 0"
    if isinstance(system, Underdamped):
        flags.append(system.check(position, times))
        message += ", mass and friction > 0"
    flags = [flag for flag in flags if flag is not None]
    if not flags:
        return clock
    # Attached to the scalar dt; attached to an array, it would gather that from all devices.
    out_of_range = jnp.any(jnp.stack(flags))
    return dataclasses.replace(clock, dt=eqx.error_if(clock.dt, out_of_range, message))


def simulate(
    system: AbstractSystem,
    state: PyTree[ArrayLike] | Callable[[Key[Array, ""]], PyTree[Array]] | Batch | Solution,
    *,
    t1: Time,
    dt: Time,
    key: Key[Array, ""],
    t0: Time = 0.0,
    n_trajectories: int = 1,
    first_trajectory: int | Int[Array, ""] = 0,
    integrator: AbstractIntegrator | None = None,
    save_every: int | None = None,
    observables: Mapping[str, Observable | AbstractObserver] | None = None,
    adjoint: AbstractAdjoint = RecursiveCheckpoint(),  # noqa: B008 (an immutable module)
    progress: bool | diffrax.AbstractProgressMeter = False,
    throw: bool = True,
    generator: str = "hash",
    layout: Layout | None = None,
) -> Solution:
    r"""An ensemble of Langevin trajectories, simulated with its ledger.

    $$dx = \mu F(x, \lambda, \xi)\,dt + \sqrt{2\mu T}\,dW, \qquad
      dU = \delta W - \delta Q$$

    In each step the control (and time-dependent baths) move first, to their values at the end of
    the step, then the state. Trajectory i's noise depends on `key`, i and the step number alone.

    The path of a driven system turns, and the straight step of the ledger cuts each turn: without
    momentum its heat is off by order dt with every integrator. What is cut is measured along the
    way (`stats`), and a `HeatWarning` says where it is more than 5 % of the heat and no `HeatRate`
    is among the observables.

    Args:
        system: a `Langevin` or another `AbstractSystem`. Its floats are cast to the state's dtype.
        state: one state, repeated for all trajectories; a function `key -> state`; `Batch(states)`;
            or a `Solution`, which is continued: step numbers, ledger and streaming observers go
            on (observers by name: give the same ones), and with the same key, dt and system the
            result is that of one long run. If the system's potential has changed, the change of
            energy is work.
        t1: the end; (t1 - t0)/dt must be a whole number of steps to 1e-6.
        dt: time step.
        key: `jax.random.key(...)`.
        t0: the start (not used for a `Solution`).
        n_trajectories: their number; left out for a `Batch` or a `Solution`, which have their own.
        first_trajectory: the number >= 0 of the first one, so that an ensemble can be run in parts;
            left out for a `Solution`, whose trajectories keep theirs.
        integrator: `EulerMaruyama()` (if it is left out), `Heun()`, `LeimkuhlerMatthews()` or
            `ExactLinear(stiffness)`; of a system with momentum `BAOAB()` (if it is left out) or
            another `Splitting(word)`.
        save_every: steps between saves, a divisor of the number of steps; None saves start and end.
        observables: `{name: f(x, control, t)}` recorded at saves, and streaming observers
            (`Mean`, `Variance`, `Histogram`) that see every step.
        adjoint: `RecursiveCheckpoint()`, `Direct()` or `ForwardMode()`.
        progress: True for a bar, or a diffrax progress meter.
        throw: raise when a trajectory turns non-finite. Inside jit, vmap or grad, and with False,
            the solution holds NaN and `result` instead.
        generator: where the bits of the noise come from: "hash", a keyed integer hash that passes
            TestU01's Crush, or "threefry", the cipher of `jax.random`, which is slower.
        layout: chunks and devices; chosen for this machine where it is None. See `Layout`.

    Returns:
        A `Solution` with axes `[trajectory, save]`.

    Raises:
        TypeError, ValueError: an argument that does not fit, named with its value and the remedy.
        SimulationDiverged: with `.solution`, the good part.

    Cost: O(n_trajectories · steps) force evaluations, two a step (one where nothing changes in
    time); memory O(n_trajectories · saves), independent of the number of steps. Trajectories whose
    arrays together would outgrow the caches follow one another in chunks.
    """
    integrator = _checked_types(system, integrator, adjoint)
    check_key(key, "noise")
    check_flag("throw", throw)
    check_generator(generator)
    n_trajectories = check_count("n_trajectories", n_trajectories)
    check_first_trajectory(first_trajectory, n_trajectories, isinstance(state, Solution))
    if isinstance(state, Solution):
        begun_at, start = _continued(state.checkpoint, n_trajectories, dt)
    else:
        begun_at, start = t0, start_at(state, key, n_trajectories, first_trajectory)
    states = start.state if isinstance(start, Checkpoint) else start.states
    dtype = shared_float("state", states)
    saves = Saves.between(begun_at, t1, dt, dtype, save_every)

    system, integrator = cast_floats((system, integrator), dtype)
    functions, observers = _split_observables(observables, dtype)
    if isinstance(start, Checkpoint):
        clock = Clock.at(start.step, start.time, dt, dtype).resume(start.clock)
    else:
        clock = Clock.at(start.step, t0, dt, dtype)
    times = clock.time(start.step, saves.steps)
    running = _with_checked_baths(system, states, clock, (times[0], t1, saves.n_steps))
    check_stability(system, integrator, start.first_state, times[0], clock.dt)

    stepper = Stepper(system, integrator, observers, key, running, generator)
    if isinstance(start, Checkpoint):
        start = _fitting(stepper, start)
    layout = Layout.of(layout)
    process = LangevinProcess(stepper, functions, can_be_one_function(layout.platform))
    meter = progress_meter(progress)
    solution = layout.collect(_run(process, start, times, adjoint, meter, saves, layout))
    step = argument(start.step, default_int()) + saves.n_steps
    solution = with_known_times(solution, times, step, clock)
    if throw and is_concrete(solution.checkpoint.diverged_step):
        raise_if_diverged(
            solution.checkpoint.diverged_step, solution, f"use a smaller dt than {dt:g}{_REMEDIES}"
        )
    if not _holds_heat_rate((functions, observers)):
        warn_of_missing_heat(solution.stats, solution.heat, dt, stacklevel=2)
    return solution
