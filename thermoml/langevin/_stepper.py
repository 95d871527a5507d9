"""One step of one trajectory: noise, sample, integrator and ledger together."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree

from ..ensembles import NOISE, SAMPLE, Clock
from ..numerics.random import trajectory_key
from ._integrators import AbstractIntegrator, StepContext
from ._ledger import Forces, Ledger, evaluate
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


def _noise(key: Key[Array, ""], state: PyTree[Array]) -> PyTree[Array]:
    leaves, structure = jax.tree.flatten(state)
    keys = jax.random.split(key, len(leaves)) if len(leaves) > 1 else key[None]
    normals = [jax.random.normal(k, x.shape, x.dtype) for k, x in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(structure, normals)


class Stepper(eqx.Module):
    """The physics of one step, for one trajectory."""

    system: AbstractSystem
    integrator: AbstractIntegrator
    observers: dict[str, AbstractObserver]
    key: Key[Array, ""]
    clock: Clock

    def sample(self, index: Array, step: Array) -> Any:
        return self.system.draw(jax.random.fold_in(trajectory_key(self.key, index, SAMPLE), step))

    def start(self, index: Array, walker: Walker, step: Array) -> Walker:
        """`walker` with the forces that the first step may use."""
        if not self.system.autonomous:
            return walker
        control = self.system.control_at(self.clock.time(step))
        forces = evaluate(self.system, walker.state, control, self.sample(index, step))
        return dataclasses.replace(walker, forces=forces)

    def __call__(self, index: Array, walker: Walker, step: Array) -> Walker:
        t, dt = self.clock.time(step + 1), self.clock.dt
        control = self.system.control_at(t)
        sample = self.sample(index, step)
        baths = self.system.baths.at(t, walker.state)

        def forces_at(state):
            return evaluate(self.system, state, control, sample)

        start = forces_at(walker.state) if walker.forces is None else walker.forces
        key = jax.random.fold_in(trajectory_key(self.key, index, NOISE), step)
        context = StepContext(
            force=lambda x: forces_at(x).force,
            force_here=start.force,
            noise=_noise(key, walker.state),
            control=control,
            baths=baths,
            dt=dt,
        )
        state = self.integrator.step(context, walker.state)
        end = forces_at(state)
        move = jax.tree.map(jnp.subtract, state, walker.state)
        ledger = walker.ledger.record(walker.energy, start, end, move, baths.temperature)
        good = jnp.isfinite(end.energy) & jnp.isfinite(ledger.heat.total)
        return Walker(
            state,
            end.energy,
            None if walker.forces is None else end,
            ledger,
            {
                name: observer.update(walker.observers[name], state, control, t)
                for name, observer in self.observers.items()
            },
            jnp.where(good | (walker.diverged_step >= 0), walker.diverged_step, step),
        )
