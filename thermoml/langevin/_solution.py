"""What a simulation returns."""

import enum
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from ..numerics.arrays import argument, default_int, is_concrete
from ..numerics.labels import Labelled, leaf_names, to_dataset
from ..numerics.statistics import text_at_end
from ._ledger import Ledger

if TYPE_CHECKING:
    import xarray


class Result(enum.IntEnum):
    """How a trajectory ended."""

    SUCCESSFUL = 0
    NON_FINITE = 1


class Batch(eqx.Module):
    """Initial states, one per trajectory: every leaf of `states` has the trajectory axis first."""

    states: PyTree[Array]


class Clock(eqx.Module):
    """When a step ends: `time_origin + (step - step_origin) dt`, from whole numbers of steps."""

    step_origin: Int[Array, ""]
    time_origin: Float[Array, ""]
    dt: Float[Array, ""]

    @classmethod
    def at(cls, step: Any, time: Any, dt: Any, dtype: Any) -> "Clock":
        """The clock that shows `time` after `step` steps."""
        return cls(argument(step, default_int()), argument(time, dtype), argument(dt, dtype))

    def time(self, step: Any, after: Any = 0) -> Float[Array, "..."]:
        """The time at the end of step `step`, or `after` steps later; known, if all this is."""
        if is_concrete((self, step)):
            elapsed = np.asarray(step) + after - np.asarray(self.step_origin)
            elapsed = np.asarray(elapsed, self.dt.dtype) * np.asarray(self.dt)
            return argument(np.asarray(self.time_origin) + elapsed, self.dt.dtype)
        elapsed = jnp.asarray(jnp.asarray(step) + after - self.step_origin, self.dt.dtype)
        return self.time_origin + elapsed * self.dt

    def exact_time(self, step: Any, dt: Any) -> Any:
        """The time after `step` steps, unrounded, if `dt` is this clock's before it was rounded.

        In float32 the rounded time of a long run is too coarse to count further steps from.
        """
        if not is_concrete((self, step, dt)):
            return self.time(step)
        if np.asarray(dt, self.dt.dtype) != np.asarray(self.dt):
            return self.time(step)
        return float(self.time_origin) + (int(step) - int(self.step_origin)) * float(dt)

    def resume(self, earlier: "Clock") -> "Clock":
        """This clock, or `earlier` where dt is the same: then times agree to the last bit."""
        if is_concrete((self, earlier)):
            return earlier if np.asarray(earlier.dt) == np.asarray(self.dt) else self
        same = earlier.dt == self.dt
        return jax.tree.map(lambda a, b: jnp.where(same, a, b), earlier, self)


class Checkpoint(eqx.Module):
    """Where a run stands: all that is needed to go on as if it had never stopped."""

    state: PyTree[Float[Array, "trajectory ..."]]
    energy: Float[Array, " trajectory"]
    ledger: Ledger
    observers: dict[str, PyTree[Array]]
    diverged_step: Int[Array, " trajectory"]
    step: Int[Array, ""]
    clock: Clock
    first_trajectory: Int[Array, ""]

    @property
    def time(self) -> Float[Array, ""]:
        return self.clock.time(self.step)


class Solution(eqx.Module):
    """Trajectories of a Langevin simulation and their ledger; all arrays `[trajectory, save, ...]`.

    Save 0 is the start. Work, heat and entropy flow are cumulative from there (k_B = 1; heat
    positive into the bath, work positive on the system).

    Attributes:
        times: `(save,)`.
        observables: what was asked for, by name.
        work, heat: in units of energy; `work - heat` is the change of `energy`.
        energy: U(x, λ, ξ).
        heat_by_leaf: a pytree like the state, each leaf `[trajectory, save]`.
        entropy_flow: Σ δQ_i/T_i over the elements of the state, in nats; NaN for T = 0.
        entropy_flow_by_leaf: the same by leaf, a pytree like the state.
        final_state: like the state, with the trajectory axis first.
        checkpoint: continue with `simulate(system, solution, ...)`.
        result: `Result.SUCCESSFUL` or `Result.NON_FINITE` per trajectory. After a trajectory has
            turned non-finite its values are NaN.
        stats: `steps`, and `diverged_step` per trajectory (-1 for none).
    """

    times: Float[Array, " save"]
    observables: dict[str, PyTree[Array]]
    work: Float[Array, "trajectory save"]
    heat: Float[Array, "trajectory save"]
    energy: Float[Array, "trajectory save"]
    heat_by_leaf: PyTree[Float[Array, "trajectory save"]]
    entropy_flow: Float[Array, "trajectory save"]
    entropy_flow_by_leaf: PyTree[Float[Array, "trajectory save"]]
    checkpoint: Checkpoint
    result: Int[Array, " trajectory"]
    stats: dict[str, Array]

    @property
    def final_state(self) -> PyTree[Float[Array, "trajectory ..."]]:
        return self.checkpoint.state

    @property
    def diverged_step(self) -> Int[Array, " trajectory"]:
        """The step at which a trajectory turned non-finite, -1 for none."""
        return self.stats["diverged_step"]

    @property
    def residual(self) -> Float[Array, "trajectory save"]:
        """Heat minus the sum of the leaves' heats: the O(|dx|³) of the trapezoidal rule."""
        leaves = jax.tree.leaves(self.heat_by_leaf)
        return self.heat - jnp.sum(jnp.stack(leaves), axis=0)

    def __str__(self) -> str:
        n_trajectories, n_saves = self.work.shape
        lines = [f"Solution of {n_trajectories} trajectories at {n_saves} saves"]
        if not is_concrete(self.work):
            return lines[0] + " (traced)"
        t0, t1 = float(self.times[0]), float(self.times[-1])
        lines.append(f"  time          {t0:g} to {t1:g} in {int(self.stats['steps'])} steps")
        for name in ("work", "heat", "energy", "entropy_flow"):
            lines.append(f"  {name:<13} {text_at_end(getattr(self, name))}")
        if self.observables:
            lines.append(f"  observables   {', '.join(self.observables)}")
        failed = int(np.sum(np.asarray(self.result) != Result.SUCCESSFUL))
        if failed:
            lines.append(f"  {failed} of {n_trajectories} trajectories turned non-finite")
        return "\n".join(lines)

    def labelled(self) -> dict[str, Labelled]:
        """Ledger, observables and times, with units and names in words; leaves by name."""
        along = ("trajectory", "time")
        variables = {
            "work": Labelled(along, self.work, "energy", "cumulative work on the system"),
            "heat": Labelled(along, self.heat, "energy", "cumulative heat into the baths"),
            "energy": Labelled(along, self.energy, "energy", "energy of the system"),
            "entropy_flow": Labelled(
                along, self.entropy_flow, "nat", "entropy flow into the baths"
            ),
        }

        def add(name: str, tree: Any, units: str, long_name: str) -> None:
            for suffix, leaf in zip(leaf_names(tree), jax.tree.leaves(tree), strict=True):
                full = f"{name}_{suffix}" if suffix else name
                dims = along + tuple(f"{full}_dim_{i}" for i in range(leaf.ndim - 2))
                variables[full] = Labelled(dims, leaf, units, long_name)

        if len(jax.tree.leaves(self.heat_by_leaf)) > 1:
            add("heat", self.heat_by_leaf, "energy", "heat into the bath of one leaf")
            flows = self.entropy_flow_by_leaf
            add("entropy_flow", flows, "nat", "entropy flow into the bath of one leaf")
        for name, value in self.observables.items():
            add(name, value, "", name)
        return variables | {"time": Labelled(("time",), self.times, "time", "time")}

    def to_xarray(self) -> "xarray.Dataset":
        """A Dataset over `trajectory` and `time`, with leaves and observables by name."""
        return to_dataset(self.labelled())


class SimulationDiverged(RuntimeError):
    """A trajectory turned non-finite. `solution` holds the run, NaN from the failure on.

    A study puts what it makes of that solution into `good_part`.
    """

    good_part: Any = None

    def __init__(self, message: str, solution: Any):
        super().__init__(message)
        self.solution = solution


def raise_if_diverged(diverged_step: Array, solution: Any, remedy: str) -> None:
    """SimulationDiverged, naming the earliest step and its trajectory, unless all went well."""
    steps = np.asarray(diverged_step)
    failed = np.flatnonzero(steps >= 0)
    if failed.size:
        first = failed[np.argmin(steps[failed])]
        raise SimulationDiverged(
            f"trajectory {first} turned non-finite at step {steps[first]} "
            f"({failed.size} of {steps.size} trajectories in all); {remedy}",
            solution,
        )
