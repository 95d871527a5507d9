"""The process of a Langevin ensemble: steps of many trajectories and what is recorded of them."""

import functools
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PyTree

from ..ensembles import AbstractProcess, Footprint, widest_array
from ._observers import Observable
from ._stepper import Stepper, Walker

_FEW = 32  # trajectories below which the ensemble is one chunk, whatever its arrays


class LangevinProcess(AbstractProcess):
    """Trajectories of a Langevin system, each stepped by a `Stepper`; trajectory axis first."""

    stepper: Stepper
    functions: dict[str, Observable]
    trajectory_axis: ClassVar[int] = 0

    def footprint(self, walkers: Walker) -> Footprint:
        def numbers() -> int:
            if walkers.diverged_step.shape[0] < _FEW:
                return 1
            first = jax.tree.map(lambda leaf: leaf[0], walkers)
            step = self.stepper.clock.step_origin
            return widest_array(self.stepper, jnp.asarray(0), first, jnp.asarray(step))

        return Footprint(numbers)

    def init(
        self,
        indices: Int[Array, " trajectory"],
        walkers: Walker,
        own: None,
        step: Int[Array, ""],
    ) -> tuple[Int[Array, " trajectory"], Walker]:
        return indices, jax.vmap(self.stepper.start, (0, 0, None))(indices, walkers, step)

    def step(self, held: Int[Array, " trajectory"], moving: Walker, step: Array) -> Walker:
        return jax.vmap(self.stepper, (0, 0, None))(held, moving, step)

    def record(
        self, held: Int[Array, " trajectory"], moving: Walker, step: Array, n_steps: int
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
