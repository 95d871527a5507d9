"""What the studies of small systems in baths share."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..langevin import Solution, simulate
from ..numerics.labels import Labelled
from ._base import AbstractStudy, per_trajectory


def trap(x: Array, control: Any) -> Array:
    """½k(x - c)² of a control with `stiffness` and `centre`."""
    return 0.5 * control["stiffness"] * jnp.sum((x - control["centre"]) ** 2)


def trap_stiffness(control: Any) -> Array:
    """For `ExactLinear`."""
    return control["stiffness"]


class ExperimentStudy(AbstractStudy):
    """Trajectories of a system at each point, all of them kept."""

    def run(
        self, system: Any, state: Any, ensemble: Mapping[str, Any], number: int, **how: Any
    ) -> Solution:
        """One of the runs of a point; each `number` draws noise of its own."""
        key = jax.random.fold_in(ensemble["key"], number)
        rest = {name: value for name, value in ensemble.items() if name != "key"}
        return simulate(system, state, dt=self.config.dt, key=key, throw=False, **rest, **how)

    def check(self, results):
        self.refuse_lost(results, "trajectories turned non-finite; use a smaller dt")


def diverged(runs: Solution) -> dict[str, Labelled]:
    """Whether a trajectory turned non-finite, in any of the runs where there are several."""
    lost = runs.diverged_step >= 0
    lost = jnp.any(jnp.reshape(lost, (-1, lost.shape[-1])), axis=0)
    return {"diverged": per_trajectory(lost, "", "fraction that turned non-finite")}


def predicted(values: Mapping[str, Any], rows: int, units: str, words: str) -> dict[str, Labelled]:
    """Numbers without noise, as `predicted_…`, once for each trajectory."""
    return {
        f"predicted_{name}": per_trajectory(
            jnp.broadcast_to(value, (rows,)), units, f"{name.replace('_', ' ')}, {words}"
        )
        for name, value in values.items()
    }


def single(entry: Any, name: str) -> Any:
    """The values of single trajectories."""
    return np.asarray(entry[f"{name}_trajectories"].values, float)
