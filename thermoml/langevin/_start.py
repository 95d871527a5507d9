"""Initial states of a run, and consistency checks of its arguments."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key, PyTree

from ..ensembles import INITIAL, MOMENTUM, Clock
from ..numerics.arrays import argument, cast_floats, default_int, shared_float
from ..numerics.checks import check_finite, count_matches
from ..numerics.random import trajectory_key
from ..numerics.types import AnyArray
from ._integrators import AbstractPathIntegrator
from ._ledger import Ledger
from ._momentum import PhaseState, Underdamped, position_of
from ._solution import Batch, Checkpoint
from ._stepper import Stepper
from ._systems import AbstractSystem


class Start(eqx.Module):
    """The start of a new run: all states, or one state and the number of its `copies`."""

    states: PyTree[Array]
    copies: int | None
    step: Int[AnyArray, ""]
    first: Int[AnyArray, ""]

    @property
    def first_state(self) -> PyTree[Array]:
        """That of the first trajectory."""
        return self.states if self.copies else jax.tree.map(lambda leaf: leaf[0], self.states)

    def all_states(self) -> PyTree[Array]:
        if self.copies is None:
            return self.states
        shape = (self.copies,)
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, shape + leaf.shape), self.states)


def _draws_state(value: Any) -> bool:
    """Whether it is a function of a key; a callable module that holds only arrays is a state."""
    if not callable(value) or hasattr(value, "__self__"):
        return callable(value)
    return not all(eqx.is_array_like(leaf) for leaf in jax.tree.leaves(value))


def start_at(
    state: Any, key: Key[Array, ""], n_trajectories: int, first_trajectory: int | AnyArray
) -> Start:
    """The states of all trajectories, of one floating dtype, at step 0."""
    step, first = argument(0, default_int()), argument(first_trajectory, default_int())
    if isinstance(state, Batch):
        states = state.states
        dtype = shared_float("Batch(states)", states)
        sizes = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(states)}
        if len(sizes) != 1 or sizes == {()}:
            raise ValueError(
                "every leaf of Batch(states) must have the same leading trajectory axis, got "
                f"shapes {[jnp.shape(leaf) for leaf in jax.tree.leaves(states)]}"
            )
        (size,) = next(iter(sizes))
        if size == 0:
            raise ValueError("Batch(states) must hold at least one trajectory, got states of none")
        check_finite("Batch(states)", states)
        count_matches("the Batch", n_trajectories, size)
        return Start(cast_floats(states, dtype), None, step, first)
    if _draws_state(state):
        indices = first + jnp.arange(n_trajectories)
        states = jax.vmap(lambda i: state(trajectory_key(key, i, INITIAL)))(indices)
        states = cast_floats(states, shared_float("state(key)", states))
        return Start(states, None, step, first)
    dtype = shared_float("state", state)
    check_finite("state", state)
    return Start(cast_floats(state, dtype), n_trajectories, step, first)


def _check_shapes(system: AbstractSystem, state: PyTree[Array], clock: Clock) -> None:
    """TypeError/ValueError where energy, drive or baths have the wrong shape."""

    def probe(x, t, key):
        try:
            control = system.control_at(t)
        except jax.errors.TracerBoolConversionError:
            raise TypeError(
                "control must return one structure at all times and not branch on t in Python; "
                "choose with jnp.where, or use PiecewiseLinear"
            ) from None
        sample = system.draw(key)
        return system.energy(x, control, sample), system.drive_force(x, control, sample)

    energy, drive = eqx.filter_eval_shape(probe, state, clock.time_origin, jax.random.key(0))
    if getattr(energy, "shape", None) != ():
        raise TypeError(f"the potential must return a scalar, got {energy}; sum over the elements")
    if drive is not None:
        shapes = [jax.tree.map(jnp.shape, tree) for tree in (drive, state)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"the drive must return a force like the state {shapes[1]}, got {shapes[0]}"
            )
    position = position_of(state)
    jax.eval_shape(system.baths.at, clock.time_origin, position)


def begin(stepper: Stepper, start: Start) -> Checkpoint:
    """A checkpoint at the initial states, with an empty ledger, after the shapes are checked."""
    step, first = start.step, start.first
    states = _with_momenta(stepper, start.all_states(), step, first)
    one_state = jax.tree.map(lambda leaf: leaf[0], states)
    _check_shapes(stepper.system, one_state, stepper.clock)
    has_shadow = isinstance(stepper.integrator, AbstractPathIntegrator)

    def one(index, state):
        t = stepper.clock.time(step)
        control = stepper.system.control_at(t)
        energy = stepper.system.energy(state, control, stepper.sample(index, step))
        observers = {
            name: observer.init(state, control, t) for name, observer in stepper.observers.items()
        }
        position = position_of(state)
        ledger = Ledger.empty(position, stepper.clock.dt.dtype, shadow=has_shadow)
        return energy, ledger, observers, stepper.integrator.init(state)

    indices = first + jnp.arange(jax.tree.leaves(states)[0].shape[0])
    energy, ledger, observers, carry = jax.vmap(one)(indices, states)
    unharmed = jnp.full(indices.shape, -1)
    return Checkpoint(
        state=states,
        energy=energy,
        ledger=ledger,
        observers=observers,
        diverged_step=unharmed,
        step=step,
        clock=stepper.clock,
        first_trajectory=first,
        carry=carry,
    )


def _with_momenta(
    stepper: Stepper, states: PyTree[Array], step: AnyArray, first: AnyArray
) -> PyTree[Array]:
    """Positions with momenta from the baths, for a system with momentum; else the states."""
    system = stepper.system
    if isinstance(states, PhaseState):
        if not isinstance(system, Underdamped):
            raise TypeError(
                "a PhaseState is the state of a system with momentum; wrap the system in "
                "Underdamped(system), or pass state.position"
            )
        shapes = [jax.tree.map(jnp.shape, part) for part in (states.position, states.momentum)]
        if shapes[0] != shapes[1]:
            raise ValueError(f"the momentum must be like the position {shapes[0]}, got {shapes[1]}")
        return states
    if not isinstance(system, Underdamped):
        return states
    t = stepper.clock.time(step)

    def draw(index, position):
        key = trajectory_key(stepper.key, index, MOMENTUM)
        return system.draw_momentum(key, position, t)

    indices = first + jnp.arange(jax.tree.leaves(states)[0].shape[0])
    return PhaseState(states, jax.vmap(draw)(indices, states))
