"""The process of a Langevin ensemble: steps of many trajectories and what is recorded of them."""

import functools
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PyTree

from ..ensembles import AbstractProcess, Footprint, is_plain, widest_array
from ..numerics.random import Streams
from ._observers import Observable
from ._stepper import Stepper, Walker

_FEW = 32  # trajectories below which the ensemble is one chunk, whatever its arrays
_PLAIN = 1024  # trajectories of plain systems whose some twenty numbers each stay in a core's cache


class Held(NamedTuple):
    """Numbers and streams of noise of the trajectories of a chunk."""

    indices: Int[Array, " trajectory"]
    noise: Streams


class LangevinProcess(AbstractProcess):
    """Trajectories of a Langevin system, each stepped by a `Stepper`; trajectory axis first."""

    stepper: Stepper
    functions: dict[str, Observable]
    in_one: bool = eqx.field(static=True)  # whether the loop over steps may be one function
    trajectory_axis: ClassVar[int] = 0

    def footprint(self, walkers: Walker) -> Footprint:
        if self.in_one and is_plain(self.stepper, *self._first(walkers)):
            return Footprint(lambda: 1, widest=_PLAIN, plain=True)
        if walkers.diverged_step.shape[0] < _FEW:
            return Footprint(lambda: 1)
        return Footprint(lambda: widest_array(self.stepper, *self._first(walkers)))

    def _first(self, walkers: Walker) -> tuple[Any, ...]:
        """What the stepper takes of the first trajectory."""
        first, index = jax.tree.map(lambda leaf: leaf[0], walkers), jnp.asarray(0)
        step = jnp.asarray(self.stepper.clock.step_origin)
        return index, self.stepper.noise(index), first, step

    def init(
        self,
        indices: Int[Array, " trajectory"],
        walkers: Walker,
        own: None,
        step: Int[Array, ""],
    ) -> tuple[Held, Walker]:
        held = Held(indices, jax.vmap(self.stepper.noise)(indices))
        return held, jax.vmap(self.stepper.start, (0, 0, None))(indices, walkers, step)

    def step(self, held: Held, moving: Walker, step: Array) -> Walker:
        return jax.vmap(self.stepper, (0, 0, 0, None))(held.indices, held.noise, moving, step)

    def record(
        self, held: Held, moving: Walker, step: Array, n_steps: int
    ) -> tuple[Walker, dict[str, PyTree[Array]]]:
        record = functools.partial(self._record_one, step=step)
        return moving, jax.vmap(record)(moving)

    def _record_one(self, walker: Walker, step: Array) -> dict[str, Any]:
        t = self.stepper.clock.time(step)
        control = self.stepper.system.control_at(t)
        observables = {name: f(walker.state, control, t) for name, f in self.functions.items()}
        for name, observer in self.stepper.observers.items():
            observables[name] = observer.result(walker.observers[name])
        return {
            "ledger": walker.ledger.totals(),
            "energy": walker.energy,
            "observables": observables,
        }

    def final(self, moving: Walker) -> Walker:
        return moving
