"""The base of checkpoints: where an ensemble stands between two runs."""

import equinox as eqx
from jaxtyping import Float, Int

from ..numerics.types import AnyArray
from ._clock import Clock


class AbstractCheckpoint(eqx.Module):
    """Where an ensemble stands: all that is needed to go on as if it had never stopped.

    Attributes:
        diverged_step: the step at which a trajectory turned non-finite, -1 for none.
        step: number of steps made.
        clock: the time at each step.
        first_trajectory: number of the first trajectory.
    """

    diverged_step: eqx.AbstractVar[Int[AnyArray, " trajectory"]]
    step: eqx.AbstractVar[Int[AnyArray, ""]]
    clock: eqx.AbstractVar[Clock]
    first_trajectory: eqx.AbstractVar[Int[AnyArray, ""]]

    @property
    def n_trajectories(self) -> int:
        return self.diverged_step.shape[0]

    @property
    def time(self) -> Float[AnyArray, ""]:
        return self.clock.time(self.step)
