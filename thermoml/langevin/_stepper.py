"""One step of one trajectory: noise, sample, integrator and ledger together."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree

from ..ensembles import NOISE, SAMPLE, Clock
from ..numerics.random import Streams, row_numbers, trajectory_key, trajectory_streams
from ._chords import Chords
from ._integrators import AbstractIntegrator, AbstractPathIntegrator, StepContext
from ._ledger import Exchange, Forces, Ledger, evaluate, exchange, stratonovich
from ._momentum import Inertia, Underdamped, acting, position_of
from ._observers import AbstractObserver
from ._systems import AbstractSystem


class Walker(eqx.Module):
    """One trajectory between two steps, or an ensemble of them."""

    state: PyTree[Array]
    energy: Float[Array, "*trajectories"]
    forces: Forces | None  # at `state`, kept only where the next step can use them
    ledger: Ledger
    observers: dict[str, PyTree[Array]]
    diverged_step: Int[Array, "*trajectories"]
    carry: PyTree[Array]  # the integrator's memory
    chords: Chords | None = None  # of a driven system


class _Remembered:
    """A function of a position that is evaluated once at each place."""

    def __init__(self, function: Callable[[PyTree[Array]], Forces]):
        self._function = function
        self._known: list[tuple[list[Any], Forces]] = []

    def note(self, position: PyTree[Array], forces: Forces) -> Forces:
        self._known.append((jax.tree.leaves(position), forces))
        return forces

    def __call__(self, position: PyTree[Array]) -> Forces:
        leaves = jax.tree.leaves(position)
        for place, forces in self._known:
            if all(a is b for a, b in zip(place, leaves, strict=True)):
                return forces
        return self.note(position, self._function(position))


class Stepper(eqx.Module):
    """The physics of one step, for one trajectory."""

    system: AbstractSystem
    integrator: AbstractIntegrator
    observers: dict[str, AbstractObserver]
    key: Key[Array, ""]
    clock: Clock
    generator: str = eqx.field(static=True, default="hash")

    def sample(self, index: Array, step: Array) -> Any:
        return self.system.draw(jax.random.fold_in(trajectory_key(self.key, index, SAMPLE), step))

    def noise(self, index: Int[Array, ""]) -> Streams:
        """The one stream that the noise of a trajectory comes from."""
        return trajectory_streams(self.key, index[None], NOISE, self.generator)

    @staticmethod
    def normals(noise: Streams, step: Array, position: PyTree[Array]) -> Callable:
        """The normals of a step: `normals(stage, ahead)`, like the position."""
        leaves, structure = jax.tree.flatten(position)
        size = sum(leaf.size for leaf in leaves)

        def draw(stage: int = 0, ahead: int = 0) -> PyTree[Array]:
            draws = noise.at(step + ahead)
            drawn, first = [], stage * size
            for leaf in leaves:
                numbers = jnp.uint32(first) + row_numbers(leaf.size)
                drawn.append(draws.normals(numbers, leaf.dtype).reshape(leaf.shape))
                first += leaf.size
            return jax.tree.unflatten(structure, drawn)

        return draw

    def start(self, index: Array, walker: Walker, step: Array) -> Walker:
        """`walker` with the forces that the first step may use."""
        if not self.system.autonomous:
            return walker
        control = self.system.control_at(self.clock.time(step))
        position = position_of(walker.state)
        forces = evaluate(acting(self.system), position, control, self.sample(index, step))
        return dataclasses.replace(walker, forces=forces)

    def __call__(self, index: Array, noise: Streams, walker: Walker, step: Array) -> Walker:
        normals = self.normals(noise, step, position_of(walker.state))
        return self.advance(walker, step, self.sample(index, step), normals)[0]

    def advance(
        self, walker: Walker, step: Array, sample: Any, normals: Callable[..., PyTree[Array]]
    ) -> tuple[Walker, Exchange]:
        """The walker after step `step`, and the work and heat of the step.

        Args:
            walker: before the step.
            step: its number.
            sample: ξ of the environment.
            normals: the noise, `normals(stage, ahead)` as for a `StepContext`.
        """
        t, dt = self.clock.time(step + 1), self.clock.dt
        control = self.system.control_at(t)
        position = position_of(walker.state)
        baths = acting(self.system).baths.at(t, position)
        forces_at = _Remembered(lambda x: evaluate(acting(self.system), x, control, sample))
        if walker.forces is not None:
            forces_at.note(position, walker.forces)
        inertia = None
        if isinstance(self.system, Underdamped):
            inertia = self.system.inertia_at(t, position)
        context = StepContext(
            force=lambda x: forces_at(x).force,
            force_here=forces_at(position).force,
            noise=normals(),
            control=control,
            baths=baths,
            dt=dt,
            normals=normals,
            inertia=inertia,
        )
        if isinstance(self.integrator, AbstractPathIntegrator):
            state, path_heat = self.integrator.path_step(context, walker.state)
            carry = walker.carry
        else:
            state, carry = self.integrator.step(context, walker.state, walker.carry)
            path_heat = None
        energy, step_exchange = self._exchange(forces_at, walker, state, path_heat, inertia)
        ledger = walker.ledger.record(step_exchange, baths.temperature)
        good = jnp.isfinite(energy) & jnp.isfinite(ledger.heat.total)
        after = Walker(
            state,
            energy,
            None if walker.forces is None else forces_at(position_of(state)),
            ledger,
            {
                name: observer.update(walker.observers[name], state, control, t)
                for name, observer in self.observers.items()
            },
            jnp.where(good | (walker.diverged_step >= 0), walker.diverged_step, step),
            carry,
            self._chords(forces_at, walker, state),
        )
        return after, step_exchange

    @staticmethod
    def _chords(
        forces_at: Callable[[PyTree[Array]], Forces], walker: Walker, state: PyTree[Array]
    ) -> Chords | None:
        if walker.chords is None:
            return None
        change = jax.tree.map(jnp.subtract, forces_at(state).force, forces_at(walker.state).force)
        return walker.chords.after(change, jax.tree.map(jnp.subtract, state, walker.state))

    def _exchange(
        self,
        forces_at: Callable[[PyTree[Array]], Forces],
        walker: Walker,
        state: PyTree[Array],
        path_heat: PyTree[Array] | None,
        inertia: Inertia | None,
    ) -> tuple[Array, Exchange]:
        """The energy after the step, and its work and heat."""
        places = [position_of(x) for x in (walker.state, state)]
        forces = forces_at(places[0]), forces_at(places[1])
        energies, kinetic = [end.energy for end in forces], None
        if isinstance(self.system, Underdamped):
            assert inertia is not None
            ends = walker.state, state
            kinetics = [self.system.kinetic_energy(x) for x in ends]
            energies = [u + k for u, k in zip(energies, kinetics, strict=True)]
            speeds = [jax.tree.map(jnp.divide, x.momentum, inertia.mass) for x in ends]
            kicks = jax.tree.map(jnp.subtract, state.momentum, walker.state.momentum)
            kinetic = stratonovich(speeds[0], speeds[1], kicks)
        move = jax.tree.map(jnp.subtract, places[1], places[0])
        before, (now, after) = walker.energy, energies
        return after, exchange(forces, (before, now, after), move, path_heat, kinetic)
