"""`simulate`: an ensemble of Langevin trajectories with their ledger."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Key, PyTree

from ..numerics.arrays import (
    argument,
    cast_floats,
    constant,
    cut,
    default_int,
    is_concrete,
    joined,
    shared_float,
)
from ..numerics.checks import check_count, count_matches, count_saves, count_steps
from ..numerics.compile import compiled
from ..numerics.devices import count_shares, share
from ._adjoints import AbstractAdjoint, RecursiveCheckpoint
from ._chunks import layout, widest_array
from ._integrators import AbstractIntegrator, EulerMaruyama
from ._observers import AbstractObserver, Observable
from ._progress import progress_meter
from ._solution import Batch, Checkpoint, Clock, Result, Solution, raise_if_diverged
from ._start import Start, begin, start_at
from ._stepper import Stepper, Walker
from ._systems import AbstractSystem

_begin = compiled(begin)


@compiled
def _run(
    stepper: Stepper,
    start: Checkpoint | Start,
    times: Float[Array, " save"],
    functions: dict[str, Observable],
    adjoint: AbstractAdjoint,
    meter: Any,
    n_saves: int,
    steps_per_save: int,
) -> Solution:
    """From a checkpoint, or from where a new run starts."""
    checkpoint = start if isinstance(start, Checkpoint) else begin(stepper, start)
    n_trajectories = checkpoint.energy.shape[0]
    walkers = Walker(
        checkpoint.state,
        checkpoint.energy,
        None,
        checkpoint.ledger,
        checkpoint.observers,
        checkpoint.diverged_step,
    )
    chunk, mesh = layout(
        lambda: widest_array(
            stepper, jnp.asarray(0), jax.tree.map(lambda leaf: leaf[0], walkers), checkpoint.step
        ),
        n_trajectories,
    )
    n_chunks = -(-n_trajectories // chunk)

    def record(walker, step):
        t = stepper.clock.time(step)
        control = stepper.system.control_at(t)
        shown = {name: f(walker.state, control, t) for name, f in functions.items()}
        for name, observer in stepper.observers.items():
            shown[name] = observer.result(walker.observers[name])
        return {"ledger": walker.ledger.totals(), "energy": walker.energy, "observables": shown}

    def run_chunk(meter_state, part):
        """A chunk at its end, and what was recorded of it, `[trajectory, save]`."""
        i, (indices, walkers) = part
        walkers = jax.vmap(stepper.start, (0, 0, None))(indices, walkers, checkpoint.step)
        walkers, indices = share((walkers, indices), mesh, 0)

        @adjoint.block
        def block(walkers, first):
            def one(index, walker):
                step = functools.partial(stepper, index)
                return adjoint.steps(step, walker, first, steps_per_save)

            walkers = jax.vmap(one)(indices, walkers)
            return walkers, jax.vmap(record, (0, None))(walkers, first + steps_per_save)

        def body(carry, j):
            walkers, meter_state = carry
            walkers, shown = block(walkers, checkpoint.step + j * steps_per_save)
            done = (i * n_saves + j + 1).astype(jnp.float32) / (n_chunks * n_saves)
            return (walkers, meter.step(meter_state, done)), shown

        start = jax.vmap(record, (0, None))(walkers, checkpoint.step)
        carry = (walkers, meter_state)
        (walkers, meter_state), shown = lax.scan(body, carry, jnp.arange(n_saves))

        def along(first, rest):
            return jnp.moveaxis(jnp.concatenate([first[None], rest]), 0, 1)

        return meter_state, (walkers, jax.tree.map(along, start, shown))

    indices = checkpoint.first_trajectory + jnp.arange(n_trajectories)
    meter_state, outcome = _chunk_after_chunk(
        run_chunk, meter.init(), (indices, walkers), chunk, count_shares(mesh)
    )
    meter.close(meter_state)
    walkers, shown = outcome

    steps = checkpoint.step + jnp.arange(n_saves + 1) * steps_per_save
    bad = walkers.diverged_step
    lost = (bad[:, None] >= 0) & (steps[None] > bad[:, None])

    def blank(values):
        if not jnp.issubdtype(values.dtype, jnp.inexact):
            return values
        return jnp.where(lost.reshape(lost.shape + (1,) * (values.ndim - 2)), jnp.nan, values)

    shown = jax.tree.map(blank, shown)
    ledger = shown["ledger"]
    return Solution(
        times=times,
        observables=shown["observables"],
        work=ledger.work,
        heat=ledger.heat,
        energy=shown["energy"],
        heat_by_leaf=ledger.heat_by_leaf,
        entropy_flow=jax.tree.reduce(jnp.add, ledger.entropy_flow_by_leaf),
        entropy_flow_by_leaf=ledger.entropy_flow_by_leaf,
        checkpoint=Checkpoint(
            walkers.state,
            walkers.energy,
            walkers.ledger,
            walkers.observers,
            bad,
            steps[-1],
            stepper.clock,
            checkpoint.first_trajectory,
        ),
        result=jnp.where(bad >= 0, int(Result.NON_FINITE), int(Result.SUCCESSFUL)),
        stats={"steps": jnp.asarray(n_saves * steps_per_save), "diverged_step": bad},
    )


def _chunk_after_chunk(
    function: Callable[..., Any], carry: Any, rows: tuple[Array, Walker], chunk: int, shares: int
) -> tuple[Any, PyTree[Array]]:
    """function(carry, (i, rows of chunk i)) of all chunks, the last filled up with copies."""
    n_trajectories = rows[0].shape[0]
    parts = cut(rows, chunk, shares)
    if chunk >= n_trajectories:
        alone = jax.tree.map(lambda leaf: leaf[0], parts)
        carry, outcome = function(carry, (jnp.asarray(0), alone))
        return carry, jax.tree.map(lambda leaf: leaf[:n_trajectories], outcome)
    numbers = jnp.arange(-(-n_trajectories // chunk))
    carry, outcome = lax.scan(function, carry, (numbers, parts))
    return carry, joined(outcome, n_trajectories, shares)


def _split_observables(
    observables: Mapping[str, Any] | None, dtype: Any
) -> tuple[dict[str, Observable], dict[str, AbstractObserver]]:
    functions, observers = {}, {}
    for name, observable in (observables or {}).items():
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


def _alike(carries: dict[str, Any], checkpoint: Checkpoint) -> bool:
    """Whether streaming observers can go on with the carries of an earlier run."""

    def layout(tree):
        return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)

    return layout(carries) == layout(checkpoint.observers)


def simulate(
    system: AbstractSystem,
    state: PyTree[Array] | Callable[[Key[Array, ""]], PyTree[Array]] | Batch | Solution,
    *,
    t1: float,
    dt: float,
    key: Key[Array, ""],
    t0: float = 0.0,
    n_trajectories: int = 1,
    first_trajectory: int | Int[Array, ""] = 0,
    integrator: AbstractIntegrator = EulerMaruyama(),  # noqa: B008 (an immutable module)
    save_every: int | None = None,
    observables: Mapping[str, Observable | AbstractObserver] | None = None,
    adjoint: AbstractAdjoint = RecursiveCheckpoint(),  # noqa: B008
    progress: Any = False,
    throw: bool = True,
) -> Solution:
    r"""Simulate an ensemble of Langevin trajectories and keep their ledger.

    $$dx = \mu F(x, \lambda, \xi)\,dt + \sqrt{2\mu T}\,dW, \qquad
      dU = \delta W - \delta Q$$

    In each step the control (and time-dependent baths) move first, to their values at the end of
    the step, then the state. Trajectory i's noise depends on `key`, i and the step number alone.

    Args:
        system: a `Langevin` or another `AbstractSystem`. Its floats are cast to the state's dtype.
        state: one state, repeated for all trajectories; a function `key -> state`; `Batch(states)`;
            or a `Solution`, which is continued: step numbers, ledger and streaming observers go
            on (observers by name: give the same ones), and with the same key, dt and system the
            result is that of one long run. If the
            system's potential has changed, the change of energy is work.
        t1: the end; (t1 - t0)/dt must be a whole number of steps to 1e-6.
        dt: time step.
        key: `jax.random.key(...)`.
        t0: the start (not used for a `Solution`).
        n_trajectories: how many, where `state` does not tell.
        first_trajectory: the number of the first one, so that an ensemble can be run in parts.
        integrator: `EulerMaruyama()`, `Heun()` or `ExactLinear(stiffness)`.
        save_every: steps between saves, a divisor of the number of steps; None saves start and end.
        observables: `{name: f(x, control, t)}` recorded at saves, and streaming observers
            (`Mean`, `Variance`, `Histogram`) that see every step.
        adjoint: `RecursiveCheckpoint()`, `Direct()` or `ForwardMode()`.
        progress: True for a bar, or a diffrax progress meter.
        throw: raise when a trajectory turns non-finite. Inside jit, vmap or grad, and with False,
            the solution holds NaN and `result` instead.

    Returns:
        A `Solution` with axes `[trajectory, save]`.

    Raises:
        TypeError, ValueError: an argument that does not fit, named with its value and the remedy.
        SimulationDiverged: with `.solution`, the good part.

    Cost: O(n_trajectories · steps) force evaluations, two a step (one where nothing changes in
    time); memory O(n_trajectories · saves), independent of the number of steps. Trajectories whose
    arrays together would outgrow the caches follow one another in chunks.
    """
    if not isinstance(system, AbstractSystem):
        raise TypeError(f"system must be a Langevin or an AbstractSystem, got {system!r}")
    for name, value, base in (
        ("integrator", integrator, AbstractIntegrator),
        ("adjoint", adjoint, AbstractAdjoint),
    ):
        if not isinstance(value, base):
            raise TypeError(f"{name} must be an instance such as Heun() or Direct(), got {value!r}")
    n_trajectories = check_count("n_trajectories", n_trajectories)
    continued = state.checkpoint if isinstance(state, Solution) else None
    if continued is None:
        start = start_at(state, key, n_trajectories, argument(first_trajectory, default_int()))
        states = start.states
        start_time = begun = t0
        step = 0
    else:
        states = continued.state
        start = Start(states, None, continued.step, continued.first_trajectory)
        count_matches("the Solution", n_trajectories, continued.energy.shape[0])
        start_time, step = continued.time, continued.step
        begun = continued.clock.exact_time(step, dt)
    dtype = shared_float("state", states)
    n_steps = count_steps(begun, t1, dt, dtype)
    n_saves = count_saves(n_steps, save_every)

    system, integrator = cast_floats((system, integrator), dtype)
    functions, observers = _split_observables(observables, dtype)
    clock = Clock.at(step, start_time, dt, dtype)
    if continued is not None:
        clock = clock.resume(continued.clock)

    def spots():
        return jnp.linspace(start_time, t1, min(n_steps, 1000) + 1, dtype=dtype)

    bad_bath = system.baths.check(states, spots)
    if bad_bath is not None:
        # Upon one number that all depends on: arrays would be gathered from their devices for it.
        message = "temperature and mobility must be finite and >= 0"
        dt = eqx.error_if(clock.dt, bad_bath, message)
        running = dataclasses.replace(clock, dt=dt)
    else:
        running = clock

    stepper = Stepper(system, integrator, observers, key, running)
    if continued is not None and not _alike(
        continued.observers, eqx.filter_eval_shape(begin, stepper, start)
    ):
        observers_now = _begin(stepper, start).observers
        continued = dataclasses.replace(continued, observers=observers_now)
    times = clock.time(step, np.arange(n_saves + 1) * (n_steps // n_saves))
    solution = _run(
        stepper,
        start if continued is None else continued,
        times,
        functions,
        adjoint,
        progress_meter(progress),
        n_saves,
        n_steps // n_saves,
    )
    if is_concrete(times) and not is_concrete(solution.times):  # known inside jit too
        solution = dataclasses.replace(solution, times=constant(times, dtype))
    if throw and is_concrete(solution.checkpoint.diverged_step):
        raise_if_diverged(
            solution.checkpoint.diverged_step,
            solution,
            f"use a smaller dt than {dt:g}, or ExactLinear for a stiff trap; the error's .solution "
            "holds the run up to there",
        )
    return solution
