"""Solutions of a simulation: the ledger at the saves, observables, and a checkpoint."""

import enum
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, PyTree

from ..ensembles import AbstractCheckpoint, Clock
from ..numerics.labels import Labelled, leaf_names, to_dataset
from ..numerics.results import AbstractResult
from ..numerics.statistics import text_at_end
from ..numerics.types import AnyArray
from ._ledger import Ledger, Shadow

if TYPE_CHECKING:
    import xarray


class Result(enum.IntEnum):
    """How a trajectory ended."""

    SUCCESSFUL = 0
    NON_FINITE = 1


class Batch(eqx.Module):
    """Initial states, one per trajectory: every leaf of `states` has the trajectory axis first."""

    states: PyTree[ArrayLike]


class Checkpoint(AbstractCheckpoint):
    """Where a run stands: all that is needed to go on as if it had never stopped."""

    state: PyTree[Float[Array, "trajectory ..."]]
    energy: Float[Array, " trajectory"]
    ledger: Ledger
    observers: dict[str, PyTree[Array]]
    diverged_step: Int[AnyArray, " trajectory"]
    step: Int[AnyArray, ""]
    clock: Clock
    first_trajectory: Int[AnyArray, ""]
    carry: PyTree[Array] = None

    @property
    def first_state(self) -> PyTree[Array]:
        """That of the first trajectory."""
        return jax.tree.map(lambda leaf: leaf[0], self.state)


class Solution(AbstractResult):
    """Trajectories of a Langevin simulation and their ledger; all arrays `[trajectory, save, ...]`.

    Save 0 is the start. Work, heat and entropy flow are cumulative from there (k_B = 1; heat
    positive into the bath, work positive on the system).

    Attributes:
        times: `(save,)`.
        observables: values of the observables, by name.
        work, heat: in units of energy; `work - heat` is the change of `energy`. In a driven steady
            state without momentum the rate of heat is off by order dt whatever the integrator;
            `Mean(HeatRate(system))` among the observables is of the order of its states.
        energy: U(x, λ, ξ).
        heat_by_leaf: a pytree like the state, each leaf `[trajectory, save]`.
        entropy_flow: Σ δQ_i/T_i over the elements of the state, in nats; NaN for T = 0.
        entropy_flow_by_leaf: the same by leaf, a pytree like the state.
        final_state: like the state, with the trajectory axis first.
        checkpoint: continue with `simulate(system, solution, ...)`.
        result: `Result.SUCCESSFUL` or `Result.NON_FINITE` per trajectory. After a trajectory has
            turned non-finite its values are NaN.
        stats: `steps`, and `diverged_step` per trajectory (-1 for none). Of a driven system without
            momentum `missing_heat` per trajectory, what the straight steps leave out of a path that
            turns (to add to `heat`, the first of two errors; the other is that of the integrator's
            states), and `missing_heat_error`.
        shadow: the work of the discretisation and its entropy; None for an integrator whose path
            probabilities are not known.

    With momentum the energy is U + p²/2m, heat is what the baths' friction and noise take, and
    `work + shadow_work - heat` is the change of energy.
    """

    times: Float[AnyArray, " save"]
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
    shadow: Shadow | None = None

    @property
    def shadow_work(self) -> Float[Array, "*batch trajectory save"]:
        r"""The cumulative work of the discretisation, dU - δW + δQ* by path probabilities δQ*.

        $\langle e^{-(W+W_\text{shadow})/T}\rangle = e^{-\Delta F/T}$ at any dt, where W alone is
        off by the order of the integrator. Use the sum, `total_work`, for free energies; use `work`
        for what a protocol costs in the limit of small steps.

        Raises:
            ValueError: an integrator whose path probabilities are not known.
        """
        return self._known_shadow().work

    @property
    def total_work(self) -> Float[Array, "*batch trajectory save"]:
        """`work + shadow_work`, with which Jarzynski's and Crooks' relations are exact at any dt.

        For Crooks' (and `bennett`) the reverse run must take the same controls backwards. In a step
        the control moves before the state, so this needs a first step in which it stands still, in
        both directions: controls λ₀, λ₁ … λ_N of the steps, and λ_N … λ₁, λ₀.
        """
        return self.work + self.shadow_work

    @property
    def path_heat(self) -> Float[Array, "*batch trajectory save"]:
        """Cumulative heat Q* by path probabilities, `total_work` minus the change of energy."""
        return self.total_work - (self.energy - self.energy[..., :1])

    @property
    def path_entropy_flow(self) -> Float[Array, "*batch trajectory save"]:
        """Σ δQ*_i/T_i, in nats: for the integral fluctuation theorem, exact at any dt."""
        return self.entropy_flow + self._known_shadow().entropy_flow

    def _known_shadow(self) -> Shadow:
        if self.shadow is None:
            raise ValueError(
                "this run has no shadow work: the path probabilities of its integrator have no "
                "closed form (Heun), are those of coloured noise (LeimkuhlerMatthews), or are not "
                "given (one of your own that is no AbstractPathIntegrator), or it goes on from a "
                "run without; use EulerMaruyama(), ExactLinear(stiffness) or, with momentum, a "
                "Splitting"
            )
        return self.shadow

    @property
    def final_state(self) -> PyTree[Float[Array, "..."]]:
        return self.checkpoint.state

    @property
    def diverged_step(self) -> Int[Array, "*batch trajectory"]:
        """The step at which a trajectory turned non-finite, -1 for none."""
        return self.stats["diverged_step"]

    @property
    def residual(self) -> Float[Array, "*batch trajectory save"]:
        """Heat minus the sum of the leaves' heats: the O(|dx|³) of the trapezoidal rule.

        0 with momentum, where each leaf's heat is what its bath takes.
        """
        leaves = jax.tree.leaves(self.heat_by_leaf)
        return self.heat - jnp.sum(jnp.stack(leaves), axis=0)

    def _summary(self):
        n_trajectories, n_saves = self.work.shape
        t0, t1 = float(self.times[0]), float(self.times[-1])
        rows = {"time": f"{t0:g} to {t1:g} in {int(self.stats['steps'])} steps"}
        shadow = () if self.shadow is None else ("shadow_work",)
        for name in ("work", *shadow, "heat", "energy", "entropy_flow"):
            rows[name] = text_at_end(getattr(self, name))
        if self.observables:
            rows["observables"] = ", ".join(self.observables)
        failed = int(np.sum(np.asarray(self.result) != Result.SUCCESSFUL))
        if failed:
            rows["diverged"] = f"{failed} of {n_trajectories} trajectories turned non-finite"
        return f"Solution of {n_trajectories} trajectories at {n_saves} saves", rows

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

        if self.shadow is not None:
            name = "cumulative work of the discretisation"
            variables["shadow_work"] = Labelled(along, self.shadow_work, "energy", name)

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
